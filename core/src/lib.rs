//! KausalDB: an embedded store for small versioned documents and the typed, directed graph between them.
//!
//! The same code runs on a server's file and on a microcontroller's NOR flash. It takes all its
//! memory from one region that the caller supplies, never allocates after open, and loses nothing
//! that it acknowledged.
//!
//! The rooms of this house, each of which imports only those above it:
//!
//! - `planted`: faults that tests plant, to see that other tests notice them; nothing of it is compiled
//!   else
//! - [`types`]: ids, blocks, edges, sequences
//! - [`memory`]: region, arena, coordinator, pool, owned values: the memory model, and the only unsafe code
//! - [`storage`]: the [`Storage`] trait and its contract under power loss
//! - [`format`](mod@format): bytes on media: records, segment headers, index pages, checksums
//! - [`log`]: the ring of segments: append, seal, walk
//! - [`index`]: id to node number, and columns by node number
//! - [`edges`]: edge changes that are pending, pages of long lists, merging
//! - [`state`]: what the log means; the one door through which it changes
//! - [`compaction`]: pacing, moving the tail, folding edges, cleaning up after deletions
//! - [`engine`]: open, recover, write, read, verify
//! - `sync`: an engine that threads share, where the target has atomic compare-and-swap
#![no_std]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod compaction;
pub mod edges;
pub mod engine;
pub mod format;
pub mod index;
pub mod log;
pub mod memory;
#[doc(hidden)]
pub mod planted;
pub mod state;
pub mod storage;
#[cfg(target_has_atomic = "ptr")]
pub mod sync;
pub mod types;

pub use engine::{
    BlockInfo, Capacity, Compacted, Config, Damage, Durability, EdgeCount, Expect, Finding,
    FormatError, FormatOptions, IncomingBlock, Neighbours, Nodes, OnDamage, OpenError, Operation,
    Order, PoolUse, Preview, PutError, Query, ReadError, Reader, Repaired, Scan, Scrubbed, Stats,
    StorageEngine, StoreInfo, Verification, Verify, Workspace, WriteError, format, probe,
};
pub use storage::{MappedStorage, Storage};
#[cfg(target_has_atomic = "ptr")]
pub use sync::SharedEngine;
pub use types::{
    BlockId, BlockRef, ContextBlock, Direction, EdgeKind, GraphEdge, Sequence, StoreId,
};
