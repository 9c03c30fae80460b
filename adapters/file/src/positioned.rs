//! The storage in a file, by positioned reads and writes; also what the mapped one writes through.
//!
//! Invariants: the file is at least as long as the capacity and every byte of that was written; the lock is
//! held.

use crate::opened::{check_span, lock};
use crate::{Access, FileError, Step, os};
use kausaldb::storage::{Erased, Geometry, Storage};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// How much of a file is filled with one write.
const PIECE_BYTES: usize = 1 << 20;

/// A storage in a locked file, read and written by position.
///
/// Safe whatever other processes do to the file: they can change what is read, not more. Reading costs a
/// system call. Dropping it releases the lock.
#[derive(Debug)]
pub struct PositionedFile {
    file: File,
    access: Access,
    geometry: Geometry,
}

impl PositionedFile {
    /// Creates a file for a store of this geometry, writes every byte of it, and makes it survive power loss.
    ///
    /// Takes as long as writing `capacity_bytes` to the disk does. On error no file is left behind.
    ///
    /// # Errors
    /// [`FileError::Exists`], [`FileError::Geometry`], or [`FileError::Io`].
    pub fn create(path: impl AsRef<Path>, geometry: Geometry) -> Result<Self, FileError> {
        geometry.check()?;
        let path = path.as_ref();
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists,
            _ => FileError::Io { step: Step::Create, error },
        })?;
        let filled = lock(&file, Access::ReadWrite)
            .and_then(|()| extend(&file, 0, &geometry))
            .and_then(|()| os::sync_directory_of(path).map_err(Step::SyncDirectory.failed()));
        if let Err(error) = filled {
            // The first error is the one to tell; a file that cannot even be removed opens as truncated.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(Self::new(file, Access::ReadWrite, geometry))
    }

    /// A storage over a file that is locked, filled and long enough.
    pub(crate) fn new(file: File, access: Access, geometry: Geometry) -> Self {
        // What was written on a board was written in order, and a dump of it that nobody writes to still is.
        // The page cache keeps no order.
        let keeps_write_order = geometry.keeps_write_order && access == Access::ReadOnly;
        Self { file, access, geometry: Geometry { keeps_write_order, ..geometry } }
    }

    /// What the file was opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Makes the storage larger, in place, and makes that survive power loss. Copies nothing; every new byte
    /// is written.
    ///
    /// On error the capacity is as before. A growth that was cut short leaves the file longer than the
    /// capacity by what it had written, which is as good as any other part: whoever opens the file next
    /// may take it as capacity ([`OpenedFile::with_geometry`](crate::OpenedFile::with_geometry)) or leave
    /// it alone.
    ///
    /// # Errors
    /// [`FileError::ReadOnly`], [`FileError::Shrink`], [`FileError::Geometry`], or [`FileError::Io`].
    pub fn grow(&mut self, capacity_bytes: u64) -> Result<(), FileError> {
        let grown = self.extended(capacity_bytes)?;
        self.adopt(grown);
        Ok(())
    }

    /// Makes the file longer; the storage keeps its capacity until it adopts the geometry returned.
    pub(crate) fn extended(&self, capacity_bytes: u64) -> Result<Geometry, FileError> {
        self.check_writable()?;
        let now = self.geometry.capacity_bytes;
        if capacity_bytes < now {
            let wanted_bytes = capacity_bytes;
            return Err(FileError::Shrink { capacity_bytes: now, wanted_bytes });
        }
        let grown = Geometry { capacity_bytes, ..self.geometry };
        grown.check()?;
        if capacity_bytes > now {
            extend(&self.file, now, &grown).inspect_err(|_| {
                // Gives the space back if it can; what stays behind the capacity does no harm.
                let _ = self.file.set_len(now);
            })?;
        }
        Ok(grown)
    }

    /// Takes the capacity to which the file was extended.
    pub(crate) fn adopt(&mut self, grown: Geometry) {
        self.geometry = grown;
    }

    /// The file, for mapping it.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Releases the lock, as dropping does. It does not sync.
    pub fn close(self) {}

    fn check_writable(&self) -> Result<(), FileError> {
        match self.access {
            Access::ReadOnly => Err(FileError::ReadOnly),
            Access::ReadWrite => Ok(()),
        }
    }

    fn check_access(&self, at: u64, len: usize) -> Result<(), FileError> {
        check_span(at, len, self.geometry.capacity_bytes)
    }
}

