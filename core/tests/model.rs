//! Random batches against a plain model, on simulated media that enforce their rules: what the
//! store shows is what the model holds, after every batch, after reopening, and through many turns
//! of the ring.
#![cfg(test)]

use crate::common::{Mix, Model, Random, check, open, verify};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{Capacity, Config, FormatOptions, StoreId, WriteError, format};
use kausaldb_sim::SimNor;

#[derive(Clone, Copy, Debug)]
struct Setup {
    segments: u32,
    segment_bytes: u32,
    erase_bytes: u32,
    write_bytes: u32,
    ordered: bool,
}

fn geometry(setup: Setup) -> Geometry {
    Geometry {
        capacity_bytes: u64::from(setup.segments) * u64::from(setup.segment_bytes),
        erase_bytes: setup.erase_bytes,
        write_bytes: setup.write_bytes,
        erased: if setup.ordered { Erased::Ones } else { Erased::Unknown },
        keeps_write_order: setup.ordered,
    }
}

fn capacity() -> Capacity {
    Capacity {
        nodes: 64,
        pending_edges: 16,
        hub_pages: 16,
        segment_bytes: 1 << 20,
        batch_bytes: 1 << 20,
        block_bytes: 1 << 16,
        ..Capacity::SMALL
    }
}

/// Runs random batches; returns how many were written, and how many found the store full.
fn run(seed: u64, setup: Setup, mix: Mix, batches: u32) -> (u32, u32) {
    let what = format!("seed {seed}, {setup:?}, {mix:?}");
    // `EVERY=1` compares after every batch.
    let every = std::env::var("EVERY").ok().and_then(|every| every.parse().ok()).unwrap_or(50);
    let mut random = Random::new(seed);
    let mut storage = SimNor::new(geometry(setup), seed).expect("geometry");
    let options =
        FormatOptions { store: StoreId::from_u128(7), segment_bytes: setup.segment_bytes };
    format(&mut storage, &options).expect("format");
    let mut engine = open(storage, capacity(), Config::default()).expect("open");
    let mut model = Model::default();
    let (mut version, mut written, mut full) = (0, 0, 0);
    for batch in 0..batches {
        let what = format!("{what}, batch {batch}");
        let ops = mix.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
        let mut next = model.clone();
        let expected = next.apply(&ops);
        match engine.write(&operations) {
            Ok(_) => {
                assert!(expected, "{what}: an expectation was not checked");
                model = next;
                written += 1;
            }
            Err(WriteError::Conflict { .. }) => {
                assert!(!expected, "{what}: a conflict that is none")
            }
            Err(WriteError::Full { .. } | WriteError::BatchTooLarge { .. }) => full += 1,
            Err(error) => panic!("{what}: {error}: {ops:?}"),
        }
        if random.one_in(every) {
            verify(&mut engine, &format!("{what}: {ops:?}"));
            check(&mut engine, &model, &mix, &format!("{what}: {ops:?}"));
        }
        if random.one_in(40) {
            let (mut storage, closed) = engine.close();
            closed.expect("close");
            assert!(storage.violations().is_empty(), "{what}: {:?}", storage.violations());
            storage.reopen();
            engine = open(storage, capacity(), Config::default())
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(engine.stats().damaged, 0, "{what}, reopened");
            verify(&mut engine, &format!("{what}, reopened"));
            check(&mut engine, &model, &mix, &format!("{what}, reopened"));
        }
    }
    check(&mut engine, &model, &mix, &what);
    verify(&mut engine, &what);
    assert!(
        engine.storage().violations().is_empty(),
        "{what}: {:?}",
        engine.storage().violations()
    );
    (written, full)
}

const SMALL: Setup =
    Setup { segments: 16, segment_bytes: 4096, erase_bytes: 4096, write_bytes: 4, ordered: true };

#[test]
fn a_store_on_nor_flash_shows_what_the_model_holds() {
    for seed in 0..40 {
        let (written, _) = run(seed, SMALL, Mix::default(), 400);
        assert!(written > 200);
    }
}

#[test]
fn hubs_page_and_unpage() {
    for seed in 0..20 {
        let mix =
            Mix { ids: 60, links: 60, puts: 15, hubs: true, content_max: 40, ..Mix::default() };
        let setup = Setup { segments: 32, segment_bytes: 2048, erase_bytes: 1024, ..SMALL };
        run(seed, setup, mix, 600);
    }
}

#[test]
fn a_store_on_a_file_shows_what_the_model_holds() {
    for seed in 0..8 {
        let setup = Setup {
            segments: 10,
            segment_bytes: 256 << 10,
            erase_bytes: 4096,
            write_bytes: 1,
            ordered: false,
        };
        let mix = Mix { content_max: 8000, ..Mix::default() };
        run(seed, setup, mix, 600);
    }
}

#[test]
fn a_nearly_full_store_refuses_and_goes_on() {
    let mut refused = 0;
    for seed in 0..10 {
        let setup = Setup { segments: 10, ..SMALL };
        let mix = Mix { ids: 50, content_max: 700, puts: 70, links: 15, ..Mix::default() };
        refused += run(seed, setup, mix, 500).1;
    }
    assert!(refused > 20, "the store was full only {refused} times");
}

#[test]
fn every_write_size_works() {
    for write_bytes in [1, 2, 8, 16, 32, 256] {
        let segment_bytes = 4096.max(64 * write_bytes);
        let setup =
            Setup { segment_bytes, erase_bytes: segment_bytes, write_bytes, segments: 24, ..SMALL };
        run(u64::from(write_bytes), setup, Mix { ids: 20, ..Mix::default() }, 400);
    }
}

#[test]
fn a_full_store_can_be_emptied() {
    for seed in 0..6 {
        let setup = Setup { segments: 10, ..SMALL };
        let what = format!("seed {seed}");
        let mix = Mix { ids: 60, content_max: 700, puts: 60, links: 40, ..Mix::default() };
        let mut random = Random::new(seed);
        let mut storage = SimNor::new(geometry(setup), seed).expect("geometry");
        let options =
            FormatOptions { store: StoreId::from_u128(7), segment_bytes: setup.segment_bytes };
        format(&mut storage, &options).expect("format");
        let mut engine = open(storage, capacity(), Config::default()).expect("open");
        let (mut model, mut version, mut full) = (Model::default(), 0, 0);
        while full < 20 {
            let ops = mix.batch(&mut random, &mut version);
            let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
            match engine.write(&operations) {
                Ok(_) => assert!(model.apply(&ops), "{what}"),
                Err(WriteError::Full { .. }) => full += 1,
                Err(_) => {}
            }
        }
        for id in crate::common::all_ids(&mix) {
            engine.delete(&id).unwrap_or_else(|error| panic!("{what}: {id}: {error}"));
        }
        engine.compact(u64::MAX).expect("compact");
        check(&mut engine, &Model::default(), &mix, &what);
        verify(&mut engine, &what);
        let stats = engine.stats();
        assert_eq!((stats.blocks, stats.nodes.used, stats.live_bytes), (0, 0, 0), "{what}");
    }
}
