//! No pointer goes into the region, also no optional one that zeroes would be valid for.
use core::mem::MaybeUninit;
use kausaldb::memory::StorageCoordinator;

fn main() {
    let mut region = [MaybeUninit::uninit(); 64];
    let _next = StorageCoordinator::new(&mut region).slice_of::<Option<&'static u32>>(2);
}
