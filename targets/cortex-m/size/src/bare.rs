//! The image of `store.rs` without the store: what it takes is not the store's.
#![no_std]
#![no_main]

mod medium;

use core::hint::black_box;
use core::panic::PanicInfo;
use cortex_m_rt::entry;
use kausaldb::storage::Storage;
use medium::Medium;

#[entry]
fn main() -> ! {
    let mut medium = Medium::new();
    let mut bytes = [0; 16];
    black_box(medium.erase(0).is_ok());
    black_box(medium.write(0, black_box(&bytes)).is_ok());
    black_box(medium.sync().is_ok());
    let read = medium.read(0, &mut bytes);
    black_box(read.is_err_and(|error| medium.is_lost(&error)));
    black_box((bytes, medium.geometry()));
    loop {}
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
