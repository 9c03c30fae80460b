//! A handle is of the type that its pool holds.
use core::mem::MaybeUninit;
use kausaldb::memory::StorageCoordinator;

fn main() {
    let mut region = [MaybeUninit::uninit(); 1024];
    let mut coordinator = StorageCoordinator::new(&mut region);
    let mut edges = coordinator.pool_of::<u64>(4).unwrap();
    let mut readers = coordinator.pool_of::<u32>(4).unwrap();
    let edge = edges.acquire(1).unwrap();
    readers.release(edge).unwrap();
}
