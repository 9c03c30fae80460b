//! Bugs that systems of this kind had in the field: each line of DESIGN section 13 has one short test
//! here that would catch its return, in their order and under their names. What they touch is tested at
//! length elsewhere; each test says where.
#![cfg(test)]

use crate::common::power::{Bench, FILE, SMALL, Scenario, Thinning, run, write};
use crate::common::{Block, Mix, Model, Op, Random, all_ids, check, open, read_all, verify};
use kausaldb::log::LogError;
use kausaldb::state::Limit;
use kausaldb::storage::{Geometry, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Durability, EdgeKind, Expect, GraphEdge, OpenError,
    Operation, Order, ReadError, StorageEngine, Workspace, WriteError,
};
use kausaldb_sim::{Aftermath, SimError, SimNor, Survivors, TornWrite};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Engine = StorageEngine<'static, SimNor>;

fn id(n: u64) -> BlockId {
    all_ids(&SMALL.mix)[n as usize]
}

fn put(n: u64, version: u64, len: usize) -> Op {
    let content = vec![n as u8; len];
    Op::Put(
        id(n),
        Block { version, source_uri: String::new(), metadata: vec![], content },
        Expect::Any,
    )
}

fn edge(source: u64, target: u64) -> GraphEdge {
    GraphEdge { source: id(source), kind: EdgeKind(1), target: id(target) }
}

fn opened(device: SimNor) -> Engine {
    open(device, SMALL.capacity(), SMALL.config()).expect("opens")
}

/// A store, and what it must show.
struct Store {
    engine: Engine,
    model: Model,
}

impl Store {
    fn new() -> Self {
        Self { engine: opened(SMALL.device()), model: Model::default() }
    }

    fn write(&mut self, ops: &[Op]) {
        assert!(write(&mut self.engine, &mut self.model, ops), "refused: {ops:?}");
    }

    fn check(&mut self, what: &str) {
        check(&mut self.engine, &self.model, &SMALL.mix, what);
        verify(&mut self.engine, what);
    }

    /// What the next session finds, closed or not; each comes first in turn.
    fn reopen(&mut self, closed: bool) {
        let engine = std::mem::replace(&mut self.engine, opened(SMALL.device()));
        let mut device = if closed { engine.close().0 } else { engine.storage().clone() };
        device.reopen();
        self.engine = opened(device);
    }

    /// Updates one block until the ring has turned so often.
    fn turn(&mut self, times: u64) {
        let until = self.engine.stats().traffic.segments_opened + times * 12;
        for version in 0.. {
            if self.engine.stats().traffic.segments_opened > until {
                return;
            }
            self.write(&[put(13, version, 60)]);
        }
    }
}

/// At length: `power.rs`, `model.rs`.
#[test]
fn line_1_a_deleted_block_does_not_come_back() {
    let mut store = Store::new();
    (0..6).for_each(|n| store.write(&[put(n, 1, 40)]));
    store.write(&[Op::Link(edge(4, 5))]);
    store.write(&[Op::Delete(id(0))]);
    store.write(&[Op::DeleteBlock(id(4))]);
    for closed in [true, false] {
        store.reopen(closed);
        store.check("after a restart");
    }
    // The tombstone goes; what it deleted has gone before it.
    store.turn(2);
    store.check("after two turns of the ring");
    store.engine.compact(u64::MAX).expect("compact");
    store.reopen(false);
    store.check("after all was moved");
    assert!(!store.engine.contains(&id(0)).expect("contains"));
}

/// At length: `model.rs`, `hubs_page_and_unpage`.
#[test]
fn line_2_edges_are_not_lost_and_not_doubled_and_can_be_removed() {
    let mut store = Store::new();
    let loops = edge(3, 3);
    store.write(&[Op::Link(loops), Op::Link(edge(1, 2)), Op::Link(edge(1, 2))]);
    store.write(&[Op::Link(edge(1, 2))]);
    store.check("linked twice");
    assert_eq!(store.engine.count_edges().expect("count").edges, 2);
    for round in 0..3 {
        store.reopen(round % 2 == 0);
        store.check("replayed");
        store.turn(1);
        store.check("folded");
    }
    store.write(&[Op::Unlink(loops)]);
    store.write(&[Op::Unlink(edge(1, 2))]);
    store.turn(1);
    store.reopen(false);
    store.check("unlinked");
    assert_eq!(store.engine.count_edges().expect("count").edges, 0);
}

