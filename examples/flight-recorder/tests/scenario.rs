//! The scenario says the same everywhere: over RAM, over simulated flash and over a file, in its answers and
//! in the bytes on media, and as a model says that knows nothing of stores.
#![cfg(test)]

mod common;

use common::{CAPACITY, FORMAT, GEOMETRY, Scenario, Summary};
use kausaldb::storage::{Geometry, RamStorage, Storage};
use kausaldb_file::PositionedFile;
use kausaldb_sim::SimNor;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;

const SCENARIO: Scenario = Scenario { seed: 1, events: 2000 };

fn run<S: Storage>(scenario: Scenario, storage: &mut S) -> Summary {
    kausaldb::format(storage, &FORMAT).expect("format");
    let mut region = vec![MaybeUninit::new(0xA5); CAPACITY.region_bytes()];
    scenario.run(storage, &mut region, CAPACITY).expect("scenario")
}

/// Runs it over RAM; returns the bytes, too.
fn over_ram(scenario: Scenario) -> (Summary, Vec<u8>) {
    let mut bytes = vec![0xFF; GEOMETRY.capacity_bytes as usize];
    let Geometry { erase_bytes, write_bytes, .. } = GEOMETRY;
    let mut storage = RamStorage::new(&mut bytes, erase_bytes, write_bytes).expect("geometry");
    assert_eq!(storage.geometry(), GEOMETRY);
    (run(scenario, &mut storage), bytes)
}

/// What must be answered if these events are kept.
fn expected(scenario: Scenario, oldest: u64) -> (u64, u64, u64) {
    let kept =
        |number: u64| scenario.causes(number).into_iter().filter(move |cause| *cause >= oldest);
    let causes = (oldest..scenario.events).flat_map(kept).count() as u64;
    let mut led_to = BTreeSet::from([scenario.events - 1]);
    for number in (oldest..scenario.events).rev() {
        if led_to.contains(&number) {
            led_to.extend(kept(number));
        }
    }
    (scenario.events - oldest, causes, led_to.len() as u64)
}

#[test]
fn the_answers_are_as_the_seed_says() {
    for seed in 0..20 {
        for events in [1, 50, 600] {
            let scenario = Scenario { seed, events };
            let (summary, _) = over_ram(scenario);
            let Summary { oldest, next, told, causes, led_to, wrong, .. } = summary;
            assert_eq!((next, wrong), (events, 0), "{scenario:?}: {summary:?}");
            let expected = expected(scenario, oldest);
            assert_eq!((told, causes, led_to), expected, "{scenario:?}: {summary:?}");
        }
    }
}

#[test]
fn the_summary_is_what_it_was() {
    let (summary, _) = over_ram(SCENARIO);
    let expected = Summary {
        oldest: 1790,
        next: 2000,
        told: 210,
        causes: 502,
        led_to: 210,
        wrong: 0,
        checksum: 6_574_009_414_731_687_039,
    };
    assert_eq!(summary, expected);
}

#[test]
fn one_geometry_and_one_store_id_give_the_same_bytes_everywhere() {
    let (summary, bytes) = over_ram(SCENARIO);
    let mut nor = SimNor::new(GEOMETRY, 5).expect("geometry");
    assert_eq!(run(SCENARIO, &mut nor), summary);
    assert!(nor.image() == bytes, "simulated flash holds other bytes than RAM");
    assert!(nor.violations().is_empty(), "{:?}", nor.violations());
    let path = std::env::temp_dir().join(format!("kausaldb-scenario-{}", std::process::id()));
    let mut file = PositionedFile::create(&path, GEOMETRY).expect("file");
    let over_file = run(SCENARIO, &mut file);
    // A file that is written to keeps no order, which the segments' headers say.
    let mut unordered = SimNor::new(file.geometry(), 5).expect("geometry");
    file.close();
    let in_file = std::fs::read(&path).expect("read");
    std::fs::remove_file(&path).expect("remove");
    assert_eq!(over_file, summary);
    assert_eq!(run(SCENARIO, &mut unordered), summary);
    assert!(in_file == unordered.image(), "a file holds other bytes than simulated media");
}
