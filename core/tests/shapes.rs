//! Random geometries: what the store shows is what the model holds, whatever the medium's sizes and
//! manners, wherever the region starts, and however often the engine is moved meanwhile.
//!
//! A failure prints the seed of its case; `SEED=n` runs that case alone, `CASES=n` more of them.
#![cfg(test)]

use crate::common::{Block, Mix, Model, Op, Random, all_ids, check, region, verify};
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{
    Capacity, Config, Durability, Expect, FormatOptions, OpenError, StorageEngine, StoreId,
    WriteError, format,
};
use kausaldb_sim::SimNor;
use std::env;
use std::mem::{MaybeUninit, swap};

/// Where regions are aligned to, in bytes.
const ALIGN: usize = 64;

/// One random case.
#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    geometry: Geometry,
    segment_bytes: u32,
    capacity: Capacity,
    config: Config,
    mix: Mix,
}

fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let write_bytes = 1u32 << random.below(9);
    let erase_bytes = (512 << random.below(6)).max(write_bytes);
    let least = (write_bytes * 16).max(erase_bytes);
    // Up to four sectors a segment, of 64 KiB at most beyond the least.
    let segment_bytes = least.next_multiple_of(erase_bytes) * (1 + random.below(4) as u32);
    let segments = 8 + random.below(57) as u32;
    let erased = [Erased::Ones, Erased::Zeros, Erased::Unknown][random.below(3) as usize];
    let geometry = Geometry {
        capacity_bytes: u64::from(segments) * u64::from(segment_bytes),
        erase_bytes,
        write_bytes,
        erased,
        keeps_write_order: random.one_in(2),
    };
    let capacity = Capacity {
        nodes: 16 + random.below(60) as u32,
        pending_edges: 4 + random.below(60) as u32,
        hub_pages: random.below(20) as u32,
        intents: 1 + random.below(6) as u32,
        segments: segments + random.below(3) as u32,
        segment_bytes: segment_bytes + random.below(2) as u32,
        block_bytes: 1 << 12,
        batch_operations: 8,
        batch_bytes: 1 << 14,
        buffer_bytes: write_bytes * (1 + random.below(9) as u32),
    };
    let durability = if random.one_in(2) { Durability::EveryBatch } else { Durability::OnSync };
    let config = Config { durability, seed: [random.next(), seed], ..Config::default() };
    let mix = Mix {
        ids: 10 + random.below(60),
        operations: 1 + random.below(8),
        content_max: u64::from(segment_bytes) / (4 + random.below(60)),
        puts: 20 + random.below(40),
        links: 20 + random.below(20),
        hubs: random.one_in(3),
    };
    Case { seed, geometry, segment_bytes, capacity, config, mix }
}

/// The seeds of a test: so many, or the one that is asked for.
fn seeds(cases: u64) -> Vec<u64> {
    let number = |name| env::var(name).ok().and_then(|number: String| number.parse().ok());
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("CASES").unwrap_or(cases)).collect(),
    }
}

fn formatted(case: &Case) -> SimNor {
    let mut storage = SimNor::new(case.geometry, case.seed).expect("geometry");
    let store = StoreId::from_u128(u128::from(case.seed));
    let options = FormatOptions { store, segment_bytes: case.segment_bytes };
    format(&mut storage, &options).unwrap_or_else(|error| panic!("{case:?}: {error}"));
    storage
}

fn open<'r>(
    storage: SimNor,
    region: &'r mut [MaybeUninit<u8>],
    case: &Case,
) -> StorageEngine<'r, SimNor> {
    StorageEngine::open(storage, region, case.capacity, case.config)
        .unwrap_or_else(|error| panic!("{case:?}: {error}"))
}

/// Writes a random batch to engine and model; whether it was written.
fn step<S: Storage>(
    engine: &mut StorageEngine<'_, S>,
    model: &mut Model,
    case: &Case,
    random: &mut Random,
    version: &mut u64,
) -> bool {
    let ops = case.mix.batch(random, version);
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    let mut next = model.clone();
    let expected = next.apply(&ops);
    match engine.write(&operations) {
        Ok(_) => {
            assert!(expected, "{case:?}: an expectation was not checked");
            *model = next;
            return true;
        }
        Err(WriteError::Conflict { .. }) => assert!(!expected, "{case:?}: a conflict that is none"),
        Err(
            WriteError::Full { needed: number, free: limit }
            | WriteError::NodesFull { needed: number, capacity: limit }
            | WriteError::HubPagesFull { needed: number, capacity: limit }
            | WriteError::BlockTooLarge { len: number, max: limit }
            | WriteError::BatchTooLarge { len: number, max: limit, .. },
        ) => assert!(number > limit, "{case:?}: {number} is within {limit}: {ops:?}"),
        Err(error) => panic!("{case:?}: {error}: {ops:?}"),
    }
    false
}

