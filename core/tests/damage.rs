//! Damage to the image of a closed store: one flipped bit is mended; whatever else is hurt, the store opens,
//! every answer is right or says that it is not known, and after a repair the store goes on.
//!
//! `KAUSAL_SWEEP=full` in the environment flips every bit, and takes many more seeds.
#![cfg(test)]

mod common;

use common::power::{Lent, Replay, sweep};
use common::{Block, Mix, Model, Op, Random, all_ids, check, read_all, region};
use kausaldb::format::FoundHeader;
use kausaldb::state::Limit;
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, EdgeKind, Finding, FormatOptions,
    GraphEdge, OnDamage, OpenError, StorageEngine, StoreId, Verify, format,
};
use kausaldb_sim::SimNor;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;

const SEGMENT: usize = 1024;
const SEGMENTS: usize = 16;
/// Length of a segment's header, in bytes.
const HEADER: usize = 84;
/// Bytes of the last mark that are not padding.
const LAST_MARK: usize = 5;
const GEOMETRY: Geometry = Geometry {
    capacity_bytes: (SEGMENTS * SEGMENT) as u64,
    erase_bytes: SEGMENT as u32,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};
const CAPACITY: Capacity = Capacity { nodes: 32, pending_edges: 16, ..Capacity::SMALL };
/// Memory for what a log may need from which damage took what made room.
const AMPLE: Capacity = Capacity { pending_edges: 256, hub_pages: 64, intents: 64, ..CAPACITY };
const CONFIG: Config = Config {
    verify: Verify::EveryRead,
    durability: kausaldb::Durability::EveryBatch,
    on_damage: OnDamage::Say,
    seed: [0; 2],
};

type Engine<'r> = StorageEngine<'r, SimNor>;

/// The image of a closed store with a little of everything, and how it came to be.
struct Story {
    image: Vec<u8>,
    /// An earlier image, from the middle of the story.
    earlier: Vec<u8>,
    /// What the store held after each batch, the newest first.
    states: Vec<Model>,
    /// Where the newest segment starts in the image, and where its records end.
    newest: usize,
    end: usize,
    mix: Mix,
}

fn story(seed: u64) -> Story {
    let mix = Mix { ids: 12, content_max: 60, hubs: seed % 2 == 1, ..Mix::default() };
    let mut random = Random::new(seed);
    let mut storage = SimNor::new(GEOMETRY, seed).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(3), segment_bytes: SEGMENT as u32 };
    format(&mut storage, &options).expect("format");
    let mut memory = region(&CAPACITY);
    let mut engine = StorageEngine::open(storage, &mut memory, CAPACITY, CONFIG).expect("open");
    let (mut states, mut version) = (vec![Model::default()], 0);
    let mut earlier = Vec::new();
    for batch in 0..120 {
        let ops = mix.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
        let sequence = engine.sequence();
        if engine.write(&operations).is_ok_and(|after| after != sequence) {
            let mut next = states[0].clone();
            assert!(next.apply(&ops));
            states.insert(0, next);
        }
        if batch == 60 {
            earlier = engine.storage().image().to_vec();
        }
    }
    let (storage, closed) = engine.close();
    closed.expect("close");
    let image = storage.image().to_vec();
    let number =
        |at: &usize| FoundHeader::parse(&image[*at..]).map_or(0, |found| found.segment.number);
    let newest = (0..SEGMENTS).map(|slot| slot * SEGMENT).max_by_key(number).unwrap_or(0);
    let is_blank = |byte: &u8| *byte == 0xFF;
    let blank =
        image[newest..newest + SEGMENT].iter().rev().take_while(|byte| is_blank(byte)).count();
    Story { earlier, states, newest, end: SEGMENT - blank, image, mix }
}

impl Story {
    /// The states that a hurt image may show without a word. Where all that lies at the end of the log is
    /// hurt, up to its last mark, that cannot be told from a tear; where the newest segment's header is gone,
    /// only what follows it tells that it ever counted.
    fn conceded(&self, image: &[u8]) -> &[Model] {
        let is_hurt = |from: usize, len: usize| {
            let span = self.newest + from..self.newest + from + len;
            image[span.clone()] != self.image[span]
        };
        let is_gone = is_hurt(0, HEADER);
        let lacks_end = is_hurt(self.end - LAST_MARK, LAST_MARK);
        if is_gone || lacks_end { &self.states } else { &self.states[..1] }
    }
}

