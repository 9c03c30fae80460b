//! The exhaustive mode: a test that is run once for each place at which something can go wrong.

use crate::nor::SimNor;
use crate::plan::{Fault, When};

/// Runs what a device does on this medium, once whole, and then once for each step of it, before which
/// power is cut; each time on a clone. Returns the number of steps.
///
/// After each run `check` gets what it returned and the medium: with power, what the cut left behind as the
/// seed decides, in a session of its own.
pub fn at_every_step<T>(
    medium: &SimNor,
    mut run: impl FnMut(&mut SimNor) -> T,
    mut check: impl FnMut(T, &mut SimNor),
) -> u64 {
    let mut then = |mut nor: SimNor| {
        let returned = run(&mut nor);
        let steps = nor.steps() - medium.steps();
        nor.cancel_cut();
        nor.power_on();
        nor.reopen();
        check(returned, &mut nor);
        steps
    };
    let steps = then(medium.clone());
    for step in 0..steps {
        let mut nor = medium.clone();
        nor.cut_at(step);
        then(nor);
    }
    steps
}

/// Runs what a device does on this medium, once whole, and then once for each call of it that the fault can
/// strike; each time on a clone. Returns the number of those calls.
///
/// After each run `check` gets what it returned and the medium: mended, in a session of its own.
pub fn at_every_call<T>(
    medium: &SimNor,
    fault: Fault,
    mut run: impl FnMut(&mut SimNor) -> T,
    mut check: impl FnMut(T, &mut SimNor),
) -> u64 {
    let mut then = |mut nor: SimNor| {
        let returned = run(&mut nor);
        let calls = nor.calls_for(fault) - medium.calls_for(fault);
        nor.mend();
        nor.reopen();
        check(returned, &mut nor);
        calls
    };
    let calls = then(medium.clone());
    for call in 0..calls {
        let mut nor = medium.clone();
        nor.inject(fault, When::Call(call));
        then(nor);
    }
    calls
}
