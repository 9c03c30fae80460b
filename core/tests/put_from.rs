//! Puts whose content comes in pieces: what is stored, what is left of one that breaks off, and how little
//! memory it takes. A failure names its seed.
#![cfg(test)]

use crate::common::{Block, Mix, Model, Random, all_ids, check, open, region, verify};
use kausaldb::storage::{Erased, Geometry, RamStorage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Expect, FormatOptions, IncomingBlock, PutError,
    ReadError, StorageEngine, StoreId, WriteError, format,
};
use kausaldb_sim::SimNor;
use std::panic::{AssertUnwindSafe, catch_unwind};

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 16 * 16384,
    erase_bytes: 16384,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};
const CAPACITY: Capacity = Capacity {
    nodes: 64,
    segments: 16,
    block_bytes: 12_000,
    batch_bytes: 13_000,
    buffer_bytes: 64,
    ..Capacity::SMALL
};

fn device(seed: u64) -> SimNor {
    formatted(GEOMETRY, 16384, seed)
}

fn formatted(geometry: Geometry, segment_bytes: u32, seed: u64) -> SimNor {
    let mut storage = SimNor::new(geometry, seed).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes };
    format(&mut storage, &options).expect("format");
    storage
}

fn incoming(id: BlockId, block: &Block) -> IncomingBlock<'_> {
    IncomingBlock {
        id,
        version: block.version,
        source_uri: &block.source_uri,
        metadata: &block.metadata,
        content_bytes: block.content.len() as u32,
    }
}

/// A source that gives a content in pieces of random lengths, and breaks off after some bytes, if told so:
/// with an error, or without a word.
fn source<'a>(
    content: &'a [u8],
    random: &'a mut Random,
    end: Option<(usize, bool)>,
) -> impl FnMut(&mut [u8]) -> Result<usize, &'static str> {
    let mut at = 0;
    move |room| {
        assert!(!room.is_empty(), "no room is nothing to ask for");
        assert!(room.len() <= content.len() - at, "more room than is missing");
        assert!(room.len() <= CAPACITY.buffer_bytes as usize, "more room than the buffer");
        let before_end = end.map_or(content.len(), |(end, _)| end) - at;
        match (before_end, end) {
            (0, Some((_, true))) => return Err("torn out"),
            (0, _) => return Ok(0),
            _ => {}
        }
        let take = (random.below(room.len() as u64) as usize + 1).min(before_end);
        room[..take].copy_from_slice(&content[at..at + take]);
        at += take;
        Ok(take)
    }
}

#[test]
fn content_in_pieces_is_what_it_would_be_in_one() {
    let mut engine = open(device(1), CAPACITY, Config::default()).expect("open");
    let mut random = Random::new(1);
    let id = BlockId::from_u128(7);
    // Around the ends of the buffer, and of what one check covers.
    let lens = [0, 1, 3, 4, 31, 32, 33, 63, 64, 65, 500, 8100, 8191, 8192, 8193, 11_900];
    // Miri takes its time.
    let lens = if cfg!(miri) { &lens[..11] } else { &lens[..] };
    for (version, len) in (1..).zip(lens.iter().copied()) {
        let block = Block {
            version,
            source_uri: "uart://0".into(),
            metadata: vec![1; version as usize],
            content: (0..len).map(|_| random.next() as u8).collect(),
        };
        let mut calls = Random::new(version);
        let given = engine.stats().given_bytes;
        let content = source(&block.content, &mut calls, None);
        let sequence = engine.put_from(&incoming(id, &block), Expect::Any, content).expect("room");
        assert_eq!(sequence, engine.sequence());
        let bytes = 8 + block.metadata.len() + len + 24;
        assert_eq!(engine.stats().given_bytes - given, bytes as u64);
        let mut scratch = vec![0; 12_000];
        let read = engine.find_into(&id, &mut scratch).expect("sound").expect("there");
        assert_eq!(read.content(), block.content, "{len} bytes");
        assert_eq!((read.version(), read.metadata()), (version, &block.metadata[..]));
        verify(&mut engine, "in pieces");
    }
}

