//! A file that is open and locked, before anything is known of the store in it.

use crate::{FileError, PositionedFile, Step, os};
use kausaldb::storage::Geometry;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading, beside other readers; needs no permission to write.
    ReadOnly,
    /// Reading and writing, alone.
    ReadWrite,
}

/// A file that is open and locked: its length and raw reads, to look for the geometry of the store in it.
///
/// Dropping it releases the lock.
#[derive(Debug)]
pub struct OpenedFile {
    file: File,
    access: Access,
    len_bytes: u64,
}

impl OpenedFile {
    /// Opens and locks the file at `path`, which must exist. Never waits for a lock.
    ///
    /// # Errors
    /// [`FileError::Locked`] if it is open elsewhere and one of the two is for writing,
    /// [`FileError::NotAFile`], or [`FileError::Io`].
    pub fn open(path: impl AsRef<Path>, access: Access) -> Result<Self, FileError> {
        let path = path.as_ref();
        // Asked before the file is opened: opening a pipe would wait for its other end.
        if !fs::metadata(path).map_err(Step::Open.failed())?.is_file() {
            return Err(FileError::NotAFile);
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(access == Access::ReadWrite).open(path);
        let file = file.map_err(Step::Open.failed())?;
        lock(&file, access)?;
        // Asked under the lock: until then, another process might be creating or growing the file.
        let len_bytes = file.metadata().map_err(Step::Open.failed())?.len();
        Ok(Self { file, access, len_bytes })
    }

    /// Length of the file, in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// What the file was opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// [`FileError::Access`] if they reach beyond the end of the file, or [`FileError::Io`].
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        check_span(at, into.len(), self.len_bytes)?;
        os::read_at(&self.file, at, into).map_err(Step::Read.failed())
    }

    /// The storage in this file. Bytes behind the capacity are left alone.
    ///
    /// # Errors
    /// [`FileError::Geometry`] if a size is out of its bounds, [`FileError::Truncated`] if the file is
    /// shorter than the capacity.
    pub fn with_geometry(self, geometry: Geometry) -> Result<PositionedFile, FileError> {
        geometry.check()?;
        let Geometry { capacity_bytes, .. } = geometry;
        if self.len_bytes < capacity_bytes {
            return Err(FileError::Truncated { len_bytes: self.len_bytes, capacity_bytes });
        }
        Ok(PositionedFile::new(self.file, self.access, geometry))
    }
}

/// Locks a file for as long as it is open, or says at once that another has it.
pub(crate) fn lock(file: &File, access: Access) -> Result<(), FileError> {
    let locked = match access {
        Access::ReadOnly => file.try_lock_shared(),
        Access::ReadWrite => file.try_lock(),
    };
    locked.map_err(|error| match error {
        TryLockError::WouldBlock => FileError::Locked,
        TryLockError::Error(error) => FileError::Io { step: Step::Lock, error },
    })
}

/// Whether `len` bytes from `at` on lie before `end`.
pub(crate) fn check_span(at: u64, len: usize, end: u64) -> Result<(), FileError> {
    match at.checked_add(len as u64) {
        Some(span_end) if span_end <= end => Ok(()),
        _ => Err(FileError::Access { at, len, end }),
    }
}
