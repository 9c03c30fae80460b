//! What the storage is asked for, and what its refusals cost.
#![cfg(test)]

use crate::common::open;
use crate::common::power::SMALL;
use kausaldb::storage::{Geometry, Storage};
use kausaldb::{BlockId, ContextBlock, EdgeKind, GraphEdge, Operation, StorageEngine};
use kausaldb_sim::{SimError, SimNor};

fn block(n: u128, content: &[u8]) -> ContextBlock<'_> {
    let id = BlockId::from_u128(n << 64 | 0xB10C);
    ContextBlock { id, version: 1, source_uri: "", metadata: &[], content }
}

#[test]
fn an_acknowledged_batch_costs_one_sync_beside_those_of_segments() {
    let mut engine = open(SMALL.device(), SMALL.capacity(), SMALL.config()).expect("open");
    let seen = |engine: &StorageEngine<'_, SimNor>| {
        let stats = engine.stats();
        (stats.traffic.syncs, stats.traffic.segments_opened, u64::from(stats.segments_live))
    };
    let mut turns = (0, 0);
    for n in 0..400 {
        let before = seen(&engine);
        engine.put(&block(n % 10, &[7; 60])).expect("put");
        let after = seen(&engine);
        let opened = after.1 - before.1;
        let retired = before.2 + opened - after.2;
        assert_eq!(after.0 - before.0, 1 + opened + 2 * retired, "put {n}");
        assert!(opened <= 1 && retired <= 1, "put {n} opened {opened} and retired {retired}");
        turns = (turns.0 + opened, turns.1 + retired);
    }
    assert!(turns.0 > 20 && turns.1 > 10, "{turns:?} segments were opened and retired");
}

/// Bug: an edge of a node to itself was written again where a batch said it twice. Fix: what is known does
/// not count as touched.
#[test]
fn what_is_known_is_not_written_however_often_a_batch_says_it() {
    let mut engine = open(SMALL.device(), SMALL.capacity(), SMALL.config()).expect("open");
    let [one, other] = [1, 2].map(BlockId::from_u128);
    let edge = |source, target| GraphEdge { source, kind: EdgeKind::CALLS, target };
    let edges = [edge(one, one), edge(one, other), edge(other, one)];
    for edge in &edges {
        engine.link(edge).expect("link");
    }
    let (sequence, before) = (engine.sequence(), engine.stats().traffic.bytes_written);
    let again: Vec<_> = edges.iter().chain(&edges).copied().map(Operation::Link).collect();
    assert_eq!(engine.write(&again).expect("write"), sequence);
    assert_eq!(engine.stats().traffic.bytes_written, before);
}

/// A device of which one sector can be erased and written, but not read.
struct Unreadable {
    device: SimNor,
    sector: u64,
}

impl Storage for Unreadable {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        if at / u64::from(self.geometry().erase_bytes) == self.sector {
            return Err(SimError::PowerCut);
        }
        self.device.read(at, into)
    }

    fn is_lost(&self, error: &SimError) -> bool {
        self.device.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        self.device.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.device.erase(sector)
    }

    fn sync(&mut self) -> Result<(), SimError> {
        self.device.sync()
    }
}

#[test]
fn a_free_sector_that_cannot_be_read_does_not_keep_a_store_from_opening() {
    let mut engine = open(SMALL.device(), SMALL.capacity(), SMALL.config()).expect("open");
    engine.put(&block(1, b"there")).expect("put");
    let (mut device, closed) = engine.close();
    closed.expect("close");
    device.reopen();
    let sector = u64::from(SMALL.segments) - 1;
    let storage = Unreadable { device, sector };
    let mut engine = open(storage, SMALL.capacity(), SMALL.config()).expect("opens all the same");
    assert!(engine.contains(&block(1, b"").id).expect("contains"));
    assert_eq!(engine.stats().damaged, 1, "it is told of");
}
