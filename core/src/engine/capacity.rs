//! How much of everything fits, and how large a region that takes: known at compile time, fixed at open.

use super::plan::Plan;
use crate::compaction::Fold;
use crate::format::{CHUNK_BYTES, ENTRY_BYTES, IndexForm, LARGE_SEGMENT_BYTES};
use crate::log::Log;
use crate::memory::Footprint;
use crate::state::{State, StateCapacity};

/// How much of everything fits. One table: every limit of the store but those of the media format is here.
///
/// A firmware writes it as a constant and sizes its region by it:
///
/// ```
/// use kausaldb::Capacity;
///
/// const CAPACITY: Capacity = Capacity { nodes: 200, ..Capacity::SMALL };
/// static REGION_BYTES: usize = CAPACITY.region_bytes();
/// assert!(REGION_BYTES < 12 * 1024);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Capacity {
    /// Nodes: ids with a block or with an edge. About 27 bytes each.
    pub nodes: u32,
    /// Edge changes that are not folded into adjacency records yet; a batch may hold half as many.
    /// About 54 bytes each, with the place where they are sorted.
    pub pending_edges: u32,
    /// Records of adjacency lists that are too long for one record: an eighth of a segment, at most
    /// 8 KiB, of six bytes an edge. 20 bytes each.
    pub hub_pages: u32,
    /// Nodes with edges that are deleted and whose neighbours are not cleaned up yet; a batch may
    /// delete as many. 20 bytes each.
    pub intents: u32,
    /// Segments of the ring. 29 bytes each.
    pub segments: u32,
    /// The largest segment, in bytes. From 256 KiB on the index page takes 39 KiB, below nothing.
    pub segment_bytes: u32,
    /// The longest block: source URI, metadata and content together, in bytes. 4 bytes for each 8 KiB.
    pub block_bytes: u32,
    /// Operations in a batch. 96 bytes each.
    pub batch_operations: u32,
    /// Bytes that a batch may take in the log. Takes no memory: the caller holds what it writes.
    pub batch_bytes: u32,
    /// The write buffer, in bytes: a multiple of the write size. More makes fewer, larger writes.
    pub buffer_bytes: u32,
}

impl Capacity {
    /// For a microcontroller with small segments (below 256 KiB): to be adjusted with `..Capacity::SMALL`.
    pub const SMALL: Self = Self {
        nodes: 256,
        pending_edges: 32,
        hub_pages: 8,
        intents: 4,
        segments: 64,
        segment_bytes: LARGE_SEGMENT_BYTES - 1,
        block_bytes: 4096,
        batch_operations: 8,
        batch_bytes: 8192,
        buffer_bytes: 256,
    };

    /// For a std host: blocks of up to 3 MiB, batches of up to 16 MiB, segments of up to 4 MiB.
    pub const HOST: Self = Self {
        nodes: 1 << 16,
        pending_edges: 1 << 15,
        hub_pages: 1 << 12,
        intents: 64,
        segments: 64,
        segment_bytes: 4 << 20,
        block_bytes: 3 << 20,
        batch_operations: 1 << 14,
        batch_bytes: 16 << 20,
        buffer_bytes: 64 << 10,
    };

    /// The host's capacity, for so many nodes in so many segments.
    pub const fn host(nodes: u32, segments: u32) -> Self {
        let pending = nodes / 4;
        let pending_edges =
            if pending > Self::HOST.pending_edges { pending } else { Self::HOST.pending_edges };
        let hubs = nodes / 64;
        let hub_pages = if hubs > Self::HOST.hub_pages { hubs } else { Self::HOST.hub_pages };
        Self { nodes, pending_edges, hub_pages, segments, ..Self::HOST }
    }

    /// Size of the region that the store takes, in bytes, wherever the region starts.
    pub const fn region_bytes(&self) -> usize {
        self.footprint().region_bytes()
    }

    pub(super) const fn state(&self) -> StateCapacity {
        StateCapacity {
            nodes: self.nodes,
            pending_edges: self.pending_edges,
            hub_pages: self.hub_pages,
            intents: self.intents,
            segments: self.segments,
        }
    }

    const fn index_form(&self) -> IndexForm {
        if self.segment_bytes >= LARGE_SEGMENT_BYTES { IndexForm::Columns } else { IndexForm::Bare }
    }

    /// The longest body of any record, in bytes: a block, an index page, or a list of edges that
    /// found no place for another page.
    pub(super) const fn body_bytes_max(&self) -> u32 {
        let form = self.index_form();
        let page = form.body_bytes_max() as u32;
        let list = self.pending_edges.saturating_mul(ENTRY_BYTES).saturating_add(CHUNK_BYTES);
        let longer = if page > list { page } else { list };
        if self.block_bytes > longer { self.block_bytes } else { longer }
    }

    /// What `StorageEngine::carve_for` takes, in the same order.
    const fn footprint(&self) -> Footprint {
        let form = self.index_form();
        let sum = State::footprint(Footprint::new(), &self.state());
        let body = self.body_bytes_max();
        let sum = Log::footprint(sum, self.segments, form, body, self.buffer_bytes);
        let sum = Fold::footprint(sum, self.pending_edges);
        let sum = Plan::footprint(sum, self.batch_operations);
        sum.slice::<u8>(self.segments as usize)
    }
}
