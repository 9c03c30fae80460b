//! A type that owns a heap allocation does not go into an arena.
use core::mem::MaybeUninit;
use kausaldb::memory::Arena;

fn main() {
    let mut region = [MaybeUninit::uninit(); 64];
    let _names = Arena::new(&mut region).slice_of::<String>(2);
}
