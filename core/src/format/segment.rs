//! The segment header: which segment lies in a slot, which one came before it, and what store this is.
//!
//! ```text
//!  0 magic        8   "KAUSALDB"
//!  8 version      2   of the media format
//! 10 flags        1   0x01 written by recovery; 0x02 goes on with a batch begun before;
//!                     0x04 the medium keeps write order; 0x08 the predecessor ends with its last
//!                     index page, if it holds any
//! 11 erased       1   0xFF, 0x00, or 0x01: unknown
//! 12 store id    16
//! 28 segments     4   on the medium when the segment was opened
//! 32 segment size 4   in bytes, as all sizes
//! 36 erase size   3   less 1
//! 39 write size   1   the power of two that it is
//! 40 slot         4
//! 44 number       4   of the segment: greater than that of every earlier one, never reused
//! 48 retired      4   number of the newest retired segment; 0 if there is none
//! 52 predecessor  4   slot
//! 56              4   number; 0 if there is none
//! 60              4   end: offset behind its last valid record; what lies there and beyond is void for ever
//! 64              4   offset of its last index page; 0 if there is none
//! 68 erase count  4   of this slot
//! 72 next node    4   node numbers from here on were never given
//! 76 check        4   CRC-32 of all of it
//! ```

use super::check::Crc;
use super::layout::{Layout, LayoutError};
use crate::storage::{Erased, Geometry};
use crate::types::StoreId;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of the header, in bytes, without padding.
pub const HEADER_BYTES: u32 = 80;
/// Length of the longest header that any version had, in bytes: what it takes to know a store of another one.
pub const HEADER_BYTES_EVER: u32 = 84;
/// Where the checks of headers lie, and lay up to version 3.
const CHECKS: [usize; 2] = [HEADER_BYTES as usize - 4, HEADER_BYTES_EVER as usize - 4];
/// The version of the media format that this library reads and writes.
pub const FORMAT_VERSION: u16 = 4;

/// The first bytes of every header.
pub const MAGIC: [u8; 8] = *b"KAUSALDB";
/// What makes a store's layout stands together: store id, number and size of segments, erase size and write
/// size. Where that starts in a header, in bytes,
pub const LAYOUT_OFFSET: u64 = core::mem::offset_of!(Raw, store) as u64;
/// and how many bytes that are.
pub const LAYOUT_BYTES: usize = 28;
const RECOVERY: u8 = 0x01;
const CONTINUES: u8 = 0x02;
const KEEPS_ORDER: u8 = 0x04;
const BEFORE_SEALED: u8 = 0x08;
const ERASED_UNKNOWN: u8 = 0x01;
/// Of the word with erase size and write size, these bits are the erase size less 1: it is 16 MiB at most.
const ERASE_BITS: u32 = 24;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    magic: [u8; 8],
    version: U16,
    flags: u8,
    erased: u8,
    store: [u8; 16],
    segments: U32,
    segment_bytes: U32,
    erase_and_write: U32,
    slot: U32,
    number: U32,
    retired: U32,
    predecessor_slot: U32,
    predecessor_number: U32,
    predecessor_end: U32,
    predecessor_index: U32,
    erase_count: U32,
    next_node: U32,
    check: U32,
}

const _: () = assert!(size_of::<Raw>() == HEADER_BYTES as usize);
const _: () = assert!(core::mem::offset_of!(Raw, slot) == LAYOUT_OFFSET as usize + LAYOUT_BYTES);

/// What a segment's header says of the segment's place in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// Slot in which the segment lies.
    pub slot: u32,
    /// Number of the segment.
    pub number: u32,
    /// Number of the newest retired segment; 0 if there is none.
    pub retired: u32,
    /// The segment before it in the ring; `None` for the first after format.
    pub predecessor: Option<Predecessor>,
    /// How often the slot was erased.
    pub erase_count: u32,
    /// Node numbers from here on were never given.
    pub next_node: u32,
    /// Whether recovery wrote it: it counts only with its two marks.
    pub recovery: bool,
    /// Whether a batch that began in the predecessor goes on here.
    pub continues_batch: bool,
}

/// The segment before another in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Predecessor {
    /// Its slot.
    pub slot: u32,
    /// Its number.
    pub number: u32,
    /// Offset behind its last valid record, in bytes.
    pub end: u32,
    /// Offset of its last index page, in bytes; 0 if there is none.
    pub index: u32,
    /// Whether it is known to end with that page.
    pub sealed: bool,
}

/// A header whose check holds, with the store's geometry as it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundHeader {
    /// The store's geometry and segment size.
    pub layout: Layout,
    /// The segment's place in the ring.
    pub segment: SegmentHeader,
}

/// Why bytes are not a segment header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAHeader {
    /// The check fails, or the magic is another's, or no ring has such a place: there is no segment here.
    Absent,
    /// A valid header of a format version that this library does not know.
    Version(u16),
    /// A valid check over sizes that no store can have.
    Layout(LayoutError),
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self, layout: &Layout) -> [u8; HEADER_BYTES as usize] {
        let geometry = layout.geometry();
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let before = self.predecessor;
        let field = |of: fn(Predecessor) -> u32| U32::new(before.map_or(0, of));
        let mut raw = Raw {
            magic: MAGIC,
            version: U16::new(FORMAT_VERSION),
            flags: flag(self.recovery, RECOVERY)
                | flag(self.continues_batch, CONTINUES)
                | flag(geometry.keeps_write_order, KEEPS_ORDER)
                | flag(before.is_some_and(|before| before.sealed), BEFORE_SEALED),
            erased: match geometry.erased {
                Erased::Ones => 0xFF,
                Erased::Zeros => 0x00,
                Erased::Unknown => ERASED_UNKNOWN,
            },
            store: *layout.store().bytes(),
            segments: U32::new(layout.segments()),
            segment_bytes: U32::new(layout.segment_bytes()),
            erase_and_write: U32::new(
                geometry.erase_bytes.saturating_sub(1)
                    | geometry.write_bytes.trailing_zeros() << ERASE_BITS,
            ),
            slot: U32::new(self.slot),
            number: U32::new(self.number),
            retired: U32::new(self.retired),
            predecessor_slot: field(|p| p.slot),
            predecessor_number: field(|p| p.number),
            predecessor_end: field(|p| p.end),
            predecessor_index: field(|p| p.index),
            erase_count: U32::new(self.erase_count),
            next_node: U32::new(self.next_node),
            check: U32::ZERO,
        };
        raw.check = U32::new(check(&raw));
        zerocopy::transmute!(raw)
    }
}

