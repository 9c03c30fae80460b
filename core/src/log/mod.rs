//! The ring of segments: append, read back, seal, walk; tail, head and marks.
//!
//! All segments form one ring from tail (oldest) to head (open). Records are appended at the head;
//! space comes back only at the tail. This room knows what a record looks like and where it lies;
//! it does not know what a record means: no nodes, no edges, no recovery.
//!
//! Invariants:
//!
//! - A segment's header is durable before its first record is written.
//! - A slot is erased right before its header is written, unless this very run erased it: nothing
//!   else makes it clean.
//! - Behind the records of the open segment there is always room for the index page that describes them,
//!   if one is due.
//! - Nothing is appended to a segment that was not opened by this run.

mod append;
mod page;
mod read;
mod ring;
mod staging;
mod table;
mod walk;
mod writer;

pub use append::{Appended, Copied, CopyAs, Log, Opening, RECOVERY_RESERVE, Synced, Traffic};
pub use page::{OpenPage, SealedPage};
pub use read::{BodyFlip, BodyState, LogBytes, OnStorage, ReadLog, read_header};
pub use ring::{Ring, Slot, SlotState};
pub use staging::Source;
pub use table::{TableStep, TableWalk};
pub use walk::{Step, Walk};
pub use writer::RecordWriter;

use core::fmt;

/// Why the log could not be read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LogError<E> {
    /// The storage refused.
    Storage(E),
    /// Every slot of the ring is taken. The engine makes room before it appends, so that this is
    /// not seen by users of a healthy store; media on which sectors no longer erase may come to it.
    NoFreeSegment {
        /// Slots in the ring.
        segments: u32,
    },
    /// The record is larger than a segment, or than the capacity allows.
    RecordTooLarge {
        /// Length of the record, in bytes; `u32::MAX` where it is longer.
        len: u32,
        /// The longest that fits, in bytes.
        max: u32,
    },
    /// Every segment number is taken: none is given twice, since old bytes would validate again. What the
    /// store holds can be read, and salvaged to a new one.
    NumbersSpent,
    /// A record that the engine relies on does not read back as it was written.
    Corrupt {
        /// Number of its segment.
        segment: u32,
        /// Where it starts in the segment, in bytes.
        offset: u32,
    },
}

impl<E: fmt::Debug> fmt::Display for LogError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "the storage failed: {error:?}"),
            Self::NoFreeSegment { segments } => {
                write!(f, "none of the {segments} segments is free")
            }
            Self::RecordTooLarge { len, max } => {
                write!(f, "a record of {len} bytes; the longest here is {max}")
            }
            Self::NumbersSpent => f.write_str("every segment number is taken: salvage the store"),
            Self::Corrupt { segment, offset } => {
                write!(f, "damaged record in segment {segment} at {offset}")
            }
        }
    }
}

impl<E: fmt::Debug> core::error::Error for LogError<E> {}
