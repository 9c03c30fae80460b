//! A swarm of stores, each on a medium, with a capacity, a mix of batches and a misfortune of its own, all
//! from one seed: power fails, calls fail, caches lose what they were to keep, sectors wear out, bits flip
//! while nobody looks. None of that may lose an acknowledged batch, show part of one, or make anything
//! panic.
//!
//! The ordinary run has 2,000 seeds of 1,000 operations. `SEED=n` runs one alone; `CASES=n` so many
//! (`cargo task swarm` does, in release).
#![cfg(test)]

use crate::common::power::{Replay, Scenario};
use crate::common::{Mix, Model, Op, Random, all_ids, check, read_all, region};
use kausaldb::storage::Erased;
use kausaldb::{Capacity, Durability, Sequence, Storage, StorageEngine, WriteError};
use kausaldb_sim::{Fault, Shared, SimNor, When};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

const OPERATIONS: u64 = 1000;

/// What may strike in the middle of anything.
const FAULTS: [Fault; 7] = [
    Fault::FailedRead,
    Fault::FailedWrite,
    Fault::FailedErase,
    Fault::FailedSync,
    Fault::DroppedSync,
    Fault::StuckSector,
    Fault::Full,
];

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

fn scenario(seed: u64, random: &mut Random) -> Scenario {
    let write_bytes: u32 = pick(random, &[1, 2, 4, 8, 16, 32, 256]);
    let erase_bytes = pick(random, &[512, 1024, 2048, 4096]);
    let least = (16 * write_bytes).next_multiple_of(erase_bytes).max(erase_bytes);
    let segment_bytes = least * pick(random, &[1, 1, 2, 3]);
    let keeps_write_order = !random.one_in(3);
    let erased = match keeps_write_order {
        true => pick(random, &[Erased::Ones, Erased::Zeros, Erased::Unknown]),
        false => Erased::Unknown,
    };
    let ids = 4 + random.below(30);
    let mix = Mix {
        ids,
        operations: 1 + random.below(7),
        content_max: random.below(u64::from(segment_bytes / 4)),
        puts: 15 + random.below(50),
        links: 5 + random.below(30),
        hubs: random.one_in(2),
    };
    Scenario {
        seed,
        segments: 10 + random.below(14) as u32,
        segment_bytes,
        erase_bytes,
        write_bytes,
        erased,
        keeps_write_order,
        durability: pick(random, &[Durability::EveryBatch, Durability::OnSync]),
        mix,
        batches: 0,
    }
}

/// What became of a store, and what happened to all.
#[derive(Default)]
struct Sum {
    operations: u64,
    batches: u64,
    refused: u64,
    openings: u64,
    cuts: u64,
    faults: BTreeMap<String, u64>,
    flips: u64,
}

/// One store, from its format to its thousandth operation.
struct Life {
    scenario: Scenario,
    capacity: Capacity,
    random: Random,
    held: Shared,
    /// The states that may be there, all since the last sync, in their order.
    states: Vec<Model>,
    version: u64,
    /// Where the newest batch ends.
    sequence: Option<Sequence>,
    wears: u64,
    sum: Sum,
}

