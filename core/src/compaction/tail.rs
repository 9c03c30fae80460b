//! Moving the tail: the oldest segment's live records are appended again at the head, and then it is retired.

use super::Fold;
use crate::format::{EdgeChange, Header, Place, Record, Subject};
use crate::log::{CopyAs, LogBytes, LogError, ReadLog, Step, Walk};
use crate::planted::{self, Fault};
use crate::state::{Adjacency, ApplyError, Store};
use crate::storage::Storage;
use crate::types::{Direction, EdgeKey, Location, NodeNumber};

/// How far the oldest segment is moved. It starts anew with each opening: what was moved is dead
/// then, and passes free.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TailCursor {
    /// Offset in the segment; 0 before its first record.
    offset: u32,
}

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TailStep {
    /// A record was dead, or the bytes are none.
    Passed,
    /// A record of that many bytes was live, and lies at the head now.
    Moved {
        /// Its length in bytes.
        bytes: u64,
    },
    /// The segment holds nothing that is needed any more; its slot is free.
    Retired,
    /// There is no segment but the open one.
    Nothing,
}

impl TailCursor {
    /// Moves one record, or retires the segment behind its last one.
    ///
    /// # Errors
    /// The log could not be read or written.
    pub fn step<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        fold: &mut Fold<'_>,
    ) -> Result<TailStep, ApplyError<S::Error>> {
        let Some(slot) = store.log.ring.tail().filter(|_| store.log.ring.live() > 1) else {
            return Ok(TailStep::Nothing);
        };
        let from = self.offset.max(store.log.layout().first_offset());
        let end = store.log.ring.slot(slot).end();
        let mut walk = Walk::new(slot, from, end);
        match walk.next(store.log.on(&mut store.storage).erased())? {
            Step::End => {
                retire(store, slot)?;
                self.offset = 0;
                Ok(TailStep::Retired)
            }
            Step::Named { outline, offset } => {
                self.offset = offset + outline.bytes;
                let location = store.log.layout().location(slot, offset);
                if !store.state.is_live(&outline.subject, location) {
                    return Ok(TailStep::Passed);
                }
                carry_named(store, fold, &outline.subject, location)?;
                Ok(TailStep::Moved { bytes: u64::from(outline.bytes) })
            }
            Step::Invalid { offset } => {
                self.offset = pass_damage(store, Place { slot, offset }, end)?;
                Ok(TailStep::Passed)
            }
            Step::Record { header, offset, bytes } => {
                self.offset = offset + bytes;
                let at = Place { slot, offset };
                let location = store.log.layout().location(slot, offset);
                let is_tombstone = matches!(header.record, Record::Tombstone { .. });
                let is_live = store.state.is_live(&header.record.subject(), location);
                if !(is_live || is_tombstone && planted::is(Fault::TombstoneMoved)) {
                    return Ok(TailStep::Passed);
                }
                store.log.remember(location, store.log.outline_of(&header));
                move_record(store, fold, &header, at, location)?;
                store.log.count_moved(bytes);
                Ok(TailStep::Moved { bytes: u64::from(bytes) })
            }
        }
    }
}

/// Passes by a span without valid records; returns where it ends. What was hurt before the store was opened,
/// nobody relies on; what was hurt since must not be erased before a recovery has told of it.
fn pass_damage<S: Storage>(
    store: &mut Store<'_, S>,
    from: Place,
    end: u32,
) -> Result<u32, LogError<S::Error>> {
    let Store { storage, log, state } = store;
    let (until, is_needed) = state.damaged_span(&mut log.on(storage), from, end)?;
    if is_needed { Err(log.corrupt(from)) } else { Ok(until) }
}

fn retire<S: Storage>(store: &mut Store<'_, S>, slot: u32) -> Result<(), ApplyError<S::Error>> {
    // A record counts as superseded only by a durable one.
    if !planted::is(Fault::MovedNotSynced) {
        store.log.sync(&mut store.storage)?;
    }
    let segment = store.log.ring.slot(slot).number();
    store.record(&Record::Retire { segment, slot }, &[])?;
    if !planted::is(Fault::RetireNotSynced) {
        store.log.sync(&mut store.storage)?;
    }
    store.log.ring.pop_tail();
    if planted::is(Fault::RetiredUsedNext) {
        store.log.ring.add_free_first(slot);
    } else {
        store.log.ring.add_free(slot);
    }
    store.log.retired = segment;
    Ok(())
}

