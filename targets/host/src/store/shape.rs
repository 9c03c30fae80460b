//! What a store's file looks like: chosen when it is made, read from its segment headers when it is opened.

use crate::args::{Create, ErasedByte, Sizes};
use crate::error::{Failure, Outcome};
use kausaldb::compaction::Reserve;
use kausaldb::format::{Layout, LayoutError};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{FormatError, StoreId, StoreInfo};
use kausaldb_file::FileError;
use std::fmt::Display;

/// A new store has so many bytes...
const SIZE_BYTES: u64 = 64 << 20;
/// ...in segments of so many.
const SEGMENT_BYTES: u32 = 4 << 20;
/// A host's file is written in units of this; it is also the alignment of records in large segments.
const WRITE_BYTES: u32 = 16;
/// The largest erase size that a geometry may have.
const ERASE_BYTES_MAX: u32 = 16 << 20;
/// Geometry and segment size of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) geometry: Geometry,
    pub(crate) segment_bytes: u32,
}

impl Shape {
    /// What `create` asks for: a host's file, or the medium of a board as far as flags say so.
    pub(crate) fn of_create(create: &Create) -> Self {
        let segment_bytes = create.sizes.segment_size.unwrap_or(SEGMENT_BYTES);
        let erase_bytes = create.erase_size.unwrap_or(segment_bytes.min(ERASE_BYTES_MAX));
        let segment_bytes = match create.sizes.segment_size {
            Some(bytes) => bytes,
            // A board's sectors are named, its segments are not: one sector each.
            None => create.erase_size.unwrap_or(segment_bytes),
        };
        let erased = match create.erased {
            Some(ErasedByte::Ones) => Erased::Ones,
            Some(ErasedByte::Zeros) => Erased::Zeros,
            None => Erased::Unknown,
        };
        let geometry = Geometry {
            capacity_bytes: create.sizes.size.unwrap_or(SIZE_BYTES),
            erase_bytes,
            write_bytes: create.write_size.unwrap_or(WRITE_BYTES),
            erased,
            keeps_write_order: false,
        };
        Self { geometry, segment_bytes }
    }

    /// What `index` and `import` make.
    pub(crate) fn of_sizes(sizes: &Sizes) -> Self {
        let create = Create { sizes: *sizes, erase_size: None, write_size: None, erased: None };
        Self::of_create(&create)
    }

    /// What the store in a file of this length says of itself. The capacity is that of the whole file, of
    /// which the newest header need not know yet: as far as the format reaches, whatever made it longer.
    pub(crate) fn of_store(info: &StoreInfo, len_bytes: u64) -> Self {
        let segment_bytes = info.layout.segment_bytes();
        let mut shape = Self { geometry: *info.layout.geometry(), segment_bytes };
        let whole = shape.whole_segments(len_bytes).min(shape.bytes_max());
        shape.geometry.capacity_bytes = shape.geometry.capacity_bytes.max(whole);
        shape
    }

    /// Whether a store can be made of this shape: asked before a byte is written.
    ///
    /// # Errors
    /// A size is out of its bounds.
    pub(crate) fn check(&self) -> Result<(), FormatError<FileError>> {
        let layout = self.layout().map_err(FormatError::Layout)?;
        let min = Reserve::segments_min();
        match layout.segments() {
            given if given < min => Err(FormatError::TooFewSegments { given, min }),
            _ => Ok(()),
        }
    }

    /// Nothing of a layout but its arithmetic depends on the store's id.
    fn layout(&self) -> Result<Layout, LayoutError> {
        Layout::new(StoreId::default(), self.geometry, self.segment_bytes)
    }

    fn whole_segments(&self, bytes: u64) -> u64 {
        bytes - bytes % u64::from(self.segment_bytes).max(1)
    }

    /// The largest capacity that the format has for this geometry.
    fn bytes_max(&self) -> u64 {
        let erase_bytes = u64::from(self.geometry.erase_bytes).max(1);
        let mut endless = *self;
        endless.geometry.capacity_bytes = u64::MAX - u64::MAX % erase_bytes;
        match endless.layout() {
            Err(LayoutError::Capacity { max, .. }) => self.whole_segments(max),
            _ => self.geometry.capacity_bytes,
        }
    }

    /// How many segments fit.
    pub(crate) fn segments(&self) -> u32 {
        let segments = self.geometry.capacity_bytes / u64::from(self.segment_bytes).max(1);
        u32::try_from(segments).unwrap_or(u32::MAX)
    }

