//! The media: one trait that is shaped like NOR flash, its contract under power loss, and its geometry.
//!
//! This room knows nothing of records, logs or indexes. The core never knows which storage it has.

mod geometry;
mod lost;
mod ram;

pub use geometry::{Erased, Geometry, GeometryError};
pub(crate) use lost::read_around;
pub use ram::{RamError, RamStorage};

/// A medium that is erased by sectors and then written in units, once each.
///
/// # Contract
///
/// What the engine promises to the storage:
///
/// - `read` and `write` stay inside the capacity; `sector` is less than the number of sectors;
/// - `at` and the length of `write` are multiples of the write size;
/// - no unit is written twice between two erases of its sector, and only units of a sector whose erase is
///   known to have completed: since the storage was opened, or before that, where a valid segment header
///   proves it (in a slot with such a header, what lies right behind it may be written later than what
///   follows).
///
/// What the storage promises to the engine:
///
/// - when `sync` returns `Ok`, everything written or erased before survives power loss;
/// - a unit whose write was cut by power loss, or that was written since the last `sync`, may afterwards hold
///   anything, and may even read differently each time until its sector is erased again;
/// - other units keep their bytes (what decays all the same, the engine's checksums find);
/// - a unit that cannot be read, torn or decayed, says so by an error that [is told](Self::is_lost) from
///   others, and takes no unit beside it along;
/// - on a medium that [keeps write order](Geometry::keeps_write_order), a unit is durable before
///   the next is begun;
/// - after an error of `sync` nothing is known about the writes since the last one that succeeded.
pub trait Storage {
    /// What went wrong, in the storage's own words.
    type Error: core::fmt::Debug;

    /// Sizes and manners of the medium; the same at every call, but for a storage that grew.
    fn geometry(&self) -> Geometry;

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// The medium cannot deliver these bytes (an uncorrectable ECC error, for example). Others may
    /// still be readable.
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Whether an error of [`read`](Self::read) says that some of these bytes are lost, and no other call
    /// will bring them: an uncorrectable ECC error, a bad block. The engine reads the units one by one then,
    /// and those that are lost are damage like bytes that were overwritten: what is in the records that they
    /// hit is lost, or was never acknowledged, and the store goes on. Any other error ends the call that
    /// needed the bytes.
    ///
    /// Where ECC guards what is written, a unit that a power cut tore is such a unit: a storage that does not
    /// say so may not open after the cut. Whoever wraps a storage asks that one.
    fn is_lost(&self, error: &Self::Error) -> bool;

    /// Writes `bytes` from `at` on, where nothing was written since the sector's last erase.
    ///
    /// # Errors
    /// The medium refused; any part of the bytes may have been written.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Erases the sector with this number, counted from the start in units of the erase size.
    ///
    /// # Errors
    /// The medium refused; the sector may hold anything.
    fn erase(&mut self, sector: u32) -> Result<(), Self::Error>;

    /// Makes everything before it survive power loss.
    ///
    /// # Errors
    /// Nothing is known about the writes since the last `sync` that succeeded.
    fn sync(&mut self) -> Result<(), Self::Error>;
}

/// A storage whose bytes can be borrowed for as long as the storage is: a map, XIP flash, RAM.
pub trait MappedStorage: Storage {
    /// All bytes of the medium, as `read` would deliver them.
    fn bytes(&self) -> &[u8];
}

impl<S: Storage + ?Sized> Storage for &mut S {
    type Error = S::Error;

    fn geometry(&self) -> Geometry {
        (**self).geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        (**self).read(at, into)
    }

    fn is_lost(&self, error: &Self::Error) -> bool {
        (**self).is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Self::Error> {
        (**self).write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), Self::Error> {
        (**self).erase(sector)
    }

    fn sync(&mut self) -> Result<(), Self::Error> {
        (**self).sync()
    }
}

impl<S: MappedStorage + ?Sized> MappedStorage for &mut S {
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }
}
