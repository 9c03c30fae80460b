//! Every fault that can be planted is noticed by a run through the public interface: a checker that lets
//! one pass would let a bug of its kind pass as well.
//!
//! The checks are those of the other tests, made short: each fault goes through them until one fails.
//! `cargo task planted` runs this, in some minutes; `KAUSAL_FAULT=OlderWins` plants that fault only, alone
//! and with others, and `KAUSAL_CHECK=damage` runs those checks only that are named so.
#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;
mod rules;
mod slots;

use common::power::{Bench, FILE, SMALL, Scenario, Thinning, run, write};
use common::{Mix, Model, Random, all_ids, check, open, read_all, region, verify};
use kausaldb::format::{FoundHeader, Header, Layout, Record, Salt};
use kausaldb::planted::{Fault, plant};
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, Durability, EdgeKind, FormatOptions,
    GraphEdge, OpenError, StorageEngine, StoreId, WriteError, format,
};
use kausaldb_sim::{Aftermath, SimError, SimNor, Survivors};
use slots::NEARLY_FULL;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the checks below notice: faults alone, and those that cover for each other together.
const FAULTS: [&[Fault]; 58] = [
    &[Fault::HeaderNotSynced],
    &[Fault::SuccessorUntold],
    &[Fault::SuccessorToldEarly],
    &[Fault::EraseLeftOut],
    &[Fault::CountsWithoutMarks],
    &[Fault::TrustsTheEnd],
    &[Fault::TornBodyCounts],
    &[Fault::CopiesWhatIsTorn],
    &[Fault::SaltLacksNumber],
    &[Fault::SaltLacksOffset],
    &[Fault::BatchNeedsNoEnd],
    &[Fault::BatchEndUncounted],
    &[Fault::AcknowledgedUnsynced],
    &[Fault::NeverMarks],
    &[Fault::TombstoneTooEarly],
    &[Fault::NumberFreedTooEarly],
    &[Fault::FoldedAtOneEnd],
    &[Fault::IntentNotMoved],
    &[Fault::OlderWins],
    &[Fault::UnlinkForgotten],
    &[Fault::SelfEdgeRefused],
    &[Fault::FullUnchecked],
    &[Fault::PaceIgnoresWhatIsLeft],
    &[Fault::FailedSyncForgotten],
    &[Fault::GoesOnAfterFailure],
    &[Fault::RefusalIsAbsence],
    &[Fault::RefusalIsNoStore],
    &[Fault::DamageMovedAsSound],
    &[Fault::SilentlyDegraded],
    &[Fault::NoThirdMark],
    &[Fault::ProvenUnprotected],
    &[Fault::NumbersRestart],
    &[Fault::HighestErasedNext],
    &[Fault::NoReserve],
    &[Fault::DegradedWritten],
    &[Fault::MovesInsideBatch],
    &[Fault::BatchSizeUncounted],
    &[Fault::SaltLacksStore],
    &[Fault::MovedNotReadBack],
    &[Fault::EndIncludesAgain],
    &[Fault::ChainErased],
    &[Fault::CandidateUnprotected],
    &[Fault::RetireBelieved],
    &[Fault::TombstoneMoved],
    &[Fault::TearIsDamage],
    &[Fault::MarksUnsynced],
    &[Fault::CloseUnmarked],
    &[Fault::BodyUnchecked],
    &[Fault::DamageRefusesTheStore],
    &[Fault::ScanShowsDead],
    &[Fault::CutShortUnsaid],
    &[Fault::RepairEndsAll],
    &[Fault::TakesOverInPart],
    &[Fault::NumberGivenTwice],
    &[Fault::LeavesAGap],
    &[Fault::ProvenUnprotected, Fault::RetiredLastFirst],
    &[Fault::RetireNotSynced, Fault::RetiredUsedNext],
    &[Fault::MovedNotSynced, Fault::RetireNotSynced, Fault::RetiredUsedNext],
];

