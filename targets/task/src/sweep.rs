//! `cargo task sweep`: the tests of damage with many more images, and how many there were.
//!
//! The ordinary run has a few hundred images of each kind; this one has tens of thousands, and flips every
//! bit.

use crate::steps::Line;
use crate::{Failure, House, takes_nothing};

/// Hurts images in every way that the tests know.
///
/// # Errors
/// A store answered wrongly, did not open, or did not go on; the failure prints what replays it.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("sweep", arguments)?;
    let test = "test --release -p kausaldb --test damage -- --nocapture";
    Line::cargo(test).with("KAUSAL_SWEEP", "full").run(house)
}
