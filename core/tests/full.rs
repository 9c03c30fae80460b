//! A full store: filled with every mix until nothing fits any more, it shows what it was given, takes
//! updates and deletions, survives power cuts, and goes on. How much of the medium is then the user's
//! own.
//!
//! `--nocapture` shows the figures.
#![cfg(test)]

use crate::common::power::{Bench, Replay, SMALL, Scenario, Thinning, run, sweep};
use crate::common::{Block, Mix, Model, Op, Random, all_ids, check, open, region, verify};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, EdgeKind, Expect, GraphEdge, Operation, Storage,
    StorageEngine, WriteError,
};
use kausaldb_sim::{Fault, Shared, SimError, SimNor, When};

/// What one step and one recovery need, in segments: two that recovery may need, one that the step may open,
/// one that moving the tail may open before it frees another, and one to move in.
const STEP_AND_RECOVERY: u32 = 5;

const MIX: Mix = Mix { ids: 120, operations: 6, content_max: 60, puts: 60, links: 30, hubs: false };
/// What stores are filled with; ids are for each segment.
const MIXES: [(&str, Mix); 5] = [
    ("small values", Mix { ids: 80, content_max: 30, puts: 92, links: 0, ..MIX }),
    ("large values", Mix { ids: 10, content_max: 900, puts: 92, links: 0, ..MIX }),
    ("values of any size", Mix { ids: 20, content_max: 600, puts: 90, links: 2, ..MIX }),
    ("edges", Mix { ids: 10, puts: 10, links: 86, ..MIX }),
    (
        "hubs and deletions",
        Mix { ids: 14, content_max: 300, puts: 50, links: 38, hubs: true, ..MIX },
    ),
];

fn scenario(segments: u32, mix: Mix) -> Scenario {
    Scenario { segments, segment_bytes: 4096, erase_bytes: 4096, write_bytes: 4, mix, ..SMALL }
}

fn capacity(scenario: &Scenario) -> Capacity {
    Capacity { nodes: 2048, pending_edges: 32, hub_pages: 200, ..scenario.capacity() }
}

/// The batch, in both; whether it was refused for want of space.
fn write(engine: &mut StorageEngine<'_, SimNor>, model: &mut Model, ops: &[Op]) -> bool {
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    let mut next = model.clone();
    let expected = next.apply(ops);
    match engine.write(&operations) {
        Ok(_) => *model = next,
        Err(WriteError::Full { needed, free }) => {
            assert!(needed > free, "{needed} bytes are refused, and {free} are free");
            return true;
        }
        Err(WriteError::Conflict { .. }) => assert!(!expected),
        Err(error) => panic!("{error}"),
    }
    false
}

/// Writes until a few batches in a row are refused; what is refused least often is what takes away.
fn fill(engine: &mut StorageEngine<'_, SimNor>, mix: &Mix, random: &mut Random) -> Model {
    let (mut model, mut version, mut refused) = (Model::default(), 0, 0);
    for _ in 0..100_000 {
        let ops = mix.batch(random, &mut version);
        let grows = ops.iter().all(|op| matches!(op, Op::Put(..) | Op::Link(_)));
        // Deletions are rare while it is filled.
        if !grows && !random.one_in(4) {
            continue;
        }
        refused += u32::from(write(engine, &mut model, &ops));
        if refused > 20 {
            return model;
        }
    }
    panic!("{mix:?} does not fill the store");
}

/// There is nothing that a full store refuses but what makes it fuller.
fn use_it(engine: &mut StorageEngine<'_, SimNor>, model: &mut Model, mix: &Mix) {
    let blocks: Vec<_> = model.blocks.iter().map(|(id, block)| (*id, block.clone())).collect();
    for (id, block) in blocks.iter().take(60) {
        let update = Op::Put(*id, block.clone(), Expect::Version(block.version));
        assert!(!write(engine, model, &[update]), "an update in place is refused");
    }
    for (id, _) in blocks.iter().step_by(3) {
        assert!(!write(engine, model, &[Op::Delete(*id)]), "a deletion is refused");
    }
    let edges: Vec<_> = model.edges.iter().copied().step_by(3).collect();
    for edge in edges {
        assert!(!write(engine, model, &[Op::Unlink(edge)]), "an unlink is refused");
    }
    check(engine, model, mix, "after deletions in a full store");
}

