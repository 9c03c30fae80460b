//! Power cuts at every step of a run that goes on: what a cut would have left behind is set aside,
//! booted and compared.
//!
//! [`Tapped`] is a storage that sets aside a clone of the device, cut in the middle of the step,
//! for each step that is done to it. So one run of the engine, whose RAM is as it would be in the
//! field, shows all its cut points, and so does each recovery for the cuts of the next one.
//!
//! What is set aside is booted by a [`Bench`], with a fresh region full of rubbish, once for each
//! way in which the step may tear: what the store shows then must be one of the states that are
//! allowed. A failure prints the scenario and the device, which between them replay it.

use super::moment::{Context, Counts, Moment, Watch};
use super::{Mix, Model, Op, Random, all_ids, check, read_all, verify};
use kausaldb::log::LogError;
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{
    Capacity, Config, Durability, FormatOptions, OpenError, StorageEngine, StoreId, WriteError,
    format,
};
use kausaldb_sim::{Aftermath, SimError, SimNor, Survivors, TornErase, TornWrite, UnderWay};
use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::rc::Rc;

/// How much larger everything is when the environment says `KAUSAL_SWEEP=full`.
pub fn sweep(ordinary: u64, full: u64) -> u64 {
    let asked = std::env::var("KAUSAL_SWEEP").is_ok_and(|sweep| sweep == "full");
    if asked { full } else { ordinary }
}

/// A device, a store on it, and what is written to it.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub segments: u32,
    pub segment_bytes: u32,
    pub erase_bytes: u32,
    pub write_bytes: u32,
    pub erased: Erased,
    pub keeps_write_order: bool,
    pub durability: Durability,
    pub mix: Mix,
    pub batches: u32,
}

/// A small ring that turns often, with lists that page.
pub const SMALL: Scenario = Scenario {
    seed: 1,
    segments: 12,
    segment_bytes: 1024,
    erase_bytes: 1024,
    write_bytes: 16,
    erased: Erased::Ones,
    keeps_write_order: true,
    durability: Durability::EveryBatch,
    mix: Mix { ids: 14, operations: 6, content_max: 70, puts: 40, links: 38, hubs: true },
    batches: 150,
};

/// Long lists of few nodes.
pub const HUBS: Scenario = Scenario {
    segments: 16,
    mix: Mix { ids: 28, content_max: 30, puts: 10, links: 65, operations: 6, hubs: true },
    ..SMALL
};

/// Segments of several sectors, small words, an erased pattern of zeros.
pub const SECTORS: Scenario = Scenario {
    segments: 10,
    segment_bytes: 2048,
    erase_bytes: 512,
    write_bytes: 4,
    erased: Erased::Zeros,
    ..SMALL
};

/// A file: any subset of what is unsynced survives, and an erase does nothing.
pub const FILE: Scenario = Scenario {
    seed: 1,
    segments: 10,
    segment_bytes: 4096,
    erase_bytes: 4096,
    write_bytes: 1,
    erased: Erased::Unknown,
    keeps_write_order: false,
    mix: Mix { ids: 14, operations: 6, content_max: 1200, puts: 45, links: 33, hubs: true },
    batches: 250,
    ..SMALL
};

impl Scenario {
    pub fn geometry(&self) -> Geometry {
        Geometry {
            capacity_bytes: u64::from(self.segments) * u64::from(self.segment_bytes),
            erase_bytes: self.erase_bytes,
            write_bytes: self.write_bytes,
            erased: self.erased,
            keeps_write_order: self.keeps_write_order,
        }
    }

    pub fn capacity(&self) -> Capacity {
        Capacity {
            nodes: (self.mix.ids as u32 * 2).max(32),
            pending_edges: 16,
            hub_pages: 16,
            segments: self.segments,
            segment_bytes: self.segment_bytes,
            block_bytes: Capacity::SMALL.block_bytes.max(self.mix.content_max as u32 + 64),
            batch_bytes: Capacity::SMALL.batch_bytes.max(self.mix.content_max as u32 * 4),
            buffer_bytes: self.write_bytes.max(if self.erase_bytes > 4096 { 4096 } else { 128 }),
            ..Capacity::SMALL
        }
    }

    pub fn config(&self) -> Config {
        Config { durability: self.durability, ..Config::default() }
    }

