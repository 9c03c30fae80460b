//! Whatever is done to the power: what was acknowledged is there, the oldest goes first, and causes are
//! found.
#![cfg(test)]

mod common;

use common::{CAPACITY, FORMAT, GEOMETRY};
use flight_recorder::{CAUSES_MAX, Event, Number, Recorder, StartError};
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{
    BlockId, Config, ContextBlock, FormatOptions, StorageEngine, StoreId, WriteError, format,
};
use kausaldb_sim::{Fault, SimNor, When};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;

fn device(seed: u64) -> SimNor {
    device_of(GEOMETRY, seed)
}

fn device_of(geometry: Geometry, seed: u64) -> SimNor {
    let mut device = SimNor::new(geometry, seed).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(seed.into()), ..FORMAT };
    format(&mut device, &options).expect("format");
    device.reopen();
    device
}

/// What the event with this number says, and what caused it.
fn expected(number: Number) -> (Event, Vec<Number>) {
    let payload = vec![number as u8; (number * 7 % 60) as usize];
    let causes = (1..=1 + number % 4).filter_map(|back| number.checked_sub(back * back)).collect();
    (Event::new(number * 1000, (number % 5) as u16, &payload), causes)
}

fn region() -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::new(0xA5); CAPACITY.region_bytes()]
}

/// Everything that the recorder tells is as it was recorded.
fn check<S: Storage>(recorder: &mut Recorder<'_, S>) {
    let (oldest, next) = (recorder.oldest(), recorder.next());
    let mut told = Vec::new();
    recorder.newest_first(|number, event| {
        told.push(number);
        *event.expect("event") == expected(number).0
    });
    assert!(told.iter().copied().eq((oldest..next).rev()), "{oldest}..{next}: {told:?}");
    let mut reached: BTreeMap<Number, BTreeSet<Number>> = BTreeMap::new();
    for number in oldest..next {
        let causes: BTreeSet<Number> =
            expected(number).1.into_iter().filter(|cause| *cause >= oldest).collect();
        let known: BTreeSet<Number> =
            recorder.causes(number).expect("causes").into_iter().collect();
        assert_eq!(known, causes, "of event {number}");
        let mut all: BTreeSet<Number> =
            causes.iter().flat_map(|cause| reached[cause].clone()).collect();
        all.insert(number);
        reached.insert(number, all);
    }
    for number in (oldest..next).rev().take(5) {
        let mut told = Vec::new();
        let all = recorder.led_to(number, |number, _| told.push(number));
        let expected: Vec<Number> = reached[&number].iter().rev().copied().collect();
        assert!(all && told == expected, "{told:?} led to {number}, and not {expected:?}");
    }
}

#[test]
fn the_oldest_events_go_when_the_store_is_full() {
    let mut memory = region();
    let mut recorder =
        Recorder::open(device(1), &mut memory, CAPACITY, Config::default()).expect("open");
    for number in 0..2000 {
        let (event, causes) = expected(number);
        assert_eq!(recorder.record(&event, &causes).expect("record"), number);
        if number % 100 == 99 {
            check(&mut recorder);
            // In 8 KiB of memory and 64 KiB of flash, for as long as anybody records.
            let events = recorder.oldest()..recorder.next();
            let edges: usize =
                events.clone().map(|number| causes_kept(&mut recorder, number)).sum();
            let enough = number < 250 || (events.end - events.start >= 200 && edges >= 400);
            assert!(enough, "{edges} causes of events {events:?}");
        }
    }
    let kept = recorder.next() - recorder.oldest();
    let findings = recorder.verify().expect("verify");
    assert_eq!((findings.lost, findings.harmless), (0, 0));
    let (storage, closed) = recorder.close();
    closed.expect("close");
    let mut memory = region();
    let mut again =
        Recorder::open(storage, &mut memory, CAPACITY, Config::default()).expect("open");
    assert_eq!((again.next(), again.next() - again.oldest()), (2000, kept));
    check(&mut again);
}

fn causes_kept(recorder: &mut Recorder<'_, SimNor>, number: Number) -> usize {
    recorder.causes(number).expect("causes").len()
}

/// The body of an event is hurt: it is told as an error, and the others as they are.
#[test]
fn an_event_that_is_damaged_does_not_end_the_story() {
    let mut memory = region();
    let mut recorder =
        Recorder::open(device(4), &mut memory, CAPACITY, Config::default()).expect("open");
    for number in 0..40 {
        let (event, causes) = expected(number);
        recorder.record(&event, &causes).expect("record");
    }
    let (mut storage, closed) = recorder.close();
    closed.expect("close");
    let (hurt, payload) = (33, expected(33).0.payload);
    let at = storage.image().windows(payload.len()).position(|bytes| bytes == payload.as_slice());
    let at = at.expect("it was recorded");
    storage.image_mut()[at..at + 8].fill(0x5A);
    storage.reopen();
    let mut memory = region();
    let mut again =
        Recorder::open(storage, &mut memory, CAPACITY, Config::default()).expect("open");
    let mut told = Vec::new();
    again.newest_first(|number, event| {
        assert_eq!(event.is_err(), number == hurt, "{number}");
        told.push(number);
        true
    });
    assert!(told.into_iter().eq((0..40).rev()));
    let (mut told, mut errors) = (0, 0);
    assert!(again.led_to(39, |_, event| if event.is_ok() { told += 1 } else { errors += 1 }));
    assert!(told > 20 && errors == 1, "{told} told, {errors} not");
}

