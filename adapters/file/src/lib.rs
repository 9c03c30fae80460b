//! KausalDB on std hosts: a store in one file.
//!
//! The file has a fixed size, every byte of which was written when it was created, so that a full disk shows
//! itself then and not in the middle of a later write. It is locked for as long as it is open: one writer, or
//! any number of readers. Opening takes two steps, because a store's geometry is written in the store itself:
//!
//! 1. [`OpenedFile`]: opened and locked, nothing known of the content. It has a length and raw reads: enough
//!    to look for the geometry.
//! 2. One of two storages over the same file:
//!    - [`PositionedFile`]: safe; every read is a system call.
//!    - [`MappedFile`]: its bytes can be borrowed; `unsafe` to build, because the lock is advisory and
//!      another process may shrink or change the file all the same.
//!
//! Both write by position and sync once, never through the map: dirty maps and `msync` cost more and invite
//! torn reads.
//!
//! [`Region`] is memory for the engine, outside of the allocator.
//!
//! A new store file, and the same one again:
//!
//! ```
//! use kausaldb::storage::{Erased, Geometry, Storage};
//! use kausaldb_file::{Access, OpenedFile, PositionedFile};
//!
//! # let folder = std::env::temp_dir().join(format!("kausaldb-file-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("notes.kdb");
//! let geometry = Geometry {
//!     capacity_bytes: 1 << 20,
//!     erase_bytes: 64 << 10,
//!     write_bytes: 16,
//!     erased: Erased::Unknown,
//!     keeps_write_order: false,
//! };
//! let mut file = PositionedFile::create(&path, geometry)?;
//! file.erase(0)?;
//! file.write(0, b"sixteen bytes...")?;
//! file.sync()?;
//! file.close();
//!
//! let opened = OpenedFile::open(&path, Access::ReadOnly)?;
//! let mut start = [0; 7];
//! opened.read_at(0, &mut start)?; // a probe: the geometry would be found here
//! assert_eq!(&start, b"sixteen");
//! let file = opened.with_geometry(geometry)?;
//! assert_eq!(file.geometry(), geometry);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a file promises
//!
//! Writes since the last `sync` survive a power cut in any subset, so a file open for writing never says that
//! it keeps write order, whatever the geometry given says. Whether `sync` survives a power cut is up to the
//! file system and the disk; it is one `fdatasync` (on macOS `F_FULLFSYNC`).
//!
//! An erase writes nothing where the geometry says [`Erased::Unknown`](kausaldb::storage::Erased::Unknown),
//! as it does for stores that live on hosts. An image made for a board says ones or zeros, and its sectors
//! are filled with them.
//!
//! Two limits of the promise about a full disk: file systems that copy on write (btrfs, ZFS) or compress may
//! still need new space for a later write. And a process that dies while it creates the file leaves a shorter
//! one, which opens as [`FileError::Truncated`]; one that dies while it grows the file leaves a longer
//! one, all of which may be used.

mod error;
mod mapped;
mod opened;
mod os;
mod positioned;
mod region;
#[cfg(test)]
mod tests;

pub use error::{FileError, Step};
pub use mapped::MappedFile;
pub use opened::{Access, OpenedFile};
pub use positioned::PositionedFile;
pub use region::Region;
