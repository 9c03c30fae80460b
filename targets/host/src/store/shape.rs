//! What a store's file looks like: chosen when it is made, read from its segment headers when it is opened.

use crate::args::{Create, ErasedByte, Sizes};
use crate::error::{Failure, Outcome};
use kausaldb::StoreInfo;
use kausaldb::storage::{Erased, Geometry};
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
    /// which the newest header need not know yet.
    pub(crate) fn of_store(info: &StoreInfo, len_bytes: u64) -> Self {
        let segment_bytes = info.layout.segment_bytes();
        let mut geometry = *info.layout.geometry();
        let whole = len_bytes - len_bytes % u64::from(segment_bytes).max(1);
        geometry.capacity_bytes = geometry.capacity_bytes.max(whole);
        Self { geometry, segment_bytes }
    }

    /// How many segments fit.
    pub(crate) fn segments(&self) -> u32 {
        let segments = self.geometry.capacity_bytes / u64::from(self.segment_bytes).max(1);
        u32::try_from(segments).unwrap_or(u32::MAX)
    }

    /// The capacity after growing to `size`, or to twice the present one.
    ///
    /// # Errors
    /// The size is not more than the present one, or not a multiple of the segment size.
    pub(crate) fn grown(&self, size: Option<u64>, name: impl Display) -> Outcome<u64> {
        let now = self.geometry.capacity_bytes;
        let wanted = size.unwrap_or(now.saturating_mul(2));
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
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
