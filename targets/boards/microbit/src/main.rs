//! The flight recorder on a BBC micro:bit, whose nRF51 has a Cortex-M0, 16 KiB of RAM and 256 KiB of flash.
//!
//! The store has the last 64 KiB of the flash. `cargo run --release` runs it in QEMU; what the image can be
//! told is listed in `board`.
#![no_std]
#![no_main]

mod nvmc;

use board::Board;
use core::mem::MaybeUninit;
// Its critical sections: interrupts off, on one core.
use cortex_m as _;
use cortex_m_rt::entry;
use flight_recorder::scenario::{CAPACITY, FLASH_BYTES, SECTOR_BYTES};
use kausaldb::storage::Erased;
use kausaldb_flash::{FlashStorage, Partition};
use nvmc::Nvmc;
use static_cell::ConstStaticCell;

const PARTITION: Partition = Partition { offset_bytes: 0x3_0000, len_bytes: FLASH_BYTES };

static REGION: ConstStaticCell<[MaybeUninit<u8>; CAPACITY.region_bytes()]> =
    ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);

#[entry]
fn main() -> ! {
    // SAFETY:
    // - the image is linked for the nRF51, and this is the only driver;
    // - code and data are linked to the flash below the partition, and only the partition is written.
    #[allow(unsafe_code)]
    let flash = unsafe { Nvmc::<{ SECTOR_BYTES as usize }>::new() };
    let Ok(storage) = FlashStorage::new(flash, PARTITION, Erased::Ones) else { board::no_flash() };
    board::run(Board { storage, region: REGION.take() })
}
