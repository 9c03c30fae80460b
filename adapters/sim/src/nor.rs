//! The medium: bytes in RAM behind the [`Storage`] trait, with every fault passed through on the way.
//!
//! Invariants: no byte changes but through a call that the rules allow, a power cut, or
//! [`SimNor::image_mut`]; while power is off, nothing does.

use crate::error::{SetupError, SimError};
use crate::fault::{Aftermath, Power, Torn, TornErase, TornWrite, UnderWay, Unstable};
use crate::file::PageCache;
use crate::line::{Event, Line, LineError, Timed, write_head};
use crate::plan::{Chance, Fault, Plan, When};
use crate::random::Random;
use crate::rules::{Rules, Violation};
use core::fmt;
use core::ops::Range;
use core::str::FromStr;
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
    plan: Plan,
    /// Units that cannot be read, and sectors that cannot be erased.
    unreadable: Vec<Range<usize>>,
    stuck: Vec<u32>,
    /// What each byte was before its last change, once a stale read was planned.
    past: Option<Vec<u8>>,
    /// Reads, writes, erases and syncs that were asked for.
    calls: [u64; 4],
    events: Vec<Timed>,
    /// What a line says that is still to happen, last first; while there is something, the test's own orders
    /// do not count.
    script: Vec<Timed>,
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
        let mut nor = Self::with_bytes(geometry, vec![geometry.erased.filler(); capacity], seed)?;
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
        let mut nor = Self::with_bytes(geometry, image, seed)?;
        nor.rules = Rules::of_image(geometry, &nor.bytes);
        nor.events.push((Event::Altered, 0));
        Ok(nor)
    }

    fn with_bytes(geometry: Geometry, image: Vec<u8>, seed: u64) -> Result<Self, SetupError> {
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
            plan: Plan::default(),
            unreadable: Vec::new(),
            stuck: Vec::new(),
            past: None,
            calls: [0; 4],
            events: Vec::new(),
            script: Vec::new(),
            bytes: image,
        })
    }

    /// Cuts power when `after_steps` more steps have completed: the step after them is torn.
    ///
    /// A step is a unit written, a sector erased, or a sync. This replaces an earlier plan; the plan ends
    /// with the cut.
    pub fn cut_at(&mut self, after_steps: u64) {
        self.order(Event::CutAt { step: Some(self.power.steps().saturating_add(after_steps)) });
    }

    /// Forgets the cut that was planned.
    pub fn cancel_cut(&mut self) {
        self.order(Event::CutAt { step: None });
    }

    /// Steps completed since the medium was made: the range for a sweep of [`SimNor::cut_at`].
    pub fn steps(&self) -> u64 {
        self.power.steps()
    }

    /// Whether power is on.
    pub fn has_power(&self) -> bool {
        !self.power.is_off()
    }

    /// What power was cut in, while it is off, on a medium that keeps write order; `None` in a sync, which
    /// tears nothing.
    pub fn under_way(&self) -> Option<UnderWay> {
        self.torn.as_ref().map(|torn| match torn {
            Torn::Write { .. } => UnderWay::Write,
            Torn::Erase { .. } => UnderWay::Erase,
        })
    }

    /// Whether all bytes read the same each time: no cut left a unit or a sector unstable that was not erased
    /// since.
    pub fn is_stable(&self) -> bool {
        self.unstable.is_empty()
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
        let aftermath = self.scripted_aftermath().unwrap_or(aftermath);
        self.events.push((Event::PowerOn { aftermath }, self.all_calls()));
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
    /// What is unsynced stays so; sectors have to be erased again before they are written, but for blank
    /// units between others that were written.
    pub fn reopen(&mut self) {
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
    ///
    /// The line that replays this medium cannot hold what is done to them; [`SimNor::flip_bit`] is in it.
    pub fn image_mut(&mut self) -> &mut [u8] {
        self.order(Event::Altered);
        &mut self.bytes
    }

    /// Plans a fault, in place of what was planned for it before; `When::Never` ends it. What it has done
    /// stays.
    pub fn inject(&mut self, fault: Fault, when: When) {
        self.order(Event::Inject { fault, when });
    }

    /// Ends all faults that are planned. What they have done stays.
    pub fn mend(&mut self) {
        self.order(Event::Mend);
    }

    /// How often a fault struck.
    pub fn struck(&self, fault: Fault) -> u64 {
        self.plan.struck(fault)
    }

    /// How many calls were made that this fault can strike: the range for a sweep of [`When::Call`].
    pub fn calls_for(&self, fault: Fault) -> u64 {
        self.calls.get(fault.chance() as usize).copied().unwrap_or(0)
    }

    /// Flips a bit of the byte at `at`, for good.
    pub fn flip_bit(&mut self, at: u64, bit: u8) {
        self.order(Event::Flip { at, bit });
    }

    /// Makes bytes unreadable until their sector is erased.
    pub fn make_unreadable(&mut self, at: u64, len: u64) {
        self.order(Event::Hide { at, len });
    }

    /// A sector is never erased again: each try fails.
    pub fn wear_out(&mut self, sector: u32) {
        self.order(Event::Stick { sector });
    }

    fn all_calls(&self) -> u64 {
        self.calls.iter().sum()
    }

    /// Does what a test orders, unless a line is being replayed, which has orders of its own.
    fn order(&mut self, event: Event) {
        if self.script.is_empty() {
            self.obey(event);
        }
    }

    fn obey(&mut self, event: Event) {
        // A device that is damaged byte by byte says so once.
        if event != Event::Altered || self.events.last().is_none_or(|(last, _)| *last != event) {
            self.events.push((event, self.all_calls()));
        }
        match event {
            Event::CutAt { step } => self.power.cut_at(step),
            Event::Inject { fault, when } => {
                if fault == Fault::StaleRead && self.past.is_none() {
                    self.past = Some(self.bytes.clone());
                }
                self.plan.inject(fault, when);
            }
            Event::Mend => self.plan.mend(),
            Event::Flip { at, bit } => {
                let byte = usize::try_from(at).ok().and_then(|at| self.bytes.get_mut(at));
                byte.into_iter().for_each(|byte| *byte ^= 1 << (bit % 8));
            }
            Event::Hide { at, len } => {
                let end = at.saturating_add(len).min(self.geometry.capacity_bytes) as usize;
                let sector = self.geometry.erase_bytes as usize;
                let mut from = end.min(at as usize);
                // Each sector's part on its own: it ends with that sector's erase.
                while from < end {
                    let behind = end.min(from - from % sector + sector);
                    self.unreadable.push(from..behind);
                    from = behind;
                }
            }
            Event::Stick { sector } => self.stuck.push(sector),
            Event::PowerOn { .. } | Event::Altered | Event::Now => {}
        }
    }

    /// Lets happen what the line says for this moment, up to a return of power, for which the test has to
    /// ask.
    fn follow_script(&mut self) {
        while let Some(&(event, calls)) = self.script.last() {
            if calls > self.all_calls() || matches!(event, Event::PowerOn { .. }) {
                return;
            }
            self.script.pop();
            if event != Event::Now {
                self.obey(event);
            }
        }
    }

    fn scripted_aftermath(&mut self) -> Option<Aftermath> {
        self.follow_script();
        match self.script.last() {
            Some(&(Event::PowerOn { aftermath }, _)) => {
                self.script.pop();
                Some(aftermath)
            }
            _ => None,
        }
    }

    /// A call begins.
    fn call(&mut self, call: Chance) -> Result<(), SimError> {
        self.follow_script();
        if let Some(calls) = self.calls.get_mut(call as usize) {
            *calls += 1;
        }
        if self.has_power() { Ok(()) } else { Err(SimError::PowerCut) }
    }

    /// Whether this fault strikes the call.
    fn is_struck(&mut self, fault: Fault) -> bool {
        self.plan.strikes(fault, &mut self.random)
    }

    /// Fails if this fault strikes the call.
    fn fail_at(&mut self, fault: Fault) -> Result<(), SimError> {
        if self.is_struck(fault) { Err(SimError::Fault(fault)) } else { Ok(()) }
    }

    /// Faults of data at rest, on the way to a read.
    fn disturb(&mut self, span: &Range<usize>) -> Result<(), SimError> {
        self.fail_at(Fault::FailedRead)?;
        if self.is_struck(Fault::BitFlip) {
            let at = self.random.below(self.bytes.len() as u64) as usize;
            let bit = self.random.below(8);
            self.bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
        }
        if !span.is_empty() && self.is_struck(Fault::UnreadableSpan) {
            let unit = self.geometry.write_bytes as usize;
            let at = span.start + self.random.below(span.len() as u64) as usize;
            let at = at - at % unit;
            self.unreadable.push(at..at + unit);
        }
        let hidden = |hidden: &Range<usize>| hidden.start < span.end && span.start < hidden.end;
        let is_hidden = self.unreadable.iter().any(hidden);
        if is_hidden { Err(SimError::Fault(Fault::UnreadableSpan)) } else { Ok(()) }
    }

    /// Where a write of this length lands that was meant for `at`.
    fn landing(&mut self, at: usize, len: usize) -> usize {
        if len == 0 || !self.is_struck(Fault::MisdirectedWrite) {
            return at;
        }
        let unit = self.geometry.write_bytes as usize;
        self.random.below(((self.bytes.len() - len) / unit + 1) as u64) as usize * unit
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
            let past = self.past.as_mut().and_then(|past| past.get_mut(at..at + new.len()));
            past.into_iter().for_each(|past| past.copy_from_slice(bytes));
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
        self.unreadable.retain(|hidden| !sector.contains(&hidden.start));
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
            TornWrite::Unreadable => self.unreadable.push(at..at + new.len()),
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
        let Some(bytes) = self.bytes.get_mut(span.clone()) else { return };
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
            TornErase::Unreadable => self.unreadable.push(span),
        }
    }
}

