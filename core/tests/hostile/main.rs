//! Hostile media and arbitrary batches, as the fuzzer runs them (`cargo task fuzz`): the same bodies, on its
//! corpus and on thousands of scripts that a seeded generator draws.
//!
//! A failure prints its target and seed; `KAUSAL_ONLY=target.seed` runs that one alone, `KAUSAL_SWEEP=full`
//! many more.
#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;
mod shared;

use common::Random;
use common::power::sweep;
use shared::TARGETS;
use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, panic};

/// Runs a target on the fuzzer's corpus and on so many scripts, to the end, and then names those that failed.
fn run(name: &str, cases: u64) {
    let body = TARGETS.iter().find(|target| target.0 == name).expect("a target").1;
    let only = env::var("KAUSAL_ONLY").ok();
    let mut failed = Vec::new();
    let mut tried = 0;
    let mut run = |what: String, bytes: &[u8]| {
        if only.as_ref().is_none_or(|only| *only == what) {
            tried += 1;
            if panic::catch_unwind(|| body(bytes)).is_err() {
                eprintln!("replay: KAUSAL_SWEEP=full KAUSAL_ONLY={what}");
                failed.push(what);
            }
        }
    };
    for (file, bytes) in corpus(name) {
        run(format!("{name}/{file}"), &bytes);
    }
    for seed in 0..sweep(cases, cases * 10) {
        run(format!("{name}.{seed}"), &script(seed));
    }
    println!("{name}: {tried} media or scripts");
    assert!(failed.is_empty(), "{} failed: {failed:?}", failed.len());
}

fn script(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let len = 16 << random.below(8);
    (0..random.below(len)).map(|_| random.next() as u8).collect()
}

/// What the fuzzer found worth keeping, by name.
fn corpus(name: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).into_iter().flatten().map(|entry| {
        let entry = entry.expect("a folder that can be read");
        let bytes = fs::read(entry.path()).expect("a file that can be read");
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    });
    files.collect()
}

#[test]
fn hostile_media_open_or_are_refused() {
    run("open", 3000);
}

#[test]
fn hostile_media_are_verified_to_their_end() {
    run("verify", 3000);
}

#[test]
fn hostile_media_that_open_go_on() {
    run("recovery", 3000);
}

#[test]
fn arbitrary_bytes_are_records_or_none() {
    run("records", 5000);
}

#[test]
fn hostile_indexes_name_nothing_that_is_not_there() {
    run("indexes", 500);
}

#[test]
fn arbitrary_batches_do_what_the_model_does() {
    run("batches", 2000);
}
