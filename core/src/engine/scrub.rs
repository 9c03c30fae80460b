//! Scrub: reading everything and writing anew what one flipped bit has hit, before a second one comes.
//!
//! A record that lives is moved. One that does not live may still be needed: a tombstone voids what lies
//! before it in the log, an index page describes what lies around it. It cannot be written anew elsewhere,
//! nor can a segment's header; and a hurt header that is left behind tells a little less with each bit. Then
//! the tail is moved until their segment is free, which takes one turn of the ring at most.

use super::StorageEngine;
use super::error::WriteError;
use super::survey::header_is_whole;
use crate::compaction::{TailStep, carry_named, move_record};
use crate::format::{Header, Place, Subject};
use crate::log::{BodyState, LogBytes, LogError, ReadLog, Step, Walk};
use crate::state::Store;
use crate::storage::Storage;

/// What scrubbing has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scrubbed {
    /// Bytes of the log that were looked at.
    pub read_bytes: u64,
    /// Records, and headers of segments, in which one bit was flipped; records whose header was damaged, and
    /// of which their index page told all.
    pub mended: u32,
    /// Records that are needed and damaged beyond mending. `verify` names them.
    pub damaged: u32,
    /// Whether the budget was used up before everything was looked at. The next call goes on there.
    pub cut_short: bool,
}

/// How far the log is scrubbed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScrubCursor {
    /// Segments below this number were looked at.
    number: u32,
    /// Segments up to this number hold something that only moving the tail mends.
    turn_to: u32,
}

impl<S: Storage> StorageEngine<'_, S> {
    /// Looks at the next part of the log, from the oldest segment to the newest, and writes anew what one
    /// flipped bit has hit. Reads up to `budget` bytes, and the rest of a segment. Durable when it returns.
    ///
    /// An idle loop calls it again and again; a turn of it reads all segments once. What is hit where nothing
    /// can be written anew takes moving the tail, which costs up to one turn of the ring.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn scrub(&mut self, budget: u64) -> Result<Scrubbed, WriteError<S::Error>> {
        self.check_writable()?;
        let newest = self.store.log.number_max();
        let done = self.scrub_segments(budget);
        self.forget_checks(newest);
        let done = done.map_err(|error| self.fail(error))?;
        self.sync()?;
        Ok(done)
    }

    fn scrub_segments(&mut self, budget: u64) -> Result<Scrubbed, WriteError<S::Error>> {
        let mut done = Scrubbed::default();
        // What is opened from here on is whole.
        let newest = self.store.log.number_max();
        for _ in 0..self.store.log.ring.segments() {
            if done.read_bytes >= budget {
                done.cut_short = true;
                return Ok(done);
            }
            let ring = &self.store.log.ring;
            let next = ring.chain().find(|slot| ring.slot(*slot).number() >= self.scrub.number);
            let Some(slot) = next.filter(|slot| ring.slot(*slot).number() <= newest) else { break };
            let number = ring.slot(slot).number();
            self.scrub_segment(slot, &mut done)?;
            self.scrub.number = number.saturating_add(1);
        }
        let turn_to = self.scrub.turn_to;
        while self.tail_number() <= turn_to.min(newest) {
            self.have_step_room()?;
            if self.tail.step(&mut self.store, &mut self.fold)? == TailStep::Nothing {
                break;
            }
        }
        self.scrub = ScrubCursor::default();
        Ok(done)
    }

    fn scrub_segment(
        &mut self,
        slot: u32,
        done: &mut Scrubbed,
    ) -> Result<(), WriteError<S::Error>> {
        let Store { storage, log, .. } = &mut self.store;
        let number = log.ring.slot(slot).number();
        let is_whole = header_is_whole(storage, log.layout(), slot).map_err(LogError::Storage)?;
        if !is_whole {
            done.mended += 1;
            self.scrub.turn_to = number;
        }
        // Where the open segment ends now; what is moved meanwhile comes behind.
        let end = log.end_of(slot);
        let mut walk = Walk::new(slot, log.layout().first_offset(), end);
        done.read_bytes += u64::from(end);
        loop {
            let Store { storage, log, state } = &mut self.store;
            match walk.next(log.on(storage).erased())? {
                Step::End => return Ok(()),
                Step::Named { outline, offset } => {
                    if self.scrub_named(Place { slot, offset }, &outline.subject, done)? {
                        self.scrub.turn_to = number;
                    }
                }
                Step::Invalid { offset } => {
                    let place = Place { slot, offset };
                    let (until, is_needed) =
                        state.damaged_span(&mut log.on(storage), place, end)?;
                    done.damaged += u32::from(is_needed);
                    walk.skip_to(until);
                }
                Step::Record { header, offset, .. } => {
                    if self.scrub_record(Place { slot, offset }, &header, done)? {
                        self.scrub.turn_to = number;
                    }
                }
            }
        }
    }

    /// Looks at a record that only its index page names: it is written anew if the page tells all of it.
    /// Whether it has to be left behind by moving the tail.
    fn scrub_named(
        &mut self,
        at: Place,
        subject: &Subject,
        done: &mut Scrubbed,
    ) -> Result<bool, WriteError<S::Error>> {
        let location = self.store.log.layout().location(at.slot, at.offset);
        if !self.store.state.is_live(subject, location) {
            done.mended += 1;
            return Ok(true);
        }
        if matches!(subject, Subject::Block { .. } | Subject::List { .. }) {
            done.damaged += 1;
            return Ok(false);
        }
        done.mended += 1;
        self.have_step_room()?;
        // Making room may have moved it already.
        if self.store.state.is_live(subject, location) {
            carry_named(&mut self.store, &mut self.fold, subject, location)?;
        }
        Ok(false)
    }

    /// Looks at one record. Whether it has to be left behind by moving the tail.
    fn scrub_record(
        &mut self,
        at: Place,
        header: &Header,
        done: &mut Scrubbed,
    ) -> Result<bool, WriteError<S::Error>> {
        let Store { storage, log, state } = &mut self.store;
        let location = log.layout().location(at.slot, at.offset);
        let subject = header.record.subject();
        let is_live = state.is_live(&subject, location);
        let header_is_whole = log.on(storage).header(at)?.is_some();
        match log.on(storage).body_state(at, header)? {
            BodyState::Sound if header_is_whole => return Ok(false),
            BodyState::Damaged => {
                done.damaged += u32::from(is_live);
                return Ok(false);
            }
            BodyState::Sound | BodyState::OneBit(_) => {}
        }
        done.mended += 1;
        if is_live {
            self.have_step_room()?;
            // Making room may have moved it already.
            if self.store.state.is_live(&subject, location) {
                move_record(&mut self.store, &mut self.fold, header, at, location)?;
            }
        }
        // What was moved stays behind as it was hit. A second bit in its header would make it a record of
        // which nobody knows what it held.
        Ok(!is_live || !header_is_whole)
    }
}
