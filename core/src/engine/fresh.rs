//! The fresh segment that every opening writes: nothing is ever appended behind an unproven end.
//!
//! A word that was being written while power failed may read one way now and another way tomorrow.
//! So the last valid record of the newest segment is not trusted where it lies: it is written
//! again, to a segment of its own run, whose header says that everything from it on is void in the
//! old one. That segment counts only once its content and two marks validate; until then its
//! predecessor stands unchanged. A third mark is written before `open` returns.
//!
//! Where the newest segment holds little, the fresh one takes all of it over, and its place in the
//! chain: a board that writes a little between power cuts does not eat a segment a boot.

use super::error::OpenError;
use super::replay::Replay;
use super::survey::{Survey, living_predecessor};
use crate::format::{Kind, Place, Predecessor, Record, SegmentHeader};
use crate::log::{Log, LogError, Opening, Step, Walk};
use crate::state::Store;
use crate::storage::Storage;

/// The fresh segment takes the newest one over if that fills at most this part of it.
const TAKE_OVER_PART: u64 = 2;

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
        let before = living_predecessor(header, retired);
        // A segment that the running engine opened goes on with whatever its predecessor began.
        let continued = header.continues_batch || !header.recovery;
        if survey.is_untouched(header) {
            // The marks prove its content, and nothing came after them.
            return Self {
                takes_over: true,
                copy_until: survey.end,
                again: None,
                predecessor: header.predecessor,
                continues_batch: continued,
            };
        }
        let last_offset = survey.last.map_or(survey.end, |last| last.offset);
        let content = survey.last.filter(|last| last.is_content());
        let ends_batch = content.is_some_and(|last| last.kind == Kind::BatchEnd);
        // The last record of a batch without its end is void with the rest of that batch.
        let again = content.filter(|last| ends_batch || !last.in_batch);
        let run_from_before = survey.run.is_some_and(|run| run.from_before);
        let copy_until = match survey.run {
            Some(run) if !ends_batch => run.start,
            _ => last_offset,
        };
        let usable = u64::from(log.layout().segment_bytes() - log.layout().first_offset());
        let bytes = survey.copy_cost(log.layout());
        let limit = if survey.has_one_new() { usable } else { usable / TAKE_OVER_PART };
        if before.is_some() && !run_from_before && bytes <= limit {
            return Self {
                takes_over: true,
                copy_until,
                again: again.map(|last| last.offset),
                predecessor: header.predecessor,
                continues_batch: continued,
            };
        }
        Self {
            takes_over: false,
            copy_until: 0,
            again: again.map(|last| last.offset),
            predecessor: Some(Predecessor {
                slot,
                number: header.number,
                end: last_offset,
                index: 0,
            }),
            continues_batch: ends_batch,
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
            copy_records(log, storage, newest, offset, offset + 1)?;
        }
        for _ in 0..3 {
            log.sync(storage)?;
            log.append(storage, &Record::Mark, false, &[])?;
        }
        log.sync(storage)?;
        replay.begin_segment(true, self.continues_batch);
        let (from, end) = (log.layout().first_offset(), log.at());
        replay.segment(store, slot, from, end)?;
        Ok(())
    }
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
        let Step::Record { header, offset, .. } = walk.next(&mut log.on(storage))? else {
            // It was valid when it was surveyed.
            return Err(log.corrupt(Place { slot, offset: walk.at() }));
        };
        if !matches!(header.tag.kind(), Kind::Mark | Kind::Retire | Kind::Index) {
            log.copy(storage, Place { slot, offset }, &header, header.tag.in_batch())?;
        }
    }
    Ok(())
}
