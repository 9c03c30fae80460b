//! `cargo task fuzz [seconds]`: the fuzz targets one after another, each for so many seconds, on the
//! committed corpus and on what earlier runs have found.
//!
//! The bodies are those of the ordinary tests (`core/tests/hostile`), which run the committed corpus as well.
//! It takes a nightly toolchain and `cargo-fuzz`, so it is no part of `cargo task test`.

use crate::steps::{self, Line, Step};
use crate::{Failure, House};
use std::process::{Command, Stdio};

/// Every target, as `core/tests/hostile/shared/mod.rs` lists them.
const TARGETS: &[&str] = &["open", "verify", "recovery", "records", "indexes", "batches"];

/// For how long each target runs, unless the command says otherwise.
const SECONDS: u32 = 60;

/// What installs what this task needs.
const INSTALL: &str = "rustup toolchain install nightly && cargo install cargo-fuzz";

/// Runs all targets.
///
/// # Errors
/// The fuzzer is not installed, or found a script that fails; it says where that lies.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    let seconds = match arguments {
        [] => SECONDS,
        [seconds] => seconds.parse().map_err(|_| usage(seconds))?,
        [_, surplus, ..] => return Err(usage(surplus)),
    };
    let check = Step::check("the fuzzer is there", "cargo +nightly fuzz --version", is_there);
    let targets = TARGETS.iter().map(|target| Step::line(target, fuzz(target, seconds)));
    let steps: Vec<_> = std::iter::once(check).chain(targets).collect();
    steps::run_all(house, &steps)
}

fn usage(argument: &str) -> Failure {
    Failure::Usage(format!("fuzz takes a number of seconds, not {argument:?}"))
}

fn fuzz(target: &str, seconds: u32) -> Line {
    // A script that takes longer than this hangs; the slowest take a tenth of a second.
    let limits = format!("-max_total_time={seconds} -max_len=2048 -len_control=0 -timeout=20");
    let arguments = format!("run nightly cargo fuzz run {target} -- {limits}");
    Line::new("rustup", &arguments).within("core")
}

fn is_there(_: &House) -> Result<(), Failure> {
    let mut version = Command::new("rustup");
    version.args(["run", "nightly", "cargo", "fuzz", "--version"]);
    version.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match version.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::Failed(format!("the fuzzer is missing: {INSTALL}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_target_is_a_program_and_a_body() {
        let house = House::locate();
        let bodies = fs::read_to_string(house.root.join("core/tests/hostile/shared/mod.rs"));
        for target in TARGETS {
            let program = format!("core/fuzz/fuzz_targets/{target}.rs");
            assert!(house.root.join(program).is_file(), "{target}");
            assert!(bodies.as_ref().is_ok_and(|text| text.contains(&format!("(\"{target}\", "))));
        }
    }

    #[test]
    fn what_is_no_number_of_seconds_is_wrong_usage() {
        for arguments in [&["long"][..], &["-1"], &["1", "2"]] {
            let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
            assert!(matches!(run(&House::locate(), &arguments), Err(Failure::Usage(_))));
        }
        assert!(fuzz("open", 7).to_string().contains("-max_total_time=7 "));
    }
}