#[test]
fn a_store_that_is_somebody_elses_is_refused() {
    let mut memory = region();
    let storage = device(5);
    let mut engine =
        StorageEngine::open(storage, &mut memory, CAPACITY, Config::default()).expect("open");
    let id = BlockId::from_u128(1 << 64 | 7);
    let (source_uri, metadata, content) = ("", &[][..], &[][..]);
    engine.put(&ContextBlock { id, version: 1, source_uri, metadata, content }).expect("put");
    let (mut storage, closed) = engine.close();
    closed.expect("close");
    for _ in 0..2 {
        let mut memory = region();
        let refused = Recorder::open(&mut storage, &mut memory, CAPACITY, Config::default()).err();
        assert_eq!(refused, Some(StartError::Foreign(id)));
    }
}

/// A call of the storage fails: nothing more is recorded before the recovery, and then it goes on.
#[test]
fn a_recorder_recovers_from_an_error_of_the_storage() {
    let mut failed = 0;
    for (fault, calls) in
        [(Fault::FailedWrite, 150), (Fault::FailedSync, 60), (Fault::FailedErase, 4)]
    {
        for call in 0..calls {
            let mut device = device(6);
            device.inject(fault, When::Call(call));
            let mut memory = region();
            let opened = Recorder::open(&mut device, &mut memory, CAPACITY, Config::default());
            let Ok(mut recorder) = opened else { continue };
            while recorder.next() < 60 {
                let number = recorder.next();
                let (event, causes) = expected(number);
                if recorder.record(&event, &causes).is_ok() {
                    continue;
                }
                failed += 1;
                assert!(recorder.record(&event, &causes).is_err(), "{fault:?} at {call}");
                recorder.recover().expect("recover");
                let next = recorder.next();
                assert!((number..=number + 1).contains(&next), "{fault:?} at {call}: {next}");
                check(&mut recorder);
            }
            check(&mut recorder);
        }
    }
    assert!(failed > 100, "{failed} calls failed");
}

/// The newest event's header is hurt: its number is not given again.
#[test]
fn a_recorder_does_not_begin_where_nobody_knows_which_event_was_the_last() {
    let mut memory = region();
    let mut recorder =
        Recorder::open(device(3), &mut memory, CAPACITY, Config::default()).expect("open");
    for number in 0..5 {
        let (event, causes) = expected(number);
        recorder.record(&event, &causes).expect("record");
    }
    let (mut storage, closed) = recorder.close();
    closed.expect("close");
    // The id of event 4 stands in the headers of its block and of nothing else.
    let id = BlockId::from_u128(4);
    let at: Vec<usize> = storage
        .image()
        .windows(16)
        .enumerate()
        .filter(|(_, bytes)| *bytes == id.bytes())
        .map(|found| found.0)
        .collect();
    assert!(!at.is_empty());
    at.iter().for_each(|at| storage.image_mut()[*at..at + 16].fill(0x5A));
    storage.reopen();
    let mut memory = region();
    let again = Recorder::open(storage, &mut memory, CAPACITY, Config::default());
    assert!(matches!(again.err(), Some(StartError::Read(_))));
}

#[test]
fn events_beyond_what_fits_into_an_event_are_cut_to_it() {
    let mut memory = region();
    let mut recorder =
        Recorder::open(device(2), &mut memory, CAPACITY, Config::default()).expect("open");
    let long = Event::new(1, 2, &[7; 300]);
    for number in 0..8 {
        recorder.record(&long, &[0, 1, 2, 3, 4, 5, 6, 7]).expect("record");
        let causes = recorder.causes(number).expect("causes").len();
        assert_eq!(causes, (number as usize).min(CAUSES_MAX));
    }
    assert_eq!(recorder.event(3).expect("event"), Some(long));
    assert_eq!(recorder.event(8).expect("event"), None);
}

#[test]
fn no_event_that_was_acknowledged_is_lost_when_power_is_cut() {
    cut_again_and_again(GEOMETRY);
}

/// As a file keeps what was not synced: any of it, in any order.
#[test]
fn no_event_that_was_acknowledged_is_lost_when_power_is_cut_over_a_file() {
    cut_again_and_again(Geometry { erased: Erased::Unknown, keeps_write_order: false, ..GEOMETRY });
}

fn cut_again_and_again(geometry: Geometry) {
    for seed in 0..8 {
        let mut device = device_of(geometry, seed);
        let mut acknowledged: Option<Number> = None;
        let mut memory = region();
        for boot in 0..60 {
            device.cut_at(seed * 13 + boot * 97 % 700);
            let opened = Recorder::open(&mut device, &mut memory, CAPACITY, Config::default());
            if let Ok(mut recorder) = opened {
                loop {
                    let (event, causes) = expected(recorder.next());
                    match recorder.record(&event, &causes) {
                        Ok(number) => acknowledged = Some(number),
                        Err(WriteError::Log(_)) => break,
                        Err(error) => panic!("{error}: {device}"),
                    }
                }
            }
            device.power_on();
            let looked_at = device.clone();
            let mut memory = region();
            let mut recorder = Recorder::open(looked_at, &mut memory, CAPACITY, Config::default())
                .unwrap_or_else(|error| panic!("{error}: {device}"));
            let next = acknowledged.map_or(0, |number| number + 1);
            let found = recorder.next();
            assert!(found == next || found == next + 1, "{found} in place of {next}: {device}");
            check(&mut recorder);
        }
        assert!(acknowledged > Some(100), "the power was cut too early: {acknowledged:?}");
    }
}
