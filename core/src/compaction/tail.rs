//! Moving the tail: the oldest segment's live records are appended again at the head, and then it is retired.

use super::Fold;
use crate::format::{EdgeChange, Header, Place, Record};
use crate::log::{LogError, Step, Walk};
use crate::state::{Adjacency, ApplyError, Store};
use crate::storage::Storage;
use crate::types::{Direction, EdgeKey, Location, NodeNumber};

/// Bodies are moved in pieces of this size, in bytes.
const PIECE_BYTES: usize = 256;

/// How far the oldest segment is moved. It starts anew with each opening: what was moved is dead then, and passes free.
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
        match walk.next(&mut store.log, &mut store.storage)? {
            Step::End => {
                retire(store, slot)?;
                self.offset = 0;
                Ok(TailStep::Retired)
            }
            Step::Invalid { offset } => {
                self.offset = offset + store.log.layout().align();
                Ok(TailStep::Passed)
            }
            Step::Record { header, offset, bytes } => {
                self.offset = offset + bytes;
                let at = Place { slot, offset };
                let location = store.log.layout().location(slot, offset);
                if !store.state.is_live(&header.record, location) {
                    return Ok(TailStep::Passed);
                }
                move_record(store, fold, &header, at, location)?;
                Ok(TailStep::Moved { bytes: u64::from(bytes) })
            }
        }
    }
}

fn retire<S: Storage>(store: &mut Store<'_, S>, slot: u32) -> Result<(), ApplyError<S::Error>> {
    // A record counts as superseded only by a durable one.
    store.log.sync(&mut store.storage)?;
    let segment = store.log.ring.slot(slot).number();
    store.record(&Record::Retire { segment, slot }, &[])?;
    store.log.sync(&mut store.storage)?;
    store.log.ring.pop_tail();
    store.log.ring.add_free(slot);
    store.log.retired = segment;
    Ok(())
}

fn move_record<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    header: &Header,
    at: Place,
    location: Location,
) -> Result<(), ApplyError<S::Error>> {
    match &header.record {
        Record::Edge(change) => fold_change(store, fold, change, location),
        Record::Adjacency { number, direction, range, .. } => {
            let low = range.map_or(EdgeKey::MIN, |range| range.low);
            fold_page(store, fold, (*number, *direction), low, location)
        }
        record => move_whole(store, record, header, at),
    }
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
    for (node, direction, other) in ends {
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

/// Writes the list, or the part of it that this record covers, anew. After an interrupted split a record may cover
/// several parts: each is written.
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

/// Appends the record as it is, body and all. A body that is damaged stays so, under its header: the key answers that
/// it is damaged, not with its past.
fn move_whole<S: Storage>(
    store: &mut Store<'_, S>,
    record: &Record,
    header: &Header,
    at: Place,
) -> Result<(), ApplyError<S::Error>> {
    let Store { storage, log, .. } = &mut *store;
    let sound = log.body_is_valid(storage, at, header)?;
    log.begin(storage, record, false)?;
    let body_bytes = record.body_bytes(log.layout().index_form()) as u32;
    if !sound {
        log.spoil();
    }
    let mut done = 0;
    while done < body_bytes {
        let mut piece = [0; PIECE_BYTES];
        let take = (body_bytes - done).min(PIECE_BYTES as u32);
        let piece = piece.get_mut(..take as usize).unwrap_or_default();
        log.read(storage, at.slot, at.offset + header.record.header_bytes() + done, piece)?;
        log.body(storage, piece)?;
        done += take;
    }
    let appended = log.end(storage, record, false)?;
    log.flush(storage)?;
    let place = log.layout().place(appended.location);
    let written = log.header(storage, place)?;
    if written.is_none_or(|header| header.record != *record)
        || sound && !log.body_is_valid(storage, place, header)?
    {
        return Err(ApplyError::Log(LogError::Corrupt {
            segment: log.ring.slot(place.slot).number(),
            offset: place.offset,
        }));
    }
    store.state.apply(&mut store.storage, &mut store.log, record, appended.location)
}
