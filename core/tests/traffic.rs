//! Flash traffic per operation: what finds, misses, updates and an opening ask of 64 sectors of 4 KiB that
//! hold a thousand blocks of 100 bytes, and are half full. Counts only: the figures are the same everywhere.
//!
//! `--nocapture` shows them. Where a bound is looser than the aim, the test says which and why.
#![cfg(test)]

use crate::common::{Random, open};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, Stats, StorageEngine, StoreId, Verify,
    format,
};
use kausaldb_sim::{Counts, SimNor};

const BLOCKS: u64 = 1_000;
const CONTENT_BYTES: usize = 100;
const UPDATES: u64 = 5_000;
const SEGMENTS: u32 = 64;
const SEGMENT_BYTES: u32 = 4096;
const SEGMENT_HEADER_BYTES: u64 = 80;
const CAPACITY: Capacity =
    Capacity { nodes: 1_100, segments: SEGMENTS, segment_bytes: SEGMENT_BYTES, ..Capacity::SMALL };

type Engine = StorageEngine<'static, SimNor>;

fn id(n: u64) -> BlockId {
    BlockId::from_u128(u128::from(n) * 0x1_0000_0001_0000_0001 + 1)
}

fn put(engine: &mut Engine, n: u64, version: u64) {
    let (source_uri, metadata, content) = ("", &[][..], &[7; CONTENT_BYTES][..]);
    let block = ContextBlock { id: id(n), version, source_uri, metadata, content };
    engine.put(&block).expect("put");
}

/// A store without blocks.
fn empty(verify: Verify) -> Engine {
    let geometry = Geometry {
        capacity_bytes: u64::from(SEGMENTS * SEGMENT_BYTES),
        erase_bytes: SEGMENT_BYTES,
        write_bytes: 1,
        erased: Erased::Ones,
        keeps_write_order: true,
    };
    let mut device = SimNor::new(geometry, 1).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(7), segment_bytes: SEGMENT_BYTES };
    format(&mut device, &options).expect("format");
    device.reopen();
    open(device, CAPACITY, Config { verify, ..Config::default() }).expect("opens")
}

/// A store with all blocks.
fn loaded(verify: Verify) -> Engine {
    let mut engine = empty(verify);
    (0..BLOCKS).for_each(|n| put(&mut engine, n, 1));
    engine
}

fn update(engine: &mut Engine, random: &mut Random, version: u64) {
    put(engine, random.below(BLOCKS), version);
}

/// A store in which every block was updated some times, and the ring has turned.
fn updated(verify: Verify) -> (Engine, Random) {
    let (mut engine, mut random) = (loaded(verify), Random::new(5));
    (0..UPDATES).for_each(|n| update(&mut engine, &mut random, 2 + n));
    (engine, random)
}

/// What was asked of the storage since `before`.
fn since(engine: &Engine, before: Counts) -> Counts {
    let now = engine.storage().counts();
    Counts {
        reads: now.reads - before.reads,
        bytes_read: now.bytes_read - before.bytes_read,
        writes: now.writes - before.writes,
        bytes_written: now.bytes_written - before.bytes_written,
        erases: now.erases - before.erases,
        syncs: now.syncs - before.syncs,
    }
}

/// A block's record, in bytes: all are as long as any other.
fn record_bytes(stats: &Stats) -> u64 {
    stats.live_bytes / BLOCKS
}

/// The most reads, and the most bytes, of any find of a block that is there.
fn dearest_hit(engine: &mut Engine) -> (u64, u64) {
    let mut scratch = [0; CONTENT_BYTES + 4];
    let mut most = (0, 0);
    for n in 0..BLOCKS {
        let before = engine.storage().counts();
        let found = engine.find_into(&id(n), &mut scratch).expect("find");
        assert_eq!(found.expect("it is there").content(), [7; CONTENT_BYTES]);
        let cost = since(engine, before);
        most = (most.0.max(cost.reads), most.1.max(cost.bytes_read));
    }
    most
}

#[test]
fn a_hit_takes_two_reads_and_no_more_than_64_bytes_beside_its_record() {
    let check = |engine: &mut Engine, what: &str| {
        let (reads, bytes) = dearest_hit(engine);
        println!("{what}: {reads} reads and {bytes} bytes at most");
        assert!(reads <= 2, "{what}: {reads} reads");
        assert!(bytes <= record_bytes(&engine.stats()) + 64, "{what}: {bytes} bytes");
    };
    check(&mut loaded(Verify::EveryRead), "every read checked, after the load");
    check(&mut updated(Verify::EveryRead).0, "every read checked, after updates");
    check(&mut updated(Verify::Never).0, "no read checked");
    // The first read in a sealed segment checks all of it, once.
    let (mut engine, _) = updated(Verify::FirstRead);
    dearest_hit(&mut engine);
    check(&mut engine, "first reads checked, when all were");
}

#[test]
fn the_first_read_in_a_segment_reads_all_of_it_once() {
    let (mut engine, _) = updated(Verify::FirstRead);
    let before = engine.storage().counts();
    dearest_hit(&mut engine);
    let first = since(&engine, before);
    let before = engine.storage().counts();
    dearest_hit(&mut engine);
    let later = since(&engine, before);
    let more = first.bytes_read - later.bytes_read;
    println!("all first reads take {more} bytes more");
    // Headers are looked for in more bytes than they have.
    let live = u64::from(engine.stats().segments_live);
    assert!(more <= live * u64::from(SEGMENT_BYTES) * 5 / 4, "{more} bytes for {live} segments");
}

