//! `cargo task peers`: KausalDB beside two other stores on the same flash, as one table.
//!
//! The bench is a workspace of its own, so that nobody else builds the peers. The table and what to make of
//! it: `core/docs/performance.md`.

use crate::steps::Line;
use crate::{Failure, House, takes_nothing};

/// Where the bench is, counted from the repository's root.
pub(crate) const FOLDER: &str = "targets/peers";

/// Builds the bench and runs it.
///
/// # Errors
/// It does not build, or a store lost what it was given.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("peers", arguments)?;
    Line::cargo("run --quiet --release --locked").within(FOLDER).run(house)
}
