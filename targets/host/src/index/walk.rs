//! Finding the files of a source tree, in one order on every machine.

use crate::error::{Failure, Outcome};
use crate::extract::Language;
use ignore::WalkBuilder;
use std::error::Error;
use std::path::{Path, PathBuf};

/// A file to be indexed.
pub(super) struct SourceFile {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Its path below the indexed directory, with forward slashes.
    pub(super) uri: String,
    pub(super) language: &'static Language,
}

/// An entry that could not be looked at.
pub(super) struct Skipped {
    /// Which, and why.
    pub(super) line: String,
    /// Its path below the indexed directory, with forward slashes: what lies there or below is not known.
    pub(super) uri: String,
}

/// The source files below a directory, ordered by URI, and the entries that could not be looked at.
///
/// Hidden files and what `.gitignore` names are left out, also where there is no repository; what one
/// person's global settings name is not.
///
/// # Errors
/// The directory is missing or cannot be read.
pub(super) fn files(directory: &Path) -> Outcome<(Vec<SourceFile>, Vec<Skipped>)> {
    check(directory)?;
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    let walk = WalkBuilder::new(directory).require_git(false).git_global(false).build();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                skipped.push(unreadable(directory, &error)?);
                continue;
            }
        };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let Some(uri) = uri_of(directory, entry.path()) else {
            let line = format!("{}: the path is not UTF-8; skipped", entry.path().display());
            // No URI is like that, so none is kept by it.
            skipped.push(Skipped { line, uri: entry.path().display().to_string() });
            continue;
        };
        if let Some(language) = Language::of(&uri) {
            files.push(SourceFile { path: entry.into_path(), uri, language });
        }
    }
    files.sort_by(|a, b| a.uri.cmp(&b.uri));
    skipped.sort_by(|a, b| a.line.cmp(&b.line));
    Ok((files, skipped))
}

/// The path below the indexed directory, with forward slashes; nothing if it is not UTF-8.
fn uri_of(directory: &Path, path: &Path) -> Option<String> {
    let below = path.strip_prefix(directory).unwrap_or(path);
    let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
    parts.map(|parts| parts.join("/"))
}

/// What is said of an entry that could not be looked at.
///
/// # Errors
/// It is the directory itself, or the error does not say which: then nothing is known of the tree.
fn unreadable(directory: &Path, error: &ignore::Error) -> Outcome<Skipped> {
    let reason = reason(error);
    let path = path_of(error).filter(|path| *path != directory);
    let Some(path) = path else { return Err(no_tree(directory, &reason)) };
    let line = format!("{}: {reason}; skipped", path.display());
    let uri = uri_of(directory, path).unwrap_or_else(|| path.display().to_string());
    Ok(Skipped { line, uri })
}

/// The path that an error of the walk is about.
fn path_of(error: &ignore::Error) -> Option<&Path> {
    let mut error = error;
    loop {
        error = match error {
            ignore::Error::WithPath { path, .. } => return Some(path),
            ignore::Error::Loop { child, .. } => return Some(child),
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => err,
            _ => return None,
        };
    }
}

/// Why the walk could not look at an entry, without its path.
fn reason(error: &ignore::Error) -> String {
    let Some(mut cause) = error.io_error().map(|error| error as &dyn Error) else {
        return error.to_string();
    };
    // What the operating system said lies innermost; what is around it names the path.
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Whether there is a directory to index, which can be listed.
///
/// # Errors
/// It is missing, something else, or cannot be read.
pub(crate) fn check(directory: &Path) -> Outcome {
    let reason = match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => match std::fs::read_dir(directory) {
            Ok(_) => return Ok(()),
            Err(error) => error.to_string(),
        },
        Ok(_) => "is not a directory".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(no_tree(directory, &reason))
}

fn no_tree(directory: &Path, reason: &str) -> Failure {
    let show = directory.display();
    Failure::usage(format_args!("{show}: {reason}; name the root of a source tree"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_and_hidden_files_are_left_out_and_the_rest_is_in_order() {
        let root = tempfile::tempdir().unwrap();
        for file in ["b/z.rs", "b/a.py", "a.c", "target/x.rs", ".hidden.rs", "notes.txt"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(root.path().join(".gitignore"), "/target\n").unwrap();
        let (files, skipped) = files(root.path()).unwrap();
        let uris: Vec<_> = files.iter().map(|file| file.uri.as_str()).collect();
        assert_eq!(uris, ["a.c", "b/a.py", "b/z.rs"]);
        assert!(skipped.is_empty());
    }

    #[test]
    fn a_missing_directory_is_wrong_usage() {
        assert!(matches!(
            files(Path::new("/nowhere/at/all")),
            Err(Failure::Line { class: crate::error::Class::Usage, .. })
        ));
    }
}
