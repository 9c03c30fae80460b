//! While a scope runs, its arena hands out nothing: the memory behind would be taken twice.
use core::mem::MaybeUninit;
use kausaldb::memory::Arena;

fn main() {
    let mut region = [MaybeUninit::uninit(); 64];
    let mut arena = Arena::new(&mut region);
    arena.scope(|_scratch| arena.slice_of::<u32>(4).map(drop));
}
