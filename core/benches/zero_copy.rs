//! Reads that borrow, beside reads that copy: `find` and its first byte, `find` and a clone of the block.
//!
//! `cargo bench -p kausaldb --features std --bench zero_copy [BLOCKS CONTENT_BYTES]`. Storage is RAM, so that
//! the engine is measured and no medium. A million reads in random order a round.
//!
//! All blocks lie in sealed segments: each is verified once, before the clock starts (`Verify::FirstRead`).
//! Blocks of the open segment are verified at every read; that is measured by itself (`every`). A counting
//! allocator shows that borrowing takes nothing from the heap. The clone is what a caller would keep: a
//! `String` and two `Vec`s, three allocations that the next clone takes again.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a bench may stop")]
#![allow(unsafe_code, reason = "a global allocator that counts")]

mod support;

use kausaldb::storage::RamStorage;
use kausaldb::{
    BlockId, BlockRef, Capacity, Config, ContextBlock, Durability, FormatOptions, Operation,
    StorageEngine, StoreId, Verify, format,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{id, median, mix, ns, numbers, timed, times};

/// Reads of one way before the next has its turn: a fraction of a millisecond, so that few rounds are
/// interrupted.
const READS: usize = 1_000;
/// A million reads in each way.
const ROUNDS: usize = 1_000;
const SEGMENT_BYTES: u32 = 1 << 20;
const URI: &str = "file:///a/source/file/of/ordinary/length.rs#function:name";
const METADATA: &[u8] = br#"{"kind":"function","name":"name","lines":[1,20]}"#;

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the system's conditions.
        unsafe { System.dealloc(pointer, layout) }
    }
}

type Engine<'r, 'm> = StorageEngine<'r, RamStorage<'m>>;

/// A block that owns its parts: what a store without borrows has to return.
#[allow(dead_code, reason = "it is made, not read")]
struct Owned {
    id: BlockId,
    version: u64,
    source_uri: String,
    metadata: Vec<u8>,
    content: Vec<u8>,
}

impl From<BlockRef<'_>> for Owned {
    fn from(block: BlockRef<'_>) -> Self {
        Self {
            id: block.id(),
            version: block.version(),
            source_uri: block.source_uri().to_owned(),
            metadata: block.metadata().to_vec(),
            content: block.content().to_vec(),
        }
    }
}

/// Calls `work` with a store that holds so many blocks of this content size, all in sealed segments.
fn with_store(
    blocks: u64,
    content_bytes: usize,
    verify: Verify,
    work: impl FnOnce(&Engine<'_, '_>),
) {
    let needed = (blocks as usize + 400) * (content_bytes + 160).next_multiple_of(16) * 5 / 4;
    let media_bytes = needed.next_multiple_of(SEGMENT_BYTES as usize) + (16 << 20);
    let mut media = vec![0_u8; media_bytes];
    let mut storage = RamStorage::new(&mut media, 4096, 1).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: SEGMENT_BYTES };
    format(&mut storage, &options).expect("format");
    let capacity = Capacity {
        segment_bytes: SEGMENT_BYTES,
        block_bytes: 64 << 10,
        ..Capacity::host(blocks as u32 + 4000, (media_bytes / SEGMENT_BYTES as usize) as u32)
    };
    let mut region = vec![MaybeUninit::uninit(); capacity.region_bytes()];
    let config =
        Config { durability: Durability::OnSync, verify, seed: [1, 2], ..Config::default() };
    let mut engine = StorageEngine::open(storage, &mut region, capacity, config).expect("open");
    put(&mut engine, 0..blocks, content_bytes);
    // As much again as a segment holds: the last of the blocks above is sealed.
    let filler = u64::from(SEGMENT_BYTES).div_ceil(content_bytes as u64 + 100);
    put(&mut engine, blocks..blocks + filler.min(4000), content_bytes);
    work(&engine);
}