    /// A device with an empty store.
    pub fn device(&self) -> SimNor {
        let mut device = SimNor::new(self.geometry(), self.seed).expect("geometry");
        let store = StoreId::from_u128(7);
        format(&mut device, &FormatOptions { store, segment_bytes: self.segment_bytes })
            .expect("format");
        device.reopen();
        device
    }
}

/// Says on what device the test failed, if it does.
pub struct Replay(pub String);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {}", self.0);
        }
    }
}

/// A device that was cut, and what the engine was doing.
pub struct Cut {
    pub device: SimNor,
    pub moment: Moment,
}

/// Devices that were cut, from a storage to whoever looks at them.
pub type Tape = Rc<RefCell<Vec<Cut>>>;

/// At which units a call that writes several is cut.
#[derive(Clone, Copy, Debug)]
pub enum Units {
    All,
    /// Where there are more than so many: the first, the last, and one drawn at random.
    Ends(u64),
    /// One drawn at random.
    One,
}

/// Which steps are set aside.
#[derive(Clone, Copy, Debug)]
pub struct Thinning {
    /// One step in so many is set aside; none if it is 0.
    pub one_in: u64,
    /// So many are set aside in each phase before that.
    pub first: u64,
    pub units: Units,
}

impl Thinning {
    pub const NONE: Self = Self { one_in: 0, first: 0, units: Units::All };

    pub fn one_in(one_in: u64) -> Self {
        Self { one_in, ..Self::NONE }
    }

    /// A random unit of one call in so many.
    pub fn calls(one_in: u64) -> Self {
        Self { units: Units::One, ..Self::one_in(one_in) }
    }
}

/// A device of which the cut points are set aside.
pub struct Tapped {
    pub nor: SimNor,
    thinning: Thinning,
    random: Random,
    cuts: Tape,
    watch: Option<(Watch, Rc<Context>)>,
    counts: Counts,
}

impl Tapped {
    pub fn new(nor: SimNor, thinning: Thinning) -> (Self, Tape) {
        let random = Random::new(nor.steps() + 1);
        let cuts = Tape::default();
        let counts = Counts::default();
        (Self { nor, thinning, random, cuts: cuts.clone(), watch: None, counts }, cuts)
    }

    /// Draws otherwise than other lives that begin at the same step of the device.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = Random::new(self.nor.steps() + 1 + (seed << 32));
        self
    }

    /// Begins another life of the same device, under the same eyes.
    pub fn reopen(&self) -> Self {
        let mut nor = self.nor.clone();
        nor.reopen();
        let (random, cuts) = (self.random.clone(), self.cuts.clone());
        let watch = self.watch.clone();
        Self { nor, thinning: self.thinning, random, cuts, watch, counts: self.counts }
    }

    pub fn watched(mut self, watch: Watch, context: Rc<Context>) -> Self {
        self.watch = Some((watch, context));
        self
    }

    fn is_wanted(&mut self, step: u64, steps: u64, drawn: u64, moment: Moment) -> bool {
        let Thinning { one_in, first, units } = self.thinning;
        if one_in == 0 {
            return false;
        }
        let may_be = match units {
            Units::All => true,
            Units::Ends(max) => steps <= max || [0, drawn, steps - 1].contains(&step),
            Units::One => step == drawn,
        };
        let is_drawn = may_be && self.random.one_in(one_in);
        is_drawn || self.counts.least(moment) < first
    }

    fn set_aside(
        &mut self,
        moments: &[Moment],
        again: impl Fn(&mut SimNor) -> Result<(), SimError>,
    ) {
        let steps = moments.len() as u64;
        let drawn = self.random.below(steps.max(1));
        for (step, &moment) in (0..).zip(moments) {
            if self.is_wanted(step, steps, drawn, moment) {
                let mut device = self.nor.clone();
                device.cut_at(step);
                assert_eq!(again(&mut device), Err(SimError::PowerCut));
                self.counts.add(moment);
                self.cuts.borrow_mut().push(Cut { device, moment });
            }
        }
    }
}

