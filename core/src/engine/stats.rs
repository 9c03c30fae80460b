//! What is in the store, and how it is used: for people, and for sizing a `Capacity`.

use super::StorageEngine;
use super::capacity::Capacity;
use super::damage::Damage;
use crate::compaction::Reserve;
use crate::log::Traffic;
use crate::state::Charge;
use crate::storage::Storage;
use crate::types::{Sequence, StoreId};

/// How a pool of fixed capacity is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PoolUse {
    /// In use now.
    pub used: u32,
    /// The most that were in use at once since open.
    pub high_water: u32,
    /// How many fit.
    pub capacity: u32,
}

/// What is in the store. Counted in RAM, without reading media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// The store's id.
    pub store: StoreId,
    /// The end of the newest batch.
    pub sequence: Sequence,
    /// Blocks.
    pub blocks: u32,
    /// Nodes: ids with a block or an edge, and deleted ones whose neighbours are not cleaned up yet.
    pub nodes: PoolUse,
    /// Edge changes that are not folded yet.
    pub pending_edges: PoolUse,
    /// Pages of long adjacency lists.
    pub hub_pages: PoolUse,
    /// Open deletions.
    pub intents: PoolUse,
    /// The medium, in bytes.
    pub capacity_bytes: u64,
    /// A segment, in bytes.
    pub segment_bytes: u32,
    /// Segments on the medium.
    pub segments: u32,
    /// Segments that hold records.
    pub segments_live: u32,
    /// Segments that are free.
    pub segments_free: u32,
    /// Segments of which a sector refused to be erased since open: they hold nothing, and are tried again
    /// when no other is left.
    pub segments_bad: u32,
    /// Live records, in bytes.
    pub live_bytes: u64,
    /// Superseded records, index pages and segment ends, in bytes.
    pub dead_bytes: u64,
    /// Bytes that live records may still take, with their index entries and with the gaps that records of
    /// such lengths may leave at the ends of segments.
    pub free_bytes: u64,
    /// Erases of the least, of the average, and of the most often erased slot.
    pub erases_min: u32,
    /// See `erases_min`.
    pub erases_mean: u32,
    /// See `erases_min`.
    pub erases_max: u32,
    /// Bytes that callers gave to be stored since open.
    pub given_bytes: u64,
    /// What the storage was asked for since open.
    pub traffic: Traffic,
    /// Spans of the log that held no valid record at open, where there should have been one, segments whose
    /// headers could not be read, and what was given up for lack of memory where damage needs more
    /// ([`OnDamage::Repair`](super::OnDamage::Repair)).
    pub damaged: u32,
    /// Where records are lost of which nobody knows what they held, until the store is repaired.
    pub damage: Option<Damage>,
    /// Size of the region, in bytes.
    pub region_bytes: usize,
}

impl Stats {
    /// Bytes written for each byte given, since open; `None` if nothing was given.
    pub fn write_amplification(&self) -> Option<f64> {
        let (written, given) = (self.traffic.bytes_written as f64, self.given_bytes as f64);
        (self.given_bytes > 0).then(|| written / given)
    }

    /// A capacity for what this run used, by its high-water marks, with `spare` percent on top.
    pub fn capacity(&self, base: &Capacity, spare: u32) -> Capacity {
        let with = |used: u32| {
            let more = u64::from(used) * u64::from(100 + spare);
            u32::try_from(more.div_ceil(100)).unwrap_or(u32::MAX).max(1)
        };
        Capacity {
            nodes: with(self.nodes.high_water),
            pending_edges: with(self.pending_edges.high_water).max(2),
            hub_pages: with(self.hub_pages.high_water),
            intents: with(self.intents.high_water),
            segments: self.segments,
            segment_bytes: self.segment_bytes,
            ..*base
        }
    }
}

impl<S: Storage> StorageEngine<'_, S> {
    /// What is in the store. O(segments), without reading media.
    pub fn stats(&self) -> Stats {
        let (log, state) = (&self.store.log, &self.store.state);
        let layout = log.layout();
        let ring = &log.ring;
        let used_bytes = u64::from(ring.live()) * u64::from(layout.segment_bytes());
        let open_rest = u64::from(layout.segment_bytes() - log.at());
        let usable = u64::from(Charge::usable(layout));
        let limit = u64::from(Reserve::of(ring.sound()).live_slots()) * usable;
        let erases = || ring.slots().iter().map(|slot| slot.erase_count());
        let sum: u64 = erases().map(u64::from).sum();
        let index = &state.index;
        let pool = |used, high_water, capacity| PoolUse { used, high_water, capacity };
        Stats {
            store: layout.store(),
            sequence: self.sequence,
            blocks: state.blocks,
            nodes: pool(index.used(), index.high_water(), index.capacity()),
            pending_edges: pool(
                state.pending.len(),
                state.pending.high_water(),
                state.pending.capacity(),
            ),
            hub_pages: pool(state.hubs.len(), state.hubs.high_water(), state.hubs.capacity()),
            intents: pool(
                state.intents.len(),
                state.intents.high_water(),
                state.intents.capacity(),
            ),
            capacity_bytes: layout.geometry().capacity_bytes,
            segment_bytes: layout.segment_bytes(),
            segments: layout.segments(),
            segments_live: ring.live(),
            segments_free: ring.sound().saturating_sub(ring.live()),
            segments_bad: layout.segments().saturating_sub(ring.sound()),
            live_bytes: state.live.charge().bytes,
            dead_bytes: used_bytes
                .saturating_sub(open_rest)
                .saturating_sub(state.live.charge().bytes),
            free_bytes: limit.saturating_sub(state.live.charge().taken(layout)),
            erases_min: erases().min().unwrap_or(0),
            erases_mean: u32::try_from(sum / u64::from(layout.segments().max(1)))
                .unwrap_or(u32::MAX),
            erases_max: erases().max().unwrap_or(0),
            given_bytes: self.given_bytes,
            traffic: log.traffic(),
            damaged: self.damaged,
            damage: self.damage(),
            region_bytes: self.capacity.region_bytes(),
        }
    }
}
