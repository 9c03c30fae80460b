//! Wear, and the longest pause: how evenly the segments are erased, and what one `put` costs at most.
//!
//! Each load fills a store, mostly with blocks that never change, and then updates the others, one `put`
//! after the other. After each the store's own counters and the device's are asked what it cost, and the
//! cost is held against the bound of README, "What a call may cost", which is computed here from public
//! figures.
//!
//! The ordinary run updates some thousand times a load; `KAUSAL_SWEEP=full` makes it a million (`cargo
//! task sweep`). `--nocapture` shows the maxima.
#![cfg(test)]

use crate::common::power::{Lent, Replay, sweep};
use crate::common::{Random, open, region};
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, Stats, StorageEngine, StoreId,
    WriteError, format,
};
use kausaldb_sim::SimNor;

/// Slots without which no step is begun.
const STEP_SLOTS: u64 = 4;
/// What the record takes that retires a segment.
const RETIRE: u64 = 16;
/// What of a segment no other record takes: its header, what tells of the next one, and a record that retires
/// another.
const NO_RECORDS: u64 = 80 + 8 + RETIRE;
/// An index page, and how many records it describes; a segment of no more has none.
const PAGE: u64 = 16;
const PAGE_RECORDS: u64 = 64;

/// A store, and what is written to it.
#[derive(Clone, Copy, Debug)]
struct Load {
    segments: u32,
    segment_bytes: u32,
    content: usize,
    /// Of 100 bytes that live records may take, so many are filled.
    fill: u64,
    /// One of so many blocks is ever updated.
    one_in: u64,
    /// Whether those lie between the others, or all in one place, behind them.
    scattered: bool,
    updates: u64,
    /// Power is cut after so many updates, and the store opened again; never if it is 0.
    cut_every: u64,
}

const LOAD: Load = Load {
    segments: 16,
    segment_bytes: 4096,
    content: 16,
    fill: 100,
    one_in: 10,
    scattered: true,
    updates: 0,
    cut_every: 0,
};

/// What one call cost at most.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    moved: u64,
    written: u64,
    erases: u64,
    syncs: u64,
}

impl Worst {
    fn take(&mut self, cost: Self) {
        self.moved = self.moved.max(cost.moved);
        self.written = self.written.max(cost.written);
        self.erases = self.erases.max(cost.erases);
        self.syncs = self.syncs.max(cost.syncs);
    }
}

/// What a load came to.
struct Outcome {
    worst: Worst,
    /// Erases of the least and of the most often erased sector.
    erases: (u32, u32),
    /// Bytes written for each given, by the second half of the updates.
    written: f64,
}

/// Every record of these loads is as long as any other.
struct Board {
    load: Load,
    capacity: Capacity,
    content: Vec<u8>,
    blocks: u64,
    /// What a record takes, and what it is charged, in bytes.
    record: u64,
    charge: u64,
    /// What the live records may be charged in all, and in a segment.
    limit: u64,
    usable: u64,
}

type Engine = StorageEngine<'static, SimNor>;

impl Board {
    fn new(load: Load) -> (Self, Engine) {
        let geometry = Geometry {
            capacity_bytes: u64::from(load.segments) * u64::from(load.segment_bytes),
            erase_bytes: load.segment_bytes,
            write_bytes: 4,
            erased: Erased::Ones,
            keeps_write_order: true,
        };
        let mut device = SimNor::new(geometry, 1).expect("geometry");
        let options =
            FormatOptions { store: StoreId::from_u128(7), segment_bytes: load.segment_bytes };
        format(&mut device, &options).expect("format");
        device.reopen();
        let capacity = Capacity {
            nodes: load.segments * load.segment_bytes / 32,
            segments: load.segments,
            segment_bytes: load.segment_bytes,
            ..Capacity::SMALL
        };
        let engine = open(device, capacity, Config::default()).expect("open");
        let limit = engine.stats().free_bytes;
        let usable = limit / u64::from(load.segments - load.segments / 64 - 5);
        let content = vec![7; load.content];
        let (blocks, record, charge) = (0, 0, 0);
        (Self { load, capacity, content, blocks, record, charge, limit, usable }, engine)
    }

    fn put<S: Storage>(
        &self,
        engine: &mut StorageEngine<'_, S>,
        block: u64,
        version: u64,
    ) -> Result<(), WriteError<S::Error>> {
        let id = BlockId::from_u128(u128::from(block) * 0x1_0000_0001_0000_0001 + 1);
        let version = (1 << 40) + version;
        let (source_uri, metadata) = ("", &[][..]);
        let block = ContextBlock { id, version, source_uri, metadata, content: &self.content };
        engine.put(&block).map(|_| ())
    }