impl Storage for Tapped {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.nor.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        self.nor.read(at, into)
    }

    fn is_lost(&self, error: &SimError) -> bool {
        self.nor.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        let units = bytes.len() / self.geometry().write_bytes as usize;
        let moments = match &mut self.watch {
            Some((watch, context)) => watch.write(self.nor.image(), at, bytes, context),
            None => vec![Moment::default(); units],
        };
        // A file tears in pieces, whichever byte it is cut at: one byte stands for all.
        if self.geometry().keeps_write_order {
            self.set_aside(&moments, |nor| nor.write(at, bytes));
        } else {
            let part = self.random.below(units.max(1) as u64);
            for written in [part, units as u64] {
                let moment = moments.get(written as usize).or(moments.last()).copied();
                self.set_aside(moment.as_slice(), |nor| {
                    nor.cut_at(written);
                    nor.write(at, bytes)?;
                    nor.sync()
                });
            }
        }
        self.nor.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        let watched = self.watch.as_ref().map(|(watch, context)| watch.erase(sector, context));
        self.set_aside(&[watched.unwrap_or_default()], |nor| nor.erase(sector));
        self.nor.erase(sector)
    }

    fn sync(&mut self) -> Result<(), SimError> {
        let watched = self.watch.as_ref().map(|(watch, context)| watch.sync(context));
        self.set_aside(&[watched.unwrap_or_default()], |nor| nor.sync());
        self.nor.sync()
    }
}

/// A device that its owner wants back, whatever becomes of the engine.
pub struct Lent<'d>(pub &'d mut SimNor);

impl Storage for Lent<'_> {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        self.0.read(at, into)
    }

    fn is_lost(&self, error: &SimError) -> bool {
        self.0.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        self.0.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.0.erase(sector)
    }

    fn sync(&mut self) -> Result<(), SimError> {
        self.0.sync()
    }
}

/// Every way in which the step can tear at which this device was cut.
pub fn aftermaths(cut: &SimNor) -> Vec<Aftermath> {
    let all = Aftermath::default();
    if !cut.geometry().keeps_write_order {
        let unsynced = cut.unsynced();
        let survivors = if unsynced <= sweep(5, 10) as usize {
            (0..1 << unsynced).map(Survivors::Mask).collect()
        } else {
            let mut some = vec![Survivors::All, Survivors::None];
            some.extend((0..sweep(6, 30)).map(|_| Survivors::Seeded));
            some
        };
        return survivors.into_iter().map(|unsynced| Aftermath { unsynced, ..all }).collect();
    }
    let written = |write: &TornWrite| Aftermath { write: *write, ..all };
    let erased = |erase: &TornErase| Aftermath { erase: *erase, ..all };
    match cut.under_way() {
        Some(UnderWay::Write) => TornWrite::WAYS.iter().map(written).collect(),
        Some(UnderWay::Erase) => TornErase::WAYS.iter().map(erased).collect(),
        _ => vec![all],
    }
}

/// A device that was booted and shows one of the states that were allowed.
pub struct Booted {
    pub device: SimNor,
    /// Which of the states.
    pub state: usize,
    /// Free segments.
    pub free: u32,
    /// Cut points of the opening.
    pub cuts: Vec<SimNor>,
}

/// Boots devices, compares, and counts.
pub struct Bench {
    pub scenario: Scenario,
    region: Vec<MaybeUninit<u8>>,
    pub cuts: u64,
    pub boots: u64,
}

impl Bench {
    pub fn new(scenario: Scenario) -> Self {
        let region = vec![MaybeUninit::new(0xA5); scenario.capacity().region_bytes()];
        Self { scenario, region, cuts: 0, boots: 0 }
    }

    /// Says how much was tried; seen with `--nocapture`.
    pub fn report(&self, name: &str) {
        println!("{name}, seed {}: {} cuts, {} boots", self.scenario.seed, self.cuts, self.boots);
    }

    /// Opens a device whose power will be cut; whether it was, before the store was open.
    pub fn is_cut_opening(&mut self, device: &mut SimNor) -> bool {
        self.boots += 1;
        let (capacity, config) = (self.scenario.capacity(), self.scenario.config());
        let storage = Lent(device);
        match StorageEngine::open(storage, &mut self.region, capacity, config) {
            Ok(_) => false,
            Err(OpenError::Log(LogError::Storage(SimError::PowerCut))) => true,
            Err(error) => panic!("does not open: {error}"),
        }
    }

