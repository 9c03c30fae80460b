//! What can go wrong for a user: one line, and an exit code.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | found, or done |
//! | 1 | not found |
//! | 2 | wrong usage, missing input, or a bad line |
//! | 3 | the store is damaged, foreign, empty, truncated, locked or of another version |
//! | 4 | the store, or the disk under it, is full |
//! | 70 | a bug in this program (it says so; no other path leads there) |

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command stops, in the classes that exit codes tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    NotFound = 1,
    Usage = 2,
    Store = 3,
    Full = 4,
}

/// An error as the user sees it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One line that names the thing and the remedy.
    Line { class: Class, line: String },
    /// Whoever reads the output has gone; nothing is left to say.
    Quiet,
}

/// What commands return.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    fn new(class: Class, line: impl fmt::Display) -> Self {
        Self::Line { class, line: one_line(&line.to_string()) }
    }

    /// Nothing has this name or id.
    pub(crate) fn not_found(line: impl fmt::Display) -> Self {
        Self::new(Class::NotFound, line)
    }

    /// The command was used wrongly, or its input is missing or bad.
    pub(crate) fn usage(line: impl fmt::Display) -> Self {
        Self::new(Class::Usage, line)
    }

    /// The store cannot be used as it is.
    pub(crate) fn store(line: impl fmt::Display) -> Self {
        Self::new(Class::Store, line)
    }

    /// No space is left.
    pub(crate) fn full(line: impl fmt::Display) -> Self {
        Self::new(Class::Full, line)
    }

    /// An error of standard output: quiet if the reader has gone.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Quiet,
            io::ErrorKind::StorageFull => {
                Self::full("standard output: the disk is full; free some space")
            }
            _ => Self::usage(format_args!("standard output cannot be written: {error}")),
        }
    }

    /// Whether it says no more than that nothing was found.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Line { class: Class::NotFound, .. })
    }

    /// Says it on standard error, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Quiet => ExitCode::SUCCESS,
            Self::Line { class, line } => {
                let _ = writeln!(io::stderr(), "kausaldb: {line}");
                ExitCode::from(class as u8)
            }
        }
    }
}

/// Output errors are the only bare I/O errors that commands meet; others are given their words where they
/// happen.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::output(&error)
    }
}

/// JSON is written from plain data; should that fail, the output is what failed.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::output(&error.into())
    }
}

/// Text on one line, without control characters that a terminal would obey.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The exit code of a bug.
const EXIT_BUG: i32 = 70;

/// Makes a panic one line and exit code 70, in place of a message and a backtrace.
pub(crate) fn tame_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line()));
        let _ = writeln!(
            io::stderr(),
            "kausaldb: this is a bug in kausaldb{}; what was acknowledged is safe; please report it",
            place.unwrap_or_default()
        );
        std::process::exit(EXIT_BUG);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_it_quotes() {
        let Failure::Line { class, line } = Failure::not_found("no \n\u{1b}[31m such") else {
            panic!()
        };
        assert_eq!((class as u8, line.as_str()), (1, "no   [31m such"));
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(Failure::from(gone), Failure::Quiet));
    }
}
