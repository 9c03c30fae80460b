//! No heap allocation on any path of the store, counted on a mapped file: not while it writes,
//! reads, moves its tail or recovers.
//!
//! The allocator of this program counts. It counts for all threads, so everything is in one test.
#![cfg(test)]

use kausaldb::storage::{Erased, Geometry};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, Durability, EdgeKind, Expect,
    FormatOptions, GraphEdge, IncomingBlock, Operation, Order, PutError, StorageEngine, StoreId,
    Workspace, format,
};
use kausaldb_file::{MappedFile, PositionedFile};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Read;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, process};

/// The system's allocator, with a count of what was asked of it.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY:
// - every call goes to the system's allocator as it came, and what that returns is returned.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY:
        // - the layout is the caller's, whose promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY:
        // - pointer and layout are the caller's, whose promises are the same; the pointer came from
        //   this allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and checks that nothing was allocated meanwhile.
fn without_allocating<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let result = work();
    let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(count, 0, "{what} allocated {count} times");
    result
}

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 16 << 18,
    erase_bytes: 4096,
    write_bytes: 16,
    erased: Erased::Unknown,
    keeps_write_order: false,
};
const CAPACITY: Capacity = Capacity {
    nodes: 1000,
    pending_edges: 64,
    hub_pages: 64,
    segment_bytes: 1 << 18,
    block_bytes: 16 << 10,
    batch_bytes: 32 << 10,
    buffer_bytes: 4096,
    ..Capacity::SMALL
};
const NODES: u64 = 300;

fn id(number: u64) -> BlockId {
    BlockId::from_u128(u128::from(number) << 64 | 1)
}

fn block(number: u64, content: &[u8]) -> ContextBlock<'_> {
    let source_uri = "file:///allocations";
    ContextBlock { id: id(number), version: number, source_uri, metadata: b"{}", content }
}

fn edge(source: u64, target: u64) -> GraphEdge {
    GraphEdge { source: id(source), kind: EdgeKind(3), target: id(target) }
}

type Engine<'r> = StorageEngine<'r, MappedFile>;

/// A file of this test alone, removed at its end.
struct Store(PathBuf);

impl Store {
    #[allow(unsafe_code)]
    fn create(&self) -> MappedFile {
        let file = PositionedFile::create(&self.0, GEOMETRY).expect("create");
        // SAFETY:
        // - nobody shortens or writes the file meanwhile: its name is this process's own.
        unsafe { MappedFile::new(file) }.expect("map")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("remove");
    }
}

fn open(storage: MappedFile, region: &mut [MaybeUninit<u8>], durability: Durability) -> Engine<'_> {
    let config = Config { durability, ..Config::default() };
    StorageEngine::open(storage, region, CAPACITY, config).expect("open")
}

/// A content that comes in pieces, and before it one that breaks off.
fn put_in_pieces(engine: &mut Engine<'_>, number: u64, content: &[u8]) {
    let ContextBlock { id, version, source_uri, metadata, .. } = block(number, &[]);
    let content_bytes = content.len() as u32;
    let incoming = IncomingBlock { id, version, source_uri, metadata, content_bytes };
    let broken = engine.put_from(&incoming, Expect::Any, |_| Err(7));
    assert!(matches!(broken, Err(PutError::Source(7))));
    let mut rest = content;
    engine.put_from(&incoming, Expect::Any, |room| rest.read(room)).expect("put");
    let mut piece = [0; 32];
    let read = engine.reader().read_content(&id, 9, &mut piece).expect("sound").expect("there");
    assert_eq!(piece[..read], content[9..][..read]);
}

