//! What a segment says of the one that was opened after it, so that this one is missed should it be lost.
//!
//! Invariants:
//!
//! - It says so once, in a place that nothing else is written to: a segment that an earlier run wrote says it
//!   only where that place is blank, and where nothing of the segment is damaged. Its header proves that the
//!   erase before it completed.
//! - What it names holds what is durable.

use super::Log;
use crate::format::{Place, SUCCESSOR_BYTES, Successor};
use crate::log::LogError;
use crate::planted::{self, Fault};
use crate::storage::{Erased, Geometry, Storage};

impl Log<'_> {
    /// What the segment in a slot says of the one that was opened after it; `None` if it says nothing.
    ///
    /// # Errors
    /// The storage refused.
    pub fn successor<S: Storage>(
        &mut self,
        storage: &mut S,
        slot: u32,
    ) -> Result<Option<Successor>, LogError<S::Error>> {
        let offset = self.layout.successor_offset();
        let mut bytes = [0; SUCCESSOR_BYTES as usize];
        self.read(storage, slot, offset, &mut bytes)?;
        Ok(Successor::parse(&bytes, self.seed(Place { slot, offset })))
    }

    /// Whether nothing is written where the segment in a slot says which one came after it, so that it can.
    ///
    /// # Errors
    /// The storage refused.
    pub fn can_tell_successor<S: Storage>(
        &mut self,
        storage: &mut S,
        slot: u32,
    ) -> Result<bool, LogError<S::Error>> {
        let erased = self.layout.geometry().erased;
        let mut bytes = [0; SUCCESSOR_BYTES as usize];
        self.read(storage, slot, self.layout.successor_offset(), &mut bytes)?;
        Ok(erased == Erased::Unknown || bytes.iter().all(|byte| *byte == erased.filler()))
    }

    /// Has a segment, by slot and number, say that another one was opened after it, which holds what is
    /// durable: it is missed then, should all of it be lost.
    pub(super) fn tell_successor<S: Storage>(
        &mut self,
        storage: &mut S,
        before: Option<(u32, u32)>,
        successor: Option<u32>,
    ) -> Result<(), LogError<S::Error>> {
        // Where it was erased since, another one lies there.
        let before = before.filter(|(slot, number)| self.ring.slot(*slot).number() == *number);
        let before = before.filter(|_| !planted::is(Fault::SuccessorUntold));
        let (Some((slot, number)), Some(after)) = (before, successor) else { return Ok(()) };
        let successor = Successor::new(after, self.ring.slot(after).number(), number);
        let Some(successor) = successor else { return Ok(()) };
        let offset = self.layout.successor_offset();
        let bytes = successor.encode(self.seed(Place { slot, offset }));
        let at = self.layout.slot_start(slot) + u64::from(offset);
        let Geometry { write_bytes, erased, .. } = *self.layout.geometry();
        let bytes = if write_bytes > SUCCESSOR_BYTES {
            // Nothing lies in the buffer, which is a unit long at least.
            self.staging.padded(&bytes, write_bytes as usize, erased.filler())
        } else {
            &bytes
        };
        self.traffic.bytes_written += bytes.len() as u64;
        storage.write(at, bytes).map_err(LogError::Storage)
    }
}