#[test]
fn a_content_can_be_larger_than_all_the_memory_of_the_store() {
    const BOARD: Capacity = Capacity {
        nodes: 16,
        pending_edges: 8,
        hub_pages: 1,
        intents: 1,
        segments: 8,
        segment_bytes: 64 << 10,
        block_bytes: 60_000,
        batch_operations: 1,
        batch_bytes: 62_000,
        buffer_bytes: 32,
    };
    const CONTENT_BYTES: u32 = 59_000;
    const { assert!(BOARD.region_bytes() < 2_000, "far less than the content") };
    let mut media = vec![0; 8 << 16];
    let mut storage = RamStorage::new(&mut media, 4096, 4).expect("sizes");
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: 64 << 10 };
    format(&mut storage, &options).expect("format");
    let mut memory = region(&BOARD);
    let mut engine =
        StorageEngine::open(storage, &mut memory, BOARD, Config::default()).expect("open");
    let id = BlockId::from_u128(7);
    let (source_uri, metadata) = ("adc://0", &b""[..]);
    for version in 1..=20 {
        let block =
            IncomingBlock { id, version, source_uri, metadata, content_bytes: CONTENT_BYTES };
        let mut samples = 0u32..;
        let content = |room: &mut [u8]| {
            room.iter_mut().zip(&mut samples).for_each(|(byte, sample)| *byte = sample as u8);
            Ok::<_, ()>(room.len())
        };
        engine.put_from(&block, Expect::Any, content).expect("the ring turns");
    }
    let read = engine.find(&id).expect("sound").expect("there");
    assert_eq!((read.version(), read.content().len()), (20, CONTENT_BYTES as usize));
    // It is read in pieces as well.
    let mut piece = [0; 1000];
    let mut at = 0;
    let mut reader = engine.reader_through(&mut []);
    loop {
        let read = reader.read_content(&id, at, &mut piece).expect("sound").expect("there");
        for (sample, byte) in (at..).zip(&piece[..read]) {
            assert_eq!(*byte, sample as u8);
        }
        at += read as u32;
        if read < piece.len() {
            break;
        }
    }
    assert_eq!(at, CONTENT_BYTES);
}

#[test]
fn a_part_of_a_content_is_what_it_is_in_the_whole() {
    let mut engine = open(device(10), CAPACITY, Config::default()).expect("open");
    let mut random = Random::new(10);
    let (id, nobody) = (BlockId::from_u128(7), BlockId::from_u128(8));
    let content: Vec<u8> = (0..9000).map(|_| random.next() as u8).collect();
    let (source_uri, metadata) = ("a://b", &b"{}"[..]);
    engine
        .put(&ContextBlock { id, version: 1, source_uri, metadata, content: &content })
        .expect("room");
    let parts = |engine: &mut StorageEngine<'_, SimNor>| {
        let mut random = Random::new(11);
        for _ in 0..300 {
            let offset = random.below(9100) as usize;
            let mut into = vec![0xEE; random.below(600) as usize];
            let rest = content.get(offset..).unwrap_or_default();
            let expected = &rest[..rest.len().min(into.len())];
            let mapped = engine.reader().read_content(&id, offset as u32, &mut into);
            // A mapped reader cannot mend, and says so.
            assert!(matches!(mapped, Ok(Some(_)) | Err(ReadError::Corrupt { .. })), "{mapped:?}");
            if let Ok(Some(read)) = mapped {
                assert_eq!(&into[..read], expected, "from {offset}");
            }
            let mut scratch = [0; 100];
            let mut reader = engine.reader_through(&mut scratch);
            let read = reader.read_content(&id, offset as u32, &mut into);
            let read = read.expect("sound, or mended").expect("there");
            assert_eq!(&into[..read], expected, "from {offset}");
        }
        let mut reader = engine.reader();
        assert_eq!(reader.read_content(&nobody, 0, &mut [0; 9]), Ok(None));
    };
    parts(&mut engine);
    let (storage, closed) = engine.close();
    closed.expect("power");
    let image = storage.image().to_vec();
    let start =
        image.windows(100).position(|bytes| bytes == &content[..100]).expect("on the medium");
    for bits in [0, 1, 2] {
        let mut hurt = image.clone();
        (0..bits).for_each(|bit| hurt[start + 5000 + bit * 300] ^= 0x10);
        let storage = SimNor::from_image(GEOMETRY, hurt, 1).expect("geometry");
        let mut engine = open(storage, CAPACITY, Config::default()).expect("opens");
        if bits < 2 {
            parts(&mut engine);
        } else {
            let read = engine.reader_through(&mut []).read_content(&id, 0, &mut [0; 10]);
            assert!(matches!(read, Err(ReadError::Corrupt { .. })), "{read:?}");
        }
    }
}

/// Segments whose index pages hold full columns: a store is opened by these.
const LARGE: (Geometry, Capacity) = (
    Geometry { capacity_bytes: 8 << 18, erase_bytes: 1 << 16, ..GEOMETRY },
    Capacity {
        segments: 8,
        segment_bytes: 1 << 18,
        block_bytes: 60_000,
        batch_bytes: 200_000,
        ..CAPACITY
    },
);

