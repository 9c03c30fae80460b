//! Planning a batch: what each operation becomes, given those before it, without touching media or state.
//!
//! A batch is planned twice by the same code. The first pass adds up what it needs, so that every
//! limit is checked before anything is written; then room is made; the second pass writes. The
//! table here holds what the batch so far has done to each id, so that an operation sees those
//! before it; node numbers are taken from a cursor that walks the free numbers without taking any,
//! so that both passes give the same ones.

use super::batch::Batch;
use super::error::WriteError;
use super::operation::{Expect, Operation};
use crate::format::{EdgeChange, Record, Subject};
use crate::index::FreeNumbers;
use crate::log::LogError;
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::planted::{self, Fault};
use crate::state::{Charge, Store};
use crate::storage::Storage;
use crate::types::{BlockId, EdgeKey, GraphEdge, NodeNumber};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Places in the table for each operation: two ids, and room so that probing stays short.
const PLACES: usize = 3;
/// No number, no place.
const NONE: u32 = u32::MAX;

const HAS_BLOCK: u32 = 1;
/// The batch changes an edge here. (One that it says and that is known is no change.)
const LINKED: u32 = 2;
const FRESH: u32 = 4;

/// What the batch so far has done to one id.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Entry {
    /// Operation and end by which the id is found: twice the operation, plus the end, plus one. 0
    /// is an empty place.
    key: u32,
    number: u32,
    flags: u32,
    /// One more than a number that the batch freed, and than the place of the one that it freed
    /// before; 0 is none.
    freed: u32,
    freed_before: u32,
    /// One more than the place of the one that it freed after.
    freed_after: u32,
    version: u64,
}

/// What the id is at this point of the batch.
#[derive(Clone, Copy)]
struct Seen {
    place: usize,
    entry: Entry,
}

/// The records that one operation becomes: an edge may bring two nodes along.
pub(super) type Records = heapless::Vec<Record, 3>;

/// What a batch needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Needs {
    /// Records, its end left out.
    pub(super) records: u32,
    /// What the new records take of the ring.
    pub(super) charge: Charge,
    /// What the records that they supersede took.
    pub(super) replaced: Charge,
    /// Whether something is put or linked. What only takes away is never refused for want of space.
    pub(super) adds: bool,
    /// By how much more blocks may be charged than those that they replace, since their versions are longer.
    pub(super) grown: u64,
    /// Edge changes.
    pub(super) pending: u32,
    /// Nodes with edges that are deleted.
    pub(super) intents: u32,
}

/// The table of a batch.
pub(super) struct Plan<'r> {
    table: &'r mut [Entry],
    free: Option<FreeNumbers>,
    /// One more than the place of the number that was freed last; 0 if none was.
    freed: u32,
}

impl<'r> Plan<'r> {
    pub(super) const fn footprint(before: Footprint, operations: u32) -> Footprint {
        before.slice::<Entry>(operations as usize * PLACES)
    }

    pub(super) fn new(
        memory: &mut StorageCoordinator<'r>,
        operations: u32,
    ) -> Result<Self, RegionTooSmall> {
        let table = memory.slice_of(operations as usize * PLACES)?;
        Ok(Self { table, free: None, freed: 0 })
    }

    pub(super) fn operations_max(&self) -> u32 {
        (self.table.len() / PLACES) as u32
    }

    /// Starts a pass over a batch of so many operations. O(operations).
    pub(super) fn start<S>(&mut self, store: &Store<'r, S>, operations: usize) {
        let places = (operations * PLACES).min(self.table.len());
        self.table.iter_mut().take(places).for_each(|entry| *entry = Entry::default());
        self.free = Some(store.state.index.peek_free());
        self.freed = 0;
    }

    /// The id at one end of operation `at`, as the batch so far has left it.
    fn see<S: Storage>(
        &mut self,
        store: &mut Store<'r, S>,
        batch: &Batch<'_>,
        at: usize,
        end: usize,
    ) -> Result<Seen, LogError<S::Error>> {
        let operations = batch.operations();
        let nobody = BlockId::default();
        let id = operations.get(at).and_then(|operation| operation.id(end)).unwrap_or(&nobody);
        let places = (operations.len() * PLACES).min(self.table.len()).max(1);
        let mut place = store.state.index.hash(id).home(places as u32) as usize;
        for _ in 0..places {
            let entry = self.table.get(place).copied().unwrap_or_default();
            if entry.key == 0 {
                break;
            }
            let (by, end) = ((entry.key - 1) / 2, (entry.key - 1) % 2);
            let known = operations.get(by as usize).and_then(|by| by.id(end as usize));
            if known == Some(id) {
                return Ok(Seen { place, entry });
            }
            place = if place + 1 < places { place + 1 } else { 0 };
        }
        let mut entry = Entry { key: (at * 2 + end + 1) as u32, number: NONE, ..Entry::default() };
        if let Some((number, _, home)) =
            store.state.lookup(&mut store.log.on(&mut store.storage), id)?
        {
            entry.number = number.get();
            if let Subject::Block { version, .. } = home.subject {
                entry.flags = HAS_BLOCK;
                entry.version = version;
            }
        }
        let seen = Seen { place, entry };
        self.keep(seen);
        Ok(seen)
    }

