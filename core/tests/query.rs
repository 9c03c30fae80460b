//! Block iterators in a caller's workspace: what they show, how many there can be, and what a longer window
//! spares. A failure names its seed.
#![cfg(test)]

use crate::common::{Mix, Random, open, region};
use kausaldb::memory::RegionTooSmall;
use kausaldb::memory::owned::{Caller, Owned};
use kausaldb::storage::{Erased, Geometry, RamStorage};
use kausaldb::{
    BlockId, BlockInfo, Capacity, Config, ContextBlock, FormatOptions, Order, Query, ReadError,
    Reader, StorageEngine, StoreId, Workspace, format,
};
use kausaldb_sim::SimNor;
use std::mem::{MaybeUninit, swap};

const CAPACITY: Capacity = Capacity { nodes: 512, ..Capacity::SMALL };
/// With segments large enough for index pages of full columns, of which one holds several.
const LARGE: Capacity = Capacity {
    nodes: 4096,
    segments: 8,
    segment_bytes: 512 << 10,
    batch_operations: 64,
    ..Capacity::HOST
};
const BOTH: [Order; 2] = [Order::OldestFirst, Order::NewestFirst];

type Engine<'r, 'm> = StorageEngine<'r, RamStorage<'m>>;

/// A store with dead records and live ones, in several segments, whose blocks were written in random order.
fn with_store(
    capacity: Capacity,
    segment_bytes: u32,
    seed: u64,
    test: impl FnOnce(Engine<'_, '_>),
) {
    let mut media = vec![0; segment_bytes as usize * capacity.segments as usize];
    let mut storage = RamStorage::new(&mut media, segment_bytes, 4).expect("sizes");
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes };
    format(&mut storage, &options).expect("format");
    let mut memory = region(&capacity);
    let mut engine =
        StorageEngine::open(storage, &mut memory, capacity, Config::default()).expect("open");
    let mut random = Random::new(seed);
    let mix = Mix::default();
    let ids = u64::from(capacity.nodes) * 3 / 4;
    // Miri takes its time.
    let writes = if cfg!(miri) { 60 } else { u64::from(capacity.nodes) * 2 };
    for version in 0..writes {
        let id = BlockId::from_u128(u128::from(random.below(ids)) + 1);
        if random.one_in(6) {
            engine.delete(&id).expect("room");
            continue;
        }
        let content = vec![version as u8; random.below(mix.content_max) as usize];
        let block =
            ContextBlock { id, version, source_uri: "a://b", metadata: b"{}", content: &content };
        engine.put(&block).expect("room");
    }
    test(engine);
}

/// A workspace that lives as long as the test.
fn workspace(iterators: usize, window: usize) -> Owned<Workspace<'static>, Caller> {
    let scratch = vec![0xA5; Workspace::scratch_bytes(iterators, window)];
    Workspace::over(Box::leak(scratch.into_boxed_slice()), iterators).expect("large enough")
}