/// There is one encoder and one replay. At length: `power.rs`, `shapes.rs`.
#[test]
fn line_3_small_and_large_records_are_recovered_alike() {
    let mut store = Store::new();
    for round in 0..8 {
        // A batch that spans segments, between two that do not.
        store.write(&[put(1, round, 1)]);
        store.write(&[
            put(2, round, 280),
            put(3, round, 0),
            put(4, round, 280),
            put(5, round, 280),
        ]);
        store.write(&[put(6, round, 1), Op::Link(edge(1, 2))]);
        store.reopen(round % 2 == 0);
        store.check("small and large");
    }
}

/// At length: `damage.rs`, `power.rs`, `calls.rs`.
#[test]
fn line_4_a_store_opens_with_a_torn_tail_a_long_log_tombstones_only_and_a_bad_record() {
    let mut store = Store::new();
    // A log that has turned, with every kind of record in it.
    for n in 0..12 {
        store.write(&[put(n, 1, 30), Op::Link(edge(n, (n + 1) % 12))]);
    }
    store.write(&[Op::Delete(id(3))]);
    store.turn(3);
    store.reopen(false);
    store.check("a long log");
    // A torn tail.
    let mut device = store.engine.storage().clone();
    device.cut_at(2);
    let mut engine = opened_or_cut(&mut device);
    if let Some(engine) = &mut engine {
        let _ = engine.write(&[put(1, 9, 60).borrow()]);
    }
    device.power_on_with(Aftermath { write: TornWrite::Random, ..Aftermath::default() });
    read_all(&mut opened(device), &all_ids(&SMALL.mix));
    // Nothing but tombstones.
    for n in 0..14 {
        store.write(&[Op::Delete(id(n))]);
    }
    store.reopen(true);
    store.check("tombstones only");
    // One bad record costs itself.
    store.write(&[put(1, 1, 50)]);
    store.write(&[put(2, 1, 50)]);
    store.write(&[put(3, 1, 50)]);
    let mut device = store.engine.storage().clone();
    device.reopen();
    let at = device.image().windows(50).position(|bytes| bytes == [2; 50]).expect("it was put");
    device.image_mut()[at..at + 3].fill(0xEE);
    let mut engine = opened(device);
    let mut scratch = [0; 128];
    assert!(matches!(engine.find_into(&id(2), &mut scratch), Err(ReadError::Corrupt { .. })));
    for n in [1, 3] {
        assert!(engine.find_into(&id(n), &mut scratch).expect("find").is_some());
    }
}

fn opened_or_cut(device: &mut SimNor) -> Option<StorageEngine<'static, &mut SimNor>> {
    match open(device, SMALL.capacity(), SMALL.config()) {
        Ok(engine) => Some(engine),
        Err(OpenError::Log(LogError::Storage(SimError::PowerCut))) => None,
        Err(error) => panic!("{error}"),
    }
}

/// `read_all` and `check_directions` ask every reader and compare. At length: `model.rs`, `shapes.rs`.
#[test]
fn line_5_all_readers_take_the_newest() {
    let mut store = Store::new();
    let mut random = Random::new(5);
    let mut version = 0;
    for _ in 0..120 {
        let ops = SMALL.mix.batch(&mut random, &mut version);
        write(&mut store.engine, &mut store.model, &ops);
        store.check("after a batch");
        let ids = all_ids(&SMALL.mix);
        for id in &ids {
            let known = store.model.blocks.get(id).map(|block| block.version);
            let found = store.engine.reader().find(id).expect("find").map(|block| block.version());
            assert_eq!(found, known, "a mapped find differs");
        }
        if random.one_in(20) {
            store.engine.compact(500).expect("compact");
            store.check("after compaction");
        }
    }
}

/// At length: `power.rs`, `golden.rs`.
#[test]
fn line_6_no_sequence_starts_again() {
    let mut store = Store::new();
    let mut last = store.engine.sequence();
    for round in 0..6 {
        for n in 0..10 {
            store.write(&[put(n, round, 60)]);
            assert!(store.engine.sequence() > last);
            last = store.engine.sequence();
        }
        // Everything is gone, also from the ring.
        (0..14).for_each(|n| store.write(&[Op::Delete(id(n))]));
        store.engine.compact(u64::MAX).expect("compact");
        last = store.engine.sequence();
        store.reopen(round % 2 == 0);
        store.write(&[put(1, round, 1)]);
        assert!(store.engine.sequence() > last, "it starts again");
        last = store.engine.sequence();
    }
}

