//! What an opening finds, by one reading of the medium, and what it must do then.
//!
//! The model looks at the bytes as the next opening will, and says beforehand which segment is the newest,
//! where its valid end is, which segments form the ring, what the fresh segment has to say and to hold, and
//! which slots may be erased for it, in which order.

use super::decode::{Before, Format, Head, Record, What};
use super::meaning::Meaning;
use super::rules::{Broken, Rule, hold};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// Free slots up to which the newest segment is taken over whenever it fits.
const SCARCE: usize = 4;
/// So many more where there are so many segments: some may be worn.
const WORN: (u32, usize) = (16, 3);
/// More than an index entry, and more than an index page without its entries, takes, in bytes.
const ENTRY_MAX: u32 = 32;
const PAGE_MAX: u32 = 96;

/// A segment as it lies on the medium.
#[derive(Clone, Debug)]
pub struct Segment {
    pub head: Head,
    /// Its valid records, up to the first bytes that are none.
    pub records: Vec<Record>,
    /// Offset behind the last of them.
    pub end: u32,
    /// Whether a later segment was begun behind all of it, so that nothing of it is in doubt.
    pub is_followed: bool,
}

impl Segment {
    pub fn new(head: Head, format: &Format) -> Self {
        Self { head, records: Vec::new(), end: format.first_offset(), is_followed: false }
    }

    fn read(format: &Format, image: &[u8], slot: u32, until: u32) -> Option<Self> {
        let bytes = format.slot(image, slot);
        let mut segment = Self::new(format.head(bytes, slot)?, format);
        let number = segment.head.number;
        while segment.end < until {
            let rest = &bytes[segment.end as usize..];
            let Some(record) = format.record(rest, number, segment.end) else { break };
            segment.end = record.end();
            segment.records.push(record);
        }
        Some(segment)
    }

    /// The records, index pages left out: these stand wherever one was full.
    fn said(&self) -> impl Iterator<Item = &Record> + Clone {
        self.records.iter().filter(|record| record.what != What::Index)
    }

    /// How many records an opening's proof takes: content and two marks side by side.
    fn proof(&self) -> Option<usize> {
        let first = self.said().position(|record| record.what == What::Mark)?;
        let second = self.said().nth(first + 1)?;
        (second.what == What::Mark).then_some(first + 2)
    }

    /// Whether the segment counts.
    fn counts(&self) -> bool {
        if self.head.is_fresh { self.proof().is_some() } else { self.said().count() > 0 }
    }

    /// Whether what makes it count is followed by a valid record.
    fn is_firm(&self) -> bool {
        let said = self.said().count();
        if self.head.is_fresh { self.proof().is_some_and(|proof| said > proof) } else { said > 1 }
    }

    /// Whether nothing was written to it since an opening wrote it.
    fn is_untouched(&self) -> bool {
        let Some(proof) = self.proof().filter(|_| self.head.is_fresh) else { return false };
        let said = self.said().count();
        said == proof || said == proof + 1 && self.ends_in(|what| *what == What::Mark)
    }

    fn has_one_new(&self) -> bool {
        self.proof().is_some_and(|proof| self.said().count() == proof + 1)
    }

    /// The last record, if it may read otherwise the next time.
    fn in_doubt(&self) -> Option<&Record> {
        self.records.last().filter(|_| !self.is_followed)
    }

    fn ends_in(&self, is_it: impl Fn(&What) -> bool) -> bool {
        self.in_doubt().is_some_and(|record| is_it(&record.what))
    }

    /// The newest segment that is retired, by this header or by a record in here; for certain, if it is a
    /// record that another one follows.
    fn retired(&self, for_certain: bool) -> u32 {
        let seen = self.records.len() - usize::from(for_certain && self.in_doubt().is_some());
        let by_record = self.records[..seen].iter().filter_map(|record| match record.what {
            What::Retire { segment, .. } => Some(segment),
            _ => None,
        });
        by_record.max().unwrap_or(0).max(self.head.retired)
    }

