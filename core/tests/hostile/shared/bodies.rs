//! The bodies that are about media: open, read, verify, recover, and the decoders alone.
//!
//! Work is bounded in reads of the medium: a session (opening, asking everything, verifying, writing a
//! little) takes at most two for each slot and each place at which a record could start. A store that opens
//! for writing must go on: it is written, repaired, compacted, scrubbed, closed, and opens again; and its
//! tables in RAM hold, whatever the log says.

use super::draft::Draft;
use super::forge::{forged, id, mutate, scratch};
use super::medium::Medium;
use super::samples::{LARGE, SHAPES, STORE, Shape, samples};
use super::script::Script;
use crate::common::region;
use kausaldb::format::{Crc, FoundHeader, Header, Salt};
use kausaldb::log::LogError;
use kausaldb::storage::{MappedStorage, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, EdgeKind, Finding, GraphEdge, OnDamage,
    OpenError, Operation, Order, StorageEngine, Verify, Workspace, probe,
};
use std::cell::RefCell;
use std::mem::MaybeUninit;

/// Reads that a session may take, for each slot and each place at which a record could start: a segment is
/// looked at whole more than once where headers are lost.
const READS_PER_PLACE: u64 = 2;

type Engine<'r> = StorageEngine<'r, Medium>;

/// A medium full of lies.
struct Hostile {
    medium: Medium,
    shape: Shape,
}

/// What a run remembers for the next: memory is carved, so that it need not be made anew.
fn with_memory(capacity: &Capacity, run: impl FnOnce(&mut [MaybeUninit<u8>])) {
    thread_local!(static MEMORY: RefCell<Vec<MaybeUninit<u8>>> = const { RefCell::new(Vec::new()) });
    let mut memory = MEMORY.take();
    let needed = capacity.region_bytes();
    if memory.len() < needed {
        memory = region(capacity);
    }
    run(&mut memory[..needed]);
    MEMORY.set(memory);
}

impl Hostile {
    /// Bytes as they are, a forged store, or a good one that was changed.
    fn of(script: &mut Script<'_>, only_large: bool) -> Self {
        let kind = script.below(8);
        let shapes = if only_large { &SHAPES[2..] } else { &SHAPES[..] };
        // The larger ones take longer; more is found in the small ones.
        let large = script.one_in(6) || only_large;
        let shape = if large { LARGE } else { shapes[script.below(2) as usize] };
        let image = match kind {
            0 => script.rest().to_vec(),
            1 | 2 => forged(shape.layout(), script).image(),
            _ => {
                let pick = script.below(4) as usize;
                let of_shape = |sample: &&_| is_shape(sample, &shape);
                let sample = samples().iter().filter(of_shape).nth(pick).expect("four of a shape");
                let mut draft = Draft::of(shape.layout(), &sample.image);
                mutate(&mut draft, script);
                let mut image = draft.image();
                if script.one_in(2) {
                    scratch(&mut image, script);
                }
                image
            }
        };
        let capacity = shape.geometry.capacity_bytes as usize;
        let image = image.into_iter().take(capacity).collect();
        Self { medium: Medium::new(shape.geometry, image), shape }
    }

    /// Reads that one session may take.
    fn reads_max(&self) -> u64 {
        let layout = self.shape.layout();
        let places = self.shape.geometry.capacity_bytes / u64::from(layout.align());
        places * READS_PER_PLACE * u64::from(layout.segments())
    }
}

fn is_shape(sample: &super::samples::Sample, shape: &Shape) -> bool {
    sample.shape.geometry == shape.geometry
}

fn config(script: &mut Script<'_>) -> Config {
    Config {
        verify: [Verify::FirstRead, Verify::EveryRead, Verify::Never][script.below(3) as usize],
        on_damage: [OnDamage::Say, OnDamage::Repair][script.below(2) as usize],
        ..Config::default()
    }
}

/// Opens without writing and reads everything there is.
pub fn open(data: &[u8]) {
    let script = &mut Script::new(data);
    let config = config(script);
    let Hostile { mut medium, shape } = Hostile::of(script, false);
    let reads = (Hostile { medium: medium.clone(), shape }).reads_max();
    medium.allow(reads);
    let len = shape.geometry.capacity_bytes;
    if let Ok(info) = probe(len, |at, into| medium.read(at, into)) {
        assert!(u64::from(info.nodes_max()) >= u64::from(info.next_node));
    }
    let before = medium.bytes().to_vec();
    let capacity = shape.capacity();
    with_memory(&capacity, |memory| {
        medium.allow(reads);
        let opened = StorageEngine::open_read_only(medium, memory, capacity, config);
        if let Ok(mut engine) = opened {
            read_all(&mut engine, &shape);
            assert!(engine.storage().bytes() == before, "a reader wrote");
        }
    });
}

