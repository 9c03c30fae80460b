//! No borrow leaves its scope as the result.
use core::mem::MaybeUninit;
use kausaldb::memory::Arena;

fn main() {
    let mut region = [MaybeUninit::uninit(); 64];
    let mut arena = Arena::new(&mut region);
    let _kept = arena.scope(|scratch| scratch.slice_of::<u32>(4));
}