#[test]
fn a_miss_reads_nothing() {
    let (mut engine, _) = updated(Verify::EveryRead);
    let before = engine.storage().counts();
    for n in BLOCKS..2 * BLOCKS {
        assert!(!engine.contains(&id(n)).expect("contains"));
        assert!(engine.find_into(&id(n), &mut []).expect("find").is_none());
    }
    assert_eq!(since(&engine, before).reads, 0);
}

#[test]
fn an_update_writes_at_most_1_7_times_what_it_is_given() {
    let (mut engine, mut random) = updated(Verify::EveryRead);
    let (before, given) = (engine.storage().counts(), engine.stats().given_bytes);
    (0..UPDATES).for_each(|n| update(&mut engine, &mut random, n));
    let (cost, given) = (since(&engine, before), engine.stats().given_bytes - given);
    assert_eq!(given, UPDATES * (16 + 8 + CONTENT_BYTES as u64), "id, version and content");
    let ratio = cost.bytes_written as f64 / given as f64;
    let read = cost.bytes_read / UPDATES;
    println!("{ratio:.2} bytes written for each given, {read} read and {} erases", cost.erases);
    assert!(ratio <= 1.7, "{ratio} bytes are written for each given");
    assert!(read <= 200, "{read} bytes are read for an update");
}

/// Its header is asked for up to four times, and remembered: by the two passes that plan the put, for what it
/// replaces, and for what is charged no longer. What is written is read back, in one look.
#[test]
fn an_update_reads_the_header_of_what_it_replaces_once() {
    let (mut engine, mut random) = (loaded(Verify::EveryRead), Random::new(5));
    let mut seen = 0;
    for n in 0..500 {
        let (before, stats) = (engine.storage().counts(), engine.stats().traffic);
        update(&mut engine, &mut random, 2 + n);
        let (cost, after) = (since(&engine, before), engine.stats().traffic);
        if after.segments_opened == stats.segments_opened {
            assert_eq!((cost.reads, cost.bytes_read), (2, 52), "update {n}");
            seen += 1;
        }
    }
    assert_eq!(engine.stats().traffic.moved_bytes, 0);
    assert!(seen > 400, "{seen} updates opened no segment");
}

/// What one put may move: the formula of `core/docs/limits.md`.
fn moved_max(stats: &Stats, charge: u64) -> u64 {
    let (record, free) = (record_bytes(stats) + 2, u64::from(stats.segments_free));
    let live = BLOCKS * record;
    // Headers, those of an index page included, what tells of the next segment, and the record that
    // retires one.
    let whole = u64::from(SEGMENT_BYTES) - SEGMENT_HEADER_BYTES - 8 - 20 - 18;
    let filled = (whole - whole % record).min(whole - record / 2);
    let usual = (60 * filled).saturating_sub(live + filled).clamp(filled, 5 * filled);
    let most = whole + 18;
    let turn = (u64::from(SEGMENTS) - free) * (most - most % record - filled + filled / 128);
    // What is left of the open segment is not told: it is taken for nothing.
    let left = free.saturating_sub(4) * filled;
    let late = left.saturating_sub(filled + turn).max(filled / 2);
    let over = usual.min(2 * late);
    let share = if left > charge + usual + filled + turn { 0 } else { charge * live / over };
    // What lives in each segment is rounded up to the next thousandth of one.
    share.max(charge) * 17 / 16 + record
}

#[test]
fn the_dearest_update_takes_one_erase_and_moves_no_more_than_the_bound() {
    let (mut engine, mut random) = updated(Verify::EveryRead);
    let limit = empty(Verify::EveryRead).stats().free_bytes;
    let charge = (limit - engine.stats().free_bytes).div_ceil(BLOCKS);
    let (mut moved, mut written) = (0, 0);
    for n in 0..UPDATES {
        let (before, stats) = (engine.storage().counts(), engine.stats());
        update(&mut engine, &mut random, n);
        let cost = since(&engine, before);
        let moves = engine.stats().traffic.moved_bytes - stats.traffic.moved_bytes;
        let bound = moved_max(&stats, charge);
        assert!(cost.erases <= 1, "update {n}: {} erases", cost.erases);
        assert!(moves <= bound, "update {n}: {moves} bytes moved, {bound} at most");
        (moved, written) = (moves.max(moved), cost.bytes_written.max(written));
    }
    println!("the dearest update moves {moved} bytes and writes {written}");
}

/// Every segment's header once, and 44 bytes a record. Within that bound lies what else is read: of each
/// header once more what makes the store's layout; the newest segment whole, and what lies behind its end;
/// and where a record supersedes another, the header of that one again, for its length.
#[test]
fn an_opening_reads_headers_of_segments_and_records() {
    for (mut engine, what) in
        [(loaded(Verify::EveryRead), "after the load"), (updated(Verify::EveryRead).0, "updated")]
    {
        let records = engine.verify(|_| {}).expect("verify").records;
        let mut device = engine.close().0;
        device.reopen();
        let before = device.counts();
        let engine = open(device, CAPACITY, Config::default()).expect("opens");
        let cost = since(&engine, before);
        println!("{what}: {} bytes for {records} records, {} erases", cost.bytes_read, cost.erases);
        let bound = u64::from(SEGMENTS) * SEGMENT_HEADER_BYTES + 44 * records;
        assert!(cost.bytes_read <= bound, "{what}: {} bytes, {bound} at most", cost.bytes_read);
        assert!(cost.erases <= 2, "{what}: {} erases", cost.erases);
    }
}