/// How a session ended.
enum End {
    /// All operations are done.
    Done,
    /// The store was closed.
    Closed,
    /// Power is off, or what is unsynced must not be believed.
    Cut,
    /// The process ended without a word.
    Dropped,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5A17);
        let scenario = scenario(seed, &mut random);
        let capacity = Capacity {
            pending_edges: 8 + random.below(24) as u32,
            hub_pages: 4 + random.below(12) as u32,
            intents: 2 + random.below(3) as u32,
            ..scenario.capacity()
        };
        let held = Shared::new(scenario.device());
        let (states, sum) = (vec![Model::default()], Sum::default());
        Self { scenario, capacity, random, held, states, version: 0, sequence: None, wears: 0, sum }
    }

    fn run(mut self) -> Sum {
        let line = Replay(format!("SEED={}, a store like {:?}", self.scenario.seed, self.scenario));
        let mut memory = region(&self.capacity);
        let mut openings_in_vain = 0;
        loop {
            memory.fill(MaybeUninit::new(0xA5));
            if self.random.one_in(3) {
                let step = self.random.below(80);
                self.held.with(|nor| nor.cut_at(step));
            } else if self.random.one_in(6) {
                self.plan_fault(10);
            }
            self.sum.openings += 1;
            let before = self.struck();
            let (capacity, config) = (self.capacity, self.scenario.config());
            let end = match StorageEngine::open(self.held.clone(), &mut memory, capacity, config) {
                Ok(mut engine) => {
                    openings_in_vain = 0;
                    match self.session(&mut engine) {
                        End::Closed => self.close(engine),
                        end => end,
                    }
                }
                Err(error) => {
                    openings_in_vain += 1;
                    assert!(openings_in_vain < 50, "does not open: {error}");
                    assert!(self.is_excused(before), "does not open: {error}");
                    End::Cut
                }
            };
            self.between_sessions(&end);
            if matches!(end, End::Done) {
                break;
            }
        }
        self.held.with(|nor| assert_eq!(nor.violations(), []));
        for fault in FAULTS {
            let struck = self.held.with(|nor| nor.struck(fault));
            *self.sum.faults.entry(format!("{fault:?}")).or_default() += struck;
        }
        drop(line);
        self.sum
    }

    /// How often anything struck so far.
    fn struck(&self) -> u64 {
        self.held.with(|nor| FAULTS.iter().map(|&fault| nor.struck(fault)).sum())
    }

    /// Whether the medium is to blame for a failure.
    fn is_excused(&self, struck_before: u64) -> bool {
        self.struck() > struck_before || !self.held.with(|nor| nor.has_power())
    }

    fn plan_fault(&mut self, within: u64) {
        let fault = pick(&mut self.random, &FAULTS);
        if fault == Fault::StuckSector {
            // A ring can do without a few slots, as long as it has more than it needs.
            if self.wears == 2 || self.scenario.segments < 16 {
                return;
            }
            self.wears += 1;
        }
        let call = self.random.below(within);
        self.held.with(|nor| nor.inject(fault, When::Call(call)));
    }

    /// Power comes back, and what waits for a closed store happens.
    fn between_sessions(&mut self, end: &End) {
        let flip = matches!(end, End::Closed).then(|| self.random.next());
        let is_cut = self.held.with(|nor| {
            nor.mend();
            let was_cut = !nor.has_power();
            if matches!(end, End::Cut) && !was_cut {
                nor.cut_at(0);
                let _ = nor.sync();
            }
            nor.cancel_cut();
            nor.power_on();
            nor.reopen();
            if let Some(flip) = flip {
                nor.flip_bit(flip / 8 % nor.image().len() as u64, (flip % 8) as u8);
            }
            was_cut
        });
        self.sum.cuts += u64::from(is_cut);
        self.sum.flips += u64::from(flip.is_some());
    }

    /// Reduces the states to the one that is shown.
    fn look(&mut self, engine: &mut StorageEngine<'_, Shared>, what: &str) {
        let shown = read_all(engine, &all_ids(&self.scenario.mix));
        let state = self.states.iter().rposition(|state| *state == shown);
        let state = state.unwrap_or_else(|| panic!("{what}: the store shows what never was"));
        self.states = vec![self.states[state].clone()];
    }

    fn session(&mut self, engine: &mut StorageEngine<'_, Shared>) -> End {
        self.held.with(SimNor::mend);
        self.look(engine, "opened");
        assert_eq!(engine.stats().damaged, 0);
        engine.scrub(u64::MAX).map_or_else(|error| self.excuse(error), |_| ());
        if !self.held.with(|nor| nor.has_power()) {
            return End::Cut;
        }
        loop {
            if self.sum.operations >= OPERATIONS {
                self.held.with(SimNor::mend);
                check(engine, &self.states[self.states.len() - 1], &self.scenario.mix, "the end");
                self.verify(engine);
                return End::Done;
            }
            if self.random.one_in(40) {
                let step = self.random.below(200);
                self.held.with(|nor| nor.cut_at(step));
            } else if self.random.one_in(40) {
                self.plan_fault(20);
            }
            let before = self.struck();
            if let Err(error) = self.step(engine) {
                assert!(self.is_excused(before), "{error}: {:?}", engine.stats());
                if !self.held.with(|nor| nor.has_power()) || !self.recover(engine) {
                    return End::Cut;
                }
            }
            // A slot whose erase power cut short is one that refuses: the batch was refused for want of room.
            if !self.held.with(|nor| nor.has_power()) {
                return End::Cut;
            }
            match self.random.below(200) {
                0 => return End::Dropped,
                1 => return End::Closed,
                _ => {}
            }
        }
    }

    fn close(&mut self, engine: StorageEngine<'_, Shared>) -> End {
        self.held.with(SimNor::mend);
        let (_, closed) = engine.close();
        match closed {
            Ok(()) => {
                self.states.drain(..self.states.len() - 1);
                End::Closed
            }
            Err(error) => {
                assert!(!self.held.with(|nor| nor.has_power()), "does not close: {error}");
                End::Cut
            }
        }
    }

    /// Nothing is lost; a record that is not needed any more keeps its flipped bit.
    fn verify(&self, engine: &mut StorageEngine<'_, Shared>) {
        let mut findings = Vec::new();
        let sum = engine.verify(|finding| findings.push(finding)).expect("verify");
        assert_eq!(sum.lost, 0, "{findings:?} in {sum:?}");
        assert!(self.sum.flips > 0 || findings.is_empty(), "{findings:?}");
    }

    fn excuse(&self, error: WriteError<kausaldb_sim::SimError>) {
        assert!(!self.held.with(|nor| nor.has_power()), "{error}");
    }

    /// One batch, and now and then something else. Fails where the engine says that it has to recover.
    fn step(
        &mut self,
        engine: &mut StorageEngine<'_, Shared>,
    ) -> Result<(), WriteError<kausaldb_sim::SimError>> {
        let ops = self.scenario.mix.batch(&mut self.random, &mut self.version);
        let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
        let mut next = self.states[self.states.len() - 1].clone();
        let expected = next.apply(&ops);
        self.sum.operations += ops.len() as u64;
        self.sum.batches += 1;
        match engine.write(&operations) {
            Ok(sequence) => {
                assert!(expected, "an expectation was not checked");
                assert!(self.sequence <= Some(sequence), "sequences begin again: {sequence:?}");
                assert_eq!(engine.sequence(), sequence);
                self.sequence = Some(sequence);
                self.states.push(next);
                if self.scenario.durability == Durability::EveryBatch {
                    self.states.drain(..self.states.len() - 1);
                }
            }
            Err(WriteError::Conflict { .. }) => assert!(!expected, "a conflict that is none"),
            Err(
                WriteError::Full { .. }
                | WriteError::NodesFull { .. }
                | WriteError::HubPagesFull { .. }
                | WriteError::BlockTooLarge { .. }
                | WriteError::BatchTooLarge { .. },
            ) => self.sum.refused += 1,
            Err(error) => {
                self.states.push(next);
                return Err(error);
            }
        }
        if !self.held.with(|nor| nor.has_power()) {
            return Ok(());
        }
        if self.random.one_in(10) {
            engine.sync()?;
            self.states.drain(..self.states.len() - 1);
        }
        if self.random.one_in(30) {
            engine.compact(u64::from(self.scenario.segment_bytes))?;
        }
        if self.random.one_in(60) {
            self.held.with(SimNor::mend);
            check(engine, &self.states[self.states.len() - 1], &self.scenario.mix, "in between");
            self.verify(engine);
        }
        Ok(())
    }

    /// Mends the medium and lets the engine recover, which it may have tried before; false if power failed
    /// meanwhile.
    fn recover(&mut self, engine: &mut StorageEngine<'_, Shared>) -> bool {
        if self.random.one_in(2) {
            // Whatever comes of it, another one follows.
            let _ = engine.recover();
            if !self.held.with(|nor| nor.has_power()) {
                return false;
            }
        }
        self.held.with(SimNor::mend);
        if self.random.one_in(3) {
            return false;
        }
        match engine.recover() {
            Ok(()) => {
                self.look(engine, "recovered");
                true
            }
            Err(error) => {
                assert!(!self.held.with(|nor| nor.has_power()), "does not recover: {error}");
                false
            }
        }
    }
}

