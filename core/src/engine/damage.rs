//! Damage of which nobody knows what it hit: a span of the log in which there should be a record, and is
//! none.
//!
//! What was lost there may have been the newest version of any block, the deletion of one, or a change of
//! any edge. So what lies before it in the log may be the past, and what is not there at all may have been:
//! the store is *degraded*. A record behind all damage is the newest of its key for certain, and is answered
//! as usual; any other answer is [`Degraded`](super::ReadError::Degraded), and nothing is written, until
//! [`repair`](super::StorageEngine::repair).

use super::error::ReadError;
use crate::log::Log;
use crate::types::Location;

/// Where records are lost: the last such place, if there are several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Damage {
    /// Number of the segment.
    pub segment: u32,
    /// Where in the segment they should start, in bytes.
    pub offset: u32,
    /// Whether nothing is certain, wherever it lies: a repair began that did not end, and wrote behind them.
    in_doubt: bool,
}

/// What is done about damage of which nobody knows what it hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OnDamage {
    /// Answers that may be the past say so, and nothing is written, until the caller repairs the store.
    #[default]
    Say,
    /// The store is not opened for writing, and not one byte is written:
    /// [`OpenError::Degraded`](super::OpenError::Degraded). (One that is opened read-only says so, as above.)
    /// Where something is hurt, or was repaired lately, the log is read twice more to tell. Only where the
    /// storage loses something after that, the opening has written its segment before it is refused.
    Refuse,
    /// What is left counts. `open` and `recover` repair the store right away, which takes as long as
    /// reading all edges. A store that is opened read-only answers from what is left: an edge may be known at
    /// one end only.
    ///
    /// It opens with the memory that there is: where the damage took what made room, and the log now needs
    /// more than the capacity, pending changes of edges, lists or deletions are given up, and counted in
    /// [`Stats::damaged`](super::Stats::damaged). With `Say` that is
    /// [`TooMany`](super::OpenError::TooMany), and a larger capacity loses nothing of it.
    Repair,
}

impl Damage {
    pub(super) const fn new(segment: u32, offset: u32) -> Self {
        Self { segment, offset, in_doubt: false }
    }

    pub(super) const fn in_doubt(segment: u32, offset: u32) -> Self {
        Self { segment, offset, in_doubt: true }
    }

    /// Whether it lies no later in the log than this place: segment and offset.
    pub(super) fn is_within(&self, place: (u32, u32)) -> bool {
        (self.segment, self.offset) <= place
    }

    /// Whether what lies at this place of the log may be the past: something was lost behind it.
    pub(super) fn is_behind(&self, log: &Log<'_>, at: Location) -> bool {
        let place = log.layout().place(at);
        let segment = log.ring.slot(place.slot).number();
        let is_before = (segment, place.offset) < (self.segment, self.offset);
        at.is_none() || is_before || self.in_doubt
    }
}

impl<E> From<Damage> for ReadError<E> {
    fn from(Damage { segment, offset, .. }: Damage) -> Self {
        Self::Degraded { segment, offset }
    }
}
