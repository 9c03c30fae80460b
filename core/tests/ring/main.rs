//! The ring, watched by a model: what the engine asks of its storage is held to the rules of the log, by a
//! program that knows only the media format and those rules.
//!
//! - `decode.rs` reads the format, from its description;
//! - `meaning.rs` knows which record each answer rests on;
//! - `survey.rs` says what an opening must do with what it finds;
//! - `model.rs` follows the ring, call by call; `rules.rs` names what it holds;
//! - `watch.rs` stands between engine and simulator, `session.rs` writes and cuts power.
//!
//! `KAUSAL_SWEEP=full` (`cargo task sweep ring`) cuts power at far more steps; with `KAUSAL_KIND=4` as well,
//! of that one of the seven kinds of store.
#![cfg(test)]
#![allow(unreachable_pub, reason = "the modules of one test")]

#[path = "../common/mod.rs"]
mod common;
mod decode;
mod meaning;
mod model;
#[cfg(feature = "planted")]
mod planted;
mod rules;
mod session;
mod survey;
mod watch;

use common::Mix;
use common::power::{FILE, HUBS, SECTORS, SMALL, Scenario, sweep};
use kausaldb::Durability;
use model::Seen;
use session::Bench;

const NEARLY_FULL: Scenario = Scenario {
    segments: 8,
    mix: Mix { ids: 20, content_max: 330, puts: 85, links: 10, operations: 3, hubs: false },
    ..SMALL
};

/// Batches of several segments.
const LARGE_BATCHES: Scenario = Scenario {
    mix: Mix { ids: 20, content_max: 300, puts: 90, links: 5, operations: 16, hubs: false },
    ..SMALL
};

const SCENARIOS: [(&str, Scenario); 7] = [
    ("flash", SMALL),
    ("nearly full", NEARLY_FULL),
    ("hubs", HUBS),
    ("sectors", SECTORS),
    ("large batches", LARGE_BATCHES),
    ("a file", FILE),
    ("synced now and then", Scenario { durability: Durability::OnSync, ..FILE }),
];

/// All kinds of store, or the one of `KAUSAL_KIND`.
fn scenarios() -> impl Iterator<Item = (&'static str, Scenario)> {
    let only = std::env::var("KAUSAL_KIND").ok();
    let only: Option<usize> = only.map(|kind| kind.parse().expect("KAUSAL_KIND=0 to 6"));
    assert!(only.is_none_or(|only| only < SCENARIOS.len()), "KAUSAL_KIND=0 to 6");
    SCENARIOS
        .into_iter()
        .enumerate()
        .filter(move |(kind, _)| only.is_none_or(|only| only == *kind))
        .map(|(_, kind)| kind)
}

#[cfg_attr(not(feature = "planted"), test)]
fn the_engine_keeps_the_rules_of_the_ring() {
    for (name, scenario) in scenarios() {
        for seed in 1..=sweep(1, 40) {
            let mut bench = Bench::new(Scenario { seed, ..scenario });
            let mut device = bench.device();
            for _ in 0..6 {
                (device, _) = bench.session(device, 60, 0);
            }
            bench.report(name);
        }
    }
}

/// Power cut at one step in so many, in the recovery from that, and in the recovery from that one. (Small
/// words make more steps of the same writes, and a file that is cut is left in many more states.)
fn cut(name: &str, scenario: Scenario, [one_in, again, third]: [u64; 3]) -> Seen {
    let words =
        if scenario.keeps_write_order { u64::from(16 / scenario.write_bytes) } else { sweep(1, 8) };
    let mut bench = Bench::new(scenario);
    let mut device = bench.device();
    for _ in 0..4 {
        let (left, cuts) = bench.session(device, 40, one_in * words);
        device = left;
        bench.try_all(cuts, &[again * words, third * words]);
    }
    bench.report(name);
    bench.seen
}

#[cfg_attr(not(feature = "planted"), test)]
fn the_engine_keeps_the_rules_of_the_ring_when_power_is_cut() {
    let mut seen = Seen::default();
    for (name, scenario) in scenarios() {
        for seed in 1..=sweep(1, 8) {
            let single = [sweep(150, 4), 0, 0];
            seen += cut(name, Scenario { seed, ..scenario }, single);
            let nested = [sweep(1000, 100), sweep(24, 8), sweep(80, 40)];
            seen += cut(name, Scenario { seed, ..scenario }, nested);
        }
    }
    println!("all: {seen}");
    assert!(seen.taken_over > 100 && seen.retired_unproven > 10 && seen.held_back > 100, "{seen}");
}

#[cfg_attr(not(feature = "planted"), test)]
fn the_engine_keeps_the_rules_of_the_ring_when_power_goes_at_every_boot() {
    let mut seen = Seen::default();
    for (name, scenario) in scenarios() {
        seen += boots(name, scenario, sweep(1, 20));
    }
    println!("all: {seen}");
}

/// Boots in a row that each lose power, and sessions that do not, of so many stores.
fn boots(name: &str, scenario: Scenario, seeds: u64) -> Seen {
    let mut seen = Seen::default();
    for seed in 1..=seeds {
        let mut bench = Bench::new(Scenario { seed, ..scenario });
        let device = bench.device();
        let (mut device, _) = bench.session(device, 60, 0);
        for _ in 0..3 {
            device = bench.boots(device, 40);
            (device, _) = bench.session(device, 20, 0);
        }
        bench.report(name);
        seen += bench.seen;
    }
    seen
}