    /// Fills the store, and notes how long a record is.
    fn fill(&mut self, engine: &mut Engine) {
        while engine.stats().free_bytes > self.limit * (100 - self.load.fill) / 100 {
            let before = engine.stats();
            match self.put(engine, self.blocks, 0) {
                Ok(()) => self.blocks += 1,
                Err(WriteError::Full { .. }) => break,
                Err(error) => panic!("{error}"),
            }
            let after = engine.stats();
            self.record = self.record.max(after.live_bytes - before.live_bytes);
            self.charge = self.charge.max(before.free_bytes.saturating_sub(after.free_bytes));
        }
    }

    fn run(mut self, mut engine: Engine) -> Outcome {
        let _replay = Replay(format!("{:?}", self.load));
        self.fill(&mut engine);
        let hot = (self.blocks / self.load.one_in).max(1);
        let mut random = Random::new(3);
        let mut worst = Worst::default();
        let mut half = engine.stats();
        for update in 1..=self.load.updates {
            let block = random.below(hot);
            let scattered = self.load.scattered;
            let block = if scattered { block * self.load.one_in } else { self.blocks - 1 - block };
            let before = engine.stats();
            self.put(&mut engine, block, update).expect("a full store can be updated");
            let cost = self.cost(&before, &engine.stats());
            self.hold(&before, cost);
            worst.take(cost);
            if update == self.load.updates / 2 {
                half = engine.stats();
            }
            if self.load.cut_every > 0 && update % self.load.cut_every == 0 {
                engine = self.cut(engine, &mut random);
            }
        }
        let erases = engine.storage().erases();
        let erases =
            (*erases.iter().min().expect("sectors"), *erases.iter().max().expect("sectors"));
        assert!(engine.storage().violations().is_empty());
        let (stats, given) = (engine.stats(), engine.stats().given_bytes);
        let written = stats.traffic.bytes_written.saturating_sub(half.traffic.bytes_written);
        let written = written as f64 / given.saturating_sub(half.given_bytes) as f64;
        Outcome { worst, erases, written }
    }

    /// Power is cut somewhere in the next updates.
    fn cut(&self, engine: Engine, random: &mut Random) -> Engine {
        let mut device = engine.storage().clone();
        drop(engine);
        device.reopen();
        device.cut_at(random.below(60));
        let mut memory = region(&self.capacity);
        // Power may go while the store is opened.
        let opened =
            StorageEngine::open(Lent(&mut device), &mut memory, self.capacity, Config::default());
        if let Ok(mut engine) = opened {
            while self.put(&mut engine, 0, 1).is_ok() {}
        }
        device.power_on();
        open(device, self.capacity, Config::default()).expect("opens")
    }

    fn cost(&self, before: &Stats, after: &Stats) -> Worst {
        let (was, is) = (before.traffic, after.traffic);
        let (moved, written) =
            (is.moved_bytes - was.moved_bytes, is.bytes_written - was.bytes_written);
        Worst {
            moved,
            written,
            erases: is.segment_erases - was.segment_erases,
            syncs: is.syncs - was.syncs,
        }
    }

    /// The bound of README, for a put in a store as it was before it.
    fn hold(&self, before: &Stats, cost: Worst) {
        let (segments, spare) = (u64::from(self.load.segments), spare_slots(self.load.segments));
        let free = u64::from(before.segments_free);
        let (live, record) = (before.live_bytes, self.record);
        let whole = u64::from(self.load.segment_bytes) - NO_RECORDS;
        let pages =
            if whole / record > PAGE_RECORDS { whole / record / PAGE_RECORDS + 1 } else { 0 };
        let whole = whole - pages * PAGE;
        let filled = (whole - whole % record).min(whole - record / 2);
        // What the segments that are full hold is not told: it may be a little less than they can.
        let room = (segments - STEP_SLOTS) * (filled - filled / 128);
        let usual = room.saturating_sub(live + filled).clamp(filled, spare * filled);
        // What moving all segments may take beside what lives, if each was filled better than on average.
        let most = whole + RETIRE;
        let turn = (segments - free) * (most - most % record - filled + filled / 128);
        // What is left of the open segment is not told: it is taken for nothing, or for all of it.
        let left = free.saturating_sub(STEP_SLOTS) * filled;
        let rests = left > self.charge + usual + filled + turn;
        let late = left.saturating_sub(filled + turn).max(filled / 2);
        let over = usual.min(2 * late);
        let share = if rests { 0 } else { (self.charge * live / over).max(self.charge) };
        // At the reserve, segments are freed until it is whole again, whatever that takes.
        let forced = if left <= filled { 4 * filled } else { 0 };
        // What lives in each segment is rounded up to the next thousandth of one.
        let moved = share + share / 16 + record + forced;
        assert!(cost.moved <= moved, "{cost:?}: moved more than {moved}; {before:?}");
        let written = 2 * (moved + self.record) + 256;
        assert!(cost.written <= written, "{cost:?}: written more than {written}; {before:?}");
        // Records do not span segments: long ones are charged for the gaps that they leave.
        let charged = (self.record + cost.moved) * self.charge / self.record;
        let segments = charged.div_ceil(self.usable) + 1;
        assert!(cost.erases <= segments, "{cost:?}: erased more than {segments}; {before:?}");
        let most = spare * self.usable;
        let spare = room.saturating_sub(live).clamp(self.usable, most);
        let is_short = 3 * self.charge * (spare + live) <= self.usable * spare;
        if self.load.segments >= 16 && is_short {
            assert!(cost.erases <= 1, "{cost:?}: one erase at most; {before:?}");
        }
    }
}

