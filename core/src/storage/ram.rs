//! Storage in a caller's slice of RAM: for tests, for caches, and for firmware that emulates flash.

use super::{Erased, Geometry, GeometryError, MappedStorage, Storage};
use core::fmt;

/// A slice of RAM that behaves like flash: erased by sectors to all ones.
///
/// It survives nothing but a restart of the engine over the same bytes. It checks bounds and
/// alignment, not that a unit is written once (the simulator does that).
pub struct RamStorage<'b> {
    bytes: &'b mut [u8],
    geometry: Geometry,
}

/// An access that the medium does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RamError {
    /// The access reaches beyond the capacity, or is not aligned to the write size.
    Access {
        /// Where it starts, in bytes.
        at: u64,
        /// Its length, in bytes.
        len: usize,
    },
}

impl fmt::Display for RamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Access { at, len } = self;
        write!(f, "no aligned access of {len} bytes at {at} in this storage")
    }
}

impl core::error::Error for RamError {}

impl<'b> RamStorage<'b> {
    /// A storage over `bytes`, with sectors of `erase_bytes` and units of `write_bytes`.
    ///
    /// # Errors
    /// A size is out of its bounds.
    pub fn new(
        bytes: &'b mut [u8],
        erase_bytes: u32,
        write_bytes: u32,
    ) -> Result<Self, GeometryError> {
        let geometry = Geometry {
            capacity_bytes: bytes.len() as u64,
            erase_bytes,
            write_bytes,
            erased: Erased::Ones,
            keeps_write_order: true,
        };
        geometry.check()?;
        Ok(Self { bytes, geometry })
    }

    fn span(&mut self, at: u64, len: usize) -> Result<&mut [u8], RamError> {
        let error = RamError::Access { at, len };
        let start = usize::try_from(at).map_err(|_| error)?;
        let end = start.checked_add(len).ok_or(error)?;
        self.bytes.get_mut(start..end).ok_or(error)
    }
}

impl Storage for RamStorage<'_> {
    type Error = RamError;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), RamError> {
        into.copy_from_slice(self.span(at, into.len())?);
        Ok(())
    }

    fn is_lost(&self, _: &RamError) -> bool {
        false
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), RamError> {
        let unit = self.geometry.write_bytes as usize;
        if !at.is_multiple_of(unit as u64) || !bytes.len().is_multiple_of(unit) {
            return Err(RamError::Access { at, len: bytes.len() });
        }
        self.span(at, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn erase(&mut self, sector: u32) -> Result<(), RamError> {
        let size = self.geometry.erase_bytes;
        self.span(u64::from(sector) * u64::from(size), size as usize)?.fill(0xFF);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), RamError> {
        Ok(())
    }
}

impl MappedStorage for RamStorage<'_> {
    fn bytes(&self) -> &[u8] {
        self.bytes
    }
}