/// What no check notices, and why. `KAUSAL_FAULT=all` tries these as well. Each breaks a rule all the same,
/// which the model of the ring notices (`core/tests/ring/planted.rs`).
const NOT_NOTICED: [(&[Fault], &str); 6] = [
    (
        &[Fault::MovedNotSynced],
        "harmless alone: the sync behind the retire record makes durable what was moved as well, and comes \
         before the slot is free",
    ),
    (
        &[Fault::RetireNotSynced],
        "harmless alone: three slots at least are used before it, each with a header that is synced",
    ),
    (&[Fault::RetiredUsedNext], "harmless alone: both syncs come before the slot is free at all"),
    (
        &[Fault::OpensUnsynced],
        "harmless alone: what an opening believes is made durable by the sync of its header, before anything \
         says that it is durable; if that sync fails, the opening fails",
    ),
    (
        &[Fault::EdgeChangeMoved],
        "harmless alone: the change counts for both its ends again, which changes nothing for the one that \
         has folded it, and takes the place among the pending ones that it has",
    ),
    (
        &[Fault::RetiredLastFirst],
        "harmless alone: a retirement that no record follows is not believed where a ring is protected, and \
         one that is followed is durable",
    ),
];

/// A check, and its name.
type Check = (&'static str, fn());

const CHECKS: [Check; 24] = [
    ("a run", a_run),
    ("a nearly full store", a_nearly_full_store),
    ("refused calls", refused_calls),
    ("a failed sync", a_failed_sync),
    ("a storage that cannot be read", cannot_be_read),
    ("large batches", slots::large_batches),
    ("a full ring", a_full_ring),
    ("damage", damage),
    ("damage after a repair", rules::hurt_after_a_repair),
    ("a sector of another store", rules::a_sector_of_another_store),
    ("damage at the end of a closed store", rules::hurt_behind_a_close),
    ("a newest segment that is lost", rules::the_newest_segment_is_lost),
    ("a write that got lost", rules::a_write_that_got_lost),
    ("a small budget", rules::a_small_budget),
    ("room for every step", slots::room_for_every_step),
    ("any free slot will do", slots::any_free_slot_will_do),
    ("a retirement that is not proven", slots::an_unproven_retirement),
    ("openings that are cut in a row", slots::openings_in_a_row),
    ("words that read differently each time", slots::unstable_boots),
    ("cuts on flash", cuts_on_flash),
    ("cuts on a file", cuts_on_a_file),
    ("cuts in a nearly full store", cuts_where_slots_are_scarce),
    ("cuts in recovery", nested_cuts),
    ("a board that loses power at every boot", boots),
];

/// Puts, links, deletes, and openings in between.
fn a_run() {
    let mut random = Random::new(1);
    let (mix, capacity) = (SMALL.mix, SMALL.capacity());
    let mut memory = region(&capacity);
    let (mut model, mut version, mut device) = (Model::default(), 0, SMALL.device());
    for _ in 0..8 {
        let mut engine =
            StorageEngine::open(device, &mut memory, capacity, SMALL.config()).expect("open");
        for _ in 0..60 {
            let ops = mix.batch(&mut random, &mut version);
            write(&mut engine, &mut model, &ops);
            check(&mut engine, &model, &mix, "after a batch");
        }
        verify(&mut engine, "after a run");
        let (storage, closed) = engine.close();
        closed.expect("close");
        device = storage;
        device.reopen();
        let violations = device.violations();
        assert!(violations.is_empty(), "{violations:?}");
    }
}

/// It refuses, shows what it held before, and goes on.
fn a_nearly_full_store() {
    let capacity = NEARLY_FULL.capacity();
    let mut engine = open(NEARLY_FULL.device(), capacity, NEARLY_FULL.config()).expect("open");
    let (mut model, mut random, mut version, mut refused) =
        (Model::default(), Random::new(3), 0, 0);
    for _ in 0..600 {
        let ops = NEARLY_FULL.mix.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
        match engine.write(&operations) {
            Ok(_) => assert!(model.apply(&ops)),
            Err(WriteError::Full { .. }) => refused += 1,
            Err(WriteError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        check(&mut engine, &model, &NEARLY_FULL.mix, "nearly full");
    }
    assert!(refused > 10, "it is never full");
    // There is always room to delete.
    for id in all_ids(&NEARLY_FULL.mix) {
        engine.delete(&id).expect("delete");
    }
}

/// Every cut point of a run, or one in so many.
fn cuts(scenario: Scenario, one_in: u64) {
    let mut bench = Bench::new(scenario);
    run(scenario, Thinning::one_in(one_in), |cut, states| {
        bench.try_all(cut, states, Thinning::NONE);
    });
}

fn cuts_on_flash() {
    for seed in 1..3 {
        cuts(Scenario { seed, ..SMALL }, 5);
    }
}

fn cuts_on_a_file() {
    for seed in 1..4 {
        cuts(Scenario { seed, batches: 120, ..FILE }, 3);
        let durability = Durability::OnSync;
        cuts(Scenario { seed, durability, batches: 120, ..FILE }, 6);
    }
}

/// A file with as few slots as there can be, most of them full: what is retired is used again at once.
const SCARCE: Scenario = Scenario {
    segments: 8,
    segment_bytes: 2048,
    erase_bytes: 2048,
    mix: Mix { ids: 14, content_max: 250, puts: 70, links: 15, operations: 3, hubs: false },
    batches: 350,
    ..FILE
};

fn cuts_where_slots_are_scarce() {
    for seed in 1..5 {
        cuts(Scenario { seed, ..SCARCE }, 2);
        cuts(Scenario { seed, ..NEARLY_FULL }, 8);
    }
}

/// A cut in the run, one in the recovery, and one in the recovery from that.
fn nested_cuts() {
    for scenario in [SMALL, NEARLY_FULL, SCARCE] {
        let mut bench = Bench::new(scenario);
        run(scenario, Thinning::one_in(60), |cut, states| {
            for once in bench.try_all(cut, states, Thinning::one_in(2)) {
                for cut in &once.cuts {
                    for twice in bench.try_all(cut, states, Thinning::one_in(40)) {
                        for cut in &twice.cuts {
                            bench.try_all(cut, states, Thinning::NONE);
                        }
                    }
                }
            }
        });
    }
}

/// Power goes at every boot, now in the opening and now behind it.
fn boots() {
    for scenario in [SMALL, NEARLY_FULL] {
        let mut bench = Bench::new(scenario);
        let (mut device, mut states) = (scenario.device(), vec![Model::default()]);
        let mut random = Random::new(7);
        for boot in 1..400 {
            device.cut_at(random.below(if boot % 3 == 0 { 400 } else { 30 }));
            states = bench.write_until_cut(&mut device, &states, boot);
            device.power_on();
        }
        bench.boot(device, &states, Thinning::NONE);
    }
}

/// Storage that refuses a read, a write or a sync once, when it is told to.
struct Refusing {
    device: SimNor,
    /// Calls until then, and which of the three it is.
    after: std::rc::Rc<std::cell::Cell<Option<(u64, Call)>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Call {
    Read,
    /// That one, and all that follow.
    AllReads,
    Write,
    Sync,
}

impl Refusing {
    fn refuses(&self, call: Call) -> bool {
        let Some((left, of)) = self.after.get().filter(|(_, of)| *of == call) else { return false };
        self.after.set((left > 0).then(|| (left - 1, of)));
        left == 0
    }
}

impl Storage for Refusing {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        let all = self.after.get().is_some_and(|after| after == (0, Call::AllReads));
        if all || self.refuses(Call::Read) || self.refuses(Call::AllReads) {
            return Err(SimError::PowerCut);
        }
        self.device.read(at, into)
    }

    fn is_lost(&self, error: &SimError) -> bool {
        self.device.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        if self.refuses(Call::Write) {
            return Err(SimError::PowerCut);
        }
        self.device.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.device.erase(sector)
    }

    fn sync(&mut self) -> Result<(), SimError> {
        if self.refuses(Call::Sync) {
            // The cache forgets what it was to keep, and believes that it is clean.
            self.device.power_on();
            return Err(SimError::PowerCut);
        }
        self.device.sync()
    }
}

fn refused_calls() {
    for (scenario, call) in [(SMALL, Call::Write), (FILE, Call::Sync)] {
        for seed in 0..40 {
            let after = std::rc::Rc::default();
            let storage = Refusing { device: scenario.device(), after: std::rc::Rc::clone(&after) };
            let mut engine = open(storage, scenario.capacity(), scenario.config()).expect("open");
            let (mut random, mut version) = (Random::new(seed), 0);
            let mut states = vec![Model::default()];
            let mut failed = false;
            after.set(Some((random.below(200), call)));
            for _ in 0..150 {
                let ops = scenario.mix.batch(&mut random, &mut version);
                let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
                let mut next = states[states.len() - 1].clone();
                next.apply(&ops);
                match engine.write(&operations) {
                    Ok(_) => {
                        assert!(!failed, "a batch was written after a failure");
                        states = vec![next];
                    }
                    Err(WriteError::Log(_)) => {
                        states.push(next);
                        failed = true;
                    }
                    Err(WriteError::NeedsRecovery) => break,
                    Err(_) => {}
                }
            }
            after.set(None);
            if !failed {
                continue;
            }
            engine.recover().expect("recover");
            let shown = read_all(&mut engine, &all_ids(&scenario.mix));
            assert!(states.contains(&shown), "recovery shows what never was");
            verify(&mut engine, "after a refusal");
        }
    }
    // A read that is refused is no absence.
    let after = std::rc::Rc::default();
    let storage = Refusing { device: SMALL.device(), after: std::rc::Rc::clone(&after) };
    let mut engine = open(storage, SMALL.capacity(), SMALL.config()).expect("open");
    let block = ContextBlock {
        id: BlockId::from_u128(1),
        version: 1,
        source_uri: "",
        metadata: &[],
        content: b"there",
    };
    engine.put(&block).expect("put");
    after.set(Some((0, Call::Read)));
    assert!(engine.contains(&block.id).is_err(), "a refused read is an absence");
}

/// A file of which a sync failed: the disk has lost what the cache still shows, and believes to be clean.
struct LosesOnce {
    shown: SimNor,
    disk: SimNor,
    fails: std::rc::Rc<std::cell::Cell<bool>>,
}

impl Storage for LosesOnce {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.shown.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        self.shown.read(at, into)
    }

    fn is_lost(&self, error: &SimError) -> bool {
        self.shown.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        self.disk.write(at, bytes)?;
        self.shown.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.disk.erase(sector)?;
        self.shown.erase(sector)
    }

    fn sync(&mut self) -> Result<(), SimError> {
        self.shown.sync()?;
        if self.fails.take() {
            self.disk.cut_at(0);
            let _ = self.disk.sync();
            let unsynced = Survivors::None;
            self.disk.power_on_with(Aftermath { unsynced, ..Aftermath::default() });
            return Err(SimError::PowerCut);
        }
        self.disk.sync()
    }
}

/// What is acknowledged behind a failed sync is on the disk, whatever the cache shows.
fn a_failed_sync() {
    let scenario = Scenario { durability: Durability::OnSync, ..FILE };
    for seed in 0..20 {
        let fails = std::rc::Rc::default();
        let (shown, disk) = (scenario.device(), scenario.device());
        let storage = LosesOnce { shown, disk, fails: std::rc::Rc::clone(&fails) };
        let mut engine = open(storage, scenario.capacity(), scenario.config()).expect("open");
        let (mut random, mut version, mut model) = (Random::new(seed), 0, Model::default());
        for _ in 0..20 {
            write(&mut engine, &mut model, &scenario.mix.batch(&mut random, &mut version));
        }
        engine.sync().expect("sync");
        for _ in 0..4 {
            write(&mut engine, &mut model, &scenario.mix.batch(&mut random, &mut version));
        }
        fails.set(true);
        assert!(engine.sync().is_err());
        engine.recover().expect("recovers");
        let mut model = read_all(&mut engine, &all_ids(&scenario.mix));
        write(&mut engine, &mut model, &scenario.mix.batch(&mut random, &mut version));
        engine.sync().expect("sync");
        let mut device = engine.storage().disk.clone();
        device.reopen();
        let mut engine = open(device, scenario.capacity(), scenario.config()).expect("opens");
        check(&mut engine, &model, &scenario.mix, "on the disk");
    }
}

/// A storage that refuses every read does not say that there is no store.
fn cannot_be_read() {
    let deaf = std::rc::Rc::default();
    let storage = Refusing { device: SMALL.device(), after: std::rc::Rc::clone(&deaf) };
    let mut engine = open(storage, SMALL.capacity(), SMALL.config()).expect("open");
    for after in 0..40 {
        deaf.set(Some((after, Call::AllReads)));
        let recovered = engine.recover();
        deaf.set(None);
        assert!(!matches!(recovered, Err(OpenError::NoStore)), "a refusal is no absence");
    }
}

/// A ring that is full of what never changes, small segments or large ones: it is updated for ever, and no
/// put moves half of it.
fn a_full_ring() {
    for (segments, segment_bytes, content, fill) in [(200, 1024, 16, 100), (200, 4096, 200, 80)] {
        let scenario = Scenario {
            segments,
            segment_bytes,
            erase_bytes: segment_bytes,
            write_bytes: 4,
            ..SMALL
        };
        let capacity = Capacity { nodes: 6400, ..scenario.capacity() };
        let mut engine = open(scenario.device(), capacity, scenario.config()).expect("open");
        let content = vec![7; content];
        let block = |n: u128, version| {
            let id = BlockId::from_u128(n << 64 | 1);
            ContextBlock { id, version, source_uri: "", metadata: &[], content: &content }
        };
        let limit = engine.stats().free_bytes;
        for n in 0.. {
            let refused = engine.put(&block(n, 1 << 40)).is_err();
            if refused || engine.stats().free_bytes < limit * (100 - fill) / 100 {
                break;
            }
        }
        for version in 1..3000 {
            let before = engine.stats().traffic;
            engine.put(&block(0, (1 << 40) + version)).expect("an update in place");
            let erases = engine.stats().traffic.segment_erases - before.segment_erases;
            assert!(erases < 12 || segment_bytes < 4096, "{erases} erases in one put");
        }
    }
}

/// Damaged bodies stay damaged, wherever they go; lost records are told of.
fn damage() {
    let geometry = Geometry {
        capacity_bytes: 16 * 1024,
        erase_bytes: 1024,
        write_bytes: 4,
        erased: Erased::Ones,
        keeps_write_order: true,
    };
    let block = |n: u128, content: &'static [u8]| ContextBlock {
        id: BlockId::from_u128(n),
        version: 1,
        source_uri: "",
        metadata: &[],
        content,
    };
    for header in [false, true] {
        let mut storage = SimNor::new(geometry, 1).expect("geometry");
        let options = FormatOptions { store: StoreId::from_u128(3), segment_bytes: 1024 };
        format(&mut storage, &options).expect("format");
        let mut engine = open(storage, Capacity::SMALL, Config::default()).expect("open");
        engine.put(&block(1, b"the first version")).expect("put");
        engine.put(&block(1, b"the version to be hurt")).expect("put");
        for n in 2..40 {
            engine.put(&block(n, b"whatever comes later")).expect("put");
        }
        let (mut storage, closed) = engine.close();
        closed.expect("close");
        storage.reopen();
        let image = storage.image_mut();
        let text = b"the version to be hurt";
        let at = image.windows(text.len()).position(|bytes| bytes == text).expect("it was put");
        let at = if header { at - 8 } else { at };
        image[at..at + 3].fill(0xEE);
        let mut engine = open(storage, Capacity::SMALL, Config::default()).expect("open");
        let mut scratch = [0; 64];
        let shown = engine.find_into(&BlockId::from_u128(1), &mut scratch);
        assert!(shown.is_err(), "{shown:?}");
        if header {
            continue;
        }
        engine.compact(u64::MAX).expect("compact");
        let shown = engine.find_into(&BlockId::from_u128(1), &mut scratch);
        assert!(shown.is_err(), "{shown:?}");
    }
    hurt_where_it_was_synced();
    copied_over_its_neighbour();
    the_number_of_what_is_lost();
    // An edge from a node to itself.
    let edge = GraphEdge {
        source: BlockId::from_u128(1),
        kind: EdgeKind(1),
        target: BlockId::from_u128(1),
    };
    let mut engine = open(SMALL.device(), SMALL.capacity(), SMALL.config()).expect("open");
    engine.link(&edge).expect("link");
    assert!(engine.reader_through(&mut []).has_edge(&edge).expect("has_edge"));
}

const SMALL_BLOCK: &[u8] = b"as long as all the others";

fn small_block(n: u128) -> ContextBlock<'static> {
    let id = BlockId::from_u128(n << 64 | 0x1234_5678);
    ContextBlock { id, version: 1, source_uri: "", metadata: &[], content: SMALL_BLOCK }
}