#[test]
fn no_seed_loses_anything() {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let (first, cases) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("CASES").unwrap_or(2000)),
    };
    let (begin, next) = (Instant::now(), AtomicU64::new(first));
    let work = || {
        let mut sums = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + cases {
                return sums;
            }
            sums.push(Life::new(seed).run());
        }
    };
    let sums: Vec<Sum> = thread::scope(|scope| {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker failed")).collect()
    });
    let sum = |of: fn(&Sum) -> u64| sums.iter().map(of).sum::<u64>();
    let (operations, seconds) = (sum(|sum| sum.operations), begin.elapsed().as_secs_f64());
    let mut faults = BTreeMap::new();
    for (fault, times) in sums.iter().flat_map(|sum| &sum.faults) {
        *faults.entry(fault).or_insert(0) += times;
    }
    println!(
        "{cases} seeds: {operations} operations in {} batches ({} refused), {} openings, {} power \
         cuts, {} flipped bits, {faults:?}; {:.0} operations a second",
        sum(|sum| sum.batches),
        sum(|sum| sum.refused),
        sum(|sum| sum.openings),
        sum(|sum| sum.cuts),
        sum(|sum| sum.flips),
        operations as f64 / seconds,
    );
    if cases > 100 {
        assert!(sum(|sum| sum.cuts) > cases && sum(|sum| sum.refused) > 0);
        assert!(sum(|sum| sum.flips) > cases / 2);
        assert!(faults.values().all(|times| *times > 0), "{faults:?}");
    }
}
