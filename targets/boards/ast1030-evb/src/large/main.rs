//! Thousands of blocks on the AST1030's SPI flash: all 4 MiB of it are one store.
//!
//! The image formats the flash, writes 10,000 blocks with their edges, and closes the store. It opens it
//! again and reads every block through the flash's driver, by a command for each read; and once more in
//! memory, where the controller shows the flash: what is found is borrowed from there, and the image checks
//! that it is. It makes one call of each kind between two marks, for an emulator that counts instructions.
//!
//! `cargo run --release --bin ast1030-evb-large` runs it in QEMU, with nothing on the flash; `-- dump=PATH`
//! behind it writes the flash to a file.
#![no_std]
#![no_main]

extern crate alloc;

mod block;

use ast1030_evb::{SpiFlash, WINDOW};
use block::{BLOCK_BYTES_MAX, Block};
use board::{Arguments, Fault, section, watch};
use core::mem::MaybeUninit;
// Its critical sections: interrupts off, on one core.
use cortex_m as _;
use cortex_m_rt::entry;
use kausaldb::engine::{Media, Reader};
use kausaldb::storage::Erased;
use kausaldb::{
    Capacity, Config, Direction, FormatOptions, MappedStorage, OpenError, Operation, ReadError,
    Storage, StorageEngine, StoreId,
};
use kausaldb_flash::{FlashStorage, Partition, XipStorage};
use semihosting::println;
use static_cell::ConstStaticCell;

/// All of the flash.
const PARTITION: Partition = Partition { offset_bytes: 0, len_bytes: 4 << 20 };
/// A segment: one sector.
const SEGMENT_BYTES: u32 = 4096;
const FORMAT: FormatOptions =
    FormatOptions { store: StoreId::from_u128(0x1030), segment_bytes: SEGMENT_BYTES };
/// Blocks that are written before the store is closed. Their numbers are those below this one.
const BLOCKS: u32 = 10_000;
/// The block that is asked for where one call is measured: three refer to it.
const MEASURED: u32 = BLOCKS / 3;
const CAPACITY: Capacity = Capacity {
    nodes: BLOCKS + 1,
    pending_edges: 64,
    segments: PARTITION.len_bytes / SEGMENT_BYTES,
    segment_bytes: SEGMENT_BYTES,
    block_bytes: BLOCK_BYTES_MAX as u32,
    ..Capacity::SMALL
};

type Region = [MaybeUninit<u8>; CAPACITY.region_bytes()];
static REGION: ConstStaticCell<Region> =
    ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);

const NO_FLASH: Fault = "the partition is none of this flash";
const NOT_OPEN: Fault = "the store does not open";
const NOT_WRITTEN: Fault = "something cannot be written";
const NOT_READ: Fault = "something cannot be read";
const WRONG: Fault = "something is not as it was written";
const NOT_CLOSED: Fault = "the store does not close";

#[entry]
fn main() -> ! {
    // SAFETY:
    // - the image is linked for the AST1030, whose flash is its first chip, and this is the only driver;
    // - only the storage borrows from the window, and it writes while nothing is borrowed.
    #[allow(unsafe_code)]
    let flash = unsafe { SpiFlash::<true>::new() };
    board::end(|arguments| obey(flash, REGION.take(), arguments))
}

fn obey(flash: SpiFlash<true>, region: &mut Region, arguments: &Arguments) -> Result<(), Fault> {
    let mut storage = FlashStorage::new(flash, PARTITION, Erased::Ones).map_err(|_| NO_FLASH)?;
    let watched = watch();
    kausaldb::format(&mut storage, &FORMAT).map_err(|_| "the flash cannot be formatted")?;
    watched.end()?;
    fill(&mut storage, region)?;
    section(|| ());
    through_the_driver(&mut storage, region)?;
    let flash = storage.close().into_mapped();
    // SAFETY:
    // - the window shows the flash from its first byte on, whenever the driver is not at work;
    // - the driver is the only one, and every change ends with the window as it was, without a cache;
    // - the window is no Rust object.
    #[allow(unsafe_code)]
    let mapped = unsafe { XipStorage::new(flash, PARTITION, Erased::Ones, WINDOW) };
    let mut mapped = mapped.map_err(|_| NO_FLASH)?;
    in_memory(&mut mapped, region)?;
    match &arguments.dump {
        Some(path) if !board::dump(&mut mapped, path) => Err("no dump can be written"),
        _ => Ok(()),
    }
}