/// A store of small blocks in one open segment, on a medium that may lose any unsynced piece. Where each
/// block's id lies in its image.
fn small_blocks() -> (SimNor, Vec<usize>) {
    let device = FILE.device();
    let mut engine = open(device, FILE.capacity(), FILE.config()).expect("open");
    (1..12).for_each(|n| assert!(engine.put(&small_block(n)).is_ok()));
    let mut device = engine.storage().clone();
    device.reopen();
    let image = device.image();
    let place = |n: u128| {
        let id = small_block(n).id;
        image.windows(16).rposition(|bytes| bytes == id.bytes()).expect("it was put")
    };
    let places = (1..12).map(place).collect();
    (device, places)
}

/// Whether the store admits that it does not know of a block, or has it.
fn is_honest(device: SimNor, n: u128) -> bool {
    let mut engine = open(device, FILE.capacity(), FILE.config()).expect("open");
    let mut scratch = [0; 64];
    !matches!(engine.find_into(&small_block(n).id, &mut scratch), Ok(None))
}

/// Damage below what was synced is no tear: what comes behind it is not void.
fn hurt_where_it_was_synced() {
    let (mut device, places) = small_blocks();
    device.image_mut()[places[4]..places[4] + 4].fill(0xEE);
    assert!(is_honest(device, 9), "damage made what came later void");
}