/// Opens without writing and checks everything.
pub fn verify(data: &[u8]) {
    let script = &mut Script::new(data);
    let config = config(script);
    let hostile = Hostile::of(script, false);
    run_verify(hostile, config);
}

fn run_verify(hostile: Hostile, config: Config) {
    let reads = hostile.reads_max();
    let Hostile { mut medium, shape } = hostile;
    medium.allow(reads);
    let capacity = shape.capacity();
    with_memory(&capacity, |memory| {
        let opened = StorageEngine::open_read_only(medium, memory, capacity, config);
        if let Ok(mut engine) = opened {
            check_tables(&mut engine);
            engine.count_edges().expect("the medium never refuses");
            assert!(engine.stats().blocks <= capacity.nodes);
        }
    });
}

/// The tables in RAM hold, and the sum of what lives is right.
fn check_tables(engine: &mut Engine<'_>) {
    let mut broken = Vec::new();
    let verified = engine.verify(|finding| {
        if matches!(finding, Finding::Memory { .. } | Finding::LiveBytes { .. }) {
            broken.push(finding);
        }
    });
    verified.expect("the medium never refuses");
    assert!(broken.is_empty(), "{broken:?}");
}

/// Opens for writing, goes on, closes, and opens again.
pub fn recovery(data: &[u8]) {
    let script = &mut Script::new(data);
    let config = config(script);
    let hostile = Hostile::of(script, false);
    run_recovery(hostile, config, script);
}

fn run_recovery(hostile: Hostile, config: Config, script: &mut Script<'_>) {
    let reads = hostile.reads_max();
    let Hostile { mut medium, shape } = hostile;
    let capacity = shape.capacity();
    medium.allow(reads);
    with_memory(&capacity, |memory| {
        let Ok(mut engine) = StorageEngine::open(medium, memory, capacity, config) else { return };
        read_all(&mut engine, &shape);
        if engine.damage().is_some() || script.one_in(2) {
            let repaired = engine.repair();
            if repaired.is_ok() {
                assert_eq!(engine.damage(), None, "repaired, and degraded");
            }
        }
        let goes_on = go_on(&mut engine, script);
        if goes_on {
            check_tables(&mut engine);
        }
        let (medium, _) = engine.close();
        let mut medium = medium.reopened();
        medium.allow(reads);
        match StorageEngine::open_read_only(medium.clone(), memory, capacity, config) {
            Ok(mut engine) => read_all(&mut engine, &shape),
            // What a liar's log means may change as its tail moves on.
            Err(OpenError::TooMany { .. }) => {}
            Err(error) => panic!("is not read again: {error}"),
        }
        match StorageEngine::open(medium, memory, capacity, config) {
            Ok(mut engine) => check_tables(&mut engine),
            Err(OpenError::TooMany { .. } | OpenError::Log(LogError::NumbersSpent)) => {}
            Err(error) => panic!("does not open again: {error}"),
        }
    });
}

/// Writes a little of everything; what is refused is refused. Whether the store can go on.
fn go_on(engine: &mut Engine<'_>, script: &mut Script<'_>) -> bool {
    for turn in 0..6 + script.below(10) {
        let (one, two) = (id(script), id(script));
        let block = ContextBlock {
            id: one,
            version: turn.into(),
            source_uri: "hostile",
            metadata: b"{}",
            content: &[7; 40],
        };
        let edge = GraphEdge { source: one, kind: EdgeKind(1), target: two };
        let operation = match script.below(8) {
            0 | 1 => Operation::put(block),
            2 | 3 => Operation::Link(edge),
            4 => Operation::Unlink(edge),
            5 => Operation::DeleteBlock(one),
            _ => Operation::Delete(one),
        };
        let done = engine.write(&[operation]).map(|_| ());
        let done = done.and(match script.below(8) {
            0 => engine.compact(1 << 20).map(|_| ()),
            1 => engine.scrub(1 << 20).map(|_| ()),
            _ => Ok(()),
        });
        if done.is_err() || script.one_in(8) {
            match engine.recover() {
                Ok(()) => {}
                Err(OpenError::TooMany { .. } | OpenError::Log(LogError::NumbersSpent)) => {
                    return false;
                }
                Err(error) => panic!("does not recover: {error}, after {done:?}"),
            }
        }
    }
    true
}

