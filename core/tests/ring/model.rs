//! The model: what it knows of the ring, and what it makes of each call of the storage.
//!
//! A session begins with the readings that the medium allows, each with what an opening must do then. What
//! the engine does rules out those that it contradicts; if none is left, a rule was broken. From the third
//! mark on there is one ring, and the model follows it record by record.
//!
//! It never asks the engine what it knows. Of a power cut it keeps what had been synced before.

use super::decode::{Before, Format, Record, What};
use super::meaning::Meaning;
use super::rules::{Broken, Kept, Rule, hold};
use super::survey::{Expected, Reading, Segment, expected, meaning};
use std::collections::VecDeque;
use std::fmt;
use std::ops::{AddAssign, Range};

/// Marks that an opening writes.
const MARKS: usize = 3;
/// Slots that only an opening may take; that are free when a call returns; and when a step begins.
const FOR_OPENINGS: usize = 2;
const BETWEEN_CALLS: usize = 3;
const FOR_A_STEP: usize = 4;

/// What outlives a power cut: what was synced before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Synced {
    /// The greatest number of a segment that was part of the ring.
    pub number: u32,
    /// The segment that was open, and its end, when it was synced last.
    pub end: (u32, u32),
}

/// What was seen, so that a run can tell that it saw it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub openings: u64,
    /// Openings that took the newest segment over, and those that honoured a retirement nothing followed.
    pub taken_over: u64,
    pub retired_unproven: u64,
    /// Openings that had to leave a free slot alone, since a later opening might need it.
    pub held_back: u64,
    pub segments: u64,
    pub retired: u64,
    pub records: u64,
    pub moved: u64,
    pub batches: u64,
    pub readings: u64,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, more: Self) {
        self.openings += more.openings;
        self.taken_over += more.taken_over;
        self.retired_unproven += more.retired_unproven;
        self.held_back += more.held_back;
        self.segments += more.segments;
        self.retired += more.retired;
        self.records += more.records;
        self.moved += more.moved;
        self.batches += more.batches;
        self.readings += more.readings;
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { openings, taken_over, retired_unproven, held_back, readings, .. } = self;
        let Self { segments, retired, records, moved, batches, .. } = self;
        write!(
            f,
            "{openings} openings by {readings} readings ({taken_over} took over, {held_back} left slots \
             alone, {retired_unproven} found a retirement last), {segments} segments, {retired} retired, \
             {records} records, {moved} moved, {batches} batches"
        )
    }
}

/// A segment by its number, of which none says yet that it was opened after it.
struct Untold {
    number: u32,
    /// Slot and number of the one that is to say it; by each reading by which the opening may have gone.
    by: Vec<(u32, u32)>,
}

/// How far an opening is.
#[derive(Clone)]
enum Stage {
    /// Nothing was erased or written yet. (Whether it synced.)
    Looking(bool),
    /// The fresh segment is being written, for what is expected by one reading or another.
    Fresh,
    Running,
}

/// The ring, as the model has it.
pub struct Ring {
    pub format: Format,
    stage: Stage,
    /// What the opening may be about; each by another reading.
    expected: Vec<Expected>,
    /// Why those fell that fell.
    fallen: Option<Broken>,
    /// The ring, oldest segment first, and what its records mean.
    chain: VecDeque<Segment>,
    meaning: Meaning,
    /// The free slots in the order in which they are used; more than one order while it is not known by which
    /// reading the opening went.
    free: Vec<VecDeque<u32>>,
    /// The slot whose sectors this run has erased, and how many of them.
    erased: Option<(u32, u32)>,
    retired: u32,
    /// A segment of which the retirement is written and not synced.
    retiring: Option<u32>,
    number_max: u32,
    next_node: u32,
    /// What was written to the newest segment and is no whole record yet, and where that ends.
    pending: Vec<u8>,
    written: u32,
    /// Whether anything was written since the last sync.
    is_unsynced: bool,
    header_synced: bool,
    /// Segments that none says were opened after it.
    untold: Vec<Untold>,
    /// For each unit of the medium that was written by this run, whether it was read since.
    read_back: Vec<bool>,
    pub synced: Synced,
    pub seen: Seen,
}

