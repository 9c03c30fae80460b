//! Damage to the image of a store: one flipped bit is mended; whatever else is hurt, the store opens, every
//! answer is right or says that it is not known, and after a repair the store goes on. Closed stores and such
//! as were not, on flash, on a file, and in large segments, whose index pages name what was hurt.
//!
//! `KAUSAL_SWEEP=full` in the environment flips every bit, and takes many more seeds; with `KAUSAL_KIND=4` as
//! well, of that one of the six kinds of store.
#![cfg(test)]

use crate::common::hurt::*;
use crate::common::power::{Lent, Replay, sweep};
use crate::common::stories::*;
use crate::common::{Random, check, region};
use kausaldb::format::{Header, Kind, Record};
use kausaldb::state::Limit;
use kausaldb::storage::{Geometry, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, EdgeKind, Finding, FormatOptions, GraphEdge,
    OpenError, StorageEngine, StoreId, Verify, format,
};
use kausaldb_sim::SimNor;
use std::mem::MaybeUninit;

const SEGMENT: usize = NOR.segment;
const GEOMETRY: Geometry = NOR.geometry;
const CAPACITY: Capacity = NOR.capacity();
const AMPLE: Capacity = NOR.ample();

/// The kind of store, the story and the attempt that are looked at alone: `KAUSAL_ONLY=kind.story.attempt`,
/// as a failure prints it.
fn only() -> Option<[u64; 3]> {
    let only = std::env::var("KAUSAL_ONLY").ok()?;
    let numbers: Vec<_> = only.split('.').map(|number| number.parse().expect("a number")).collect();
    Some(numbers.try_into().expect("KAUSAL_ONLY=kind.story.attempt"))
}

/// The kinds of store, with their numbers: all, or the one of `KAUSAL_KIND`.
fn kinds() -> impl Iterator<Item = (usize, Shape)> {
    let only = std::env::var("KAUSAL_KIND").ok();
    let only: Option<usize> = only.map(|kind| kind.parse().expect("KAUSAL_KIND=0 to 5"));
    assert!(only.is_none_or(|only| only < SHAPES.len()), "KAUSAL_KIND=0 to 5");
    SHAPES.into_iter().enumerate().filter(move |(kind, _)| only.is_none_or(|only| only == *kind))
}

/// What failed once, and is tried always: a change that a board's opening gave up was pending again at the
/// next one, though a repair had ended, in a place on which nobody had counted.
const FAILED_ONCE: [[u64; 3]; 1] = [[0, 1, 696]];