/// Writes a record that lives at the head, with its flipped bit mended if there is one.
///
/// # Errors
/// The log could not be read or written.
pub fn move_record<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    header: &Header,
    at: Place,
    location: Location,
) -> Result<(), ApplyError<S::Error>> {
    match &header.record {
        Record::Intent { .. } if planted::is(Fault::IntentNotMoved) => Ok(()),
        Record::Edge(change) if !planted::is(Fault::EdgeChangeMoved) => {
            fold_change(store, fold, change, location)
        }
        Record::Adjacency { number, direction, range, .. } => {
            let low = range.map_or(EdgeKey::MIN, |range| range.low);
            fold_page(store, fold, (*number, *direction), low, location)
        }
        record => {
            let copied = store.log.copy(&mut store.storage, at, header, CopyAs::Single)?;
            store.apply(record, copied.appended)
        }
    }
}

/// Writes a record that lives at the head whose header is damaged, as its index page names it. Nothing is
/// lost of what the page tells; a block's content is, and the key says so wherever it goes.
///
/// # Errors
/// The log could not be read or written.
pub fn carry_named<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    subject: &Subject,
    location: Location,
) -> Result<(), ApplyError<S::Error>> {
    let whole = match *subject {
        // One byte, since a record without a body has none that could be damaged.
        Subject::Block { number, id, version } => {
            return store.record_damaged(&Record::Block { number, id, version, lens: [0, 0, 1] });
        }
        Subject::Edge(change) => return fold_change(store, fold, &change, location),
        Subject::List { number, direction, range, .. } => {
            let low = range.map_or(EdgeKey::MIN, |range| range.low);
            return fold_page(store, fold, (number, direction), low, location);
        }
        Subject::Node { number, id } => Record::Node { number, id },
        Subject::Intent { number, id } => Record::Intent { number, id },
        Subject::Tombstone { .. }
        | Subject::BatchEnd { .. }
        | Subject::Damage { .. }
        | Subject::Log => return Ok(()),
    };
    let appended = store.record(&whole, &[])?;
    let written = store.log.on(&mut store.storage).known_header(appended.location)?;
    if written.record == whole {
        return Ok(());
    }
    Err(store.log.corrupt(store.log.layout().place(appended.location)).into())
}

/// Folds both ends of a change that are not folded yet.
fn fold_change<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    change: &EdgeChange,
    location: Location,
) -> Result<(), ApplyError<S::Error>> {
    let ends = [
        (change.source, Direction::Out, change.target),
        (change.target, Direction::In, change.source),
    ];
    let count = if planted::is(Fault::FoldedAtOneEnd) { 1 } else { ends.len() };
    for (node, direction, other) in ends.into_iter().take(count) {
        let key = EdgeKey { kind: change.kind.0, number: other };
        let mut halves = store.state.pending.halves(node, direction);
        let unfolded = halves.any(|half| half.key == key && half.location == location);
        drop(halves);
        if unfolded {
            fold.fold(store, (node, direction), key)?;
        }
    }
    Ok(())
}

/// Writes the list, or the part of it that this record covers, anew. After an interrupted split a
/// record may cover several parts: each is written.
fn fold_page<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    of: (NodeNumber, Direction),
    low: EdgeKey,
    location: Location,
) -> Result<(), ApplyError<S::Error>> {
    let mut key = low;
    for _ in 0..=store.state.hubs.len() {
        let Adjacency::Pages(chain) = store.state.adjacency(of.0, of.1) else {
            if store.state.adjacency(of.0, of.1) == Adjacency::Record(location) {
                fold.fold(store, of, key)?;
            }
            return Ok(());
        };
        let page = store.state.hubs.pages(chain).find(|(_, at)| *at == location);
        let Some((range, _)) = page else { return Ok(()) };
        key = range.low;
        fold.fold(store, of, key)?;
    }
    Ok(())
}
