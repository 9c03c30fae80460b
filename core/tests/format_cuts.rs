//! Power cuts while a store is made: the next boot finds it whole, or finds none and makes it.
#![cfg(test)]

use crate::common::region;
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{Capacity, Config, FormatOptions, OpenError, StorageEngine, StoreId, format, probe};
use kausaldb_sim::{Aftermath, SimNor, Survivors, TornErase, TornWrite};

const FLASH: Geometry = Geometry {
    capacity_bytes: 16 * 1024,
    erase_bytes: 512,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};
const FILE: Geometry = Geometry { erased: Erased::Unknown, keeps_write_order: false, ..FLASH };
const OPTIONS: FormatOptions = FormatOptions { store: StoreId::from_u128(7), segment_bytes: 1024 };
const CAPACITY: Capacity =
    Capacity { nodes: 16, segments: 16, segment_bytes: 1024, ..Capacity::SMALL };
/// Boots within which a unit that reads differently each time is settled.
const BOOTS_MAX: u32 = 40;

/// What a device does at each start; whether it has come to a store.
fn boot(device: &mut SimNor) -> bool {
    let found = probe(device.geometry().capacity_bytes, |at, into| device.read(at, into));
    if matches!(found, Err(OpenError::NoStore | OpenError::Log(_))) {
        // Fails where power is cut.
        let _ = format(device, &OPTIONS);
    }
    let mut region = region(&CAPACITY);
    StorageEngine::open(device, &mut region, CAPACITY, Config::default()).is_ok()
}

fn aftermaths() -> impl Iterator<Item = Aftermath> {
    let unsynced = (0..8).map(Survivors::Mask).chain([Survivors::All]);
    let all = Aftermath::default();
    let writes = TornWrite::WAYS.iter().map(move |write| Aftermath { write: *write, ..all });
    let erases = TornErase::WAYS.iter().map(move |erase| Aftermath { erase: *erase, ..all });
    writes.chain(erases).chain(unsynced.map(move |unsynced| Aftermath { unsynced, ..all }))
}

/// Cuts the first boot at each of its steps, up to the end of the format, and `then` looks at what is left.
fn cut_each_step(device: &SimNor, mut then: impl FnMut(SimNor, u64)) {
    let mut whole = device.clone();
    format(&mut whole, &OPTIONS).expect("format");
    for step in 0..=whole.steps() - device.steps() {
        for aftermath in aftermaths() {
            let mut cut = device.clone();
            cut.cut_at(step);
            boot(&mut cut);
            cut.power_on_with(aftermath);
            then(cut, step);
        }
    }
}

fn opens(mut device: SimNor, step: u64) {
    let opened = (0..BOOTS_MAX).any(|_| boot(&mut device));
    assert!(opened, "cut at step {step}: {device}");
    assert!(device.violations().is_empty(), "{:?}", device.violations());
}

#[test]
fn a_cut_at_any_step_of_a_format_leaves_a_store_or_none() {
    for geometry in [FLASH, FILE] {
        cut_each_step(&SimNor::new(geometry, 1).expect("geometry"), opens);
    }
}

#[test]
fn a_format_that_is_cut_again_leaves_a_store_or_none() {
    let device = SimNor::new(FLASH, 2).expect("geometry");
    let mut cuts = 0;
    cut_each_step(&device, |cut, first| {
        if cuts % 7 == 0 {
            cut_each_step(&cut, |again, second| opens(again, first * 1000 + second));
        }
        cuts += 1;
    });
    assert!(cuts > 100, "{cuts} cuts");
}
