//! What a recorder does at the ends of what it can: gaps and strangers in its store, numbers that run out,
//! room that cannot be made, and storage that fails.
#![cfg(test)]

mod common;

use common::{CAPACITY, FORMAT, GEOMETRY, Scenario};
use flight_recorder::{
    CAUSED_BY, CAUSES_MAX, Event, GO_MAX, Number, PAYLOAD_BYTES_MAX, Recorder, StartError, id_of,
};
use kausaldb::log::LogError;
use kausaldb::state::Limit;
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, Durability, ReadError, Storage,
    StorageEngine, WriteError, format,
};
use kausaldb_sim::{Aftermath, Fault, Shared, SimNor, Survivors, When};
use std::mem::MaybeUninit;

const SCENARIO: Scenario = Scenario { seed: 3, events: 40 };

fn device() -> SimNor {
    let mut device = SimNor::new(GEOMETRY, 3).expect("geometry");
    format(&mut device, &FORMAT).expect("format");
    device.reopen();
    device
}

fn region() -> &'static mut [MaybeUninit<u8>] {
    vec![MaybeUninit::new(0xA5); CAPACITY.region_bytes()].leak()
}

fn open<S: Storage>(storage: S) -> Recorder<'static, S> {
    Recorder::open(storage, region(), CAPACITY, Config::default()).expect("open")
}

/// A device with these ids, each with an event's block.
fn device_with(ids: &[BlockId]) -> SimNor {
    let opened = StorageEngine::open(device(), region(), CAPACITY, Config::default());
    let mut engine = opened.expect("open");
    for id in ids {
        let (source_uri, metadata, content) = ("", &[7; 10], &[7; 5]);
        let block = ContextBlock { id: *id, version: 1, source_uri, metadata, content };
        engine.put(&block).expect("put");
    }
    let (mut device, closed) = engine.close();
    closed.expect("close");
    device.reopen();
    device
}

fn told<S: Storage>(recorder: &mut Recorder<'_, S>) -> Vec<(Number, bool)> {
    let mut told = Vec::new();
    recorder.newest_first(|number, event| {
        told.push((number, event.is_ok()));
        true
    });
    told
}

/// As a repair leaves them where segments were lost.
#[test]
fn gaps_are_passed_by_however_wide_they_are() {
    let numbers = [3, 4, 1 << 40, (1 << 40) + 1, 1 << 62];
    let mut recorder = open(device_with(&numbers.map(id_of)));
    assert_eq!((recorder.oldest(), recorder.next()), (3, (1 << 62) + 1));
    assert!(told(&mut recorder).into_iter().eq(numbers.into_iter().rev().map(|n| (n, true))));
    let event = Event::new(0, 0, &[]);
    // The causes lie in the gaps, but for one.
    let causes = [5, 1 << 40, 1 << 61];
    let number = recorder.record(&event, &causes).expect("record");
    assert_eq!(recorder.causes(number).expect("causes"), [1 << 40]);
    for _ in 0..CAPACITY.nodes {
        recorder.record(&event, &[number]).expect("record");
    }
    assert!(recorder.oldest() > 1 << 62, "{}", recorder.oldest());
    let kept = recorder.next() - recorder.oldest();
    assert_eq!(told(&mut recorder).len() as u64, kept);
}

#[test]
fn numbers_that_are_spent_are_not_given_again() {
    let mut recorder = open(device_with(&[id_of(Number::MAX - 1)]));
    assert_eq!(recorder.next(), Number::MAX);
    let refused = recorder.record(&Event::new(0, 0, &[]), &[]);
    assert_eq!(refused, Err(WriteError::Log(LogError::NumbersSpent)));
    assert_eq!(told(&mut recorder), [(Number::MAX - 1, true)]);
}