    /// Where the batch begins that is not ended before the last record, and whether it may have begun in an
    /// earlier segment.
    fn open_run(&self) -> Option<(u32, bool)> {
        let mut run = None;
        let before = self.records.len() - usize::from(self.in_doubt().is_some());
        for record in self.records[..before].iter().filter(|record| record.what != What::Index) {
            run = match record.what {
                What::End { .. } => None,
                _ if !record.in_batch => None,
                _ => run.or(Some(record.offset)),
            };
        }
        let first = self.said().next().map(|record| record.offset);
        run.map(|start| (start, first == Some(start)))
    }

    /// The last index page before an offset; 0 if there is none.
    pub fn index_before(&self, end: u32) -> u32 {
        let mut pages = self.records.iter().rev().filter(|record| record.what == What::Index);
        pages.find(|page| page.offset < end).map_or(0, |page| page.offset)
    }
}

/// One way in which a medium may read.
#[derive(Clone)]
pub struct Reading {
    pub image: Vec<u8>,
    /// What may read otherwise the next time.
    pub shaky: Vec<Range<usize>>,
}

impl Reading {
    /// Whether the header in a slot may read otherwise the next time.
    fn has_shaky_header(&self, format: &Format, slot: u32) -> bool {
        let start = (slot * format.segment_bytes) as usize;
        let end = start + format.first_offset() as usize;
        self.shaky.iter().any(|span| span.start < end && start < span.end)
    }
}

/// What an opening must do.
#[derive(Clone)]
pub struct Expected {
    /// The newest segment that counts.
    pub newest: Segment,
    /// What the fresh header says.
    pub retired: u32,
    pub before: Option<Before>,
    pub continues: bool,
    /// The greatest number of a header that can be read.
    pub number_max: u32,
    /// The ring without the fresh segment, oldest first.
    pub chain: Vec<Segment>,
    /// What is copied, and the record that is written again.
    pub copied: Vec<Record>,
    pub again: Option<Record>,
    pub is_shaky: bool,
    /// The slots that may be erased, in their order.
    pub free: VecDeque<u32>,
    /// What must not be erased, and why.
    pub held: BTreeMap<u32, &'static str>,
    /// Slots that are free once the fresh segment is proven, in their order.
    pub released: Vec<u32>,
}

/// How the fresh segment follows on the newest one.
struct Plan {
    takes_over: bool,
    before: Option<Before>,
    copied: Vec<Record>,
    again: Option<Record>,
    continues: bool,
}

/// What an opening must do, by this reading; where it may do one thing or the other, both.
pub fn expected(format: &Format, reading: &Reading) -> Result<Vec<Expected>, Broken> {
    let mut expected = expected_if(format, reading, true)?;
    let has_shaky = (0..format.segments).any(|slot| reading.has_shaky_header(format, slot));
    if format.is_ordered && has_shaky {
        // A header that was begun is read twice: its number may be known, and what it says of the segment
        // before it be gone.
        expected.extend(expected_if(format, reading, false)?);
    }
    Ok(expected)
}

