//! Finding the files of a source tree, in one order on every machine.

use crate::error::{Failure, Outcome};
use crate::extract::Language;
use ignore::WalkBuilder;
use std::path::{Path, PathBuf};

/// A file to be indexed.
pub(super) struct SourceFile {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Its path below the indexed directory, with forward slashes.
    pub(super) uri: String,
    pub(super) language: &'static Language,
}

/// The source files below a directory, ordered by URI, and a line for each entry that could not be looked at.
///
/// Hidden files and what `.gitignore` names are left out, also where there is no repository; what one
/// person's global settings name is not.
///
/// # Errors
/// The directory is missing or cannot be read.
pub(super) fn files(directory: &Path) -> Outcome<(Vec<SourceFile>, Vec<String>)> {
    check(directory)?;
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    let walk = WalkBuilder::new(directory).require_git(false).git_global(false).build();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                skipped.push(format!("{error}; skipped"));
                continue;
            }
        };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let below = entry.path().strip_prefix(directory).unwrap_or(entry.path());
        let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
        let Some(parts) = parts else {
            skipped.push(format!("{}: the path is not UTF-8; skipped", entry.path().display()));
            continue;
        };
        let uri = parts.join("/");
        if let Some(language) = Language::of(&uri) {
            files.push(SourceFile { path: entry.into_path(), uri, language });
        }
    }
    files.sort_by(|a, b| a.uri.cmp(&b.uri));
    skipped.sort();
    Ok((files, skipped))
}

/// Whether there is a directory to index.
///
/// # Errors
/// It is missing, or something else.
pub(crate) fn check(directory: &Path) -> Outcome {
    let reason = match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => "is not a directory".to_owned(),
        Err(error) => error.to_string(),
    };
    let show = directory.display();
    Err(Failure::usage(format_args!("{show}: {reason}; name the root of a source tree")))
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