/// Turns the ring some times: blocks of all lengths, a hub, edges that come and go, nodes that
/// go.
fn write(engine: &mut Engine<'_>, content: &[u8], rounds: u64) {
    for round in 0..rounds {
        for number in 0..NODES {
            let len = (number * 37 + round * 11) as usize % content.len();
            engine.put(&block(number, &content[..len])).expect("put");
            engine.link(&edge(0, number)).expect("link");
        }
        for number in (1..NODES).step_by(3) {
            let batch = [
                Operation::put(block(number, &content[..9])),
                Operation::Link(edge(number, number + 1)),
                Operation::Link(edge(number + 1, number)),
                Operation::Unlink(edge(0, number)),
            ];
            engine.write(&batch).expect("write");
        }
        for number in (2..NODES).step_by(7) {
            put_in_pieces(engine, number, content);
        }
        for number in (round..NODES).step_by(29) {
            engine.delete(&id(number)).expect("delete");
        }
    }
}

/// Returns how many blocks and edges there are.
fn read_everything(engine: &mut Engine<'_>, ids: &[BlockId], scratch: &mut [u8]) -> (u32, u32) {
    let mut found = 0;
    engine.reader().find_many(ids, |_, block| found += u32::from(block.is_some())).expect("reads");
    for id in ids {
        let mapped = engine.find(id).expect("find").is_some();
        assert_eq!(engine.find_into(id, scratch).expect("find into").is_some(), mapped);
        assert_eq!(engine.contains(id).expect("contains"), mapped);
        assert_eq!(engine.version(id).expect("version").is_some(), mapped);
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut scanned = 0;
        let mut room = [0; Workspace::scratch_bytes(1, 16)];
        let mut query = engine.reader().query(Workspace::over(&mut room, 1).expect("one iterator"));
        let scan = query.scan(order).expect("one iterator");
        while query.next_block(&scan).expect("scan").is_some() {
            scanned += 1;
        }
        assert_eq!(scanned, found);
    }
    let mut edges = [0; 2];
    for (count, direction) in edges.iter_mut().zip(Direction::BOTH) {
        for id in ids {
            let mut of_id = engine.reader().edges(id, direction, None).expect("edges");
            while of_id.next().expect("edge").is_some() {
                *count += 1;
            }
        }
    }
    assert_eq!(edges[0], edges[1]);
    (found, edges[0])
}

#[test]
fn nothing_allocates_after_the_region_is_made() {
    let name = format!("kausaldb-allocations-{}.kdb", process::id());
    let store = Store(env::temp_dir().join(name));
    let mut storage = store.create();
    let mut region = vec![MaybeUninit::uninit(); CAPACITY.region_bytes()];
    let content: Vec<u8> = (0..9000u32).map(|n| n as u8).collect();
    let ids: Vec<BlockId> = (0..NODES + 2).map(id).collect();
    let mut scratch = vec![0; CAPACITY.block_bytes as usize];
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > 0, "this program's allocator does not count");

    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: 1 << 18 };
    without_allocating("format", || format(&mut storage, &options)).expect("format");
    let mut engine = without_allocating("open", || open(storage, &mut region, Durability::OnSync));
    without_allocating("writing", || write(&mut engine, &content, 12));
    let erases = engine.stats().traffic.segment_erases;
    assert!(erases > 16, "the ring turned around once at least, with {erases} erases");
    without_allocating("sync", || engine.sync()).expect("sync");
    let sums = without_allocating("reading", || read_everything(&mut engine, &ids, &mut scratch));
    assert!(sums.0 > 200 && sums.1 > 200, "{sums:?}");
    without_allocating("compact", || engine.compact(u64::MAX)).expect("compact");
    without_allocating("recover", || engine.recover()).expect("recover");
    let verified = without_allocating("verify", || engine.verify(|_| ())).expect("verify");
    assert_eq!((verified.lost, u64::from(sums.0)), (0, verified.blocks));
    let (storage, closed) = without_allocating("close", || engine.close());
    closed.expect("close");

    let mut engine =
        without_allocating("recovery", || open(storage, &mut region, Durability::EveryBatch));
    let again = without_allocating("reading", || read_everything(&mut engine, &ids, &mut scratch));
    assert_eq!(again, sums);
    without_allocating("writing durably", || write(&mut engine, &content, 1));
}
