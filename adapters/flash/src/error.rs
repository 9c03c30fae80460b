//! What can go wrong between the engine and a driver.

use core::fmt;
use kausaldb::storage::GeometryError;

/// Why flash cannot be read, written or erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The driver's own error.
    Driver(E),
    /// The access reaches beyond the partition, or is not aligned to the write size. The driver was not
    /// asked.
    Access {
        /// Where it starts in the partition, in bytes.
        at: u64,
        /// Its length, in bytes.
        len: usize,
        /// Size of the partition, in bytes.
        partition_bytes: u32,
    },
}

impl<E: fmt::Debug> fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Drivers promise no more than `Debug`.
            Self::Driver(error) => write!(f, "the flash driver says {error:?}"),
            Self::Access { at, len, partition_bytes } => write!(
                f,
                "no aligned access of {len} bytes at {at} in a partition of {partition_bytes} bytes"
            ),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for FlashError<E> {}

/// Why a partition cannot hold a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SetupError {
    /// The driver's sizes, or the partition's, are out of their bounds.
    Geometry(GeometryError),
    /// The partition does not start at a multiple of the driver's erase size; or, where a table says what
    /// the sectors are, of its read and write sizes.
    Offset {
        /// Where it starts in the flash, in bytes.
        offset_bytes: u32,
        /// That size, in bytes.
        multiple_of: usize,
    },
    /// The partition reaches beyond the flash.
    Partition {
        /// Where it ends in the flash, in bytes.
        end_bytes: u64,
        /// Size of the flash, in bytes.
        flash_bytes: usize,
    },
    /// A segment starts or ends inside a sector, and could not be erased alone.
    Border {
        /// Where the segment starts or ends in the flash, in bytes.
        segment_border_bytes: u32,
        /// Where the sector starts in the flash, in bytes.
        sector_start_bytes: u32,
        /// Where it ends, in bytes.
        sector_end_bytes: u32,
    },
    /// The table of sectors ends before the partition.
    Table {
        /// Where the last sector of the table ends in the flash, in bytes.
        table_bytes: u64,
        /// Where the partition ends in the flash, in bytes.
        end_bytes: u64,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry(error) => error.fmt(f),
            Self::Offset { offset_bytes, multiple_of } => write!(
                f,
                "the partition starts at {offset_bytes}, which is no multiple of {multiple_of}"
            ),
            Self::Partition { end_bytes, flash_bytes } => {
                write!(f, "the partition ends at {end_bytes}, the flash at {flash_bytes}")
            }
            Self::Border { segment_border_bytes, sector_start_bytes, sector_end_bytes } => write!(
                f,
                "a segment starts or ends at {segment_border_bytes}, inside the sector from \
                 {sector_start_bytes} to {sector_end_bytes}"
            ),
            Self::Table { table_bytes, end_bytes } => {
                write!(
                    f,
                    "the table of sectors ends at {table_bytes}, the partition at {end_bytes}"
                )
            }
        }
    }
}

impl core::error::Error for SetupError {}

impl From<GeometryError> for SetupError {
    fn from(error: GeometryError) -> Self {
        Self::Geometry(error)
    }
}
