//! What comes after a repair. Boards that repair themselves, in the memory that they have: what an opening
//! gave up after damage never keeps a later one from opening, wherever the repair was cut, and wherever the
//! damage has gone meanwhile.
//!
//! `KAUSAL_SWEEP=full` in the environment lets many more boards live.
#![cfg(test)]

use crate::common::power::{HUBS, Replay, SMALL, Scenario, sweep};
use crate::common::{Mix, Op, Random, all_ids, check, check_directions, read_all, region};
use kausaldb::state::Limit;
use kausaldb::{Capacity, Config, OnDamage, OpenError, StorageEngine};
use kausaldb_sim::{Shared, SimNor};

type Engine<'r> = StorageEngine<'r, Shared>;

/// Rings that turn soon, hubs whose lists page, and nodes that are deleted while many mention them.
const SCENARIOS: [Scenario; 5] = [
    Scenario { segments: 24, batches: 300, ..TINY },
    Scenario { segments: 16, ..HUBS },
    Scenario {
        segments: 32,
        batches: 400,
        mix: Mix { ids: 28, content_max: 30, puts: 5, links: 60, operations: 6, hubs: true },
        ..TINY
    },
    Scenario { segments: 32, batches: 300, mix: LINKED, ..TINY },
    Scenario { segments: 32, batches: 300, mix: Mix { ids: 12, hubs: false, ..LINKED }, ..TINY },
];
const LINKED: Mix = Mix { ids: 10, content_max: 10, puts: 3, links: 80, operations: 6, hubs: true };
const TINY: Scenario = Scenario { segment_bytes: 512, erase_bytes: 512, write_bytes: 4, ..SMALL };

/// A board boots so many times after its store was hurt; the first of them are cut, one in two.
const BOOTS: u32 = 30;
const BOOTS_CUT: u32 = 8;

/// What failed once, and is tried always: what an opening had given up was there again while the repair was
/// replayed, when the damage had gone with its segment, or was thought to be repaired, in places on which
/// nobody had counted.
const FAILED_ONCE: [(usize, u64); 3] = [(0, 208), (0, 281), (0, 1199)];

/// What boards came to.
#[derive(Debug, Default)]
struct Counts {
    boots: u64,
    /// Boots that met damage, or gave something up.
    damaged: u64,
    /// Boards that were repaired in the end.
    repaired: u64,
}

/// A board with little memory for what damage brings back.
fn capacity(scenario: &Scenario, seed: u64) -> Capacity {
    let (hub_pages, intents) = (3 + (seed % 4) as u32, 1 + (seed % 3) as u32);
    Capacity { pending_edges: 10, hub_pages, intents, ..scenario.capacity() }
}

/// Writes a random batch, if it is not refused.
fn write(
    engine: &mut Engine<'_>,
    mix: &Mix,
    (random, version): (&mut Random, &mut u64),
) -> Option<Vec<Op>> {
    let ops = mix.batch(random, version);
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    engine.write(&operations).is_ok().then_some(ops)
}

/// A medium with a store of the board, some of which is overwritten.
fn hurt_board(scenario: &Scenario, seed: u64, random: &mut Random, version: &mut u64) -> SimNor {
    let capacity = capacity(scenario, seed);
    let mut memory = region(&capacity);
    let held = Shared::new(scenario.device());
    let opened = StorageEngine::open(held.clone(), &mut memory, capacity, scenario.config());
    let mut engine = opened.expect("open");
    for _ in 0..20 + random.below(scenario.batches.into()) {
        write(&mut engine, &scenario.mix, (random, version));
    }
    overwrite(scenario, &held, 2 * u64::from(scenario.segment_bytes), random)
}

/// A medium with these bytes, up to so many of which are overwritten.
fn overwrite(scenario: &Scenario, held: &Shared, most: u64, random: &mut Random) -> SimNor {
    let mut image = held.with(|nor| nor.image().to_vec());
    let len = 1 + random.below(most);
    let at = random.below(image.len() as u64 - len) as usize;
    image[at..at + len as usize].fill(0xEE);
    SimNor::from_image(scenario.geometry(), image, len).expect("image")
}

