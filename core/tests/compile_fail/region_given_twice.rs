//! A region is carved by one coordinator.
use core::mem::MaybeUninit;
use kausaldb::memory::StorageCoordinator;

fn main() {
    let mut region = [MaybeUninit::uninit(); 256];
    let mut first = StorageCoordinator::new(&mut region);
    let mut second = StorageCoordinator::new(&mut region);
    drop((first.slice_of::<u8>(1), second.slice_of::<u8>(1)));
}
