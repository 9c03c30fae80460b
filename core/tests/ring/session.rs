//! Sessions of the engine under the model's eyes, and power cuts at their steps.

use super::common::Random;
use super::common::power::{Replay, Scenario, aftermaths};
use super::common::{Op, region};
use super::model::{Ring, Seen};
use super::watch::{Cut, Device, Shared, Watched, must};
use kausaldb::{Durability, StorageEngine, WriteError};
use std::cell::RefCell;
use std::mem::MaybeUninit;

/// Opens devices and watches what becomes of them.
pub struct Bench {
    pub scenario: Scenario,
    memory: Vec<MaybeUninit<u8>>,
    random: Random,
    version: u64,
    pub seen: Seen,
    pub cuts: u64,
}

impl Bench {
    pub fn new(scenario: Scenario) -> Self {
        let (memory, random) = (region(&scenario.capacity()), Random::new(scenario.seed));
        Self { scenario, memory, random, version: 0, seen: Seen::default(), cuts: 0 }
    }

    /// A device with an empty store.
    pub fn device(&self) -> Device {
        Device::new(self.scenario.device())
    }

    /// Opens the store, writes so many batches, and leaves it, closed or not. Returns the device and what was
    /// set aside of its cuts: one in so many, or none.
    pub fn session(&mut self, device: Device, batches: u32, one_in: u64) -> (Device, Vec<Cut>) {
        let _replay = Replay(format!("{} in {:?}", device.nor, self.scenario));
        if self.random.one_in(4) {
            self.peek(&device);
        }
        let (capacity, config) = (self.scenario.capacity(), self.scenario.config());
        let (storage, shared) = match Watched::new(&self.scenario, device, one_in) {
            Ok(watched) => watched,
            Err(broken) => panic!("{broken}"),
        };
        let mut engine = StorageEngine::open(storage, &mut self.memory, capacity, config)
            .unwrap_or_else(|error| panic!("does not open: {error}"));
        let stats = engine.stats();
        assert_eq!(stats.damaged, 0, "no power cut is damage");
        let (live, free) = (stats.segments_live, stats.segments_free);
        must(shared.borrow_mut().ring.opened(live, free, stats.sequence.get()));
        let (random, version) = (&mut self.random, &mut self.version);
        for _ in 0..batches {
            one_batch(&mut engine, &shared, &self.scenario, random, version);
        }
        let device = if batches > 0 && random.one_in(2) {
            let (storage, closed) = engine.close();
            closed.expect("close");
            must(shared.borrow().ring.closed());
            storage.device()
        } else {
            engine.storage().device()
        };
        assert_eq!(device.nor.violations(), []);
        self.seen += shared.borrow().ring.seen;
        let cuts = std::mem::take(&mut shared.borrow_mut().cuts);
        (device, cuts)
    }

    /// A reader, who writes nothing, finds the end where the model does.
    fn peek(&mut self, device: &Device) {
        let Some(reading) = device.one_reading() else { return };
        let format = device.format(&self.scenario);
        let ring = Ring::new(format, std::slice::from_ref(&reading), device.synced);
        let ring = ring.unwrap_or_else(|broken| panic!("{broken}"));
        let (capacity, config) = (self.scenario.capacity(), self.scenario.config());
        let nor = device.nor.clone();
        let engine = StorageEngine::open_read_only(nor, &mut self.memory, capacity, config);
        let stats = engine.unwrap_or_else(|error| panic!("does not open: {error}")).stats();
        let found = (stats.segments_live, stats.sequence.get());
        must(ring.read_only(&reading, found));
    }

    /// Boots a device that was cut, in every way in which the step may tear; and cuts power in that opening
    /// again, at one step in so many, and in the opening after that.
    pub fn try_all(&mut self, cuts: Vec<Cut>, again: &[u64]) {
        let mut left: Vec<(Cut, usize)> = cuts.into_iter().map(|cut| (cut, 0)).collect();
        while let Some((cut, depth)) = left.pop() {
            self.cuts += 1;
            let one_in = again.get(depth).copied().unwrap_or(0);
            for aftermath in aftermaths(cut.under_way()) {
                let device = cut.power_on(aftermath);
                if !device.has_too_many_readings() {
                    let batches = if self.random.one_in(6) { 4 } else { 0 };
                    let (_, cuts) = self.session(device, batches, one_in);
                    left.extend(cuts.into_iter().map(|cut| (cut, depth + 1)));
                }
            }
        }
    }

    /// Power goes at every boot: each opens what the one before left.
    pub fn boots(&mut self, device: Device, boots: u32) -> Device {
        let mut device = device;
        for _ in 0..boots {
            let batches = if self.random.one_in(3) { 2 } else { 0 };
            let (left, mut cuts) = self.session(device, batches, 4);
            device = left;
            if cuts.is_empty() {
                continue;
            }
            let cut = cuts.swap_remove(self.random.below(cuts.len() as u64) as usize);
            let ways = aftermaths(cut.under_way());
            let torn = cut.power_on(ways[self.random.below(ways.len() as u64) as usize]);
            self.cuts += 1;
            if !torn.has_too_many_readings() {
                device = torn;
            }
        }
        device
    }

    /// Says how much was seen; shown with `--nocapture`.
    pub fn report(&self, name: &str) {
        println!("{name}, seed {}: {} cuts, {}", self.scenario.seed, self.cuts, self.seen);
    }
}

/// Writes a batch that the seed draws; now and then the store moves ahead, or syncs.
fn one_batch(
    engine: &mut StorageEngine<'_, Watched>,
    shared: &RefCell<Shared>,
    scenario: &Scenario,
    random: &mut Random,
    version: &mut u64,
) {
    let ops = scenario.mix.batch(random, version);
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    let before = engine.sequence();
    match engine.write(&operations) {
        Ok(after) if after != before => {
            let stats = engine.stats();
            let (live, free) = (stats.segments_live, stats.segments_free);
            let is_durable = scenario.durability == Durability::EveryBatch;
            must(shared.borrow_mut().ring.written(live, free, stats.sequence.get(), is_durable));
        }
        Err(WriteError::Log(error)) => panic!("{error}"),
        _ => {}
    }
    if random.one_in(40) {
        engine.compact(u64::from(scenario.segment_bytes)).expect("compact");
    }
    if scenario.durability == Durability::OnSync && random.one_in(6) {
        engine.sync().expect("sync");
    }
}
