//! What is carved does not outlive the region.
use core::mem::MaybeUninit;
use kausaldb::memory::StorageCoordinator;

fn main() {
    let versions = {
        let mut region = [MaybeUninit::uninit(); 256];
        StorageCoordinator::new(&mut region).slice_of::<u64>(4)
    };
    drop(versions);
}
