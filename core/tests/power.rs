//! No acknowledged batch is lost, no batch is partial, and every store opens, whenever power is
//! cut: on flash, at every step of a run, and of the recovery from each cut, and of the recovery
//! from that.
//!
//! `KAUSAL_SWEEP=full` in the environment makes every step a cut point, with more seeds: minutes
//! become hours.
#![cfg(test)]

use crate::common::power::{Bench, HUBS, Replay, SECTORS, SMALL, Scenario, Thinning, run, sweep};
use crate::common::{Mix, Model, Random};
use kausaldb::Durability;
use kausaldb_sim::SimNor;

/// Boots every cut point of one run, or one in so many.
fn single(name: &str, scenario: Scenario, one_in: u64) {
    let mut bench = Bench::new(scenario);
    run(scenario, Thinning::one_in(one_in), |cut, states| {
        bench.try_all(cut, states, Thinning::NONE);
    });
    bench.report(name);
}

/// A cut in the run, a second one in the recovery from it, and a third one in the recovery from
/// that: each at one step in so many.
fn nested(name: &str, scenario: Scenario, one_in: [u64; 3]) {
    cut_thrice(name, scenario, one_in.map(Thinning::one_in));
}

/// Returns how many cuts there were.
fn cut_thrice(name: &str, scenario: Scenario, [first, second, third]: [Thinning; 3]) -> u64 {
    let mut bench = Bench::new(scenario);
    run(scenario, first, |cut, states| {
        for once in bench.try_all(cut, states, second) {
            for cut in &once.cuts {
                for twice in bench.try_all(cut, states, third) {
                    for cut in &twice.cuts {
                        bench.try_all(cut, states, Thinning::NONE);
                    }
                }
            }
        }
    });
    bench.report(name);
    bench.cuts
}

const NEARLY_FULL: Scenario = Scenario {
    segments: 10,
    mix: Mix { ids: 20, content_max: 330, puts: 80, links: 12, operations: 3, hubs: false },
    ..SMALL
};

const LONG_HUBS: Scenario = Scenario { batches: 250, ..HUBS };

const LONG_IN_SECTORS: Scenario =
    Scenario { mix: Mix { content_max: 200, ..SMALL.mix }, batches: 200, ..SECTORS };

const BYTES: Scenario = Scenario { write_bytes: 1, batches: 220, ..SMALL };

/// Every record takes a word of its own.
const PAGES: Scenario = Scenario {
    segments: 14,
    segment_bytes: 8192,
    erase_bytes: 4096,
    write_bytes: 256,
    mix: Mix { operations: 4, content_max: 600, ..SMALL.mix },
    batches: 250,
    ..SMALL
};

/// Records so short that segments hold index pages, though these are bare.
const TINY: Scenario = Scenario {
    segments: 10,
    segment_bytes: 4096,
    erase_bytes: 4096,
    write_bytes: 1,
    mix: Mix { ids: 20, operations: 5, content_max: 3, puts: 45, links: 38, hubs: false },
    batches: 1300,
    ..SMALL
};

/// The same, in segments that are filled soon.
const TINY_FULL: Scenario = Scenario {
    segments: 8,
    segment_bytes: 2048,
    erase_bytes: 2048,
    mix: Mix { ids: 60, operations: 6, content_max: 3, puts: 60, links: 30, hubs: false },
    batches: 700,
    ..TINY
};

#[test]
fn a_cut_loses_nothing_where_segments_hold_bare_pages() {
    for seed in 1..=sweep(1, 4) {
        single("tiny", Scenario { seed, ..TINY }, sweep(1200, 40));
        let wide = Scenario { write_bytes: 16, segment_bytes: 8192, erase_bytes: 8192, ..TINY };
        nested("nested, tiny", Scenario { seed, ..TINY }, [sweep(24_000, 4_000), 250, 1500]);
        nested("nested, tiny, wide", Scenario { seed, ..wide }, [sweep(400, 100), 40, 300]);
        let full = Scenario { seed, ..TINY_FULL };
        nested("nested, tiny, full", full, [sweep(18_000, 3_000), 250, 1500]);
    }
}

#[test]
fn a_cut_at_any_step_loses_nothing() {
    for seed in 1..=sweep(1, 4) {
        single("every step", Scenario { seed, ..SMALL }, 1);
    }
}

#[test]
fn a_cut_loses_nothing_whatever_the_flash_is_like() {
    for seed in 1..=3 {
        single("hubs", Scenario { seed, ..LONG_HUBS }, sweep(12, 3));
        single("sectors", Scenario { seed, ..LONG_IN_SECTORS }, sweep(60, 10));
        single("bytes", Scenario { seed, ..BYTES }, sweep(80, 15));
        single("pages", Scenario { seed, ..PAGES }, sweep(6, 1));
    }
}

#[test]
fn a_cut_in_a_nearly_full_store_loses_nothing() {
    for seed in 1..=4 {
        single("nearly full", Scenario { seed, ..NEARLY_FULL }, sweep(12, 3));
    }
}

#[test]
fn a_cut_between_syncs_leaves_the_batches_up_to_some_batch() {
    for seed in 1..=4 {
        let scenario = Scenario { seed, durability: Durability::OnSync, ..SMALL };
        single("on sync", scenario, sweep(8, 2));
    }
}

#[test]
fn a_cut_in_the_recovery_from_a_cut_loses_nothing() {
    for seed in 1..=2 {
        nested("nested", Scenario { seed, ..SMALL }, [sweep(150, 40), 1, sweep(200, 100)]);
        nested(
            "nested, full",
            Scenario { seed, ..NEARLY_FULL },
            [sweep(400, 100), sweep(2, 1), 100],
        );
        nested("nested, hubs", Scenario { seed, ..LONG_HUBS }, [sweep(400, 100), sweep(4, 1), 50]);
        nested("nested, pages", Scenario { seed, ..PAGES }, [sweep(400, 100), 1, 50]);
    }
}

