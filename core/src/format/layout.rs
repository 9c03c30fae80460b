//! Where things lie: everything that follows from a medium's geometry and the segment size chosen at format.

use crate::storage::{Geometry, GeometryError};
use crate::types::{Location, StoreId};
use core::fmt;
use core::num::NonZeroU32;

/// The alignment of records is at least this where segments are large, so that a location of 32 bits
/// reaches 64 GiB. Where they are small it is the write size: each move writes what lies between records.
const ALIGN_LARGE: u32 = 16;
/// Segments from this size on are large: index pages hold full columns.
pub const LARGE_SEGMENT_BYTES: u32 = 256 * 1024;
/// A segment holds at least so many units of the write size.
const SEGMENT_UNITS_MIN: u32 = 16;
/// The largest segment, in bytes: lengths within a segment are computed in 32 bits.
const SEGMENT_BYTES_MAX: u32 = 1 << 30;

/// Which columns an index page has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexForm {
    /// None: the page says which records it covers, and where the page before it lies.
    Bare,
    /// Tags, numbers, offsets, ids and versions.
    Columns,
}

/// Geometry and segment size of one store, checked; and the arithmetic of places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    store: StoreId,
    geometry: Geometry,
    segment_bytes: u32,
    /// These follow from the above; each read asks for them.
    align: u32,
    align_shift: u32,
    units_per_segment: NonZeroU32,
    segments: u32,
}

impl Layout {
    /// The layout of a store with segments of `segment_bytes` on a medium of this geometry.
    ///
    /// # Errors
    /// A size is out of its bounds; the error says which and what the bounds are.
    pub fn new(
        store: StoreId,
        geometry: Geometry,
        segment_bytes: u32,
    ) -> Result<Self, LayoutError> {
        geometry.check().map_err(LayoutError::Geometry)?;
        let (erase, write) = (geometry.erase_bytes, geometry.write_bytes);
        let units_fit = segment_bytes >= write.saturating_mul(SEGMENT_UNITS_MIN);
        if !segment_bytes.is_multiple_of(erase) || !units_fit || segment_bytes > SEGMENT_BYTES_MAX {
            return Err(LayoutError::SegmentSize {
                given: segment_bytes,
                multiple_of: erase,
                min: erase.max(write * SEGMENT_UNITS_MIN),
                max: SEGMENT_BYTES_MAX,
            });
        }
        let least = if segment_bytes >= LARGE_SEGMENT_BYTES { ALIGN_LARGE } else { 1 };
        let align = least.max(write);
        let max = u64::from(align) << u32::BITS;
        if geometry.capacity_bytes > max {
            return Err(LayoutError::Capacity { given: geometry.capacity_bytes, max });
        }
        // A power of two, like the write size; a segment has many of them.
        let align_shift = align.trailing_zeros();
        let units_per_segment = NonZeroU32::MIN.saturating_add((segment_bytes >> align_shift) - 1);
        // Fits: the capacity is at most 2^32 alignment units.
        let segments = (geometry.capacity_bytes / u64::from(segment_bytes).max(1)) as u32;
        Ok(Self { store, geometry, segment_bytes, align, align_shift, units_per_segment, segments })
    }

    /// The store's id.
    pub const fn store(&self) -> StoreId {
        self.store
    }

    /// The medium's geometry.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Size of a segment, in bytes.
    pub const fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    /// Number of whole segments on the medium.
    pub const fn segments(&self) -> u32 {
        self.segments
    }

    /// Every record starts at, and is padded to, a multiple of this.
    pub const fn align(&self) -> u32 {
        self.align
    }

    /// `bytes`, rounded up to the alignment.
    pub const fn padded(&self, bytes: u32) -> u32 {
        (bytes + (self.align - 1)) & !(self.align - 1)
    }

    /// `bytes`, rounded up to the alignment.
    pub const fn padded_long(&self, bytes: u64) -> u64 {
        let rest = self.align as u64 - 1;
        (bytes + rest) & !rest
    }

    /// Whether `bytes` is a multiple of the alignment.
    pub const fn is_aligned(&self, bytes: u32) -> bool {
        bytes & (self.align - 1) == 0
    }

    /// Whole units of the alignment in `bytes`.
    pub const fn units(&self, bytes: u64) -> u64 {
        bytes >> self.align_shift
    }

    /// Offset at which a segment says which one came after it.
    pub const fn successor_offset(&self) -> u32 {
        self.padded(super::segment::HEADER_BYTES)
    }

    /// Offset of the first record in a segment.
    pub const fn first_offset(&self) -> u32 {
        self.successor_offset() + self.padded(super::successor::SUCCESSOR_BYTES)
    }

    /// Which columns the index pages have.
    pub const fn index_form(&self) -> IndexForm {
        if self.segment_bytes >= LARGE_SEGMENT_BYTES { IndexForm::Columns } else { IndexForm::Bare }
    }

    /// Erase sectors in a segment.
    pub const fn sectors_per_segment(&self) -> u32 {
        // Checked: there are bytes in a sector.
        match self.segment_bytes.checked_div(self.geometry.erase_bytes) {
            Some(sectors) => sectors,
            None => 0,
        }
    }

    /// Where the segment in this slot starts on the medium, in bytes.
    pub const fn slot_start(&self, slot: u32) -> u64 {
        slot as u64 * self.segment_bytes as u64
    }

    /// The location of the record at `offset` bytes in `slot`.
    pub const fn location(&self, slot: u32, offset: u32) -> Location {
        // A segment has a whole number of units, so that 32 bits do: locations reach all of the medium.
        let units = slot.wrapping_mul(self.units_per_segment.get());
        Location::new(units.wrapping_add(offset >> self.align_shift))
    }

    /// Slot and offset, in bytes, of a location.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub const fn place(&self, location: Location) -> Place {
        let units = self.units_per_segment.get();
        let slot = location.get() / units;
        Place { slot, offset: (location.get() % units) << self.align_shift }
    }

    /// Where the record of a location starts on the medium, in bytes.
    #[inline]
    pub const fn start(&self, location: Location) -> u64 {
        (location.get() as u64) << self.align_shift
    }
}

/// A place on media: a slot of the ring, and an offset in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The slot: segments counted from the start of the media.
    pub slot: u32,
    /// Bytes from the start of the slot.
    pub offset: u32,
}

/// A geometry or segment size that no store can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LayoutError {
    /// The medium's sizes are out of bounds.
    Geometry(GeometryError),
    /// The segment size is out of bounds.
    SegmentSize {
        /// The segment size given, in bytes.
        given: u32,
        /// The erase size, of which it must be a multiple, in bytes.
        multiple_of: u32,
        /// The smallest, in bytes.
        min: u32,
        /// The largest, in bytes.
        max: u32,
    },
    /// The medium is larger than locations can reach.
    Capacity {
        /// The capacity given, in bytes.
        given: u64,
        /// The largest, in bytes.
        max: u64,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry(error) => error.fmt(f),
            Self::SegmentSize { given, multiple_of, min, max } => write!(
                f,
                "the segment size is {given} bytes; it must be a multiple of {multiple_of}, \
                 from {min} to {max}"
            ),
            Self::Capacity { given, max } => {
                write!(f, "the capacity is {given} bytes; with this segment size the most is {max}")
            }
        }
    }
}

impl core::error::Error for LayoutError {}