    /// Opens a device whose power will be cut, and writes until it is. Returns the states that are
    /// allowed then.
    pub fn write_until_cut(
        &mut self,
        device: &mut SimNor,
        allowed: &[Model],
        boot: u64,
    ) -> Vec<Model> {
        self.boots += 1;
        let replay = Replay(format!("boot {boot}: {device} in {:?}", self.scenario));
        let (capacity, config) = (self.scenario.capacity(), self.scenario.config());
        let mix = self.scenario.mix;
        let mut random = Random::new(self.scenario.seed * 1000 + boot);
        let mut version = boot * 1000;
        let opened = StorageEngine::open(Lent(device), &mut self.region, capacity, config);
        let mut engine = match opened {
            Ok(engine) => engine,
            Err(OpenError::Log(LogError::Storage(SimError::PowerCut))) => return allowed.to_vec(),
            Err(error) => panic!("does not open: {error}"),
        };
        let state = state_of(&mut engine, allowed, &mix, &replay.0);
        let mut model = allowed[state].clone();
        loop {
            let ops = mix.batch(&mut random, &mut version);
            let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
            let mut next = model.clone();
            next.apply(&ops);
            match engine.write(&operations) {
                Ok(_) => model = next,
                Err(WriteError::Log(LogError::Storage(_))) => return vec![model, next],
                Err(_) => {}
            }
        }
    }

    /// Opens the device, compares it with the states that are allowed, the newest first.
    pub fn boot(&mut self, device: SimNor, allowed: &[Model], cuts: Thinning) -> Booted {
        self.boots += 1;
        let replay = Replay(format!("{device} in {:?}", self.scenario));
        self.region.fill(MaybeUninit::new(0xA5));
        let (capacity, config) = (self.scenario.capacity(), self.scenario.config());
        let (storage, tape) = Tapped::new(device, cuts);
        let storage = storage.seeded(self.boots);
        let opened = StorageEngine::open(storage, &mut self.region, capacity, config);
        let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
        let state = state_of(&mut engine, allowed, &self.scenario.mix, &replay.0);
        assert_eq!(engine.stats().damaged, 0, "no power cut is damage");
        let free = engine.stats().segments_free;
        let device = engine.storage().nor.clone();
        let cuts = tape.take().into_iter().map(|cut| cut.device).collect();
        let violations = device.violations();
        assert!(violations.is_empty(), "{violations:?}");
        Booted { device, state, free, cuts }
    }

    /// What `open_read_only` shows, which writes nothing.
    pub fn peek(&mut self, device: &SimNor, allowed: &[Model]) -> usize {
        self.boots += 1;
        let replay = Replay(format!("read only: {device} in {:?}", self.scenario));
        let (capacity, config) = (self.scenario.capacity(), self.scenario.config());
        let opened =
            StorageEngine::open_read_only(device.clone(), &mut self.region, capacity, config);
        let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
        let state = state_of(&mut engine, allowed, &self.scenario.mix, &replay.0);
        assert_eq!(engine.stats().damaged, 0, "no power cut is damage");
        assert_eq!(engine.storage().image(), device.image(), "reading wrote");
        state
    }

    /// Goes on writing on a device that was booted, and boots it again, closed or not.
    pub fn go_on(&mut self, device: SimNor, model: &Model, batches: u32) {
        self.boots += 1;
        let replay = Replay(format!("going on: {device} in {:?}", self.scenario));
        let mut random = Random::new(device.steps());
        let mut device = device;
        let mut model = model.clone();
        device.reopen();
        let (capacity, config) = (self.scenario.capacity(), self.scenario.config());
        let mut engine = StorageEngine::open(device, &mut self.region, capacity, config)
            .unwrap_or_else(|error| panic!("does not open again: {error}"));
        let mut version = 1 << 40;
        for _ in 0..batches {
            let ops = self.scenario.mix.batch(&mut random, &mut version);
            if write(&mut engine, &mut model, &ops) {
                check(&mut engine, &model, &self.scenario.mix, "after another batch");
            }
        }
        verify(&mut engine, "after more batches");
        let device = if random.one_in(2) {
            engine.sync().expect("sync");
            engine.storage().clone()
        } else {
            let (device, closed) = engine.close();
            closed.expect("close");
            device
        };
        let mut device = device;
        device.reopen();
        let violations = device.violations();
        assert!(violations.is_empty(), "{violations:?}");
        self.boot(device, &[model], Thinning::NONE);
        drop(replay);
    }

