//! The flight recorder on QEMU's `virt`: a 32-bit RISC-V processor, and flash in RAM.
//!
//! `cargo run --release` runs it; what the image can be told is listed in `board`.
#![no_std]
#![no_main]

use board::{Board, RamFlash};
use core::mem::MaybeUninit;
use core::{ptr, slice};
// Its critical sections: interrupts off, on one core.
use flight_recorder::scenario::{CAPACITY, FLASH_BYTES};
use kausaldb::storage::Erased;
use kausaldb_flash::{FlashStorage, Partition};
use riscv as _;
use riscv_rt::entry;
use static_cell::ConstStaticCell;

/// RAM behind what the linker gives out, which starts with whatever QEMU was told to load there.
const FLASH: usize = 0x8020_0000;
const PARTITION: Partition = Partition { offset_bytes: 0, len_bytes: FLASH_BYTES };

static REGION: ConstStaticCell<[MaybeUninit<u8>; CAPACITY.region_bytes()]> =
    ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);

#[entry]
fn main() -> ! {
    let len = PARTITION.len_bytes as usize;
    // SAFETY:
    // - the machine has RAM there, and its bytes hold something, whatever it is;
    // - the linker gives none of it out (`memory.x`), and this is the only place that takes it.
    #[allow(unsafe_code)]
    let ram = unsafe { slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(FLASH), len) };
    let storage = FlashStorage::new(RamFlash(ram), PARTITION, Erased::Ones);
    let Ok(storage) = storage else { board::no_flash() };
    board::run(Board { storage, region: REGION.take() })
}
