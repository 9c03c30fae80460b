//! The whole engine over RAM: load, find, find and clone, miss, scan, edges.
//! `cargo bench -p kausaldb --bench store`.
//!
//! Nothing is written by a medium, so that what is measured is the engine. Times are medians of rounds.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench may stop")]

use kausaldb::storage::RamStorage;
use kausaldb::{
    BlockId, BlockRef, Capacity, Config, ContextBlock, Direction, Durability, EdgeKind,
    FormatOptions, GraphEdge, Operation, Order, StorageEngine, StoreId, Verify, Workspace, format,
};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::Instant;

fn id(n: u64) -> BlockId {
    let spread = u128::from(n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    BlockId::from_u128(spread)
}

fn per(label: &str, count: u64, mut work: impl FnMut()) {
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64 / count as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{label:40} {:10.1} ns", times.get(1).copied().unwrap_or_default());
}

fn first_byte(block: Option<BlockRef<'_>>) -> u8 {
    block.and_then(|block| block.content().first().copied()).expect("content")
}

fn main() {
    let nodes: u64 = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(100_000);
    let bytes = (nodes as usize * 1200).next_multiple_of(4 << 20).max(64 << 20);
    let mut media = vec![0u8; bytes];
    let mut storage = RamStorage::new(&mut media, 4096, 1).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4 << 20 };
    format(&mut storage, &options).expect("format");
    let capacity = Capacity::host(nodes as u32 + 1000, (bytes / (4 << 20)) as u32);
    let mut region = vec![MaybeUninit::uninit(); capacity.region_bytes()];
    println!("{nodes} nodes, media {} MiB, region {} MiB", bytes >> 20, region.len() >> 20);
    let config =
        Config { durability: Durability::OnSync, verify: Verify::FirstRead, ..Config::default() };
    let mut engine = StorageEngine::open(storage, &mut region, capacity, config).expect("open");
    load(&mut engine, nodes);
    reads(&engine, nodes);
    let (storage, closed) = engine.close();
    closed.expect("close");
    let mut region = vec![MaybeUninit::uninit(); capacity.region_bytes()];
    let start = Instant::now();
    let engine = StorageEngine::open(storage, &mut region, capacity, config).expect("open");
    println!("{:40} {:10.1} ms", "open", start.elapsed().as_secs_f64() * 1e3);
    black_box(engine.sequence());
}

/// Blocks of 256 bytes, and four edges for each, in batches of a thousand.
fn load(engine: &mut StorageEngine<'_, RamStorage<'_>>, nodes: u64) {
    let content = vec![b'x'; 256];
    let block = |n: u64| ContextBlock {
        id: id(n),
        version: 1,
        source_uri: "file:///a/source/file/of/ordinary/length.rs#function:name",
        metadata: br#"{"kind":"function","name":"name","lines":[1,20]}"#,
        content: &content,
    };
    let start = Instant::now();
    for first in (0..nodes).step_by(1000) {
        let batch: Vec<_> =
            (first..(first + 1000).min(nodes)).map(|n| Operation::put(block(n))).collect();
        engine.write(&batch).expect("put");
    }
    println!("{:40} {:10.1} ns", "load, a block", start.elapsed().as_nanos() as f64 / nodes as f64);
    let start = Instant::now();
    let edges = nodes * 4;
    for first in (0..edges).step_by(1000) {
        let edge = |n: u64| GraphEdge {
            source: id(n / 4),
            kind: EdgeKind::CALLS,
            target: id(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % nodes),
        };
        let batch: Vec<_> =
            (first..(first + 1000).min(edges)).map(|n| Operation::Link(edge(n))).collect();
        engine.write(&batch).expect("link");
    }
    println!("{:40} {:10.1} ns", "link, an edge", start.elapsed().as_nanos() as f64 / edges as f64);
    println!("{:?}", engine.stats());
}

/// Looks at the headers of all blocks, through a window of so many places.
fn scan(engine: &StorageEngine<'_, RamStorage<'_>>, order: Order, window: usize) {
    let mut scratch = vec![0; Workspace::scratch_bytes(1, window)];
    let mut query = engine.reader().query(Workspace::over(&mut scratch, 1).unwrap());
    let scan = query.scan(order).unwrap();
    let mut sum = 0;
    while let Some(info) = query.next_info(&scan).unwrap() {
        sum += info.version;
    }
    black_box(sum);
}

/// Reads by ids in no order, and everything in order.
fn reads(engine: &StorageEngine<'_, RamStorage<'_>>, nodes: u64) {
    let draws: Vec<BlockId> =
        (0..1_000_000u64).map(|n| id(n.wrapping_mul(0xD134_2543_DE82_EF95) % nodes)).collect();
    let misses: Vec<BlockId> = (0..1_000_000u64).map(|n| id(nodes + n)).collect();
    let count = draws.len() as u64;
    per("find, first byte read", count, || {
        let sum: u64 = draws.iter().map(|id| u64::from(first_byte(engine.find(id).unwrap()))).sum();
        black_box(sum);
    });
    per("find and clone", count, || {
        for id in &draws {
            let found = engine.find(id).unwrap().unwrap();
            let owned = (
                found.source_uri().to_owned(),
                found.metadata().to_vec(),
                found.content().to_vec(),
            );
            black_box(owned);
        }
    });
    per("find, miss", count, || {
        let found = misses.iter().filter(|id| engine.find(id).unwrap().is_some()).count();
        black_box(found);
    });
    per("find_many of 32", count, || {
        for ids in draws.chunks(32) {
            let mut sum = 0;
            engine
                .reader()
                .find_many(ids, |_, found| sum += found.unwrap().content().len())
                .unwrap();
            black_box(sum);
        }
    });
    per("scan, headers only", nodes, || scan(engine, Order::OldestFirst, 1));
    for window in [16, 64, 256, 1024] {
        let name = format!("scan, newest first, {window} places");
        per(&name, nodes, || scan(engine, Order::NewestFirst, window));
    }
    per("edges out of a node", 100_000, || {
        let mut sum = 0;
        for id in draws.iter().take(100_000) {
            let mut edges = engine.reader().edges(id, Direction::Out, None).unwrap();
            while let Some(edge) = edges.next().unwrap() {
                sum += usize::from(edge.target == *id);
            }
        }
        black_box(sum);
    });
}
