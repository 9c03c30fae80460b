//! Writing a batch: limits first, then room, then its records, then what they mean.

use super::damage::Damage;
use super::error::WriteError;
use super::operation::{Expect, Operation};
use super::plan::{Needs, Records};
use super::{Durability, Mode, StorageEngine};
use crate::compaction::{Pace, Reserve, TailStep, purge_step};
use crate::format::{Place, Record};
use crate::log::{Log, LogError, ReadLog};
use crate::planted::{self, Fault};
use crate::state::{Charge, Limit, Store};
use crate::storage::Storage;
use crate::types::{BlockId, ContextBlock, GraphEdge, NodeNumber, Sequence};
use core::sync::atomic::Ordering;

impl<'r, S: Storage> StorageEngine<'r, S> {
    /// Stores a block, in place of whatever version is stored.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn put(&mut self, block: &ContextBlock<'_>) -> Result<Sequence, WriteError<S::Error>> {
        self.write(&[Operation::put(*block)])
    }

    /// Stores a block if what is stored is as expected.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] if it is not; otherwise as [`write`](Self::write).
    pub fn put_if(
        &mut self,
        block: &ContextBlock<'_>,
        expect: Expect,
    ) -> Result<Sequence, WriteError<S::Error>> {
        self.write(&[Operation::Put { block: *block, expect }])
    }

    /// Removes a block and every edge of its id.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn delete(&mut self, id: &BlockId) -> Result<Sequence, WriteError<S::Error>> {
        self.write(&[Operation::Delete(*id)])
    }

    /// Adds an edge.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn link(&mut self, edge: &GraphEdge) -> Result<Sequence, WriteError<S::Error>> {
        self.write(&[Operation::Link(*edge)])
    }

    /// Removes an edge.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn unlink(&mut self, edge: &GraphEdge) -> Result<Sequence, WriteError<S::Error>> {
        self.write(&[Operation::Unlink(*edge)])
    }

    /// Writes a batch: all of its operations, one after the other, or none. Each sees what those
    /// before it did.
    ///
    /// Costs one `sync` where every batch is durable, and no more work than its own records and a
    /// share of moving the tail that the docs bound; opening and retiring a segment cost syncs of
    /// their own. A batch that changes nothing writes nothing. Returns the position of its end.
    ///
    /// # Errors
    /// Whatever is wrong with the batch, or does not fit, is found before anything is written.
    /// After an error of the storage nothing is written until [`recover`](Self::recover); the batch
    /// counts whole or not at all.
    pub fn write(
        &mut self,
        operations: &[Operation<'_>],
    ) -> Result<Sequence, WriteError<S::Error>> {
        let newest = self.store.log.number_max();
        let written = self.write_batch(operations);
        self.forget_checks(newest);
        written
    }

    /// Forgets what is known of the checksums in slots whose segments came after `newest`.
    pub(super) fn forget_checks(&mut self, newest: u32) {
        if self.store.log.number_max() == newest {
            return;
        }
        for (slot, known) in self.store.log.ring.slots().iter().zip(self.verified.iter()) {
            if slot.number() > newest {
                known.store(0, Ordering::Relaxed);
            }
        }
    }

    fn write_batch(
        &mut self,
        operations: &[Operation<'_>],
    ) -> Result<Sequence, WriteError<S::Error>> {
        self.check_writable()?;
        self.check_sizes(operations)?;
        let needs = match self.survey_batch(operations) {
            Err(
                WriteError::NodesFull { .. }
                | WriteError::HubPagesFull { .. }
                | WriteError::BatchTooLarge { .. },
            ) if self.free_places()? => self.survey_batch(operations)?,
            needs => needs?,
        };
        if needs.records == 0 {
            return Ok(self.sequence);
        }
        let needs = match self.check_needs(&needs) {
            // What is pending is charged more than it takes when it is folded.
            Err(WriteError::Full { .. }) if self.free_places()? => {
                let needs = self.survey_batch(operations)?;
                self.check_needs(&needs)?;
                needs
            }
            checked => checked.map(|()| needs)?,
        };
        if needs.records == 0 {
            return Ok(self.sequence);
        }
        self.store.log.next_node = self.store.state.index.high_water();
        self.make_room(&needs).map_err(|error| self.fail(error))?;
        // Making room may have freed the number of an edge's end, which is then named anew: a batch
        // of one record could become one of two.
        let single = needs.records == 1 && self.survey_batch(operations)?.records == 1;
        if let Err(error) = self.write_records(operations, !single) {
            // What was written of the batch is void only once a recovery says so.
            if !planted::is(Fault::GoesOnAfterFailure) {
                self.give_up();
            }
            return Err(error);
        }
        Ok(self.sequence)
    }

    /// Whether batches may be written.
    pub(super) fn check_writable(&self) -> Result<(), WriteError<S::Error>> {
        match (self.mode, self.lost) {
            (Mode::Writing, None) => Ok(()),
            (Mode::Writing, Some(Damage { segment, offset, .. })) => {
                Err(WriteError::Degraded { segment, offset })
            }
            (Mode::ReadOnly, _) => Err(WriteError::ReadOnly),
            (Mode::Failed | Mode::Lost, _) => Err(WriteError::NeedsRecovery),
        }
    }

    fn give_up(&mut self) {
        if self.mode != Mode::Lost {
            self.mode = Mode::Failed;
        }
        self.store.log.abandon();
    }

    /// Remembers that nothing is known of the media's end any more, if that is what the error means.
    pub(super) fn fail(&mut self, error: WriteError<S::Error>) -> WriteError<S::Error> {
        let is_failure =
            matches!(error, WriteError::Log(LogError::Storage(_) | LogError::Corrupt { .. }));
        if is_failure && !planted::is(Fault::GoesOnAfterFailure) {
            self.give_up();
        }
        error
    }

    /// Makes everything that was written durable.
    ///
    /// # Errors
    /// The storage refused: which of the batches since the last sync are durable is not known, and
    /// nothing is written until [`recover`](Self::recover).
    pub fn sync(&mut self) -> Result<(), WriteError<S::Error>> {
        match self.mode {
            Mode::Writing => {}
            Mode::ReadOnly => return Ok(()),
            Mode::Failed | Mode::Lost => return Err(WriteError::NeedsRecovery),
        }
        let synced = self.store.log.sync(&mut self.store.storage);
        synced.map_err(|error| self.fail(WriteError::Log(error)))
    }

    /// Syncs, marks the end of the log as durable, and gives the storage back.
    ///
    /// # Errors
    /// The storage refused; it comes back all the same.
    pub fn close(mut self) -> (S, Result<(), WriteError<S::Error>>) {
        let closed = self.mark_end();
        (self.store.storage, closed)
    }

    fn mark_end(&mut self) -> Result<(), WriteError<S::Error>> {
        match self.mode {
            Mode::Writing => {}
            Mode::ReadOnly => return Ok(()),
            Mode::Failed | Mode::Lost => return Err(WriteError::NeedsRecovery),
        }
        let Store { storage, log, .. } = &mut self.store;
        log.sync(storage)?;
        log.append(storage, &Record::Mark, false, &[])?;
        log.sync(storage)?;
        Ok(())
    }

    /// The limits that can be checked without looking at the store.
    fn check_sizes(&self, operations: &[Operation<'_>]) -> Result<(), WriteError<S::Error>> {
        let too_large =
            |what, len: u64, max: u64| Err(WriteError::BatchTooLarge { what, len, max });
        let max = self.plan.operations_max();
        if operations.len() > max as usize {
            return too_large(Limit::BatchOperations, operations.len() as u64, u64::from(max));
        }
        // Header and checks are taken off what a segment holds.
        let segment = u64::from(Log::record_bytes_max(self.store.log.layout()));
        let max = u64::from(self.capacity.block_bytes).min(segment - segment / 1024 - 64);
        for operation in operations {
            let Operation::Put { block, .. } = operation else { continue };
            let lens = [block.source_uri.len(), block.metadata.len(), block.content.len()];
            let len = lens.iter().fold(0u64, |sum, len| sum.saturating_add(*len as u64));
            if len > max {
                return Err(WriteError::BlockTooLarge { len, max });
            }
        }
        Ok(())
    }

    /// The first pass: what the batch needs.
    fn survey_batch(
        &mut self,
        operations: &[Operation<'_>],
    ) -> Result<Needs, WriteError<S::Error>> {
        let mut needs = Needs::default();
        self.plan.start(&self.store, operations.len());
        for (at, operation) in operations.iter().enumerate() {
            let records = self.plan.resolve(&mut self.store, operations, at)?;
            needs.records += records.len() as u32;
            needs.adds |= matches!(operation, Operation::Put { .. } | Operation::Link(_));
            for record in &records {
                needs.charge.add(self.store.charge(record));
                self.count(operations, at, record, &mut needs)?;
            }
            if matches!(operation, Operation::Link(_)) && !records.is_empty() {
                // Making room may free the number of an end that has neither block nor edge; it is
                // then named anew.
                let missing = 3 - records.len() as u32;
                let node =
                    Record::Node { number: NodeNumber::new(u32::MAX), id: BlockId::default() };
                (0..missing).for_each(|_| needs.charge.add(self.store.charge(&node)));
            }
        }
        Ok(needs)
    }

    fn count(
        &mut self,
        operations: &[Operation<'_>],
        at: usize,
        record: &Record,
        needs: &mut Needs,
    ) -> Result<(), WriteError<S::Error>> {
        let Store { storage, log, state } = &mut self.store;
        match record {
            Record::Edge(change) => {
                needs.pending += 1;
                if change.add {
                    self.check_lists(operations, at, change)?;
                }
            }
            Record::Intent { number, .. } => {
                needs.intents += 1;
                let home = state.index.home(*number);
                if !home.is_none() {
                    let header = log.on(storage).known_header(home)?;
                    needs.replaced.add(Charge::of_header(log.layout(), &header));
                }
            }
            Record::Block { number, .. }
            | Record::Node { number, .. }
            | Record::Tombstone { number, .. } => {
                let home = state.index.home(*number);
                if !home.is_none() {
                    let header = log.on(storage).known_header(home)?;
                    needs.replaced.add(Charge::of_header(log.layout(), &header));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The limits that depend on what is stored.
    fn check_needs(&self, needs: &Needs) -> Result<(), WriteError<S::Error>> {
        let too_large = |what, len: u32, max: u32| {
            Err(WriteError::BatchTooLarge { what, len: u64::from(len), max: u64::from(max) })
        };
        let pending_max = self.capacity.pending_edges / 2;
        if needs.pending > pending_max {
            return too_large(Limit::PendingEdges, needs.pending, pending_max);
        }
        if needs.intents > self.capacity.intents {
            return too_large(Limit::Intents, needs.intents, self.capacity.intents);
        }
        let bytes = needs.charge.bytes;
        if bytes > u64::from(self.capacity.batch_bytes) {
            let (what, max) = (Limit::BatchBytes, u64::from(self.capacity.batch_bytes));
            return Err(WriteError::BatchTooLarge { what, len: bytes, max });
        }
        let layout = self.store.log.layout();
        let usable = u64::from(Charge::usable(layout));
        let reserve = Reserve::of(layout.segments());
        let (live, new) = (self.store.state.live.charged, needs.charge.charged);
        if planted::is(Fault::FullUnchecked) {
            return Ok(());
        }
        let grows = needs.adds && new > needs.replaced.charged;
        let limit = u64::from(reserve.live_slots()) * usable;
        let after = (live + new).saturating_sub(needs.replaced.charged);
        let full = |limit: u64, used: u64| {
            Err(WriteError::Full { needed: new, free: limit.saturating_sub(used) })
        };
        if grows && after > limit {
            return full(limit, live.saturating_sub(needs.replaced.charged));
        }
        // Until the batch is whole, what it replaces lives as well.
        let room = u64::from(layout.segments().saturating_sub(reserve.step_slots())) * usable;
        if live + new > room {
            return full(room, live);
        }
        Ok(())
    }

    /// Moves the tail, folds and cleans up until the batch fits, a share of it ahead of need.
    fn make_room(&mut self, needs: &Needs) -> Result<(), WriteError<S::Error>> {
        self.keep_pace(needs.charge.bytes)?;
        // One neighbour of a deleted node is cleaned up for each batch, more where places are needed.
        if !self.store.state.intents.is_empty() {
            self.have_step_room()?;
            purge_step(&mut self.store, &mut self.fold)?;
        }
        let intents_max = self.capacity.intents - needs.intents;
        while self.store.state.intents.len() > intents_max {
            self.have_step_room()?;
            purge_step(&mut self.store, &mut self.fold)?;
        }
        while self.store.state.pending.free() < needs.pending {
            self.have_step_room()?;
            if !self.fold_fullest()? {
                break;
            }
        }
        let usable = u64::from(Charge::usable(self.store.log.layout()));
        let segments = u32::try_from(needs.charge.charged.div_ceil(usable)).unwrap_or(u32::MAX);
        let slots = Reserve::of(self.store.log.layout().segments()).step_slots();
        self.have_free_slots(slots.saturating_add(segments).saturating_sub(1), needs)
    }

    /// Moves as much of the tail as the pace asks for a put of so many bytes; at most one segment is freed.
    fn keep_pace(&mut self, put: u64) -> Result<(), WriteError<S::Error>> {
        let layout = *self.store.log.layout();
        let (live, free) = (self.store.state.live.bytes, self.store.log.ring.free());
        let reserve = Reserve::of(layout.segments());
        let pace = Pace::of(reserve, put, live, free, Charge::usable(&layout));
        let mut moved = 0;
        while moved < pace.move_bytes {
            self.have_step_room()?;
            match self.tail.step(&mut self.store, &mut self.fold)? {
                TailStep::Moved { bytes } => moved += bytes,
                TailStep::Passed => {}
                TailStep::Retired | TailStep::Nothing => break,
            }
        }
        Ok(())
    }

    /// Sees to it that a step which writes a record or two can be begun.
    pub(super) fn have_step_room(&mut self) -> Result<(), WriteError<S::Error>> {
        let slots = Reserve::of(self.store.log.layout().segments()).step_slots();
        self.have_free_slots(slots, &Needs::default())
    }

    /// Moves the tail until so many slots are free. What lives fits into the ring with room to
    /// spare, or it would have been refused, so that this ends within one turn of the ring.
    fn have_free_slots(&mut self, slots: u32, needs: &Needs) -> Result<(), WriteError<S::Error>> {
        let turn = self.store.log.number_max();
        let slots = if planted::is(Fault::NoReserve) { 1 } else { slots };
        while self.store.log.ring.free() < slots {
            let step = self.tail.step(&mut self.store, &mut self.fold)?;
            let tail = self.tail_number();
            if step == TailStep::Nothing || tail > turn {
                let usable = u64::from(Charge::usable(self.store.log.layout()));
                let free = u64::from(self.store.log.ring.free()) * usable;
                return Err(WriteError::Full { needed: needs.charge.charged, free });
            }
        }
        Ok(())
    }

    /// Number of the oldest live segment.
    pub(super) fn tail_number(&self) -> u32 {
        let ring = &self.store.log.ring;
        ring.tail().map_or(0, |slot| ring.slot(slot).number())
    }

    /// The second pass: the records, on media; and then what they mean. A batch of one record needs
    /// no end: it is whole, or it is not valid.
    fn write_records(
        &mut self,
        operations: &[Operation<'_>],
        in_batch: bool,
    ) -> Result<(), WriteError<S::Error>> {
        self.store.log.flush(&mut self.store.storage)?;
        let slot = self.store.log.ring.head().unwrap_or_default();
        let from = Place { slot, offset: self.store.log.at() };
        self.plan.start(&self.store, operations.len());
        let (mut records, mut given) = (0, 0);
        for (at, operation) in operations.iter().enumerate() {
            let becomes: Records = self.plan.resolve(&mut self.store, operations, at)?;
            for record in &becomes {
                let body = match (record, operation) {
                    (Record::Block { .. }, Operation::Put { block, .. }) => {
                        [block.source_uri.as_bytes(), block.metadata, block.content]
                    }
                    _ => [&[][..]; 3],
                };
                let Store { storage, log, .. } = &mut self.store;
                log.append(storage, record, in_batch, &body)?;
                records += 1;
            }
            if !becomes.is_empty() {
                given += given_bytes(operation);
            }
        }
        if records == 0 {
            // Making room freed the node that was to be deleted.
            return Ok(());
        }
        let Store { storage, log, .. } = &mut self.store;
        if in_batch {
            log.append(storage, &Record::BatchEnd { records }, true, &[])?;
        }
        match self.config.durability {
            Durability::EveryBatch if !planted::is(Fault::AcknowledgedUnsynced) => {
                log.sync(storage)?;
            }
            Durability::EveryBatch | Durability::OnSync => log.flush(storage)?,
        }
        if let Err(error) = self.replay_from(from) {
            // Part of the batch may count already: until it is known whole, nobody sees anything.
            self.mode = Mode::Lost;
            return Err(error.into());
        }
        self.given_bytes += given;
        Ok(())
    }
}

/// What a caller gave to be stored, in bytes: ids, versions and contents.
fn given_bytes(operation: &Operation<'_>) -> u64 {
    match operation {
        Operation::Put { block, .. } => {
            let lens = [block.source_uri.len(), block.metadata.len(), block.content.len()];
            lens.iter().map(|len| *len as u64).sum::<u64>() + 24
        }
        Operation::Delete(_) | Operation::DeleteBlock(_) => 16,
        Operation::Link(_) | Operation::Unlink(_) => 34,
    }
}
