//! No pool leaves the scope whose memory it is made of.
use core::mem::MaybeUninit;
use kausaldb::memory::Arena;

fn main() {
    let mut region = [MaybeUninit::uninit(); 64];
    let mut arena = Arena::new(&mut region);
    let _kept = arena.scope(|scratch| scratch.pool_of::<u32>(4));
}
