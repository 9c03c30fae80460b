//! `cargo task planted`: plants one fault after the other into the core, and sees that the tests notice each.
//!
//! It takes some minutes, and is no part of `cargo task test`. `core/tests/planted/main.rs` lists the faults,
//! those that are not noticed among them; `core/tests/ring/planted.rs` those that the model of the ring
//! notices by itself.

use crate::steps::Line;
use crate::{Failure, House, takes_nothing};

/// Runs the checks once without a fault, and then with each.
///
/// # Errors
/// A check fails without a fault, or a fault passes all of them.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("planted", arguments)?;
    let tests = "--test planted --test ring";
    let test = format!("test --release -p kausaldb --features planted {tests} -- --nocapture");
    Line::cargo(&test).run(house)
}