/// All that an iterator shows.
fn all<M: kausaldb::engine::Media>(query: &mut Query<'_, '_, '_, M>, order: Order) -> Vec<BlockInfo>
where
    M::Error: std::fmt::Debug,
{
    let scan = query.scan(order).expect("a place");
    let mut shown = Vec::new();
    while let Some(info) = query.next_info(&scan).expect("sound") {
        shown.push(info);
    }
    query.close(scan).expect("open");
    shown
}

#[test]
fn both_orders_agree_over_both_readers_with_windows_of_every_size() {
    for (capacity, segment_bytes) in [(CAPACITY, 4096), (LARGE, 512 << 10)] {
        with_store(capacity, segment_bytes, 7, |mut engine| {
            let mut query = engine.reader().query(workspace(1, 1));
            let oldest_first = all(&mut query, Order::OldestFirst);
            assert_eq!(oldest_first.len(), engine.stats().blocks as usize);
            let sorted = oldest_first.windows(2).all(|pair| pair[0].sequence < pair[1].sequence);
            assert!(sorted && oldest_first.len() > 200);
            for window in [1, 2, 3, 8, 64, 100, 10_000] {
                let mut block = [0; 512];
                let mut mapped = engine.reader().query(workspace(1, window));
                let shown = BOTH.map(|order| all(&mut mapped, order));
                let room = mapped.end();
                let mut through = engine.reader_through(&mut block).query(room);
                assert_eq!(shown, BOTH.map(|order| all(&mut through, order)), "{window}");
                let [oldest, mut newest] = shown;
                newest.reverse();
                assert_eq!(oldest, oldest_first, "{window}");
                assert_eq!(newest, oldest_first, "{window}");
            }
        });
    }
}

#[test]
fn iterators_that_take_turns_are_not_in_each_others_way() {
    const ITERATORS: usize = 5;
    with_store(CAPACITY, 4096, 11, |mut engine| {
        let mut whole = engine.reader().query(workspace(1, 64));
        let expected = BOTH.map(|order| all(&mut whole, order));
        let mut block = [0; 512];
        for seed in 0..8 {
            let mut random = Random::new(seed);
            let room = workspace(ITERATORS, 7);
            let mut query = Box::new(engine.reader_through(&mut block).query(room));
            let mut open: Vec<_> = (0..ITERATORS).map(|_| None).collect();
            for _ in 0..2_000 {
                let at = random.below(ITERATORS as u64) as usize;
                let order = random.below(2) as usize;
                let place = &mut open[at];
                let (scan, order, shown) = place
                    .get_or_insert_with(|| (query.scan(BOTH[order]).expect("a place"), order, 0));
                let next: Option<BlockInfo> = query.next_info(scan).expect("sound");
                assert_eq!(next.as_ref(), expected[*order].get(*shown), "seed {seed}");
                *shown += 1;
                if let Some(info) = next {
                    // Other questions in between.
                    let found = query.reader().version(&info.id).expect("sound");
                    assert_eq!(found, Some(info.version), "seed {seed}");
                }
                if next.is_none() || random.one_in(50) {
                    let (scan, ..) = place.take().expect("open");
                    query.close(scan).expect("open");
                }
            }
            assert_eq!(query.iterators().capacity, ITERATORS as u32);
            assert_eq!(query.iterators().high_water, ITERATORS as u32);
        }
    });
}

#[test]
fn more_iterators_than_places_are_refused_and_a_closed_one_makes_room() {
    with_store(CAPACITY, 4096, 13, |engine| {
        let full = ReadError::IteratorsFull { needed: 3, given: 2 };
        assert_eq!(full.to_string(), "3 iterators at once, and the workspace holds 2: close one");
        let mut query = engine.reader().query(workspace(2, 4));
        let one = query.scan(Order::NewestFirst).expect("a place");
        let two = query.scan(Order::OldestFirst).expect("a place");
        assert_eq!(query.scan(Order::NewestFirst), Err(full));
        assert_eq!(query.iterators().used, 2);
        // What was refused is in nobody's way.
        assert!(query.next_block(&one).expect("sound").is_some());
        query.close(two).expect("open");
        let three = query.scan(Order::NewestFirst).expect("the place that was given back");
        let blocks = [&one, &three].map(|scan| query.next_block(scan).expect("sound"));
        assert!(blocks[0] != blocks[1], "the one goes on, the other begins");
        assert_eq!(query.scan(Order::NewestFirst), Err(full));

        let mut query = engine.reader().query(workspace(0, 4));
        let none = ReadError::IteratorsFull { needed: 1, given: 0 };
        assert_eq!(query.scan(Order::OldestFirst), Err(none));
    });
}

#[test]
fn an_iterator_that_is_kept_beyond_its_query_is_closed_in_the_next() {
    with_store(CAPACITY, 4096, 17, |mut engine| {
        let mut query = engine.reader().query(workspace(2, 4));
        let (kept, also) =
            (query.scan(Order::NewestFirst).expect("a place"), query.scan(Order::OldestFirst));
        let room = query.end();
        let mut scratch = [0; 512];
        let mut query = engine.reader_through(&mut scratch).query(room);
        let is_closed = |result| assert!(matches!(result, Err(ReadError::IteratorClosed)));
        is_closed(query.next_info(&kept).map(|_| ()));
        is_closed(query.next_block(&kept).map(|_| ()));
        assert_eq!(query.iterators().used, 0);
        // Not even where a new one has the same place.
        let new = query.scan(Order::NewestFirst).expect("a place");
        is_closed(query.next_info(&kept).map(|_| ()));
        is_closed(query.close(kept));
        is_closed(query.close(also.expect("a place")));
        assert!(query.next_info(&new).expect("sound").is_some());
        assert_eq!(query.iterators().high_water, 2);
    });
}

#[test]
fn scratch_that_holds_the_iterators_at_every_alignment_is_what_is_asked_for() {
    for (iterators, window) in [(0, 0), (1, 1), (1, 64), (3, 5)] {
        let bytes = Workspace::scratch_bytes(iterators, window);
        let mut scratch = vec![0; bytes + 64];
        for offset in 0..64 {
            let given = &mut scratch[offset..offset + bytes];
            assert!(Workspace::over(given, iterators).is_ok(), "{iterators} {window} at {offset}");
        }
    }
    for iterators in [1, 2, 7] {
        let bytes = Workspace::scratch_bytes(iterators, 1);
        let mut scratch = vec![0; bytes + 64];
        for offset in 0..64 {
            for missing in 4..=bytes {
                let given_bytes = bytes - missing;
                let given = &mut scratch[offset..offset + given_bytes];
                let Err(error) = Workspace::over(given, iterators) else {
                    panic!("{missing} bytes are missing at {offset}, and it opens");
                };
                let RegionTooSmall { needed_bytes, given_bytes: named } = error;
                assert_eq!(named, given_bytes);
                assert!(needed_bytes > given_bytes && needed_bytes <= bytes);
            }
        }
    }
    assert_eq!(Workspace::scratch_bytes(usize::MAX, 1), usize::MAX);
    assert_eq!(Workspace::scratch_bytes(2, usize::MAX), usize::MAX);
}

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 64 * 4096,
    erase_bytes: 4096,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};