/// A random life in which many contents break off; the store is as a model says, before and after reopening.
fn live(seed: u64, (geometry, capacity): (Geometry, Capacity), content_max: u64) -> u32 {
    let mix = Mix { ids: 12, content_max, ..Mix::default() };
    let (mut random, mut model, mut version) = (Random::new(seed), Model::default(), 0);
    let device = formatted(geometry, capacity.segment_bytes, seed);
    let mut engine = open(device, capacity, Config::default()).expect("open");
    let mut broken_off = 0;
    for step in 0..300 {
        if random.one_in(3) {
            let ops: Vec<_> = mix.batch(&mut random, &mut version).into_iter().take(3).collect();
            let operations: Vec<_> = ops.iter().map(crate::common::Op::borrow).collect();
            match engine.write(&operations) {
                Ok(_) => assert!(model.apply(&ops), "seed {seed}"),
                Err(WriteError::Conflict { .. }) => assert!(!model.apply(&ops), "seed {seed}"),
                Err(error) => panic!("seed {seed}, step {step}: {error}"),
            }
            continue;
        }
        version += 1;
        let id = mix.id(&mut random);
        let len = random.below(content_max * 4 / 3) as usize + 1;
        let content = (0..len).map(|_| random.next() as u8).collect();
        let block = Block { version, source_uri: "a".into(), metadata: vec![2], content };
        let end = random
            .one_in(2)
            .then(|| (random.below(block.content.len() as u64) as usize, random.one_in(2)));
        let mut pieces = random.clone();
        let content = source(&block.content, &mut pieces, end);
        let put = engine.put_from(&incoming(id, &block), Expect::Any, content);
        match end {
            None => {
                put.unwrap_or_else(|error| panic!("seed {seed}, step {step}: {error}"));
                model.blocks.insert(id, block);
            }
            Some((_, true)) => assert_eq!(put, Err(PutError::Source("torn out"))),
            Some((given, false)) => {
                let (given, needed) = (given as u32, len as u32);
                assert_eq!(put, Err(PutError::Short { given, needed }), "seed {seed}");
            }
        }
        broken_off += u32::from(end.is_some());
        if random.one_in(20) {
            check(&mut engine, &model, &mix, &format!("seed {seed}, step {step}"));
            verify(&mut engine, &format!("seed {seed}, step {step}"));
        }
        if random.one_in(40) {
            let (mut storage, closed) = engine.close();
            closed.expect("power");
            storage.reopen();
            engine = open(storage, capacity, Config::default()).expect("open");
            assert_eq!(engine.damage(), None);
            check(&mut engine, &model, &mix, &format!("seed {seed}, reopened at {step}"));
        }
    }
    let erases: u32 = engine.storage().erases().iter().sum();
    let sectors = geometry.capacity_bytes / u64::from(geometry.erase_bytes);
    assert!(u64::from(erases) > 2 * sectors, "seed {seed}: the ring did not turn twice");
    assert!(engine.storage().violations().is_empty(), "seed {seed}");
    broken_off
}

#[test]
fn a_content_that_breaks_off_changes_nothing_and_the_store_goes_on() {
    let small = Capacity { segment_bytes: 16384, ..CAPACITY };
    let broken_off: u32 = (1..=12).map(|seed| live(seed, (GEOMETRY, small), 3000)).sum();
    assert!(broken_off > 800, "{broken_off}");
    let broken_off: u32 = (1..=4).map(|seed| live(seed, LARGE, 40_000)).sum();
    assert!(broken_off > 250, "{broken_off}");
}

#[test]
fn contents_that_always_break_off_never_fill_the_store() {
    let mut engine = open(device(3), CAPACITY, Config::default()).expect("open");
    let id = BlockId::from_u128(7);
    let block = ContextBlock { id, version: 1, source_uri: "a", metadata: b"", content: b"old" };
    engine.put(&block).expect("room");
    let (content_bytes, source_uri, metadata) = (9000, "a", &b""[..]);
    for version in 2..100 {
        let block = IncomingBlock { id, version, source_uri, metadata, content_bytes };
        let put = engine.put_from(&block, Expect::Version(1), |_| Err(version));
        assert_eq!(put, Err(PutError::Source(version)));
    }
    assert_eq!(engine.version(&id), Ok(Some(1)));
    assert!(engine.stats().traffic.segments_opened > 32, "twice around the ring");
    verify(&mut engine, "broken off");
}