impl Storage for SimNor {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        self.call(Chance::Read)?;
        let span = self.rules.span(at, into.len());
        let span = self.checked(span)?;
        self.disturb(&span)?;
        self.counts.reads += 1;
        self.counts.bytes_read += into.len() as u64;
        let start = span.start;
        let stale = self.is_struck(Fault::StaleRead);
        let shown = self.past.as_ref().filter(|_| stale).unwrap_or(&self.bytes);
        into.copy_from_slice(shown.get(span).unwrap_or_default());
        for unstable in &self.unstable {
            unstable.show(into, start, &mut self.random);
        }
        Ok(())
    }

    fn is_lost(&self, error: &SimError) -> bool {
        matches!(error, SimError::Fault(Fault::UnreadableSpan))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        self.call(Chance::Write)?;
        let span = self.rules.write(at, bytes.len());
        let span = self.checked(span)?;
        self.fail_at(Fault::Full)?;
        let unit = self.geometry.write_bytes as usize;
        let mut units = (bytes.len() / unit) as u64;
        let failure = self.fail_at(Fault::FailedWrite);
        if failure.is_err() {
            units = self.random.below(units + 1);
        }
        let bytes = bytes.get(..units as usize * unit).unwrap_or_default();
        let whole_units = self.power.take(units) as usize;
        let (whole, rest) = bytes.split_at(whole_units * unit);
        // One that was torn is written as well.
        let begun = whole.len() + rest.len().min(unit);
        self.rules.mark_written(&(span.start..span.start + begun));
        let landing = self.landing(span.start, whole.len());
        self.put(landing, whole);
        self.counts.writes += 1;
        self.counts.bytes_written += whole.len() as u64;
        match rest.get(..unit) {
            None => failure,
            Some(new) => {
                let torn = Torn::Write { at: span.start + whole.len(), new: new.to_vec() };
                self.torn = self.geometry.keeps_write_order.then_some(torn);
                Err(SimError::PowerCut)
            }
        }
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.call(Chance::Erase)?;
        let span = self.rules.sector(sector);
        let span = self.checked(span)?;
        if self.is_struck(Fault::StuckSector) {
            self.stuck.push(sector);
        }
        if self.stuck.contains(&sector) {
            return Err(SimError::Fault(Fault::StuckSector));
        }
        if let Err(failure) = self.fail_at(Fault::FailedErase) {
            if self.geometry.keeps_write_order {
                self.rules.mark_unknown(&span);
                self.tear_erase(span, TornErase::Seeded);
            }
            return Err(failure);
        }
        let completed = self.power.step();
        let ordered = self.geometry.keeps_write_order;
        if !completed {
            self.rules.mark_unknown(&span);
        }
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
        self.call(Chance::Sync)?;
        if self.is_struck(Fault::FailedSync) {
            if !self.geometry.keeps_write_order {
                self.cache.forget(&self.bytes);
            }
            return Err(SimError::Fault(Fault::FailedSync));
        }
        if self.is_struck(Fault::DroppedSync) {
            self.cache.drop_unsynced(&mut self.bytes);
            return Err(SimError::Fault(Fault::DroppedSync));
        }
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

/// One line that replays everything done to the medium from outside: [`str::parse`] takes it.
impl fmt::Display for SimNor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_head(f, self.seed, &self.geometry)?;
        for (event, calls) in &self.events {
            write!(f, "; {event} @{calls}")?;
        }
        write!(f, "; {} @{}", Event::Now, self.all_calls())
    }
}

/// A fresh medium that does as the line says.
///
/// Whoever makes the same calls meets the same faults at the same places. Until the end of the line the
/// test's own orders ([`SimNor::cut_at`], [`SimNor::inject`] and the like) do nothing; it still restores
/// power, and gets the line's aftermath in place of its own.
impl FromStr for SimNor {
    type Err = LineError;

    fn from_str(line: &str) -> Result<Self, LineError> {
        let line = Line::parse(line)?;
        let mut nor = Self::new(line.geometry, line.seed).map_err(LineError::Setup)?;
        nor.script = line.events;
        nor.script.reverse();
        nor.follow_script();
        Ok(nor)
    }
}
