//! Which segments form the ring, and which slots are free: the rules under which two power cuts in
//! a row lose nothing.
//!
//! Recovery may be cut as well, and what it relied on must then still be there. So it never erases
//! a slot of the chain that it uses, nor of the newest segment whose proof is itself followed by a
//! valid record, nor of that one's chain, nor of any candidate in between that counts: if the
//! newest one reads differently tomorrow, the one before it is whole.

use super::error::OpenError;
use super::survey::{Span, Survey, living, look_for_header, read_header};
use crate::format::{Predecessor, SegmentHeader, Successor};
use crate::log::{Log, LogError, SlotState};
use crate::planted::{self, Fault};
use crate::storage::Storage;

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
    let mut newest: Option<Newest> = None;
    // What the header behind says that was begun, and does not count.
    let mut seal: Option<Predecessor> = None;
    let mut below = (u32::MAX, 0);
    for _ in 0..log.ring.segments() {
        let Some(slot) = next_lower(log, below) else { break };
        below = (log.ring.slot(slot).number(), slot);
        let read = read_header(storage, log.layout(), slot).map_err(LogError::Storage)?;
        note_again(log, slot, read.as_ref());
        // (Where it cannot be read any more, it was torn, and nothing came behind it.)
        let Some(header) = read else { continue };
        let Some(survey) = survey_if_it_counts(log, storage, &header, seal)? else {
            seal = sealed_by_begun(log, &header);
            continue;
        };
        let retired = survey.retired.max(header.retired);
        log.saw_number(header.number);
        set_candidate(log, slot);
        if newest.is_none() {
            let seen = Newest { slot, header, survey, retired, unreadable };
            newest = Some(lost_behind(log, storage, &seen)?.unwrap_or(seen));
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

fn set_candidate(log: &mut Log<'_>, slot: u32) {
    if !planted::is(Fault::CandidateUnprotected) {
        log.ring.set_state(slot, SlotState::Candidate);
    }
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

/// What lies in the segment with this header, if it counts; `seal` is what a header that was begun behind it
/// says of the one before.
fn survey_if_it_counts<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    header: &SegmentHeader,
    seal: Option<Predecessor>,
) -> Result<Option<Survey>, LogError<S::Error>> {
    let Some(end) = believed_end(log, header.number) else { return Ok(None) };
    let names_it = |seal: &Predecessor| (seal.slot, seal.number) == (header.slot, header.number);
    let proven = seal.filter(names_it).map_or(0, |seal| seal.end);
    let survey = Survey::of(log, storage, header.slot, Span { proven, end })?;
    Ok(Some(survey).filter(|survey| survey.counts(header)))
}

/// Up to where the segment with this number is believed; `None` if it is not, since after a failed sync
/// nothing counts that came behind the last one that did not fail.
fn believed_end(log: &Log<'_>, number: u32) -> Option<u32> {
    match log.beyond_doubt() {
        Some(synced) if number > synced.number => None,
        Some(synced) if number == synced.number => Some(synced.end),
        _ => Some(log.layout().segment_bytes()),
    }
}

/// What a header that the running engine began, and that does not count, says of the one before: on a medium
/// that keeps write order, it was written behind all of that.
fn sealed_by_begun(log: &Log<'_>, header: &SegmentHeader) -> Option<Predecessor> {
    let is_proof = log.layout().geometry().keeps_write_order && !header.recovery;
    let is_believed = believed_end(log, header.number).is_some();
    header.predecessor.filter(|before| is_proof && is_believed && before.sealed)
}

/// What is left of the segment of which the newest one that is seen to count says that it was opened later;
/// or of the one that this run synced before a sync failed. It held what was durable, so that it is lost if
/// it does not count.
#[inline(never)]
fn lost_behind<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    seen: &Newest,
) -> Result<Option<Newest>, LogError<S::Error>> {
    let before = seen.header.number;
    let told = log.successor(storage, seen.slot)?;
    let told = told.map(|Successor { slot, distance }| {
        (slot, before.saturating_add(distance.into()), distance == u8::MAX)
    });
    let synced = log.beyond_doubt().filter(|synced| synced.counts);
    let synced = synced.map(|synced| (synced.slot, synced.number, false));
    let is_later = |number: u32| number > before && believed_end(log, number).is_some();
    let told = told.filter(|(slot, number, _)| *slot < log.ring.segments() && is_later(*number));
    let told = told.or(synced.filter(|(_, number, _)| is_later(*number)));
    let Some((slot, number, or_more)) = told else { return Ok(None) };
    // What cannot be read at all is lost as well.
    let read = read_header(storage, log.layout(), slot).ok().flatten();
    let read = read.filter(|header| {
        header.number == number || or_more && header.number > number && is_later(header.number)
    });
    let number = read.map_or(number, |header| header.number);
    let end = believed_end(log, number).unwrap_or_default();
    log.saw_number(number);
    if read.is_none() {
        log.ring.found(slot, number, 0);
    }
    let header = read.unwrap_or_else(|| made_up_header((slot, number), seen));
    let mut survey = Survey::of(log, storage, slot, Span::up_to(end))?;
    if read.is_some() {
        // What it holds does not make it count: so what came behind that is lost.
        let end = survey.end + log.layout().align();
        survey.end_in_hole(end.min(log.layout().segment_bytes()));
    } else {
        // A header that is lost is damage before the first record.
        survey.holes += 1;
    }
    let retired = survey.retired.max(header.retired).max(seen.retired);
    set_candidate(log, slot);
    Ok(Some(Newest { slot, header, survey, retired, unreadable: seen.unreadable }))
}

/// What the header of a segment said that is lost, as far as the one that was opened before it tells. (That
/// one may have been taken over: then what it holds is there twice.)
fn made_up_header((slot, number): (u32, u32), before: &Newest) -> SegmentHeader {
    let Newest { header, survey, .. } = before;
    let (end, index) = (survey.end, survey.index_before(survey.end));
    let predecessor =
        Predecessor { slot: before.slot, number: header.number, end, index, sealed: false };
    SegmentHeader {
        slot,
        number,
        retired: before.retired,
        predecessor: Some(predecessor),
        erase_count: 0,
        next_node: header.next_node,
        recovery: true,
        continues_batch: false,
    }
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
