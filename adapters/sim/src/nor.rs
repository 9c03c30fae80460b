//! The medium: bytes in RAM behind the [`Storage`] trait, with every fault passed through on the way.
//!
//! Invariants: no byte changes but through a call that the rules allow, a power cut, or
//! [`SimNor::image_mut`]; while power is off, nothing does.

use crate::error::{SetupError, SimError};
use crate::fault::{Aftermath, Power, Torn, TornErase, TornWrite, Unstable};
use crate::file::PageCache;
use crate::random::Random;
use crate::rules::{Rules, Violation};
use core::fmt;
use core::ops::Range;
use kausaldb::storage::{Erased, Geometry, MappedStorage, Storage};

/// How much was asked of a medium since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Writes, of any number of units.
    pub writes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Erases that completed.
    pub erases: u64,
    /// Syncs that completed.
    pub syncs: u64,
}

/// What was done to a medium from outside, to replay it.
#[derive(Clone, Copy, Debug)]
enum Event {
    CutAt { step: u64, after_steps: u64 },
    PowerOn { aftermath: Aftermath },
    Reopen { step: u64 },
}

/// NOR flash, or a file, in RAM: it enforces the contract of [`Storage`] and loses power when told to.
///
/// A clone is a snapshot of the whole device: content, faults to come, and what the seed will decide.
///
/// Borrowed bytes ([`MappedStorage`]) show one reading of unstable units, another one after each return of
/// power; while power is off they show what was there at the cut.
#[derive(Clone, Debug)]
pub struct SimNor {
    geometry: Geometry,
    seed: u64,
    random: Random,
    bytes: Vec<u8>,
    rules: Rules,
    cache: PageCache,
    power: Power,
    torn: Option<Torn>,
    unstable: Vec<Unstable>,
    counts: Counts,
    erases: Vec<u32>,
    violations: Vec<Violation>,
    events: Vec<Event>,
}

impl SimNor {
    /// A medium fresh from the factory: erased (random bytes where the erased pattern is unknown).
    ///
    /// # Errors
    /// A size is out of its bounds, or more than fits into RAM.
    pub fn new(geometry: Geometry, seed: u64) -> Result<Self, SetupError> {
        let capacity_bytes = geometry.capacity_bytes;
        let capacity =
            usize::try_from(capacity_bytes).map_err(|_| SetupError::TooLarge { capacity_bytes })?;
        geometry.check()?;
        let mut nor = Self::from_image(geometry, vec![geometry.erased.filler(); capacity], seed)?;
        if geometry.erased == Erased::Unknown {
            nor.random.fill(&mut nor.bytes);
        }
        Ok(nor)
    }

    /// A medium with these bytes, which nothing is known of.
    ///
    /// # Errors
    /// A size is out of its bounds, or the image is not as long as the capacity.
    pub fn from_image(geometry: Geometry, image: Vec<u8>, seed: u64) -> Result<Self, SetupError> {
        geometry.check()?;
        let (len, capacity_bytes) = (image.len(), geometry.capacity_bytes);
        if len as u64 != capacity_bytes {
            return Err(SetupError::ImageLength { len, capacity_bytes });
        }
        Ok(Self {
            geometry,
            seed,
            random: Random::new(seed),
            rules: Rules::new(geometry, len),
            cache: PageCache::default(),
            power: Power::default(),
            torn: None,
            unstable: Vec::new(),
            counts: Counts::default(),
            erases: vec![0; len / geometry.erase_bytes as usize],
            violations: Vec::new(),
            events: Vec::new(),
            bytes: image,
        })
    }

    /// Cuts power when `after_steps` more steps have completed: the step after them is torn.
    ///
    /// A step is a unit written, a sector erased, or a sync. This replaces an earlier plan; the plan ends
    /// with the cut.
    pub fn cut_at(&mut self, after_steps: u64) {
        self.events.push(Event::CutAt { step: self.power.steps(), after_steps });
        self.power.cut_at(Some(after_steps));
    }