    fn keep(&mut self, seen: Seen) {
        if let Some(entry) = self.table.get_mut(seen.place) {
            *entry = seen.entry;
        }
    }

    /// The node of the id; a number is given to one that has none.
    fn number<S: Storage>(
        &mut self,
        store: &Store<'r, S>,
        seen: &mut Seen,
    ) -> Result<(NodeNumber, bool), WriteError<S::Error>> {
        if seen.entry.number != NONE {
            return Ok((NodeNumber::new(seen.entry.number), false));
        }
        let index = &store.state.index;
        // An id that comes back takes the number that it freed, so that it never frees two.
        if seen.entry.freed != 0 {
            let number = NodeNumber::new(seen.entry.freed - 1);
            self.unlist(&mut seen.entry);
            seen.entry.number = number.get();
            seen.entry.flags |= FRESH;
            return Ok((number, true));
        }
        if planted::is(Fault::NumberGivenTwice) {
            self.free = Some(index.peek_free());
        }
        let number = match self.free.as_mut().and_then(|free| free.next(index)) {
            Some(number) => number,
            None => self.reuse().ok_or(WriteError::NodesFull {
                needed: u64::from(index.capacity()) + 1,
                capacity: u64::from(index.capacity()),
            })?,
        };
        seen.entry.number = number.get();
        seen.entry.flags |= FRESH;
        Ok((number, true))
    }

    /// A number that this batch freed.
    fn reuse(&mut self) -> Option<NodeNumber> {
        let place = (self.freed as usize).checked_sub(1)?;
        let mut entry = self.table.get(place).copied()?;
        let number = NodeNumber::new(entry.freed.checked_sub(1)?);
        self.unlist(&mut entry);
        self.keep(Seen { place, entry });
        Some(number)
    }

    /// Takes the entry out of the list of those that freed a number.
    fn unlist(&mut self, entry: &mut Entry) {
        let (before, after) = (entry.freed_before, entry.freed_after);
        match after.checked_sub(1).and_then(|after| self.table.get_mut(after as usize)) {
            Some(after) => after.freed_before = before,
            None => self.freed = before,
        }
        if let Some(before) =
            before.checked_sub(1).and_then(|before| self.table.get_mut(before as usize))
        {
            before.freed_after = after;
        }
        (entry.freed, entry.freed_before, entry.freed_after) = (0, 0, 0);
    }

    /// What operation `at` becomes.
    ///
    /// # Errors
    /// A put expected something else to be stored; there are too many nodes; the log could not be read.
    pub(super) fn resolve<S: Storage>(
        &mut self,
        store: &mut Store<'r, S>,
        batch: &Batch<'_>,
        at: usize,
    ) -> Result<Records, WriteError<S::Error>> {
        let mut records = Records::new();
        match batch.operations().get(at) {
            Some(Operation::Put { block, expect }) => {
                let mut seen = self.see(store, batch, at, 0)?;
                check_expectation(*expect, &seen.entry, at)?;
                let (number, _) = self.number(store, &mut seen)?;
                seen.entry.flags |= HAS_BLOCK;
                seen.entry.version = block.version;
                self.keep(seen);
                // Checked at the door: far below 32 bits.
                let lens = batch.lens(block).map(|len| len as u32);
                let record = Record::Block { number, id: block.id, version: block.version, lens };
                push(&mut records, record);
            }
            Some(Operation::Delete(id)) => self.delete(store, batch, at, id, &mut records)?,
            Some(Operation::DeleteBlock(id)) => {
                let seen = self.see(store, batch, at, 0)?;
                if seen.entry.flags & HAS_BLOCK == 0 {
                    return Ok(records);
                }
                if self.is_bare(store, &seen.entry) {
                    return self.delete(store, batch, at, id, &mut records).map(|()| records);
                }
                let entry = Entry { flags: seen.entry.flags & !HAS_BLOCK, ..seen.entry };
                self.keep(Seen { entry, ..seen });
                let number = NodeNumber::new(seen.entry.number);
                push(&mut records, Record::Node { number, id: *id });
            }
            Some(Operation::Link(edge)) => self.link(store, batch, at, edge, &mut records)?,
            Some(Operation::Unlink(edge)) => {
                self.unlink(store, batch, at, edge, &mut records)?;
            }
            None => {}
        }
        Ok(records)
    }

