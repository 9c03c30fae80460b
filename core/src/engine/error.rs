//! What can go wrong: one enum for each kind of operation.

use crate::format::LayoutError;
use crate::log::LogError;
use crate::memory::PoolError;
use crate::state::{ApplyError, Limit};
use core::fmt;

/// Why a store could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FormatError<E> {
    /// A size is out of its bounds.
    Layout(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] LayoutError),
    /// The medium is too small for a ring.
    TooFewSegments {
        /// Segments on the medium.
        given: u32,
        /// The fewest that work.
        min: u32,
    },
    /// The storage refused.
    Storage(E),
}

/// Why a store could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OpenError<E> {
    /// There is no store on this medium: no segment header is readable.
    NoStore,
    /// The store was written by another version of the format.
    Version {
        /// The version found.
        found: u16,
        /// The version that this library knows.
        known: u16,
    },
    /// The store's own sizes are not those of the medium.
    Geometry {
        /// What differs.
        what: GeometryField,
        /// What the store says.
        store: u64,
        /// What the medium has.
        medium: u64,
    },
    /// The medium is no store's: its sizes are out of bounds.
    Layout(LayoutError),
    /// The headers contradict each other: a segment lies before itself.
    SegmentLost {
        /// Number of the segment.
        number: u32,
    },
    /// The store holds more than the capacity allows.
    TooMany {
        /// Which limit.
        what: Limit,
        /// How much the store needs, at least.
        needed: u64,
        /// How much the capacity has.
        capacity: u64,
    },
    /// Records are lost here, and the config asks for a store that is whole
    /// ([`OnDamage::Refuse`](super::OnDamage::Refuse), which says what was written: as a rule nothing).
    Degraded {
        /// Number of the segment.
        segment: u32,
        /// Where they should start in the segment, in bytes.
        offset: u32,
    },
    /// The region is too small for the capacity.
    Region {
        /// `Capacity::region_bytes()`.
        needed_bytes: usize,
        /// The region's length in bytes.
        given_bytes: usize,
    },
    /// The log could not be read, or the fresh segment not written.
    Log(LogError<E>),
}

/// A size that a store and its medium must agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GeometryField {
    /// The medium's capacity, in bytes: it may be larger than the store says, not smaller.
    Capacity,
    /// The erase size, in bytes.
    EraseSize,
    /// The write size, in bytes.
    WriteSize,
}

/// Why a block or an edge could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError<E> {
    /// The storage refused.
    Storage(E),
    /// The record is damaged.
    Corrupt {
        /// Number of its segment.
        segment: u32,
        /// Where it starts in the segment, in bytes.
        offset: u32,
    },
    /// Records are lost here, and they may have said otherwise than what is left: a newer version, a
    /// deletion, another edge. [`repair`](super::StorageEngine::repair) makes what is left count.
    Degraded {
        /// Number of the segment.
        segment: u32,
        /// Where they should start in the segment, in bytes.
        offset: u32,
    },
    /// A recovery failed half way, or a batch could not be read back, or the engine was only prepared: what
    /// the store holds is not known before a recovery succeeds.
    NeedsRecovery,
    /// The scratch is too small for the block.
    ScratchFull {
        /// How many bytes it takes.
        needed: usize,
        /// How many there are.
        given: usize,
    },
    /// As many iterators are open as the workspace holds.
    IteratorsFull {
        /// How many places it would take.
        needed: usize,
        /// How many there are.
        given: usize,
    },
    /// The iterator is not of this query.
    IteratorClosed,
}

