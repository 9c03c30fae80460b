//! `cargo task swarm`: thirty million random operations on stores that lose power and fail, and how many a
//! second.

use crate::steps::Line;
use crate::{Failure, House, takes_nothing};

/// Runs the swarm with 30,000 seeds of 1,000 operations: three minutes of two processors.
///
/// # Errors
/// A store lost something, showed what never was, or did not open; the failure prints the seed that replays
/// it.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("swarm", arguments)?;
    let test = "test --release -p kausaldb --features std --test faults -- --nocapture swarm::";
    Line::cargo(test).with("CASES", "30000").run(house)
}
