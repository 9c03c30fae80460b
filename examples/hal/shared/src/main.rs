//! A store that an interrupt and the main loop share, on a processor without compare-and-swap (Cortex-M0).
//!
//! `SharedEngine` is not there on such a target; a mutex of `critical-section` is. While one of the two is in
//! the store, interrupts are off: for as long as a put or an erase takes, tens of milliseconds on most flash.
//! Where that is too long, let the interrupt fill a queue, and the main loop write from it.
//!
//! The medium is RAM here, so that any board can run it; over flash only `storage` differs.
#![no_std]
#![no_main]

use core::cell::RefCell;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use cortex_m_rt::{entry, exception};
use critical_section::Mutex;
use kausaldb::storage::RamStorage;
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, StorageEngine, StoreId, format,
};
use static_cell::ConstStaticCell;

const SECTOR_BYTES: u32 = 2048;
const MEDIA_BYTES: usize = 12 * SECTOR_BYTES as usize;
static MEDIA: ConstStaticCell<[u8; MEDIA_BYTES]> = ConstStaticCell::new([0xFF; MEDIA_BYTES]);

const CAPACITY: Capacity = Capacity { nodes: 64, segments: 16, ..Capacity::SMALL };
static REGION: ConstStaticCell<[MaybeUninit<u8>; CAPACITY.region_bytes()]> =
    ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);

type Store = StorageEngine<'static, RamStorage<'static>>;

/// The one store: whoever has a critical section may borrow it, until that ends.
static STORE: Mutex<RefCell<Option<Store>>> = Mutex::new(RefCell::new(None));

/// Runs `access` with the store, alone; `None` before there is one, and from within another access.
fn with_store<R>(access: impl FnOnce(&mut Store) -> R) -> Option<R> {
    critical_section::with(|section| {
        let mut store = STORE.borrow(section).try_borrow_mut().ok()?;
        store.as_mut().map(access)
    })
}

#[entry]
fn main() -> ! {
    if let Some(store) = open() {
        critical_section::with(|section| STORE.replace(section, Some(store)));
    }
    if let Some(mut peripherals) = cortex_m::Peripherals::take() {
        peripherals.SYST.set_reload(1_000_000);
        peripherals.SYST.enable_counter();
        peripherals.SYST.enable_interrupt();
    }
    let mut ticks = 0;
    loop {
        // What is borrowed from the store does not leave the critical section; copies do.
        let seen = with_store(|store| store.version(&TICKS));
        if let Some(Ok(Some(version))) = seen {
            ticks = version;
        }
        core::hint::black_box(ticks);
    }
}

const TICKS: BlockId = BlockId::from_u128(1);

/// The interrupt writes what the main loop reads.
#[exception]
fn SysTick() {
    let written = with_store(|store| {
        let version = store.version(&TICKS).ok()?.unwrap_or(0) + 1;
        let block = ContextBlock {
            id: TICKS,
            version,
            source_uri: "board:/ticks",
            metadata: b"",
            content: b"",
        };
        store.put(&block).ok()
    });
    core::hint::black_box(written.flatten().is_some());
}

fn open() -> Option<Store> {
    let mut storage = RamStorage::new(MEDIA.take(), SECTOR_BYTES, 4).ok()?;
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: SECTOR_BYTES };
    format(&mut storage, &options).ok()?;
    StorageEngine::open(storage, REGION.take(), CAPACITY, Config::default()).ok()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