#[test]
fn a_store_with_ids_that_no_event_has_is_refused_and_the_storage_is_still_there() {
    for id in [u128::from(Number::MAX), 1 << 64, u128::MAX].map(BlockId::from_u128) {
        let mut device = device_with(&[id_of(1), id]);
        for _ in 0..2 {
            let refused = Recorder::open(&mut device, region(), CAPACITY, Config::default()).err();
            assert_eq!(refused, Some(StartError::Foreign(id)));
        }
    }
}

/// An event's header is hurt: the storage that was lent is repaired, and the recorder begins.
#[test]
fn a_storage_that_was_lent_to_a_recorder_that_could_not_begin_is_repaired() {
    let mut recorder = open(device());
    SCENARIO.record(&mut recorder).expect("record");
    let (mut device, closed) = recorder.close();
    closed.expect("close");
    let id = id_of(20);
    let hurt = device.image().windows(16).position(|bytes| bytes == id.bytes()).expect("recorded");
    device.image_mut()[hurt..hurt + 16].fill(0x5A);
    device.reopen();
    let refused = Recorder::open(&mut device, region(), CAPACITY, Config::default()).err();
    assert!(matches!(refused, Some(StartError::Read(ReadError::Degraded { .. }))), "{refused:?}");
    device.reopen();
    let engine = StorageEngine::open(&mut device, region(), CAPACITY, Config::default());
    engine.expect("open").repair().expect("repair");
    device.reopen();
    let mut recorder = open(&mut device);
    let kept = told(&mut recorder);
    assert!(kept.into_iter().eq((0..40).rev().filter(|n| *n != 20).map(|n| (n, true))));
    let all = recorder.led_to(39, |number, event| assert!(event.is_ok() && number != 20));
    assert!(all);
}

/// Small events go for the largest, few enough at a time, where the flash is full before the nodes are and
/// where it is not.
#[test]
fn the_largest_event_finds_room_among_the_smallest() {
    for nodes in [CAPACITY.nodes, 2000] {
        let capacity = Capacity { nodes, ..CAPACITY };
        let mut memory = vec![MaybeUninit::new(0xA5); capacity.region_bytes()];
        let opened = Recorder::open(device(), &mut memory, capacity, Config::default());
        let mut recorder = opened.expect("open");
        for _ in 0..1500 {
            recorder.record(&Event::new(0, 0, &[]), &[]).expect("record");
        }
        let mut gone_max = 0;
        for _ in 0..600 {
            let (oldest, number) = (recorder.oldest(), recorder.next());
            let causes = [number - 1, number - 2, number - 3, number - 4];
            recorder.record(&Event::new(0, 0, &[2; PAYLOAD_BYTES_MAX]), &causes).expect("record");
            gone_max = (recorder.oldest() - oldest).max(gone_max);
        }
        let kept = recorder.next() - recorder.oldest();
        println!("{nodes} nodes: at most {gone_max} events went for one, {kept} are kept");
        assert!(gone_max <= u64::from(GO_MAX / 2), "{gone_max} events went for one");
    }
}

/// One event has caused everything since: its list is longer than there are pages for.
#[test]
fn a_cause_that_caused_too_much_costs_no_more_events_than_it_may() {
    let mut recorder = open(device());
    let event = Event::new(0, 0, &[]);
    for _ in 0..60 {
        recorder.record(&event, &[]).expect("record");
    }
    let boot = 59;
    let full = loop {
        let before = (recorder.oldest(), recorder.next());
        if let Err(error) = recorder.record(&event, &[boot]) {
            assert_eq!(recorder.next(), before.1);
            assert_eq!(recorder.oldest(), before.0 + u64::from(GO_MAX));
            break error;
        }
    };
    assert!(matches!(full, WriteError::HubPagesFull { .. }), "{full:?}");
    let next = recorder.next();
    assert_eq!(recorder.record(&event, &[next - 1]), Ok(next), "without that cause it fits");
    let mut scratch = [0; PAYLOAD_BYTES_MAX];
    let reader = recorder.reader(&mut scratch);
    let mut caused = reader.edges(&id_of(boot), Direction::In, Some(CAUSED_BY)).expect("edges");
    let mut effects = 0;
    while caused.next().expect("edge").is_some() {
        effects += 1;
    }
    assert_eq!(effects, next - 60, "each event before was caused by it");
    assert_eq!(recorder.verify().expect("verify").lost, 0);
}

