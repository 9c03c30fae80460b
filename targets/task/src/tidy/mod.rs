//! `cargo task tidy`: the house rules that a machine can check.
//!
//! Each rule is a function from a file to faults, and knows nothing of disks: the tests plant a fault for
//! every rule and see it found. This module gathers the files and holds the tables that say what is allowed
//! where.

mod calls;
mod functions;
mod lines;
mod rooms;
mod source;
#[cfg(test)]
mod tests;
mod words;

use crate::{Failure, House, takes_nothing};
use source::Source;
use std::path::Path;
use std::{fmt, fs, io};

/// What holds no work of ours: build products, somebody else's text that tests read, what the fuzzer found,
/// version control.
const SKIPPED: &[&str] = &["target", "fixtures", "labelled", "corpus", "artifacts", ".git"];

/// Endings of the files that are read; a file without one is read, too.
const TEXTS: &[&str] = &["", "rs", "toml", "md", "sh", "py", "yml", "x", "c", "h", "json", "html"];

/// A breach of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The task: checks the repository.
///
/// # Errors
/// A rule is broken; every breach was printed.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("tidy", arguments)?;
    check_house(house)?;
    println!("tidy");
    Ok(())
}

/// The same as a step of a longer run.
pub(crate) fn check_house(house: &House) -> Result<(), Failure> {
    let sources = gather(&house.root)
        .map_err(|error| Failure::Failed(format!("the repository cannot be read: {error}")))?;
    let mut faults = check(&sources);
    faults.extend(calls::check(&sources));
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    match faults.len() {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 house rule is broken".into())),
        count => Err(Failure::Failed(format!("{count} house rules are broken"))),
    }
}

/// Checks every rule on every file; faults come ordered by file and line.
fn check(sources: &[Source]) -> Vec<Fault> {
    let mut faults = functions::check(sources);
    for source in sources {
        faults.extend(lines::check(source));
        faults.extend(words::check(source));
        faults.extend(rooms::check(source));
    }
    faults.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    faults
}

/// Reads every text of the repository, tracked or not, so that a new file is judged before it is added.
fn gather(root: &Path) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            let name = entry.file_name().to_string_lossy().into_owned();
            let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && TEXTS.contains(&ending.as_str()) {
                let inside = path.strip_prefix(root).unwrap_or(&path);
                let inside = inside.to_string_lossy().replace('\\', "/");
                let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
                sources.push(Source::new(inside, text));
            }
        }
    }
    Ok(sources)
}
