//! Storage that refuses a call, whatever the engine is doing: opening, also read-only and on a medium
//! that has grown, recovering, repairing, scrubbing, compacting, verifying, reading, syncing, closing.
//!
//! Each action is done once to count its calls of each kind; then one call after the other is refused,
//! alone or with all of its kind that follow, until the storage is mended. The engine says so or does
//! without; it never takes a refusal for an absence; and when the storage is mended, everything is
//! there. What batches do when they are refused is in `power_errors.rs`.
//!
//! `KAUSAL_SWEEP=full` in the environment refuses every call in turn, not some.
#![cfg(test)]

use crate::common::power::{Replay, SMALL, Scenario, sweep, write};
use crate::common::{Block, Model, Random, all_ids, check, region, verify};
use kausaldb::log::LogError;
use kausaldb::storage::{Geometry, Storage};
use kausaldb::{
    Config, Direction, OnDamage, OpenError, Order, ReadError, StorageEngine, Workspace, WriteError,
};
use kausaldb_sim::{SimError, SimNor};
use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::rc::Rc;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    Read,
    Write,
    Erase,
    Sync,
}

const CALLS: [Call; 4] = [Call::Read, Call::Write, Call::Erase, Call::Sync];

/// Which call is refused.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    call: Call,
    after: u64,
    /// All of its kind from then on, or it alone.
    stays: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refused {
    Refused,
    Sim(SimError),
}

/// What the test keeps of a storage that the engine has.
#[derive(Clone)]
struct Lab {
    device: Rc<RefCell<SimNor>>,
    refusal: Rc<Cell<Option<Refusal>>>,
    /// Calls of each kind, and whether one was refused.
    calls: Rc<Cell<[u64; 4]>>,
    hit: Rc<Cell<bool>>,
}

impl Lab {
    fn with(device: SimNor) -> Self {
        let device = Rc::new(RefCell::new(device));
        Self { device, refusal: Rc::default(), calls: Rc::default(), hit: Rc::default() }
    }

    fn refuses(&self, call: Call) -> bool {
        let mut calls = self.calls.get();
        calls[call as usize] += 1;
        self.calls.set(calls);
        let Some(refusal) = self.refusal.get().filter(|refusal| refusal.call == call) else {
            return false;
        };
        if refusal.after > 0 {
            self.refusal.set(Some(Refusal { after: refusal.after - 1, ..refusal }));
            return false;
        }
        if !refusal.stays {
            self.refusal.set(None);
        }
        self.hit.set(true);
        true
    }

    fn mend(&self) {
        self.refusal.set(None);
    }

    /// The device, as the next session finds it.
    fn device(&self) -> SimNor {
        let mut device = self.device.borrow().clone();
        assert!(device.violations().is_empty(), "{:?}", device.violations());
        device.reopen();
        device
    }
}

impl Storage for Lab {
    type Error = Refused;

