//! The flight recorder on the AST1030's evaluation board: a Cortex-M4F with 4 MiB of SPI flash.
//!
//! The store has the first 64 KiB of the flash, and reads it where the controller shows it in memory.
//! `cargo run --release` runs it in QEMU; what the image can be told is listed in `board`.
#![no_std]
#![no_main]

use ast1030_evb::{SpiFlash, WINDOW};
use board::Board;
use core::mem::MaybeUninit;
// Its critical sections: interrupts off, on one core.
use cortex_m as _;
use cortex_m_rt::entry;
use flight_recorder::scenario::{CAPACITY, FLASH_BYTES};
use kausaldb::storage::Erased;
use kausaldb_flash::{Partition, XipStorage};
use static_cell::ConstStaticCell;

const PARTITION: Partition = Partition { offset_bytes: 0, len_bytes: FLASH_BYTES };

static REGION: ConstStaticCell<[MaybeUninit<u8>; CAPACITY.region_bytes()]> =
    ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);

#[entry]
fn main() -> ! {
    // SAFETY:
    // - the image is linked for the AST1030, whose flash is its first chip, and this is the only driver;
    // - only the storage borrows from the window, and it writes while nothing is borrowed.
    #[allow(unsafe_code)]
    let flash = unsafe { <SpiFlash>::new() };
    // SAFETY:
    // - the window shows the flash from its first byte on, whenever the driver is not at work;
    // - the driver is the only one, and every change ends with the window as it was, without a cache;
    // - the window is no Rust object.
    #[allow(unsafe_code)]
    let storage = unsafe { XipStorage::new(flash, PARTITION, Erased::Ones, WINDOW) };
    let Ok(storage) = storage else { board::no_flash() };
    board::run(Board { storage, region: REGION.take() })
}