/// The life of a board after its store was hurt: boots that are cut anywhere, then such as are not, of which
/// some find it hurt again. Nothing else is lost.
fn live(scenario: &Scenario, seed: u64, counts: &mut Counts) {
    let (mut random, mut version) = (Random::new(seed), 0);
    let (mix, capacity) = (&scenario.mix, capacity(scenario, seed));
    let config = Config { on_damage: OnDamage::Repair, ..scenario.config() };
    let mut memory = region(&capacity);
    let mut held = Shared::new(hurt_board(scenario, seed, &mut random, &mut version));
    let hurt_again = seed % 2 == 1;
    let mut model = None;
    for boot in 0..BOOTS {
        counts.boots += 1;
        if hurt_again && boot > BOOTS_CUT && random.one_in(6) {
            held = Shared::new(overwrite(scenario, &held, 200, &mut random));
            model = None;
        }
        let is_cut = boot < BOOTS_CUT && random.one_in(2);
        if is_cut {
            let steps = random.below(60);
            held.with(|nor| nor.cut_at(steps));
        }
        let mut engine = match StorageEngine::open(held.clone(), &mut memory, capacity, config) {
            Ok(engine) => engine,
            Err(OpenError::NoStore) => return,
            Err(error) => {
                assert!(is_cut, "boot {boot}: {error}");
                held.with(SimNor::power_on);
                continue;
            }
        };
        counts.damaged += u64::from(engine.stats().damaged > 0);
        if is_cut {
            for _ in 0..random.below(4) {
                write(&mut engine, mix, (&mut random, &mut version));
            }
            held.with(|nor| {
                nor.cancel_cut();
                nor.power_on();
            });
            model = None;
            continue;
        }
        assert_eq!(engine.damage(), None, "boot {boot}");
        match &model {
            Some(model) => check(&mut engine, model, mix, "later"),
            None => {
                // Lists that cannot be read, and blocks: they are the caller's to mend.
                engine.repair().expect("repair");
                for id in all_ids(mix) {
                    if engine.find_into(&id, &mut [0; 4096]).is_err() {
                        engine.delete(&id).expect("delete");
                    }
                }
            }
        }
        let mut shown = read_all(&mut engine, &all_ids(mix));
        for _ in 0..random.below(12) {
            if let Some(ops) = write(&mut engine, mix, (&mut random, &mut version)) {
                assert!(shown.apply(&ops), "a batch was written that must be refused");
            }
        }
        model = Some(shown);
    }
    counts.repaired += 1;
}

#[test]
fn a_board_that_repaired_itself_opens_ever_after() {
    let mut counts = Counts::default();
    for (kind, scenario) in SCENARIOS.iter().enumerate() {
        let failed = FAILED_ONCE.into_iter().filter(|failed| failed.0 == kind);
        for seed in (0..sweep(60, 6_000)).chain(failed.map(|failed| failed.1)) {
            let _replay = Replay(format!("kind {kind}, seed {seed}"));
            live(scenario, seed, &mut counts);
        }
    }
    println!("boards: {counts:?}");
    assert!(counts.damaged > counts.boots / 20, "{counts:?}");
}

#[test]
fn a_sound_store_that_needs_more_memory_is_refused_whatever_the_config() {
    let scenario = &SCENARIOS[1];
    let large = scenario.capacity();
    let mut memory = region(&large);
    let held = Shared::new(scenario.device());
    let config = Config { on_damage: OnDamage::Repair, ..scenario.config() };
    let mut engine = StorageEngine::open(held.clone(), &mut memory, large, config).expect("open");
    let (mut random, mut version) = (Random::new(1), 0);
    while engine.stats().pending_edges.used < 12 {
        write(&mut engine, &scenario.mix, (&mut random, &mut version));
    }
    let shown = read_all(&mut engine, &all_ids(&scenario.mix));
    drop(engine);
    let small = Capacity { pending_edges: 10, ..large };
    for _ in 0..3 {
        let refused = StorageEngine::open(held.clone(), &mut memory, small, config).err();
        let needs_more = matches!(
            refused,
            Some(OpenError::TooMany { what: Limit::PendingEdges, needed: 11, capacity: 10 })
        );
        assert!(needs_more, "{refused:?}");
    }
    let mut engine = StorageEngine::open(held, &mut memory, large, config).expect("open");
    check(&mut engine, &shown, &scenario.mix, "nothing was given up");
}

/// A device that is given less memory while its log holds damage that was repaired: what it has to give up is
/// mended right away, so that nothing stays unreadable or contradicts itself.
#[test]
fn what_does_not_fit_behind_repaired_damage_is_mended() {
    let scenario = &Scenario { segments: 24, ..SCENARIOS[1] };
    let (mix, large) = (&scenario.mix, scenario.capacity());
    let config = Config { on_damage: OnDamage::Repair, ..scenario.config() };
    let mut memory = region(&large);
    let (mut opened, mut gave_way) = (0, 0);
    for seed in 0..sweep(60, 2000) {
        let _replay = Replay(format!("less memory, seed {seed}"));
        let (mut random, mut version) = (Random::new(seed), 0);
        let held = Shared::new(scenario.device());
        let mut engine =
            StorageEngine::open(held.clone(), &mut memory, large, config).expect("open");
        for _ in 0..150 {
            write(&mut engine, mix, (&mut random, &mut version));
        }
        drop(engine);
        let held = Shared::new(overwrite(scenario, &held, 60, &mut random));
        let mut engine = StorageEngine::open(held.clone(), &mut memory, large, config)
            .expect("it repairs itself");
        // Lists that were hurt without a word about the rest are mended here, so that none is left.
        engine.repair().expect("repair");
        let pages = engine.stats().hub_pages.used;
        drop(engine);
        let small = Capacity { hub_pages: pages.saturating_sub(2), ..large };
        let mut engine = match StorageEngine::open(held, &mut memory, small, config) {
            Ok(engine) => engine,
            Err(OpenError::TooMany { what: Limit::HubPages, .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        opened += 1;
        gave_way += u32::from(engine.stats().hub_pages.used < pages);
        assert_eq!(engine.damage(), None);
        let count = engine.count_edges().expect("edges");
        assert_eq!(count.lists_unreadable, 0, "{count:?}");
        check_directions(&mut engine, &all_ids(mix));
    }
    println!("less memory: {opened} opened, {gave_way} of them gave something up");
    assert!(gave_way > 0, "no store had to give up anything");
}
