//! Reading one's own writes: what a batch would leave behind, before it is written.

use super::StorageEngine;
use super::error::ReadError;
use super::operation::Operation;
use crate::storage::MappedStorage;
use crate::types::{BlockId, BlockRef, GraphEdge};

/// The store as it would be after a batch of operations: what was stored, and what the operations
/// say on top of it.
///
/// It looks through the operations from the last to the first, so that each question costs
/// O(operations), and then asks the store.
pub struct Preview<'e, 'o, 'r, S> {
    engine: &'e StorageEngine<'r, S>,
    operations: &'o [Operation<'o>],
}

impl<'r, S: MappedStorage> StorageEngine<'r, S> {
    /// The store as it would be after these operations, none of which is written.
    pub fn preview<'e, 'o>(&'e self, operations: &'o [Operation<'o>]) -> Preview<'e, 'o, 'r, S> {
        Preview { engine: self, operations }
    }
}

impl<'e: 'o, 'o, S: MappedStorage> Preview<'e, 'o, '_, S> {
    /// The block with this id.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn find(&self, id: &BlockId) -> Result<Option<BlockRef<'o>>, ReadError<S::Error>> {
        for operation in self.operations.iter().rev() {
            match operation {
                Operation::Put { block, .. } if block.id == *id => return Ok(Some(block.into())),
                Operation::Delete(gone) | Operation::DeleteBlock(gone) if gone == id => {
                    return Ok(None);
                }
                _ => {}
            }
        }
        self.engine.find(id)
    }

    /// Whether the edge is there.
    ///
    /// # Errors
    /// A record is damaged.
    pub fn has_edge(&self, edge: &GraphEdge) -> Result<bool, ReadError<S::Error>> {
        for operation in self.operations.iter().rev() {
            match operation {
                Operation::Link(linked) if linked == edge => return Ok(true),
                Operation::Unlink(unlinked) if unlinked == edge => return Ok(false),
                Operation::Delete(gone) if [edge.source, edge.target].contains(gone) => {
                    return Ok(false);
                }
                _ => {}
            }
        }
        self.engine.reader().has_edge(edge)
    }
}
