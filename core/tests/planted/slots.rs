//! Checks of what is erased when, and of what stays free: recoveries that are cut, words that read
//! differently each time, and slots that are few.

use crate::common::moment::{Context, Phase, Watch};
use crate::common::power::{Lent, Replay, SMALL, Scenario, Tapped, Thinning, write};
use crate::common::{Mix, Model, Op, Random, all_ids, open, read_all, region, verify};
use kausaldb::format::FoundHeader;
use kausaldb::log::LogError;
use kausaldb::{
    BlockId, Capacity, ContextBlock, EdgeKind, GraphEdge, OpenError, Operation, StorageEngine,
    StoreId, WriteError,
};
use kausaldb_sim::{Aftermath, Fault, SimError, SimNor, TornErase, TornWrite, When};
use std::mem::MaybeUninit;
use std::rc::Rc;

/// A ring that is nearly full of blocks.
pub(crate) const NEARLY_FULL: Scenario = Scenario {
    segments: 8,
    mix: Mix { ids: 20, content_max: 330, puts: 85, links: 10, operations: 3, hubs: false },
    batches: 400,
    ..SMALL
};

/// Stores of few slots, mostly full.
const FEW_SLOTS: [Scenario; 3] = [
    Scenario { segments: 8, ..SMALL },
    NEARLY_FULL,
    Scenario {
        segments: 8,
        mix: Mix { ids: 40, content_max: 90, puts: 97, links: 2, operations: 4, hubs: false },
        ..SMALL
    },
];

/// A store that loses power again and again, mostly in its openings, and what it may show.
struct Life<'m> {
    scenario: Scenario,
    device: SimNor,
    memory: &'m mut [MaybeUninit<u8>],
    allowed: Vec<Model>,
    random: Random,
    version: u64,
}

impl<'m> Life<'m> {
    /// A store into which some batches were written.
    fn new(scenario: Scenario, seed: u64, memory: &'m mut [MaybeUninit<u8>]) -> Self {
        let (allowed, random) = (vec![Model::default()], Random::new(seed));
        let device = scenario.device();
        let mut life = Self { scenario, device, memory, allowed, random, version: 0 };
        life.write(scenario.batches);
        life
    }

    /// Opens the store, and writes batches until so many were written or power is cut.
    fn write(&mut self, batches: u32) {
        let Self { scenario, device, memory, allowed, random, version } = self;
        let mix = scenario.mix;
        let opened =
            StorageEngine::open(Lent(device), memory, scenario.capacity(), scenario.config());
        let mut engine = match opened {
            Err(OpenError::Log(LogError::Storage(SimError::PowerCut))) => return,
            opened => opened.unwrap_or_else(|error| panic!("does not open: {error}")),
        };
        assert_eq!(engine.stats().damaged, 0, "no power cut is damage");
        let shown = read_all(&mut engine, &all_ids(&mix));
        assert!(allowed.contains(&shown), "the store shows what never was");
        let mut model = shown;
        *allowed = vec![model.clone()];
        for _ in 0..batches {
            let ops = mix.batch(random, version);
            let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
            let mut next = model.clone();
            next.apply(&ops);
            match engine.write(&operations) {
                Ok(_) => model = next,
                Err(WriteError::Log(LogError::Storage(SimError::PowerCut))) => {
                    *allowed = vec![model, next];
                    return;
                }
                Err(WriteError::Log(error)) => panic!("{error}"),
                Err(_) => {}
            }
        }
        *allowed = vec![model];
    }
}

/// Words that read differently each time, left by one cut after the other.
pub(crate) fn unstable_boots() {
    let writes = [TornWrite::Unstable, TornWrite::Unstable, TornWrite::Unstable, TornWrite::Seeded];
    let erases = [TornErase::Unstable, TornErase::Old, TornErase::Seeded, TornErase::Zeros];
    for scenario in FEW_SLOTS {
        let mut memory = region(&scenario.capacity());
        for seed in 0..40 {
            let _replay = Replay(format!("seed {seed} in {scenario:?}"));
            let mut life = Life::new(Scenario { batches: 150, ..scenario }, seed, &mut memory);
            life.device.reopen();
            for _ in 0..200 {
                let most = [3, 8, 14, 20, 40, 200][life.random.below(6) as usize];
                let cut = life.random.below(most);
                life.device.cut_at(cut);
                life.write(u32::MAX);
                let write = writes[life.random.below(4) as usize];
                let erase = erases[life.random.below(4) as usize];
                life.device.power_on_with(Aftermath { write, erase, ..Aftermath::default() });
            }
        }
    }
}

