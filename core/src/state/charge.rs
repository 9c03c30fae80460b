//! How much of the ring the live records take: the sum by which the store decides that it is full.
//!
//! A record does not span segments, so the end of a segment stays empty when the next record does
//! not fit. The gap is shorter than that record. The length of the longest short record is taken off
//! each segment beforehand, which pays for the gaps of short ones; a longer record is charged what it
//! may leave beyond that. A change of an edge is charged what the lists at both its ends may grow by when
//! it is folded, so that folding never takes more than was charged. With this
//! sum at most the ring's usable bytes, moving the tail around always ends with the same free space
//! that it began with, in whatever order records meet segment ends.

use crate::format::{EdgeChange, Header, Layout, Record};
use crate::types::Direction;

/// Records up to this part of a segment are short.
const SHORT_PART: u32 = 16;

/// What live records take of the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Charge {
    /// Their lengths, in bytes.
    pub bytes: u64,
    /// Their lengths, with their entries in index pages, and with what the long ones may waste at
    /// segment ends.
    pub charged: u64,
}

impl Charge {
    /// Of one record.
    pub fn of(layout: &Layout, record: &Record) -> Self {
        Self::of_bytes(layout, record, record.bytes(layout.index_form()))
    }

    fn of_bytes(layout: &Layout, record: &Record, bytes: u64) -> Self {
        let bytes = bytes.next_multiple_of(u64::from(layout.align()));
        let entry = u64::from(layout.index_form().entry_bytes(record.kind().has_id()));
        let gap = bytes.saturating_sub(u64::from(Self::short_max(layout)));
        let charged = bytes + entry + gap;
        match record {
            Record::Edge(change) => {
                Self { bytes, charged: charged.max(Self::folded(layout, change)) }
            }
            _ => Self { bytes, charged },
        }
    }

    /// What the change may take when it is folded: a list of its own at both ends, each longer by the
    /// alignment, by which a list that is there may grow beyond that.
    fn folded(layout: &Layout, change: &EdgeChange) -> u64 {
        let ends = [(change.source, Direction::Out), (change.target, Direction::In)];
        let lists = ends.map(|(number, direction)| {
            let list = Record::Adjacency { number, direction, entries: 1, range: None };
            Self::of(layout, &list).charged + u64::from(layout.align())
        });
        lists.iter().sum()
    }

    /// Of the record with this header.
    pub fn of_header(layout: &Layout, header: &Header) -> Self {
        Self::of_bytes(layout, &header.record, header.record_bytes(layout.index_form()))
    }

    /// The longest record that counts as short, in bytes.
    pub const fn short_max(layout: &Layout) -> u32 {
        layout.segment_bytes() / SHORT_PART
    }

    /// How much live records may be charged in a segment, in bytes.
    pub const fn usable(layout: &Layout) -> u32 {
        // The headers of index pages: one page at least, and one for each full one.
        let pages = layout.padded(64) * 2;
        layout.segment_bytes() - layout.first_offset() - pages - Self::short_max(layout)
    }

    /// With another one.
    pub fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.charged += other.charged;
    }

    /// Without another one.
    pub fn subtract(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.charged = self.charged.saturating_sub(other.charged);
    }
}
