//! The index page: columns that describe a run of records, written into the log behind them.
//!
//! A segment is described by as many pages as its records fill; each names the page before it, and
//! the header of the next segment names the last. So the index is paid for as the log grows, never
//! in one pause, and needs memory for one page only. Its entries lie in log order: recovery replays
//! in that order and scans run in it both ways; point lookups have the block index in RAM, so that
//! a second order on media would have no reader.
//!
//! ```text
//! tags      n   first byte of each record
//! numbers 4*n   node number (of an edge: its source), records of a batch, or 0
//! offsets 4*n   in bytes
//! ids    16*k   of the k records that hold one
//! versions 8*k  of those; 0 where it is no block
//! targets  4*e  of the e changes of edges
//! kinds    2*e  of those
//! ```
//!
//! In small segments (below 256 KiB) pages are bare: headers without columns, by which a scan from the newest
//! on finds where to begin. Recovery reads the records' headers there, which are few. So that nobody pays for
//! what is not used, such a page stands only behind as many records as one may cover; a segment that holds a
//! page ends with one, and one of fewer records has none.
//!
//! From full columns recovery takes all that it needs of nearly every record, without touching it; and where
//! a record's header is hurt, they name what it was about.

use super::layout::IndexForm;
use super::record::{IndexHeader, Kind};

/// The most entries of a bare page.
const ENTRIES_BARE: u32 = 64;
/// The most entries of a page where pages hold full columns.
const ENTRIES_COLUMNS: u32 = 1024;

/// The columns of a page. Ids and versions have an entry only for records that hold an id, targets and kinds
/// only for changes of edges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the column of the same name")]
pub enum Column {
    Tags,
    Numbers,
    Offsets,
    Ids,
    Versions,
    Targets,
    Kinds,
}

impl IndexForm {
    /// The most records that one page describes.
    pub const fn entries_max(self) -> u32 {
        match self {
            Self::Bare => ENTRIES_BARE,
            Self::Columns => ENTRIES_COLUMNS,
        }
    }

    /// Length of the body of a page that describes so many records, in bytes.
    pub const fn body_bytes(self, of: &IndexHeader) -> u64 {
        match self {
            Self::Bare => 0,
            Self::Columns => of.entries as u64 * 9 + of.ids as u64 * 24 + of.edges as u64 * 6,
        }
    }

    /// Length of the longest body of a page, in bytes.
    pub const fn body_bytes_max(self) -> u64 {
        // An entry with an id is the longest.
        self.entries_max() as u64 * self.entry_bytes(Kind::Block) as u64
    }

    /// Bytes that describing one record may add to the log, at most; used to decide when the store is full.
    pub const fn entry_bytes(self, kind: Kind) -> u32 {
        match self {
            Self::Bare => 0,
            Self::Columns if kind.has_id() => 33,
            Self::Columns if kind.is_edge() => 15,
            Self::Columns => 9,
        }
    }
}

impl Column {
    /// Length of an entry, in bytes.
    pub const fn width(self) -> u32 {
        match self {
            Self::Tags => 1,
            Self::Kinds => 2,
            Self::Numbers | Self::Offsets | Self::Targets => 4,
            Self::Versions => 8,
            Self::Ids => 16,
        }
    }
}

impl IndexHeader {
    /// Where a column starts in the body of a page with full columns, in bytes.
    pub const fn column(&self, column: Column) -> u64 {
        let (n, k, e) = (self.entries as u64, self.ids as u64, self.edges as u64);
        match column {
            Column::Tags => 0,
            Column::Numbers => n,
            Column::Offsets => n * 5,
            Column::Ids => n * 9,
            Column::Versions => n * 9 + k * 16,
            Column::Targets => n * 9 + k * 24,
            Column::Kinds => n * 9 + k * 24 + e * 4,
        }
    }
}