fn put(engine: &mut Engine<'_, '_>, numbers: std::ops::Range<u64>, content_bytes: usize) {
    let content: Vec<u8> = (0..content_bytes as u64).map(|at| mix(at) as u8).collect();
    let numbers: Vec<u64> = numbers.collect();
    for numbers in numbers.chunks(1000) {
        let block = |n: &u64| {
            let (source_uri, metadata, content) = (URI, METADATA, &content);
            Operation::put(ContextBlock { id: id(*n), version: 1, source_uri, metadata, content })
        };
        engine.write(&numbers.iter().map(block).collect::<Vec<_>>()).expect("room for the block");
    }
}

fn first_byte(block: BlockRef<'_>) -> u64 {
    block.content().first().copied().map_or(0, u64::from)
}

fn find_all(engine: &Engine<'_, '_>, ids: &[BlockId]) -> u64 {
    ids.iter().map(|id| first_byte(engine.find(id).expect("sound").expect("stored"))).sum()
}

fn clone_all(engine: &Engine<'_, '_>, ids: &[BlockId]) -> u64 {
    let owned = |id| Owned::from(engine.find(id).expect("sound").expect("stored"));
    let first = |owned: Owned| u64::from(std::hint::black_box(owned).content[0]);
    ids.iter().map(|id| first(owned(id))).sum()
}

fn find_many(engine: &Engine<'_, '_>, ids: &[BlockId]) -> u64 {
    let mut sum = 0;
    let all = ids.chunks(64);
    all.for_each(|ids| {
        let add = |_, block: Option<BlockRef<'_>>| sum += block.map_or(0, first_byte);
        engine.reader().find_many(ids, add).expect("sound");
    });
    sum
}

fn compare(blocks: u64, content_bytes: usize) {
    let all: Vec<BlockId> = (0..(READS * ROUNDS) as u64).map(|n| id(mix(n) % blocks)).collect();
    let misses: Vec<BlockId> = (0..READS as u64).map(|n| id(blocks + 4000 + n)).collect();
    let mut figures = [const { Vec::new() }; 5];
    with_store(blocks, content_bytes, Verify::FirstRead, |engine| {
        find_all(engine, &all);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        find_all(engine, &all);
        let taken = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(taken, 0, "a find allocates");
        // Each way reads other blocks than the one before it: it must not find them in the caches.
        let ids = |round: usize| {
            let start = round % ROUNDS * READS;
            &all[start..start + READS]
        };
        for round in 0..ROUNDS {
            let [one, two, three] = [0, 1, 2].map(|way| ids(round + way * ROUNDS / 3));
            figures[0].push(timed(READS, || find_all(engine, one)));
            figures[1].push(timed(READS, || clone_all(engine, two)));
            figures[2].push(timed(READS, || find_many(engine, three)));
            figures[3].push(timed(READS, || {
                misses.iter().filter(|id| engine.find(id).expect("sound").is_some()).count()
            }));
        }
    });
    let few = &all[..READS];
    with_store(blocks, content_bytes, Verify::EveryRead, |engine| {
        (0..99).for_each(|_| figures[4].push(timed(few.len(), || find_all(engine, few))));
    });
    let [find, clone, many, miss, every] = figures.map(median);
    let (ratio, many_ratio) = (times(find, clone), times(many, clone));
    let [find, clone, many, miss, every] = [find, clone, many, miss, every].map(ns);
    println!(
        "{blocks:>9} {content_bytes:>7} {find:>8} {clone:>8} {ratio:>8} {many:>10} {many_ratio:>8} \
         {miss:>8} {every:>8}"
    );
}

fn main() {
    println!(
        "Nanoseconds a read; {READS} reads a round, {ROUNDS} rounds. Allocations of find: 0.\n"
    );
    println!(
        "{:>9} {:>7} {:>8} {:>8} {:>8} {:>10} {:>8} {:>8} {:>8}",
        "blocks", "bytes", "find", "+clone", "ratio", "find_many", "ratio", "miss", "every"
    );
    match numbers()[..] {
        [blocks, content_bytes, ..] => compare(blocks, content_bytes as usize),
        _ => [(1_000, 4096), (1_000, 256), (1_000_000, 256)]
            .iter()
            .for_each(|(n, bytes)| compare(*n, *bytes)),
    }
}
