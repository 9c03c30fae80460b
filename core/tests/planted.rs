//! Every fault that can be planted is noticed by a run through the public interface: a checker that lets one
//! pass would let a bug of its kind pass as well.
//!
//! The checks are those of the other tests, made short: each fault goes through them until one fails.
#![cfg(test)]

mod common;

use common::power::{Bench, FILE, SMALL, Scenario, run, write};
use common::{Mix, Model, Random, all_ids, check, open, read_all, region, verify};
use kausaldb::planted::{Fault, plant};
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Durability, EdgeKind, FormatOptions, GraphEdge,
    StorageEngine, StoreId, WriteError, format,
};
use kausaldb_sim::{SimError, SimNor};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Faults, and why one may pass: the list is short, and each has its reason.
const FAULTS: [Fault; 33] = [
    Fault::MovedNotSynced,
    Fault::RetireNotSynced,
    Fault::HeaderNotSynced,
    Fault::EraseLeftOut,
    Fault::CountsWithoutMarks,
    Fault::NoThirdMark,
    Fault::TrustsTheEnd,
    Fault::TornBodyCounts,
    Fault::CopiesWhatIsTorn,
    Fault::ProvenUnprotected,
    Fault::RetiredLastFirst,
    Fault::NumbersRestart,
    Fault::OpensUnsynced,
    Fault::SaltLacksNumber,
    Fault::SaltLacksOffset,
    Fault::BatchNeedsNoEnd,
    Fault::BatchEndUncounted,
    Fault::AcknowledgedUnsynced,
    Fault::NeverMarks,
    Fault::TombstoneTooEarly,
    Fault::NumberFreedTooEarly,
    Fault::FoldedAtOneEnd,
    Fault::IntentNotMoved,
    Fault::OlderWins,
    Fault::UnlinkForgotten,
    Fault::SelfEdgeRefused,
    Fault::FullUnchecked,
    Fault::NoReserve,
    Fault::FailedSyncForgotten,
    Fault::GoesOnAfterFailure,
    Fault::RefusalIsAbsence,
    Fault::DamageMovedAsSound,
    Fault::SilentlyDegraded,
];

/// A check, and its name.
type Check = (&'static str, fn());

const CHECKS: [Check; 9] = [
    ("a run", a_run),
    ("a nearly full store", a_nearly_full_store),
    ("refused calls", refused_calls),
    ("damage", damage),
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

const NEARLY_FULL: Scenario = Scenario {
    segments: 8,
    mix: Mix { ids: 20, content_max: 330, puts: 85, links: 10, operations: 3, hubs: false },
    batches: 400,
    ..SMALL
};

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
    run(scenario, one_in, |cut, states| {
        bench.try_all(cut, states, 0);
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
        run(scenario, 60, |cut, states| {
            for once in bench.try_all(cut, states, 2) {
                for cut in &once.cuts {
                    for twice in bench.try_all(cut, states, 40) {
                        for cut in &twice.cuts {
                            bench.try_all(cut, states, 0);
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
        bench.boot(device, &states, 0);
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
        if self.refuses(Call::Read) {
            return Err(SimError::PowerCut);
        }
        self.device.read(at, into)
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
    // An edge at an empty store, for what comes after it.
    let edge = GraphEdge {
        source: BlockId::from_u128(1),
        kind: EdgeKind(1),
        target: BlockId::from_u128(1),
    };
    let mut engine = open(SMALL.device(), SMALL.capacity(), SMALL.config()).expect("open");
    engine.link(&edge).expect("link");
    assert!(engine.reader_through(&mut []).has_edge(&edge).expect("has_edge"));
}

#[test]
fn every_planted_fault_is_noticed() {
    let fails = |check: &Check| catch_unwind(AssertUnwindSafe(check.1)).is_err();
    plant(None);
    for check in &CHECKS {
        assert!(!fails(check), "{} fails without a fault", check.0);
    }
    // What a fault makes of a check is of no interest.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for fault in FAULTS {
        plant(Some(fault));
        match CHECKS.iter().find(|check| fails(check)) {
            Some((name, _)) => println!("{fault:?}: {name}"),
            None => missed.push(fault),
        }
    }
    plant(None);
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