/// Each limit is reached in `limits.rs`; here, the table is one: whatever is refused names a field of
/// `Capacity` and the number that stands there.
#[test]
fn line_7_limits_are_those_of_one_table() {
    let capacity = Capacity {
        nodes: 8,
        pending_edges: 8,
        intents: 1,
        batch_operations: 10,
        batch_bytes: 512,
        block_bytes: 300,
        ..SMALL.capacity()
    };
    let mut engine = open(SMALL.device(), capacity, SMALL.config()).expect("open");
    let mut refused = |ops: &[Op]| {
        let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
        engine.write(&operations).err()
    };
    let many: Vec<_> = (0..11).map(|n| put(n, 1, 0)).collect();
    let large: Vec<_> = (0..5).map(|n| put(n, 1, 120)).collect();
    let links: Vec<_> = (1..6).map(|n| Op::Link(edge(0, n))).collect();
    let batch = |what, max| {
        move |error| {
            matches!(error,
        Some(WriteError::BatchTooLarge { what: told, max: given, .. }) if told == what && given == max)
        }
    };
    assert!(batch(Limit::BatchOperations, 10)(refused(&many)));
    assert!(batch(Limit::BatchBytes, 512)(refused(&large)));
    assert!(batch(Limit::PendingEdges, 4)(refused(&links)));
    let error = refused(&[put(0, 1, 301)]);
    assert!(matches!(error, Some(WriteError::BlockTooLarge { len: 301, max: 300 })), "{error:?}");
    let error = refused(&many[..9]);
    assert!(matches!(error, Some(WriteError::NodesFull { needed: 9, capacity: 8 })), "{error:?}");
    assert_eq!(refused(&links[..2]), None);
    assert_eq!(refused(&[Op::Link(edge(3, 4))]), None);
    let error = refused(&[Op::Delete(id(0)), Op::Delete(id(3))]);
    assert!(batch(Limit::Intents, 1)(error));
}

/// A storage that refuses to be read when it is told to.
struct Deaf(SimNor, std::rc::Rc<std::cell::Cell<bool>>);

impl Storage for Deaf {
    type Error = SimError;
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        if self.1.get() { Err(SimError::PowerCut) } else { self.0.read(at, into) }
    }
    fn is_lost(&self, error: &SimError) -> bool {
        self.0.is_lost(error)
    }
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        self.0.write(at, bytes)
    }
    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.0.erase(sector)
    }
    fn sync(&mut self) -> Result<(), SimError> {
        self.0.sync()
    }
}

/// At length: `limits.rs`, `refusals.rs`.
#[test]
fn line_8_no_input_reaches_an_assertion_and_no_refusal_is_an_absence() {
    let mut engine = opened(SMALL.device());
    for at in [BlockId::from_u128(0), BlockId::from_u128(u128::MAX)] {
        for version in [0, u64::MAX] {
            let block = ContextBlock {
                id: at,
                version,
                source_uri: "\u{0}\u{10FFFF}",
                metadata: &[],
                content: &[],
            };
            engine.put(&block).expect("put");
            engine.put_if(&block, Expect::Version(version)).expect("put_if");
        }
        for kind in [0, u16::MAX] {
            let edge = GraphEdge { source: at, kind: EdgeKind(kind), target: at };
            engine.link(&edge).expect("link");
            engine.unlink(&edge).expect("unlink");
            engine.unlink(&edge).expect("unlink what is not there");
        }
        engine
            .write(&[Operation::Delete(at), Operation::Delete(at), Operation::DeleteBlock(at)])
            .expect("delete");
    }
    engine.write(&[]).expect("an empty batch");
    for budget in [0, 1, u64::MAX] {
        engine.compact(budget).expect("compact");
        engine.scrub(budget).expect("scrub");
    }
    let block =
        ContextBlock { id: id(1), version: 1, source_uri: "", metadata: &[], content: b"here" };
    engine.put(&block).expect("put");
    let too_small = engine.find_into(&id(1), &mut []);
    assert!(matches!(too_small, Err(ReadError::ScratchFull { .. })));
    let mut device = engine.storage().clone();
    device.reopen();
    let none = StorageEngine::open(device.clone(), &mut [], SMALL.capacity(), SMALL.config());
    assert!(matches!(none.err(), Some(OpenError::Region { given_bytes: 0, .. })));

    let deaf = std::rc::Rc::default();
    let storage = Deaf(device, std::rc::Rc::clone(&deaf));
    let mut engine = open(storage, SMALL.capacity(), SMALL.config()).expect("open");
    deaf.set(true);
    let mut scratch = [0; 64];
    assert!(engine.contains(&id(1)).is_err());
    assert!(engine.version(&id(1)).is_err());
    assert!(engine.find_into(&id(1), &mut scratch).is_err());
    let mut room = [0; Workspace::scratch_bytes(1, 5)];
    let workspace = Workspace::over(&mut room, 1).expect("room for an iterator");
    let mut query = engine.reader_through(&mut scratch).query(workspace);
    let scan = query.scan(Order::OldestFirst).expect("a place");
    assert!(query.next_info(&scan).is_err());
    assert!(
        engine.reader_through(&mut scratch).edges(&id(1), kausaldb::Direction::Out, None).is_err()
    );
    assert!(matches!(engine.recover(), Err(OpenError::Log(_))), "it says that there is no store");
}