impl Ring {
    /// Before an opening, of a medium that may be read in these ways.
    pub fn new(format: Format, readings: &[Reading], synced: Synced) -> Result<Self, Broken> {
        let mut all = Vec::new();
        for reading in readings {
            for expected in expected(&format, reading)? {
                let newest = (expected.newest.head.number, expected.newest.end);
                hold(newest >= synced.end, Rule::NothingLost, || {
                    format!("{newest:?} is the newest end, where {:?} was synced", synced.end)
                })?;
                all.push(expected);
            }
        }
        let units = format.segments * format.segment_bytes / format.align;
        let seen = Seen { openings: 1, readings: all.len() as u64, ..Seen::default() };
        Ok(Self {
            stage: Stage::Looking(false),
            expected: all,
            fallen: None,
            chain: VecDeque::new(),
            meaning: Meaning::default(),
            free: Vec::new(),
            erased: None,
            retired: 0,
            retiring: None,
            number_max: 0,
            next_node: 0,
            pending: Vec::new(),
            written: 0,
            is_unsynced: false,
            header_synced: false,
            untold: Vec::new(),
            read_back: vec![false; units as usize],
            synced,
            seen,
            format,
        })
    }

    /// Drops the readings by which this is wrong.
    fn sift(&mut self, is_right: impl Fn(&Expected) -> Kept) -> Kept {
        let mut fallen = self.fallen.take();
        self.expected.retain(|expected| match is_right(expected) {
            Ok(()) => true,
            Err(broken) => {
                fallen = Some(broken);
                false
            }
        });
        self.fallen = fallen;
        match (&self.fallen, self.expected.is_empty()) {
            (Some(broken), true) => Err(broken.clone()),
            _ => Ok(()),
        }
    }

    /// Drops the orders of free slots by which this one is not the next.
    fn sift_free(&mut self, slot: u32) -> Kept {
        let wrong = self.free.first().map_or(Ok(()), |free| is_next(free, slot));
        self.free.retain(|free| is_next(free, slot).is_ok());
        if self.free.is_empty() { wrong } else { Ok(()) }
    }

    fn slots_free(&self) -> usize {
        self.free.first().map_or(0, VecDeque::len)
    }

    // ---- calls of the storage ----

    pub fn read(&mut self, at: u64, len: usize) {
        let units = self.units(at, len);
        self.read_back[units].fill(true);
    }

    fn units(&self, at: u64, len: usize) -> Range<usize> {
        let align = u64::from(self.format.align);
        (at / align) as usize..(at + len as u64).div_ceil(align) as usize
    }

    pub fn sync(&mut self) -> Kept {
        if let Stage::Looking(is_synced) = &mut self.stage {
            *is_synced = true;
            return Ok(());
        }
        hold(self.pending.is_empty(), Rule::AtTheEnd, || {
            format!("{} bytes before a sync are no record", self.pending.len())
        })?;
        self.is_unsynced = false;
        self.header_synced = true;
        // A segment without records does not count.
        let counts = |segment: &&Segment| !segment.records.is_empty();
        let Some(head) = self.chain.iter().rev().find(counts) else { return Ok(()) };
        let is_third = matches!(self.stage, Stage::Fresh)
            && self.chain.back().is_some_and(|fresh| marks(fresh) == MARKS);
        // Before its marks a fresh segment does not count.
        if is_third || matches!(self.stage, Stage::Running) {
            self.synced.end = (head.head.number, head.end);
            self.synced.number = self.number_max;
        }
        if is_third {
            self.prove();
        }
        if self.retiring.take().is_some() {
            let slot = self.chain.pop_front().map(|segment| segment.head.slot);
            self.free.iter_mut().for_each(|free| free.extend(slot));
        }
        Ok(())
    }

