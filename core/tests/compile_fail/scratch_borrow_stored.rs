//! No borrow leaves its scope through a variable outside.
use core::mem::MaybeUninit;
use kausaldb::memory::Arena;

fn main() {
    let mut region = [MaybeUninit::uninit(); 64];
    let mut arena = Arena::new(&mut region);
    let mut kept: &mut [u32] = &mut [];
    arena.scope(|scratch| kept = scratch.slice_of(4).unwrap());
    kept.fill(1);
}
