//! A thousand short lives of a store: random batches in a small ring, and contents that come in pieces or
//! break off, with debug assertions on, so that what arenas and pools take back is poisoned and every handle
//! is checked. Nothing panics, and what the store shows at the end, and after it was opened anew, is what the
//! model holds.
//!
//! A failure prints its seed; `SEED=n` runs that one alone, `CASES=n` more of them.
#![cfg(test)]

use crate::common::{Block, Mix, Model, Op, Random, check, open, verify};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{
    BlockId, Capacity, Config, Durability, Expect, FormatOptions, IncomingBlock, PutError,
    StorageEngine, StoreId, WriteError, format,
};
use kausaldb_sim::SimNor;
use std::env;

/// Every limit is low, so that pools run full and are folded, paged and cleaned all the time.
const CAPACITY: Capacity = Capacity {
    nodes: 40,
    pending_edges: 8,
    hub_pages: 6,
    intents: 2,
    segments: 20,
    segment_bytes: 1024,
    block_bytes: 256,
    batch_operations: 6,
    batch_bytes: 2048,
    buffer_bytes: 64,
};

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 20 * 1024,
    erase_bytes: 1024,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};

const BATCHES: u32 = 150;

fn mix(random: &mut Random) -> Mix {
    Mix {
        ids: 8 + random.below(36),
        operations: 1 + random.below(6),
        content_max: random.below(120),
        puts: 10 + random.below(40),
        links: 10 + random.below(50),
        hubs: random.one_in(2),
    }
}

/// One batch; whether it was written.
fn step(engine: &mut StorageEngine<'_, SimNor>, model: &mut Model, ops: &[Op], seed: u64) -> bool {
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    let mut next = model.clone();
    let expected = next.apply(ops);
    match engine.write(&operations) {
        Ok(_) => {
            assert!(expected, "seed {seed}: an expectation was not checked: {ops:?}");
            *model = next;
            true
        }
        Err(WriteError::Conflict { .. }) => {
            assert!(!expected, "seed {seed}: a conflict that is none: {ops:?}");
            false
        }
        Err(
            WriteError::Full { .. }
            | WriteError::NodesFull { .. }
            | WriteError::HubPagesFull { .. }
            | WriteError::BatchTooLarge { .. },
        ) => false,
        Err(error) => panic!("seed {seed}: {error}: {ops:?}"),
    }
}

/// A put whose content comes in pieces, and breaks off now and then; whether it was written.
fn put_from(
    engine: &mut StorageEngine<'_, SimNor>,
    model: &mut Model,
    random: &mut Random,
    (id, block): (BlockId, Block),
    seed: u64,
) -> bool {
    let Block { version, source_uri, metadata, content } = &block;
    let content_bytes = content.len() as u32;
    let incoming = IncomingBlock { id, version: *version, source_uri, metadata, content_bytes };
    let mut at = 0;
    let put = engine.put_from(&incoming, Expect::Any, |room| {
        if random.one_in(6) {
            return Err(());
        }
        let take = random.below(room.len() as u64) as usize + 1;
        room[..take].copy_from_slice(&content[at..at + take]);
        at += take;
        Ok(take)
    });
    match put {
        Ok(_) => {
            model.blocks.insert(id, block);
            true
        }
        Err(
            PutError::Source(())
            | PutError::Write(WriteError::Full { .. } | WriteError::NodesFull { .. }),
        ) => false,
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

/// Returns how many batches were written, and how full the pools of pending edges and hub pages ever were.
fn live(seed: u64) -> [u32; 3] {
    let mut random = Random::new(seed ^ 0x11FE);
    let mix = mix(&mut random);
    let durability = if random.one_in(2) { Durability::EveryBatch } else { Durability::OnSync };
    let config = Config { durability, seed: [seed, random.next()], ..Config::default() };
    let mut storage = SimNor::new(GEOMETRY, seed).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(3), segment_bytes: 1024 };
    format(&mut storage, &options).expect("format");
    let mut engine = open(storage, CAPACITY, config).expect("open");
    let (mut model, mut version, mut written) = (Model::default(), 0, 0);
    for _ in 0..BATCHES {
        let mut ops = mix.batch(&mut random, &mut version);
        let comes_in_pieces = random.one_in(4) && matches!(ops.last(), Some(Op::Put(..)));
        written += u32::from(match ops.pop() {
            Some(Op::Put(id, block, _)) if comes_in_pieces => {
                put_from(&mut engine, &mut model, &mut random, (id, block), seed)
            }
            last => {
                ops.extend(last);
                step(&mut engine, &mut model, &ops, seed)
            }
        });
    }
    let what = format!("seed {seed}, {mix:?}");
    verify(&mut engine, &what);
    check(&mut engine, &model, &mix, &what);
    let stats = engine.stats();
    let (mut storage, closed) = engine.close();
    closed.expect("close");
    assert!(storage.violations().is_empty(), "{what}: {:?}", storage.violations());
    storage.reopen();
    let mut engine = open(storage, CAPACITY, config).expect("reopen");
    verify(&mut engine, &what);
    check(&mut engine, &model, &mix, &what);
    [written, stats.pending_edges.high_water, stats.hub_pages.high_water]
}

#[test]
fn a_thousand_lives_of_a_store_without_a_panic() {
    let number = |name| env::var(name).ok().and_then(|number: String| number.parse().ok());
    let (first, cases) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("CASES").unwrap_or(1000)),
    };
    let lives: Vec<[u32; 3]> = (first..first + cases).map(live).collect();
    if cases > 1 {
        let written: u64 = lives.iter().map(|[written, ..]| u64::from(*written)).sum();
        assert!(written > cases * 60, "only {written} batches were written");
        let most = |column: usize| lives.iter().map(|life| life[column]).max();
        let full = [Some(CAPACITY.pending_edges), Some(CAPACITY.hub_pages)];
        assert_eq!([most(1), most(2)], full, "the pools never ran full");
    }
}
