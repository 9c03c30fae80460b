//! The index page: columns that describe a run of records, written into the log behind them.
//!
//! A segment is described by as many pages as its records fill; each names the page before it, and
//! the header of the next segment names the last. So the index is paid for as the log grows, never
//! in one pause, and needs memory for one page only. Its entries lie in log order: recovery replays
//! in that order and scans run in it both ways; point lookups have the block index in RAM, so that
//! a second order on media would have no reader.
//!
//! ```text
//! small segments (below 256 KiB)          large segments
//!   offsets  2*n  in units of four bytes    tags      n   first byte of each record
//!                                           numbers 4*n   node number, 0 where there is none
//!                                           offsets 4*n   in bytes
//!                                           ids    16*k   of the k records that hold one
//!                                           versions 8*k  of those; 0 where it is no block
//! ```

use super::layout::IndexForm;
use super::record::IndexHeader;

/// The most entries of a page where pages hold offsets only.
const ENTRIES_OFFSETS: u32 = 64;
/// The most entries of a page where pages hold full columns.
const ENTRIES_COLUMNS: u32 = 1024;
/// Offsets of two bytes count in this unit: the least alignment of small segments.
pub const OFFSET_UNIT: u32 = 4;

/// The columns of a page. Ids and versions have an entry only for records that hold an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the column of the same name")]
pub enum Column {
    Tags,
    Numbers,
    Offsets,
    Ids,
    Versions,
}

impl IndexForm {
    /// The most records that one page describes.
    pub const fn entries_max(self) -> u32 {
        match self {
            Self::Offsets => ENTRIES_OFFSETS,
            Self::Columns => ENTRIES_COLUMNS,
        }
    }

    /// Length of a page's body with that many entries, `ids` of them with an id, in bytes.
    pub const fn body_bytes(self, entries: u32, ids: u32) -> u64 {
        match self {
            Self::Offsets => entries as u64 * 2,
            Self::Columns => entries as u64 * 9 + ids as u64 * 24,
        }
    }

    /// Bytes that describing one record may add to the log, at most; used to decide when the store is full.
    pub const fn entry_bytes(self, has_id: bool) -> u32 {
        match self {
            Self::Offsets => 2,
            Self::Columns if has_id => 33,
            Self::Columns => 9,
        }
    }
}

impl IndexHeader {
    /// Where a column starts in the body of a page with full columns, in bytes.
    pub const fn column(&self, column: Column) -> u64 {
        let (n, k) = (self.entries as u64, self.ids as u64);
        match column {
            Column::Tags => 0,
            Column::Numbers => n,
            Column::Offsets => n * 5,
            Column::Ids => n * 9,
            Column::Versions => n * 9 + k * 16,
        }
    }
}