/// The same, if a header that was begun and is shaky is believed what it says of the segment before it, or if
/// it is not.
fn expected_if(
    format: &Format,
    reading: &Reading,
    believes: bool,
) -> Result<Vec<Expected>, Broken> {
    let mut segments: BTreeMap<u32, Segment> = (0..format.segments)
        .filter_map(|slot| {
            Some((slot, Segment::read(format, &reading.image, slot, format.segment_bytes)?))
        })
        .collect();
    if format.is_ordered {
        let is_begun = |segment: &&Segment| !segment.head.is_fresh && !segment.counts();
        let is_believed =
            |segment: &&Segment| believes || !reading.has_shaky_header(format, segment.head.slot);
        let begun = segments.values().filter(is_begun).filter(is_believed);
        let followed: Vec<Before> = begun.filter_map(|segment| segment.head.before).collect();
        for Before { slot, number, .. } in followed {
            let named = segments.get_mut(&slot).filter(|named| named.head.number == number);
            named.into_iter().for_each(|named| named.is_followed = true);
        }
    }
    let mut order: Vec<(u32, u32)> =
        segments.iter().map(|(slot, segment)| (segment.head.number, *slot)).collect();
    order.sort_by(|a, b| b.cmp(a));
    let (mut newest, mut held) = (None, BTreeMap::new());
    for (_, slot) in &order {
        let segment = &segments[slot];
        if !segment.counts() {
            continue;
        }
        newest = newest.or(Some(*slot));
        held.insert(*slot, "it counts, if newer ones do not");
        if segment.is_firm() {
            hold_ring(&segments, segment, &mut held);
            break;
        }
    }
    let Some(newest) = newest else {
        return Err(Broken { rule: Rule::NothingLost, by: "no segment counts".into() });
    };
    is_torn_only(format, reading, &segments[&newest], newest)?;
    let number_max = order[0].0;
    plans(format, &segments, newest)
        .into_iter()
        .map(|plan| {
            let newest_segment = &segments[&newest];
            let retired = newest_segment.retired(false);
            let chain = chain(format, reading, newest_segment, plan.before, retired)?;
            let mut expected = Expected {
                newest: newest_segment.clone(),
                retired,
                before: plan.before,
                continues: plan.continues,
                number_max,
                chain,
                copied: plan.copied,
                again: plan.again,
                is_shaky: !reading.shaky.is_empty(),
                free: VecDeque::new(),
                held: held.clone(),
                released: Vec::new(),
            };
            if plan.takes_over {
                expected.held.insert(newest, "it stands until the fresh segment counts");
            }
            expected.queue_free(format, &segments, newest);
            Ok(expected)
        })
        .collect()
}

/// A ring that is proven stays whole: if what is newer reads otherwise tomorrow, it is the store.
fn hold_ring(
    segments: &BTreeMap<u32, Segment>,
    firm: &Segment,
    held: &mut BTreeMap<u32, &'static str>,
) {
    let retired = firm.retired(true);
    held.insert(firm.head.slot, "it is of the newest ring that is proven");
    let mut before = firm.head.before;
    while let Some(here) = before.filter(|before| before.number > retired) {
        let Some(segment) = segments.get(&here.slot) else { return };
        if segment.head.number != here.number {
            return;
        }
        held.insert(here.slot, "it is of the newest ring that is proven");
        before = segment.head.before;
    }
}

/// After a mere power cut the newest segment that counts says of none that it was opened later.
fn is_last(format: &Format, reading: &Reading, newest: &Segment) -> Result<(), Broken> {
    let Head { slot, number, .. } = newest.head;
    let bytes = &format.slot(&reading.image, slot)[format.successor_offset() as usize..];
    let later = format.successor(bytes, number);
    hold(later.is_none(), Rule::NothingLost, || {
        format!("segment {number} is the newest, and says that {later:?} was opened later")
    })
}

/// After a mere power cut nothing that was durable once lies behind what does not validate, or is told of.
fn is_torn_only(
    format: &Format,
    reading: &Reading,
    segment: &Segment,
    slot: u32,
) -> Result<(), Broken> {
    is_last(format, reading, segment)?;
    let bytes = format.slot(&reading.image, slot);
    let behind = (segment.end..format.segment_bytes).step_by(format.align as usize).skip(1);
    for offset in behind {
        let record = format.record(&bytes[offset as usize..], segment.head.number, offset);
        let proves = record.is_some_and(|record| format.is_ordered || record.is_marked);
        hold(!proves, Rule::NothingLost, || {
            format!(
                "segment {} ends at {}, and goes on at {offset}",
                segment.head.number, segment.end
            )
        })?;
    }
    Ok(())
}