/// At length: `scratch.rs`, `fragmentation` among the benches.
#[test]
fn line_9_reading_takes_no_more_scratch_each_time() {
    let mut store = Store::new();
    for n in 0..10 {
        store.write(&[put(n, 1, 60), Op::Link(edge(n, (n + 1) % 10))]);
    }
    // As much as the longest block, and not a byte more, again and again.
    let mut scratch = [0; 64];
    let mut room = [0; Workspace::scratch_bytes(1, 5)];
    let mut workspace = Workspace::over(&mut room, 1).expect("room for an iterator");
    for _ in 0..500 {
        for n in 0..10 {
            assert!(store.engine.find_into(&id(n), &mut scratch).expect("find").is_some());
        }
        let mut query = store.engine.reader_through(&mut scratch).query(workspace);
        let scan = query.scan(Order::OldestFirst).expect("a place");
        while query.next_block(&scan).expect("scan").is_some() {}
        workspace = query.end();
    }
    let stats = store.engine.stats();
    assert_eq!(stats.region_bytes, SMALL.capacity().region_bytes());
    assert!(
        stats.pending_edges.high_water > 0 && stats.nodes.high_water == 10,
        "a pool is not used"
    );
}

#[test]
fn line_10_what_is_cut_short_says_so() {
    let mut store = Store::new();
    (0..12).for_each(|n| store.write(&[put(n, 1, 60)]));
    store.turn(1);
    assert!(store.engine.compact(1).expect("compact").cut_short);
    assert!(store.engine.scrub(1).expect("scrub").cut_short);
    assert!(!store.engine.compact(u64::MAX).expect("compact").cut_short);
    assert!(!store.engine.scrub(u64::MAX).expect("scrub").cut_short);
    let mut scratch = [0; 4];
    let mut room = [0; Workspace::scratch_bytes(1, 5)];
    let workspace = Workspace::over(&mut room, 1).expect("room for an iterator");
    let mut query = store.engine.reader_through(&mut scratch).query(workspace);
    let scan = query.scan(Order::OldestFirst).expect("a place");
    assert!(
        matches!(query.next_block(&scan), Err(ReadError::ScratchFull { .. })),
        "a block is cut short"
    );
}

/// The tests open with `Config::default()`, which is what is shipped; cut power while the engine stands, and
/// do not close it first; and the checkers can fail. `cargo task planted` shows the last at length.
#[test]
fn line_11_the_tests_test_what_is_shipped_and_can_fail() {
    assert_eq!(SMALL.config(), Config::default());
    let mut store = Store::new();
    store.write(&[put(1, 1, 40), Op::Link(edge(1, 2))]);
    let fails = |model: &Model, engine: &mut Engine| {
        catch_unwind(AssertUnwindSafe(|| check(engine, model, &SMALL.mix, ""))).is_err()
    };
    assert!(!fails(&store.model, &mut store.engine));
    for op in [
        put(1, 2, 40),
        put(3, 1, 0),
        Op::Delete(id(1)),
        Op::Unlink(edge(1, 2)),
        Op::Link(edge(2, 1)),
    ] {
        let mut other = store.model.clone();
        other.apply(&[op]);
        assert!(fails(&other, &mut store.engine), "the checker is always true");
    }
    let mut device = store.engine.storage().clone();
    let at = device.image().windows(40).position(|bytes| bytes == [1; 40]).expect("it was put");
    device.image_mut()[at..at + 3].fill(0xEE);
    device.reopen();
    let mut found = 0;
    opened(device).verify(|_| found += 1).expect("verify");
    assert!(found > 0, "verify finds nothing");
    // No batch that was acknowledged is lost, not one: `run` boots what each step would leave.
    let mut bench = Bench::new(Scenario { batches: 60, segments: 8, ..SMALL });
    run(bench.scenario, Thinning::one_in(20), |cut, states| {
        bench.try_all(cut, states, Thinning::NONE);
    });
    assert!(bench.cuts > 20);
}

