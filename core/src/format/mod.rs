//! Bytes on media: records, segment headers, index pages, checksums. Every byte is described here, once.
//!
//! What is read from media is checked at the door and then held in types that cannot fail: a
//! [`Header`] is a record header whose check held, a [`FoundHeader`] a segment header. This room
//! computes; it does no input or output.

mod block;
mod check;
mod entry;
mod layout;
mod mend;
mod outline;
mod page;
mod record;
mod segment;
mod successor;
#[cfg(test)]
mod tests;
mod varint;

pub use block::BlockHead;
pub use check::{CHUNK_BYTES, Crc, Salt};
pub use entry::{entry_bytes, entry_key};
pub use layout::{IndexForm, LARGE_SEGMENT_BYTES, Layout, LayoutError, Place};
pub use mend::{Flip, SPOILED};
pub use outline::{Outline, PageEntry, Subject};
pub use page::Column;
pub use record::{
    CHECK_BYTES, ENTRY_BYTES, EdgeChange, HEADER_BYTES_MAX, HEADER_BYTES_SHORT, HEADER_BYTES_USUAL,
    Header, HeaderBytes, IndexHeader, Kind, Record, Repair, Tag,
};
pub use segment::{
    FORMAT_VERSION, FoundHeader, HEADER_BYTES, HEADER_BYTES_EVER, LAYOUT_BYTES, LAYOUT_OFFSET,
    MAGIC, NotAHeader, Predecessor, SegmentHeader,
};
pub use successor::{SUCCESSOR_BYTES, Successor};