#[test]
fn a_full_store_replaces_contents_that_come_in_pieces_and_survives_those_that_break_off() {
    let mut engine = open(device(8), CAPACITY, Config::default()).expect("open");
    let (source_uri, metadata, content_bytes) = ("a", &b""[..], 5000);
    let block = |id: u128, version| {
        let id = BlockId::from_u128(id);
        IncomingBlock { id, version, source_uri, metadata, content_bytes }
    };
    let whole = |room: &mut [u8]| -> Result<usize, u64> {
        room.fill(5);
        Ok(room.len())
    };
    let mut ids = 1..;
    let full = loop {
        let id = ids.next().expect("endless");
        match engine.put_from(&block(id, 1), Expect::Absent, whole) {
            Ok(_) => assert!(id < 60, "never full"),
            Err(error) => break (id, error),
        }
    };
    assert!(matches!(full.1, PutError::Write(WriteError::Full { .. })), "{full:?}");
    for version in 2..200 {
        let id = u128::from(version) % (full.0 - 1) + 1;
        let mut given = 0;
        let put = engine.put_from(&block(id, version), Expect::Any, |room| {
            given += room.len();
            if given > 3000 { Err(version) } else { whole(room) }
        });
        assert_eq!(put, Err(PutError::Source(version)));
        if version % 3 == 0 {
            engine.put_from(&block(id, version), Expect::Any, whole).expect("in place of the old");
        }
    }
    assert_eq!(u128::from(engine.stats().blocks), full.0 - 1);
    verify(&mut engine, "full");
}

#[test]
fn damage_to_any_one_record_never_makes_a_broken_off_content_count() {
    let id = BlockId::from_u128(7);
    let mut engine = open(device(9), CAPACITY, Config::default()).expect("open");
    let (source_uri, metadata) = ("a", &b""[..]);
    let old = ContextBlock { id, version: 1, source_uri, metadata, content: &[1; 50] };
    engine.put(&old).expect("room");
    let start = engine.storage().image().to_vec();
    let block = IncomingBlock { id, version: 2, source_uri, metadata, content_bytes: 60 };
    let put = engine.put_from(&block, Expect::Any, |_| Err(()));
    assert_eq!(put, Err(PutError::Source(())));
    let other = ContextBlock { id: BlockId::from_u128(8), ..old };
    engine.put(&other).expect("room");
    let (storage, closed) = engine.close();
    closed.expect("power");
    let image = storage.image().to_vec();
    let written: Vec<_> = (0..image.len()).filter(|at| image[*at] != start[*at]).collect();
    let (first, last) = (written[0], written[written.len() - 1]);
    let mut degraded = 0;
    for at in (first..last).step_by(4) {
        let mut hurt = image.clone();
        hurt[at..at + 4].iter_mut().for_each(|byte| *byte ^= 0x5A);
        let storage = SimNor::from_image(GEOMETRY, hurt, 1).expect("geometry");
        let mut engine = open(storage, CAPACITY, Config::default()).expect("opens");
        degraded += u32::from(engine.damage().is_some());
        if engine.damage().is_some() {
            engine.repair().expect("repairs");
        }
        let mut scratch = [0; 100];
        match engine.find_into(&id, &mut scratch) {
            Ok(Some(found)) => assert_eq!(found.version(), 1, "hurt at {at}"),
            other => panic!("hurt at {at}: {other:?}"),
        }
    }
    assert!(degraded > 10, "{degraded}");
}

#[test]
fn every_limit_is_checked_before_the_source_is_asked() {
    let mut engine = open(device(4), CAPACITY, Config::default()).expect("open");
    let id = BlockId::from_u128(7);
    let mut put = |content_bytes, expect| {
        let (source_uri, metadata) = ("a", &b"b"[..]);
        let block = IncomingBlock { id, version: 1, source_uri, metadata, content_bytes };
        let never = |_: &mut [u8]| -> Result<usize, ()> { panic!("asked") };
        engine.put_from(&block, expect, never)
    };
    let too_large = |len| PutError::Write(WriteError::BlockTooLarge { len, max: 12_000 });
    assert_eq!(put(11_999, Expect::Any), Err(too_large(12_001)));
    assert_eq!(put(u32::MAX, Expect::Any), Err(too_large(u64::from(u32::MAX) + 2)));
    let conflict = WriteError::Conflict { operation: 0, stored: None };
    assert_eq!(put(10, Expect::Version(3)), Err(PutError::Write(conflict)));
    let short = PutError::<(), ()>::Short { given: 3, needed: 70 };
    assert_eq!(short.to_string(), "the content ended after 3 bytes of 70");
    // Nothing to come is nothing to ask for.
    put(0, Expect::Absent).expect("room");
    assert_eq!(engine.version(&id), Ok(Some(1)));
}