/// How the fresh segment may follow: one way, or two where it is a matter of some bytes.
fn plans(format: &Format, segments: &BTreeMap<u32, Segment>, slot: u32) -> Vec<Plan> {
    let newest = &segments[&slot];
    let retired = newest.retired(false);
    let end = newest.in_doubt().map_or(newest.end, |last| last.offset);
    let continues = newest.head.continues || !newest.head.is_fresh;
    if newest.is_untouched() {
        let before = newest.head.before;
        let copied = newest.copied_until(end);
        return vec![Plan { takes_over: true, before, copied, again: None, continues }];
    }
    let last = newest.in_doubt().filter(|last| last.is_content());
    let ends_batch = last.is_some_and(|last| matches!(last.what, What::End { .. }));
    let again = last.filter(|last| ends_batch || !last.in_batch).cloned();
    let run = newest.open_run().filter(|_| !ends_batch);
    let is_only_of_batch = newest.said().count() == 1
        && last.is_some()
        && !ends_batch
        && newest.said().all(|record| record.is_content() && record.in_batch);
    let run_from_before = newest.open_run().map_or(is_only_of_batch, |run| run.1);
    let until = run.map_or(end, |run| run.0);
    let follows = Plan {
        takes_over: false,
        before: Some(Before {
            slot,
            number: newest.head.number,
            end,
            index: newest.index_before(end),
        }),
        copied: Vec::new(),
        again: again.clone(),
        continues: ends_batch,
    };
    let takes_over = Plan {
        takes_over: true,
        before: newest.head.before,
        copied: newest.copied_until(until),
        again,
        continues,
    };
    let has_place = newest.head.before.is_some_and(|before| before.number > retired);
    if !has_place || run_from_before {
        return vec![follows];
    }
    let number = |slot: u32| segments.get(&slot).map_or(0, |segment| segment.head.number);
    let free = (0..format.segments).filter(|slot| number(*slot) <= retired).count();
    let scarce = SCARCE + if format.segments < WORN.0 { 0 } else { WORN.1 };
    let usable = format.segment_bytes - format.first_offset();
    let limit = if newest.has_one_new() || free <= scarce { usable } else { usable / 2 };
    let (least, most) = newest.copy_bytes(format);
    match (most <= limit, least <= limit) {
        (true, _) => vec![takes_over],
        (false, true) => vec![takes_over, follows],
        _ => vec![follows],
    }
}

impl Segment {
    /// What is copied of the records before an offset: all but those about the log itself.
    fn copied_until(&self, until: u32) -> Vec<Record> {
        let before = self.records.iter().filter(|record| record.offset < until);
        before.filter(|record| record.is_content()).cloned().collect()
    }

    /// What copying everything takes at least and at most, in bytes, with index pages and marks.
    fn copy_bytes(&self, format: &Format) -> (u32, u32) {
        let content = self.records.iter().filter(|record| record.is_content());
        let least = content.clone().map(|record| record.bytes).sum();
        let count = content.count() as u32;
        let pages = (count / 64 + 2) * PAGE_MAX.next_multiple_of(format.align);
        let marks = 4 * (16u32.next_multiple_of(format.align) + ENTRY_MAX);
        (least, least + count * ENTRY_MAX + pages + marks)
    }
}

/// The ring before the fresh segment, oldest first: each is whole up to the end that the next one names.
fn chain(
    format: &Format,
    reading: &Reading,
    newest: &Segment,
    before: Option<Before>,
    retired: u32,
) -> Result<Vec<Segment>, Broken> {
    let mut chain = Vec::new();
    let mut next = before.filter(|before| before.number > retired);
    while let Some(here) = next {
        let segment = Segment::read(format, &reading.image, here.slot, here.end);
        let segment = segment.filter(|segment| segment.head.number == here.number);
        let end = segment.as_ref().map_or(0, |segment| segment.end);
        hold(end == here.end, Rule::NothingLost, || {
            let number = newest.head.number;
            format!("{here:?} of the ring of segment {number} is there up to {end} only")
        })?;
        let segment = segment.expect("it has an end");
        next = segment.head.before.filter(|before| before.number > retired);
        chain.push(segment);
        if chain.len() > format.segments as usize {
            return Err(Broken { rule: Rule::NothingLost, by: "the ring has no tail".into() });
        }
    }
    chain.reverse();
    Ok(chain)
}