/// Hurts the images of a few stories of each kind in many ways, of which `hurt` draws one.
fn hurt_all(what: &str, tries: u64, hurt: impl Fn(&Story, &mut Vec<u8>, &mut Random)) {
    for (kind, shape) in kinds() {
        let (mut stores, mut refused, mut none) = (0, 0, 0);
        for seed in 0..sweep(4, 40) {
            if only().is_some_and(|only| only[..2] != [kind as u64, seed]) {
                continue;
            }
            let story = story_of(shape, seed);
            let mut memory = story.region();
            let failed =
                FAILED_ONCE.into_iter().filter(|failed| failed[..2] == [kind as u64, seed]);
            for attempt in (0..tries / shape.one_in).chain(failed.map(|failed| failed[2])) {
                if only().is_some_and(|only| only[2] != attempt) {
                    continue;
                }
                let only = format!("KAUSAL_SWEEP=full KAUSAL_ONLY={kind}.{seed}.{attempt}");
                let _replay = Replay(format!("{what}: {only}"));
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
        let name = shape.name;
        println!(
            "{what}, {name}: {stores} images, {refused} refused something, {none} were no store"
        );
    }
}

/// The bytes of an image of which each is flipped: all; of large segments those of headers and of index
/// pages, and some of the bodies.
fn bytes_to_flip(story: &Story) -> Vec<usize> {
    let step = sweep(if story.shape.closes { 1 } else { 3 }, 1) as usize;
    if !story.shape.is_large() {
        return (0..story.image.len()).step_by(step).collect();
    }
    let mut bytes = Vec::new();
    for start in (0..story.image.len()).step_by(story.shape.segment) {
        bytes.extend(start..start + story.shape.first());
        for (span, header) in records(&story.image[start..start + story.shape.segment]) {
            let is_page = header.tag.kind() == Kind::Index;
            let whole = if is_page { span.len() } else { header.bytes as usize };
            bytes.extend(start + span.start..start + span.start + whole);
            bytes.extend((start + span.start + whole..start + span.end).step_by(997));
        }
    }
    bytes.into_iter().step_by(sweep(7, 1) as usize).collect()
}

#[test]
fn one_flipped_bit_is_mended() {
    for (kind, shape) in kinds() {
        for seed in 0..sweep(2, 10) {
            let story = story_of(shape, seed);
            let mut memory = story.region();
            let mut random = Random::new(seed);
            let mut flips = 0;
            for byte in bytes_to_flip(&story) {
                let bit = random.below(8);
                let all = sweep(0, 1) == 1 && !shape.is_large();
                for bit in if all { 0..8 } else { bit..bit + 1 } {
                    let _replay =
                        Replay(format!("kind {kind}, story {seed}, byte {byte}, bit {bit}"));
                    let mut image = story.image.clone();
                    image[byte] ^= 1 << bit;
                    flip(&story, image, &mut memory, byte);
                    flips += 1;
                }
            }
            println!("one bit, {}: {flips} images", shape.name);
        }
    }
}

/// Nothing is lost by one flipped bit, but where it is taken for the end of the log.
fn flip(story: &Story, image: Vec<u8>, memory: &mut [MaybeUninit<u8>], byte: usize) {
    let verify = if byte.is_multiple_of(2) { Verify::EveryRead } else { Verify::FirstRead };
    let config = Config { verify, ..CONFIG };
    let capacity = story.shape.capacity();
    let memory = &mut memory[..capacity.region_bytes()];
    let conceded = story.conceded(&image);
    let device = story.shape.device(&image);
    let opened = StorageEngine::open_read_only(device, memory, capacity, config);
    let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
    // Twice: what the first round checked, the second may rely on.
    Answers::of(&mut engine, &story.mix);
    let answers = Answers::of(&mut engine, &story.mix);
    assert_eq!((answers.refused, engine.damage()), (0, None), "something is lost");
    let is_true = conceded.iter().any(|state| answers.lie(state).is_none());
    // A bit of the last header may be mended or not; the state before it is as good as the newest.
    assert!(is_true, "{:?}", answers.lie(&story.states[0]));
}

/// What a store may lose without a word: the newest synced group, if it was not closed; not one byte before.
#[test]
fn the_newest_synced_group_is_all_that_damage_takes_without_a_word() {
    for shape in [NOR_CUT, FILE_CUT, NOR, FILE] {
        let mut silent = 0;
        for seed in 0..sweep(6, 40) {
            let story = story_of(shape, seed);
            let mut memory = story.region();
            // A pair of bytes that lies across the group's start hits two groups.
            let across = story.group.start - 1;
            for at in (shape.first()..story.group.end - 1).filter(|at| *at != across) {
                let _replay = Replay(format!("{}, story {seed}, offset {at}", shape.name));
                let mut image = story.image.clone();
                (0..2).for_each(|byte| image[story.newest + at + byte] ^= 0x5A);
                let (device, ample) = (shape.device(&image), shape.ample());
                let opened = StorageEngine::open_read_only(device, &mut memory, ample, CONFIG);
                let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
                let answers = Answers::of(&mut engine, &story.mix);
                if answers.lie(&story.states[0]).is_none() {
                    continue;
                }
                // It is the group that was hit, the store was not closed, and exactly the group is gone.
                assert!(at > across, "the group starts at {}", story.group.start);
                assert!(!shape.closes, "a closed store has lost something without a word");
                assert_eq!((answers.refused, engine.damage()), (0, None));
                assert_eq!(answers.lie(&story.states[1]), None);
                silent += 1;
            }
        }
        assert_eq!(silent > 0, !shape.closes, "{}: {silent} places", shape.name);
        println!("{}: {silent} places at which the newest group goes without a word", shape.name);
    }
}

/// A record whose header is hurt, in a sealed segment whose pages hold full columns, is named by its page: it
/// costs itself, if it is needed and has a body, and the store is not degraded. In all segments a page itself
/// costs nothing.
#[test]
fn a_hurt_header_in_a_sealed_segment_costs_what_its_page_names() {
    let (mut named, mut costly, mut pages, mut versions) = (0, 0, 0, 0);
    for shape in [LARGE, LARGE_CUT, PAGED] {
        for seed in 0..sweep(2, 20) {
            let story = story_of(shape, seed);
            let mut memory = story.region();
            for start in (0..story.image.len()).step_by(shape.segment) {
                let records = records(&story.image[start..start + shape.segment]);
                let is_page = |(_, header): &&(_, Header)| header.tag.kind() == Kind::Index;
                let last =
                    records.iter().rposition(|record| is_page(&record)).map_or(0, |at| at + 1);
                // (Where the newest page of an open segment ends, nothing says.)
                let last = if start == story.newest { 0 } else { last };
                for (span, header) in &records[..last] {
                    let kind = header.tag.kind();
                    // Which keys a page of a list covers, and what a repair was about, stands in no column.
                    let is_known = !matches!(kind, Kind::PageOut | Kind::PageIn | Kind::Damage);
                    if !is_known || !shape.is_large() && kind != Kind::Index {
                        continue;
                    }
                    let at = start + span.start;
                    let _replay = Replay(format!("{}, story {seed}, {kind:?} at {at}", shape.name));
                    let mut image = story.image.clone();
                    image[at..at + 4].iter_mut().for_each(|byte| *byte ^= 0xA5);
                    let (device, ample) = (shape.device(&image), shape.ample());
                    let opened = StorageEngine::open_read_only(device, &mut memory, ample, CONFIG);
                    let mut engine =
                        opened.unwrap_or_else(|error| panic!("does not open: {error}"));
                    assert_eq!(engine.damage(), None);
                    let answers = Answers::of(&mut engine, &story.mix);
                    assert_eq!(answers.lie(&story.states[0]), None);
                    let (mut lost, mut harmless) = (Vec::new(), 0);
                    let on = |finding: Finding| match finding {
                        Finding::Header { id, live: true, .. } => lost.push(id),
                        Finding::Header { .. } => harmless += 1,
                        Finding::List { .. } => {}
                        finding => panic!("{finding:?}"),
                    };
                    engine.verify(on).expect("verify");
                    // None where the segment was retired already.
                    assert!(lost.len() + harmless <= 1, "more is hurt than was hit");
                    // (A list of a node that is being deleted is needed for that only.)
                    assert!(answers.refused as usize <= lost.len(), "it cost more than itself");
                    // The page tells the version as well.
                    if let (Record::Block { id, version, .. }, false) =
                        (&header.record, lost.is_empty())
                    {
                        assert_eq!(engine.version(id).ok(), Some(Some(*version)));
                        versions += 1;
                    }
                    let id = header.record.id().copied();
                    assert!(lost.is_empty() || lost == [id], "{lost:?}");
                    named += lost.len() + harmless;
                    costly += lost.len();
                    pages += u32::from(kind == Kind::Index);
                }
            }
        }
    }
    assert!(versions > 20, "{versions} versions");
    println!("hurt headers: {named} named, {costly} of them needed; {pages} were of pages");
    assert!(named > 500 && costly > 40 && pages > 40, "{named}, {costly}, {pages}");
}

/// Bug: where an opening took the newest segment's place, the next one no longer knew that the segment before
/// ends with its page: what a hurt header of the page had been was then unknown, and the store degraded. Fix:
/// the header of every segment says so.
#[test]
fn a_hurt_page_costs_nothing_however_often_the_store_is_opened() {
    let mut pages = 0;
    for seed in 0..sweep(6, 40) {
        let story = story_of(PAGED, seed);
        let mut memory = story.region();
        for start in (0..story.image.len()).step_by(PAGED.segment) {
            let all = records(&story.image[start..start + PAGED.segment]);
            let last = all.last().filter(|(_, header)| header.tag.kind() == Kind::Index);
            // (The newest segment holds no page yet that ends it.)
            let Some((span, _)) = last.filter(|_| start != story.newest) else { continue };
            let at = start + span.start;
            let _replay = Replay(format!("story {seed}, the page at {at}"));
            let mut image = story.image.clone();
            image[at..at + 4].iter_mut().for_each(|byte| *byte ^= 0xA5);
            for opening in 1..=4 {
                let device = PAGED.device(&image);
                let mut engine =
                    StorageEngine::open(device, &mut memory, PAGED.ample(), CONFIG).expect("open");
                assert_eq!(engine.damage(), None, "opening {opening}");
                assert_eq!(contradictions(&mut engine), [], "opening {opening}");
                let (storage, closed) = engine.close();
                closed.expect("close");
                image = storage.image().to_vec();
            }
            pages += 1;
        }
    }
    assert!(pages > 20, "only {pages} pages were hurt");
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
            assert_eq!(engine.damage(), None, "a second bit hits what was mended");
            let answers = Answers::of(&mut engine, &story.mix);
            assert_eq!((answers.lie(&story.states[0]), answers.refused), (None, 0));
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
    let opened = StorageEngine::open(NOR.device(&image), &mut memory, small, CONFIG);
    let needs_more = matches!(
        opened,
        Err(OpenError::TooMany { what: Limit::PendingEdges, needed: 17.., capacity: 16 })
    );
    assert!(needs_more, "{:?}", opened.err());
    let opened = StorageEngine::open(NOR.device(&image), &mut memory, large, CONFIG);
    let mut engine = opened.expect("the memory that it was written with is enough");
    engine.repair().expect("repair");
    assert_eq!(engine.verify(|_| ()).expect("verify").edges, 100);
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
        let hurt = StorageEngine::open_read_only(NOR.device(&image), &mut memory, AMPLE, CONFIG)
            .expect("open");
        if hurt.damage().is_none() {
            continue;
        }
        drop(hurt);
        let mut step = 0;
        loop {
            let _replay = Replay(format!("story {seed}, bytes {at}.., cut at step {step}"));
            let mut device = NOR.device(&image);
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

/// Where a segment starts.
fn segment(story: &Story, random: &mut Random) -> usize {
    random.below(story.shape.segments() as u64) as usize * story.shape.segment
}

/// Anywhere; in large segments mostly where a record starts, since they are bodies for the most part.
fn place(story: &Story, random: &mut Random, len: usize) -> usize {
    let anywhere = random.below((story.image.len() - len) as u64) as usize;
    if !story.shape.is_large() || random.one_in(4) {
        return anywhere;
    }
    let start = anywhere - anywhere % story.shape.segment;
    let records = records(&story.image[start..start + story.shape.segment]);
    let starts: Vec<_> = records.iter().map(|(span, _)| span.start).collect();
    let pick = random.below(starts.len() as u64) as usize;
    starts.get(pick).map_or(anywhere, |at| (start + at).saturating_sub(random.below(20) as usize))
}

#[test]
fn two_flipped_bits_cost_what_they_hit() {
    hurt_all("two bits", sweep(150, 1500), |story, image, random| {
        let at = place(story, random, 40);
        for _ in 0..2 {
            image[at + random.below(40) as usize] ^= 1 << random.below(8);
        }
    });
}

#[test]
fn an_overwritten_span_costs_what_it_hits() {
    hurt_all("a span", sweep(150, 1500), |story, image, random| {
        let len = 1 + random.below(300) as usize;
        let at = place(story, random, len);
        let fill = random.below(3);
        for byte in &mut image[at..at + len] {
            *byte = [0x00, 0xFF, random.next() as u8][fill as usize];
        }
    });
}

/// What takes the place of bytes that a storage has lost. Any other byte would do.
const FILLER: u8 = 0xA5;

/// So what holds of overwritten spans holds of these.
#[test]
fn a_span_that_cannot_be_read_is_as_an_overwritten_one() {
    for (kind, shape) in kinds() {
        let story = story_of(shape, 1);
        let mut memory = story.region();
        for seed in 0..sweep(60, 1500) / shape.one_in {
            let _replay = Replay(format!("kind {kind}, seed {seed}"));
            let mut random = Random::new(seed);
            let unit = shape.geometry.write_bytes as usize;
            let len = unit * (1 + random.below(300) as usize).div_ceil(unit);
            let at = place(&story, &mut random, len + unit).next_multiple_of(unit);
            let mut image = story.image.clone();
            image[at..at + len].fill(FILLER);
            let mut lost = shape.device(&story.image);
            lost.make_unreadable(at as u64, len as u64);
            let devices = [shape.device(&image), lost];
            let [overwritten, lost] = devices.map(|device| {
                let opened = StorageEngine::open(device, &mut memory, shape.ample(), CONFIG);
                let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
                let answers = Answers::of(&mut engine, &story.mix);
                let mut findings = Vec::new();
                let sum = engine.verify(|finding| findings.push(finding)).expect("verify");
                (answers, findings, sum, engine.damage(), engine.stats().damaged)
            });
            assert_eq!(overwritten, lost);
        }
    }
}

#[test]
fn a_lost_segment_is_noticed() {
    hurt_all("a lost segment", sweep(60, 500), |story, image, random| {
        let at = segment(story, random);
        let fill = random.below(3);
        for byte in &mut image[at..at + story.shape.segment] {
            *byte = [0x00, 0xFF, random.next() as u8][fill as usize];
        }
    });
}

#[test]
fn a_lost_header_costs_nothing_else() {
    hurt_all("a lost header", sweep(60, 500), |story, image, random| {
        let at = segment(story, random);
        image[at..at + 64].fill(0xFF);
    });
}

#[test]
fn sectors_that_went_elsewhere_are_noticed() {
    hurt_all("a misdirected sector", sweep(60, 500), |story, image, random| {
        let [from, to] = [(); 2].map(|()| segment(story, random));
        image.copy_within(from..from + story.shape.segment, to);
    });
}

#[test]
fn sectors_from_the_past_are_noticed() {
    hurt_all("a stale sector", sweep(60, 500), |story, image, random| {
        let at = segment(story, random);
        let span = at..at + story.shape.segment;
        image[span.clone()].copy_from_slice(&story.earlier[span]);
    });
}

/// Who finds no store may format one.
#[test]
fn a_store_that_cannot_be_read_is_not_taken_for_none() {
    let story = story_of(NOR, 1);
    let mut device = story.shape.device(&story.image);
    device.make_unreadable(0, story.image.len() as u64);
    let capacity = story.shape.capacity();
    let mut memory = region(&capacity);
    let refused = StorageEngine::open(device, &mut memory, capacity, Config::default()).err();
    let storage = |error| matches!(error, OpenError::Log(kausaldb::log::LogError::Storage(_)));
    assert!(refused.is_some_and(storage));
}

#[test]
fn a_probe_passes_over_what_cannot_be_read() {
    let story = story_of(NOR, 1);
    let len = story.image.len() as u64;
    let probe = |device: &mut SimNor| kausaldb::probe(len, |at, into| device.read(at, into));
    let whole = probe(&mut story.shape.device(&story.image)).expect("a store");
    let mut device = story.shape.device(&story.image);
    device.make_unreadable(8, 4);
    let found = probe(&mut device).expect("its other headers");
    assert_eq!(found.layout, whole.layout);
    device.make_unreadable(0, len);
    let error = probe(&mut device).expect_err("nothing to be read");
    assert!(matches!(error, OpenError::Log(kausaldb::log::LogError::Storage(_))), "{error}");
}
