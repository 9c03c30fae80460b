//! Stores that are hurt again after a repair: what is hurt later is not taken for what was repaired, wherever
//! it lies, and neither is what was lost and is back.
//!
//! `KAUSAL_SWEEP=full` in the environment takes many more stores.
#![cfg(test)]

use crate::common::power::{Replay, SMALL, Scenario, sweep};
use crate::common::stories::{CONFIG, FILE, LARGE, NOR, PAGED, Shape, Story, records, story_of};
use crate::common::{Random, all_ids, hurt, read_all, region};
use kausaldb::format::Kind;
use kausaldb::{
    BlockId, Config, ContextBlock, Finding, OnDamage, OpenError, ReadError, StorageEngine,
};
use kausaldb_sim::{Shared, SimNor};
use std::ops::Range;

type Engine<'r> = StorageEngine<'r, Shared>;

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
                    let said = records.into_iter().filter(|(_, of)| of.tag.kind() == Kind::Damage);
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
    assert!(images > 500, "{images} images");
}

/// A storage that could not be read for a while, and a store that was repaired meanwhile: what the repair
/// made count is not what is there.
#[test]
fn what_is_back_after_a_repair_is_no_past() {
    for shape in [NOR, FILE, PAGED] {
        let (mut images, mut refused) = (0, 0);
        for seed in 0..sweep(60, 2000) {
            let (story, mut random) = (story_of(shape, seed % 8), Random::new(seed));
            let len = 1 + random.below(200) as usize;
            let lost = near(&story, &mut random, len);
            let lost = lost..lost + len;
            let Some((after, is_board)) = repaired(&story, lost.clone(), &mut random) else {
                continue;
            };
            let mut image = after.image.clone();
            // Some of it at least, or all.
            let from = if random.one_in(3) { lost.start + len / 2 } else { lost.start };
            for at in (from..lost.end).filter(|at| after.image[*at] == 0xEE) {
                image[at] = story.image[at];
            }
            if after.conceded(&image).len() > 1 {
                continue;
            }
            let _replay = Replay(format!("{}, {seed}: {lost:?} is back from {from}", shape.name));
            let mut memory = after.region();
            images += 1;
            refused += u32::from(hurt::asks(&after, &image, &mut memory) > Some(0));
            hurt::go_on(&after, &image, seed, is_board);
        }
        println!("back, {}: {images} images, {refused} refused something", shape.name);
        assert!(refused > 0, "{}: nothing was back", shape.name);
    }
}

/// Whether openings say that the store of an image is degraded: a reader's, one that says so, and one that
/// refuses it.
fn is_degraded(shape: &Shape, image: &[u8]) -> [bool; 3] {
    let (capacity, mut memory) = (shape.ample(), region(&shape.ample()));
    let device = shape.device(image);
    let reader = StorageEngine::open_read_only(device, &mut memory, capacity, CONFIG);
    let reads = reader.expect("it opens").damage().is_some();
    let say = StorageEngine::open(shape.device(image), &mut memory, capacity, CONFIG);
    let say = say.expect("it opens").damage().is_some();
    let config = Config { on_damage: OnDamage::Refuse, ..CONFIG };
    let refuse = StorageEngine::open(shape.device(image), &mut memory, capacity, config);
    let is_refused = matches!(&refuse, Err(OpenError::Degraded { .. }));
    assert!(is_refused || refuse.is_ok(), "{:?}", refuse.err());
    [reads, say, is_refused]
}

