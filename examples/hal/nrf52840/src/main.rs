//! A store in the last 256 KiB of an nRF52840's own flash, through `nrf52840-hal`.
//!
//! `memory.x` links the program below them. While the flash is erased (85 ms a page) or written (41 us a
//! word), the processor stands still: a radio that must answer in time needs its own way to the flash.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::{ptr, slice};
// Its critical sections: interrupts off, on one core.
use cortex_m as _;
use cortex_m_rt::entry;
use embedded_storage::nor_flash::NorFlash;
use kausaldb::storage::{Erased, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, OpenError, StorageEngine, StoreId,
};
use kausaldb_flash::{FlashStorage, Partition};
use nrf52840_hal::nvmc::Nvmc;
use nrf52840_hal::pac::Peripherals;
use static_cell::ConstStaticCell;

const STORE_ADDRESS: usize = 0xC_0000;
const STORE_BYTES: u32 = 0x4_0000;
/// The driver sees the store's pages only, and counts from the first of them.
const PARTITION: Partition = Partition { offset_bytes: 0, len_bytes: STORE_BYTES };
/// One erase page.
const SEGMENT_BYTES: u32 = 4096;

/// 500 ids, 64 segments, 32 pending edges: 18 KiB of RAM.
const CAPACITY: Capacity = Capacity { nodes: 500, ..Capacity::SMALL };
static REGION: ConstStaticCell<[MaybeUninit<u8>; CAPACITY.region_bytes()]> =
    ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);

type Store<F> = StorageEngine<'static, FlashStorage<F>>;

#[entry]
fn main() -> ! {
    if let Some(peripherals) = Peripherals::take() {
        let address = ptr::with_exposed_provenance_mut(STORE_ADDRESS);
        // SAFETY:
        // - these bytes are flash, which the program is linked below of: nobody else refers to them;
        // - each of their values is valid, and they are there for ever.
        #[allow(unsafe_code)]
        let pages: &'static mut [u8] =
            unsafe { slice::from_raw_parts_mut(address, STORE_BYTES as usize) };
        let _boots = count_boot(Nvmc::new(peripherals.NVMC, pages));
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
    let mut storage = FlashStorage::new(driver, PARTITION, Erased::Ones).ok()?;
    let found = kausaldb::probe(PARTITION.len_bytes.into(), |at, into| storage.read(at, into));
    if matches!(found, Err(OpenError::NoStore)) {
        // Better a random one: the chip has a generator.
        let store = StoreId::from_u128(0x5eed);
        let options = FormatOptions { store, segment_bytes: SEGMENT_BYTES };
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
