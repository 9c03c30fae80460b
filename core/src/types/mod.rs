//! The nouns that everybody shares: ids, blocks, edges, sequences.
//!
//! This room knows nothing of memory, media or the engine. Everything here is plain data, `Copy`, and without
//! failure, except the parsing of ids from text.

mod block;
mod edge;
mod id;
mod key;
mod place;

pub use block::{BlockRef, ContextBlock};
pub use edge::{Direction, EdgeKind, GraphEdge};
pub use id::{BlockId, ParseIdError, StoreId};
pub use key::{EdgeKey, KeyRange};
pub use place::{Location, NodeNumber};

/// Where in the log a batch ended: a position counted along the log since format, in bytes.
///
/// Later batches have greater sequences, also across reopening; a sequence never starts again. The distance
/// between two sequences says nothing about how many batches lie between them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sequence(u64);

impl Sequence {
    /// The sequence at `position` bytes along the log.
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The position along the log, in bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl core::fmt::Display for Sequence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