/// Once an opening that refuses degraded stores looked for what a repair had said in the newest segment in a
/// way of its own, and did not see the last record.
#[test]
fn an_opening_that_refuses_agrees_with_one_that_says() {
    let (mut images, mut degraded) = (0, 0);
    for shape in [NOR, FILE, PAGED] {
        for seed in 0..sweep(12, 200) {
            let (story, mut random) = (story_of(shape, seed % 8), Random::new(seed));
            let mut image = story.image.clone();
            let at = near(&story, &mut random, 60);
            image[at..at + 60].fill(0xEE);
            let mut agree = |image: &[u8], what: &str| {
                let _replay = Replay(format!("{}, {seed}, {what}", shape.name));
                let [reads, say, refuse] = is_degraded(&shape, image);
                assert_eq!([reads, say], [say, refuse]);
                images += 1;
                degraded += u32::from(say);
            };
            agree(&image, "hurt");
            let (capacity, mut memory) = (shape.ample(), region(&shape.ample()));
            let opened = StorageEngine::open(shape.device(&image), &mut memory, capacity, CONFIG);
            let mut engine = opened.expect("it opens");
            let steps = random.below(40);
            let mut cut = engine.storage().clone();
            engine.repair().expect("repair");
            let image = engine.storage().image().to_vec();
            agree(&image, "repaired, not closed");
            cut.cut_at(steps);
            let mut cut = StorageEngine::open(cut, &mut memory, capacity, CONFIG);
            let _ = cut.as_mut().map(|engine| engine.repair().is_ok());
            if let Ok(engine) = cut {
                agree(engine.storage().image(), "a repair that was cut");
            }
            let after = Story::new(shape, story.mix, image, (Vec::new(), Vec::new()));
            let newest = after.newest..after.newest + shape.segment;
            for (span, _) in records(&after.image[newest]).iter().step_by(3) {
                let mut image = after.image.clone();
                image[after.newest + span.start + 1] ^= 4;
                agree(&image, &format!("repaired, one bit at {}", after.newest + span.start + 1));
            }
        }
    }
    println!("openings that refuse: {images} images, {degraded} degraded");
    assert!(degraded > 20 && images > 5 * degraded, "{degraded} of {images}");
}

/// What is hurt while the store is open is not what an earlier repair knew of, if it is in the same segment.
#[test]
fn verify_tells_what_is_hurt_now_from_what_was_repaired() {
    let mut tries = 0;
    for seed in 0..sweep(30, 300) {
        let (story, mut random) = (story_of(NOR, seed % 8), Random::new(seed));
        let start = random.below(NOR.segments() as u64) as usize * NOR.segment;
        let mut image = story.image.clone();
        let first = start + NOR.first();
        image[first..first + 12].fill(0xEE);
        let (capacity, mut memory) = (NOR.ample(), region(&NOR.ample()));
        let held = Shared::new(NOR.device(&image));
        let opened = StorageEngine::open(held.clone(), &mut memory, capacity, CONFIG);
        let Some(mut engine) = opened.ok().filter(|engine| engine.damage().is_some()) else {
            continue;
        };
        engine.repair().expect("repair");
        let verified = engine.verify(|_| ()).expect("verify");
        assert_eq!(verified.lost, 0, "{verified:?}");
        if verified.harmless == 0 {
            // The tail has passed it.
            continue;
        }
        // The header, which the opening has read.
        let sound = held.with(|nor| nor.image()[start..start + 8].to_vec());
        held.with(|nor| nor.image_mut()[start..start + 8].fill(0xEE));
        let verified = engine.verify(|_| ()).expect("verify");
        assert!(verified.lost > 0, "story {seed}: {verified:?}");
        held.with(|nor| nor.image_mut()[start..start + 8].copy_from_slice(&sound));
        // The records of blocks that are needed.
        for (span, header) in records(&story.image[start..start + NOR.segment]) {
            let at = start + span.start;
            if header.tag.kind() != Kind::Block || image[at..at + 8] != story.image[at..at + 8] {
                continue;
            }
            let id = *header.record.id().expect("a block has one");
            let sound = held.with(|nor| nor.image()[at..at + 8].to_vec());
            held.with(|nor| nor.image_mut()[at..at + 8].fill(0xEE));
            let is_lost = engine.find_into(&id, &mut [0; 4096]).is_err();
            let verified = engine.verify(|_| ()).expect("verify");
            assert_eq!(verified.lost > 0, is_lost, "story {seed}, {id}: {verified:?}");
            tries += u32::from(is_lost);
            held.with(|nor| nor.image_mut()[at..at + 8].copy_from_slice(&sound));
        }
    }
    assert!(tries > 10, "{tries} blocks were needed");
}
