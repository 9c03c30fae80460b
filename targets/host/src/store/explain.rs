//! The errors of engine and file in a user's words: what is wrong with which file, what to do, and the exit
//! code.

use crate::error::Failure;
use kausaldb::log::LogError;
use kausaldb::{FormatError, OpenError, ReadError, WriteError};
use kausaldb_file::{FileError, Step};
use std::io::ErrorKind;
use std::path::Path;

const SALVAGE: &str = "`kausaldb salvage NEW_STORE` saves what is left, `kausaldb repair` makes it count; \
    or restore a copy";
/// What ends damage of which is known what it hit.
const WRITE_ANEW: &str = "a damaged block is well once `kausaldb index` or `import` writes or deletes it, \
    all else after `kausaldb repair`; `kausaldb salvage NEW_STORE` saves what is left; or restore \
    a copy";

/// Why the file cannot be made, opened, read, written or grown.
pub(super) fn file(path: &Path, error: &FileError) -> Failure {
    let name = path.display();
    match error {
        FileError::Io { step: Step::Create, error } if error.kind() == ErrorKind::NotFound => {
            Failure::usage(format_args!(
                "{name}: its folder does not exist; make it, or name another with --store"
            ))
        }
        FileError::Io { error, .. } if error.kind() == ErrorKind::NotFound => {
            Failure::usage(format_args!(
                "{name}: there is no such store; make one with \
                 `kausaldb create`, `index DIR` or `import FILE`"
            ))
        }
        FileError::Io { error, .. } if error.kind() == ErrorKind::StorageFull => {
            Failure::full(format_args!("{name}: the disk is full; free some space and try again"))
        }
        FileError::Io { error, .. } if error.kind() == ErrorKind::QuotaExceeded => {
            Failure::full(format_args!("{name}: {error}; free some space and try again"))
        }
        FileError::Io { error, .. } if error.kind() == ErrorKind::FileTooLarge => {
            Failure::usage(format_args!(
                "{name}: the file system has no files of this size; choose a smaller --size"
            ))
        }
        FileError::Io { error, .. }
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Failure::usage(format_args!(
                "{name}: {error}; ask its owner, or name another with --store"
            ))
        }
        FileError::Exists => Failure::usage(format_args!(
            "{name}: exists already; remove it or name another with --store"
        )),
        FileError::Locked => Failure::store(format_args!(
            "{name}: locked: another process has it open; wait until it ends, or end it"
        )),
        FileError::NotAFile => {
            Failure::store(format_args!("{name}: is not a file; name a file with --store"))
        }
        FileError::Truncated { .. } => {
            Failure::store(format_args!("{name}: {error}; restore a whole copy"))
        }
        FileError::Shrink { .. } | FileError::Geometry(_) => {
            Failure::usage(format_args!("{name}: {error}; choose other sizes"))
        }
        _ => Failure::store(format_args!("{name}: {error}; check the disk")),
    }
}

/// The file has no bytes.
pub(super) fn empty(path: &Path) -> Failure {
    let name = path.display();
    Failure::store(format_args!(
        "{name}: is empty; remove it and make a store with `kausaldb create`"
    ))
}

/// Why the store could not be made.
pub(super) fn format(path: &Path, error: &FormatError<FileError>) -> Failure {
    match error {
        FormatError::Storage(error) => file(path, error),
        _ => Failure::usage(format_args!(
            "{}: {error}; choose other sizes: --size, --segment-size, --erase-size, --write-size",
            path.display()
        )),
    }
}

/// Why the store could not be opened.
pub(super) fn open(path: &Path, error: &OpenError<FileError>) -> Failure {
    let name = path.display();
    match error {
        OpenError::Log(LogError::Storage(error)) => file(path, error),
        OpenError::Degraded { segment, offset } => degraded(path, *segment, *offset),
        OpenError::NoStore => Failure::store(format_args!(
            "{name}: is not a store of KausalDB; name one with --store"
        )),
        OpenError::Version { .. } => Failure::store(format_args!(
            "{name}: {error}; export it with the kausaldb that wrote it, and import that here"
        )),
        OpenError::Geometry { .. } | OpenError::SegmentLost { .. } => {
            Failure::store(format_args!("{name}: {error}; restore a whole copy"))
        }
        _ => Failure::store(format_args!("{name}: {error}; {SALVAGE}")),
    }
}

/// Why something could not be read.
pub(super) fn read(path: &Path, error: &ReadError<FileError>) -> Failure {
    match error {
        ReadError::Storage(error) => file(path, error),
        ReadError::Corrupt { .. } => {
            Failure::store(format_args!("{}: {error}; {WRITE_ANEW}", path.display()))
        }
        _ => Failure::store(format_args!("{}: {error}; {SALVAGE}", path.display())),
    }
}

/// What reading has passed over: the first such record, and how many there are.
pub(super) fn damage(path: &Path, (segment, offset): (u32, u32), records: usize) -> Failure {
    let more = match records - 1 {
        0 => String::new(),
        1 => ", and another one".to_owned(),
        more => format!(", and {more} others"),
    };
    let name = path.display();
    Failure::store(format_args!(
        "{name}: damaged record in segment {segment} at {offset}{more}, \
         left out: {WRITE_ANEW}"
    ))
}

/// Lists of edges that counting has passed over.
pub(super) fn lists_unreadable(path: &Path, lists: u64) -> Failure {
    let (name, s) = (path.display(), if lists == 1 { "" } else { "s" });
    Failure::store(format_args!("{name}: {lists} list{s} of edges cannot be read; {WRITE_ANEW}"))
}

/// Records are lost of which nobody knows what they held.
pub(super) fn degraded(path: &Path, segment: u32, offset: u32) -> Failure {
    let name = path.display();
    Failure::store(format_args!(
        "{name}: degraded: records in segment {segment} at {offset} are lost, and only what they cannot have \
         changed is certain; {SALVAGE}"
    ))
}

/// What scrubbing could not mend.
pub(super) fn beyond_mending(path: &Path, records: u32) -> Failure {
    let (name, s) = (path.display(), if records == 1 { "" } else { "s" });
    Failure::store(format_args!(
        "{name}: {records} record{s} damaged beyond mending, which `kausaldb verify` names; {WRITE_ANEW}"
    ))
}

/// Something is lost, as verifying found.
pub(super) fn lost(path: &Path, what: &str) -> Failure {
    Failure::store(format_args!("{}: {what}; {WRITE_ANEW}", path.display()))
}

/// Why nothing was written.
pub(super) fn write(path: &Path, error: &WriteError<FileError>) -> Failure {
    let name = path.display();
    match error {
        WriteError::Log(LogError::Storage(error)) => file(path, error),
        WriteError::Full { .. }
        | WriteError::NodesFull { .. }
        | WriteError::HubPagesFull { .. } => {
            Failure::full(format_args!("{name}: {error}; `kausaldb grow` makes it larger"))
        }
        WriteError::BlockTooLarge { .. } => {
            Failure::usage(format_args!("{name}: {error}; split the block or use larger segments"))
        }
        WriteError::BatchTooLarge { .. } => Failure::usage(format_args!("{name}: {error}")),
        WriteError::Degraded { segment, offset } => degraded(path, *segment, *offset),
        WriteError::ReadOnly => Failure::usage(format_args!("{name}: {error}")),
        _ => Failure::store(format_args!("{name}: {error}; {SALVAGE}")),
    }
}
