//! Calls of `kausaldb-flash`, over a driver of which nothing is known but that it does not panic.

use crate::any::{any, call_each, keep, show};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use kausaldb::StorageEngine;
use kausaldb::storage::{MappedStorage, Storage};
use kausaldb_flash::{FlashError, FlashStorage, SetupError, XipStorage};

/// The driver.
pub(crate) struct Driver;

/// What the driver says when it fails.
#[derive(Debug)]
pub(crate) struct DriverError;

impl NorFlashError for DriverError {
    fn kind(&self) -> NorFlashErrorKind {
        any()
    }
}

impl ErrorType for Driver {
    type Error = DriverError;
}

impl ReadNorFlash for Driver {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), DriverError> {
        keep((offset, bytes));
        any()
    }

    fn capacity(&self) -> usize {
        any()
    }
}

impl NorFlash for Driver {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), DriverError> {
        keep((from, to));
        any()
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), DriverError> {
        keep((offset, bytes));
        any()
    }
}

pub(crate) fn call_all() {
    call_each![
        FlashStorage::<Driver>::new,
        FlashStorage::<Driver>::with_sectors,
        FlashStorage::<Driver>::with_lost,
        FlashStorage::<Driver>::partition,
        FlashStorage::<Driver>::close,
        XipStorage::<Driver>::partition,
        XipStorage::<Driver>::close,
    ];
    // SAFETY:
    // - This image is linked, never run.
    keep(unsafe { XipStorage::<Driver>::new(any(), any(), any(), any()) });
    // SAFETY:
    // - This image is linked, never run.
    keep(unsafe { XipStorage::<Driver>::over(any(), any()) });
    storage::<FlashStorage<Driver>>();
    storage::<XipStorage<Driver>>();
    call_each![<XipStorage<Driver> as MappedStorage>::bytes];
    show::<FlashError<DriverError>>();
    show::<SetupError>();
}

/// What the engine calls, and the engine over it.
fn storage<S: Storage + 'static>() {
    call_each![
        <S as Storage>::geometry,
        <S as Storage>::read,
        <S as Storage>::is_lost,
        <S as Storage>::write,
        <S as Storage>::erase,
        <S as Storage>::sync,
        StorageEngine::<S>::open,
        StorageEngine::<S>::put,
    ];
}
