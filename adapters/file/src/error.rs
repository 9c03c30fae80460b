//! What can go wrong with a store's file. No error names the path: whoever gave it knows it.

use kausaldb::storage::GeometryError;
use std::{error, fmt, io};

/// Why a store's file cannot be created, opened, read, written or grown.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// There is something with this name already; nothing was changed.
    Exists,
    /// Another process (or another part of this one) has the file open: for writing, or for reading if this
    /// was to write.
    Locked,
    /// Not a regular file: a directory, a device, a pipe.
    NotAFile,
    /// The file is open for reading only.
    ReadOnly,
    /// The file is shorter than the store in it.
    Truncated {
        /// Length of the file, in bytes.
        len_bytes: u64,
        /// Capacity of the store, in bytes.
        capacity_bytes: u64,
    },
    /// A store's file does not get smaller.
    Shrink {
        /// Capacity of the store, in bytes.
        capacity_bytes: u64,
        /// The capacity asked for, in bytes.
        wanted_bytes: u64,
    },
    /// The access reaches beyond the end, or is not aligned to the write size.
    Access {
        /// Where it starts, in bytes.
        at: u64,
        /// Its length, in bytes.
        len: usize,
        /// Where it must end at the latest, in bytes.
        end: u64,
    },
    /// The file is larger than this machine's address space.
    TooLargeToMap {
        /// Capacity of the store, in bytes.
        capacity_bytes: u64,
    },
    /// The geometry is out of its bounds.
    Geometry(GeometryError),
    /// The operating system refused.
    Io {
        /// What was to be done.
        step: Step,
        /// Why it was not.
        error: io::Error,
    },
}

/// What the file adapter asked of the operating system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Making a new file.
    Create,
    /// Opening the file, or finding out what it is.
    Open,
    /// Locking the file.
    Lock,
    /// Writing every byte of a new file, or of the part by which it grows.
    Prefill,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Bringing what was written to the disk.
    Sync,
    /// Bringing the name of a new file to the disk.
    SyncDirectory,
    /// Mapping the file.
    Map,
}

impl Step {
    /// For `map_err`: what went wrong, and in which step.
    pub(crate) fn failed(self) -> impl FnOnce(io::Error) -> FileError {
        move |error| FileError::Io { step: self, error }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "creating the file",
            Self::Open => "opening the file",
            Self::Lock => "locking the file",
            Self::Prefill => "filling the new file",
            Self::Read => "reading the file",
            Self::Write => "writing the file",
            Self::Sync => "syncing the file",
            Self::SyncDirectory => "syncing the file's directory",
            Self::Map => "mapping the file",
        })
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("the file exists already"),
            Self::Locked => f.write_str("the file is open elsewhere and locked"),
            Self::NotAFile => f.write_str("this is not a regular file"),
            Self::ReadOnly => f.write_str("the file is open for reading only"),
            Self::Truncated { len_bytes, capacity_bytes } => write!(
                f,
                "the file is truncated: it has {len_bytes} bytes of the store's {capacity_bytes}"
            ),
            Self::Shrink { capacity_bytes, wanted_bytes } => {
                write!(f, "a store of {capacity_bytes} bytes cannot shrink to {wanted_bytes} bytes")
            }
            Self::Access { at, len, end } => {
                write!(f, "no aligned access of {len} bytes at {at} before {end}")
            }
            Self::TooLargeToMap { capacity_bytes } => {
                write!(f, "{capacity_bytes} bytes do not fit into the address space")
            }
            Self::Geometry(error) => error.fmt(f),
            Self::Io { step, error } => write!(f, "{step}: {error}"),
        }
    }
}

impl error::Error for FileError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Geometry(error) => Some(error),
            _ => None,
        }
    }
}

impl From<GeometryError> for FileError {
    fn from(error: GeometryError) -> Self {
        Self::Geometry(error)
    }
}
