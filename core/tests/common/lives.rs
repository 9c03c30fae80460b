//! A store that lives several times: batches of every kind, moves ahead of time, a close or none, and the
//! next opening; each step of all of it is a cut point.

use super::moment::{Context, Counts, Watch};
use super::power::{Bench, Cut, Replay, Scenario, Tapped, Thinning, write};
use super::{Mix, Model, Op, Random, all_ids, check, verify};
use kausaldb::compaction::adjacency_entries_max;
use kausaldb::format::Layout;
use kausaldb::storage::Erased;
use kausaldb::{Durability, EdgeKind, GraphEdge, StorageEngine, StoreId};
use kausaldb_sim::SimNor;
use std::rc::Rc;

/// Batches between two openings.
const BATCHES_A_LIFE: u32 = 50;

/// What happened in all lives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lived {
    pub lives: u32,
    pub written: u32,
    /// Batches that the store had no room for.
    pub refused: u32,
    pub hub_pages: u32,
}

/// A store on flash of these sizes, so small that it is nearly full, and turns often.
pub fn matrix(write_bytes: u32, erase_bytes: u32) -> Scenario {
    // Of the least, 16 units, two hold no record: too few are left for a hub's pages beside all the rest.
    let least = write_bytes * 20;
    let sectors = if erase_bytes == 512 { 2 } else { 1 };
    let segment_bytes = (erase_bytes * sectors).max(least.next_multiple_of(erase_bytes));
    // One record takes a unit at least: a ring of large units needs more of them for the same batches.
    let segments = if segment_bytes > 64 << 10 { 9 } else { 12 };
    let content_max = (u64::from(segment_bytes) / 4 - 40).min(24 << 10);
    let usable = u64::from(segments - 5) * u64::from(segment_bytes);
    let block = content_max / 2 + 60 + u64::from(write_bytes);
    let ids = (usable / block).clamp(12, 30);
    let erased = if write_bytes % 8 == 4 { Erased::Zeros } else { Erased::Ones };
    Scenario {
        seed: u64::from(write_bytes) << 32 | u64::from(erase_bytes),
        segments,
        segment_bytes,
        erase_bytes,
        write_bytes,
        erased,
        keeps_write_order: true,
        durability: Durability::EveryBatch,
        mix: Mix { ids, operations: 5, content_max, puts: 42, links: 36, hubs: true },
        batches: 300,
    }
}

/// An edge of the first id, of many kinds: the first so many make a list that is paged.
fn hub_edge(scenario: &Scenario, n: u32) -> GraphEdge {
    let ids = all_ids(&scenario.mix);
    let target = ids[n as usize % ids.len()];
    GraphEdge { source: ids[0], kind: EdgeKind(100 + n as u16 / ids.len() as u16), target }
}

/// A store with a hub whose list takes pages.
fn with_hub(scenario: Scenario) -> (SimNor, Model, u32) {
    let (mut device, mut model) = (scenario.device(), Model::default());
    let layout = Layout::new(StoreId::from_u128(7), scenario.geometry(), scenario.segment_bytes);
    let edges = adjacency_entries_max(&layout.expect("layout")) * 9 / 8;
    let mut region = super::region(&scenario.capacity());
    let mut engine =
        StorageEngine::open(&mut device, &mut region, scenario.capacity(), scenario.config())
            .expect("open");
    for n in 0..edges {
        write(&mut engine, &mut model, &[Op::Link(hub_edge(&scenario, n))]);
    }
    engine.sync().expect("sync");
    device.reopen();
    (device, model, edges)
}

/// Lives through all batches. After each, `then` gets its cut points, and the states allowed at each.
pub fn lives(
    scenario: Scenario,
    thinning: Thinning,
    mut then: impl FnMut(&Cut, &[Model]),
) -> Lived {
    let _replay = Replay(format!("the run itself: {scenario:?}"));
    let mut random = Random::new(scenario.seed);
    let (capacity, config, mix) = (scenario.capacity(), scenario.config(), scenario.mix);
    let mut region = super::region(&capacity);
    let context = Rc::new(Context::default());
    let watch = Watch::new(StoreId::from_u128(7), scenario.geometry(), scenario.segment_bytes);
    let (device, mut model, hub_edges) = with_hub(scenario);
    let (storage, tape) = Tapped::new(device, thinning);
    let mut storage = storage.watched(watch, context.clone());
    let mut look = |states: &[Model]| tape.take().iter().for_each(|cut| then(cut, states));
    let (mut version, mut lived) = (0, Lived::default());
    while lived.written < scenario.batches {
        lived.lives += 1;
        context.recovery.set(true);
        context.newest.set(version);
        let opened = StorageEngine::open(storage, &mut region, capacity, config);
        let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
        look(std::slice::from_ref(&model));
        context.recovery.set(false);
        for _ in 0..BATCHES_A_LIFE {
            context.newest.set(version);
            let mut ops = mix.batch(&mut random, &mut version);
            if random.one_in(6) {
                let edge = hub_edge(&scenario, random.below(u64::from(hub_edges)) as u32);
                ops.push(if random.one_in(3) { Op::Unlink(edge) } else { Op::Link(edge) });
            }
            let before = model.clone();
            let written = write(&mut engine, &mut model, &ops);
            lived.written += u32::from(written);
            lived.refused += u32::from(!written);
            look(&[before, model.clone()]);
            context.open_intent.set(engine.stats().intents.used > 0);
            if random.one_in(12) {
                engine.compact(u64::from(scenario.segment_bytes)).expect("compact");
                look(std::slice::from_ref(&model));
            }
        }
        check(&mut engine, &model, &mix, "the run itself");
        verify(&mut engine, "the run itself");
        lived.hub_pages = lived.hub_pages.max(engine.stats().hub_pages.high_water);
        storage = if random.one_in(2) {
            let (storage, closed) = engine.close();
            closed.expect("close");
            storage.reopen()
        } else {
            engine.storage().reopen()
        };
        look(std::slice::from_ref(&model));
    }
    assert_eq!(storage.nor.violations(), []);
    lived
}

/// Cuts power at the steps of all lives, boots from each cut in every way, and checks that there were cuts in
/// every phase. Returns the bench, for its counts, and how many cuts there were in each phase.
pub fn single_cuts(scenario: Scenario, thinning: Thinning) -> (Bench, Counts) {
    let mut bench = Bench::new(scenario);
    let mut counts = Counts::default();
    let lived = lives(scenario, thinning, |cut, states| {
        counts.add(cut.moment);
        bench.try_all(&cut.device, states, Thinning::NONE);
    });
    assert_eq!(counts.missing(), [], "no cut fell there: {scenario:?}:{counts}");
    assert!(lived.hub_pages > 0, "no list was paged: {scenario:?}, {lived:?}");
    assert!(lived.refused > 0 && lived.lives < 20, "too much room, or too little: {lived:?}");
    (bench, counts)
}
