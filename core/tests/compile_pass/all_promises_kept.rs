//! What the other cases break, kept; it is built and run.
use core::mem::{MaybeUninit, swap};
use core::sync::atomic::AtomicU8;
use kausaldb::memory::owned::{Memtable, Owned, Table};
use kausaldb::memory::{Arena, Footprint, PoolError, RegionTooSmall, StorageCoordinator};
use kausaldb::storage::RamStorage;
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Expect, FormatOptions, IncomingBlock, Order,
    StorageEngine, StoreId, Workspace, format,
};
use zerocopy::{FromBytes, IntoBytes};

const NODES: usize = 100;
const FOOTPRINT: Footprint = Footprint::new()
    .slice::<u64>(NODES)
    .slice::<AtomicU8>(NODES)
    .pool::<Row>(4)
    .slice::<Line>(2);
const REGION_BYTES: usize = 2048;
const _: () = assert!(REGION_BYTES >= FOOTPRINT.region_bytes());

#[derive(Clone, Copy, PartialEq, Debug, FromBytes, IntoBytes)]
#[repr(C)]
struct Row {
    version: u32,
    kind: u32,
}

#[derive(FromBytes, IntoBytes)]
#[repr(C, align(64))]
struct Line([u8; 64]);

fn main() -> Result<(), RegionTooSmall> {
    let mut region = [MaybeUninit::uninit(); REGION_BYTES];
    let mut coordinator = StorageCoordinator::new(&mut region);
    let versions = coordinator.slice_of::<u64>(NODES)?;
    let verified = coordinator.slice_of::<AtomicU8>(NODES)?;
    let mut rows = coordinator.pool_of::<Row>(4)?;
    let lines = coordinator.slice_of::<Line>(2)?;
    drop(coordinator);
    assert_eq!((versions.len(), verified.len(), lines[1].0), (NODES, NODES, [0; 64]));

    let row = Row { version: 1, kind: 2 };
    let handle = rows.acquire(row).unwrap();
    assert_eq!(rows.get(handle), Ok(&row));
    let mut moved = Box::new(rows);
    assert_eq!(moved.release(handle), Ok(row));
    assert_eq!(moved.release(handle), Err(PoolError::Stale));

    let (mut one, mut two) = ([MaybeUninit::uninit(); 64], [MaybeUninit::uninit(); 32]);
    let (mut one, mut two) = (Arena::new(&mut one), Arena::new(&mut two));
    let kept = one.slice_of::<u8>(4)?;
    swap(&mut one, &mut two);
    let sum = two.scope(|scratch| {
        let ones = scratch.slice_of::<u8>(8)?;
        ones.fill(1);
        let twos = scratch.scope(|inner| inner.slice_of::<u8>(8).map(|twos| twos.len()))?;
        Ok(ones.iter().sum::<u8>() as usize + twos)
    })?;
    assert_eq!((kept, sum, one.remaining(), two.remaining()), (&mut [0; 4][..], 16, 32, 60));

    let mut medium = vec![0xFF; 64 * 1024];
    assert_eq!(keep_a_store(RamStorage::new(&mut medium, 4096, 4).unwrap()), 7);
    Ok(())
}

/// What the memtable gives away is the table's.
fn _seal(mut page: Owned<[u8; 4], Memtable>, memtable: &Memtable) -> Owned<[u8; 4], Table> {
    page.get_mut(memtable)[0] = 1;
    page.transfer(memtable)
}

const CAPACITY: Capacity = Capacity { nodes: 100, ..Capacity::SMALL };
const STORE_BYTES: usize = 12 * 1024;
const _: () = assert!(STORE_BYTES >= CAPACITY.region_bytes());

/// Blocks are looked at between writes; readers and spans end before the next.
fn keep_a_store(mut storage: RamStorage<'_>) -> u64 {
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4096 };
    format(&mut storage, &options).unwrap();
    let mut region = [MaybeUninit::uninit(); STORE_BYTES];
    let mut engine =
        StorageEngine::open(storage, &mut region, CAPACITY, Config::default()).unwrap();
    let id = BlockId::from_u128(1);
    let block = ContextBlock { id, version: 7, source_uri: "a", metadata: &[], content: b"text" };
    engine.put(&block).unwrap();
    let (one, two) = (engine.find(&id).unwrap().unwrap(), engine.find(&id).unwrap().unwrap());
    assert_eq!(one.content(), two.content());
    let mut scratch = [0; 64];
    let mut room = [0; Workspace::scratch_bytes(2, 4)];
    let workspace = Workspace::over(&mut room, 2).unwrap();
    let mut query = engine.reader_through(&mut scratch).query(workspace);
    let (newest, oldest) =
        (query.scan(Order::NewestFirst).unwrap(), query.scan(Order::OldestFirst).unwrap());
    assert_eq!(query.next_block(&newest).unwrap().unwrap().content(), b"text");
    assert_eq!(query.next_info(&oldest).unwrap().unwrap().version, 7);
    query.close(newest).unwrap();
    let workspace = query.end();
    // Both media, one workspace; over mapped ones, blocks of two iterators are looked at together.
    let mut query = engine.reader().query(workspace);
    let (one, two) =
        (query.scan(Order::NewestFirst).unwrap(), query.scan(Order::OldestFirst).unwrap());
    let one = query.next_block(&one).unwrap().unwrap();
    let two = query.next_block(&two).unwrap().unwrap();
    assert_eq!(one.content(), two.content());
    drop(query.end());
    // A content in pieces: the source has the room as long as it runs, and the engine all the rest.
    let (id_in_pieces, source_uri, metadata) = (BlockId::from_u128(2), "wire", &b""[..]);
    let incoming =
        IncomingBlock { id: id_in_pieces, version: 1, source_uri, metadata, content_bytes: 900 };
    let filled = engine.put_from(&incoming, Expect::Absent, |room| {
        room.fill(5);
        Ok::<_, ()>(room.len())
    });
    assert_eq!(filled, Ok(engine.sequence()));
    let mut moved = Box::new(engine);
    moved.put(&ContextBlock { content: b"new", ..block }).unwrap();
    let version = moved.find(&id).unwrap().unwrap().version();
    moved.close().1.unwrap();
    version
}
