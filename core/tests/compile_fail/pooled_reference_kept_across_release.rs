//! No reference into a pool lives while something is given back to it.
use core::mem::MaybeUninit;
use kausaldb::memory::Arena;

fn main() {
    let mut region = [MaybeUninit::uninit(); 256];
    let mut pool = Arena::new(&mut region).pool_of::<u64>(4).unwrap();
    let handle = pool.acquire(1).unwrap();
    let value = pool.get(handle).unwrap();
    pool.release(handle).unwrap();
    println!("{value}");
}