impl SegmentHeader {
    /// Whether a ring has such a place: whoever follows the headers comes to older ones, and stays on the
    /// medium.
    fn can_be(&self, layout: &Layout) -> bool {
        let before = self.predecessor.is_none_or(|before| {
            before.number < self.number
                && before.slot < layout.segments()
                && before.slot != self.slot
                && before.end <= layout.segment_bytes()
                && (before.index == 0 || before.index < before.end)
        });
        before && self.number != 0 && self.slot < layout.segments()
    }
}

fn check(raw: &Raw) -> u32 {
    let covered = raw.as_bytes().split_last_chunk::<4>();
    covered.map_or(0, |(covered, _)| Crc::new().and(covered).get())
}

/// Whether the check at an offset holds over all that lies before it.
fn check_holds(bytes: &[u8], at: usize) -> bool {
    let (covered, behind) = bytes.split_at_checked(at).unwrap_or_default();
    behind.first_chunk() == Some(&Crc::new().and(covered).get().to_le_bytes())
}

impl FoundHeader {
    /// Reads the header at the start of `bytes`, which are [`HEADER_BYTES_EVER`] where a store of another
    /// version is to be known.
    ///
    /// # Errors
    /// Why these bytes are no header that this library can use.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAHeader> {
        let (raw, _) = Raw::ref_from_prefix(bytes).map_err(|_| NotAHeader::Absent)?;
        if raw.magic != MAGIC {
            return Err(NotAHeader::Absent);
        }
        if raw.version.get() != FORMAT_VERSION {
            // What a power cut tore is of no version.
            let is_whole = CHECKS.iter().any(|at| check_holds(bytes, *at));
            let version = NotAHeader::Version(raw.version.get());
            return Err(if is_whole { version } else { NotAHeader::Absent });
        }
        if raw.check.get() != check(raw) {
            return Err(NotAHeader::Absent);
        }
        let segment_bytes = raw.segment_bytes.get();
        let geometry = Geometry {
            capacity_bytes: u64::from(raw.segments.get()) * u64::from(segment_bytes),
            erase_bytes: (raw.erase_and_write.get() & ((1 << ERASE_BITS) - 1)) + 1,
            // A size that none has is refused below.
            write_bytes: 1u32.checked_shl(raw.erase_and_write.get() >> ERASE_BITS).unwrap_or(0),
            erased: match raw.erased {
                0xFF => Erased::Ones,
                0x00 => Erased::Zeros,
                _ => Erased::Unknown,
            },
            keeps_write_order: raw.flags & KEEPS_ORDER != 0,
        };
        let store = StoreId::new(raw.store);
        let layout = Layout::new(store, geometry, segment_bytes).map_err(NotAHeader::Layout)?;
        let predecessor = Predecessor {
            slot: raw.predecessor_slot.get(),
            number: raw.predecessor_number.get(),
            end: raw.predecessor_end.get(),
            index: raw.predecessor_index.get(),
            sealed: raw.flags & BEFORE_SEALED != 0,
        };
        let segment = SegmentHeader {
            slot: raw.slot.get(),
            number: raw.number.get(),
            retired: raw.retired.get(),
            predecessor: (predecessor.number != 0).then_some(predecessor),
            erase_count: raw.erase_count.get(),
            next_node: raw.next_node.get(),
            recovery: raw.flags & RECOVERY != 0,
            continues_batch: raw.flags & CONTINUES != 0,
        };
        if !segment.can_be(&layout) {
            return Err(NotAHeader::Absent);
        }
        Ok(Self { layout, segment })
    }

    /// The header that these bytes are but for one flipped bit: of the store with this id, or of
    /// any if none is given. A few hundred checks of a header, unless magic or id are others.
    pub fn mend(bytes: &[u8], store: Option<StoreId>) -> Option<Self> {
        let mut copy: [u8; HEADER_BYTES as usize] = *bytes.first_chunk()?;
        let (raw, _) = Raw::ref_from_prefix(&copy).ok()?;
        let differing = |found: &[u8], expected: &[u8]| -> u32 {
            found
                .iter()
                .zip(expected)
                .map(|(found, expected)| (found ^ expected).count_ones())
                .sum()
        };
        let mut wrong = differing(&raw.magic, &MAGIC);
        wrong += store.map_or(0, |store| differing(&raw.store, store.bytes()));
        if wrong > 1 {
            return None;
        }
        for at in 0..copy.len() * 8 {
            *copy.get_mut(at / 8)? ^= 1 << (at % 8);
            let found = Self::parse(&copy);
            *copy.get_mut(at / 8)? ^= 1 << (at % 8);
            if let Ok(found) = found {
                return Some(found);
            }
        }
        None
    }
}
