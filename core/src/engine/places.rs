//! Places in the tables of fixed size: what a batch would take beyond them, and how they are freed
//! when they run out.
//!
//! Numbers, pages of lists and pending changes are held by what is not cleaned up yet: nodes that
//! were deleted, nodes whose last edge went, pages that shrank. A batch is refused only if it does
//! not fit after all of that is done.

use super::StorageEngine;
use super::error::WriteError;
use super::operation::Operation;
use crate::compaction::{adjacency_entries_max, purge_step};
use crate::format::{CHECK_BYTES, CHUNK_BYTES, ENTRY_BYTES, EdgeChange, HEADER_BYTES_MAX};
use crate::log::Log;
use crate::state::{ApplyError, Limit, List, Store};
use crate::storage::Storage;
use crate::types::{BlockId, Direction, EdgeKey, NodeNumber};

impl<S: Storage> StorageEngine<'_, S> {
    /// Finishes open deletions and folds what is pending. False if there was nothing to do, or no
    /// room to do it in.
    pub(super) fn free_places(&mut self) -> Result<bool, WriteError<S::Error>> {
        let mut freed = false;
        // Each turn takes an intent a neighbour further, or a list out of the pending changes.
        loop {
            match self.have_step_room() {
                Err(WriteError::Full { .. }) => return Ok(freed),
                room => room.map_err(|error| self.fail(error))?,
            }
            let purged = purge_step(&mut self.store, &mut self.fold);
            let stepped = match purged {
                Ok(false) => self.fold_fullest(),
                purged => purged,
            };
            if !stepped.map_err(WriteError::from).map_err(|error| self.fail(error))? {
                return Ok(freed);
            }
            freed = true;
        }
    }

    /// Folds the list with the most pending changes. False if nothing is pending.
    pub(super) fn fold_fullest(&mut self) -> Result<bool, ApplyError<S::Error>> {
        let pending = &mut self.store.state.pending;
        let Some(list) = pending.fullest() else { return Ok(false) };
        let Some(half) = pending.halves(list.0, list.1).next() else { return Ok(false) };
        self.fold.fold(&mut self.store, list, half.key)?;
        Ok(true)
    }

    /// Refuses an edge that would make one of its lists longer than a record can be, or longer than
    /// it should be when there is no place for another page.
    pub(super) fn check_lists(
        &mut self,
        operations: &[Operation<'_>],
        at: usize,
        change: &EdgeChange,
    ) -> Result<(), WriteError<S::Error>> {
        let Store { log, state, .. } = &self.store;
        let longest = adjacency_entries_max(log.layout());
        let cannot_overflow = state.pending.capacity() + longest <= list_entries_max(log);
        if state.hubs.free() >= 2 && cannot_overflow {
            return Ok(());
        }
        let Some(Operation::Link(edge)) = operations.get(at) else { return Ok(()) };
        let there = EdgeKey { kind: change.kind.0, number: change.target };
        let back = EdgeKey { kind: change.kind.0, number: change.source };
        let so_far = operations.get(..=at).unwrap_or(operations);
        let adds = |end: usize, id: &BlockId| {
            let to_list = |operation: &&Operation<'_>| {
                matches!(operation, Operation::Link(_)) && operation.id(end) == Some(id)
            };
            so_far.iter().filter(to_list).count() as u32
        };
        self.check_list((change.source, Direction::Out), there, adds(0, &edge.source))?;
        self.check_list((change.target, Direction::In), back, adds(1, &edge.target))
    }

    /// The list whose record covers `key`, with so many edges more.
    pub(super) fn check_list(
        &mut self,
        of: (NodeNumber, Direction),
        key: EdgeKey,
        adds: u32,
    ) -> Result<(), WriteError<S::Error>> {
        let Store { storage, log, state } = &mut self.store;
        let mut list = List::new(of, None);
        list.start(&mut log.on(storage), state, key)?;
        let entries = list.record_entries();
        let pending = state.pending.halves(of.0, of.1).count() as u32;
        let hubs = &state.hubs;
        let longest = adjacency_entries_max(log.layout());
        let max = list_entries_max(log);
        if hubs.free() < 2 && entries + pending + adds > longest {
            let needed = u64::from(hubs.len()) + 2;
            return Err(WriteError::HubPagesFull { needed, capacity: u64::from(hubs.capacity()) });
        }
        if entries + pending + adds > max {
            let (len, max) = (u64::from(adds), u64::from(max.saturating_sub(entries)));
            return Err(WriteError::BatchTooLarge { what: Limit::PendingEdges, len, max });
        }
        Ok(())
    }
}

/// The most entries that a record holds at all. A list is never longer with all that is pending for
/// it, so that it can be folded even where it finds no place for another page.
fn list_entries_max(log: &Log<'_>) -> u32 {
    let record = Log::record_bytes_max(log.layout());
    let checks = (record / CHUNK_BYTES + 1) * CHECK_BYTES;
    let body = record.saturating_sub(HEADER_BYTES_MAX as u32 + checks);
    body.min(log.body_bytes_max()) / ENTRY_BYTES
}
