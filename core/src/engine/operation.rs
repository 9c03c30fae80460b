//! What a batch is made of.

use crate::types::{BlockId, ContextBlock, GraphEdge};

/// What must be stored for a put to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Expect {
    /// Anything.
    #[default]
    Any,
    /// No block with this id.
    Absent,
    /// A block with this id and this version.
    Version(u64),
}

/// One operation of a batch. It borrows what it writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation<'a> {
    /// Stores a block, in place of whatever version is stored.
    Put {
        /// The block.
        block: ContextBlock<'a>,
        /// What must be stored already.
        expect: Expect,
    },
    /// Removes a block and every edge from and to its id, whether there is a block or only edges.
    /// What is absent is no error.
    Delete(BlockId),
    /// Removes a block and keeps the edges of its id.
    DeleteBlock(BlockId),
    /// Adds an edge. Its ends need no blocks. An edge that is there already stays as it is.
    Link(GraphEdge),
    /// Removes an edge. What is absent is no error.
    Unlink(GraphEdge),
}

impl<'a> Operation<'a> {
    /// A put in place of whatever version is stored.
    pub const fn put(block: ContextBlock<'a>) -> Self {
        Self::Put { block, expect: Expect::Any }
    }

    /// The id at one end of the operation: 0 is the block's or the edge's source, 1 the edge's target.
    pub(super) fn id(&self, end: usize) -> Option<&BlockId> {
        match (self, end) {
            (Self::Put { block, .. }, 0) => Some(&block.id),
            (Self::Delete(id) | Self::DeleteBlock(id), 0) => Some(id),
            (Self::Link(edge) | Self::Unlink(edge), 0) => Some(&edge.source),
            (Self::Link(edge) | Self::Unlink(edge), 1) => Some(&edge.target),
            _ => None,
        }
    }
}
