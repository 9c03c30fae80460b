//! The fresh segment that every opening writes: nothing is ever appended behind an unproven end.
//!
//! A word that was being written while power failed may read one way now and another way tomorrow.
//! So the last valid record of the newest segment is not trusted where it lies: it is written
//! again, to a segment of its own run, whose header says that everything from it on is void in the
//! old one. That segment counts only once its content and two marks validate; until then its
//! predecessor stands unchanged. A third mark is written before `open` returns.
//!
//! What could read differently is read once for all, as it is written: a record without a body from
//! the header that was found valid, and one with a body as a batch of its own, whose end says
//! whether the body was valid as it was copied.
//!
//! Where the newest segment holds little, the fresh one takes all of it over, and its place in the
//! chain: a board that writes a little between power cuts does not eat a segment a boot. Where free slots are
//! scarce, it does so whenever there is room.

use super::error::OpenError;
use super::replay::Replay;
use super::survey::{Survey, living};
use crate::compaction::Reserve;
use crate::format::{Kind, Place, Predecessor, Record, SegmentHeader};
use crate::log::{CopyAs, Log, LogBytes, LogError, Opening, ReadLog, Step, Walk};
use crate::planted::{self, Fault};
use crate::state::Store;
use crate::storage::Storage;

/// The fresh segment takes the newest one over if that fills at most this part of it.
const TAKE_OVER_PART: u64 = 2;

/// So many of the slots that look free may be worn.
const WORN_SLOTS: usize = 3;
/// A ring of so many segments and more can do without them; in a smaller one none is reckoned with.
const WORN_FROM_SEGMENTS: u32 = 16;

/// How the fresh segment follows on what was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreshPlan {
    /// Whether the newest segment is taken over, and leaves the chain.
    pub(super) takes_over: bool,
    /// Up to where the newest segment's records are copied; 0 where it stays in the chain.
    copy_until: u32,
    /// The record that is written again.
    again: Option<u32>,
    predecessor: Option<Predecessor>,
    continues_batch: bool,
    /// Whether the record that is written again is the end of a batch.
    ends_batch: bool,
    /// Whether the newest segment is whole, and so can say which one came after it.
    newest_tells: bool,
}

impl FreshPlan {
    /// Decides it, from the newest segment that counts.
    pub(super) fn of(
        log: &Log<'_>,
        slot: u32,
        header: &SegmentHeader,
        survey: &Survey,
        retired: u32,
    ) -> Self {
        let before = living(header.predecessor, retired);
        if planted::is(Fault::TrustsTheEnd) {
            return Self::trusting(slot, header, survey);
        }
        // A segment that the running engine opened goes on with whatever its predecessor began.
        let continued = header.continues_batch || !header.recovery;
        // A segment with holes stays in the chain, so that `verify` can name them.
        let whole = survey.holes == 0;
        if whole && survey.is_untouched(header) {
            // The marks prove its content, and nothing came after them.
            return Self {
                takes_over: true,
                // The last mark is not proven itself.
                copy_until: survey.last.map_or(survey.end, |last| last.offset),
                again: None,
                predecessor: header.predecessor,
                continues_batch: continued,
                ends_batch: false,
                newest_tells: true,
            };
        }
        let last_offset = survey.last.map_or(survey.end, |last| last.offset);
        let content = survey.last.filter(|last| last.is_content());
        let ends_batch = content.is_some_and(|last| last.kind == Kind::BatchEnd);
        // The last record of a batch without its end is void with the rest of that batch.
        let again = content.filter(|last| ends_batch || !last.in_batch);
        // A segment whose only record is one of a batch goes on with what began before it.
        let only_record = survey.records == 1 && content.is_some_and(|last| last.in_batch);
        let run_from_before = survey.run.map_or(only_record && !ends_batch, |run| run.from_before);
        let copy_until = match survey.run {
            Some(run) if !ends_batch => run.start,
            _ => last_offset,
        };
        let usable = u64::from(log.layout().segment_bytes() - log.layout().first_offset());
        let bytes = survey.copy_cost(log.layout());
        let takes_all = survey.has_one_new() || slots_are_scarce(log, retired);
        let limit = if takes_all { usable } else { usable / TAKE_OVER_PART };
        if whole && before.is_some() && !run_from_before && bytes <= limit {
            return Self {
                takes_over: true,
                copy_until,
                again: again.map(|last| last.offset),
                predecessor: header.predecessor,
                continues_batch: continued,
                ends_batch,
                newest_tells: true,
            };
        }
        let includes_again = planted::is(Fault::EndIncludesAgain);
        let end = if includes_again { survey.end } else { last_offset };
        let (number, index) = (header.number, survey.index_before(end));
        Self {
            takes_over: false,
            copy_until: 0,
            again: again.map(|last| last.offset),
            predecessor: Some(Predecessor { slot, number, end, index, sealed: false }),
            continues_batch: ends_batch,
            ends_batch,
            newest_tells: whole,
        }
    }

