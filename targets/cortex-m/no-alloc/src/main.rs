//! An image that uses the whole store and has no global allocator: that it links is the proof.
//!
//! A crate that asks for `alloc` anywhere below this image does not link here ("no global memory
//! allocator found"). The scenario calls every door of the store once, over RAM, so that the linker
//! must keep what lies behind them. `cargo task test` builds it; on a board (or in QEMU, as
//! `lm3s6965evb`) it ends in `finish`, where a debugger reads what came of it.
//!
//! Region and media lie on the stack, which takes all the RAM there is: a firmware has them in statics.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use cortex_m_rt::entry;
use kausaldb::memory::RegionTooSmall;
use kausaldb::storage::{RamError, RamStorage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, EdgeKind, Expect, FormatOptions, GraphEdge,
    IncomingBlock, Operation, Order, PutError, ReadError, StorageEngine, StoreId, Workspace,
    WriteError, format,
};

const CAPACITY: Capacity = Capacity { nodes: 64, segments: 16, ..Capacity::SMALL };
const SECTOR_BYTES: u32 = 2048;
const MEDIA_BYTES: usize = 16 * SECTOR_BYTES as usize;

type Engine<'r, 'm> = StorageEngine<'r, RamStorage<'m>>;

/// Where the scenario ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Everything was as it should be.
    Sound,
    /// The medium could not be made a store, or not be opened.
    NotOpened,
    /// The store refused to write.
    NotWritten,
    /// The store refused to read.
    NotRead,
    /// Something was read that was not written, or not read that was.
    Wrong,
}

impl From<WriteError<RamError>> for Outcome {
    fn from(_: WriteError<RamError>) -> Self {
        Self::NotWritten
    }
}

impl From<ReadError<RamError>> for Outcome {
    fn from(_: ReadError<RamError>) -> Self {
        Self::NotRead
    }
}

impl From<RegionTooSmall> for Outcome {
    fn from(_: RegionTooSmall) -> Self {
        Self::NotRead
    }
}

#[entry]
fn main() -> ! {
    let mut media = [0xFF; MEDIA_BYTES];
    let mut region = [MaybeUninit::uninit(); CAPACITY.region_bytes()];
    finish(scenario(black_box(&mut media), &mut region).err().unwrap_or(Outcome::Sound))
}

/// The end: the outcome stays in a register for a debugger.
fn finish(outcome: Outcome) -> ! {
    loop {
        black_box(outcome as u32);
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Format, write, read, close, and recover what was written.
fn scenario(media: &mut [u8], region: &mut [MaybeUninit<u8>]) -> Result<(), Outcome> {
    let mut storage = RamStorage::new(media, SECTOR_BYTES, 4).map_err(|_| Outcome::NotOpened)?;
    let options =
        FormatOptions { store: StoreId::from_u128(black_box(1)), segment_bytes: SECTOR_BYTES };
    format(&mut storage, &options).map_err(|_| Outcome::NotOpened)?;
    let mut engine = open(storage, region)?;
    write(&mut engine)?;
    read(&mut engine)?;
    let (storage, closed) = engine.close();
    closed?;
    let mut engine = open(storage, region)?;
    engine.recover().map_err(|_| Outcome::NotOpened)?;
    read(&mut engine)
}

fn open<'r, 'm>(
    storage: RamStorage<'m>,
    region: &'r mut [MaybeUninit<u8>],
) -> Result<Engine<'r, 'm>, Outcome> {
    StorageEngine::open(storage, region, CAPACITY, Config::default())
        .map_err(|_| Outcome::NotOpened)
}

fn id(number: u32) -> BlockId {
    BlockId::from_u128(u128::from(black_box(number)))
}

fn block(number: u32) -> ContextBlock<'static> {
    let content = b"what a sensor said";
    ContextBlock { id: id(number), version: 1, source_uri: "board:/adc", metadata: b"{}", content }
}

fn edge(source: u32, target: u32) -> GraphEdge {
    GraphEdge { source: id(source), kind: EdgeKind(1), target: id(target) }
}

/// Blocks 1 to 4 but for 3, and edges from 1 to 2 and to 4; each written over often enough to turn the ring.
fn write(engine: &mut Engine<'_, '_>) -> Result<(), Outcome> {
    for _ in 0..200 {
        for number in 1..4 {
            engine.put(&block(number))?;
        }
        put_in_pieces(engine, &block(2))?;
        engine.link(&edge(1, 3))?;
        engine.delete(&id(3))?;
        let batch = [
            Operation::put(block(4)),
            Operation::Link(edge(1, 2)),
            Operation::Link(edge(1, 4)),
            Operation::Link(edge(4, 1)),
            Operation::Unlink(edge(4, 1)),
        ];
        engine.write(&batch)?;
    }
    engine.compact(1024)?;
    engine.sync()?;
    Ok(())
}

/// Puts a block whose content comes a byte at a time, as from a wire; first it breaks off.
fn put_in_pieces(engine: &mut Engine<'_, '_>, block: &ContextBlock<'_>) -> Result<(), Outcome> {
    let ContextBlock { id, version, source_uri, metadata, content } = *block;
    let content_bytes = content.len() as u32;
    let incoming = IncomingBlock { id, version, source_uri, metadata, content_bytes };
    let broken = engine.put_from(&incoming, Expect::Any, |_| Err(()));
    expect(broken == Err(PutError::Source(())))?;
    let mut bytes = content.iter();
    let whole = engine.put_from(&incoming, Expect::Version(1), |room| {
        let next = room.first_mut().zip(bytes.next()).map(|(room, byte)| *room = *byte);
        next.map(|()| 1).ok_or(())
    });
    whole.map(|_| ()).map_err(|_| Outcome::NotWritten)
}

/// Reads everything through every door, over mapped storage and through scratch.
fn read(engine: &mut Engine<'_, '_>) -> Result<(), Outcome> {
    let found = engine.find(&id(1))?;
    expect(found.is_some_and(|found| found.content() == block(1).content))?;
    expect(engine.find(&id(3))?.is_none() && !engine.contains(&id(3))?)?;
    expect(engine.version(&id(4))? == Some(1))?;
    let mut scratch = [0; 64];
    let found = engine.find_into(&id(2), &mut scratch)?;
    expect(found.is_some_and(|found| found.source_uri() == block(2).source_uri))?;
    let mut there = 0;
    engine
        .reader()
        .find_many(&[id(1), id(2), id(3)], |_, found| there += u32::from(found.is_some()))?;
    expect(there == 2)?;
    let mut iterators = [0; Workspace::scratch_bytes(1, 8)];
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let workspace = Workspace::over(&mut iterators, 1)?;
        let mut query = engine.reader_through(&mut scratch).query(workspace);
        let scan = query.scan(order)?;
        let mut blocks = 0;
        while query.next_block(&scan)?.is_some() {
            blocks += 1;
        }
        expect(blocks == 3)?;
    }
    for (number, direction, count) in [(1, Direction::Out, 2), (2, Direction::In, 1)] {
        let mut edges = engine.reader().edges(&id(number), direction, None)?;
        let mut found = 0;
        while edges.next()?.is_some() {
            found += 1;
        }
        expect(found == count)?;
    }
    let mut findings = 0;
    engine.verify(|_| findings += 1)?;
    expect(findings == 0 && engine.stats().blocks == 3)
}

fn expect(holds: bool) -> Result<(), Outcome> {
    if holds { Ok(()) } else { Err(Outcome::Wrong) }
}
