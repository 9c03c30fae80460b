//! What must hold where a store is short of something, hurt, or asked for what nobody asks: one test for each fault
//! that was once there.

mod common;

use common::{Mix, Model, Random, all_ids, check, open, read_all, verify};
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, EdgeKind, FormatOptions, GraphEdge, Operation,
    StorageEngine, StoreId, WriteError, format,
};
use kausaldb_sim::{SimError, SimNor};

const fn geometry(segments: u64, segment_bytes: u32, write_bytes: u32) -> Geometry {
    Geometry {
        capacity_bytes: segments * segment_bytes as u64,
        erase_bytes: segment_bytes,
        write_bytes,
        erased: Erased::Ones,
        keeps_write_order: true,
    }
}

fn store<S: Storage>(
    mut storage: S,
    segment_bytes: u32,
    capacity: Capacity,
) -> StorageEngine<'static, S> {
    let options = FormatOptions { store: StoreId::from_u128(7), segment_bytes };
    if format(&mut storage, &options).is_err() {
        panic!("format");
    }
    match open(storage, capacity, Config::default()) {
        Ok(engine) => engine,
        Err(error) => panic!("{error}"),
    }
}

fn nor(segments: u64, segment_bytes: u32, write_bytes: u32) -> SimNor {
    SimNor::new(geometry(segments, segment_bytes, write_bytes), 1).expect("geometry")
}

fn id(n: u128) -> BlockId {
    BlockId::from_u128(n + 1)
}

fn block(id: BlockId, version: u64, content: &[u8]) -> ContextBlock<'_> {
    ContextBlock { id, version, source_uri: "", metadata: &[], content }
}

fn edge(source: u128, target: u128) -> GraphEdge {
    GraphEdge { source: id(source), kind: EdgeKind(1), target: id(target) }
}

/// What a [`Remote`] is told: the engine owns its storage, so that it is told from outside.
#[derive(Clone, Copy, Default)]
struct Told {
    /// The n-th write or sync from now on is refused, and all behind it.
    writes: Option<u32>,
    /// The n-th read from now on is refused, and all behind it.
    reads: Option<u32>,
    /// The n-th read from now on is refused, and it alone.
    read_once: Option<u32>,
    /// This byte is read as another one.
    hurt: Option<u8>,
    /// Writes that were asked for.
    written: u32,
}

thread_local! {
    static TOLD: std::cell::Cell<Told> = std::cell::Cell::new(Told::default());
}

/// A storage that refuses what it is told to, without any loss of power.
struct Remote(SimNor);

impl Remote {
    fn tell(told: Told) {
        TOLD.set(Told { written: TOLD.get().written, ..told });
    }

    fn refuses(of: impl Fn(&mut Told) -> &mut Option<u32>) -> Result<(), SimError> {
        let mut told = TOLD.get();
        let left = of(&mut told);
        let refused = *left == Some(0);
        *left = left.map(|left| left.saturating_sub(1));
        TOLD.set(told);
        if refused { Err(SimError::PowerCut) } else { Ok(()) }
    }
}

impl Storage for Remote {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        Self::refuses(|told| &mut told.reads)?;
        let mut told = TOLD.get();
        let once = told.read_once == Some(0);
        told.read_once = told.read_once.and_then(|left| left.checked_sub(1));
        TOLD.set(told);
        if once {
            return Err(SimError::PowerCut);
        }
        self.0.read(at, into)?;
        if let Some(hurt) = TOLD.get().hurt {
            into.iter_mut().filter(|byte| **byte == hurt).for_each(|byte| *byte ^= 0x55);
        }
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        TOLD.set(Told { written: TOLD.get().written + 1, ..TOLD.get() });
        Self::refuses(|told| &mut told.writes)?;
        self.0.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        Self::refuses(|told| &mut told.writes)?;
        self.0.erase(sector)
    }

    fn sync(&mut self) -> Result<(), SimError> {
        Self::refuses(|told| &mut told.writes)?;
        self.0.sync()
    }
}

#[test]
fn an_id_that_comes_and_goes_within_a_batch_takes_one_number() {
    // Bug: NodesFull. Cause: a batch lists only the first number that an id freed.
    let capacity = Capacity { nodes: 2, batch_operations: 16, ..Capacity::SMALL };
    let mut engine = store(nor(16, 4096, 4), 4096, capacity);
    let mut batch = Vec::new();
    for turn in 0..8 {
        batch.push(Operation::put(block(id(1), turn, b"x")));
        batch.push(Operation::Delete(id(1)));
    }
    batch.pop();
    engine.write(&batch).expect("one node at a time");
    assert_eq!(engine.version(&id(1)).expect("version"), Some(7));
}