#[test]
fn a_store_full_of_any_mix_is_used_emptied_and_filled_again() {
    for (name, mix) in MIXES {
        for segments in [8, 16, 24] {
            let scenario = scenario(segments, mix);
            let what = format!("{name} in {segments} segments");
            let mix = Mix { ids: mix.ids * u64::from(segments), ..mix };
            let mut random = Random::new(u64::from(segments));
            let mut engine =
                open(scenario.device(), capacity(&scenario), Config::default()).expect("open");
            for _ in 0..2 {
                let mut model = fill(&mut engine, &mix, &mut random);
                check(&mut engine, &model, &mix, &what);
                use_it(&mut engine, &mut model, &mix);
                for id in all_ids(&mix) {
                    assert!(!write(&mut engine, &mut model, &[Op::Delete(id)]), "{what}");
                }
                engine.compact(u64::MAX).expect("compact");
                verify(&mut engine, &what);
                let stats = engine.stats();
                assert_eq!((stats.blocks, stats.nodes.used, stats.live_bytes), (0, 0, 0), "{what}");
            }
            assert!(engine.storage().violations().is_empty(), "{what}");
        }
    }
}

/// Of a full store a few blocks change, again and again: the tail has to come through long stretches where
/// nothing is dead, and still needs a slot for whatever it moves.
#[test]
fn a_full_store_of_which_little_changes_turns_for_ever() {
    for (name, mix) in MIXES {
        for (segments, segment_bytes) in [(8u32, 4096u32), (16, 1024), (24, 4096), (100, 1024)] {
            for seed in 0..sweep(1, 20) {
                let longest = mix.content_max.min(u64::from(segment_bytes) / 3);
                let ids = mix.ids * u64::from(segments) * u64::from(segment_bytes) / 4096;
                let mix = Mix { ids: ids.max(40), content_max: longest, ..mix };
                let erase_bytes = segment_bytes;
                let scenario = Scenario { segment_bytes, erase_bytes, ..scenario(segments, mix) };
                let _replay = Replay(format!("{name}, {segments} of {segment_bytes}, seed {seed}"));
                let mut random = Random::new(seed);
                let mut engine =
                    open(scenario.device(), capacity(&scenario), Config::default()).expect("open");
                let mut model = fill(&mut engine, &mix, &mut random);
                let hot: Vec<_> = model.blocks.keys().copied().step_by(29).collect();
                let edges: Vec<_> = model.edges.iter().copied().step_by(29).collect();
                let turned = engine.stats().traffic.segments_opened + 6 * u64::from(segments);
                while engine.stats().traffic.segments_opened < turned {
                    if let Some(id) = hot.get(random.below(hot.len().max(1) as u64) as usize) {
                        let (id, block) = (*id, model.blocks[id].clone());
                        let update = Op::Put(id, block.clone(), Expect::Version(block.version));
                        assert!(!write(&mut engine, &mut model, &[update]), "an update is refused");
                    }
                    if let Some(edge) = edges.get(random.below(4 * edges.len() as u64) as usize) {
                        let gone = write(&mut engine, &mut model, &[Op::Unlink(*edge)]);
                        assert!(!gone, "an unlink is refused");
                        write(&mut engine, &mut model, &[Op::Link(*edge)]);
                    }
                }
                check(&mut engine, &model, &mix, name);
                verify(&mut engine, name);
            }
        }
    }
}

#[test]
fn a_full_store_survives_power_cuts() {
    let refusing =
        Mix { ids: 30, content_max: 400, puts: 80, links: 14, operations: 3, hubs: true };
    for seed in 0..sweep(2, 20) {
        let scenario = Scenario { seed, segments: 9, mix: refusing, batches: 300, ..SMALL };
        let mut bench = Bench::new(scenario);
        let mut full = 0;
        run(scenario, Thinning::one_in(sweep(300, 8)), |cut, states| {
            for boot in bench.try_all(cut, states, Thinning::NONE) {
                full += u32::from(is_full(boot.device, &scenario));
            }
        });
        assert!(full > 0, "seed {seed}: it was never full when power was cut");
        println!("seed {seed}: {} cuts, {full} boots of a full store", bench.cuts);
    }
}