/// A second cut in every write, erase and sync of the recovery from each first cut, at a random unit of it,
/// and a third at random. (The ordinary run takes some of the first cuts.)
#[test]
fn a_cut_in_every_call_of_the_recovery_from_a_cut_loses_nothing() {
    let at_calls = |name, scenario, ordinary, full| {
        let first = Thinning::one_in(sweep(ordinary, full));
        let (second, third) = (Thinning::calls(1), Thinning::calls(sweep(100, 200)));
        let cuts = cut_thrice(name, scenario, [first, second, third]);
        // Eleven calls of each recovery, and there are some from each first cut.
        assert!(cuts > sweep(40, 4_000), "{name}: {cuts} cuts");
    };
    at_calls("calls", SMALL, 100, 1);
    at_calls("calls, full", NEARLY_FULL, 200, 1);
    at_calls("calls, hubs", LONG_HUBS, 400, 4);
    at_calls("calls, pages", PAGES, 200, 2);
    at_calls("calls, sectors", LONG_IN_SECTORS, 1000, 8);
    at_calls("calls, bytes", BYTES, 2000, 24);
    // Their openings take long.
    if sweep(0, 1) > 0 {
        at_calls("calls, tiny", TINY, 0, 4_000);
    }
}

/// The smallest ring, of the smallest segments.
const SMALLEST: Scenario = Scenario {
    segments: 9,
    segment_bytes: 512,
    erase_bytes: 512,
    write_bytes: 16,
    mix: Mix { ids: 8, operations: 3, content_max: 30, puts: 50, links: 30, hubs: false },
    batches: 60,
    ..SMALL
};

#[test]
fn a_cut_at_any_step_of_any_recovery_of_the_smallest_store_loses_nothing() {
    nested("nested, smallest", SMALLEST, [sweep(50, 1), 1, sweep(40, 4)]);
}

/// Cuts power in 1,000 openings in a row: at the given step of each, or at a random one.
fn boot_loop(bench: &mut Bench, device: &SimNor, model: &Model, at: Option<u64>) {
    const BOOTS: u32 = 1000;
    let states = std::slice::from_ref(model);
    let _replay = Replay(format!("boot loop, cut at {at:?}: {device} in {:?}", bench.scenario));
    let mut random = Random::new(device.steps() + at.unwrap_or(1000));
    let first = bench.boot(device.clone(), states, Thinning::NONE);
    let (free, steps) = (first.free, first.device.steps() - device.steps());
    let mut device = first.device;
    let mut cut_boots = 0;
    let before: u32 = device.erases().iter().sum();
    for _ in 0..BOOTS {
        device.reopen();
        device.cut_at(at.unwrap_or_else(|| random.below(steps)));
        cut_boots += u32::from(bench.is_cut_opening(&mut device));
        device.cancel_cut();
        device.power_on();
    }
    let sectors = bench.scenario.segment_bytes / bench.scenario.erase_bytes;
    let erases = (device.erases().iter().sum::<u32>() - before) / sectors;
    assert!(erases <= 2 * BOOTS + 20, "{erases} erases in {BOOTS} boots, {cut_boots} of them cut");
    let last = bench.boot(device, states, Thinning::NONE);
    assert!(last.free + 1 >= free, "{free} segments were free, then {}", last.free);
    bench.go_on(last.device, model, 30);
}

#[test]
fn a_board_that_loses_power_at_every_boot_loses_nothing_else() {
    let scenarios = [SMALL, NEARLY_FULL, LONG_HUBS, LONG_IN_SECTORS];
    for (seed, scenario) in (1..=2).flat_map(|seed| scenarios.map(|s| (seed, s))) {
        let scenario = Scenario { seed, ..scenario };
        let mut bench = Bench::new(scenario);
        let (mut devices, mut random) = (Vec::<(SimNor, Model)>::new(), Random::new(seed));
        run(scenario, Thinning::one_in(100), |cut, states| {
            if devices.len() < 100 && random.one_in(2) {
                let mut device = cut.clone();
                device.power_on();
                let booted = bench.boot(device, states, Thinning::NONE);
                devices.push((booted.device, states[booted.state].clone()));
            }
        });
        for (device, model) in devices.iter().step_by(sweep(30, 15) as usize) {
            boot_loop(&mut bench, device, model, None);
        }
        for at in (0..60).step_by(sweep(15, 5) as usize) {
            let (device, model) = &devices[random.below(devices.len() as u64) as usize];
            boot_loop(&mut bench, device, model, Some(at));
        }
        bench.report("boot loops");
    }
}

/// A board that wakes up, writes a little, and loses power without a word, again and again.
#[test]
fn a_board_that_writes_a_little_between_cuts_keeps_its_space() {
    for seed in 1..=sweep(3, 20) {
        let scenario = Scenario { seed, mix: Mix { operations: 1, ..SMALL.mix }, ..SMALL };
        let mut bench = Bench::new(scenario);
        let mut random = Random::new(seed);
        let (mut device, mut states) = (scenario.device(), vec![Model::default()]);
        for boot in 0..300 {
            let cut = random.below(60);
            device.cut_at(cut);
            states = bench.write_until_cut(&mut device, &states, boot);
            device.power_on();
        }
        let last = bench.boot(device, &states, Thinning::NONE);
        bench.go_on(last.device, &states[last.state], 30);
        bench.report("little by little");
    }
}