/// The devices that are left where power is cut while a segment is being retired, each with the one state
/// that it may show.
fn cut_while_retiring(scenario: Scenario) -> Vec<(SimNor, Model)> {
    let context = Rc::new(Context::default());
    let watch = Watch::new(StoreId::from_u128(7), scenario.geometry(), scenario.segment_bytes);
    let (storage, tape) = Tapped::new(scenario.device(), Thinning::one_in(1));
    let storage = storage.watched(watch, Rc::clone(&context));
    let mut engine = open(storage, scenario.capacity(), scenario.config()).expect("open");
    let (mut random, mut version, mut model) = (Random::new(scenario.seed), 0, Model::default());
    let mut left = Vec::new();
    for _ in 0..scenario.batches {
        let before = model.clone();
        let ops = scenario.mix.batch(&mut random, &mut version);
        write(&mut engine, &mut model, &ops);
        let retiring = tape.take().into_iter().filter(|cut| cut.moment.is(Phase::Retiring));
        left.extend(retiring.map(|cut| (cut.device, before.clone())));
    }
    left
}

/// So many stores of each kind are cut: whether a slot is left for an opening to be led astray by differs.
const SEEDS: u64 = 8;

/// A record that retires a segment reads as valid to an opening to which no other slot is left, and not to
/// the next one: that segment is still there.
pub(crate) fn an_unproven_retirement() {
    for (scenario, seed) in
        FEW_SLOTS.iter().flat_map(|one| (1..=SEEDS).map(move |seed| (one, seed)))
    {
        let scenario = &Scenario { seed, ..*scenario };
        let mut memory = region(&scenario.capacity());
        let left = cut_while_retiring(Scenario { batches: 900, ..*scenario });
        assert!(left.len() > 20, "{} segments were retired", left.len());
        for (mut device, model) in left {
            let write = TornWrite::Unstable;
            device.power_on_with(Aftermath { write, ..Aftermath::default() });
            device.inject(Fault::FailedErase, When::From(0));
            let (capacity, config) = (scenario.capacity(), scenario.config());
            let opened =
                StorageEngine::open(Lent(&mut device), &mut memory, capacity, config).map(|_| ());
            assert!(opened.is_err(), "opened without a slot");
            device.mend();
            device.reopen();
            let _replay = Replay(format!("{device} in {scenario:?}"));
            let mut engine = StorageEngine::open(device, &mut memory, capacity, config)
                .unwrap_or_else(|error| panic!("does not open: {error}"));
            assert_eq!(engine.stats().damaged, 0, "a segment is gone that nothing retired");
            assert!(read_all(&mut engine, &all_ids(&scenario.mix)) == model, "something is lost");
            verify(&mut engine, "after an opening that found no slot");
        }
    }
}

/// Where an opening returned, each slot that it calls free will do for the next one, should all others be
/// worn out: it proved its segment, so that no older ring is held back.
pub(crate) fn any_free_slot_will_do() {
    let mut tried = 0;
    for batches in 1..60 {
        let mut memory = region(&SMALL.capacity());
        let mut life = Life::new(Scenario { batches, ..SMALL }, 1, &mut memory);
        life.device.reopen();
        let (capacity, config) = (SMALL.capacity(), SMALL.config());
        let engine = StorageEngine::open(Lent(&mut life.device), life.memory, capacity, config);
        let free = engine.expect("open").stats().segments_free;
        life.device.reopen();
        let will_do = (0..SMALL.segments).filter(|slot| {
            let mut device = life.device.clone();
            (0..SMALL.segments).filter(|other| other != slot).for_each(|other| {
                device.wear_out(other);
            });
            StorageEngine::open(device, life.memory, capacity, config).is_ok()
        });
        let will_do = will_do.count();
        assert_eq!(
            will_do, free as usize,
            "free slots that an opening may take, of those there are"
        );
        tried += will_do;
    }
    assert!(tried > 200, "{tried} slots");
}

