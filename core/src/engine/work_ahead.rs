//! Working ahead: what an idle loop can do so that later writes find room.

use super::StorageEngine;
use super::error::WriteError;
use crate::compaction::{TailStep, purge_step};
use crate::planted::{self, Fault};
use crate::storage::Storage;

/// What working ahead has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Compacted {
    /// Live bytes that were moved from the tail to the head.
    pub moved_bytes: u64,
    /// Segments that became free.
    pub segments_freed: u32,
    /// Whether the budget was used up before everything was done.
    pub cut_short: bool,
}

impl<S: Storage> StorageEngine<'_, S> {
    /// Cleans up after deleted nodes and moves the tail once around the ring, up to `budget` live
    /// bytes: superseded records become free space. What it did stays done if it stops half way.
    /// Durable when it returns.
    ///
    /// # Errors
    /// As [`write`](Self::write): the store is read-only, or the storage refused.
    pub fn compact(&mut self, budget: u64) -> Result<Compacted, WriteError<S::Error>> {
        self.check_writable()?;
        let newest = self.store.log.number_max();
        let done = self.turn_once(budget);
        self.forget_checks(newest);
        let done = done.map_err(|error| self.fail(error))?;
        self.sync()?;
        Ok(done)
    }

    fn turn_once(&mut self, budget: u64) -> Result<Compacted, WriteError<S::Error>> {
        let mut done = Compacted::default();
        while !self.store.state.intents.is_empty() {
            self.have_step_room()?;
            purge_step(&mut self.store, &mut self.fold)?;
        }
        // Segments that are opened from here on hold nothing that is dead.
        let newest = self.store.log.number_max();
        while self.tail_number() < newest {
            if done.moved_bytes >= budget {
                done.cut_short = !planted::is(Fault::CutShortUnsaid);
                break;
            }
            self.have_step_room()?;
            match self.tail.step(&mut self.store, &mut self.fold)? {
                TailStep::Moved { bytes } => done.moved_bytes += bytes,
                TailStep::Retired => done.segments_freed += 1,
                TailStep::Passed => {}
                TailStep::Nothing => break,
            }
        }
        Ok(done)
    }
}