/// Why nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WriteError<E> {
    /// A put expected something else to be stored.
    Conflict {
        /// Which operation of the batch, counted from 0.
        operation: u32,
        /// The version that is stored; `None` if there is no block.
        stored: Option<u64>,
    },
    /// The live records would fill the ring. Deleting makes room.
    Full {
        /// Bytes that the batch adds, with what they take beside their own length.
        needed: u64,
        /// Bytes that are free for live records.
        free: u64,
    },
    /// More nodes than the capacity allows. Deleting nodes, or opening with a larger capacity, makes room.
    NodesFull {
        /// How many there would be.
        needed: u64,
        /// `Capacity::nodes`.
        capacity: u64,
    },
    /// A list of edges would need more pages than the capacity allows.
    HubPagesFull {
        /// How many there would be.
        needed: u64,
        /// `Capacity::hub_pages`.
        capacity: u64,
    },
    /// The block is longer than the capacity, or a segment, allows.
    BlockTooLarge {
        /// Length of source URI, metadata and content together, in bytes.
        len: u64,
        /// The longest, in bytes.
        max: u64,
    },
    /// The batch has more of something than the capacity allows.
    BatchTooLarge {
        /// Which limit.
        what: Limit,
        /// How much the batch has.
        len: u64,
        /// How much it may have.
        max: u64,
    },
    /// The store was opened read-only.
    ReadOnly,
    /// Records are lost here: nothing is written before [`repair`](super::StorageEngine::repair).
    Degraded {
        /// Number of the segment.
        segment: u32,
        /// Where they should start in the segment, in bytes.
        offset: u32,
    },
    /// An earlier write or sync failed, or the engine was only prepared; `recover` makes the store writable.
    NeedsRecovery,
    /// The log could not be read or written. The store is read-only until `recover`.
    Log(LogError<E>),
}

/// Why a block whose content was to come in pieces was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PutError<E, F> {
    /// As any other batch.
    Write(WriteError<E>),
    /// The source failed. What is stored is as it was.
    Source(F),
    /// The source ended too early. What is stored is as it was.
    Short {
        /// Bytes that it gave.
        given: u32,
        /// Bytes that the content should have.
        needed: u32,
    },
}

impl<E> From<LogError<E>> for WriteError<E> {
    fn from(error: LogError<E>) -> Self {
        Self::Log(error)
    }
}

impl<E> From<ApplyError<E>> for WriteError<E> {
    fn from(error: ApplyError<E>) -> Self {
        match error {
            ApplyError::Log(error) => Self::Log(error),
            ApplyError::TooMany { what, needed, capacity } => {
                let (needed, capacity) = (u64::from(needed), u64::from(capacity));
                match what {
                    Limit::Nodes => Self::NodesFull { needed, capacity },
                    Limit::HubPages => Self::HubPagesFull { needed, capacity },
                    _ => Self::BatchTooLarge { what, len: needed, max: capacity },
                }
            }
        }
    }
}

impl<E> From<LogError<E>> for OpenError<E> {
    fn from(error: LogError<E>) -> Self {
        Self::Log(error)
    }
}

impl<E> From<ApplyError<E>> for OpenError<E> {
    fn from(error: ApplyError<E>) -> Self {
        match error {
            ApplyError::Log(error) => Self::Log(error),
            ApplyError::TooMany { what, needed, capacity } => {
                Self::TooMany { what, needed: u64::from(needed), capacity: u64::from(capacity) }
            }
        }
    }
}

impl<E> From<LogError<E>> for ReadError<E> {
    fn from(error: LogError<E>) -> Self {
        match error {
            LogError::Storage(error) => Self::Storage(error),
            LogError::Corrupt { segment, offset } => Self::Corrupt { segment, offset },
            // Reading neither opens segments nor appends.
            LogError::NoFreeSegment { .. }
            | LogError::RecordTooLarge { .. }
            | LogError::NumbersSpent => Self::Corrupt { segment: 0, offset: 0 },
        }
    }
}

impl<E> From<PoolError> for ReadError<E> {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Exhausted { capacity } => {
                Self::IteratorsFull { needed: capacity + 1, given: capacity }
            }
            PoolError::Stale | PoolError::Foreign => Self::IteratorClosed,
        }
    }
}

impl<E: fmt::Debug> fmt::Display for FormatError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(error) => error.fmt(f),
            Self::TooFewSegments { given, min } => write!(
                f,
                "the medium has room for {given} segments and needs at least {min}: \
                 take a larger medium or smaller segments"
            ),
            Self::Storage(error) => write!(f, "the storage failed: {error:?}"),
        }
    }
}