/// A record in the place of another one is none.
fn copied_over_its_neighbour() {
    let (mut device, places) = small_blocks();
    let record = places[5] - places[4];
    // From the tag, which lies before number, version and lengths of a byte each.
    let from = places[4] - 6;
    device.image_mut().copy_within(from..from + record, from + record);
    assert!(is_honest(device, 6), "a record was believed in another one's place");
}

/// A node of which the record is lost, and which a list still names: nobody else gets its number before a
/// repair has taken it out of the list.
fn the_number_of_what_is_lost() {
    let mut engine = open(SMALL.device(), SMALL.capacity(), SMALL.config()).expect("open");
    let edge = |target| GraphEdge {
        source: small_block(1).id,
        kind: EdgeKind(1),
        target: small_block(target).id,
    };
    (1..3).for_each(|n| assert!(engine.put(&small_block(n)).is_ok()));
    engine.link(&edge(2)).expect("link");
    // Without damage it folds what is pending.
    engine.repair().expect("folds");
    let (mut device, closed) = engine.close();
    closed.expect("close");
    device.reopen();
    let layout = Layout::new(StoreId::from_u128(7), device.geometry(), SMALL.segment_bytes);
    let (layout, salt) = (layout.expect("layout"), Salt::of(StoreId::from_u128(7)));
    let names_it = |record: &Record| match record {
        Record::Block { id, .. } => *id == small_block(2).id,
        Record::Adjacency { direction, .. } => *direction == Direction::In,
        Record::Edge(_) => true,
        _ => false,
    };
    let mut lost = 0;
    for slot in device.image_mut().chunks_mut(SMALL.segment_bytes as usize) {
        let Ok(FoundHeader { segment, .. }) = FoundHeader::parse(slot) else { continue };
        for offset in (0..layout.segment_bytes()).step_by(layout.align() as usize) {
            let rest = &mut slot[offset as usize..];
            let header = Header::parse(rest, salt.at(segment.number, offset));
            if header.is_some_and(|header| names_it(&header.record)) {
                rest[..3].fill(0xEE);
                lost += 1;
            }
        }
    }
    assert!(lost >= 3, "its block, its list and the change that came before that");
    let mut engine = open(device, SMALL.capacity(), SMALL.config()).expect("open");
    // Refused, as it should be, or not.
    let _ = engine.put(&small_block(3));
    engine.repair().expect("repair");
    engine.put(&small_block(3)).expect("put");
    let led_astray = engine.reader_through(&mut [0; 64]).has_edge(&edge(3)).expect("has_edge");
    assert!(!led_astray, "the number of a node that is lost was given to another one");
}

#[test]
fn every_planted_fault_is_noticed() {
    let fails = |check: &Check| catch_unwind(AssertUnwindSafe(check.1)).is_err();
    plant(&[]);
    let named = std::env::var("KAUSAL_CHECK").unwrap_or_default();
    let checks: Vec<_> = CHECKS.iter().filter(|check| check.0.contains(&named)).collect();
    // One fault is looked at alone, without the run that shows the checks to be right.
    let asked = std::env::var("KAUSAL_FAULT").ok();
    for check in checks.iter().filter(|_| asked.is_none()) {
        assert!(!fails(check), "{} fails without a fault", check.0);
    }
    // What a fault makes of a check is of no interest.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    let mut faults = FAULTS.to_vec();
    let others = NOT_NOTICED.map(|(faults, _)| faults);
    match asked.as_deref() {
        None => {}
        Some("all") => faults.extend(others),
        Some(one) => {
            faults.extend(others);
            faults.retain(|faults| faults.iter().any(|fault| format!("{fault:?}") == one));
        }
    }
    for faults in faults {
        plant(faults);
        match checks.iter().find(|check| fails(check)) {
            Some((name, _)) => println!("{faults:?}: {name}"),
            None => missed.push(faults),
        }
    }
    plant(&[]);
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