    pub fn erase(&mut self, sector: u32) -> Kept {
        let slot = sector / self.format.sectors;
        match self.stage {
            Stage::Looking(is_synced) => {
                hold(is_synced, Rule::OpensSynced, || format!("slot {slot} is erased unsynced"))?;
                self.sift(|expected| {
                    let held = expected.held.get(&slot);
                    hold(held.is_none(), Rule::RingKept, || {
                        format!("slot {slot} is erased; {}", held.unwrap_or(&""))
                    })?;
                    is_next(&expected.free, slot)
                })?;
            }
            Stage::Fresh => {
                let by = format!("slot {slot} is erased before the fresh segment counts");
                return Err(Broken { rule: Rule::RingKept, by });
            }
            Stage::Running => {
                let is_live = self.chain.iter().any(|segment| segment.head.slot == slot);
                hold(!is_live, Rule::RingKept, || format!("slot {slot} of the ring is erased"))?;
                self.sift_free(slot)?;
            }
        }
        self.erased = match self.erased.filter(|(erased, _)| *erased == slot) {
            Some((_, sectors)) => Some((slot, sectors + 1)),
            None => Some((slot, 1)),
        };
        Ok(())
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Kept {
        let units = self.units(at, bytes.len());
        self.read_back[units].fill(false);
        let segment_bytes = u64::from(self.format.segment_bytes);
        let (slot, offset) = ((at / segment_bytes) as u32, (at % segment_bytes) as u32);
        if offset == 0 {
            self.begin(slot, bytes)?;
        } else if offset == self.format.successor_offset() {
            return self.tells(slot, bytes);
        } else {
            let is_end = self.chain.back().is_some_and(|head| head.head.slot == slot)
                && offset == self.written
                && !matches!(self.stage, Stage::Looking(_));
            hold(is_end, Rule::AtTheEnd, || format!("{offset} in slot {slot} is written"))?;
            self.pending.extend(bytes);
        }
        self.written = (offset + bytes.len() as u32).max(self.format.first_offset());
        self.take_records()
    }

    /// A segment says which one was opened after it.
    fn tells(&mut self, slot: u32, bytes: &[u8]) -> Kept {
        let is_by = |untold: &Untold| untold.by.iter().any(|by| by.0 == slot);
        let at = self.untold.iter().position(is_by);
        let untold = at.map(|at| self.untold.remove(at));
        let told = untold.and_then(|Untold { number, by }| {
            let mut said = by.iter().filter(|by| by.0 == slot);
            let said = said.find_map(|by| self.format.successor(bytes, by.1));
            let segment = self.chain.iter().find(|segment| segment.head.number == number)?;
            said.filter(|said| *said == (segment.head.slot, number)).map(|_| segment)
        });
        let is_running = matches!(self.stage, Stage::Running) && !self.is_unsynced;
        let is_durable =
            told.is_some_and(|told| is_running && !told.records.is_empty() && self.header_synced);
        hold(is_durable, Rule::SuccessorTold, || {
            let told = told.map(|told| (told.head.number, told.records.len()));
            format!("slot {slot} says that {told:?} was opened; unsynced: {}", self.is_unsynced)
        })
    }

    /// Before a record of the newest segment is written, it is told of if it holds what is durable, and so is
    /// each one before it.
    fn are_told(&self, number: u32, record: &Record) -> Kept {
        let may_wait = |untold: &Untold| {
            let is_first = record.offset == self.format.first_offset();
            untold.number == number && (is_first || !record.is_marked)
        };
        let missed = self.untold.iter().find(|untold| !may_wait(untold));
        // A page at the very end is written when the next segment is opened.
        hold(missed.is_none() || record.what == What::Index, Rule::SuccessorTold, || {
            let missed = missed.map(|untold| untold.number);
            format!("{missed:?} is told of nowhere before {:?} is written", record.what)
        })
    }

    // ---- what was written ----

    /// A segment begins in a slot.
    fn begin(&mut self, slot: u32, bytes: &[u8]) -> Kept {
        let is_erased = self.erased.take() == Some((slot, self.format.sectors));
        hold(is_erased, Rule::ErasedBefore, || format!("slot {slot} is begun and not erased"))?;
        let head = (bytes.len() >= self.format.successor_offset() as usize)
            .then(|| self.format.head(bytes, slot))
            .flatten();
        let Some(head) = head else {
            let by = format!("slot {slot} begins with no header");
            return Err(Broken { rule: Rule::HeaderTells, by });
        };
        hold(self.pending.is_empty(), Rule::AtTheEnd, || "half a record is left".into())?;
        let number = head.number;
        if let Stage::Looking(is_synced) = self.stage {
            hold(is_synced, Rule::OpensSynced, || format!("segment {number} is begun unsynced"))?;
            let durable = self.synced.number;
            self.sift(|expected| {
                let above = expected.number_max.max(durable);
                hold(number > above, Rule::NumbersRise, || format!("{number} after {above}"))?;
                let tells = (head.is_fresh, head.retired, head.before, head.continues);
                let wanted = (true, expected.retired, expected.before, expected.continues);
                hold(tells == wanted, Rule::HeaderTells, || {
                    format!("segment {number} tells {tells:?} in place of {wanted:?}")
                })
            })?;
            self.stage = Stage::Fresh;
            // Those that are left agree on the ring, or differ in what is still to be written.
            self.chain = self.expected[0].chain.iter().cloned().collect();
            self.meaning = meaning(self.chain.iter());
        } else {
            self.follows_on(slot, &head)?;
            let before = self.chain.back().map(|before| (before.head.slot, before.head.number));
            self.untold.push(Untold { number, by: before.into_iter().collect() });
        }
        // Who was to say something may lie here no longer.
        self.untold.retain_mut(|untold| {
            untold.by.retain(|by| by.0 != slot);
            !untold.by.is_empty()
        });
        self.meaning.begin(&head);
        let next_node = self.next_node.max(self.meaning.next_node());
        hold(head.next_node >= next_node, Rule::HeaderTells, || {
            format!(
                "segment {number} says {} of node numbers, {next_node} of which are given",
                head.next_node
            )
        })?;
        self.chain.push_back(Segment::new(head, &self.format));
        (self.number_max, self.next_node) = (number, head.next_node);
        self.header_synced = false;
        self.is_unsynced = true;
        self.seen.segments += 1;
        Ok(())
    }

    /// The running engine goes on in another segment.
    fn follows_on(&mut self, slot: u32, head: &super::decode::Head) -> Kept {
        let (number, above) = (head.number, self.number_max);
        hold(number > above, Rule::NumbersRise, || format!("{number} after {above}"))?;
        self.sift_free(slot)?;
        for free in &mut self.free {
            free.pop_front();
        }
        let last = self.chain.back().map(|last| Before {
            slot: last.head.slot,
            number: last.head.number,
            end: last.end,
            index: last.index_before(last.end),
        });
        let tells = (head.is_fresh, head.retired, head.before, head.continues);
        let wanted = (false, self.retired, last, false);
        hold(tells == wanted, Rule::HeaderTells, || {
            format!("segment {number} tells {tells:?} in place of {wanted:?}")
        })?;
        let free = self.slots_free();
        hold(free >= FOR_OPENINGS, Rule::Reserve, || format!("{free} slots are left for openings"))
    }

    /// Takes the records that are whole out of what was written.
    fn take_records(&mut self) -> Kept {
        while let Some(head) = self.chain.back() {
            let (number, at) = (head.head.number, head.end);
            let record = self.format.record(&self.pending, number, at);
            let is_whole = |record: &Record| record.bytes as usize <= self.pending.len();
            let Some(record) = record.filter(is_whole) else { break };
            self.pending.drain(..record.bytes as usize);
            self.record(number, record)?;
        }
        Ok(())
    }

    fn record(&mut self, number: u32, record: Record) -> Kept {
        let at = (number, record.offset);
        hold(self.header_synced, Rule::HeaderFirst, || format!("{at:?} before its header"))?;
        hold(record.is_marked != self.is_unsynced, Rule::MarkAfterSync, || {
            format!(
                "{:?} at {at:?}; since the last sync something was written: {}",
                record.what, self.is_unsynced
            )
        })?;
        self.is_unsynced = true;
        self.seen.records += 1;
        match self.stage {
            Stage::Looking(_) => {
                return Err(Broken { rule: Rule::AtTheEnd, by: format!("{at:?} is written") });
            }
            Stage::Fresh => self.fresh(&record)?,
            Stage::Running => {
                self.are_told(number, &record)?;
                self.running(number, &record)?;
            }
        }
        let head = self.chain.back_mut().expect("it is being written");
        head.end = record.end();
        head.records.push(record);
        Ok(())
    }

    /// A record of a segment that does not count yet.
    fn fresh(&mut self, record: &Record) -> Kept {
        let Some(head) = self.chain.back() else { return Ok(()) };
        let marks = marks(head);
        if record.what != What::Mark {
            let is_content = record.is_content() && marks == 0 || record.what == What::Index;
            return hold(is_content, Rule::ThreeMarks, || {
                format!("{:?} stands behind {marks} marks of an opening", record.what)
            });
        }
        let by = || format!("mark {marks} at {}", record.offset);
        hold(record.is_marked && marks < MARKS, Rule::ThreeMarks, by)?;
        let written: Vec<Record> =
            head.records.iter().filter(|record| record.is_content()).cloned().collect();
        self.sift(|expected| {
            hold(marks > 0 || expected.fits(&written), Rule::FreshContent, || {
                let whats: Vec<_> = written.iter().map(|record| record.what).collect();
                let copied: Vec<_> = expected.copied.iter().map(|record| record.what).collect();
                let again = expected.again.as_ref().map(|record| record.what);
                format!("{whats:?} in place of {copied:?} and {again:?}")
            })
        })
    }

    /// The fresh segment counts: from here on there is one ring.
    fn prove(&mut self) {
        let expected = &self.expected[0];
        let fresh = self.chain.back().map(|fresh| fresh.head);
        self.stage = Stage::Running;
        self.retired = expected.retired;
        let order = |expected: &Expected| {
            let rest = expected.free.iter().skip(1);
            rest.chain(&expected.released).copied().collect()
        };
        self.free = self.expected.iter().map(order).collect();
        self.meaning = meaning(self.chain.iter());
        if let Some(fresh) = fresh {
            let newest = self.expected.iter().map(|expected| &expected.newest.head);
            let by = newest.map(|head| (head.slot, head.number)).collect();
            self.untold.push(Untold { number: fresh.number, by });
        }
        let newest = &expected.newest;
        let last = newest.records.last().map(|last| last.what);
        self.seen.taken_over +=
            u64::from(fresh.and_then(|fresh| fresh.before) == newest.head.before);
        self.seen.retired_unproven += u64::from(matches!(last, Some(What::Retire { .. })));
        self.seen.held_back += u64::from(!expected.released.is_empty());
    }

    /// A record of the running engine.
    fn running(&mut self, number: u32, record: &Record) -> Kept {
        let at = (number, record.offset);
        hold(self.retiring.is_none(), Rule::RetireSynced, || {
            format!("{at:?} is written before a retirement is synced")
        })?;
        let may_stand = record.in_batch || record.what == What::Index;
        hold(may_stand || !self.meaning.is_in_batch(), Rule::BatchWhole, || {
            format!("{:?} at {at:?} stands in a batch", record.what)
        })?;
        if record.in_batch && !self.meaning.is_in_batch() {
            // The segment that its first record opened was free before.
            let opened = usize::from(record.offset == self.format.first_offset());
            let free = self.slots_free() + opened;
            hold(free >= FOR_A_STEP, Rule::Reserve, || {
                format!("a batch begins at {at:?} with {free} free slots")
            })?;
        }
        if let What::Retire { segment, slot } = record.what {
            self.retire(segment, slot, record)?;
        }
        let moved = self.meaning.copies.len();
        self.meaning.note(number, record, true)?;
        self.seen.moved += (self.meaning.copies.len() - moved) as u64;
        Ok(())
    }

    fn retire(&mut self, segment: u32, slot: u32, record: &Record) -> Kept {
        let oldest = self.chain.front().map(|oldest| (oldest.head.number, oldest.head.slot));
        let is_oldest = oldest == Some((segment, slot)) && self.chain.len() > 1;
        // A page of the index that was full may say it in the record's place.
        let before = self.chain.back().and_then(|head| head.records.last());
        let behind_page = before.is_some_and(|page| page.what == What::Index && page.is_marked);
        let is_synced = record.is_marked || behind_page;
        hold(is_oldest && is_synced, Rule::RetireSynced, || {
            format!("{segment} is retired, where {oldest:?} is the oldest; synced: {is_synced}")
        })?;
        let rests = self.meaning.rests_on(segment);
        hold(rests.is_none(), Rule::LiveRewritten, || format!("{rests:?} is to be retired"))?;
        let copies = std::mem::take(&mut self.meaning.copies);
        for ((number, offset), bytes) in copies {
            let segment = self.chain.iter().find(|segment| segment.head.number == number);
            let Some(slot) = segment.map(|segment| segment.head.slot) else { continue };
            let start = u64::from(slot) * u64::from(self.format.segment_bytes) + u64::from(offset);
            // Padding is never read.
            let units = self.units(start, bytes as usize);
            let first_and_last = [units.start, units.end - 1];
            let is_read = first_and_last.iter().all(|unit| self.read_back[*unit]);
            hold(is_read, Rule::ReadBack, || format!("{:?} was moved", (number, offset)))?;
        }
        self.retired = segment;
        self.retiring = Some(segment);
        self.seen.retired += 1;
        Ok(())
    }

    // ---- what the engine says ----

    /// A reader that writes nothing found so many live segments, and the end there.
    pub fn read_only(&self, reading: &Reading, found: (u32, u64)) -> Kept {
        let seen = self.expected.first().and_then(|expected| expected.seen(&self.format, reading));
        hold(seen == Some(found), Rule::Recovered, || {
            format!("a reader finds {found:?}, not {seen:?}")
        })
    }

    /// The engine is open: so many segments are live and free, and the log ends there.
    pub fn opened(&mut self, live: u32, free: u32, sequence: u64) -> Kept {
        let is_running = matches!(self.stage, Stage::Running);
        hold(is_running, Rule::ThreeMarks, || "it is open before its third mark counts".into())?;
        self.counts(live, free)?;
        self.ends_at(sequence)
    }

    fn counts(&self, live: u32, free: u32) -> Kept {
        let ours = (self.chain.len() as u32, self.format.segments - self.chain.len() as u32);
        hold((live, free) == ours, Rule::Recovered, || {
            format!("{:?} are live and free, and not {:?}", ours, (live, free))
        })
    }

    fn ends_at(&self, sequence: u64) -> Kept {
        let (number, offset) = self.meaning.last;
        let end = u64::from(number) * u64::from(self.format.segment_bytes) + u64::from(offset);
        hold(sequence == end, Rule::Recovered, || format!("the log ends at {end}, not {sequence}"))
    }

    /// A batch was acknowledged, durable or not.
    pub fn written(&mut self, live: u32, free: u32, sequence: u64, is_durable: bool) -> Kept {
        self.seen.batches += 1;
        self.counts(live, free)?;
        self.ends_at(sequence)?;
        hold(!self.meaning.is_in_batch(), Rule::BatchWhole, || "half a batch is left".into())?;
        let is_unsynced = self.is_unsynced || !self.pending.is_empty();
        hold(!(is_durable && is_unsynced), Rule::Acknowledged, || {
            "what was acknowledged is not synced".into()
        })?;
        let slots = self.slots_free();
        hold(slots >= BETWEEN_CALLS, Rule::Reserve, || format!("a batch leaves {slots} free slots"))
    }

    /// The store was closed.
    pub fn closed(&self) -> Kept {
        let last = self.chain.back().and_then(|head| head.records.last());
        let is_marked = last.is_some_and(|last| last.what == What::Mark && last.is_marked);
        hold(is_marked && !self.is_unsynced, Rule::Closed, || format!("it ends with {last:?}"))
    }
}

/// Marks that a fresh segment begins with.
fn marks(segment: &Segment) -> usize {
    segment.records.iter().filter(|record| record.what == What::Mark).count()
}

/// The oldest free slot is the one that is used next.
fn is_next(free: &VecDeque<u32>, slot: u32) -> Kept {
    hold(free.front() == Some(&slot), Rule::OldestFirst, || {
        format!("slot {slot} is used, where {free:?} are free, in this order")
    })
}
