//! `cargo task sweep`: what takes minutes, and is no part of `cargo task test`, but for a few of its cases;
//! and how many cases there were.

use crate::steps::Line;
use crate::{Failure, House, boards};

/// A sweep, and the tests that it runs in full.
struct Sweep {
    name: &'static str,
    /// The crate of tests, and the parts of it.
    tests: &'static str,
    parts: &'static str,
}

const SWEEPS: [Sweep; 6] = [
    // Images hurt in every way that the tests know.
    Sweep { name: "damage", tests: "faults", parts: "damage:: mending:: repairs:: hurt_again::" },
    // Power cut at every step, on 24 kinds of flash.
    Sweep { name: "cuts", tests: "faults", parts: "cuts:: --skip format_cuts::" },
    // Power cut again in the recovery from each cut, and boards that lose power at every boot.
    Sweep { name: "boots", tests: "faults", parts: "power::" },
    // What the engine asks of its storage, held to the rules of the ring at far more cuts.
    Sweep { name: "ring", tests: "ring", parts: "" },
    // Every subset of what a file had not synced.
    Sweep { name: "files", tests: "faults", parts: "power_file::" },
    // Wear over a million updates, stores that are full, and every call of the storage refused.
    Sweep { name: "wear", tests: "behaviour", parts: "wear:: full:: refusals::" },
];

/// Runs the sweep of this name; that of damage without a name.
///
/// # Errors
/// There is no such sweep. Or a store answered wrongly, did not open, or did not go on; the failure prints
/// what replays it.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    let name = match arguments {
        [] => "damage",
        [name] => name,
        _ => return Err(Failure::Usage("sweep takes one name at most".into())),
    };
    if name == "boards" {
        // Power cut at the stores of a board to its flash: at each at first, then at many.
        return boards::sweep(house);
    }
    let Some(sweep) = SWEEPS.iter().find(|sweep| sweep.name == name) else {
        return Err(Failure::Usage(format!("there is no sweep {name:?}")));
    };
    let (tests, parts) = (sweep.tests, sweep.parts);
    let test =
        format!("test --release -p kausaldb --features std --test {tests} -- --nocapture {parts}");
    Line::cargo(&test).with("KAUSAL_SWEEP", "full").run(house)
}