/// Asks everything that can be asked, through both readers.
fn read_all(engine: &mut Engine<'_>, shape: &Shape) {
    let places = shape.geometry.capacity_bytes / u64::from(shape.layout().align());
    let mut scratch = vec![0; 32 << 10];
    let ids: Vec<_> =
        (0..25).map(|n| BlockId::from_u128(n * 0x1_0000_0001_0000_0001 + 1)).collect();
    for id in &ids {
        let _ = engine.find_into(id, &mut scratch);
        let _ = engine.find(id);
        let _ = (engine.contains(id), engine.version(id));
        let edge = GraphEdge { source: *id, kind: EdgeKind(1), target: ids[0] };
        let _ = engine.reader().has_edge(&edge);
        for direction in Direction::BOTH {
            // Each entry of a list takes six bytes, and what is pending has a place in memory.
            let most = shape.geometry.capacity_bytes;
            let reader = engine.reader_through(&mut scratch);
            if let Ok(mut edges) = reader.edges(id, direction, None) {
                let found = (0..=most).find(|_| !matches!(edges.next(), Ok(Some(_))));
                assert!(found.is_some(), "edges without end");
            }
        }
    }
    let _ = engine.reader().find_many(&ids, |_, _| ());
    let mut room = [0; Workspace::scratch_bytes(1, 5)];
    for order in [Order::OldestFirst, Order::NewestFirst] {
        // Damaged records are said, and passed: each place at most once.
        let workspace = Workspace::over(&mut room, 1).expect("room for an iterator");
        let mut query = engine.reader_through(&mut scratch).query(workspace);
        let scan = query.scan(order).expect("a place");
        let end = (0..=2 * places).find(|_| matches!(query.next_block(&scan), Ok(None)));
        assert!(end.is_some(), "a scan without end");
        let workspace = Workspace::over(&mut room, 1).expect("room for an iterator");
        let mut query = engine.reader().query(workspace);
        let scan = query.scan(order).expect("a place");
        let end = (0..=2 * places).find(|_| matches!(query.next_info(&scan), Ok(None)));
        assert!(end.is_some(), "a scan without end");
    }
    let mut nodes = engine.reader().nodes();
    let end = (0..=2 * places).find(|_| matches!(nodes.next(), Ok(None)));
    assert!(end.is_some(), "nodes without end");
}

/// The decoders alone: what they take for valid is what the encoders write.
pub fn records(data: &[u8]) {
    let script = &mut Script::new(data);
    let layout = SHAPES[script.below(3) as usize].layout();
    let seed = Salt::of(STORE).at(script.number(), script.number());
    let with_check = script.one_in(2);
    let bytes = script.rest();
    for at in 0..bytes.len().min(64) {
        check_record(&layout, &bytes[at..], seed, with_check);
    }
    if let Ok(found) = FoundHeader::parse(bytes) {
        assert_eq!(FoundHeader::parse(&found.segment.encode(&found.layout)), Ok(found));
    }
    let mut header = bytes.to_vec();
    header.resize(80, 0);
    if with_check {
        let check = Crc::new().and(&header[..76]).get();
        header[76..].copy_from_slice(&check.to_le_bytes());
    }
    if let Ok(found) = FoundHeader::parse(&header) {
        assert!(found.layout.segments() > 0 || found.layout.geometry().capacity_bytes > 0);
    }
    let _ = FoundHeader::mend(&header, Some(STORE));
}

fn check_record(layout: &kausaldb::format::Layout, bytes: &[u8], seed: Crc, with_check: bool) {
    let mut bytes = bytes.to_vec();
    // Where the check stands depends on the fields; one of these places is right.
    for len in 1..bytes.len().min(56) {
        if with_check {
            let check = seed.and(&bytes[..len]).get();
            let end = (len + 4).min(bytes.len());
            bytes[len..end].copy_from_slice(&check.to_le_bytes()[..end - len]);
        }
        if let Some(header) = Header::parse(&bytes, seed) {
            assert!(header.bytes as usize <= bytes.len(), "{header:?}");
            assert!(header.record_bytes(layout.index_form()) >= u64::from(header.bytes));
            let again = header.record.encode(header.tag.in_batch(), header.tag.marked(), seed);
            let parsed = Header::parse(again.as_slice(), seed).expect("what was written");
            assert_eq!(parsed.record, header.record);
        }
        if !with_check {
            break;
        }
    }
    let _ = Header::mend(&mut bytes, seed);
}

/// Stores with large segments, whose pages of the index hold full columns.
pub fn indexes(data: &[u8]) {
    let script = &mut Script::new(data);
    let config = config(script);
    let hostile = Hostile::of(script, true);
    if script.one_in(3) {
        run_recovery(hostile, config, script)
    } else {
        run_verify(hostile, config)
    }
}
