//! No scope can be traded for another: each has a lifetime of its own.
use core::mem::{MaybeUninit, swap};
use kausaldb::memory::Arena;

fn main() {
    let mut region = [MaybeUninit::uninit(); 64];
    let mut arena = Arena::new(&mut region);
    arena.scope(|outer| {
        let mut other_region = [MaybeUninit::uninit(); 64];
        let mut other = Arena::new(&mut other_region);
        other.scope(|inner| swap(outer, inner));
    });
}
