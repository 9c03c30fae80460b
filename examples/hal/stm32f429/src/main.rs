//! A store in the second bank of an STM32F429's flash, through `stm32f4xx-hal`.
//!
//! The sectors of this chip differ in size: a table says so, and a segment is as large as the largest of
//! them. A ring has eight segments at least, which is one bank of this chip. (Chips with one bank have no
//! room for a program beside it: there, flash on SPI is the place.) Erasing 128 KiB takes a second or two;
//! the program, which lies in the first bank, goes on, but for the call that waits for it.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
// Its critical sections: interrupts off, on one core.
use cortex_m as _;
use cortex_m_rt::entry;
use embedded_storage::nor_flash::NorFlash;
use kausaldb::storage::{Erased, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, OpenError, StorageEngine, StoreId,
};
use kausaldb_flash::{FlashStorage, Partition, SectorRun, SectorTable};
use static_cell::ConstStaticCell;
use stm32f4xx_hal::flash::{FlashExt, LockedFlash};
use stm32f4xx_hal::pac::Peripherals;

const PARTITION: Partition = Partition { offset_bytes: 1 << 20, len_bytes: 1 << 20 };
/// Both banks, from the flash's first byte on.
const SECTORS: SectorTable = SectorTable {
    runs: &[
        SectorRun { count: 4, bytes: 16 << 10 },
        SectorRun { count: 1, bytes: 64 << 10 },
        SectorRun { count: 7, bytes: 128 << 10 },
        SectorRun { count: 4, bytes: 16 << 10 },
        SectorRun { count: 1, bytes: 64 << 10 },
        SectorRun { count: 7, bytes: 128 << 10 },
    ],
    segment_bytes: 128 << 10,
};

/// 2000 ids, 8 segments, 32 pending edges: 55 KiB of RAM.
const CAPACITY: Capacity = Capacity { nodes: 2000, segments: 8, ..Capacity::SMALL };
static REGION: ConstStaticCell<[MaybeUninit<u8>; CAPACITY.region_bytes()]> =
    ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);

type Store<F> = StorageEngine<'static, FlashStorage<F>>;

#[entry]
fn main() -> ! {
    if let Some(peripherals) = Peripherals::take() {
        let mut flash = LockedFlash::new(peripherals.FLASH);
        let _boots = count_boot(flash.unlocked());
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// Opens the store and counts in it how often that was done.
fn count_boot(driver: impl NorFlash) -> Option<u64> {
    let mut store = open(driver)?;
    let id = BlockId::from_u128(1);
    let boots = store.version(&id).ok()?.unwrap_or(0) + 1;
    let block = ContextBlock {
        id,
        version: boots,
        source_uri: "board:/boot",
        metadata: b"",
        content: b"power came back",
    };
    // Durable when it returns.
    store.put(&block).ok()?;
    Some(boots)
}

/// Opens the store; the first time, makes one.
fn open<F: NorFlash>(driver: F) -> Option<Store<F>> {
    let mut storage = FlashStorage::with_sectors(driver, PARTITION, Erased::Ones, SECTORS).ok()?;
    let found = kausaldb::probe(PARTITION.len_bytes.into(), |at, into| storage.read(at, into));
    if matches!(found, Err(OpenError::NoStore)) {
        // Better a random one: the chip has a generator.
        let store = StoreId::from_u128(0x5eed);
        let options = FormatOptions { store, segment_bytes: SECTORS.segment_bytes };
        kausaldb::format(&mut storage, &options).ok()?;
    }
    StorageEngine::open(storage, REGION.take(), CAPACITY, Config::default()).ok()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::bkpt();
    }
}