    /// Forgets the cut that was planned.
    pub fn cancel_cut(&mut self) {
        self.power.cut_at(None);
    }

    /// Steps completed since the medium was made: the range for a sweep of [`SimNor::cut_at`].
    pub fn steps(&self) -> u64 {
        self.power.steps()
    }

    /// Whether power is on.
    pub fn has_power(&self) -> bool {
        !self.power.is_off()
    }

    /// Restores power; the seed decides what the cut left behind. Nothing happens if power is on.
    pub fn power_on(&mut self) {
        self.power_on_with(Aftermath::default());
    }

    /// Restores power; what the cut left behind is as told. Nothing happens if power is on.
    pub fn power_on_with(&mut self, aftermath: Aftermath) {
        if self.has_power() {
            return;
        }
        self.events.push(Event::PowerOn { aftermath });
        self.power.set(true);
        self.rules.reopen();
        self.cache.lose(&mut self.bytes, aftermath.unsynced, &mut self.random);
        match self.torn.take() {
            Some(Torn::Write { at, new }) => self.tear_write(at, new, aftermath.write),
            Some(Torn::Erase { span }) => self.tear_erase(span, aftermath.erase),
            None => {}
        }
        for unstable in &self.unstable {
            unstable.show(&mut self.bytes, 0, &mut self.random);
        }
    }

    /// Begins a new session with power on, as when a process ends and the next one opens the medium.
    ///
    /// What is unsynced stays so; sectors have to be erased again before they are written.
    pub fn reopen(&mut self) {
        self.events.push(Event::Reopen { step: self.power.steps() });
        self.rules.reopen();
    }

    /// Number of pieces that may be lost, on a medium that does not keep write order; see
    /// [`Survivors`](crate::Survivors).
    pub fn unsynced(&self) -> usize {
        self.cache.unsynced()
    }

    /// Every promise that the caller did not keep, in order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// How much was asked of the medium since it was made.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How often each sector was erased.
    pub fn erases(&self) -> &[u32] {
        &self.erases
    }

    /// All bytes of the medium.
    pub fn image(&self) -> &[u8] {
        &self.bytes
    }

    /// All bytes of the medium, to damage them.
    pub fn image_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn check_power(&self) -> Result<(), SimError> {
        if self.has_power() { Ok(()) } else { Err(SimError::PowerCut) }
    }

    fn checked<T>(&mut self, result: Result<T, Violation>) -> Result<T, SimError> {
        result.map_err(|violation| {
            self.violations.push(violation);
            SimError::Violation(violation)
        })
    }

    /// Changes bytes, durably or, on a medium that does not keep write order, until further notice.
    fn put(&mut self, at: usize, new: &[u8]) {
        if !self.geometry.keeps_write_order {
            self.cache.remember(&self.bytes, at, new);
        }
        if let Some(bytes) = self.bytes.get_mut(at..at + new.len()) {
            bytes.copy_from_slice(new);
        }
    }

    /// What a sector of this length holds after its erase.
    fn blank(&mut self, len: usize) -> Vec<u8> {
        let mut blank = vec![self.geometry.erased.filler(); len];
        if self.geometry.erased == Erased::Unknown {
            self.random.fill(&mut blank);
        }
        blank
    }

    /// The bytes of this sector are as stable as any again.
    fn stabilize(&mut self, sector: &Range<usize>) {
        self.unstable.retain(|unstable| !sector.contains(&unstable.at));
    }

    fn tear_write(&mut self, at: usize, new: Vec<u8>, how: TornWrite) {
        let how = how.settle(&mut self.random);
        let Some(bytes) = self.bytes.get_mut(at..at + new.len()) else { return };
        match how {
            TornWrite::Old | TornWrite::Seeded => {}
            TornWrite::New => bytes.copy_from_slice(&new),
            TornWrite::Mixed => self.random.mix(bytes, &new),
            TornWrite::Random => self.random.fill(bytes),
            TornWrite::Unstable => {
                self.unstable.push(Unstable { at, old: bytes.to_vec(), new });
            }
        }
    }