    /// The capacity after growing to `size`, or to twice the present one, as far as the format reaches.
    ///
    /// # Errors
    /// The size is not more than the present one, not a multiple of the segment size, or beyond the format's
    /// limit; or the store has the most already.
    pub(crate) fn grown(&self, size: Option<u64>, name: impl Display) -> Outcome<u64> {
        let (now, max) = (self.geometry.capacity_bytes, self.bytes_max());
        let Some(wanted) = size else {
            let doubled = now.saturating_mul(2).min(max);
            return if doubled > now { Ok(doubled) } else { Err(largest(now, name)) };
        };
        if wanted <= now {
            return Err(Failure::usage(format_args!(
                "{name}: has {now} bytes already; --size must be more than that"
            )));
        }
        if !wanted.is_multiple_of(u64::from(self.segment_bytes).max(1)) {
            return Err(Failure::usage(format_args!(
                "{name}: --size must be a multiple of the segment size, {} bytes",
                self.segment_bytes
            )));
        }
        if wanted > max {
            return Err(Failure::usage(format_args!(
                "{name}: cannot have {wanted} bytes; --size is at most {max} with these segments"
            )));
        }
        Ok(wanted)
    }
}

/// There is nothing to grow to.
fn largest(now: u64, name: impl Display) -> Failure {
    Failure::full(format_args!(
        "{name}: has {now} bytes, the most that there are with these segments; \
         delete what is not needed, or begin another store"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn a_hosts_store_is_64_mib_in_segments_of_4_mib() {
        let shape = Shape::of_sizes(&Sizes::default());
        assert_eq!(shape.geometry.capacity_bytes, 64 << 20);
        assert_eq!(shape.segments(), 16);
        assert_eq!(shape.geometry.erased, Erased::Unknown);
        shape.geometry.check().unwrap();
        assert_eq!(shape.grown(None, "s").unwrap(), 128 << 20);
        assert!(shape.grown(Some(1), "s").is_err());
        assert!(shape.grown(Some((64 << 20) + 1), "s").is_err());
    }

    #[test]
    fn a_boards_sector_is_its_segment_unless_named() {
        let create = Create {
            sizes: Sizes { size: Some(1 << 20), segment_size: None },
            erase_size: Some(4096),
            write_size: Some(8),
            erased: Some(ErasedByte::Ones),
        };
        let shape = Shape::of_create(&create);
        assert_eq!(
            (shape.segment_bytes, shape.geometry.erase_bytes, shape.segments()),
            (4096, 4096, 256)
        );
        let sizes = Sizes { segment_size: Some(16384), ..create.sizes };
        let shape = Shape::of_create(&Create { sizes, ..create });
        assert_eq!((shape.segment_bytes, shape.geometry.erase_bytes), (16384, 4096));
    }

    #[test]
    fn a_store_grows_as_far_as_the_format_reaches_and_no_further() {
        let mut shape = Shape::of_sizes(&Sizes::default());
        // Locations of 32 bits in units of 16 bytes.
        let max = 64 << 30;
        shape.geometry.capacity_bytes = 40 << 30;
        assert_eq!(shape.grown(None, "s").unwrap(), max);
        assert_eq!(shape.grown(Some(max), "s").unwrap(), max);
        let refused = shape.grown(Some(68 << 30), "s").unwrap_err();
        assert!(matches!(refused, Failure::Line { class: Class::Usage, .. }), "{refused:?}");
        shape.geometry.capacity_bytes = max;
        let refused = shape.grown(None, "s").unwrap_err();
        assert!(matches!(refused, Failure::Line { class: Class::Full, .. }), "{refused:?}");
        shape.check().unwrap();
        shape.geometry.capacity_bytes = 65 << 30;
        assert!(matches!(shape.check(), Err(FormatError::Layout(LayoutError::Capacity { .. }))));
        shape.geometry.capacity_bytes = 28 << 20;
        assert!(matches!(shape.check(), Err(FormatError::TooFewSegments { given: 7, min: 8 })));
    }

    /// `grow` made files that were longer than the format reaches, which then did not open.
    #[test]
    fn a_file_longer_than_the_format_reaches_is_a_store_as_far_as_that() {
        let shape = Shape::of_sizes(&Sizes::default());
        let info = StoreInfo { layout: shape.layout().unwrap(), next_node: 0 };
        let capacity = |len_bytes| Shape::of_store(&info, len_bytes).geometry.capacity_bytes;
        assert_eq!(capacity(64 << 20), 64 << 20);
        assert_eq!(capacity((100 << 20) + 777), 100 << 20);
        assert_eq!(capacity(68 << 30), 64 << 30);
        Shape::of_store(&info, 68 << 30).check().unwrap();
    }
}