#[test]
fn an_event_that_can_never_fit_costs_no_other() {
    let pending = Capacity { pending_edges: 6, ..CAPACITY };
    let operations = Capacity { batch_operations: CAUSES_MAX as u32, ..CAPACITY };
    let block = Capacity { block_bytes: 32, ..CAPACITY };
    for capacity in [pending, operations, block] {
        let opened = Recorder::open(device(), region(), capacity, Config::default());
        let mut recorder = opened.expect("open");
        for _ in 0..6 {
            recorder.record(&Event::new(0, 0, &[]), &[]).expect("record");
        }
        let refused = recorder.record(&Event::new(0, 0, &[1; 40]), &[2, 3, 4, 5]);
        let (too_many, too_long) = (
            matches!(
                refused,
                Err(WriteError::BatchTooLarge {
                    what: Limit::PendingEdges | Limit::BatchOperations,
                    ..
                })
            ),
            matches!(refused, Err(WriteError::BlockTooLarge { .. })),
        );
        assert!(too_many || too_long, "{refused:?}");
        assert_eq!((recorder.oldest(), recorder.next()), (0, 6));
    }
}

#[test]
fn an_event_is_durable_whatever_the_config_says() {
    let geometry = kausaldb::storage::Geometry { keeps_write_order: false, ..GEOMETRY };
    let mut device = SimNor::new(geometry, 3).expect("geometry");
    format(&mut device, &FORMAT).expect("format");
    device.reopen();
    let config = Config { durability: Durability::OnSync, ..Config::default() };
    let mut recorder = Recorder::open(&mut device, region(), CAPACITY, config).expect("open");
    SCENARIO.record(&mut recorder).expect("record");
    device.cut_at(0);
    assert!(device.sync().is_err());
    device.power_on_with(Aftermath { unsynced: Survivors::None, ..Aftermath::default() });
    assert_eq!(open(device).next(), SCENARIO.events);
}

/// A sync fails, and then a read of the recovery: nothing is recorded before a recovery comes to its end.
#[test]
fn a_recovery_that_fails_half_way_is_tried_again() {
    let (mut reads, mut failed) = (1, 0);
    for call in 0.. {
        let device = Shared::new(device());
        let mut recorder = open(device.clone());
        SCENARIO.record(&mut recorder).expect("record");
        let (event, next) = (Event::new(0, 0, &[]), recorder.next());
        device.with(|nor| nor.inject(Fault::FailedSync, When::Call(0)));
        assert!(recorder.record(&event, &[]).is_err());
        assert_eq!(told(&mut recorder).len() as u64, next, "what was read before reads the same");
        let before = device.with(|nor| nor.calls_for(Fault::FailedRead));
        device.with(|nor| nor.inject(Fault::FailedRead, When::Call(call)));
        let recovered = recorder.recover();
        device.with(SimNor::mend);
        if recovered.is_err() {
            failed += 1;
            assert_eq!(recorder.record(&event, &[]), Err(WriteError::NeedsRecovery), "read {call}");
            assert_eq!(told(&mut recorder), [(next - 1, false)], "read {call}");
            recorder.recover().unwrap_or_else(|error| panic!("read {call}: {error}"));
        } else {
            reads = device.with(|nor| nor.calls_for(Fault::FailedRead)) - before;
        }
        let found = recorder.next();
        assert!((next..=next + 1).contains(&found), "read {call}: {found} after {next}");
        assert_eq!(recorder.record(&event, &[found - 1]), Ok(found), "read {call}");
        if call == reads {
            break;
        }
    }
    println!("{failed} of {reads} recoveries failed");
    assert!(failed > SCENARIO.events, "{failed} of {reads} recoveries failed");
}