    fn tear_erase(&mut self, span: Range<usize>, how: TornErase) {
        let how = how.settle(&mut self.random);
        if how == TornErase::Old {
            return;
        }
        self.stabilize(&span);
        let new = self.blank(span.len());
        let unit = self.geometry.write_bytes as usize;
        let at = span.start;
        let Some(bytes) = self.bytes.get_mut(span) else { return };
        match how {
            TornErase::Old | TornErase::Seeded => {}
            TornErase::Ones => bytes.fill(0xFF),
            TornErase::Zeros => bytes.fill(0x00),
            TornErase::Mixed => {
                for (old, new) in bytes.chunks_mut(unit).zip(new.chunks(unit)) {
                    if self.random.coin() {
                        old.copy_from_slice(new);
                    }
                }
            }
            TornErase::Random => self.random.fill(bytes),
            TornErase::Unstable => {
                self.unstable.push(Unstable { at, old: bytes.to_vec(), new });
            }
        }
    }
}

impl Storage for SimNor {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        self.check_power()?;
        let span = self.rules.span(at, into.len());
        let span = self.checked(span)?;
        self.counts.reads += 1;
        self.counts.bytes_read += into.len() as u64;
        let start = span.start;
        into.copy_from_slice(self.bytes.get(span).unwrap_or_default());
        for unstable in &self.unstable {
            unstable.show(into, start, &mut self.random);
        }
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        self.check_power()?;
        let span = self.rules.write(at, bytes.len());
        let span = self.checked(span)?;
        let unit = self.geometry.write_bytes as usize;
        let whole_units = self.power.take((bytes.len() / unit) as u64) as usize;
        let (whole, rest) = bytes.split_at(whole_units * unit);
        self.rules.mark_written(&(span.start..span.start + whole.len()));
        self.put(span.start, whole);
        self.counts.writes += 1;
        self.counts.bytes_written += whole.len() as u64;
        match rest.get(..unit) {
            None => Ok(()),
            Some(new) => {
                let torn = Torn::Write { at: span.start + whole.len(), new: new.to_vec() };
                self.torn = self.geometry.keeps_write_order.then_some(torn);
                Err(SimError::PowerCut)
            }
        }
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.check_power()?;
        let span = self.rules.sector(sector);
        let span = self.checked(span)?;
        let completed = self.power.step();
        let ordered = self.geometry.keeps_write_order;
        if !completed && ordered {
            self.torn = Some(Torn::Erase { span });
            return Err(SimError::PowerCut);
        }
        // A file is filled only where its geometry promises a pattern; the fill may be lost like any write.
        if ordered || self.geometry.erased != Erased::Unknown {
            let blank = self.blank(span.len());
            self.put(span.start, &blank);
        }
        if !completed {
            return Err(SimError::PowerCut);
        }
        self.rules.mark_erased(&span);
        self.stabilize(&span);
        self.counts.erases += 1;
        if let Some(erases) = self.erases.get_mut(sector as usize) {
            *erases += 1;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SimError> {
        self.check_power()?;
        if !self.power.step() {
            return Err(SimError::PowerCut);
        }
        self.cache.sync();
        self.counts.syncs += 1;
        Ok(())
    }
}

impl MappedStorage for SimNor {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// One line that replays everything done to the medium from outside.
impl fmt::Display for SimNor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, {:?}", self.seed, self.geometry)?;
        for event in &self.events {
            match event {
                Event::CutAt { step, after_steps } => {
                    write!(f, "; at step {step}: cut_at({after_steps})")
                }
                Event::PowerOn { aftermath } => write!(f, "; power_on_with({aftermath:?})"),
                Event::Reopen { step } => write!(f, "; at step {step}: reopen()"),
            }?;
        }
        let (now, off) = (self.power.steps(), self.power.is_off());
        write!(f, "; now at step {now}, power {}", if off { "off" } else { "on" })
    }
}
