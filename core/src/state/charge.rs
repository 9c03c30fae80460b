//! How much of the ring the live records take: the sum by which the store decides that it is full.
//!
//! A record does not span segments, so the end of a segment stays empty when the next record does
//! not fit. The gap is shorter than that record. So a record that is long for its segment is
//! charged twice, which pays for the gap that it may leave; short records together leave at most
//! the length of the longest short one, and that is taken off each segment beforehand. With this
//! sum at most the ring's usable bytes, moving the tail around always ends with the same free space
//! that it began with, in whatever order records meet segment ends.

use crate::format::{Header, Layout};

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
    pub fn of(layout: &Layout, header_bytes: u64, has_id: bool) -> Self {
        let with_entry = header_bytes + u64::from(layout.index_form().entry_bytes(has_id));
        let long = header_bytes > u64::from(Self::short_max(layout));
        Self { bytes: header_bytes, charged: if long { with_entry * 2 } else { with_entry } }
    }

    /// Of the record with this header.
    pub fn of_header(layout: &Layout, header: &Header) -> Self {
        let bytes = header.record_bytes(layout.index_form());
        let padded = bytes.next_multiple_of(u64::from(layout.align()));
        Self::of(layout, padded, header.record.kind().has_id())
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
