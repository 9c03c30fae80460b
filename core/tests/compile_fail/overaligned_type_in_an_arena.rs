//! A type aligned above 64 bytes does not go into the region: a footprint could not say its size.
use core::mem::MaybeUninit;
use kausaldb::memory::Arena;
use zerocopy::{FromBytes, IntoBytes};

#[derive(FromBytes, IntoBytes)]
#[repr(C, align(128))]
struct Page([u8; 128]);

fn main() {
    let mut region = [MaybeUninit::uninit(); 1024];
    let _pages = Arena::new(&mut region).slice_of::<Page>(2);
}
