//! Which segments form the ring, and which slots are free: the rules under which two power cuts in
//! a row lose nothing.
//!
//! Recovery may be cut as well, and what it relied on must then still be there. So it never erases
//! a slot of the chain that it uses, nor of the newest segment whose proof is itself followed by a
//! valid record, nor of that one's chain, nor of any candidate in between that counts: if the
//! newest one reads differently tomorrow, the one before it is whole.

use super::error::OpenError;
use super::survey::{Span, Survey, has_header_of_another, living, look_for_header, read_header};
use crate::format::{HEADER_BYTES_MAX, Header, Place, Predecessor, SegmentHeader};
use crate::log::{Log, LogError, ReadLog, SlotState};
use crate::planted::{self, Fault};
use crate::storage::Storage;

/// How far above all others the number of a segment may be of which the header is lost: each opening takes
/// one, and each segment that is full.
const NUMBERS_ABOVE_MAX: u32 = 4;
/// How far below one that does not count: each opening that was cut took one.
const NUMBERS_BELOW_MAX: u32 = 16;
/// In how many gaps between numbers it is looked for in one opening. Mostly there is one.
const GAPS_MAX: u32 = 4;
/// How many slots are read to their end each time. Mostly it is the first one.
const SLOTS_READ_MAX: u32 = 2;

/// The newest segment that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest {
    pub(super) slot: u32,
    pub(super) header: SegmentHeader,
    pub(super) survey: Survey,
    /// The newest segment that is retired, by header or by record.
    pub(super) retired: u32,
    /// Slots whose headers cannot be read. One of them may be newer.
    pub(super) unreadable: u32,
}

/// Finds the newest segment that counts, and protects what recovery must not touch. Reads every
/// header, and the newest segment or two whole.
pub(super) fn find_newest<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
) -> Result<Newest, OpenError<S::Error>> {
    let (unreadable, refused) = find_headers(log, storage);
    let above = log.number_max();
    find_headless(log, storage, (above, above.saturating_add(NUMBERS_ABOVE_MAX)));
    let mut newest: Option<Newest> = None;
    // What the header behind says that was begun, and does not count.
    let mut seal: Option<Predecessor> = None;
    let (mut below, mut gaps) = ((u32::MAX, 0), GAPS_MAX);
    for _ in 0..log.ring.segments() {
        let Some(slot) = next_lower(log, below) else { break };
        below = (log.ring.slot(slot).number(), slot);
        let read = match read_header(storage, log.layout(), slot) {
            // It is lost anyway.
            Err(_) if log.ring.slot(slot).erase_count() == 0 => None,
            read => read.map_err(LogError::Storage)?,
        };
        note_again(log, slot, read.as_ref());
        // Whether a header told of it in this opening.
        let is_told_of = log.ring.slot(slot).erase_count() != 0;
        let number = read.map_or(below.0, |header| header.number);
        let survey = if is_told_of || newest.is_none() {
            survey_if_it_counts(log, storage, (slot, number), read.as_ref(), seal)?
        } else {
            // Where another one counts, it is what an erase has left.
            None
        };
        let Some(survey) = survey else {
            if !is_told_of {
                // It is free, like any slot without a header.
                log.ring.found(slot, 0, 0);
            }
            seal = read.and_then(|header| named_by_begun(log, &header));
            // What it was to follow on, or to take the place of, may have lost its header.
            let above = next_lower(log, below).map_or(0, |slot| log.ring.slot(slot).number());
            let above = above.max(number.saturating_sub(NUMBERS_BELOW_MAX));
            if newest.is_none() && above < number.saturating_sub(1) && gaps > 0 {
                gaps -= 1;
                find_headless(log, storage, (above, number - 1));
            }
            continue;
        };
        let header = match read {
            Some(header) => header,
            None => make_up_header(log, storage, slot)?,
        };
        let retired = survey.retired.max(header.retired);
        log.saw_number(header.number);
        newest.get_or_insert(Newest { slot, header, survey, retired, unreadable });
        if !planted::is(Fault::CandidateUnprotected) {
            log.ring.set_state(slot, SlotState::Candidate);
        }
        if survey.is_firm(&header) {
            let is_believed = planted::is(Fault::RetireBelieved);
            let retired = if is_believed { retired } else { survey.retired_for_certain(&header) };
            protect_chain(log, storage, slot, &header, retired)?;
            break;
        }
    }
    // A storage that refuses to be read does not say that there is no store.
    let refused = refused.filter(|_| !planted::is(Fault::RefusalIsNoStore));
    newest.ok_or(refused.map_or(OpenError::NoStore, |error| LogError::Storage(error).into()))
}