impl Expected {
    /// Free slots: those that never held what counted, those that were taken over, those that are retired,
    /// those that were begun and never counted, and the one that was retired last; of each the oldest first.
    fn queue_free(&mut self, format: &Format, segments: &BTreeMap<u32, Segment>, newest: u32) {
        let live: BTreeSet<u32> = self.chain.iter().map(|segment| segment.head.slot).collect();
        let free = |slot: &u32| !live.contains(slot);
        let class = |slot: u32| {
            let number = segments.get(&slot).map_or(0, |segment| segment.head.number);
            let class = match number {
                0 => 0,
                number if number == self.retired => 4,
                number if number < self.retired => 2,
                number if number > self.newest.head.number => 3,
                _ => 1,
            };
            (class, number, slot)
        };
        let mut order: Vec<_> = (0..format.segments).filter(free).map(class).collect();
        order.sort_unstable();
        let slots = || order.iter().map(|(_, _, slot)| *slot);
        self.free = slots().filter(|slot| !self.held.contains_key(slot)).collect();
        if self.free.is_empty() {
            // A segment that counts only if newer ones do not gives way before the opening does.
            let gives_way = |slot: &u32| {
                *slot != newest
                    && self.held.get(slot).is_some_and(|why| why.starts_with("it counts"))
            };
            self.free = slots().filter(gives_way).collect();
            self.free.iter().for_each(|slot| {
                self.held.remove(slot);
            });
        }
        for segment in &self.chain {
            self.held.insert(segment.head.slot, "it is of the ring in use");
        }
        let is_released = |slot: &u32| free(slot) && self.held.contains_key(slot);
        self.released = (0..format.segments).filter(is_released).collect();
    }

    /// Whether the fresh segment holds what it must, up to its first mark.
    pub fn fits(&self, written: &[Record]) -> bool {
        let says = |record: &Record| (record.what, record.in_batch, record.content.clone());
        let Some((copied, rest)) = written.split_at_checked(self.copied.len()) else {
            return false;
        };
        if !copied.iter().map(says).eq(self.copied.iter().map(says)) {
            return false;
        }
        let Some(again) = &self.again else { return rest.is_empty() };
        let ends = |record: &Record, records| record.what == What::End { records };
        let voided = match rest {
            [] => true,
            [.., end] => ends(end, 0),
        };
        // What reads otherwise the second time never was.
        if self.is_shaky && voided {
            return true;
        }
        match rest {
            [record] if again.body == 0 => says(record) == says(again),
            [record, end] => {
                (record.what, &record.content) == (again.what, &again.content) && ends(end, 1)
            }
            _ => false,
        }
    }

    /// What a reader finds who writes nothing: live segments, and the end of the last batch.
    pub fn seen(&self, format: &Format, reading: &Reading) -> Option<(u32, u64)> {
        let newest = &self.newest.head;
        let chain = chain(format, reading, &self.newest, newest.before, self.retired).ok()?;
        let meaning = meaning(chain.iter().chain([&self.newest]));
        let (number, offset) = meaning.last;
        let at = u64::from(number) * u64::from(format.segment_bytes) + u64::from(offset);
        Some((chain.len() as u32 + 1, at))
    }
}

/// What the records of a ring mean.
pub fn meaning<'s>(ring: impl Iterator<Item = &'s Segment>) -> Meaning {
    let mut meaning = Meaning::of_nothing();
    for segment in ring {
        meaning.begin(&segment.head);
        for record in &segment.records {
            let noted = meaning.note(segment.head.number, record, false);
            debug_assert!(noted.is_ok(), "what was written before is not held to the rules again");
        }
    }
    meaning.copies.clear();
    meaning
}