/// Numbers and slots of the segments whose headers can be read, the newest first.
fn segments(image: &[u8], scenario: &Scenario) -> Vec<(u32, u32)> {
    let slots = image.chunks(scenario.segment_bytes as usize);
    let headers = slots.filter_map(|bytes| FoundHeader::parse(bytes).ok());
    let mut found: Vec<_> =
        headers.map(|header| (header.segment.number, header.segment.slot)).collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// Openings that are cut one after the other: none erases the slot with the highest number, and the number
/// that each takes is above all that can be read.
pub(crate) fn openings_in_a_row() {
    for cut in 1..8 {
        let mut memory = region(&SMALL.capacity());
        let mut life = Life::new(Scenario { batches: 90, ..SMALL }, cut, &mut memory);
        for boot in 0..40 {
            life.device.reopen();
            let newest = segments(life.device.image(), &SMALL)[0];
            let erases = life.device.erases().to_vec();
            life.device.cut_at(cut);
            life.write(0);
            life.device.power_on_with(Aftermath { write: TornWrite::New, ..Aftermath::default() });
            let now = life.device.erases();
            let highest = newest.1 as usize;
            assert_eq!(now[highest], erases[highest], "boot {boot}: the highest number was erased");
            let numbers = segments(life.device.image(), &SMALL);
            assert!(numbers[0].0 > numbers[1].0, "boot {boot}: two segments of one number");
        }
    }
}

/// Deletions of which each cleans up many lists, in a ring that is full: every step finds room.
pub(crate) fn room_for_every_step() {
    for (segments, segment_bytes) in [(12, 4096), (16, 2048), (16, 4096)] {
        for nodes in [24, 32] {
            let scenario = Scenario {
                segments,
                segment_bytes,
                erase_bytes: segment_bytes,
                write_bytes: 4,
                ..SMALL
            };
            clean_up_in_a_full_ring(&scenario, nodes);
        }
    }
}

fn clean_up_in_a_full_ring(scenario: &Scenario, nodes: u64) {
    const HUBS: u64 = 8;
    const KINDS: u16 = 6;
    let capacity = Capacity {
        nodes: 1000,
        pending_edges: 128,
        hub_pages: 256,
        intents: HUBS as u32,
        batch_operations: 64,
        batch_bytes: 1 << 14,
        ..scenario.capacity()
    };
    let mut engine = open(scenario.device(), capacity, scenario.config()).expect("open");
    let id = |n: u64| BlockId::from_u128(u128::from(n) << 64 | 1);
    let (hubs, blocks) = (1000..1000 + HUBS, 5000..);
    let mut link_all = |source: u64, kind: u16| {
        let edge = |target: u64| GraphEdge {
            source: id(source),
            kind: EdgeKind(kind),
            target: id(target),
        };
        let links: Vec<_> = (0..nodes).map(|target| Operation::Link(edge(target))).collect();
        engine.write(&links).is_ok()
    };
    hubs.clone().for_each(|hub| assert!(link_all(hub, 0)));
    // As many as fit.
    let _ = (1..KINDS).all(|kind| (0..nodes).all(|node| link_all(node, kind)));
    let block = |n: u64, version: u64| ContextBlock {
        id: id(n),
        version,
        source_uri: "",
        metadata: &[],
        content: &[7; 60],
    };
    let refused = blocks.clone().find(|n| engine.put(&block(*n, 1)).is_err());
    assert!(refused.is_some_and(|refused| refused > blocks.start), "it was full before");
    for version in 2..500 {
        engine.put(&block(blocks.start, version)).expect("an update in place");
    }
    hubs.for_each(|hub| assert!(engine.delete(&id(hub)).is_ok(), "there is always room to delete"));
    engine.compact(u64::MAX).expect("there is room for every step");
}

/// A batch of several segments finds room, in whatever state it finds the ring: of five blocks that stay, and
/// of one that is written again and again.
pub(crate) fn large_batches() {
    for (segment_bytes, ids, most) in [(1024, 5, 1), (4096, 1, 80)] {
        let scenario = Scenario { segment_bytes, erase_bytes: segment_bytes, ..SMALL };
        let (batch_operations, batch_bytes) = (128, 1 << 16);
        let capacity = Capacity { batch_operations, batch_bytes, ..scenario.capacity() };
        let mut engine = open(scenario.device(), capacity, scenario.config()).expect("open");
        let mut random = Random::new(5);
        for version in 0..400 {
            let content = [version as u8; 200];
            let put = |n: u64| {
                let id = BlockId::from_u128(u128::from(n % ids + 1) << 64 | 1);
                let (source_uri, metadata, content) = ("", &[][..], &content[..]);
                Operation::put(ContextBlock { id, version, source_uri, metadata, content })
            };
            let puts: Vec<_> = (0..ids * (1 + random.below(most))).map(put).collect();
            engine.write(&puts).expect("there is room");
        }
    }
}