    /// What a planted fault makes of it: nothing is written again.
    fn trusting(slot: u32, header: &SegmentHeader, survey: &Survey) -> Self {
        let (number, end) = (header.number, survey.end);
        let index = survey.index_before(end);
        Self {
            takes_over: false,
            copy_until: 0,
            again: None,
            predecessor: Some(Predecessor { slot, number, end, index, sealed: false }),
            continues_batch: false,
            ends_batch: false,
            newest_tells: true,
        }
    }

    /// Where the newest segment ends, if it stays in the chain.
    pub(super) fn end_of_newest(&self) -> u32 {
        if self.takes_over { 0 } else { self.predecessor.map_or(0, |predecessor| predecessor.end) }
    }

    /// Writes the fresh segment and replays it. `newest` is the slot of the newest segment that counts.
    pub(super) fn write<'r, S: Storage>(
        &self,
        store: &mut Store<'r, S>,
        replay: &mut Replay,
        newest: u32,
    ) -> Result<(), OpenError<S::Error>> {
        let Store { storage, log, .. } = &mut *store;
        let opening = Opening::Recovery { continues_batch: self.continues_batch };
        log.open_segment(storage, self.predecessor, opening)?;
        let slot = log.ring.head().unwrap_or_default();
        if self.takes_over {
            let first = log.layout().first_offset();
            copy_records(log, storage, newest, first, self.copy_until)?;
        }
        if let Some(offset) = self.again {
            write_again(log, storage, Place { slot: newest, offset }, self.ends_batch)?;
        }
        let marks = if planted::is(Fault::NoThirdMark) { 2 } else { 3 };
        for _ in 0..marks {
            log.sync(storage)?;
            log.append(storage, &Record::Mark { closes: false }, false, &[])?;
        }
        log.sync(storage)?;
        let tells = self.newest_tells && log.can_tell_successor(storage, newest)?;
        log.end_fresh(tells.then_some(newest));
        replay.begin_segment(true, self.continues_batch);
        let (from, end) = (log.layout().first_offset(), log.at());
        replay.segment(store, slot, from, end)?;
        Ok(())
    }
}

/// Whether so few slots are free that the tail might not be moved any more if this opening took one: each
/// of a few openings in a row that were cut could take one, and there would be no room left to move
/// anything to. Some of those that look free may be worn, which nobody knows before they are erased. Those
/// that openings began and left are not counted.
fn slots_are_scarce(log: &Log<'_>, retired: u32) -> bool {
    let free = log.ring.slots().iter().filter(|slot| slot.number() <= retired).count();
    let segments = log.layout().segments();
    let worn = if segments < WORN_FROM_SEGMENTS { 0 } else { WORN_SLOTS };
    free <= Reserve::of(segments).step_slots() as usize + worn
}

/// Copies the records that start in a span of a segment, those left out that are about the log itself.
fn copy_records<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    slot: u32,
    from: u32,
    until: u32,
) -> Result<(), LogError<S::Error>> {
    let mut walk = Walk::new(slot, from, log.layout().segment_bytes());
    while walk.at() < until {
        let Step::Record { header, offset, .. } = walk.next(log.on(storage).erased())? else {
            // It was valid when it was surveyed.
            return Err(log.corrupt(Place { slot, offset: walk.at() }));
        };
        let leaves_out = planted::is(Fault::TakesOverInPart) && walk.at() >= until;
        if !matches!(header.tag.kind(), Kind::Mark | Kind::Retire | Kind::Index) && !leaves_out {
            let how = if header.tag.in_batch() { CopyAs::InBatch } else { CopyAs::Single };
            log.copy(storage, Place { slot, offset }, &header, how)?;
        }
    }
    Ok(())
}

/// Writes the last record again, if it still reads as valid; if not, it never was. `ends_batch`
/// says that it was the end of a batch, whose other records lie before it.
fn write_again<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    from: Place,
    ends_batch: bool,
) -> Result<(), LogError<S::Error>> {
    let header = log.on(storage).header(from)?;
    let form = log.layout().index_form();
    let has_body = header.is_some_and(|header| header.record.body_bytes(form) > 0);
    let end = match header {
        Some(header) if has_body => {
            let copied = log.copy(storage, from, &header, CopyAs::Tentative)?;
            let counts = copied.sound || planted::is(Fault::CopiesWhatIsTorn);
            Record::BatchEnd { records: u32::from(counts) }
        }
        Some(header) => header.record,
        // An end that fits no batch, so that what comes next does not go on with this one.
        None if ends_batch => Record::BatchEnd { records: 0 },
        None => return Ok(()),
    };
    let in_batch = has_body || ends_batch;
    log.append(storage, &end, in_batch, &[])?;
    Ok(())
}