/// Reads every header. How many cannot be read, and an error that says that bytes of one are lost.
fn find_headers<S: Storage>(log: &mut Log<'_>, storage: &mut S) -> (u32, Option<S::Error>) {
    let (mut unreadable, mut refused) = (0, None);
    for slot in 0..log.ring.segments() {
        // A header that cannot be read is as good as none, but for being told of.
        let found = look_for_header(storage, log.layout(), slot).unwrap_or_else(|error| {
            unreadable += 1;
            Err(Some(error))
        });
        // (One that is lost may be what a power cut tore, and need not be told of.)
        let header = found.map_err(|lost| refused = lost.or(refused.take())).ok();
        if let Some(header) = header {
            log.ring.found_header(&header);
            if !planted::is(Fault::NumbersRestart) {
                log.saw_number(header.number);
            }
        }
    }
    (unreadable, refused)
}

/// What lies in the segment with this slot and number, if it counts; `seal` is what a header that was begun
/// behind it says of the one before.
fn survey_if_it_counts<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    (slot, number): (u32, u32),
    header: Option<&SegmentHeader>,
    seal: Option<Predecessor>,
) -> Result<Option<Survey>, LogError<S::Error>> {
    // After a failed sync, nothing counts that came behind the last one that did not fail.
    let synced = log.beyond_doubt();
    if synced.is_some_and(|synced| number > synced.number) {
        return Ok(None);
    }
    let synced = synced.filter(|synced| synced.number == number);
    let end = synced.map_or(log.layout().segment_bytes(), |synced| synced.end);
    let seal = seal.filter(|seal| (seal.slot, seal.number) == (slot, number));
    // On a medium that keeps write order, that header was written behind all of the segment.
    let is_proven = log.layout().geometry().keeps_write_order;
    let proven = seal.filter(|_| is_proven).map_or(0, |seal| seal.end);
    let survey = Survey::of(log, storage, slot, Span { headless: header.is_none(), proven, end })?;
    let counts = match header {
        Some(header) => survey.counts(header),
        // (Its header was durable before anything followed.)
        None => {
            survey.counts_headless()
                || seal.is_some()
                || synced.is_some_and(|synced| !synced.is_fresh)
        }
    };
    Ok(counts.then_some(survey))
}

/// What the header of a segment that does not count tells of the one before it: that it was in use.
fn named_by_begun(log: &mut Log<'_>, header: &SegmentHeader) -> Option<Predecessor> {
    let before = header.predecessor?;
    // It may have lost its header, and is then known by this one.
    if log.ring.slot(before.slot).number() == 0 {
        log.ring.found(before.slot, before.number, 0);
    }
    // (In doubt, a header counts for nothing that was not synced itself.)
    let is_synced = log.beyond_doubt().is_none_or(|synced| header.number <= synced.number);
    Some(before).filter(|before| before.sealed && is_synced && !header.recovery)
}

/// A header was read once more. Where it reads otherwise than before, nothing is known of it.
fn note_again(log: &mut Log<'_>, slot: u32, read: Option<&SegmentHeader>) {
    let known = log.ring.slot(slot);
    match read.filter(|header| header.number == known.number()) {
        Some(header) => log.ring.found_header(header),
        None => log.ring.found(slot, known.number(), known.erase_count()),
    }
}

/// The segment before that with this number in a slot of which nothing is linked yet; `None` if its header is
/// lost. Reads that only where it was not understood at first.
fn before<S: Storage>(
    log: &Log<'_>,
    storage: &mut S,
    slot: u32,
    number: u32,
) -> Result<Option<Option<Predecessor>>, LogError<S::Error>> {
    if let Some(before) = log.ring.before(slot, number) {
        return Ok(Some(before));
    }
    let header = read_header(storage, log.layout(), slot).map_err(LogError::Storage)?;
    Ok(header.filter(|header| header.number == number).map(|header| header.predecessor))
}

