//! `cargo task miri`: the unit and model tests of the rooms that hold columns in the region, and a few of the
//! whole engine, under Miri.
//!
//! Miri runs a program step by step and stops at the first undefined one: a misaligned cast, a read of what
//! was never written, two borrows of one byte. Every pointer must keep the provenance that it came with. The
//! tests run twice, as on this machine and as on a big-endian one, with the reduced counts that they keep for
//! Miri.
//!
//! It takes a nightly toolchain and some minutes, so it is no part of `cargo task test`.

use crate::steps::{self, Line, Step};
use crate::{Failure, House, takes_nothing};
use std::process::{Command, Stdio};

/// The rooms whose tests run: the one with the unsafe code, and those that lay columns over it.
const ROOMS: &str = "memory:: index:: edges::";

/// Tests of the engine: it is moved between calls, reads through scratch, meets bytes that changed, holds
/// iterators in a workspace, and has its write buffer filled by a source.
const ENGINE: &str = "an_engine_can_be_moved a_body_is_checked a_bit_of_a_header more_iterators_than \
                      an_iterator_that_is_kept content_in_pieces a_source_that_panics";

/// A target with the other byte order.
const BIG_ENDIAN: &str = "--target s390x-unknown-linux-gnu";

/// What installs what this task needs.
const INSTALL: &str = "rustup toolchain install nightly --component miri --component rust-src";

/// Runs both.
///
/// # Errors
/// Miri is not installed, or found a fault.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("miri", arguments)?;
    steps::run_all(
        house,
        &[
            Step::check("miri is there", "rustup run nightly cargo miri --version", is_there),
            Step::line("as on this machine", miri("")),
            Step::line("big-endian", miri(BIG_ENDIAN)),
        ],
    )
}

fn miri(target: &str) -> Line {
    let tests = "--lib --test behaviour";
    let arguments = format!(
        "run nightly cargo miri test -p kausaldb --features std {tests} {target} -- {ROOMS} {ENGINE}"
    );
    // The regions of some tests live as long as the test on purpose; the core has no heap that it could leak.
    Line::new("rustup", &arguments)
        .with("MIRIFLAGS", "-Zmiri-strict-provenance -Zmiri-ignore-leaks")
}

fn is_there(_: &House) -> Result<(), Failure> {
    let mut version = Command::new("rustup");
    version.args(["run", "nightly", "cargo", "miri", "--version"]);
    version.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match version.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::Failed(format!("Miri is missing: {INSTALL}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_is_held_to_strict_provenance() {
        for target in ["", BIG_ENDIAN] {
            let line = miri(target).to_string();
            assert!(line.starts_with("MIRIFLAGS='-Zmiri-strict-provenance "), "{line}");
            assert!(line.contains(target) && line.ends_with(ENGINE), "{line}");
        }
    }
}
