//! Writing a batch: limits first, then room, then its records, then what they mean.
//!
//! Up to the door the batch is the caller's; from there on it is the engine's, and only that is written.

use super::batch::Batch;
use super::damage::Damage;
use super::error::WriteError;
use super::operation::{Expect, Operation};
use super::plan::{Needs, Records};
use super::{Durability, Mode, StorageEngine};
use crate::compaction::{Left, Reserve, TailStep, Turn, purge_step};
use crate::format::{Place, Record};
use crate::log::{Log, LogError, ReadLog, Slot, Source};
use crate::memory::owned::{Caller, Engine, Owned};
use crate::planted::{self, Fault};
use crate::state::{Charge, Limit, Share, Store};
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
        // Nothing is to come, so that the content cannot break off.
        let written = self.write_all(Batch::of(operations), &mut |_| None)?;
        Ok(written.unwrap_or(self.sequence))
    }

    /// Writes a batch, of whose content some may come from a source. `None` if that broke off.
    pub(super) fn write_all(
        &mut self,
        batch: Owned<Batch<'_>, Caller>,
        source: &mut Source<'_>,
    ) -> Result<Option<Sequence>, WriteError<S::Error>> {
        let newest = self.store.log.number_max();
        let written = self.write_batch(batch, source);
        self.forget_checks(newest);
        written.map(|is_whole| is_whole.then_some(self.sequence))
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

    /// Returns whether all of the content came.
    fn write_batch(
        &mut self,
        batch: Owned<Batch<'_>, Caller>,
        source: &mut Source<'_>,
    ) -> Result<bool, WriteError<S::Error>> {
        self.check_writable()?;
        let mut needs = Needs::default();
        let Some(batch) = self.admit(batch, &mut needs)? else { return Ok(true) };
        let (newest, at) = (self.store.log.number_max(), self.store.log.at());
        self.make_room(&needs).map_err(|error| self.fail(error))?;
        let made_room = (self.store.log.number_max(), self.store.log.at()) != (newest, at);
        // A source may not return, so that what follows the batch is not reached.
        self.forget_checks(newest);
        let operations = batch.get(&Engine::token());
        // Making room may have freed the number of an edge's end, which is then named anew: a batch
        // of one record could become one of two. Content that is to come needs an end that it came.
        let may_be_single = needs.records == 1 && operations.to_come().is_none();
        if may_be_single && made_room {
            self.survey_batch(operations, &mut needs)?;
        }
        let single = may_be_single && needs.records == 1;
        self.write_records(&batch, !single, source).inspect_err(|_| {
            // What was written of the batch is void only once a recovery says so.
            if !planted::is(Fault::GoesOnAfterFailure) {
                self.give_up();
            }
        })
    }

    /// The door: a batch becomes the engine's when every limit was checked. `None` if it changes nothing.
    /// What it needs is large, and so written where it stays.
    fn admit<'o>(
        &mut self,
        batch: Owned<Batch<'o>, Caller>,
        needs: &mut Needs,
    ) -> Result<Option<Owned<Batch<'o>, Engine>>, WriteError<S::Error>> {
        let caller = Caller::token();
        let asked = batch.get(&caller);
        self.check_sizes(asked)?;
        match self.survey_batch(asked, needs) {
            Err(
                WriteError::NodesFull { .. }
                | WriteError::HubPagesFull { .. }
                | WriteError::BatchTooLarge { .. },
            ) if self.free_places()? => self.survey_batch(asked, needs)?,
            surveyed => surveyed?,
        }
        if needs.records == 0 {
            return Ok(None);
        }
        let mut checked = self.check_needs(needs);
        let Store { storage, log, .. } = &mut self.store;
        if matches!(checked, Err(WriteError::Full { .. })) && log.try_bad_slots(storage) {
            checked = self.check_needs(needs);
        }
        match checked {
            // What is pending is charged more than it takes when it is folded.
            Err(WriteError::Full { .. }) if self.free_places()? => {
                self.survey_batch(asked, needs)?;
                self.check_needs(needs)?;
            }
            checked => checked?,
        }
        let batch = batch.transfer(&caller);
        Ok((needs.records > 0).then_some(batch))
    }

    /// Whether batches may be written.
    pub(super) fn check_writable(&self) -> Result<(), WriteError<S::Error>> {
        match (self.mode, self.lost) {
            (Mode::Writing, None) => Ok(()),
            (Mode::Writing, _) if planted::is(Fault::DegradedWritten) => Ok(()),
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
        if !planted::is(Fault::CloseUnmarked) {
            log.append(storage, &Record::Mark { closes: true }, false, &[])?;
        }
        log.sync(storage)?;
        Ok(())
    }

    /// The limits that can be checked without looking at the store.
    fn check_sizes(&self, batch: &Batch<'_>) -> Result<(), WriteError<S::Error>> {
        let operations = batch.operations();
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
            let len = batch.lens(block).iter().fold(0u64, |sum, len| sum.saturating_add(*len));
            if len > max {
                return Err(WriteError::BlockTooLarge { len, max });
            }
        }
        Ok(())
    }

    /// The first pass: what the batch needs.
    fn survey_batch(
        &mut self,
        batch: &Batch<'_>,
        needs: &mut Needs,
    ) -> Result<(), WriteError<S::Error>> {
        let operations = batch.operations();
        *needs = Needs::default();
        self.plan.start(&self.store, operations.len());
        for (at, operation) in operations.iter().enumerate() {
            let records = self.plan.resolve(&mut self.store, batch, at)?;
            needs.records += records.len() as u32;
            needs.adds |= matches!(operation, Operation::Put { .. } | Operation::Link(_));
            for record in &records {
                needs.charge.add(self.store.share(record));
                self.count(operations, at, record, needs)?;
            }
            if matches!(operation, Operation::Link(_)) && !records.is_empty() {
                // Making room may free the number of an end that has neither block nor edge; it is
                // then named anew.
                let missing = 3 - records.len() as u32;
                let node =
                    Record::Node { number: NodeNumber::new(u32::MAX), id: BlockId::default() };
                (0..missing).for_each(|_| needs.charge.add(self.store.share(&node)));
            }
        }
        Ok(())
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
                    let old = log.on(storage).recent_outline(home)?;
                    needs.replaced.add(Share::of_outline(log.layout(), &old));
                }
            }
            Record::Block { number, .. }
            | Record::Node { number, .. }
            | Record::Tombstone { number, .. } => {
                let home = state.index.home(*number);
                if !home.is_none() {
                    let old = log.on(storage).recent_outline(home)?;
                    needs.replaced.add(Share::of_outline(log.layout(), &old));
                    let longer = record.subject().version_beyond(&old.subject);
                    needs.grown += Share::of_growth(log.layout(), longer);
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
        if planted::is(Fault::FullUnchecked) {
            return Ok(());
        }
        self.check_room(needs)
    }

    /// Whether the store is too full for what is new. (A store that is full takes updates for ever: what a
    /// version that counts on is longer is let in, as long as the tail can be moved.)
    fn check_room(&self, needs: &Needs) -> Result<(), WriteError<S::Error>> {
        let (new, replaced) = (&needs.charge, &needs.replaced);
        let layout = self.store.log.layout();
        let (live, reserve) = (self.store.state.live.charge(), self.reserve());
        let bytes = |slots: u32| u64::from(slots) * u64::from(Charge::usable(layout));
        let limit = bytes(reserve.live_slots());
        // Until the batch is whole, what it replaces lives as well.
        let together = live.with(new);
        if together.is_surely_within(limit) {
            return Ok(());
        }
        let full = |limit: u64, taken: u64| {
            let before = live.without(replaced).taken(layout);
            let (needed, free) = (taken.saturating_sub(before), limit.saturating_sub(before));
            Err(WriteError::Full { needed, free })
        };
        let after = together.without(replaced).taken(layout);
        if needs.adds && after > limit && after > live.taken(layout) + needs.grown {
            return full(limit, after);
        }
        // The tail does not move inside a batch, whose records lie side by side, so that what is new need not
        // be charged as if each of its records lay between long ones.
        let sound = self.store.log.ring.sound();
        let room = bytes(sound.saturating_sub(reserve.step_slots()));
        let apart = live.taken_at_most(layout).saturating_add(new.taken_at_most(layout));
        let most = together.taken_at_most(layout).min(apart);
        if most > room {
            return full(room, most);
        }
        Ok(())
    }

    /// What stays free of the slots that erase.
    const fn reserve(&self) -> Reserve {
        Reserve::of(self.store.log.ring.sound())
    }

    /// Moves the tail, folds and cleans up until the batch fits, a share of it ahead of need.
    fn make_room(&mut self, needs: &Needs) -> Result<(), WriteError<S::Error>> {
        let taken = needs.charge.taken(self.store.log.layout());
        self.keep_pace(taken)?;
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
        let layout = self.store.log.layout();
        // The end of a batch takes its own place.
        let end = Share::of(layout, &Record::BatchEnd { records: needs.records }).bytes;
        let bytes = taken + end;
        let segments = bytes.div_ceil(u64::from(Charge::usable(layout)).max(1));
        let segments = u32::try_from(segments).unwrap_or(u32::MAX);
        let segments = if planted::is(Fault::BatchSizeUncounted) { 1 } else { segments };
        let slots = self.reserve().step_slots();
        self.have_free_slots(slots.saturating_add(segments).saturating_sub(1), taken)
    }

    /// Moves as much of the tail as the pace asks for a put that takes so much.
    fn keep_pace(&mut self, put: u64) -> Result<(), WriteError<S::Error>> {
        let layout = self.store.log.layout();
        let (reserve, log) = (self.reserve(), &self.store.log);
        let left = Left { slots: log.ring.free(), rest: layout.segment_bytes() - log.at() };
        let room = left.beyond_any_turn(reserve, Charge::usable(layout)).saturating_sub(put);
        if room > 0 && self.store.state.live.charge().is_surely_within(room) {
            return Ok(());
        }
        let ends = (self.tail_number(), log.number_max());
        if self.turn_of != ends {
            (self.turn, self.turn_of) = (self.turn_ahead(reserve, left), ends);
        }
        let pace = self.turn.pace(reserve, left, put);
        let (mut moved, mut freed) = (0, 0);
        while moved < pace.move_bytes && freed < pace.free_segments {
            self.have_step_room()?;
            match self.tail.step(&mut self.store, &mut self.fold)? {
                TailStep::Moved { bytes } => moved += bytes,
                TailStep::Passed => {}
                TailStep::Retired => freed += 1,
                TailStep::Nothing => break,
            }
        }
        Ok(())
    }

    fn turn_ahead(&self, reserve: Reserve, left: Left) -> Turn {
        let Store { log, state, .. } = &self.store;
        let lives = log.ring.chain().map(|slot| u64::from(state.live.in_slot(slot)));
        Turn::ahead(reserve, left, self.filled(), lives)
    }

    /// How much records fill of a segment: what they do in those that are full, and no more than records of
    /// the lengths that live can.
    fn filled(&self) -> u32 {
        let Store { log, state, .. } = &self.store;
        let layout = log.layout();
        let full = log.ring.chain().map(|slot| log.ring.slot(slot)).filter(Slot::is_sealed);
        let (sum, count) =
            full.fold((0, 0), |(sum, count), slot| (sum + u64::from(slot.end()), count + 1));
        let mean = u32::try_from(sum / count.max(1)).unwrap_or(u32::MAX);
        let filled = state.live.charge().filled(layout);
        if count == 0 { filled } else { filled.min(mean.saturating_sub(layout.first_offset())) }
    }

    /// Sees to it that a step which writes a record or two can be begun.
    pub(super) fn have_step_room(&mut self) -> Result<(), WriteError<S::Error>> {
        let slots = self.reserve().step_slots();
        self.have_free_slots(slots, 0)
    }

    /// Moves the tail until so many slots are free. What lives fits into the ring with room to
    /// spare, or it would have been refused, so that this ends within one turn of the ring. `needed` is what
    /// the batch takes for which they are to be free, in bytes.
    fn have_free_slots(&mut self, slots: u32, needed: u64) -> Result<(), WriteError<S::Error>> {
        let turn = self.store.log.number_max();
        let slots = if planted::is(Fault::NoReserve) { 1 } else { slots };
        while self.store.log.ring.free() < slots {
            let step = self.tail.step(&mut self.store, &mut self.fold)?;
            let ends_turn = step == TailStep::Nothing || self.tail_number() > turn;
            let Store { storage, log, .. } = &mut self.store;
            if ends_turn && log.ring.free() < slots && !log.try_bad_slots(storage) {
                let layout = self.store.log.layout();
                let free =
                    u64::from(self.store.log.ring.free()) * u64::from(Charge::usable(layout));
                return Err(WriteError::Full { needed, free });
            }
        }
        Ok(())
    }

    /// What a planted fault does between two operations of a batch.
    fn move_inside(&mut self) -> Result<(), WriteError<S::Error>> {
        self.have_step_room()?;
        self.tail.step(&mut self.store, &mut self.fold)?;
        Ok(())
    }

    /// Number of the oldest live segment.
    pub(super) fn tail_number(&self) -> u32 {
        let ring = &self.store.log.ring;
        ring.tail().map_or(0, |slot| ring.slot(slot).number())
    }

    /// The second pass: the records, on media; and then what they mean. A batch of one record needs
    /// no end: it is whole, or it is not valid. Returns whether all of the content came.
    fn write_records(
        &mut self,
        batch: &Owned<Batch<'_>, Engine>,
        in_batch: bool,
        source: &mut Source<'_>,
    ) -> Result<bool, WriteError<S::Error>> {
        let batch = batch.get(&Engine::token());
        self.store.log.flush(&mut self.store.storage)?;
        let slot = self.store.log.ring.head().unwrap_or_default();
        let from = Place { slot, offset: self.store.log.at() };
        self.plan.start(&self.store, batch.operations().len());
        let (mut records, mut given, mut is_whole) = (0, 0, true);
        for (at, operation) in batch.operations().iter().enumerate() {
            let becomes: Records = self.plan.resolve(&mut self.store, batch, at)?;
            for record in &becomes {
                let body = match (record, operation) {
                    (Record::Block { .. }, Operation::Put { block, .. }) => {
                        [block.source_uri.as_bytes(), block.metadata, block.content]
                    }
                    _ => [&[][..]; 3],
                };
                let Store { storage, log, .. } = &mut self.store;
                let mut writer = log.begin(storage, record, in_batch)?;
                for part in body {
                    writer.body(part)?;
                }
                if let Some(bytes) = batch.to_come() {
                    is_whole = Self::write_content(&mut self.mode, &mut writer, bytes, source)?;
                }
                writer.end()?;
                records += 1;
            }
            if in_batch && planted::is(Fault::MovesInsideBatch) {
                self.move_inside()?;
            }
            if !becomes.is_empty() {
                given += batch.given_bytes(operation);
            }
        }
        if records == 0 {
            // Making room freed the node that was to be deleted.
            return Ok(true);
        }
        let Store { storage, log, .. } = &mut self.store;
        if !is_whole {
            // An end that counts no records voids what lies before it; two, since a batch whose end is
            // damaged counts.
            for _ in 0..2 {
                log.append(storage, &Record::BatchEnd { records: 0 }, true, &[])?;
            }
            log.flush(storage)?;
            return Ok(false);
        }
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
        Ok(true)
    }
}
