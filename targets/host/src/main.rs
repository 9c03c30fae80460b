//! The command `kausaldb`: index a source tree, import and export JSON lines, look, check.
//!
//! The rooms, each of which knows those above it:
//!
//! - [`error`], [`size`], [`limits`]: exit codes and their words, sizes as people write them, a host's limits
//! - [`operation`], [`graph`]: what is written; what commands ask of a store
//! - [`jsonl`], [`summary`]: blocks and edges as lines
//! - [`extract`], [`index`]: from source files to blocks and edges
//! - [`args`], [`commands`]: the command line, and what it does
//! - [`store`]: the engine on a file
//! - [`app`]: all of it together

mod app;
mod args;
mod commands;
mod error;
mod extract;
mod graph;
mod index;
mod jsonl;
mod limits;
mod operation;
mod size;
mod store;
mod summary;

use std::process::ExitCode;

fn main() -> ExitCode {
    error::tame_panics();
    let done = args::parse().and_then(|parsed| match parsed {
        Ok(arguments) => app::run(&arguments).map(|()| ExitCode::SUCCESS),
        Err(code) => Ok(code),
    });
    done.unwrap_or_else(error::Failure::report)
}
