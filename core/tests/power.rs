//! No acknowledged batch is lost, no batch is partial, and every store opens, whenever power is
//! cut: on flash, at every step of a run, and of the recovery from each cut, and of the recovery
//! from that.
//!
//! `KAUSAL_SWEEP=full` in the environment makes every step a cut point in every test, and takes hours.
#![cfg(test)]

mod common;

use common::power::{Bench, SMALL, Scenario, run, sweep};

fn report(name: &str, bench: &Bench) {
    println!("{name}: {} cuts, {} boots", bench.cuts, bench.boots);
}

/// Boots every cut point of one run, or one in so many.
fn single(name: &str, scenario: Scenario, one_in: u64) {
    let mut bench = Bench::new(scenario);
    run(scenario, one_in, |cut, states| {
        bench.try_all(cut, states, 0);
    });
    report(name, &bench);
}

#[test]
fn a_cut_at_any_step_loses_nothing() {
    for seed in 1..=sweep(1, 20) {
        single("every step", Scenario { seed, ..SMALL }, 1);
    }
}
