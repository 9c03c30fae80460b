//! An image that opens and recovers a store, puts, finds, deletes, links, reads edges and compacts, and
//! nothing else: no formatting of text, no scan, no check of everything.
//!
//! It is there to be measured (`cargo task size`), not to run: what it takes beyond `bare.rs` is the store's
//! code.
#![no_std]
#![no_main]

mod medium;

use core::hint::black_box;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use cortex_m_rt::entry;
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, EdgeKind, GraphEdge, StorageEngine,
};
use medium::Medium;

const CAPACITY: Capacity = Capacity { nodes: 64, segments: 16, ..Capacity::SMALL };

#[entry]
fn main() -> ! {
    let mut region = [MaybeUninit::uninit(); CAPACITY.region_bytes()];
    black_box(used(&mut region));
    loop {}
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// What an application may want of the store; says whether all of it was to be had.
fn used(region: &mut [MaybeUninit<u8>]) -> Option<u32> {
    let mut engine =
        StorageEngine::open(Medium::new(), region, CAPACITY, Config::default()).ok()?;
    let id = |number: u32| BlockId::from_u128(black_box(number).into());
    let content = black_box(b"what a sensor said");
    let block =
        ContextBlock { id: id(1), version: 1, source_uri: "board:/adc", metadata: b"{}", content };
    engine.put(&block).ok()?;
    let edge = GraphEdge { source: id(1), kind: EdgeKind(1), target: id(2) };
    engine.link(&edge).ok()?;
    engine.unlink(&edge).ok()?;
    let mut scratch = [0; 64];
    let found =
        engine.find_into(&id(1), &mut scratch).ok()?.map_or(0, |found| found.content().len());
    let mut edges = engine.reader_through(&mut scratch).edges(&id(1), Direction::Out, None).ok()?;
    let mut neighbours = 0;
    while edges.next().ok()?.is_some() {
        neighbours += 1;
    }
    engine.delete(&id(2)).ok()?;
    engine.compact(1024).ok()?;
    engine.sync().ok()?;
    Some(black_box(found as u32 + neighbours))
}