/// What a store answers, question by question.
#[derive(Default)]
struct Answers {
    blocks: BTreeMap<BlockId, Option<Block>>,
    /// Edges in one direction, and whether they are all.
    edges: BTreeMap<(BlockId, Direction), (BTreeSet<GraphEdge>, bool)>,
    /// Questions that were refused.
    refused: u32,
}

impl Answers {
    fn of(engine: &mut Engine<'_>, mix: &Mix) -> Self {
        let (mut answers, mut scratch) = (Self::default(), [0; 512]);
        for id in all_ids(mix) {
            match engine.find_into(&id, &mut scratch) {
                Ok(found) => {
                    let block = found.map(|block| Block {
                        version: block.version(),
                        source_uri: block.source_uri().into(),
                        metadata: block.metadata().into(),
                        content: block.content().into(),
                    });
                    answers.blocks.insert(id, block);
                }
                Err(_) => answers.refused += 1,
            }
            for direction in Direction::BOTH {
                let reader = engine.reader_through(&mut scratch);
                let (mut of_node, mut all) = (BTreeSet::new(), false);
                if let Ok(mut edges) = reader.edges(&id, direction, None) {
                    all = loop {
                        match edges.next() {
                            Ok(Some(edge)) => assert!(of_node.insert(edge), "{edge:?} twice"),
                            Ok(None) => break true,
                            Err(_) => break false,
                        }
                    };
                }
                answers.refused += u32::from(!all);
                answers.edges.insert((id, direction), (of_node, all));
            }
        }
        answers
    }

    /// The first answer that is not what the model holds.
    fn lie(&self, model: &Model) -> Option<String> {
        for (id, shown) in &self.blocks {
            let held = model.blocks.get(id);
            if shown.as_ref() != held {
                return Some(format!("{id} shows {shown:?}, and is {held:?}"));
            }
        }
        for ((id, direction), (shown, all)) in &self.edges {
            let of_node = |edge: &&GraphEdge| match direction {
                Direction::Out => edge.source == *id,
                Direction::In => edge.target == *id,
            };
            let held: BTreeSet<_> = model.edges.iter().filter(of_node).copied().collect();
            if !shown.is_subset(&held) || *all && *shown != held {
                return Some(format!("{id} {direction:?} shows {shown:?}, and has {held:?}"));
            }
        }
        None
    }
}

/// The ids that a store says nothing certain about, from the first question that was refused.
fn unreadable(engine: &mut Engine<'_>, mix: &Mix) -> Vec<BlockId> {
    let answers = Answers::of(engine, mix);
    let is_known = |id: &BlockId| {
        answers.blocks.contains_key(id)
            && Direction::BOTH.iter().all(|way| answers.edges[&(*id, *way)].1)
    };
    all_ids(mix).into_iter().filter(|id| !is_known(id)).collect()
}

/// A device with a hurt image.
fn device(image: &[u8]) -> SimNor {
    SimNor::from_image(GEOMETRY, image.to_vec(), 0).expect("image")
}

/// What a hurt image answers is right, or is refused; returns how many questions are. `None` if it is no
/// store any more.
fn asks(story: &Story, image: &[u8], memory: &mut [MaybeUninit<u8>]) -> Option<u32> {
    let opened = StorageEngine::open_read_only(device(image), memory, AMPLE, CONFIG);
    let mut engine = match opened {
        Err(OpenError::NoStore) => return None,
        opened => opened.unwrap_or_else(|error| panic!("does not open to read: {error}")),
    };
    let answers = Answers::of(&mut engine, &story.mix);
    let is_true = story.conceded(image).iter().any(|state| answers.lie(state).is_none());
    assert!(is_true, "{:?}, {:?}", answers.lie(&story.states[0]), engine.damage());
    Some(answers.refused)
}