#[test]
fn nothing_is_written_between_a_failed_write_and_the_recovery() {
    // Bug: verify writes what lies in the buffer. Cause: Log::read flushes.
    Remote::tell(Told::default());
    let mut engine = store(Remote(nor(16, 4096, 4)), 4096, Capacity::SMALL);
    engine.put(&block(id(1), 1, b"here")).expect("put");
    Remote::tell(Told { writes: Some(0), ..Told::default() });
    engine.put(&block(id(2), 1, b"x")).expect_err("refused");
    Remote::tell(Told::default());
    let written = TOLD.get().written;
    let mut findings = Vec::new();
    engine.verify(|finding| findings.push(finding)).expect("verify");
    let _ = engine.count_edges();
    assert_eq!(TOLD.get().written, written, "verify writes");
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn a_full_store_takes_updates_and_deletes_whatever_is_pending() {
    // Bug: Full for ever. Cause: folding makes more live bytes of an edge than its change took.
    let capacity = Capacity { nodes: 4000, pending_edges: 800, segments: 64, ..Capacity::SMALL };
    let mut engine = store(nor(32, 1024, 4), 1024, capacity);
    for n in 0..200 {
        engine.put(&block(id(n), 1, &[n as u8; 20])).expect("put");
    }
    let mut links = 0;
    let error = loop {
        let (source, target) = (1000 + 2 * links, 1001 + 2 * links);
        match engine.link(&edge(source, target)) {
            Ok(_) => links += 1,
            Err(error) => break error,
        }
    };
    println!("{links} links: {error}; {:?}", engine.stats());
    assert!(matches!(error, WriteError::Full { .. }), "{error}");
    for turn in 0..2000u64 {
        let n = u128::from(turn % 200);
        let put = engine.put(&block(id(n), 2 + turn, &[n as u8; 20]));
        put.unwrap_or_else(|e| panic!("update {turn}: {e}; {:?}", engine.stats()));
    }
    for n in 0..200 {
        engine.delete(&id(n)).expect("delete");
    }
    verify(&mut engine, "full");
}

#[test]
fn what_was_never_read_is_checked_though_its_slot_was_read_before() {
    // Bug: wrong bytes. Cause: what is known of a slot outlives the segment in it.
    let capacity = Capacity { nodes: 200, ..Capacity::SMALL };
    Remote::tell(Told::default());
    let mut engine = store(Remote(nor(12, 1024, 4)), 1024, capacity);
    let mut scratch = [0; 512];
    let mut version = 0;
    for _ in 0..200u64 {
        version += 1;
        engine.put(&block(id(1), version, &[7; 100])).expect("put");
        engine.put(&block(id(u128::from(version % 5) + 2), version, &[8; 100])).expect("put");
        for n in 1..7 {
            engine.find_into(&id(n), &mut scratch).expect("find");
        }
    }
    engine.put(&block(id(100), 1, &[0xA5; 100])).expect("put");
    for turn in 0..10 {
        engine.put(&block(id(101), turn, &[8; 100])).expect("put");
    }
    Remote::tell(Told { hurt: Some(0xA5), ..Told::default() });
    let found = engine.find_into(&id(100), &mut scratch);
    let right = found.is_err()
        || found.is_ok_and(|found| found.is_some_and(|b| b.content() == [0xA5; 100]));
    assert!(right, "wrong bytes");
}

#[test]
fn a_batch_costs_only_the_record_that_is_damaged() {
    for hurt in 0..4u8 {
        let mut engine = store(nor(16, 4096, 4), 4096, Capacity::SMALL);
        let contents = [[0x31; 20], [0x32; 20], [0x33; 20]];
        let batch: Vec<_> =
            (0..3).map(|n| Operation::put(block(id(n as u128), 1, &contents[n]))).collect();
        engine.write(&batch).expect("batch");
        for n in 10..15 {
            engine.put(&block(id(n), 1, b"later")).expect("put");
        }
        let (mut storage, closed) = engine.close();
        closed.expect("close");
        storage.reopen();
        let image = storage.image_mut();
        let body = |byte: u8| image.windows(20).position(|w| w == [byte; 20]).expect("body");
        // The header before the body of one of the three, or the end of the batch behind the last of them.
        let at = if hurt < 3 { body(0x31 + hurt) - 10 } else { body(0x33) + 20 + 4 };
        image[at] ^= 0x5A;
        image[at + 1] ^= 0xA5;
        let mut engine = open(storage, Capacity::SMALL, Config::default()).expect("open");
        let there: Vec<_> = (0..3).map(|n| engine.contains(&id(n)).expect("contains")).collect();
        let mut expected = vec![true; 3];
        expected.iter_mut().skip(hurt.into()).take(1).for_each(|there| *there = false);
        assert_eq!(there, expected, "record {hurt} of the batch is damaged");
    }
}

#[test]
fn a_node_that_nothing_mentions_is_nobodys() {
    // Bug: numbers leak. Cause: the other end of a dead edge is not looked at.
    for seed in 0..60 {
        let mix = Mix {
            ids: 24,
            links: 60,
            puts: 8,
            hubs: seed % 2 == 0,
            operations: 8,
            content_max: 10,
        };
        let capacity =
            Capacity { nodes: 64, pending_edges: 24, hub_pages: 32, intents: 4, ..Capacity::SMALL };
        let mut engine = store(nor(24, 1024, 4), 1024, capacity);
        let (mut model, mut random, mut version) = (Model::default(), Random::new(seed), 0);
        for turn in 0..400 {
            let ops = mix.batch(&mut random, &mut version);
            let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
            if engine.write(&operations).is_ok() {
                model.apply(&ops);
            }
            if turn % 40 == 39 {
                // Pages that are empty go when they are moved.
                (0..3).for_each(|_| {
                    engine.compact(u64::MAX).expect("compact");
                });
                check(&mut engine, &model, &mix, "compacted");
                assert_eq!(
                    engine.stats().nodes.used as usize,
                    model.nodes(),
                    "seed {seed}, turn {turn}"
                );
            }
        }
    }
}

#[test]
fn one_read_that_fails_during_opening_loses_nothing() {
    // Bug: the store opens as it was before. Cause: a header that cannot be read is as good as none.
    for n in 0..200 {
        Remote::tell(Told::default());
        let mut engine = store(Remote(nor(12, 1024, 4)), 1024, Capacity::SMALL);
        for turn in 0..60u64 {
            engine.put(&block(id(1), turn, &[1; 60])).expect("put");
        }
        let (mut storage, closed) = engine.close();
        closed.expect("close");
        storage.0.reopen();
        Remote::tell(Told { read_once: Some(n), ..Told::default() });
        let opened = open(storage, Capacity::SMALL, Config::default());
        let done = TOLD.get().read_once.is_some();
        Remote::tell(Told::default());
        if let Ok(mut engine) = opened {
            assert_eq!(engine.version(&id(1)).expect("version"), Some(59), "read {n}");
        }
        if done {
            return;
        }
    }
}

#[test]
fn a_full_store_goes_on_with_long_pages_and_with_lists_that_grow_long() {
    for (segment_bytes, write_bytes, degree) in
        [(4096, 256, 1), (4096, 256, 3), (1024, 4, 8), (1024, 4, 9), (2048, 16, 20), (512, 4, 4)]
    {
        let what = format!("{segment_bytes} {write_bytes} {degree}");
        let capacity = Capacity {
            nodes: 2000,
            pending_edges: 400,
            hub_pages: 500,
            segments: 64,
            ..Capacity::SMALL
        };
        let mut engine = store(nor(40, segment_bytes, write_bytes), segment_bytes, capacity);
        for n in 0..30 {
            engine.put(&block(id(n), 1, &[n as u8; 20])).expect("put");
        }
        // Lists of `degree` edges, folded; and then one edge more for each.
        let mut random = Random::new(1);
        let mut lists = 0;
        'fill: for source in 100..1000 {
            for _ in 0..degree {
                let target = 1000 + u128::from(random.below(40));
                if engine.link(&edge(source, target)).is_err() {
                    break 'fill;
                }
            }
            lists += 1;
            if engine.stats().free_bytes < engine.stats().live_bytes / 3 {
                break;
            }
        }
        while engine.stats().pending_edges.used > 0 {
            engine.compact(u64::MAX).unwrap_or_else(|e| panic!("{what}: {e}"));
        }
        let mut more = 0;
        for source in 100..100 + lists {
            if engine.link(&edge(source, 2000 + source % 7)).is_err() {
                break;
            }
            more += 1;
        }
        let mut filler = 0;
        while engine.put(&block(id(3000 + filler), 1, &[0; 20])).is_ok() {
            filler += 1;
        }
        println!("{what}: {lists} lists, {more} more, {filler} blocks, {:?}", engine.stats());
        for turn in 0..1500u64 {
            let n = u128::from(turn % 30);
            let put = engine.put(&block(id(n), 2 + turn, &[n as u8; 20]));
            put.unwrap_or_else(|e| panic!("{what}: update {turn}: {e}; {:?}", engine.stats()));
        }
        for n in 0..30 {
            engine.delete(&id(n)).unwrap_or_else(|e| panic!("{what}: delete: {e}"));
        }
        verify(&mut engine, &what);
    }
}
