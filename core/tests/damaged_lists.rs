//! Lists of edges that are damaged beyond mending: they say so, and nothing else suffers. Writing goes on
//! when the tail reaches them, and when their node is deleted.
#![cfg(test)]

use crate::common::{Mix, Random, open};
use kausaldb::log::LogError;
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, EdgeKind, Finding, FormatOptions,
    GraphEdge, OnDamage, ReadError, StorageEngine, StoreId, WriteError, format,
};
use kausaldb_sim::{SimError, SimNor};

const SEGMENT_BYTES: u32 = 1024;

type Engine = StorageEngine<'static, SimNor>;

fn store(segments: u64, capacity: Capacity) -> Engine {
    let geometry = Geometry {
        capacity_bytes: segments * u64::from(SEGMENT_BYTES),
        erase_bytes: SEGMENT_BYTES,
        write_bytes: 4,
        erased: Erased::Ones,
        keeps_write_order: true,
    };
    let mut storage = SimNor::new(geometry, 1).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(7), segment_bytes: SEGMENT_BYTES };
    format(&mut storage, &options).expect("format");
    open(storage, capacity, Config::default()).expect("open")
}

fn closed(engine: Engine) -> SimNor {
    let (mut storage, closed) = engine.close();
    closed.expect("close");
    storage.reopen();
    storage
}

fn id(n: u128) -> BlockId {
    BlockId::from_u128(n + 1)
}

fn edge(source: u128, target: u128) -> GraphEdge {
    GraphEdge { source: id(source), kind: EdgeKind(1), target: id(target) }
}

/// Targets of the edges out of node 0 in the tests below. Their numbers are 1 and up.
const TARGETS: core::ops::Range<u128> = 0x61..0x71;

/// Node 0 has edges out to all targets, in a list of its own that is damaged in two bytes.
fn with_damaged_list() -> Engine {
    let capacity = Capacity { nodes: 200, pending_edges: 4, ..Capacity::SMALL };
    let mut engine = store(12, capacity);
    for n in TARGETS {
        engine.link(&edge(0, n)).expect("link");
    }
    engine.compact(u64::MAX).expect("compact");
    let mut storage = closed(engine);
    // Entries of the list: kind 1, numbers that ascend.
    let image = storage.image_mut();
    let entries = [1, 0, 2, 0, 0, 0, 1, 0, 3, 0, 0, 0];
    let mut hurt = 0;
    for at in 0..image.len() - entries.len() {
        if image[at..].starts_with(&entries) {
            image[at + 2] ^= 0x40;
            image[at + 8] ^= 0x41;
            hurt += 1;
        }
    }
    assert!(hurt > 0);
    open(storage, capacity, Config::default()).expect("open")
}

/// The edges of a node, in one direction.
fn edges(
    engine: &mut Engine,
    of: &BlockId,
    direction: Direction,
) -> Result<Vec<GraphEdge>, ReadError<SimError>> {
    let mut edges = engine.reader_through(&mut []).edges(of, direction, None)?;
    let mut all = Vec::new();
    while let Some(edge) = edges.next()? {
        all.push(edge);
    }
    Ok(all)
}

#[test]
fn a_damaged_list_is_carried_along() {
    // Once the tail stood still at it: a list that cannot be read cannot be folded.
    let mut engine = with_damaged_list();
    for turn in 0..500 {
        let (source_uri, metadata) = ("", &[][..]);
        let content = &[1; 100];
        let block = ContextBlock { id: id(500), version: turn, source_uri, metadata, content };
        engine.put(&block).expect("put");
    }
    engine.compact(u64::MAX).expect("compact");
    let damaged = edges(&mut engine, &id(0), Direction::Out);
    assert!(matches!(damaged, Err(ReadError::Corrupt { .. })), "{damaged:?}");
    for n in TARGETS {
        assert_eq!(edges(&mut engine, &id(n), Direction::In).expect("edges"), [edge(0, n)]);
    }
    let mut findings = Vec::new();
    engine.verify(|finding| findings.push(finding)).expect("verify");
    let list = Finding::List { number: 0, direction: Direction::Out };
    assert!(findings.contains(&list) && findings.len() == 2, "{findings:?}");
    // An edge into the node is a matter of another list, and one out of it cannot be decided.
    engine.link(&edge(500, 0)).expect("link");
    assert_eq!(edges(&mut engine, &id(0), Direction::In).expect("edges"), [edge(500, 0)]);
    let linked = engine.link(&edge(0, 500));
    assert!(matches!(linked, Err(WriteError::Log(LogError::Corrupt { .. }))), "{linked:?}");
    engine.link(&edge(1, 500)).expect("goes on");
}

#[test]
fn a_node_with_a_damaged_list_can_be_deleted() {
    // Once nobody knew which neighbours to clean, and every later write was refused.
    let mut engine = with_damaged_list();
    engine.delete(&id(0)).expect("delete");
    engine.compact(u64::MAX).expect("compact");
    for n in TARGETS {
        assert_eq!(edges(&mut engine, &id(n), Direction::In).expect("edges"), []);
    }
    // What nothing mentions any more is free again, the targets included: they had no blocks.
    assert_eq!(engine.stats().nodes.used, 0);
    engine.link(&edge(0, 1)).expect("link");
    assert_eq!(edges(&mut engine, &id(0), Direction::Out).expect("edges"), [edge(0, 1)]);
    let verification = engine.verify(|_| ()).expect("verify");
    assert_eq!((verification.edges, verification.lost), (1, 0));
}

#[test]
fn random_damage_never_ends_all_writing() {
    let mut stuck = Vec::new();
    for seed in 0..200 {
        if let Err(error) = hurt_and_go_on(seed) {
            stuck.push(format!("seed {seed}: {error}"));
        }
    }
    assert!(stuck.is_empty(), "{} of 200: {stuck:#?}", stuck.len());
}

/// Overwrites three spans of a store's image, and writes through many turns of its ring.
fn hurt_and_go_on(seed: u64) -> Result<(), String> {
    let mix = Mix { ids: 16, operations: 4, content_max: 40, puts: 40, links: 40, hubs: true };
    let capacity = Capacity { nodes: 64, pending_edges: 16, hub_pages: 16, ..Capacity::SMALL };
    let mut engine = store(14, capacity);
    let (mut random, mut version) = (Random::new(seed), 0);
    for _ in 0..100 {
        let ops = mix.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
        // Some do not fit, and change nothing.
        let _ = engine.write(&operations);
    }
    let mut storage = closed(engine);
    let image = storage.image_mut();
    for _ in 0..3 {
        let headers = 88;
        let in_segment = headers + random.below(u64::from(SEGMENT_BYTES) - headers - 8);
        let at = random.below(14) * u64::from(SEGMENT_BYTES) + in_segment;
        image[at as usize..].iter_mut().take(6).for_each(|byte| *byte = random.next() as u8);
    }
    let config = Config { on_damage: OnDamage::Repair, ..Config::default() };
    let opened = open(storage, capacity, config);
    let mut engine = opened.map_err(|error| format!("does not open: {error}"))?;
    let mut refused = 0;
    for _ in 0..300 {
        let ops = mix.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
        match engine.write(&operations) {
            // An edge out of a list that is damaged.
            Err(WriteError::Log(error)) => {
                refused += 1;
                if refused > 100 {
                    return Err(error.to_string());
                }
            }
            Err(WriteError::NeedsRecovery) => {
                engine.recover().map_err(|error| format!("does not recover: {error}"))?;
            }
            Err(error @ WriteError::Degraded { .. }) => return Err(error.to_string()),
            _ => {}
        }
    }
    Ok(())
}
