//! Making a store, so that whoever looks finds a whole one or none.
//!
//! The file is filled and formatted under another name, the store's with `.new` behind it, and
//! takes its own name when it is durable. A creation that was cut short leaves only the former; the
//! next one removes it. The lock on that file lets one creator at a time through.

use super::{Shape, explain, new_store_id};
use crate::error::{Failure, Outcome};
use kausaldb::FormatOptions;
use kausaldb_file::{Access, FileError, OpenedFile, PositionedFile};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Makes an empty store; the file must not exist.
///
/// # Errors
/// The sizes do not work, or the file cannot be made.
pub(crate) fn create(path: &Path, shape: &Shape) -> Outcome {
    if path.exists() {
        return Err(explain::file(path, &FileError::Exists));
    }
    shape.check().map_err(|error| explain::format(path, &error))?;
    let unfinished = unfinished_name(path);
    remove_leftover(&unfinished)?;
    let mut file = PositionedFile::create(&unfinished, shape.geometry)
        .map_err(|error| explain::file(path, &error))?;
    let named = format(&mut file, path, shape).and_then(|()| give_name(&unfinished, path));
    file.close();
    named.inspect_err(|_| {
        // If it cannot be removed, the next creation tries again.
        let _ = fs::remove_file(&unfinished);
    })
}

fn unfinished_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    PathBuf::from(name)
}

/// Removes what a creation left that was cut short.
fn remove_leftover(unfinished: &Path) -> Outcome {
    match OpenedFile::open(unfinished, Access::ReadWrite) {
        Ok(_) => fs::remove_file(unfinished).map_err(|error| refused(unfinished, &error)),
        Err(FileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(explain::file(unfinished, &error)),
    }
}

fn format(file: &mut PositionedFile, path: &Path, shape: &Shape) -> Outcome {
    let options = FormatOptions { store: new_store_id(), segment_bytes: shape.segment_bytes };
    kausaldb::format(file, &options).map_err(|error| explain::format(path, &error))
}

/// Gives the file its name, and makes that survive power loss.
fn give_name(unfinished: &Path, path: &Path) -> Outcome {
    // Whoever else made a store of this name held the lock before.
    if path.exists() {
        return Err(explain::file(path, &FileError::Exists));
    }
    fs::rename(unfinished, path).map_err(|error| refused(path, &error))?;
    sync_folder_of(path).map_err(|error| refused(path, &error))
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    // Elsewhere folders cannot be opened, and names are durable by themselves.
    if cfg!(unix) { File::open(folder.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    let name = path.display();
    Failure::usage(format_args!("{name}: {error}; remove it, or name another with --store"))
}