#[test]
fn a_source_that_panics_costs_a_recovery_and_nothing_else() {
    let mix = Mix { ids: 1, ..Mix::default() };
    let [id] = all_ids(&mix)[..] else { panic!("one id") };
    // In the buffer still, and with some of the record on the medium.
    for bytes in [0, 1, 40, 64, 1000] {
        let mut engine = open(device(5), CAPACITY, Config::default()).expect("open");
        let old = Block { version: 1, source_uri: "a".into(), metadata: vec![], content: vec![3] };
        let content = &old.content;
        let (source_uri, metadata) = ("a", &b""[..]);
        engine.put(&ContextBlock { id, version: 1, source_uri, metadata, content }).expect("room");
        let block = IncomingBlock { id, version: 2, source_uri, metadata, content_bytes: 2000 };
        let mut given = 0;
        let put = catch_unwind(AssertUnwindSafe(|| {
            engine.put_from(&block, Expect::Any, |room| {
                assert!(given < bytes, "the wire is cut");
                given += room.len();
                Ok::<_, ()>(room.len())
            })
        }));
        assert!(put.is_err());
        let refused = engine.delete(&id);
        assert_eq!(refused, Err(WriteError::NeedsRecovery), "after {bytes} bytes");
        let mut model = Model::default();
        model.blocks.insert(id, old);
        check(&mut engine, &model, &mix, "as it was");
        engine.recover().expect("power");
        check(&mut engine, &model, &mix, "recovered");
        let sequence = engine.put_from(&block, Expect::Version(1), |room| {
            room.fill(9);
            Ok::<_, ()>(room.len())
        });
        assert!(sequence.is_ok(), "after {bytes} bytes");
        verify(&mut engine, "written again");
        assert!(engine.storage().violations().is_empty(), "after {bytes} bytes");
    }
}

/// Puts one content over another, in pieces; the device may lose power meanwhile.
fn replace(device: SimNor, breaks_off: bool) -> SimNor {
    let Ok(mut engine) = open(device.clone(), CAPACITY, Config::default()) else { return device };
    let id = BlockId::from_u128(7);
    let (source_uri, metadata) = ("a", &b""[..]);
    let block = IncomingBlock { id, version: 2, source_uri, metadata, content_bytes: 700 };
    let mut pieces = 0;
    let _ = engine.put_from(&block, Expect::Any, |room| {
        pieces += 1;
        room.fill(9);
        if breaks_off && pieces > 6 { Err(()) } else { Ok(room.len()) }
    });
    // What comes after one that broke off must not count it in.
    let _ = engine.put(&ContextBlock {
        id: BlockId::from_u128(8),
        version: 1,
        source_uri,
        metadata,
        content: b"",
    });
    engine.close().0
}

#[test]
fn a_cut_at_any_step_leaves_the_old_content_or_the_new() {
    let id = BlockId::from_u128(7);
    let mut engine = open(device(6), CAPACITY, Config::default()).expect("open");
    let content = [1; 100];
    let old = ContextBlock { id, version: 1, source_uri: "a", metadata: b"", content: &content };
    engine.put(&old).expect("room");
    let (mut before, closed) = engine.close();
    closed.expect("power");
    before.reopen();
    for breaks_off in [false, true] {
        let steps = replace(before.clone(), breaks_off).steps() - before.steps();
        let mut seen = [0; 2];
        for step in 0..=steps {
            let mut cut = before.clone();
            cut.cut_at(step);
            let mut cut = replace(cut, breaks_off);
            cut.cancel_cut();
            cut.power_on();
            cut.reopen();
            let mut engine = open(cut, CAPACITY, Config::default()).expect("opens");
            assert_eq!(engine.damage(), None, "cut at {step}");
            let mut scratch = [0; 1000];
            let found = engine.find_into(&id, &mut scratch).expect("sound").expect("never gone");
            let is_new = found.version() == 2;
            let expected = if is_new { &[9; 700][..] } else { &content[..] };
            assert!(found.content() == expected, "cut at {step}");
            assert!(!(is_new && breaks_off), "cut at {step}: what broke off counts");
            seen[usize::from(is_new)] += 1;
            verify(&mut engine, &format!("cut at {step}"));
            engine.put(&old).expect("goes on");
        }
        assert!(seen[0] > 100 && (seen[1] > 0) != breaks_off, "{seen:?}");
    }
}