/// Looks for segments whose headers are lost, with numbers above the one given, up to the other: a record
/// that validates with such a number tells that the header before it was durable once.
///
/// One read for each slot without a header, where the first record would lie. Where that place is not blank,
/// no header of another store is there, and no such record, the slot is read to its end, once for each
/// number: of the first few slots behind the one with the greatest number below, since slots are mostly used
/// in their order.
fn find_headless<S: Storage>(log: &mut Log<'_>, storage: &mut S, (above, up_to): (u32, u32)) {
    let (segments, first) = (log.ring.segments(), log.layout().first_offset());
    let mut looks = SLOTS_READ_MAX;
    let known = log.ring.slots().iter().zip(0u32..).map(|(slot, at)| (slot.number(), at));
    let mut slot = known.filter(|known| known.0 <= above).max().map_or(0, |(_, at)| at);
    for _ in 0..segments {
        slot = if slot + 1 < segments { slot + 1 } else { 0 };
        if log.ring.slot(slot).number() != 0 {
            continue;
        }
        let mut bytes = [0; HEADER_BYTES_MAX];
        // A sector that cannot be read tells of no segment, and was counted with its header.
        let is_read = log.read(storage, slot, first, &mut bytes).is_ok();
        let is_blank = bytes.iter().all(|byte| *byte == bytes[0]);
        if !is_read || is_blank || has_header_of_another(storage, log.layout(), slot) {
            continue;
        }
        let reads_on = looks > 0;
        looks = looks.saturating_sub(1);
        for number in (1..=up_to.saturating_sub(above)).rev().map(|more| above + more) {
            log.ring.found(slot, number, 0);
            let seed = log.seed(Place { slot, offset: first });
            if Header::parse(&bytes, seed).is_some()
                || reads_on && matches!(log.on(storage).next_header(slot, first), Ok(Some(_)))
            {
                log.saw_number(number);
                break;
            }
            log.ring.found(slot, 0, 0);
        }
    }
}

/// What the header of a segment said that is lost, as far as the segment before it tells.
fn make_up_header<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    slot: u32,
) -> Result<SegmentHeader, LogError<S::Error>> {
    let number = log.ring.slot(slot).number();
    let predecessor = newest_below(log, storage, number, 0)?;
    let (mut retired, mut next_node) = (0, 0);
    if let Some(before) = predecessor {
        let read = read_header(storage, log.layout(), before.slot);
        if let Some(header) = read.map_err(LogError::Storage)? {
            let survey = Survey::of(log, storage, before.slot, Span::up_to(before.end))?;
            (retired, next_node) = (header.retired.max(survey.retired), header.next_node);
        }
    }
    Ok(SegmentHeader {
        slot,
        number,
        retired,
        predecessor,
        erase_count: 0,
        next_node,
        recovery: true,
        continues_batch: false,
    })
}

/// The slot with the greatest segment number below this one. A number is found twice where a header
/// was torn and reads as valid only now and then: both are looked at.
fn next_lower(log: &Log<'_>, below: (u32, u32)) -> Option<u32> {
    let known = log.ring.slots().iter().zip(0..).map(|(slot, at)| (slot.number(), at));
    known.filter(|known| known.0 != 0 && *known < below).max().map(|(_, slot)| slot)
}

/// Protects a segment and all that it follows on.
fn protect_chain<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    slot: u32,
    header: &SegmentHeader,
    retired: u32,
) -> Result<(), LogError<S::Error>> {
    if planted::is(Fault::ProvenUnprotected) {
        return Ok(());
    }
    log.ring.set_state(slot, SlotState::Protected);
    let mut before_it = living(header.predecessor, retired);
    for _ in 0..log.ring.segments() {
        let Some(predecessor) = before_it else { break };
        if log.ring.slot(predecessor.slot).number() != predecessor.number {
            break;
        }
        log.ring.set_state(predecessor.slot, SlotState::Protected);
        let said = before(log, storage, predecessor.slot, predecessor.number)?;
        before_it = living(said.flatten(), retired);
    }
    Ok(())
}

/// Links the live segments into the ring, from the newest back to the tail. `end` is where the
/// newest one ends, if it stays in the chain.
///
/// A segment whose header is lost stays in the ring: its number and its end stand in the next one's header,
/// and with them its records can be read, if they are there. Which segment came before it is then found
/// by the numbers of those that are there.
///
/// # Errors
/// The storage refused, or the headers contradict each other.
pub(super) fn link_chain<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    newest: &Newest,
    end: Option<u32>,
) -> Result<(), OpenError<S::Error>> {
    let mut next = match end {
        Some(end) => {
            let (slot, number) = (newest.slot, newest.header.number);
            // The last record is not proven, which who writes leaves out: a page that nothing follows names
            // nothing.
            let proven = newest.survey.last.map_or(end, |last| end.min(last.offset));
            let index = newest.survey.index_before(proven);
            Some(Predecessor { slot, number, end, index, sealed: false })
        }
        None => living(newest.header.predecessor, newest.retired),
    };
    for _ in 0..log.ring.segments() {
        let Some(segment) = next else { return Ok(()) };
        let said = before(log, storage, segment.slot, segment.number)?;
        log.ring.push_tail(&segment);
        next = match said {
            Some(said) => living(said, newest.retired),
            None => newest_below(log, storage, segment.number, newest.retired)?,
        };
        let in_ring = |slot: u32| log.ring.slot(slot).state() == SlotState::Live;
        if let Some(again) = next.filter(|next| in_ring(next.slot)) {
            return Err(OpenError::SegmentLost { number: again.number });
        }
    }
    // More predecessors than slots: headers that lie, each with a valid check.
    let lost = |lost: Predecessor| OpenError::SegmentLost { number: lost.number };
    Err(next.map_or(OpenError::NoStore, lost))
}