/// At length: `power.rs`, `wear.rs`.
#[test]
fn line_12_no_step_of_a_commit_leaves_an_empty_store_and_no_update_erases_everything() {
    let mut device = SMALL.device();
    let mut engine = opened(device.clone());
    engine
        .put(&ContextBlock {
            id: id(1),
            version: 1,
            source_uri: "",
            metadata: &[],
            content: b"kept",
        })
        .expect("put");
    device = engine.storage().clone();
    device.reopen();
    for step in 0..200 {
        let mut cut = device.clone();
        cut.cut_at(step);
        if let Some(mut engine) = opened_or_cut(&mut cut) {
            let written = engine.write(&[put(2, 1, 60).borrow(), put(1, 2, 60).borrow()]);
            if written.is_ok() {
                break;
            }
        }
        cut.power_on();
        let mut engine = opened(cut);
        let version = engine.version(&id(1)).expect("version");
        assert_eq!(engine.contains(&id(2)).expect("contains"), version == Some(2), "step {step}");
        assert!(version.is_some(), "step {step} leaves an empty store");
    }
    let mut store = Store::new();
    (0..14).for_each(|n| store.write(&[put(n, 1, 60)]));
    for version in 0..500 {
        let before = store.engine.stats().traffic.segment_erases;
        store.write(&[put(version % 14, version, 60)]);
        assert!(store.engine.stats().traffic.segment_erases - before <= 1, "an update erases more");
    }
}

/// At length: `power_file.rs`, `power.rs`.
#[test]
fn line_13_nothing_is_reclaimed_for_what_is_not_durable_and_nothing_rejected_returns() {
    // What superseded it is lost; the durable one is there.
    let scenario = Scenario { durability: Durability::OnSync, ..FILE };
    let config = scenario.config();
    let mut engine = open(scenario.device(), scenario.capacity(), config).expect("open");
    engine.write(&[put(1, 1, 1000).borrow()]).expect("put");
    engine.sync().expect("sync");
    for version in 2..60 {
        engine.write(&[put(1, version, 1000).borrow()]).expect("put");
        let mut device = engine.storage().clone();
        device.cut_at(0);
        let _ = device.sync();
        device.power_on_with(Aftermath { unsynced: Survivors::None, ..Aftermath::default() });
        let mut engine = open(device, scenario.capacity(), config).expect("opens");
        assert!(engine.version(&id(1)).expect("version").is_some(), "lost at version {version}");
    }
    // What one boot rejects, or shows, the next ones do as well: the torn unit reads differently each time.
    let mut store = Store::new();
    store.write(&[put(1, 1, 60)]);
    let mut device = store.engine.storage().clone();
    device.reopen();
    let opening = opened(device.clone()).storage().steps() - device.steps();
    for step in 0..8 {
        let mut cut = device.clone();
        cut.cut_at(opening + step);
        let mut engine = opened_or_cut(&mut cut).expect("it is cut later");
        if engine.write(&[put(1, 2, 60).borrow()]).is_ok() {
            break;
        }
        cut.power_on_with(Aftermath { write: TornWrite::Unstable, ..Aftermath::default() });
        let mut first = None;
        for boot in 0..6 {
            let mut engine = opened(cut);
            let version = engine.version(&id(1)).expect("version");
            assert_eq!(*first.get_or_insert(version), version, "step {step}, boot {boot}");
            cut = engine.storage().clone();
            cut.reopen();
        }
    }
    // A number is another node's only when nothing means the old one any more.
    let mix = Mix { ids: 14, ..SMALL.mix };
    let capacity = Capacity { nodes: 6, ..SMALL.capacity() };
    let mut engine = open(SMALL.device(), capacity, SMALL.config()).expect("open");
    let mut model = Model::default();
    for turn in 0..200 {
        let (a, b, c) = (turn % 13, (turn + 1) % 13, (turn + 2) % 13);
        write(&mut engine, &mut model, &[Op::Link(edge(a, b))]);
        write(&mut engine, &mut model, &[Op::Link(edge(b, c))]);
        write(&mut engine, &mut model, &[Op::Delete(id(a))]);
        write(&mut engine, &mut model, &[put((turn + 5) % 13, turn, 5)]);
        check(&mut engine, &model, &mix, "a number that was used before");
        if turn % 10 == 0 {
            let mut device = engine.storage().clone();
            device.reopen();
            engine = open(device, capacity, SMALL.config()).expect("opens");
            check(&mut engine, &model, &mix, "after a restart");
        }
    }
}