impl Storage for PositionedFile {
    type Error = FileError;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        self.check_access(at, into.len())?;
        os::read_at(&self.file, at, into).map_err(Step::Read.failed())
    }

    fn is_lost(&self, error: &FileError) -> bool {
        matches!(error, FileError::Io { step: Step::Read, error } if os::is_bad_block(error))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.check_writable()?;
        self.check_access(at, bytes.len())?;
        let unit = u64::from(self.geometry.write_bytes);
        if !at.is_multiple_of(unit) || !(bytes.len() as u64).is_multiple_of(unit) {
            let end = self.geometry.capacity_bytes;
            return Err(FileError::Access { at, len: bytes.len(), end });
        }
        os::write_at(&self.file, at, bytes).map_err(Step::Write.failed())
    }

    fn erase(&mut self, sector: u32) -> Result<(), FileError> {
        self.check_writable()?;
        let len = self.geometry.erase_bytes;
        let at = u64::from(sector) * u64::from(len);
        self.check_access(at, len as usize)?;
        match self.geometry.erased {
            Erased::Unknown => Ok(()),
            Erased::Ones | Erased::Zeros => {
                let filler = self.geometry.erased.filler();
                fill(&self.file, at, at + u64::from(len), filler).map_err(Step::Write.failed())
            }
        }
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.file.sync_data().map_err(Step::Sync.failed())
    }
}

/// Makes a file as long as the geometry says: writes every byte from `from` on, and syncs it with its length.
///
/// Cut short, it leaves a file of which every byte up to its length was written (but for the moment
/// between two calls in which the file system is asked for the whole length).
fn extend(file: &File, from: u64, geometry: &Geometry) -> Result<(), FileError> {
    let capacity_bytes = geometry.capacity_bytes;
    // Whether there is room, and whether the file system has files of this size at all, is asked before
    // any time is spent on filling one. The length goes back to what was written, so that a process that
    // dies while it fills leaves a short file and not a sparse one.
    check_room(os::free_bytes(file), capacity_bytes - from).map_err(Step::Prefill.failed())?;
    file.set_len(capacity_bytes).map_err(Step::Prefill.failed())?;
    file.set_len(from).map_err(Step::Prefill.failed())?;
    let filler = geometry.erased.filler();
    fill(file, from, capacity_bytes, filler).map_err(Step::Prefill.failed())?;
    file.sync_all().map_err(Step::Sync.failed())
}

/// Refuses to begin what the file system says that it has no room for.
fn check_room(free_bytes: Option<u64>, needed_bytes: u64) -> io::Result<()> {
    match free_bytes {
        Some(free) if free < needed_bytes => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    }
}

/// Writes `filler` over everything from `from` to `end`, in pieces.
fn fill(file: &File, from: u64, end: u64, filler: u8) -> io::Result<()> {
    let len = end - from;
    let piece = vec![filler; PIECE_BYTES.min(usize::try_from(len).unwrap_or(PIECE_BYTES))];
    for at in (from..end).step_by(PIECE_BYTES) {
        let left = usize::try_from(end - at).unwrap_or(PIECE_BYTES);
        let piece = piece.get(..left).unwrap_or(&piece);
        os::write_at(file, at, piece)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_on_the_disk_is_not_begun() {
        assert!(check_room(Some(10), 10).is_ok());
        assert!(check_room(None, u64::MAX).is_ok());
        let refused = check_room(Some(10), 11).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    }
}