/// A device with some hundred blocks.
fn device() -> SimNor {
    let mut storage = SimNor::new(GEOMETRY, 1).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4096 };
    format(&mut storage, &options).expect("format");
    let mut engine = open(storage, CAPACITY, Config::default()).expect("open");
    for number in 1..=300 {
        let (id, content) = (BlockId::from_u128(number), [7; 40]);
        let block =
            ContextBlock { id, version: 1, source_uri: "a", metadata: b"", content: &content };
        engine.put(&block).expect("room");
    }
    let (storage, closed) = engine.close();
    closed.expect("power");
    storage
}

#[test]
fn a_longer_window_reads_less() {
    let mut memory: Vec<MaybeUninit<u8>> = region(&CAPACITY);
    let mut engine =
        StorageEngine::open(device(), &mut memory, CAPACITY, Config::default()).expect("open");
    let mut reads = [1, 4, 16, 64].map(|window| {
        let before = engine.storage().counts().reads;
        let mut query = engine.reader_through(&mut []).query(workspace(1, window));
        assert_eq!(all(&mut query, Order::NewestFirst).len(), 300);
        let _ = query.end();
        engine.storage().counts().reads - before
    });
    assert!(reads.windows(2).all(|pair| pair[1] < pair[0]), "{reads:?}");
    // With a window for all of a segment, each header is read twice: to find it, and to hand it out.
    let [.., whole] = &mut reads;
    assert!(*whole < 3 * 300, "{reads:?}");
    println!("reads with windows of 1, 4, 16 and 64 places: {reads:?}");
}

#[test]
fn what_is_hurt_is_named_in_both_orders_whatever_the_window() {
    let mut image = device().image().to_vec();
    // A record in the middle of the third segment is not to be read any more.
    let middle = 2 * 4096 + 2048;
    image[middle..middle + 40].iter_mut().for_each(|byte| *byte ^= 0x5A);
    let mut results = Vec::new();
    for (order, window) in BOTH.into_iter().flat_map(|order| [1, 5, 64].map(|n| (order, n))) {
        let storage = SimNor::from_image(GEOMETRY, image.clone(), 2).expect("geometry");
        let mut engine = open(storage, CAPACITY, Config::default()).expect("opens degraded");
        assert!(engine.damage().is_some());
        let mut query = engine.reader_through(&mut []).query(workspace(1, window));
        let scan = query.scan(order).expect("a place");
        let first = query.next_info(&scan);
        assert!(matches!(first, Err(ReadError::Degraded { .. })), "{first:?}");
        let (mut shown, mut refused) = (Vec::new(), 0);
        loop {
            match query.next_info(&scan) {
                Ok(Some(info)) => shown.push(info.id),
                Ok(None) => break,
                Err(_) => refused += 1,
            }
        }
        shown.sort_unstable();
        results.push((shown, refused));
    }
    assert!(results.windows(2).all(|pair| pair[0].0 == pair[1].0), "{results:?}");
    let (shown, refused) = &results[0];
    assert!(!shown.is_empty() && *refused > 0, "{} shown, {refused} refused", shown.len());
}

/// A query can be moved like any value, iterators and all.
#[test]
fn queries_that_are_swapped_go_on_where_they_stood() {
    with_store(CAPACITY, 4096, 19, |engine| {
        let reader = || -> Reader<'_, '_, _> { engine.reader() };
        let (mut one, mut two) = (reader().query(workspace(1, 3)), reader().query(workspace(1, 3)));
        let (newest, oldest) = (
            one.scan(Order::NewestFirst).expect("a place"),
            two.scan(Order::OldestFirst).expect("a place"),
        );
        let (mut back, mut forth) = (Vec::new(), Vec::new());
        loop {
            let (before, behind) =
                (one.next_info(&newest).expect("sound"), two.next_info(&oldest).expect("sound"));
            let Some((before, behind)) = before.zip(behind) else { break };
            back.push(before);
            forth.push(behind);
            let mut moved = Box::new(one);
            swap(&mut *moved, &mut two);
            (two, one) = (*moved, two);
        }
        back.reverse();
        assert_eq!(back, forth);
    });
}