    fn is_bare<S>(&self, store: &Store<'r, S>, entry: &Entry) -> bool {
        let fresh = entry.flags & FRESH != 0;
        entry.flags & LINKED == 0 && (fresh || store.state.is_bare(NodeNumber::new(entry.number)))
    }

    fn delete<S: Storage>(
        &mut self,
        store: &mut Store<'r, S>,
        batch: &Batch<'_>,
        at: usize,
        id: &BlockId,
        records: &mut Records,
    ) -> Result<(), WriteError<S::Error>> {
        let Seen { place, mut entry } = self.see(store, batch, at, 0)?;
        if entry.number == NONE {
            return Ok(());
        }
        let number = NodeNumber::new(entry.number);
        if self.is_bare(store, &entry) {
            push(records, Record::Tombstone { number, id: *id });
            (entry.freed, entry.freed_before) = (number.get() + 1, self.freed);
            let last = (self.freed as usize).checked_sub(1);
            if let Some(last) = last.and_then(|last| self.table.get_mut(last)) {
                last.freed_after = place as u32 + 1;
            }
            self.freed = place as u32 + 1;
        } else {
            push(records, Record::Intent { number, id: *id });
        }
        (entry.number, entry.flags) = (NONE, 0);
        self.keep(Seen { place, entry });
        Ok(())
    }

    fn link<S: Storage>(
        &mut self,
        store: &mut Store<'r, S>,
        batch: &Batch<'_>,
        at: usize,
        edge: &GraphEdge,
        records: &mut Records,
    ) -> Result<(), WriteError<S::Error>> {
        if edge.source == edge.target && planted::is(Fault::SelfEdgeRefused) {
            return Ok(());
        }
        let mut source = self.see(store, batch, at, 0)?;
        let (source_number, new) = self.number(store, &mut source)?;
        if new {
            push(records, Record::Node { number: source_number, id: edge.source });
        }
        self.keep(source);
        let mut target = self.see(store, batch, at, 1)?;
        let (target_number, new) = self.number(store, &mut target)?;
        if new {
            push(records, Record::Node { number: target_number, id: edge.target });
        }
        self.keep(target);
        let touched = source.entry.flags & target.entry.flags & LINKED != 0;
        if !touched && records.is_empty() {
            let key = EdgeKey { kind: edge.kind.0, number: target_number };
            let Store { storage, log, state } = store;
            if state.has_edge(&mut log.on(storage), source_number, key)? {
                return Ok(());
            }
        }
        source.entry.flags |= LINKED;
        target.entry.flags |= LINKED;
        self.keep(source);
        self.keep(target);
        let (source, target) = (source_number, target_number);
        push(records, Record::Edge(EdgeChange { source, kind: edge.kind, target, add: true }));
        Ok(())
    }

    fn unlink<S: Storage>(
        &mut self,
        store: &mut Store<'r, S>,
        batch: &Batch<'_>,
        at: usize,
        edge: &GraphEdge,
        records: &mut Records,
    ) -> Result<(), WriteError<S::Error>> {
        let mut source = self.see(store, batch, at, 0)?;
        let mut target = self.see(store, batch, at, 1)?;
        if source.entry.number == NONE || target.entry.number == NONE {
            return Ok(());
        }
        let source_number = NodeNumber::new(source.entry.number);
        let target_number = NodeNumber::new(target.entry.number);
        if source.entry.flags & target.entry.flags & LINKED == 0 {
            let key = EdgeKey { kind: edge.kind.0, number: target_number };
            let Store { storage, log, state } = store;
            if !state.has_edge(&mut log.on(storage), source_number, key)? {
                return Ok(());
            }
        }
        source.entry.flags |= LINKED;
        target.entry.flags |= LINKED;
        self.keep(source);
        self.keep(target);
        let (source, target) = (source_number, target_number);
        push(records, Record::Edge(EdgeChange { source, kind: edge.kind, target, add: false }));
        Ok(())
    }
}

fn push(records: &mut Records, record: Record) {
    let fits = records.push(record).is_ok();
    debug_assert!(fits, "an operation becomes at most three records");
}

fn check_expectation<E>(expect: Expect, entry: &Entry, at: usize) -> Result<(), WriteError<E>> {
    let stored = (entry.flags & HAS_BLOCK != 0).then_some(entry.version);
    let as_expected = match expect {
        Expect::Any => true,
        Expect::Absent => stored.is_none(),
        Expect::Version(version) => stored == Some(version),
    };
    let conflict = WriteError::Conflict { operation: at as u32, stored };
    if as_expected { Ok(()) } else { Err(conflict) }
}
