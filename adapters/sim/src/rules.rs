//! What the engine promised to the storage, checked.
//!
//! It knows which sectors were erased since the medium was opened and which units were written since then,
//! and nothing of the bytes.

use core::fmt;
use core::ops::Range;
use kausaldb::storage::Geometry;

/// A promise of the [`Storage`](kausaldb::storage::Storage) contract that the caller did not keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Violation {
    /// An access reaches beyond the capacity.
    OutOfBounds {
        /// Where it starts, in bytes.
        at: u64,
        /// Its length, in bytes.
        len: usize,
    },
    /// A write does not start or end at a multiple of the write size.
    Unaligned {
        /// Where it starts, in bytes.
        at: u64,
        /// Its length, in bytes.
        len: usize,
    },
    /// A write to a sector that was not erased since the medium was opened.
    NotErased {
        /// Where the write starts, in bytes.
        at: u64,
        /// The first such sector.
        sector: u64,
    },
    /// A write to a unit that was written since its sector was erased.
    WrittenTwice {
        /// Where the first such unit starts, in bytes.
        at: u64,
    },
    /// An erase of a sector that the medium does not have.
    NoSuchSector {
        /// The sector.
        sector: u32,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds { at, len } => {
                write!(f, "an access of {len} bytes at {at} reaches beyond the capacity")
            }
            Self::Unaligned { at, len } => {
                write!(f, "a write of {len} bytes at {at} is not aligned to the write size")
            }
            Self::NotErased { at, sector } => write!(
                f,
                "a write at {at} to sector {sector}, which was not erased since the medium was opened"
            ),
            Self::WrittenTwice { at } => {
                write!(f, "the unit at {at} was written since its sector was erased")
            }
            Self::NoSuchSector { sector } => write!(f, "there is no sector {sector} to erase"),
        }
    }
}

impl core::error::Error for Violation {}

/// What may be written where.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    geometry: Geometry,
    /// For each sector, whether its erase completed since the medium was opened.
    erased: Vec<bool>,
    /// For each unit, whether it was written since its sector was erased; means nothing in other sectors.
    written: Vec<bool>,
}

impl Rules {
    /// The rules of a medium whose bytes all fit into RAM.
    pub(crate) fn new(geometry: Geometry, capacity: usize) -> Self {
        let units = capacity / geometry.write_bytes as usize;
        let sectors = capacity / geometry.erase_bytes as usize;
        Self { geometry, erased: vec![false; sectors], written: vec![false; units] }
    }

    /// Forgets what was erased: the next session has to erase before it writes.
    pub(crate) fn reopen(&mut self) {
        self.erased.fill(false);
    }

    /// Where these bytes lie.
    pub(crate) fn span(&self, at: u64, len: usize) -> Result<Range<usize>, Violation> {
        let end = at.checked_add(len as u64).filter(|&end| end <= self.geometry.capacity_bytes);
        // All that lies within the capacity has an index, for it lies in RAM.
        let start = usize::try_from(at).ok();
        match (start, end.and_then(|end| usize::try_from(end).ok())) {
            (Some(start), Some(end)) => Ok(start..end),
            _ => Err(Violation::OutOfBounds { at, len }),
        }
    }

    /// Where the bytes of a sector lie that is to be erased.
    pub(crate) fn sector(&self, sector: u32) -> Result<Range<usize>, Violation> {
        let len = self.geometry.erase_bytes;
        let at = u64::from(sector) * u64::from(len);
        self.span(at, len as usize).map_err(|_| Violation::NoSuchSector { sector })
    }

    /// Where the bytes of a write lie, if it may be.
    pub(crate) fn write(&self, at: u64, len: usize) -> Result<Range<usize>, Violation> {
        let span = self.span(at, len)?;
        let (unit, sector) = (self.unit(), self.geometry.erase_bytes as usize);
        if !span.start.is_multiple_of(unit) || !len.is_multiple_of(unit) {
            return Err(Violation::Unaligned { at, len });
        }
        if span.is_empty() {
            return Ok(span);
        }
        let sectors = span.start / sector..span.end.div_ceil(sector);
        let first = sectors.start;
        let unerased = self.erased.get(sectors).and_then(|all| all.iter().position(|&e| !e));
        if let Some(index) = unerased {
            return Err(Violation::NotErased { at, sector: (first + index) as u64 });
        }
        let units = span.start / unit..span.end / unit;
        let twice = self.written.get(units).and_then(|all| all.iter().position(|&w| w));
        match twice {
            Some(index) => Err(Violation::WrittenTwice { at: at + (index * unit) as u64 }),
            None => Ok(span),
        }
    }

    /// The units that begin in these bytes are written.
    pub(crate) fn mark_written(&mut self, span: &Range<usize>) {
        let unit = self.unit();
        if let Some(units) = self.written.get_mut(span.start / unit..span.end.div_ceil(unit)) {
            units.fill(true);
        }
    }

    /// The erase of these bytes, a sector, has completed.
    pub(crate) fn mark_erased(&mut self, span: &Range<usize>) {
        let unit = self.unit();
        if let Some(units) = self.written.get_mut(span.start / unit..span.end / unit) {
            units.fill(false);
        }
        let sector = span.start / self.geometry.erase_bytes as usize;
        if let Some(erased) = self.erased.get_mut(sector) {
            *erased = true;
        }
    }

    /// The erase of these bytes, a sector, failed: it has to be erased again before it is written.
    pub(crate) fn mark_unknown(&mut self, span: &Range<usize>) {
        let sector = span.start / self.geometry.erase_bytes as usize;
        if let Some(erased) = self.erased.get_mut(sector) {
            *erased = false;
        }
    }

    fn unit(&self) -> usize {
        self.geometry.write_bytes as usize
    }
}