/// A function of its own, so that what opening takes of the stack is given back before the work begins.
#[inline(never)]
fn open<S: Storage>(
    storage: S,
    region: &mut Region,
) -> Result<StorageEngine<'_, S>, OpenError<S::Error>> {
    StorageEngine::open(storage, region, CAPACITY, Config::default())
}

/// Writes every block with its edges, and closes the store.
#[inline(never)]
fn fill<S: Storage>(storage: &mut S, region: &mut Region) -> Result<(), Fault> {
    let watched = watch();
    let mut opened = open(storage, region);
    watched.end()?;
    // Used where it lies: moved out of the result, it would take twice its size of the stack.
    let Ok(engine) = &mut opened else { return Err(NOT_OPEN) };
    for number in 0..BLOCKS {
        write(engine, number)?;
    }
    let stats = engine.stats();
    let traffic = stats.traffic;
    println!("{} blocks in a region of {} bytes", stats.blocks, stats.region_bytes);
    println!("on flash: {} bytes live, room for {} more", stats.live_bytes, stats.free_bytes);
    println!("given: {} bytes; written: {} bytes", stats.given_bytes, traffic.bytes_written);
    println!("erased: {} segments", traffic.segment_erases);
    close(opened)
}

#[inline(never)]
fn write<S: Storage>(engine: &mut StorageEngine<'_, S>, number: u32) -> Result<(), Fault> {
    let block = Block::new(number);
    let mut batch = [Operation::put(block.as_block()); 3];
    let mut len = 1;
    for (place, edge) in batch.iter_mut().skip(1).zip(block::edges(number)) {
        *place = Operation::Link(edge);
        len += 1;
    }
    let watched = watch();
    engine.write(batch.get(..len).unwrap_or_default()).map_err(|_| NOT_WRITTEN)?;
    watched.end()
}

#[inline(never)]
fn close<S: Storage, E>(opened: Result<StorageEngine<'_, S>, E>) -> Result<(), Fault> {
    let watched = watch();
    opened.map_err(|_| NOT_OPEN)?.close().1.map_err(|_| NOT_CLOSED)?;
    watched.end()
}

/// Reads everything through the driver; makes one call of each kind.
#[inline(never)]
fn through_the_driver<S: Storage>(storage: &mut S, region: &mut Region) -> Result<(), Fault> {
    let watched = watch();
    let mut opened = section(|| open(storage, region));
    watched.end()?;
    let Ok(engine) = &mut opened else { return Err(NOT_OPEN) };
    let mut scratch = [0; BLOCK_BYTES_MAX];
    let mut edges = 0;
    for number in 0..BLOCKS {
        let block = Block::new(number);
        let watched = watch();
        let found = engine.find_into(&block.id, &mut scratch).map_err(|_| NOT_READ)?;
        if !found.is_some_and(|found| block.is(&found)) {
            return Err(WRONG);
        }
        edges += check_edges(engine.reader_through(&mut scratch), number)?;
        watched.end()?;
    }
    println!("through the driver: {BLOCKS} blocks, {edges} edges");
    measure(engine, &mut scratch)?;
    close(opened)
}