    /// Boots a device that was cut, in every way, and goes on after some. Returns the boots, in the order of
    /// [`aftermaths`].
    pub fn try_all(&mut self, cut: &SimNor, allowed: &[Model], cuts: Thinning) -> Vec<Booted> {
        self.cuts += 1;
        let mut booted = Vec::new();
        let mut random = Random::new(cut.steps());
        for aftermath in aftermaths(cut) {
            let mut device = cut.clone();
            device.power_on_with(aftermath);
            let seen = random.one_in(4).then(|| device.clone());
            let boot = self.boot(device, allowed, cuts);
            if let Some(seen) = seen.filter(SimNor::is_stable) {
                let shown = self.peek(&seen, allowed);
                assert!(
                    allowed[shown] == allowed[boot.state],
                    "{seen}: a reader sees another state"
                );
            }
            if random.one_in(6) {
                self.go_on(boot.device.clone(), &allowed[boot.state], 4);
            }
            booted.push(boot);
        }
        booted
    }
}

/// Which of the states the engine shows; the newest, if several look alike.
fn state_of<S: Storage>(
    engine: &mut StorageEngine<'_, S>,
    allowed: &[Model],
    mix: &Mix,
    what: &str,
) -> usize {
    let shown = read_all(engine, &all_ids(mix));
    let state = allowed.iter().rposition(|state| *state == shown);
    let Some(state) = state else {
        for allowed in allowed {
            eprintln!("not this state: {}", difference(&shown, allowed));
        }
        panic!("the store shows what never was: {what}");
    };
    verify(engine, what);
    state
}

fn difference(shown: &Model, wanted: &Model) -> String {
    let ids = shown.blocks.keys().chain(wanted.blocks.keys());
    let block = ids.copied().find(|id| shown.blocks.get(id) != wanted.blocks.get(id));
    let block = block.map(|id| (id, shown.blocks.get(&id), wanted.blocks.get(&id)));
    let missing: Vec<_> = wanted.edges.difference(&shown.edges).take(2).collect();
    let extra: Vec<_> = shown.edges.difference(&wanted.edges).take(2).collect();
    format!("block (shown, wanted) {block:?}; edges missing {missing:?}, extra {extra:?}")
}

/// Writes a batch to both; false if it was refused.
pub fn write<S: Storage>(engine: &mut StorageEngine<'_, S>, model: &mut Model, ops: &[Op]) -> bool {
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    let mut next = model.clone();
    let expected = next.apply(ops);
    match engine.write(&operations) {
        Ok(_) => {
            assert!(expected, "an expectation was not checked");
            *model = next;
            true
        }
        Err(WriteError::Conflict { .. }) => {
            assert!(!expected, "a conflict that is none");
            false
        }
        Err(
            WriteError::Full { .. }
            | WriteError::BatchTooLarge { .. }
            | WriteError::BlockTooLarge { .. }
            | WriteError::NodesFull { .. }
            | WriteError::HubPagesFull { .. },
        ) => false,
        Err(error) => panic!("{error}: {ops:?}"),
    }
}

/// Runs the scenario once. After each batch `then` gets the cut points of it, and the states
/// allowed at each: all since the last sync, the one that holds the batch in flight last.
pub fn run(scenario: Scenario, cuts: Thinning, mut then: impl FnMut(&SimNor, &[Model])) {
    let replay = Replay(format!("the run itself: {scenario:?}"));
    let mut random = Random::new(scenario.seed);
    let mut region = super::region(&scenario.capacity());
    let (storage, tape) = Tapped::new(scenario.device(), cuts);
    let mut engine =
        StorageEngine::open(storage, &mut region, scenario.capacity(), scenario.config())
            .expect("open");
    let (mut version, mut states) = (0, vec![Model::default()]);
    let mut look = |states: &[Model]| tape.take().iter().for_each(|cut| then(&cut.device, states));
    look(&states);
    for _ in 0..scenario.batches {
        let ops = scenario.mix.batch(&mut random, &mut version);
        let mut model = states.last().cloned().unwrap_or_default();
        write(&mut engine, &mut model, &ops);
        states.push(model);
        look(&states);
        if scenario.durability == Durability::OnSync {
            if !random.one_in(6) {
                continue;
            }
            engine.sync().expect("sync");
            look(&states);
        }
        states.drain(..states.len() - 1);
    }
    let turned = engine.stats().traffic.segments_opened;
    assert!(turned > scenario.segments.into(), "the ring did not turn: {turned} segments opened");
    drop(replay);
}