/// Whether a block of a quarter of a segment is refused.
fn is_full(mut device: SimNor, scenario: &Scenario) -> bool {
    device.reopen();
    let mut engine = open(device, scenario.capacity(), scenario.config()).expect("opens");
    let block =
        Block { version: 1, source_uri: String::new(), metadata: vec![], content: vec![0; 256] };
    let op = Op::Put(BlockId::from_u128(u128::MAX), block, Expect::Any);
    matches!(engine.write(&[op.borrow()]), Err(WriteError::Full { .. }))
}

/// Fills with values of one length; the bytes that callers gave which are then stored.
fn fill_with<S: Storage<Error = SimError>>(engine: &mut StorageEngine<'_, S>, len: usize) -> u64 {
    let (source_uri, metadata, content) = ("", &[][..], &vec![7; len][..]);
    for n in 0.. {
        let id = BlockId::from_u128(n << 64 | 1);
        match engine.put(&ContextBlock { id, version: 1, source_uri, metadata, content }) {
            Ok(_) => {}
            Err(WriteError::Full { .. }) => return n as u64 * (len as u64 + 24),
            Err(error) => panic!("{error}"),
        }
    }
    0
}

/// Fills with values of `len` bytes. Segments without records, and the user's share of the medium in percent.
fn fullness(segments: u32, segment_bytes: u32, len: usize) -> (u32, f64) {
    let scenario =
        Scenario { segment_bytes, erase_bytes: segment_bytes, ..scenario(segments, MIX) };
    let nodes = segments * segment_bytes / 32;
    let capacity = Capacity { nodes, ..capacity(&scenario) };
    let mut engine = open(scenario.device(), capacity, scenario.config()).expect("open");
    let user = fill_with(&mut engine, len);
    // What is dead goes; the rest lies in as few segments as it takes.
    engine.compact(u64::MAX).expect("compact");
    let stats = engine.stats();
    let share = user as f64 * 100.0 / stats.capacity_bytes as f64;
    println!("{len} | {segments} of {segment_bytes} | {} | {share:.0} %", stats.segments_free);
    (stats.segments_free, share)
}

#[test]
fn at_full_no_more_segments_are_without_records_than_must_be() {
    println!("value | segments, of bytes | without records | the user's, with ids and versions");
    for segments in [16, 64, 200] {
        let spare = (segments / 20).max(STEP_AND_RECOVERY);
        let used = f64::from(segments - spare) / f64::from(segments);
        // Of what is used, so much is the user's at least, in percent.
        for (len, segment_bytes, least) in [
            (16, 4096, 73.0),
            (64, 4096, 81.0),
            (400, 4096, 60.0),
            (1024, 32768, 91.0),
            (1024, 4096, 68.0),
        ] {
            let (free, share) = fullness(segments, segment_bytes, len);
            // One of 64 keeps the pause short; and room is kept for the gaps at the ends of segments, in
            // whatever order records meet them: as much again, or an eighteenth where records are long; an
            // eighth where they are between that.
            let gaps = match segment_bytes as usize / len {
                16.. => segments / 64,
                8..16 => segments / 8,
                _ => segments / 18,
            };
            let most = STEP_AND_RECOVERY + segments / 64 + gaps + segments.div_ceil(100);
            assert!(free <= most, "{free} of {segments} are free; at most {most}");
            assert!(share > least * used, "{share} % of {segments} segments");
        }
    }
    // 256 KiB once more: seven values of 1 KiB fill a segment of 8 KiB, and three one of 4.
    let (free, share) = fullness(32, 8192, 1024);
    println!("1024 | 32 of 8192 | {free} | {share:.0} %");
    assert!(share > 65.0, "{free} of 32 are free, {share} %");
}

/// Values of so many lengths, in bytes, in segments of 4 KiB.
const LONG: [&[usize]; 7] = [
    &[3000],
    &[3500],
    &[1700],
    &[1100],
    &[500],
    &[3400, 3400, 3400, 20],
    &[3400, 1700, 1100, 800, 300, 20],
];

