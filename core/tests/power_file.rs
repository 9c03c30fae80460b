//! No acknowledged batch is lost on a file, of which any subset of what was written since the last
//! sync survives a power cut, and of which an erase leaves what was there.
//!
//! `KAUSAL_SWEEP=full` in the environment makes every write and every sync a cut point, and tries all
//! subsets of up to twelve pieces at each.
#![cfg(test)]

use crate::common::Mix;
use crate::common::power::{Bench, FILE, Scenario, Thinning, aftermaths, run, sweep};
use kausaldb::Durability;
use kausaldb_sim::{Aftermath, Survivors};

fn single(name: &str, scenario: Scenario, one_in: u64) {
    let mut bench = Bench::new(scenario);
    run(scenario, Thinning::one_in(one_in), |cut, states| {
        bench.try_all(cut, states, Thinning::NONE);
    });
    bench.report(name);
}

/// Segments so large that a batch fits many times over, and index pages in columns.
const LARGE: Scenario = Scenario {
    segments: 8,
    segment_bytes: 256 << 10,
    mix: Mix { ids: 60, operations: 8, content_max: 4000, puts: 60, links: 25, hubs: true },
    batches: 1200,
    ..FILE
};

#[test]
fn any_subset_of_unsynced_writes_loses_no_acknowledged_batch() {
    for seed in 1..=sweep(1, 2) {
        single("file", Scenario { seed, ..FILE }, sweep(3, 1));
    }
}

#[test]
fn every_subset_of_up_to_twelve_unsynced_writes_leaves_the_batches_up_to_some_batch() {
    const MOST: usize = 12;
    for durability in [Durability::EveryBatch, Durability::OnSync] {
        let scenario = Scenario { durability, batches: 150, ..FILE };
        let mut bench = Bench::new(scenario);
        let mut by_count = [0; MOST + 1];
        run(scenario, Thinning::one_in(sweep(3, 1)), |cut, states| {
            let unsynced = cut.unsynced();
            // In the ordinary run, a cut or two with each number of pieces.
            if unsynced > MOST || by_count[unsynced] >= sweep(1 + (32 >> unsynced), u64::MAX) {
                return;
            }
            by_count[unsynced] += 1;
            bench.cuts += 1;
            for mask in 0..1 << unsynced {
                let unsynced = Survivors::Mask(mask);
                let mut device = cut.clone();
                device.power_on_with(Aftermath { unsynced, ..Aftermath::default() });
                bench.boot(device, states, Thinning::NONE);
            }
        });
        bench.report("every subset");
        println!("{durability:?}, cuts with 0 to {MOST} unsynced pieces: {by_count:?}");
        assert!(by_count.iter().all(|cuts| *cuts > 0), "{durability:?}: {by_count:?}");
    }
}

#[test]
fn a_file_that_is_synced_now_and_then_keeps_the_batches_up_to_some_batch() {
    for seed in 1..=2 {
        let scenario = Scenario { seed, durability: Durability::OnSync, ..FILE };
        single("file, on sync", scenario, sweep(6, 1));
    }
}

#[test]
fn a_file_with_large_segments_loses_nothing() {
    for seed in 1..=sweep(1, 2) {
        single("large file", Scenario { seed, ..LARGE }, sweep(200, 40));
    }
}

#[test]
fn a_file_that_is_cut_again_while_it_recovers_loses_nothing() {
    for seed in 1..=sweep(1, 3) {
        let scenario = Scenario { seed, durability: Durability::OnSync, ..FILE };
        let mut bench = Bench::new(scenario);
        // (A cut in every second call of the recoveries from every thirtieth takes hours.)
        run(scenario, Thinning::one_in(sweep(80, 60)), |cut, states| {
            for once in bench.try_all(cut, states, Thinning::one_in(4)) {
                for cut in &once.cuts {
                    bench.try_all(cut, states, Thinning::NONE);
                }
            }
        });
        bench.report("file, nested");
    }
}

#[test]
fn import_on_the_simulator_unsynced_writes_dropped_at_1000_cuts_loses_no_acknowledged_line() {
    const CUTS: usize = 1000;
    // One line at a time: blocks and edges, nothing is ever removed.
    let mix = Mix { ids: 100, operations: 1, content_max: 300, puts: 70, links: 30, hubs: false };
    let scenario = Scenario { segments: 20, mix, batches: 700, ..FILE };
    let mut bench = Bench::new(scenario);
    let (mut cuts, mut dropped) = (0, 0);
    run(scenario, Thinning::one_in(3), |cut, states| {
        if cuts == CUTS {
            return;
        }
        cuts += 1;
        dropped += cut.unsynced();
        let none = Aftermath { unsynced: Survivors::None, ..Aftermath::default() };
        let seeded = aftermaths(cut).pop().unwrap_or_default();
        for aftermath in [none, seeded] {
            let mut device = cut.clone();
            device.power_on_with(aftermath);
            bench.boot(device, states, Thinning::NONE);
        }
    });
    assert_eq!(cuts, CUTS);
    assert!(dropped > CUTS, "only {dropped} pieces were unsynced");
    bench.report("import");
}
