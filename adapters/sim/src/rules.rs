//! What the engine promised to the storage, checked.
//!
//! It knows which sectors were erased, whether since the medium was opened, and which units were written
//! since then, and nothing of the bytes.

use core::fmt;
use core::ops::Range;
use kausaldb::storage::{Erased, Geometry};

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
    /// A write to a sector that was not erased since the medium was opened, and not between what was written
    /// behind an erase before that.
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

/// What is known of the last erase of a sector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Erase {
    /// Nothing: there was none, or it was cut or failed.
    Unknown,
    /// It completed before the medium was opened: which the caller knows by what was written behind it.
    Earlier,
    /// It completed since.
    Here,
}

/// What may be written where.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    geometry: Geometry,
    erases: Vec<Erase>,
    /// For each unit, whether it was written since its sector was erased; means nothing in other sectors.
    written: Vec<bool>,
}

impl Rules {
    /// The rules of a medium whose bytes all fit into RAM.
    pub(crate) fn new(geometry: Geometry, capacity: usize) -> Self {
        let units = capacity / geometry.write_bytes as usize;
        let sectors = capacity / geometry.erase_bytes as usize;
        Self { geometry, erases: vec![Erase::Unknown; sectors], written: vec![false; units] }
    }

    /// The rules of a medium that was made from an image: what is not blank was written. (Of one whose erased
    /// bytes are not known, the beginning and the end of each sector are taken for that.)
    pub(crate) fn of_image(geometry: Geometry, image: &[u8]) -> Self {
        let mut rules = Self::new(geometry, image.len());
        rules.erases.fill(Erase::Earlier);
        let blank = Some(geometry.erased.filler()).filter(|_| geometry.erased != Erased::Unknown);
        let units_in_sector = geometry.erase_bytes as usize / rules.unit();
        for ((at, unit), written) in image.chunks(rules.unit()).enumerate().zip(&mut rules.written)
        {
            *written = match blank {
                Some(blank) => unit.iter().any(|byte| *byte != blank),
                None => {
                    at.is_multiple_of(units_in_sector) || (at + 1).is_multiple_of(units_in_sector)
                }
            };
        }
        rules
    }

    /// Another session begins: it has to erase a sector before it writes there, but for what lies between
    /// what was written.
    pub(crate) fn reopen(&mut self) {
        for erase in self.erases.iter_mut().filter(|erase| **erase == Erase::Here) {
            *erase = Erase::Earlier;
        }
    }

    /// Whether the erase of a sector is known to have completed, to whoever writes these units: of one in an
    /// earlier session, if they lie between others that were written behind it. (What lies behind all that
    /// was written is not known: what was written there, and torn, may look blank.)
    fn is_erased(&self, sector: usize, units: &Range<usize>) -> bool {
        let in_sector = self.geometry.erase_bytes as usize / self.unit();
        let start = sector * in_sector;
        let is_written = |units: Range<usize>| {
            self.written.iter().take(units.end).skip(units.start).any(|written| *written)
        };
        match self.erases.get(sector) {
            Some(Erase::Here) => true,
            // A segment may go on in the next sector.
            Some(Erase::Earlier) => {
                is_written(start..units.start) && is_written(units.end..start + 2 * in_sector)
            }
            Some(Erase::Unknown) | None => false,
        }
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
        let mut sectors = span.start / sector..span.end.div_ceil(sector);
        let units = span.start / unit..span.end / unit;
        if let Some(sector) = sectors.find(|sector| !self.is_erased(*sector, &units)) {
            return Err(Violation::NotErased { at, sector: sector as u64 });
        }
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
        if let Some(erase) = self.erases.get_mut(sector) {
            *erase = Erase::Here;
        }
    }

    /// The erase of these bytes, a sector, failed or was cut: it has to be erased again before it is written.
    pub(crate) fn mark_unknown(&mut self, span: &Range<usize>) {
        let sector = span.start / self.geometry.erase_bytes as usize;
        if let Some(erase) = self.erases.get_mut(sector) {
            *erase = Erase::Unknown;
        }
    }

    fn unit(&self) -> usize {
        self.geometry.write_bytes as usize
    }
}