/// The newest segment that counts of those before `number` that are not retired.
fn newest_below<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    number: u32,
    retired: u32,
) -> Result<Option<Predecessor>, LogError<S::Error>> {
    let mut below = (number, 0);
    for _ in 0..log.ring.segments() {
        let Some(slot) = next_lower(log, below) else { break };
        let number = log.ring.slot(slot).number();
        below = (number, slot);
        if number <= retired {
            break;
        }
        let header = read_header(storage, log.layout(), slot).map_err(LogError::Storage)?;
        let Some(header) = header.filter(|header| header.number == number) else { continue };
        if log.ring.slot(slot).state() == SlotState::Live {
            continue;
        }
        let survey = Survey::of(log, storage, slot, Span::up_to(log.layout().segment_bytes()))?;
        if survey.counts(&header) {
            let index = survey.index_before(survey.end);
            return Ok(Some(Predecessor { slot, number, end: survey.end, index, sealed: false }));
        }
    }
    Ok(None)
}

/// In which order free slots are used: those that never held anything that counted, those that were taken
/// over, those that are retired, those that openings began which came to nothing, and the one that was
/// retired last at the very end, since its retirement may not be proven. Of each kind the oldest comes first.
///
/// A number must not be given twice, so the slot with the highest one that is durable has to stay until a
/// higher one is. Which that is, nobody knows after a sync that failed: a file shows the header that came
/// with it, and a power cut may take it away. So all that are newer than the newest that counts wait, the
/// highest longest.
fn free_class(log: &Log<'_>, newest: u32, number: u32, lacks_one: bool) -> u32 {
    if planted::is(Fault::HighestErasedNext) && number == log.number_max() {
        return 0;
    }
    if number == 0 {
        // It may be what is left of a segment that the ring lacks.
        if lacks_one { 3 } else { 0 }
    } else if number == log.retired {
        if planted::is(Fault::RetiredLastFirst) {
            return 0;
        }
        4
    } else if number < log.retired {
        2
    } else if number > newest {
        3
    } else {
        1
    }
}

/// Queues the free slots: all that are neither in the chain nor protected. If there is none,
/// candidates that are not protected otherwise are taken, but for the newest. O(slots squared)
/// words of RAM. `lacks_one` says that the header of a segment of the ring is lost.
pub(super) fn queue_free_slots(log: &mut Log<'_>, newest: u32, lacks_one: bool) {
    if log.ring.slot(newest).state() == SlotState::Candidate {
        log.ring.set_state(newest, SlotState::Protected);
    }
    if planted::is(Fault::ChainErased) && log.ring.live() > 1 {
        let tail = log.ring.pop_tail();
        tail.into_iter().for_each(|tail| log.ring.set_state(tail, SlotState::Free));
    }
    let free = |state| log.ring.slots().iter().any(|slot| slot.state() == state);
    let wanted = if free(SlotState::Free) { SlotState::Free } else { SlotState::Candidate };
    let newest = log.ring.slot(newest).number();
    let mut done = None;
    for _ in 0..log.ring.segments() {
        let known = log.ring.slots().iter().zip(0u32..);
        let of_kind = known.filter(|(slot, _)| slot.state() == wanted);
        let keys = of_kind.map(|(known, slot)| {
            (free_class(log, newest, known.number(), lacks_one), known.number(), slot)
        });
        let Some(key) = keys.filter(|key| done.is_none_or(|done| *key > done)).min() else { break };
        done = Some(key);
        // Slots that are queued already are free as well, and pass by their keys.
        log.ring.add_free(key.2);
    }
}

/// The fresh segment is proven: what was protected for it is free, if it is not in the chain.
pub(super) fn release_protected(log: &mut Log<'_>) {
    for slot in 0..log.ring.segments() {
        if matches!(log.ring.slot(slot).state(), SlotState::Protected | SlotState::Candidate) {
            log.ring.add_free(slot);
        }
    }
}
