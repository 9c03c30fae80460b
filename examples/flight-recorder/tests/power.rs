//! Power is cut at every step of a recorder that goes round its ring, and comes back in every way in which
//! the step may tear: on flash, and as a file loses what was not synced.
//!
//! A failure prints the device; `kausaldb_sim` says how that line replays it.
#![cfg(test)]

mod common;

use common::Scenario;
use flight_recorder::{GO_MAX, Number, Recorder};
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{Capacity, Config, Durability, FormatOptions, StoreId, format};
use kausaldb_sim::{Aftermath, SimNor, Survivors, TornErase, TornWrite, UnderWay};
use std::mem::MaybeUninit;

/// A ring that turns every few events.
const FLASH: Geometry = Geometry {
    capacity_bytes: 8 * 1024,
    erase_bytes: 1024,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};
const FILE: Geometry = Geometry { erased: Erased::Unknown, keeps_write_order: false, ..FLASH };
const CAPACITY: Capacity = Capacity {
    nodes: 16,
    pending_edges: 16,
    hub_pages: 2,
    segments: 8,
    segment_bytes: 1024,
    block_bytes: 128,
    batch_operations: 5,
    buffer_bytes: 32,
    ..Capacity::SMALL
};
/// Events before the first cut: more than are kept.
const BEFORE: Number = 60;
/// Events during which power is cut.
const CUT: Number = 12;

/// Says on what device the test failed, if it does.
struct Replay(String);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {}", self.0);
        }
    }
}

fn region() -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::new(0xA5); CAPACITY.region_bytes()]
}

/// A device on which the oldest events are gone already.
fn filled(geometry: Geometry, scenario: Scenario) -> SimNor {
    let mut device = SimNor::new(geometry, scenario.seed).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(7), segment_bytes: 1024 };
    format(&mut device, &options).expect("format");
    device.reopen();
    let before = Scenario { events: BEFORE, ..scenario };
    let summary = before.run(&mut device, &mut region(), CAPACITY).expect("before");
    assert!(summary.oldest > 0 && summary.told > 8 && summary.wrong == 0, "{summary:?}");
    device.reopen();
    device
}

/// What is known when power goes: the oldest number before the call, and the number that comes next.
type Ends = (Number, Number);

/// Records until power is cut, or all is recorded; returns what was acknowledged, if the store opened.
fn record_until_cut(device: &mut SimNor, scenario: Scenario) -> Option<Ends> {
    let mut region = region();
    // Durable all the same.
    let config = Config { durability: Durability::OnSync, ..Config::default() };
    let mut recorder = Recorder::open(device, &mut region, CAPACITY, config).ok()?;
    loop {
        let (oldest, number) = (recorder.oldest(), recorder.next());
        if number == scenario.events
            || recorder.record(&scenario.event(number), &scenario.causes(number)).is_err()
        {
            return Some((oldest, number));
        }
    }
}

/// Every way in which the step can tear at which this device was cut.
fn aftermaths(cut: &SimNor) -> Vec<Aftermath> {
    let all = Aftermath::default();
    let with = |unsynced| Aftermath { unsynced, ..all };
    let written = |write: &TornWrite| Aftermath { write: *write, ..all };
    let erased = |erase: &TornErase| Aftermath { erase: *erase, ..all };
    match cut.under_way() {
        _ if !cut.geometry().keeps_write_order => match cut.unsynced() {
            few @ 0..=3 => (0..1 << few).map(|mask| with(Survivors::Mask(mask))).collect(),
            _ => {
                let drawn = std::iter::repeat_n(Survivors::Seeded, 4);
                [Survivors::All, Survivors::None].into_iter().chain(drawn).map(with).collect()
            }
        },
        Some(UnderWay::Write) => TornWrite::WAYS.iter().map(written).collect(),
        Some(UnderWay::Erase) => TornErase::WAYS.iter().map(erased).collect(),
        _ => vec![all],
    }
}

/// What was acknowledged is there, and the recorder goes on.
fn boot(mut device: SimNor, scenario: Scenario, (oldest, next): Ends) {
    let _replay = Replay(format!("{device}, {scenario:?}"));
    let mut region = region();
    let mut recorder =
        Recorder::open(&mut device, &mut region, CAPACITY, Config::default()).expect("open");
    let found = recorder.next();
    assert!((next..=next + 1).contains(&found), "{found} comes next in place of {next}");
    let gone = recorder.oldest().checked_sub(oldest).expect("an event that had gone is back");
    assert!(gone <= u64::from(GO_MAX), "{gone} events are gone");
    for more in [0, 4] {
        let scenario = Scenario { events: found + more, ..scenario };
        scenario.record(&mut recorder).expect("record");
        let summary = scenario.ask(&mut recorder);
        assert_eq!((summary.next, summary.wrong), (found + more, 0), "{summary:?}");
        assert_eq!(summary.told, summary.next - summary.oldest, "{summary:?}");
    }
    let findings = recorder.verify().expect("verify");
    assert_eq!(findings.lost, 0);
    assert!(device.violations().is_empty(), "{:?}", device.violations());
}

fn cut_at_every_step(geometry: Geometry) {
    let seed = 1;
    let scenario = Scenario { seed, events: BEFORE + CUT };
    let filled = filled(geometry, scenario);
    let at_first = {
        let mut device = filled.clone();
        let mut region = region();
        let opened = Recorder::open(&mut device, &mut region, CAPACITY, Config::default());
        let recorder = opened.expect("open");
        (recorder.oldest(), recorder.next())
    };
    let mut whole = filled.clone();
    assert_eq!(record_until_cut(&mut whole, scenario).map(|ends| ends.1), Some(scenario.events));
    let steps = whole.steps() - filled.steps();
    let mut boots = 0;
    for step in 0..steps {
        let mut cut = filled.clone();
        cut.cut_at(step);
        let ends = record_until_cut(&mut cut, scenario).unwrap_or(at_first);
        for aftermath in aftermaths(&cut) {
            let mut device = cut.clone();
            device.power_on_with(aftermath);
            boot(device, scenario, ends);
            boots += 1;
        }
    }
    println!("seed {seed}: {steps} cuts, {boots} boots");
    assert!(boots > 1000, "{boots} boots");
}

#[test]
fn a_cut_at_any_step_of_flash_loses_no_event() {
    cut_at_every_step(FLASH);
}

#[test]
fn a_cut_at_any_step_of_a_file_loses_no_event() {
    cut_at_every_step(FILE);
}
