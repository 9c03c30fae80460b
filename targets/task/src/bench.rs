//! `cargo task bench [NODES...]`: what the memory model costs and gains, as tables with ratios.
//!
//! Without arguments it takes some minutes; with numbers of nodes the index is measured at these sizes
//! (10000000 takes 3 GiB) and the others as ever. The tables and how to read them:
//! `core/docs/performance-memory.md`.

use crate::steps::{self, Line, Step};
use crate::{Failure, House};

/// Runs every bench: those of the memory model, and the engine as a whole.
///
/// # Errors
/// An argument is no number, or a bench failed.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    if let Some(other) = arguments.iter().find(|argument| argument.parse::<u32>().is_err()) {
        return Err(Failure::Usage(format!("bench takes numbers of nodes, not {other:?}")));
    }
    let sizes = arguments.join(" ");
    let steps = [
        bench("block index", &format!("index -- {sizes}")),
        bench("reads without a copy", "zero_copy"),
        bench("pools", "pools"),
        bench("fragmentation", "fragmentation"),
        bench("the whole engine", "store"),
    ];
    steps::run_all(house, &steps)
}

fn bench(name: &'static str, which: &str) -> Step {
    Step::line(name, Line::cargo(&format!("bench -p kausaldb --features std --bench {which}")))
}
