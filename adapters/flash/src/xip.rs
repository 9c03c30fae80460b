//! The storage in a partition that is also visible in memory.
//!
//! Invariant: what the window shows changes only in calls that borrow the storage mutably, so no borrowed
//! byte ever changes.

use crate::{FlashError, FlashStorage, Partition, SetupError};
use core::ptr;
use embedded_storage::nor_flash::{ErrorType, NorFlash};
use kausaldb::storage::{Erased, Geometry, MappedStorage, Storage};

/// A storage in a partition of NOR flash that is written through its driver and read in memory.
///
/// An ECC error is a fault of the processor here; [`FlashStorage`] returns what the driver makes of it.
#[derive(Debug)]
pub struct XipStorage<F: ErrorType> {
    flash: FlashStorage<F>,
    /// Address of the partition's first byte. Not a `&'static [u8]`: that would promise that its bytes never
    /// change. Not a pointer either: the window belongs to no object, and an address may be sent to another
    /// thread.
    window: usize,
}

impl<F: NorFlash> XipStorage<F> {
    /// A storage in this partition, whose first byte is at the address `window`. Touches no flash.
    ///
    /// # Safety
    /// For as long as the storage lives:
    ///
    /// - `window` is not zero, and the `partition.len_bytes` bytes from there on can be read at any time when
    ///   the driver is not at work;
    /// - they are the bytes of this partition of this driver's flash;
    /// - nobody but this storage erases or writes the partition: no second driver, no other core;
    /// - when a write or an erase of the driver returns, also with an error, the window shows what it did:
    ///   the flash is back in the mode in which it can be read, and no cache in front of it holds older
    ///   bytes;
    /// - where memory is a Rust object (in tests), its provenance was exposed.
    ///
    /// # Errors
    /// Those of [`FlashStorage::new`].
    #[allow(unsafe_code)]
    pub unsafe fn new(
        driver: F,
        partition: Partition,
        erased: Erased,
        window: usize,
    ) -> Result<Self, SetupError> {
        let flash = FlashStorage::new(driver, partition, erased)?;
        // SAFETY:
        // - promised by whoever calls this.
        Ok(unsafe { Self::over(flash, window) })
    }

    /// The same over a storage that is set up already: with a table of sectors, for example.
    ///
    /// # Safety
    /// As for [`new`](Self::new), with the partition and the driver of that storage.
    #[allow(unsafe_code)]
    pub unsafe fn over(flash: FlashStorage<F>, window: usize) -> Self {
        Self { flash, window }
    }

    /// Where the store lies.
    pub fn partition(&self) -> Partition {
        self.flash.partition()
    }

    /// Gives the driver back.
    pub fn close(self) -> F {
        self.flash.close()
    }
}

impl<F: NorFlash> Storage for XipStorage<F> {
    type Error = FlashError<F::Error>;

    fn geometry(&self) -> Geometry {
        self.flash.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        self.flash.address(at, into.len())?;
        // Inside the partition, hence inside the window.
        let from = self.bytes().get(at as usize..).unwrap_or_default();
        for (to, from) in into.iter_mut().zip(from) {
            *to = *from;
        }
        Ok(())
    }

    fn is_lost(&self, error: &Self::Error) -> bool {
        self.flash.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Self::Error> {
        self.flash.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), Self::Error> {
        self.flash.erase(sector)
    }

    fn sync(&mut self) -> Result<(), Self::Error> {
        self.flash.sync()
    }
}

impl<F: NorFlash> MappedStorage for XipStorage<F> {
    #[allow(unsafe_code)]
    fn bytes(&self) -> &[u8] {
        let start = ptr::with_exposed_provenance(self.window);
        let len = self.flash.partition().len_bytes as usize;
        // SAFETY:
        // - not null, readable, of this length, and no longer than an `isize` can say (the flash is at most
        //   as large as the address space that shows it): promised to `new`;
        // - bytes need no alignment and every value of them is valid;
        // - nobody changes them while they are borrowed: others never do, as promised to `new`, and this
        //   storage takes `&mut self` to write or erase, which ends the borrow.
        unsafe { core::slice::from_raw_parts(start, len) }
    }
}
