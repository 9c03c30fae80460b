//! Operations that own what they carry: what importing and indexing collect into batches.

use kausaldb::{BlockId, ContextBlock, GraphEdge};

/// One change to the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    /// Store this block, whatever is stored under its id.
    Put(Block),
    /// Remove the block and all edges of this id.
    Delete(BlockId),
    /// Add this edge.
    Link(GraphEdge),
    /// Remove this edge.
    Unlink(GraphEdge),
}

/// A block that owns its fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    pub(crate) id: BlockId,
    pub(crate) version: u64,
    pub(crate) source_uri: String,
    pub(crate) metadata: Vec<u8>,
    pub(crate) content: Vec<u8>,
}

impl Block {
    /// The same block, borrowed in the form that a store takes.
    pub(crate) fn as_block(&self) -> ContextBlock<'_> {
        ContextBlock {
            id: self.id,
            version: self.version,
            source_uri: &self.source_uri,
            metadata: &self.metadata,
            content: &self.content,
        }
    }
}

/// Bytes by which a record is larger than what it carries, at most: keeps a batch's estimate above the truth.
const RECORD_BYTES: usize = 128;

/// Operations that will become visible together.
#[derive(Default)]
pub(crate) struct Batch {
    operations: Vec<Operation>,
    bytes: usize,
}

impl Batch {
    /// Adds an operation.
    pub(crate) fn push(&mut self, operation: Operation) {
        self.bytes += bytes(&operation);
        self.operations.push(operation);
    }

    /// Whether this operation as well would make the batch larger than `bytes_max`; the first never does.
    pub(crate) fn would_exceed(&self, operation: &Operation, bytes_max: usize) -> bool {
        !self.operations.is_empty() && self.bytes + bytes(operation) > bytes_max
    }

    /// How many operations it holds.
    pub(crate) fn len(&self) -> usize {
        self.operations.len()
    }

    /// The operations, in their order.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Forgets them all.
    pub(crate) fn clear(&mut self) {
        self.operations.clear();
        self.bytes = 0;
    }
}

fn bytes(operation: &Operation) -> usize {
    RECORD_BYTES
        + match operation {
            Operation::Put(block) => {
                block.source_uri.len() + block.metadata.len() + block.content.len()
            }
            Operation::Delete(_) | Operation::Link(_) | Operation::Unlink(_) => 0,
        }
}