    fn geometry(&self) -> Geometry {
        self.device.borrow().geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Refused> {
        if self.refuses(Call::Read) {
            into.fill(0xFF);
            return Err(Refused::Refused);
        }
        self.device.borrow_mut().read(at, into).map_err(Refused::Sim)
    }

    fn is_lost(&self, error: &Refused) -> bool {
        matches!(error, Refused::Sim(error) if self.device.borrow().is_lost(error))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Refused> {
        if self.refuses(Call::Write) {
            let half = bytes.len() / 2;
            let part = half - half % self.geometry().write_bytes as usize;
            self.device.borrow_mut().write(at, &bytes[..part]).map_err(Refused::Sim)?;
            return Err(Refused::Refused);
        }
        self.device.borrow_mut().write(at, bytes).map_err(Refused::Sim)
    }

    fn erase(&mut self, sector: u32) -> Result<(), Refused> {
        if self.refuses(Call::Erase) {
            return Err(Refused::Refused);
        }
        self.device.borrow_mut().erase(sector).map_err(Refused::Sim)
    }

    fn sync(&mut self) -> Result<(), Refused> {
        if self.refuses(Call::Sync) {
            return Err(Refused::Refused);
        }
        self.device.borrow_mut().sync().map_err(Refused::Sim)
    }
}

type Engine<'r> = StorageEngine<'r, Lab>;

/// What is done while the storage refuses. What it returns is whether it came to its end.
type Action = fn(&mut Engine<'_>, &Model) -> bool;

/// A store that has turned around several times, with hubs, deletions that are open, and what it holds.
fn prepared(seed: u64) -> (Scenario, SimNor, Model) {
    let scenario = Scenario { seed, ..SMALL };
    let mut memory = region(&scenario.capacity());
    let opened =
        StorageEngine::open(scenario.device(), &mut memory, scenario.capacity(), scenario.config());
    let mut engine = opened.expect("open");
    let (mut model, mut random, mut version) = (Model::default(), Random::new(seed), 0);
    for _ in 0..150 {
        let ops = scenario.mix.batch(&mut random, &mut version);
        write(&mut engine, &mut model, &ops);
    }
    let mut device = engine.storage().clone();
    device.reopen();
    (scenario, device, model)
}

/// The indices of the calls that are refused, of so many.
fn chosen(calls: u64) -> impl Iterator<Item = u64> {
    let step = (calls / sweep(24, calls.max(1))).max(1);
    (0..calls).step_by(step as usize).chain(calls.checked_sub(1))
}

fn refusals(calls: [u64; 4]) -> Vec<Refusal> {
    let of = |call: Call| {
        chosen(calls[call as usize])
            .flat_map(move |after| [true, false].map(|stays| Refusal { call, after, stays }))
    };
    CALLS.into_iter().flat_map(of).collect()
}

/// The store is whole, and goes on.
fn is_whole(scenario: &Scenario, device: SimNor, model: &Model, memory: &mut [MaybeUninit<u8>]) {
    let (capacity, config) = (scenario.capacity(), scenario.config());
    let mut engine = StorageEngine::open(device, memory, capacity, config).expect("opens again");
    check(&mut engine, model, &scenario.mix, "opened again");
    verify(&mut engine, "opened again");
    assert_eq!(engine.stats().damaged, 0);
    let (mut model, mut random, mut version) = (model.clone(), Random::new(1), 1 << 50);
    for _ in 0..5 {
        let ops = scenario.mix.batch(&mut random, &mut version);
        write(&mut engine, &mut model, &ops);
    }
    check(&mut engine, &model, &scenario.mix, "going on");
}

/// Does the action with one call after the other refused.
fn sweep_action(name: &str, action: Action) {
    let (scenario, device, model) = prepared(3);
    let (capacity, config) = (scenario.capacity(), scenario.config());
    let (mut memory, mut again) = (region(&capacity), region(&capacity));
    let lab = Lab::with(device.clone());
    let mut engine = StorageEngine::open(lab.clone(), &mut memory, capacity, config).expect("open");
    lab.calls.set([0; 4]);
    assert!(action(&mut engine, &model), "{name} fails by itself");
    let calls = lab.calls.get();
    drop(engine);
    let (mut refused, mut done) = (0, 0);
    for refusal in refusals(calls) {
        let _replay = Replay(format!("{name}: {refusal:?}"));
        let lab = Lab::with(device.clone());
        let opened = StorageEngine::open(lab.clone(), &mut memory, capacity, config);
        let mut engine = opened.expect("open");
        lab.refusal.set(Some(refusal));
        let ended = action(&mut engine, &model);
        assert!(lab.hit.get(), "no call was refused");
        lab.mend();
        (refused, done) = (refused + u64::from(!ended), done + u64::from(ended));
        // What was refused changed nothing that is shown.
        if engine.count_edges() != Err(ReadError::NeedsRecovery) {
            check(&mut engine, &model, &scenario.mix, "after a refusal");
        }
        engine.recover().expect("recovers");
        check(&mut engine, &model, &scenario.mix, "recovered");
        drop(engine);
        is_whole(&scenario, lab.device(), &model, &mut again);
    }
    println!("{name}: {calls:?} calls; {refused} refusals were told, {done} did no harm");
}

/// Whether it was done; if not, the error says that the storage refused.
fn told<T>(done: Result<T, WriteError<Refused>>) -> bool {
    match done {
        Ok(_) => true,
        Err(WriteError::Log(LogError::Storage(Refused::Refused)) | WriteError::NeedsRecovery) => {
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn told_opening<T>(done: Result<T, OpenError<Refused>>) -> bool {
    match done {
        Ok(_) => true,
        Err(OpenError::Log(LogError::Storage(Refused::Refused))) => false,
        // Where no erase succeeds, no slot is left.
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn compacting_on_a_storage_that_refuses_loses_nothing() {
    sweep_action("compact", |engine, _| told(engine.compact(2_000)));
}

#[test]
fn scrubbing_on_a_storage_that_refuses_loses_nothing() {
    sweep_action("scrub", |engine, _| told(engine.scrub(u64::MAX)));
}

#[test]
fn recovering_on_a_storage_that_refuses_loses_nothing() {
    sweep_action("recover", |engine, _| told_opening(engine.recover()));
}

/// An engine whose first recovery is refused has never known anything; it tries again.
#[test]
fn preparing_on_a_storage_that_refuses_loses_nothing() {
    let (scenario, device, model) = prepared(3);
    let (capacity, config) = (scenario.capacity(), scenario.config());
    let (mut memory, mut again) = (region(&capacity), region(&capacity));
    let lab = Lab::with(device.clone());
    let mut engine =
        StorageEngine::prepare(lab.clone(), &mut memory, capacity, config).expect("prepare");
    lab.calls.set([0; 4]);
    engine.recover().expect("recovers");
    let calls = lab.calls.get();
    drop(engine);
    for refusal in refusals(calls) {
        let _replay = Replay(format!("prepare: {refusal:?}"));
        let lab = Lab::with(device.clone());
        let mut engine =
            StorageEngine::prepare(lab.clone(), &mut memory, capacity, config).expect("prepare");
        lab.refusal.set(Some(refusal));
        if !told_opening(engine.recover()) {
            assert_eq!(engine.count_edges(), Err(ReadError::NeedsRecovery));
            lab.mend();
            engine.recover().expect("recovers");
        }
        lab.mend();
        check(&mut engine, &model, &scenario.mix, "recovered");
        drop(engine);
        is_whole(&scenario, lab.device(), &model, &mut again);
    }
}

#[test]
fn syncing_on_a_storage_that_refuses_loses_nothing() {
    sweep_action("sync", |engine, _| told(engine.sync()));
}

#[test]
fn verifying_on_a_storage_that_refuses_finds_no_damage() {
    sweep_action("verify", |engine, _| {
        let mut findings = 0;
        let verified = engine.verify(|_| findings += 1);
        assert_eq!(findings, 0, "a refusal is no damage");
        match verified {
            Ok(_) => true,
            Err(ReadError::Storage(Refused::Refused)) => false,
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn a_refused_read_is_never_an_absence() {
    sweep_action("read", |engine, model| match read(engine, model) {
        Ok(()) => true,
        Err(ReadError::Storage(Refused::Refused)) => false,
        Err(error) => panic!("{error}"),
    });
}

/// Every kind of read; what it answers is right, or the storage's error.
fn read(engine: &mut Engine<'_>, model: &Model) -> Result<(), ReadError<Refused>> {
    let mut scratch = vec![0; 4096];
    for id in all_ids(&SMALL.mix) {
        let known = model.blocks.get(&id);
        assert_eq!(engine.contains(&id)?, known.is_some());
        assert_eq!(engine.version(&id)?, known.map(|block| block.version));
        let found = engine.find_into(&id, &mut scratch)?.map(|block| Block {
            version: block.version(),
            source_uri: block.source_uri().into(),
            metadata: block.metadata().into(),
            content: block.content().into(),
        });
        assert_eq!(found.as_ref(), known);
        for direction in Direction::BOTH {
            let mut edges = engine.reader_through(&mut scratch).edges(&id, direction, None)?;
            let mut count = 0;
            while let Some(edge) = edges.next()? {
                assert!(model.edges.contains(&edge));
                count += 1;
            }
            let of_node = model.edges.iter().filter(|edge| match direction {
                Direction::Out => edge.source == id,
                Direction::In => edge.target == id,
            });
            assert_eq!(count, of_node.count(), "edges are lacking");
        }
    }
    for edge in &model.edges {
        assert!(engine.reader_through(&mut scratch).has_edge(edge)?, "{edge:?} is lacking");
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut room = [0; Workspace::scratch_bytes(1, 5)];
        let workspace = Workspace::over(&mut room, 1).expect("room for an iterator");
        let mut query = engine.reader_through(&mut scratch).query(workspace);
        let (scan, mut count) = (query.scan(order)?, 0);
        while let Some(block) = query.next_block(&scan)? {
            assert_eq!(block.version(), model.blocks[&block.id()].version);
            count += 1;
        }
        assert_eq!(count, model.blocks.len(), "blocks are lacking");
    }
    engine.count_edges().map(|_| ())
}

#[test]
fn closing_on_a_storage_that_refuses_loses_nothing() {
    let (scenario, device, model) = prepared(4);
    let (capacity, config) = (scenario.capacity(), scenario.config());
    let mut memory = region(&capacity);
    for refusal in refusals([0, 2, 0, 2]) {
        let _replay = Replay(format!("close: {refusal:?}"));
        let lab = Lab::with(device.clone());
        let opened = StorageEngine::open(lab.clone(), &mut memory, capacity, config);
        lab.refusal.set(Some(refusal));
        let (storage, closed) = opened.expect("open").close();
        assert_eq!(told(closed), !lab.hit.get(), "a refusal is not told");
        lab.mend();
        drop(storage);
        is_whole(&scenario, lab.device(), &model, &mut memory);
    }
}

/// How a store is opened; whether it opened, and shows what it holds.
type Opening = fn(Lab, &mut [MaybeUninit<u8>], &Scenario, &Model) -> bool;

fn sweep_opening(
    name: &str,
    device: &SimNor,
    scenario: &Scenario,
    model: &Model,
    opening: Opening,
) {
    let mut memory = region(&scenario.capacity());
    let lab = Lab::with(device.clone());
    assert!(opening(lab.clone(), &mut memory, scenario, model), "{name} fails by itself");
    let (mut refused, mut done) = (0, 0);
    for refusal in refusals(lab.calls.get()) {
        let _replay = Replay(format!("{name}: {refusal:?} in {scenario:?}"));
        let lab = Lab::with(device.clone());
        lab.refusal.set(Some(refusal));
        let opened = opening(lab.clone(), &mut memory, scenario, model);
        (refused, done) = (refused + u64::from(!opened), done + u64::from(opened));
        lab.mend();
        is_whole(scenario, lab.device(), model, &mut memory);
    }
    println!("{name}: {refused} refusals were told, {done} did no harm");
}

fn open_and_look(
    lab: Lab,
    memory: &mut [MaybeUninit<u8>],
    scenario: &Scenario,
    model: &Model,
) -> bool {
    let opened = StorageEngine::open(lab.clone(), memory, scenario.capacity(), scenario.config());
    match opened {
        Ok(mut engine) => {
            lab.mend();
            check(&mut engine, model, &scenario.mix, "opened in spite of a refusal");
            true
        }
        refused => told_opening(refused),
    }
}

#[test]
fn opening_on_a_storage_that_refuses_loses_nothing() {
    for seed in 0..sweep(2, 10) {
        let (scenario, device, model) = prepared(seed);
        sweep_opening("open", &device, &scenario, &model, open_and_look);
    }
}

#[test]
fn opening_read_only_on_a_storage_that_refuses_shows_nothing_else() {
    let (scenario, device, model) = prepared(5);
    sweep_opening("open read-only", &device, &scenario, &model, |lab, memory, scenario, model| {
        let (capacity, config) = (scenario.capacity(), scenario.config());
        let opened = StorageEngine::open_read_only(lab.clone(), memory, capacity, config);
        match opened {
            Ok(mut engine) => {
                lab.mend();
                check(&mut engine, model, &scenario.mix, "opened in spite of a refusal");
                assert_eq!(lab.calls.get()[1..], [0, 0, 0], "a reader writes");
                true
            }
            refused => told_opening(refused),
        }
    });
}

#[test]
fn opening_a_medium_that_has_grown_on_a_storage_that_refuses_loses_nothing() {
    let (scenario, device, model) = prepared(6);
    let grown = Scenario { segments: scenario.segments + 4, ..scenario };
    let mut image = device.image().to_vec();
    image.resize(grown.geometry().capacity_bytes as usize, 0xFF);
    let device = SimNor::from_image(grown.geometry(), image, 1).expect("geometry");
    sweep_opening("open, grown", &device, &grown, &model, open_and_look);
}

#[test]
fn repairing_on_a_storage_that_refuses_ends_in_a_store_that_can_be_repaired() {
    let (scenario, sound, _) = prepared(7);
    let config = Config { on_damage: OnDamage::Say, ..scenario.config() };
    let capacity = scenario.capacity();
    let (mut memory, mut again) = (region(&capacity), region(&capacity));
    // Of some record nobody knows any more what it was.
    let hurt = (0..sound.image().len()).step_by(512).find_map(|at| {
        let mut device = sound.clone();
        device.image_mut()[at + 200..at + 264].fill(0x00);
        let engine = StorageEngine::open(device.clone(), &mut memory, capacity, config);
        engine.is_ok_and(|engine| engine.damage().is_some()).then_some(device)
    });
    let device = hurt.expect("some span is needed");
    let lab = Lab::with(device.clone());
    let mut engine = StorageEngine::open(lab.clone(), &mut memory, capacity, config).expect("open");
    lab.calls.set([0; 4]);
    engine.repair().expect("repairs");
    let calls = lab.calls.get();
    drop(engine);
    let mut refused = 0;
    for refusal in refusals(calls) {
        let _replay = Replay(format!("repair: {refusal:?}"));
        let lab = Lab::with(device.clone());
        let opened = StorageEngine::open(lab.clone(), &mut memory, capacity, config);
        let mut engine = opened.expect("open");
        lab.refusal.set(Some(refusal));
        let repaired = engine.repair().is_ok();
        refused += u64::from(!repaired);
        lab.mend();
        if !repaired {
            engine.recover().expect("recovers");
            if engine.damage().is_some() {
                engine.repair().expect("repairs when it can");
            }
        }
        assert_eq!(engine.damage(), None);
        drop(engine);
        let opened = StorageEngine::open(lab.device(), &mut again, capacity, config);
        let mut engine = opened.expect("opens");
        assert_eq!(engine.damage(), None, "a repair that has ended is undone");
        let mut wrong = 0;
        engine.verify(|finding| wrong += u32::from(finding.is_loss())).expect("verify");
        crate::common::check_directions(&mut engine, &all_ids(&scenario.mix));
    }
    assert!(refused > 10, "{refused}");
}
