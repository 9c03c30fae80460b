//! A store in the second MiB of a Raspberry Pi Pico's flash, through `embassy-rp`.
//!
//! `memory.x` links the program into the first MiB. The driver stops execution from flash while it erases
//! (45 ms a sector) or writes: interrupts wait as long, and the second core must not run from flash.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use cortex_m_rt::entry;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::peripherals::FLASH;
use embedded_storage::nor_flash::NorFlash;
use kausaldb::storage::{Erased, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, OpenError, StorageEngine, StoreId,
};
use kausaldb_flash::{FlashStorage, Partition};
use static_cell::ConstStaticCell;

const FLASH_BYTES: usize = 2 << 20;
const PARTITION: Partition = Partition { offset_bytes: 1 << 20, len_bytes: 1 << 20 };
/// One erase sector.
const SEGMENT_BYTES: u32 = 4096;

/// 2000 ids, 256 segments, 32 pending edges: 61 KiB of RAM.
const CAPACITY: Capacity = Capacity { nodes: 2000, segments: 256, ..Capacity::SMALL };
static REGION: ConstStaticCell<[MaybeUninit<u8>; CAPACITY.region_bytes()]> =
    ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);

type Store<F> = StorageEngine<'static, FlashStorage<F>>;

#[entry]
fn main() -> ! {
    let peripherals = embassy_rp::init(embassy_rp::config::Config::default());
    let driver: Flash<'_, FLASH, Blocking, FLASH_BYTES> = Flash::new_blocking(peripherals.FLASH);
    let _boots = count_boot(driver);
    loop {
        core::hint::spin_loop();
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
    let mut storage = FlashStorage::new(driver, PARTITION, Erased::Ones).ok()?;
    let found = kausaldb::probe(PARTITION.len_bytes.into(), |at, into| storage.read(at, into));
    if matches!(found, Err(OpenError::NoStore)) {
        // Better a random one: the flash has a serial number, `blocking_unique_id`.
        let store = StoreId::from_u128(0x5eed);
        let options = FormatOptions { store, segment_bytes: SEGMENT_BYTES };
        kausaldb::format(&mut storage, &options).ok()?;
    }
    StorageEngine::open(storage, REGION.take(), CAPACITY, Config::default()).ok()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
