//! What comes after a repair. Boards that repair themselves, in the memory that they have: what an opening
//! gave up after damage never keeps a later one from opening, wherever the repair was cut, and wherever the
//! damage has gone meanwhile. And stores that are hurt again.
//!
//! `KAUSAL_SWEEP=full` in the environment lets many more boards live.
#![cfg(test)]

mod common;

use common::power::{HUBS, Replay, SMALL, Scenario, sweep};
use common::stories::{CONFIG, FILE, LARGE, NOR, PAGED, Shape, Story, records, story_of};
use common::{Mix, Op, Random, all_ids, check, check_directions, hurt, read_all, region};
use kausaldb::format::Kind;
use kausaldb::state::Limit;
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Finding, OnDamage, OpenError, ReadError, StorageEngine,
};
use kausaldb_sim::{Shared, SimNor};
use std::ops::Range;

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

/// Puts a block whose content is its version, over and over.
fn put(engine: &mut Engine<'_>, block: u128, version: u8) {
    let (id, content) = (BlockId::from_u128(block << 64 | 0x77), &[version; 24]);
    let (version, source_uri, metadata) = (version.into(), "", &[][..]);
    engine.put(&ContextBlock { id, version, source_uri, metadata, content }).expect("put");
}

/// The medium of a store that is closed, with the header of the block of this version overwritten.
fn hurt_version(scenario: &Scenario, (held, engine): (&Shared, Engine<'_>), version: u8) -> Shared {
    engine.close().1.expect("close");
    let mut image = held.with(|nor| nor.image().to_vec());
    let content = image.windows(24).position(|bytes| bytes == [version; 24]).expect("content");
    image[content - 24..content - 12].fill(0xEE);
    Shared::new(SimNor::from_image(scenario.geometry(), image, 1).expect("image"))
}

#[test]
fn damage_behind_what_a_repair_knew_of_is_no_past() {
    // Once the end of a repair made everything count that lay before it, also what was hurt later.
    let (scenario, a) = (&SMALL, BlockId::from_u128(1 << 64 | 0x77));
    let (capacity, config) = (scenario.capacity(), scenario.config());
    let mut memory = region(&capacity);
    let held = Shared::new(scenario.device());
    let mut engine =
        StorageEngine::open(held.clone(), &mut memory, capacity, config).expect("open");
    for (block, version) in [(1, 11), (2, 21), (3, 31), (1, 12), (3, 32)] {
        put(&mut engine, block, version);
    }
    let held = hurt_version(scenario, (&held, engine), 21);
    let mut engine =
        StorageEngine::open(held.clone(), &mut memory, capacity, config).expect("open");
    assert!(engine.damage().is_some());
    engine.repair().expect("repair");
    assert_eq!(engine.version(&a).expect("certain"), Some(12));
    let held = hurt_version(scenario, (&held, engine), 12);
    for on_damage in [OnDamage::Say, OnDamage::Refuse, OnDamage::Repair] {
        let config = Config { on_damage, ..config };
        let copy = held.with(|nor| nor.clone());
        match StorageEngine::open(Shared::new(copy), &mut memory, capacity, config) {
            Ok(mut engine) if on_damage == OnDamage::Say => {
                let answer = engine.find_into(&a, &mut [0; 512]).map(|_| ());
                assert!(matches!(answer, Err(ReadError::Degraded { .. })), "{answer:?}");
                let mut lost = 0;
                let on = |finding: Finding| lost += u32::from(finding.is_loss());
                engine.verify(on).expect("verify");
                assert!(lost > 0, "verify names nothing");
            }
            Ok(engine) => assert_eq!((on_damage, engine.damage()), (OnDamage::Repair, None)),
            Err(error) => {
                let is_degraded = matches!(error, OpenError::Degraded { .. });
                assert!(on_damage == OnDamage::Refuse && is_degraded, "{on_damage:?}: {error}");
            }
        }
    }
}

/// The store of a story after it was hurt, repaired, and written on, and whether it repaired itself, in the
/// memory that it had; `None` where damage cost nothing.
fn repaired(story: &Story, hurt: Range<usize>, random: &mut Random) -> Option<(Story, bool)> {
    let (shape, by_itself) = (story.shape, random.one_in(2));
    let mut image = story.image.clone();
    image[hurt].fill(0xEE);
    let (mix, capacity) = (story.mix, if by_itself { shape.capacity() } else { shape.ample() });
    let on_damage = if by_itself { OnDamage::Repair } else { OnDamage::Say };
    let mut memory = region(&capacity);
    let config = Config { on_damage, ..CONFIG };
    let opened = StorageEngine::open(shape.device(&image), &mut memory, capacity, config);
    let mut engine = opened.ok().filter(|engine| engine.stats().damaged > 0)?;
    engine.repair().expect("repair");
    for id in hurt::unreadable(&mut engine, &mix) {
        engine.delete(&id).expect("delete");
    }
    let mut states = vec![read_all(&mut engine, &all_ids(&mix))];
    let mut version = 1 << 40;
    for _ in 0..random.below(20) {
        let mut next = states[0].clone();
        hurt::write(&mut engine, &mut next, &mix.batch(random, &mut version));
        states.insert(0, next);
    }
    let (storage, closed) = engine.close();
    closed.expect("close");
    Some((Story::new(shape, mix, storage.image().to_vec(), (image, states)), by_itself))
}

/// Anywhere; in large segments where a record starts.
fn near(story: &Story, random: &mut Random, len: usize) -> usize {
    let anywhere = random.below((story.image.len() - len) as u64) as usize;
    let start = anywhere - anywhere % story.shape.segment;
    let records = records(&story.image[start..start + story.shape.segment]);
    let pick = records.get(random.below(records.len() as u64) as usize);
    pick.filter(|_| story.shape.is_large()).map_or(anywhere, |(span, _)| start + span.start)
}

/// Once the end of a repair made everything count that lay before the last place that it knew of, or in one
/// span with it, also what was hurt later: then a store showed an older version, or a block that was deleted,
/// without a word.
#[test]
fn what_is_hurt_after_a_repair_is_no_past_wherever_it_lies() {
    for (kind, shape) in [NOR, FILE, PAGED, LARGE].into_iter().enumerate() {
        let (mut images, mut refused) = (0, 0);
        for seed in 0..sweep(16, 400) {
            let (story, mut random) = (story_of(shape, seed % 8), Random::new(seed));
            let len = 1 + random.below(60) as usize;
            let first = near(&story, &mut random, len);
            let repaired = repaired(&story, first..first + len, &mut random);
            let Some((story, is_board)) = repaired else { continue };
            let mut memory = story.region();
            let of_repair: Vec<_> = (0..story.image.len())
                .step_by(shape.segment)
                .flat_map(|start| {
                    let records = records(&story.image[start..start + shape.segment]);
                    let says = |header: Kind| header == Kind::Damage;
                    let said = records.into_iter().filter(move |(_, of)| says(of.tag.kind()));
                    said.map(move |(span, _)| start + span.start)
                })
                .collect();
            for attempt in 0..60 / shape.one_in {
                let _replay = Replay(format!("hurt again, kind {kind}, {seed}.{attempt}"));
                let mut random = Random::new(seed << 32 | attempt);
                let len = 1 + random.below(40) as usize;
                let at = match random.below(4) {
                    // Near what was hurt first, be it in one span with it.
                    0 | 1 => (first + random.below(140) as usize).saturating_sub(70),
                    2 => near(&story, &mut random, len),
                    _ => of_repair
                        .get(random.below(of_repair.len() as u64) as usize)
                        .copied()
                        .unwrap_or(first),
                };
                let mut image = story.image.clone();
                let fill = [0x00, 0xFF, random.next() as u8][random.below(3) as usize];
                image.iter_mut().skip(at).take(len).for_each(|byte| *byte = fill);
                // Where the newest group or header is hit, the past is conceded.
                if story.conceded(&image).len() > 1 {
                    continue;
                }
                images += 1;
                refused += u32::from(hurt::asks(&story, &image, &mut memory) > Some(0));
                hurt::go_on(&story, &image, attempt, is_board);
            }
        }
        println!("hurt again, {}: {images} images, {refused} refused something", shape.name);
        assert!(refused > images / 10, "{}: {refused} of {images}", shape.name);
    }
}

/// Where a segment has lost its header, nothing but the repair tells which one came before it, and where that
/// ends.
#[test]
fn a_segment_before_one_without_a_header_is_not_lost_without_a_word() {
    let mut images = 0;
    for seed in 0..sweep(8, 40) {
        // The ring has turned.
        let story = story_of(Shape { batches: 400, ids: 28, ..NOR }, seed);
        for header in (0..story.image.len()).step_by(NOR.segment) {
            let mut random = Random::new(seed);
            let Some((story, is_board)) = repaired(&story, header..header + 40, &mut random) else {
                continue;
            };
            let mut memory = story.region();
            for lost in (0..story.image.len()).step_by(NOR.segment) {
                let _replay = Replay(format!("story {seed}, {header}, then {lost}"));
                let mut image = story.image.clone();
                image[lost..lost + NOR.segment].fill(0xFF);
                if story.conceded(&image).len() == 1 {
                    hurt::asks(&story, &image, &mut memory);
                    hurt::go_on(&story, &image, seed, is_board);
                    images += 1;
                }
            }
        }
    }
    println!("lost before one without a header: {images} images");
}