/// The spare by which the usual pace is reckoned: 5 % of the slots, and at least five.
fn spare_slots(segments: u32) -> u64 {
    u64::from(segments / 20).max(5)
}

fn run(load: Load) -> Outcome {
    let (board, engine) = Board::new(load);
    board.run(engine)
}

/// Every segment is erased as often as any other, but for so many times.
fn assert_even(outcome: &Outcome, band: u32, what: &str) {
    let (least, most) = outcome.erases;
    println!("{what}: {least} to {most} erases of each segment");
    assert!(least > 0 && most - least <= band, "{what}: {least} to {most} erases");
}

#[test]
fn wear_is_even_also_when_most_data_is_static() {
    let updates = sweep(30_000, 1_000_000);
    for (segments, fill, one_in) in [(16, 50, 1), (16, 80, 20), (64, 80, 20), (64, 90, 1_000_000)] {
        for scattered in [true, false] {
            let load = Load { segments, fill, one_in, scattered, updates, ..LOAD };
            let what = format!("{segments} segments, {fill} % full, one block in {one_in} changes");
            assert_even(&run(load), 2, &what);
        }
    }
}

#[test]
fn wear_is_even_when_power_is_cut_again_and_again() {
    let updates = sweep(30_000, 1_000_000);
    for (segments, fill, one_in) in [(16, 50, 1), (16, 80, 20), (64, 80, 20)] {
        let load = Load { segments, fill, one_in, updates, cut_every: 500, ..LOAD };
        let what =
            format!("{segments} segments, {fill} % full, a power cut after every 500 updates");
        let outcome = run(load);
        // Openings erase free slots only, whichever these are just then.
        assert_even(&outcome, 8 + outcome.erases.0 / 8, &what);
    }
}

#[test]
fn a_put_costs_no_more_than_the_bound_says() {
    let updates = sweep(1_500, 15_000);
    println!("segments, of bytes | content | full | moved, written, erases, syncs at most");
    for segments in [8, 12, 16, 32, 64, 200] {
        for (segment_bytes, content) in
            [(4096, 16), (4096, 64), (4096, 200), (4096, 1000), (1024, 16)]
        {
            for fill in [50, 80, 100] {
                let mut worst = Worst::default();
                for (one_in, scattered) in LOADS {
                    let load = Load {
                        segments,
                        segment_bytes,
                        content,
                        fill,
                        one_in,
                        scattered,
                        updates,
                        ..LOAD
                    };
                    worst.take(run(load).worst);
                }
                let Worst { moved, written, erases, syncs } = worst;
                let store = format!("{segments} of {segment_bytes} | {content} | {fill} %");
                println!("{store} | {moved} | {written} | {erases} | {syncs}");
            }
        }
    }
}

/// Four loads, from one that changes every block to one that changes a single one.
const LOADS: [(u64, bool); 4] = [(1, true), (10, true), (10, false), (1_000_000, true)];

#[test]
fn what_updates_write_on_average() {
    println!("segments | content | full | bytes written for each given, by four loads; most moved");
    for (segments, content) in [(16, 64), (64, 16), (64, 64), (64, 200), (200, 64)] {
        for fill in [50, 80, 90, 100] {
            let loads = LOADS.map(|(one_in, scattered)| {
                // Some turns of the ring.
                let updates = u64::from(segments) * sweep(40, 200);
                run(Load { segments, content, fill, one_in, scattered, updates, ..LOAD })
            });
            let most = loads.iter().map(|load| load.worst.moved).max().expect("loads");
            let [a, b, c, d] = loads.map(|load| load.written);
            println!(
                "{segments} | {content} | {fill} % | {a:.1} / {b:.1} / {c:.1} / {d:.1}; {most}"
            );
            if (segments, content, fill) == (64, 64, 90) {
                assert!(a <= 4.5, "{a} bytes are written for each given");
            }
        }
    }
}
