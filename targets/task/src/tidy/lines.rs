//! Rules that need no grammar: how a file opens, how long it and its lines are, and what no line holds.

use super::{Fault, Source};

/// Longest line of Rust, in columns.
const COLUMNS_MAX: usize = 110;

/// Longest file of Rust, in lines.
const LINES_MAX: usize = 700;

/// Folders of somebody's own machine. (Written in two pieces, so that this file has none.)
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tm", "p/")];

pub(super) fn check(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    if source.is_rust() {
        if !source.text.starts_with("//!") {
            faults.push(source.fault(1, "a file opens with its story: a //! comment"));
        }
        if is_test_crate(&source.path) && !source.text.lines().any(is_for_tests_only) {
            let what = "a test says #![cfg(test)], so that clippy lets its helpers stop it";
            faults.push(source.fault(1, what));
        }
        let count = source.text.lines().count();
        if count > LINES_MAX {
            faults.push(source.fault(LINES_MAX + 1, format!("{count} lines; at most {LINES_MAX}")));
        }
    }
    for (line, text) in (1..).zip(source.text.split('\n')) {
        let columns = text.chars().count();
        if source.is_rust() && columns > COLUMNS_MAX {
            faults.push(source.fault(line, format!("{columns} columns; at most {COLUMNS_MAX}")));
        }
        if text.contains('\t') {
            faults.push(source.fault(line, "a tab"));
        }
        if text.ends_with(char::is_whitespace) {
            faults.push(source.fault(line, "a blank at the end of the line"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| holds_path(text, path)) {
            faults.push(source.fault(line, format!("{path} is a path of one machine")));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        faults.push(source.fault(source.text.lines().count(), "the last line has no end"));
    }
    faults
}

/// Whether the file is one that cargo makes a test of: it lies right in a folder `tests` of a package.
fn is_test_crate(path: &str) -> bool {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    folder.ends_with("/tests") && !folder.contains("/src/")
}

fn is_for_tests_only(line: &str) -> bool {
    line == "#![cfg(test)]" || line.starts_with("#![cfg(all(test, ")
}

/// Whether `text` names the absolute `path`, not a longer one that merely contains it.
fn holds_path(text: &str, path: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    text.match_indices(path).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(goes_on)
    })
}