fn run(case: &Case, batches: u32) -> u32 {
    let mut random = Random::new(case.seed ^ 0x5EED);
    let (mut model, mut version, mut written) = (Model::default(), 0, 0);
    let mut storage = formatted(case);
    let mut memory = region(&case.capacity);
    memory.resize(memory.len() + ALIGN, MaybeUninit::uninit());
    for opening in 0..5 {
        let offset = random.below(ALIGN as u64) as usize;
        let bytes = case.capacity.region_bytes();
        let mut engine = open(storage, &mut memory[offset..offset + bytes], case);
        let what = format!("opening {opening}, {case:?}");
        assert_eq!(engine.stats().damaged, 0, "{what}");
        for _ in 0..batches / 5 {
            written += u32::from(step(&mut engine, &mut model, case, &mut random, &mut version));
        }
        check(&mut engine, &model, &case.mix, &what);
        verify(&mut engine, &what);
        let (back, closed) = engine.close();
        closed.expect("close");
        assert!(back.violations().is_empty(), "{what}: {:?}", back.violations());
        storage = back;
        storage.reopen();
    }
    written
}

#[test]
fn any_medium_shows_what_the_model_holds() {
    let seeds = seeds(150);
    let written: u32 = seeds.iter().map(|seed| run(&case(*seed), 300)).sum();
    assert!(u64::from(written) > seeds.len() as u64 * 100, "only {written} batches were written");
}

#[test]
fn a_region_of_the_size_that_capacity_says_is_enough_wherever_it_starts() {
    for seed in 0..8 {
        let case = case(seed);
        let bytes = case.capacity.region_bytes();
        let mut storage = formatted(&case);
        let mut memory = vec![MaybeUninit::uninit(); bytes + ALIGN];
        for offset in 0..ALIGN {
            let mut engine = open(storage, &mut memory[offset..offset + bytes], &case);
            verify(&mut engine, "an empty store");
            (storage, _) = engine.close();
            storage.reopen();
        }
        for offset in [0, 1, 17, 63] {
            for missing in 1..=ALIGN {
                let short = &mut memory[offset..offset + bytes - missing];
                let opened = StorageEngine::open(&mut storage, short, case.capacity, case.config);
                let (needed_bytes, given_bytes) = (bytes, bytes - missing);
                let error = opened.err().expect("opens");
                assert_eq!(error, OpenError::Region { needed_bytes, given_bytes }, "{case:?}");
            }
        }
    }
}

/// Bug: acknowledged writes were gone after the second opening. Cause: the page of the index was
/// full between the two marks by which a fresh segment counts, so that they did not lie side by
/// side, and the segment did not count. Fix: what stands between them is counted without index
/// pages.
#[test]
fn an_index_page_may_be_full_at_any_record_of_an_opening() {
    for blocks in 1..140 {
        let geometry = Geometry {
            capacity_bytes: 30 << 15,
            erase_bytes: 1 << 15,
            write_bytes: 4,
            erased: Erased::Ones,
            keeps_write_order: true,
        };
        let mix = Mix { ids: 200, ..Mix::default() };
        let capacity = Capacity { hub_pages: 0, segment_bytes: 1 << 15, ..Capacity::SMALL };
        let (segment_bytes, config) = (1 << 15, Config::default());
        let case = Case { seed: blocks, geometry, segment_bytes, capacity, config, mix };
        let mut memory = region(&capacity);
        let mut storage = formatted(&case);
        let mut model = Model::default();
        let ids = all_ids(&mix);
        for ids in [&ids[..blocks as usize], &ids[199..]] {
            let mut engine = open(storage, &mut memory, &case);
            check(&mut engine, &model, &mix, &format!("{blocks} blocks"));
            for id in ids {
                let (source_uri, metadata, content) = (String::new(), vec![], vec![]);
                let block = Block { version: blocks, source_uri, metadata, content };
                let ops = [Op::Put(*id, block, Expect::Any)];
                engine.write(&[ops[0].borrow()]).expect("put");
                assert!(model.apply(&ops));
            }
            (storage, _) = engine.close();
            storage.reopen();
        }
        let mut engine = open(storage, &mut memory, &case);
        check(&mut engine, &model, &mix, &format!("{blocks} blocks and one"));
    }
}

/// An engine holds no pointer to itself: it is moved by value, into a box and out of it, and
/// swapped with another.
#[test]
fn an_engine_can_be_moved_between_any_two_calls() {
    // Miri takes the first of the small media, and a few turns.
    let (media_bytes, cases, turns) =
        if cfg!(miri) { (48 << 10, 1, 12) } else { (u64::MAX, 12, 300) };
    let fits = |seed: &u64| case(*seed).geometry.capacity_bytes <= media_bytes;
    for seed in seeds(100).into_iter().filter(fits).take(cases) {
        let case = case(seed);
        let mut random = Random::new(seed);
        let mut memory = [region(&case.capacity), region(&case.capacity)];
        let [left, right] = &mut memory;
        let mut engine = open(formatted(&case), left, &case);
        let mut other = open(formatted(&case), right, &case);
        let (mut model, mut other_model) = (Model::default(), Model::default());
        let mut version = 0;
        for turn in 0..turns {
            step(&mut engine, &mut model, &case, &mut random, &mut version);
            match random.below(4) {
                0 => {
                    let moved = Box::new(engine);
                    let mut moved_again = [None, Some(*moved)];
                    engine = moved_again[1].take().expect("it was put there");
                }
                1 => {
                    swap(&mut engine, &mut other);
                    swap(&mut model, &mut other_model);
                }
                _ => {}
            }
            if turn % 60 == 0 {
                check(&mut engine, &model, &case.mix, &format!("{case:?}"));
            }
        }
        for (engine, model) in [(&mut engine, &model), (&mut other, &other_model)] {
            verify(engine, &format!("{case:?}"));
            check(engine, model, &case.mix, &format!("{case:?}"));
        }
    }
}