impl<E: fmt::Debug> fmt::Display for OpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStore => f.write_str("there is no store here: no segment header is readable"),
            Self::Version { found, known } => {
                write!(
                    f,
                    "the store has format version {found}; this library reads version {known}"
                )
            }
            Self::Geometry { what, store, medium } => {
                let what = match what {
                    GeometryField::Capacity => "capacity",
                    GeometryField::EraseSize => "erase size",
                    GeometryField::WriteSize => "write size",
                };
                write!(
                    f,
                    "the store was made for a {what} of {store} bytes, the medium has {medium}"
                )
            }
            Self::Layout(error) => error.fmt(f),
            Self::SegmentLost { number } => {
                write!(f, "the headers of the segments contradict each other at segment {number}")
            }
            Self::TooMany { what, needed, capacity } => write!(
                f,
                "the store needs Capacity::{} of at least {needed}, it is opened with {capacity}",
                what.field()
            ),
            Self::Degraded { segment, offset } => write!(
                f,
                "records in segment {segment} at {offset} are lost: \
                 repair the store before writing, or salvage what is left"
            ),
            Self::Region { needed_bytes, given_bytes } => {
                write!(f, "the region has {given_bytes} bytes; this capacity needs {needed_bytes}")
            }
            Self::Log(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> fmt::Display for ReadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "the storage failed: {error:?}"),
            Self::Corrupt { segment, offset } => {
                write!(f, "damaged record in segment {segment} at {offset}")
            }
            Self::ScratchFull { needed, given } => {
                write!(f, "the scratch has {given} bytes; the block needs {needed}")
            }
            Self::IteratorsFull { needed, given } => {
                write!(f, "{needed} iterators at once, and the workspace holds {given}: close one")
            }
            Self::IteratorClosed => f.write_str("the iterator is not of this query"),
            Self::Degraded { segment, offset } => write!(
                f,
                "records in segment {segment} at {offset} are lost, and may have said otherwise: \
                 repair the store, or salvage what is left"
            ),
            Self::NeedsRecovery => {
                f.write_str("what the store holds is not known: call recover before reading")
            }
        }
    }
}

impl<E: fmt::Debug> fmt::Display for WriteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { operation, stored: Some(version) } => {
                write!(f, "operation {operation} expected otherwise: version {version} is stored")
            }
            Self::Conflict { operation, stored: None } => {
                write!(f, "operation {operation} expected a block, and none is stored")
            }
            Self::Full { needed, free } => {
                write!(
                    f,
                    "the store is full: {needed} bytes are needed and {free} are free; delete something"
                )
            }
            Self::NodesFull { needed, capacity } => {
                write!(
                    f,
                    "{needed} nodes, and Capacity::nodes is {capacity}: delete some or open with more"
                )
            }
            Self::HubPagesFull { needed, capacity } => {
                write!(
                    f,
                    "{needed} pages of edge lists, and Capacity::hub_pages is {capacity}: open with more"
                )
            }
            Self::BlockTooLarge { len, max } => {
                write!(f, "the block has {len} bytes; the longest here has {max}")
            }
            Self::BatchTooLarge { what, len, max } => {
                write!(
                    f,
                    "the batch needs {len} of Capacity::{}, and may take {max}: split it",
                    what.field()
                )
            }
            Self::ReadOnly => f.write_str("the store was opened read-only"),
            Self::Degraded { segment, offset } => write!(
                f,
                "records in segment {segment} at {offset} are lost: \
                 repair the store before writing, or salvage what is left"
            ),
            Self::NeedsRecovery => f.write_str(
                "the store is not recovered, or a write failed: call recover before writing",
            ),
            Self::Log(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug, F: fmt::Debug> fmt::Display for PutError<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(error) => error.fmt(f),
            Self::Source(error) => write!(f, "the source of the content failed: {error:?}"),
            Self::Short { given, needed } => {
                write!(f, "the content ended after {given} bytes of {needed}")
            }
        }
    }
}

impl<E: fmt::Debug, F: fmt::Debug> core::error::Error for PutError<E, F> {}
impl<E: fmt::Debug> core::error::Error for FormatError<E> {}
impl<E: fmt::Debug> core::error::Error for OpenError<E> {}
impl<E: fmt::Debug> core::error::Error for ReadError<E> {}
impl<E: fmt::Debug> core::error::Error for WriteError<E> {}
