//! A batch on its way from the caller to the log.
//!
//! Through the door comes `Owned<Batch, Caller>`, of which nothing is known. The engine reads it to see what
//! it needs; when every limit was checked, and not before, it becomes `Owned<Batch, Engine>`, and records
//! are written of nothing else. So a way into the log that passes by the limits does not compile.

use super::operation::Operation;
use crate::memory::owned::{Caller, Owned};
use crate::types::ContextBlock;

/// Operations, one after the other; the content of the only one may be still to come.
pub(super) struct Batch<'o> {
    operations: &'o [Operation<'o>],
    /// Bytes of content that are still to come.
    to_come: Option<u32>,
}

impl<'o> Batch<'o> {
    /// A caller's operations.
    pub(super) const fn of(operations: &'o [Operation<'o>]) -> Owned<Self, Caller> {
        Owned::new(Self { operations, to_come: None }, &Caller::token())
    }

    /// A caller's put, of whose content so many bytes are still to come.
    pub(super) const fn incoming(put: &'o [Operation<'o>; 1], bytes: u32) -> Owned<Self, Caller> {
        Owned::new(Self { operations: put, to_come: Some(bytes) }, &Caller::token())
    }

    pub(super) const fn operations(&self) -> &'o [Operation<'o>] {
        self.operations
    }

    /// Bytes of content that are still to come, if it is that sort of batch.
    pub(super) const fn to_come(&self) -> Option<u32> {
        self.to_come
    }

    /// Lengths of the source URI, metadata and content of a block that is put, in bytes.
    pub(super) fn lens(&self, block: &ContextBlock<'_>) -> [u64; 3] {
        let content = match self.to_come {
            Some(bytes) => u64::from(bytes),
            None => block.content.len() as u64,
        };
        [block.source_uri.len() as u64, block.metadata.len() as u64, content]
    }

    /// What a caller gave to be stored with an operation, in bytes: ids, versions and contents.
    pub(super) fn given_bytes(&self, operation: &Operation<'_>) -> u64 {
        match operation {
            Operation::Put { block, .. } => self.lens(block).iter().sum::<u64>() + 24,
            Operation::Delete(_) | Operation::DeleteBlock(_) => 16,
            Operation::Link(_) | Operation::Unlink(_) => 34,
        }
    }
}
