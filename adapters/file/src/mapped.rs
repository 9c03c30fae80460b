//! The storage in a file, with all of its bytes mapped for reading.
//!
//! Invariant: the map shows exactly the first `capacity_bytes` bytes of the file. Everything is written by
//! position, through the [`PositionedFile`] within; the map sees it at once, since both go through the one
//! page cache.

use crate::{Access, FileError, PositionedFile, Step};
use kausaldb::storage::{Geometry, MappedStorage, Storage};
use memmap2::{Mmap, MmapOptions};

/// A storage in a locked file whose bytes can be borrowed.
///
/// Reading copies from the map or borrows it, without a system call. Where the disk fails under the map, the
/// operating system ends the process (`SIGBUS`); [`PositionedFile`] returns an error instead.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    file: PositionedFile,
}

impl MappedFile {
    /// Maps the file for reading.
    ///
    /// # Safety
    /// For as long as this storage lives:
    ///
    /// - nobody makes the file shorter: reading past its end through the map ends the process;
    /// - nobody but this storage writes to the file: bytes that are borrowed must not change. The lock keeps
    ///   out everyone who asks for it, which a process that does not know of KausalDB never does.
    ///
    /// # Errors
    /// [`FileError::TooLargeToMap`], or [`FileError::Io`].
    #[allow(unsafe_code)]
    pub unsafe fn new(file: PositionedFile) -> Result<Self, FileError> {
        // SAFETY:
        // - nobody shortens or writes the file meanwhile: the caller's promise, above;
        // - the map goes no further than the file: `map` is given the geometry of this very file.
        let map = unsafe { map(&file, file.geometry()) }?;
        Ok(Self { map, file })
    }

    /// What the file was opened for.
    pub fn access(&self) -> Access {
        self.file.access()
    }

    /// Makes the storage larger, as [`PositionedFile::grow`] does, and maps it anew.
    ///
    /// On error the capacity is as before.
    ///
    /// # Errors
    /// Those of [`PositionedFile::grow`], and [`FileError::TooLargeToMap`].
    #[allow(unsafe_code)]
    pub fn grow(&mut self, capacity_bytes: u64) -> Result<(), FileError> {
        let grown = self.file.extended(capacity_bytes)?;
        // SAFETY:
        // - nobody shortens or writes the file meanwhile: promised to `new` for as long as this storage
        //   lives;
        // - the map goes no further than the file: it has just been extended to this geometry.
        self.map = unsafe { map(&self.file, grown) }?;
        self.file.adopt(grown);
        Ok(())
    }

    /// The same storage without the map.
    pub fn unmap(self) -> PositionedFile {
        self.file
    }

    /// Releases the map and the lock, as dropping does. It does not sync.
    pub fn close(self) {}
}

/// Maps as much of the file as the geometry says.
///
/// # Safety
/// - The file is at least as long as `geometry.capacity_bytes`, and nobody makes it shorter while the map
///   lives.
/// - Nobody writes to the file while bytes of the map are borrowed.
#[allow(unsafe_code)]
unsafe fn map(file: &PositionedFile, geometry: Geometry) -> Result<Mmap, FileError> {
    let capacity_bytes = geometry.capacity_bytes;
    let len =
        usize::try_from(capacity_bytes).map_err(|_| FileError::TooLargeToMap { capacity_bytes })?;
    // SAFETY:
    // - long enough, and never shortened: the caller's promise;
    // - bytes do not change while they are borrowed: others do not write, by the caller's promise, and the
    //   storage that holds the map takes `&mut self` to write, which ends every borrow of the map.
    unsafe { MmapOptions::new().len(len).map(file.file()) }.map_err(Step::Map.failed())
}

impl Storage for MappedFile {
    type Error = FileError;

    fn geometry(&self) -> Geometry {
        self.file.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        let (len, end) = (into.len(), self.map.len() as u64);
        let error = FileError::Access { at, len, end };
        let from = usize::try_from(at).ok().and_then(|start| self.map.get(start..));
        match from.and_then(|from| from.get(..len)) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => return Err(error),
        }
        Ok(())
    }

    fn is_lost(&self, error: &FileError) -> bool {
        self.file.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), FileError> {
        self.file.erase(sector)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.file.sync()
    }
}

impl MappedStorage for MappedFile {
    fn bytes(&self) -> &[u8] {
        &self.map
    }
}