#[test]
fn a_store_full_of_long_values_takes_updates_and_deletions() {
    let content = vec![7; 3500];
    let block = |n: usize, version: u64, len: usize| ContextBlock {
        id: BlockId::from_u128((n as u128) << 64 | 1),
        version,
        source_uri: "",
        metadata: &[],
        content: &content[..len],
    };
    for (lens, segments) in LONG.iter().flat_map(|lens| [12, 20, 35].map(|of| (lens, of))) {
        let scenario = scenario(segments, MIX);
        let capacity = Capacity { block_bytes: 4000, batch_bytes: 1 << 16, ..capacity(&scenario) };
        let mut engine = open(scenario.device(), capacity, scenario.config()).expect("open");
        let (mut random, mut stored, mut refused) = (Random::new(segments.into()), vec![], 0);
        while refused < 12 {
            let len = lens[random.below(lens.len() as u64) as usize];
            match engine.put(&block(stored.len(), 1, len)) {
                Ok(_) => stored.push(len),
                Err(WriteError::Full { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        for version in 2..2 + 3 * stored.len() as u64 {
            let n = random.below(stored.len() as u64) as usize;
            let updated = engine.put(&block(n, version, stored[n]));
            updated.unwrap_or_else(|error| panic!("{lens:?} in {segments}: an update: {error}"));
        }
        let id = |n: usize| block(n, 0, 0).id;
        let batch: Vec<_> = (1..4.min(stored.len())).map(|n| Operation::Delete(id(n))).collect();
        let deleted = engine.write(&batch).and_then(|_| engine.delete(&id(0)));
        deleted.unwrap_or_else(|error| panic!("{lens:?} in {segments}: a deletion: {error}"));
        engine.put(&block(0, 1, stored[0])).expect("there is room again");
        verify(&mut engine, "a store full of long values");
    }
}

#[test]
fn an_edge_is_refused_by_a_full_store_and_taken_after_a_deletion() {
    let scenario = scenario(8, MIX);
    let mut engine = open(scenario.device(), capacity(&scenario), scenario.config()).expect("open");
    fill_with(&mut engine, 64);
    let id = |n: u128| BlockId::from_u128(n << 64 | 1);
    let link = |n: u128| GraphEdge { source: id(n), kind: EdgeKind(1), target: id(n + 1) };
    let mut refused = None;
    for n in 0..200 {
        if let Err(error) = engine.link(&link(n)) {
            refused = Some((n, error));
            break;
        }
    }
    let Some((n, WriteError::Full { .. })) = refused else { panic!("{refused:?}") };
    let batch = [Operation::Delete(id(n + 2)), Operation::Delete(id(n + 3))];
    let deleted: Result<_, WriteError<SimError>> = engine.write(&batch);
    deleted.expect("deletions fit");
    engine.link(&link(n)).expect("there is room again");
    verify(&mut engine, "an edge in a full store");
}

/// A store that is full of small values, on a medium on which the test keeps a hand.
fn full_store(segments: u32) -> (Shared, StorageEngine<'static, Shared>, u64) {
    let scenario = scenario(segments, MIX);
    let held = Shared::new(scenario.device());
    let capacity = capacity(&scenario);
    let memory = region(&capacity).leak();
    let opened = StorageEngine::open(held.clone(), memory, capacity, scenario.config());
    let mut engine = opened.expect("open");
    let count = fill_with(&mut engine, 64) / (64 + 24);
    (held, engine, count)
}

/// Updates blocks at random, each of which must be taken, unless an erase is refused in the middle of it.
fn update(held: &Shared, engine: &mut StorageEngine<'_, Shared>, of: u64, updates: u64) {
    let mut random = Random::new(updates);
    let refused = || held.with(|nor| nor.struck(Fault::FailedErase));
    for version in 2..2 + updates {
        let id = BlockId::from_u128(u128::from(random.below(of)) << 64 | 1);
        let (source_uri, metadata, content) = ("", &[][..], &[8; 64][..]);
        let block = ContextBlock { id, version, source_uri, metadata, content };
        let before = refused();
        match engine.put(&block) {
            Err(WriteError::Full { .. }) if refused() > before => {}
            put => _ = put.unwrap_or_else(|error| panic!("update {version} of {of}: {error}")),
        }
    }
}

/// A slot that refused to be erased was not tried again before the store was opened anew: three refusals, and
/// there was none left to move the tail to. Seed 37577 of the swarm.
#[test]
fn a_full_store_goes_on_where_erases_are_refused_now_and_then() {
    for segments in [9, 16, 40] {
        let (held, mut engine, count) = full_store(segments);
        for times in 1..=8 {
            held.with(|nor| nor.inject(Fault::FailedErase, When::Call(0)));
            while held.with(|nor| nor.struck(Fault::FailedErase)) < times {
                update(&held, &mut engine, count, 1);
            }
        }
        update(&held, &mut engine, count, 40 * u64::from(segments));
    }
}

/// Bug: an update of a full store was refused because its version took a byte more than the one before. What
/// padding there was had hidden it, for most lengths.
#[test]
fn a_full_store_takes_updates_whose_versions_grow_longer() {
    for segments in [8, 16, 40] {
        let (_, mut engine, count) = full_store(segments);
        for version in [1 << 7, 1 << 14, (1 << 14) + 1] {
            for n in 0..count {
                let id = BlockId::from_u128(u128::from(n) << 64 | 1);
                let (source_uri, metadata, content) = ("", &[][..], &[8; 64][..]);
                let block = ContextBlock { id, version, source_uri, metadata, content };
                let put = engine.put(&block);
                put.unwrap_or_else(|error| panic!("{n} of {count}, version {version}: {error}"));
            }
        }
        verify(&mut engine, "versions");
    }
}

/// Sectors that no longer erase come off what the store may hold.
#[test]
fn a_store_with_worn_sectors_is_full_sooner() {
    let (_, new, fits) = full_store(17);
    drop(new);
    let scenario = scenario(17, MIX);
    let (held, capacity) = (Shared::new(scenario.device()), capacity(&scenario));
    held.with(|nor| [5, 11].map(|sector| nor.wear_out(sector)));
    let mut memory = region(&capacity);
    let opened = StorageEngine::open(held.clone(), &mut memory, capacity, scenario.config());
    let mut engine = opened.expect("open");
    // Once around, so that each sector was tried.
    update(&held, &mut engine, 20, 700);
    let stats = engine.stats();
    assert_eq!(stats.segments_bad, 2);
    assert_eq!(stats.segments_live + stats.segments_free + stats.segments_bad, 17);
    for n in 0..20 {
        engine.delete(&BlockId::from_u128(n << 64 | 1)).expect("delete");
    }
    engine.compact(u64::MAX).expect("compact");
    let count = fill_with(&mut engine, 64) / (64 + 24);
    assert!((fits * 9 / 12..=fits * 10 / 12 + 1).contains(&count), "{count} of {fits}");
    update(&held, &mut engine, count, 700);
    for _ in 0..5 {
        drop(engine);
        held.with(SimNor::reopen);
        let opened = StorageEngine::open(held.clone(), &mut memory, capacity, scenario.config());
        engine = opened.expect("open");
        update(&held, &mut engine, count, 150);
    }
}

/// `Full` says how much is needed, and that less is free.
///
/// Moving the tail for a batch of most of the ring ended with its last step: the slots that it had to free
/// were free, and the batch was refused all the same, with more free bytes than it needed.
#[test]
fn a_batch_of_most_of_the_ring_is_refused_only_where_it_does_not_fit() {
    let scenario = Scenario { write_bytes: 16, ..scenario(12, MIX) };
    let capacity = Capacity { batch_operations: 128, batch_bytes: 1 << 16, ..capacity(&scenario) };
    let mut engine = open(scenario.device(), capacity, scenario.config()).expect("open");
    let mut random = Random::new(5);
    for version in 0..400 {
        let count = 1 + random.below(110);
        let id = BlockId::from_u128(1);
        let (source_uri, metadata, content) = ("", &[][..], &[7; 200][..]);
        let block = ContextBlock { id, version, source_uri, metadata, content };
        let puts: Vec<_> = (0..count).map(|_| Operation::put(block)).collect();
        match engine.write(&puts) {
            Ok(_) => {}
            Err(WriteError::Full { needed, free }) => {
                let said = format!("{count} puts, version {version}: {needed} bytes, {free} free");
                assert!(needed > free, "{said}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