/// Opens a hurt image for writing, repairs it, and goes on with it.
fn go_on(story: &Story, image: &[u8], seed: u64, repairs_itself: bool) {
    let mix = &story.mix;
    let on_damage = if repairs_itself { OnDamage::Repair } else { OnDamage::Say };
    // A board has the memory that it has; on a host there is more.
    let capacity = if repairs_itself { CAPACITY } else { AMPLE };
    let config = Config { on_damage, ..CONFIG };
    let mut memory = region(&capacity);
    let opened = StorageEngine::open(device(image), &mut memory, capacity, config);
    let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
    if engine.damage().is_some() {
        assert!(!repairs_itself, "it was not repaired");
        let refused = engine.delete(&all_ids(mix)[0]);
        assert!(refused.is_err(), "a degraded store is written");
    }
    // A list that cannot be read is no reason to refuse everything else, but is repaired with it.
    engine.repair().unwrap_or_else(|error| panic!("repair: {error}"));
    assert_eq!(engine.damage(), None);
    let contradictions = contradictions(&mut engine);
    assert!(contradictions.is_empty(), "{contradictions:?}");
    // Blocks of which the key is known and the content is not are the caller's to delete.
    for id in unreadable(&mut engine, mix) {
        engine.delete(&id).unwrap_or_else(|error| panic!("delete: {error}"));
    }
    let mut model = read_all(&mut engine, &all_ids(mix));
    check(&mut engine, &model, mix, "after the repair");
    let (mut random, mut version) = (Random::new(seed), 1 << 40);
    for _ in 0..60 {
        let ops = mix.batch(&mut random, &mut version);
        write(&mut engine, &mut model, &ops);
    }
    check(&mut engine, &model, mix, "later");
    let (storage, closed) = engine.close();
    closed.expect("close");
    let image = storage.image().to_vec();
    let opened = StorageEngine::open(device(&image), &mut memory, capacity, config);
    let mut engine = opened.expect("open again");
    assert_eq!(engine.damage(), None);
    check(&mut engine, &model, mix, "reopened");
    let sum = engine.verify(|_| ()).expect("verify");
    assert_eq!(sum.blocks as usize, model.blocks.len());
}

