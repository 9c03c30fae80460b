//! A type with a destructor does not go into an arena, also when its bytes are plain: nobody would run it.
use core::mem::MaybeUninit;
use kausaldb::memory::Arena;
use zerocopy::{FromBytes, IntoBytes};

#[derive(FromBytes, IntoBytes)]
#[repr(C)]
struct Lock(u32);

impl Drop for Lock {
    fn drop(&mut self) {
        println!("unlocked");
    }
}

fn main() {
    let mut region = [MaybeUninit::uninit(); 64];
    let _locks = Arena::new(&mut region).slice_of::<Lock>(2);
}
