//! Sectors that differ in size, by a table.
//!
//! The engine's segments are all of one size. On flash with small sectors at its beginning and large ones
//! behind them a segment consists of whole sectors, however many: of four small ones here, of one there.
//! This file knows where sectors start and end, and nothing of drivers.

use crate::{Partition, SetupError};

/// Sectors of one size that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SectorRun {
    /// How many.
    pub count: u32,
    /// Size of each, in bytes.
    pub bytes: u32,
}

/// The sectors of a flash, and the size of the segments that they are put together to.
///
/// An STM32F405 has 1 MiB in twelve sectors. In segments of 128 KiB, the first five make up one segment; the
/// same flash in segments of 64 KiB is refused, since a segment would end inside of a larger sector:
///
/// ```
/// use kausaldb_flash::{SectorRun, SectorTable};
///
/// const STM32F405: SectorTable = SectorTable {
///     runs: &[
///         SectorRun { count: 4, bytes: 16 << 10 },
///         SectorRun { count: 1, bytes: 64 << 10 },
///         SectorRun { count: 7, bytes: 128 << 10 },
///     ],
///     segment_bytes: 128 << 10,
/// };
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SectorTable {
    /// All sectors from the driver's address 0 on, at least up to the end of the partition.
    pub runs: &'static [SectorRun],
    /// Size of a segment, in bytes: each one starts and ends where a sector does. Give it to
    /// [`format`](kausaldb::format()) as well (or a multiple of it).
    pub segment_bytes: u32,
}

impl SectorTable {
    /// Checks that every segment of the partition consists of whole sectors.
    pub(crate) fn check(&self, partition: Partition) -> Result<(), SetupError> {
        let start_bytes = u64::from(partition.offset_bytes);
        let end_bytes = start_bytes + u64::from(partition.len_bytes);
        let table_bytes = self.runs.iter().map(run_bytes).sum();
        if table_bytes < end_bytes {
            return Err(SetupError::Table { table_bytes, end_bytes });
        }
        let mut border = start_bytes;
        while border <= end_bytes {
            self.check_border(border)?;
            border += u64::from(self.segment_bytes.max(1));
        }
        Ok(())
    }

    fn check_border(&self, border: u64) -> Result<(), SetupError> {
        let mut start = 0;
        for run in self.runs {
            let end = start + run_bytes(run);
            let inside = (border - start).checked_rem(u64::from(run.bytes)).unwrap_or(0);
            if border < end && inside > 0 {
                let sector_start = border - inside;
                // The partition lies below 2^32, and the border in it.
                return Err(SetupError::Border {
                    segment_border_bytes: border as u32,
                    sector_start_bytes: sector_start as u32,
                    sector_end_bytes: sector_start.saturating_add(run.bytes.into()) as u32,
                });
            }
            if border <= end {
                break;
            }
            start = end;
        }
        Ok(())
    }

    /// The sectors, start and end of each, from `from` up to `to`, where sectors start. O(sectors).
    pub(crate) fn within(&self, from: u32, to: u32) -> impl Iterator<Item = (u32, u32)> + use<> {
        let sizes = self.runs.iter().flat_map(|run| (0..run.count).map(|_| run.bytes));
        let sectors = sizes.scan(0_u32, |end, bytes| {
            let start = *end;
            *end = start.saturating_add(bytes);
            Some((start, *end))
        });
        sectors.skip_while(move |(start, _)| *start < from).take_while(move |(_, end)| *end <= to)
    }
}

fn run_bytes(run: &SectorRun) -> u64 {
    u64::from(run.count) * u64::from(run.bytes)
}