fn write(engine: &mut Engine<'_>, model: &mut Model, ops: &[Op]) {
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    match engine.write(&operations) {
        Ok(_) => assert!(model.apply(ops), "a batch was written that must be refused"),
        Err(kausaldb::WriteError::Conflict { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// The story and the attempt that are looked at alone: `KAUSAL_ONLY=story.attempt`, as a failure prints it.
fn only() -> Option<(u64, u64)> {
    let only = std::env::var("KAUSAL_ONLY").ok()?;
    let (story, attempt) = only.split_once('.').expect("KAUSAL_ONLY=story.attempt");
    Some((story.parse().expect("a number"), attempt.parse().expect("a number")))
}

/// Hurts the images of a few stories in many ways, of which `hurt` draws one.
fn hurt_all(what: &str, tries: u64, hurt: impl Fn(&Story, &mut Vec<u8>, &mut Random)) {
    let mut memory = region(&AMPLE);
    let (mut stores, mut refused, mut none) = (0, 0, 0);
    for seed in 0..sweep(4, 40) {
        if only().is_some_and(|only| only.0 != seed) {
            continue;
        }
        let story = story(seed);
        for attempt in 0..tries {
            if only().is_some_and(|only| only.1 != attempt) {
                continue;
            }
            let _replay = Replay(format!("{what}: KAUSAL_SWEEP=full KAUSAL_ONLY={seed}.{attempt}"));
            let mut random = Random::new(seed << 32 | attempt);
            let mut image = story.image.clone();
            hurt(&story, &mut image, &mut random);
            match asks(&story, &image, &mut memory) {
                Some(count) => {
                    refused += u64::from(count > 0);
                    go_on(&story, &image, attempt, attempt % 2 == 0);
                }
                None => none += 1,
            }
            stores += 1;
        }
    }
    println!("{what}: {stores} images, {refused} refused something, {none} were no store any more");
}

#[test]
fn one_flipped_bit_is_mended() {
    let mut memory = region(&CAPACITY);
    for seed in 0..sweep(3, 10) {
        let story = story(seed);
        let mut random = Random::new(seed);
        for byte in 0..story.image.len() {
            let bits = if sweep(0, 1) == 1 {
                0..8
            } else {
                let bit = random.below(8);
                bit..bit + 1
            };
            for bit in bits {
                let _replay = Replay(format!("story {seed}, byte {byte}, bit {bit}"));
                let verify = if byte % 2 == 0 { Verify::EveryRead } else { Verify::FirstRead };
                let config = Config { verify, ..CONFIG };
                let mut image = story.image.clone();
                image[byte] ^= 1 << bit;
                let device = SimNor::from_image(GEOMETRY, image, 0).expect("image");
                let opened = StorageEngine::open_read_only(device, &mut memory, CAPACITY, config);
                let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
                // Twice: what the first round checked, the second may rely on.
                Answers::of(&mut engine, &story.mix);
                let answers = Answers::of(&mut engine, &story.mix);
                assert_eq!((answers.refused, engine.damage()), (0, None), "something is lost");
                assert_eq!(answers.lie(&story.states[0]), None);
            }
        }
    }
}

#[test]
fn scrubbing_writes_anew_what_a_flipped_bit_has_hit() {
    let mut memory = region(&AMPLE);
    for seed in 0..sweep(2, 10) {
        let story = story(seed);
        let mut random = Random::new(seed);
        for byte in (0..story.image.len()).step_by(sweep(11, 1) as usize) {
            let bit = random.below(8);
            let _replay = Replay(format!("story {seed}, byte {byte}, bit {bit}"));
            let mut image = story.image.clone();
            image[byte] ^= 1 << bit;
            let device = SimNor::from_image(GEOMETRY, image, 0).expect("image");
            let mut engine =
                StorageEngine::open(device, &mut memory, CAPACITY, CONFIG).expect("open");
            let (mut turns, mut mended) = (0, 0);
            loop {
                let scrubbed = engine.scrub(2000).expect("scrub");
                mended += scrubbed.mended;
                turns += 1;
                if !scrubbed.cut_short {
                    break;
                }
            }
            assert!(turns > 2, "the budget is not kept");
            assert!(mended <= 1, "{mended} bits were flipped");
            // What was moved stays behind as it was, and nothing needs it.
            let verified = engine.verify(|_| ()).expect("verify");
            assert_eq!(verified.lost, 0, "{verified:?}");
            check(&mut engine, &story.states[0], &story.mix, "scrubbed");
            // A second bit in what is left there costs nothing.
            let (storage, closed) = engine.close();
            closed.expect("close");
            let mut image = storage.image().to_vec();
            image[byte] ^= 1 << ((bit + 3) % 8);
            let device = SimNor::from_image(GEOMETRY, image, 0).expect("image");
            let mut engine =
                StorageEngine::open_read_only(device, &mut memory, AMPLE, CONFIG).expect("open");
            let answers = Answers::of(&mut engine, &story.mix);
            assert_eq!(answers.lie(&story.states[0]), None);
        }
    }
}

#[test]
fn a_hurt_store_that_needs_more_memory_says_so_and_loses_nothing_of_it() {
    // Once any damage let what did not fit be dropped, though a larger capacity was there for the asking.
    let large = Capacity { nodes: 200, pending_edges: 400, ..Capacity::SMALL };
    let small = Capacity { pending_edges: 16, ..large };
    let mut storage = SimNor::new(GEOMETRY, 1).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(3), segment_bytes: SEGMENT as u32 };
    format(&mut storage, &options).expect("format");
    let mut memory = region(&large);
    let mut engine = StorageEngine::open(storage, &mut memory, large, CONFIG).expect("open");
    let id = |n: u128| BlockId::from_u128(n << 64 | 0x77);
    let block = |n: u128| ContextBlock {
        id: id(n),
        version: 1,
        source_uri: "here",
        metadata: &[],
        content: &[0xC3; 8],
    };
    engine.put(&block(1000)).expect("put");
    for n in 0..100 {
        let edge = GraphEdge { source: id(n), kind: EdgeKind(1), target: id(n + 1) };
        engine.link(&edge).expect("link");
    }
    let (storage, closed) = engine.close();
    closed.expect("close");
    let mut image = storage.image().to_vec();
    let at = image.windows(16).position(|bytes| bytes == id(1000).bytes()).expect("it was put");
    image[at..at + 2].fill(0);
    let opened = StorageEngine::open(device(&image), &mut memory, small, CONFIG);
    let needs_more = matches!(
        opened,
        Err(OpenError::TooMany { what: Limit::PendingEdges, needed: 17.., capacity: 16 })
    );
    assert!(needs_more, "{:?}", opened.err());
    let opened = StorageEngine::open(device(&image), &mut memory, large, CONFIG);
    let mut engine = opened.expect("the memory that it was written with is enough");
    engine.repair().expect("repair");
    assert_eq!(engine.verify(|_| ()).expect("verify").edges, 100);
}

/// What contradicts itself in a store, other than that records are damaged.
fn contradictions<S: Storage>(engine: &mut StorageEngine<'_, S>) -> Vec<Finding> {
    let mut contradictions = Vec::new();
    let verified = engine.verify(|finding| {
        let is_damage = matches!(finding, Finding::NoRecord { .. } | Finding::Body { .. });
        if finding.is_loss() && !is_damage {
            contradictions.push(finding);
        }
    });
    verified.expect("verify");
    contradictions
}

#[test]
fn a_repair_that_is_cut_leaves_the_store_degraded() {
    // Once a repair that was cut had moved old versions behind the damage, where they passed for the newest.
    let mut memory = region(&AMPLE);
    let mut trials = 0;
    for seed in 0..sweep(16, 60) {
        let story = story(seed);
        let mut random = Random::new(seed);
        let mut image = story.image.clone();
        let at = random.below((image.len() - 200) as u64) as usize;
        image[at..at + 100].fill(0xEE);
        let hurt = StorageEngine::open_read_only(device(&image), &mut memory, AMPLE, CONFIG)
            .expect("open");
        if hurt.damage().is_none() {
            continue;
        }
        drop(hurt);
        let mut step = 0;
        loop {
            let _replay = Replay(format!("story {seed}, bytes {at}.., cut at step {step}"));
            let mut device = device(&image);
            device.cut_at(step);
            let opened = StorageEngine::open(Lent(&mut device), &mut memory, AMPLE, CONFIG);
            let ended = opened.is_ok_and(|mut engine| engine.repair().is_ok());
            device.power_on();
            let opened = StorageEngine::open_read_only(device, &mut memory, AMPLE, CONFIG);
            let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
            if engine.damage().is_some() {
                assert_eq!(Answers::of(&mut engine, &story.mix).lie(&story.states[0]), None);
            } else {
                let contradictions = contradictions(&mut engine);
                assert!(contradictions.is_empty(), "{contradictions:?}");
            }
            trials += 1;
            if ended {
                assert_eq!(engine.damage(), None);
                break;
            }
            step += 1 + random.below(sweep(4, 1));
        }
    }
    println!("a repair that is cut: {trials} cuts");
    assert!(trials > 50, "{trials} cuts");
}

#[test]
fn two_flipped_bits_cost_what_they_hit() {
    hurt_all("two bits", sweep(150, 1500), |_, image, random| {
        let at = random.below(image.len() as u64 - 40) as usize;
        for _ in 0..2 {
            image[at + random.below(40) as usize] ^= 1 << random.below(8);
        }
    });
}

#[test]
fn an_overwritten_span_costs_what_it_hits() {
    hurt_all("a span", sweep(150, 1500), |_, image, random| {
        let len = 1 + random.below(300) as usize;
        let at = random.below((image.len() - len) as u64) as usize;
        let fill = random.below(3);
        for byte in &mut image[at..at + len] {
            *byte = [0x00, 0xFF, random.next() as u8][fill as usize];
        }
    });
}

#[test]
fn a_lost_segment_is_noticed() {
    hurt_all("a lost segment", sweep(60, 500), |_, image, random| {
        let at = random.below(SEGMENTS as u64) as usize * SEGMENT;
        let fill = random.below(3);
        for byte in &mut image[at..at + SEGMENT] {
            *byte = [0x00, 0xFF, random.next() as u8][fill as usize];
        }
    });
}

#[test]
fn a_lost_header_costs_nothing_else() {
    hurt_all("a lost header", sweep(60, 500), |_, image, random| {
        let at = random.below(SEGMENTS as u64) as usize * SEGMENT;
        image[at..at + 64].fill(0xFF);
    });
}

#[test]
fn sectors_that_went_elsewhere_are_noticed() {
    hurt_all("a misdirected sector", sweep(60, 500), |_, image, random| {
        let [from, to] = [(); 2].map(|()| random.below(SEGMENTS as u64) as usize * SEGMENT);
        image.copy_within(from..from + SEGMENT, to);
    });
}

#[test]
fn sectors_from_the_past_are_noticed() {
    hurt_all("a stale sector", sweep(60, 500), |story, image, random| {
        let at = random.below(SEGMENTS as u64) as usize * SEGMENT;
        image[at..at + SEGMENT].copy_from_slice(&story.earlier[at..at + SEGMENT]);
    });
}