/// One call of each kind.
#[inline(never)]
fn measure<S: Storage>(engine: &mut StorageEngine<'_, S>, scratch: &mut [u8]) -> Result<(), Fault> {
    let block = Block::new(BLOCKS);
    let there = block::id(MEASURED);
    let watched = watch();
    let hit = section(|| engine.find_into(&there, scratch).is_ok_and(|found| found.is_some()));
    let miss = section(|| engine.find_into(&block.id, scratch).is_ok_and(|found| found.is_none()));
    if !hit || !miss {
        return Err(WRONG);
    }
    section(|| engine.put(&block.as_block())).map_err(|_| NOT_WRITTEN)?;
    let edge = block::edges(BLOCKS).next().ok_or(WRONG)?;
    section(|| engine.link(&edge)).map_err(|_| NOT_WRITTEN)?;
    let neighbours = section(|| count_referring(engine.reader_through(scratch)));
    if neighbours.is_ok_and(|count| count == 3) { watched.end() } else { Err(WRONG) }
}

/// Reads everything where the controller shows the flash.
#[inline(never)]
fn in_memory<S: MappedStorage>(storage: &mut S, region: &mut Region) -> Result<(), Fault> {
    let watched = watch();
    let mut opened = section(|| open(storage, region));
    watched.end()?;
    let Ok(engine) = &mut opened else { return Err(NOT_OPEN) };
    // The last was written beside one of its edges, when a call of each kind was measured.
    for number in 0..=BLOCKS {
        let block = Block::new(number);
        let watched = watch();
        let found = engine.find(&block.id).map_err(|_| NOT_READ)?;
        let Some(found) = found.filter(|found| block.is(found)) else { return Err(WRONG) };
        let parts = [found.source_uri_bytes(), found.metadata(), found.content()];
        if !parts.iter().all(|part| lies_in_window(part)) {
            return Err("a block was copied");
        }
        if number < BLOCKS {
            check_edges(engine.reader(), number)?;
        }
        watched.end()?;
    }
    println!("in memory: {} blocks, none copied", engine.stats().blocks);
    let [there, absent] = [MEASURED, BLOCKS + 1].map(block::id);
    let watched = watch();
    let hit = section(|| engine.find(&there).is_ok_and(|found| found.is_some()));
    let miss = section(|| engine.find(&absent).is_ok_and(|found| found.is_none()));
    let neighbours = section(|| count_referring(engine.reader()));
    if !hit || !miss || neighbours.is_ok_and(|count| count != 3) {
        return Err(WRONG);
    }
    let findings = engine.verify(|_| ()).map_err(|_| NOT_READ)?;
    if findings.lost != 0 || findings.harmless != 0 {
        return Err("verify finds damage");
    }
    watched.end()?;
    close(opened)
}

/// Whether these bytes are the flash's own, where the controller shows it.
fn lies_in_window(bytes: &[u8]) -> bool {
    let window = WINDOW..WINDOW + PARTITION.len_bytes as usize;
    let start = bytes.as_ptr().addr();
    window.contains(&start) && start + bytes.len() <= window.end
}

/// The edges of a block are those that were written; how many there are.
fn check_edges<M: Media>(reader: Reader<'_, '_, M>, number: u32) -> Result<u32, Fault> {
    let edges = reader.edges(&block::id(number), Direction::Out, Some(block::REFERS_TO));
    let mut edges = edges.map_err(|_| NOT_READ)?;
    let mut count = 0;
    while let Some(edge) = edges.next().map_err(|_| NOT_READ)? {
        if !block::edges(number).any(|written| written == edge) {
            return Err(WRONG);
        }
        count += 1;
    }
    // Each is told once.
    if count as usize == block::edges(number).count() { Ok(count) } else { Err(WRONG) }
}

/// How many blocks refer to the one that is measured.
fn count_referring<M: Media>(reader: Reader<'_, '_, M>) -> Result<u32, ReadError<M::Error>> {
    let mut edges = reader.edges(&block::id(MEASURED), Direction::In, None)?;
    let mut count = 0;
    while edges.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}
