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

/// A cut in the run, a second one at each step (or one in so many) of the recovery from it, and a
/// third at random.
fn nested(name: &str, scenario: Scenario, first: u64, second: u64, third: u64) {
    let mut bench = Bench::new(scenario);
    run(scenario, first, |cut, states| {
        for once in bench.try_all(cut, states, second) {
            for cut in &once.cuts {
                for twice in bench.try_all(cut, states, third) {
                    for cut in &twice.cuts {
                        bench.try_all(cut, states, 0);
                    }
                }
            }
        }
    });
    report(name, &bench);
}

#[test]
fn a_cut_in_the_recovery_from_a_cut_loses_nothing() {
    for seed in 1..=sweep(2, 20) {
        let scenario = Scenario { seed, ..SMALL };
        nested("nested", scenario, sweep(60, 1), 1, 200);
    }
}

#[test]
fn many_more() {
    for seed in 1..=20 {
        single("seeds", Scenario { seed, ..SMALL }, 5);
    }
}
