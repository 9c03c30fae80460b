//! Folding: writing a node's list anew, with the changes that are pending for it.

use super::sort::sort_by_key;
use crate::edges::KeyChange;
use crate::format::{CHUNK_BYTES, ENTRY_BYTES, Layout, Record, Subject, entry_bytes};
use crate::log::{Appended, Log, LogBytes, LogError, ReadLog};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::planted::{self, Fault};
use crate::state::{Adjacency, ApplyError, List, State, Store};
use crate::storage::Storage;
use crate::types::{Direction, EdgeKey, KeyRange, NodeNumber};

/// An adjacency record takes at most this part of a segment.
const RECORD_PART: u32 = 8;

/// The most entries of an adjacency record before the list is cut into pages.
pub const fn adjacency_entries_max(layout: &Layout) -> u32 {
    let part = layout.segment_bytes() / RECORD_PART;
    let bytes = if part < CHUNK_BYTES { part } else { CHUNK_BYTES };
    bytes / ENTRY_BYTES
}

/// Memory for folding: room to sort the pending changes of one list.
pub struct Fold<'r> {
    changes: &'r mut [KeyChange],
    keeps_orphans: bool,
}

/// The old list and the sorted changes, merged one key at a time. Where both speak of a key, the
/// change decides.
struct Merged<'c> {
    list: List,
    old: Option<EdgeKey>,
    changes: &'c [KeyChange],
}

impl<'c> Merged<'c> {
    const fn new(of: (NodeNumber, Direction), range: KeyRange, changes: &'c [KeyChange]) -> Self {
        Self { list: List::new(of, range.high), old: None, changes }
    }

    fn start<E>(
        &mut self,
        log: &mut dyn LogBytes<Error = E>,
        state: &State<'_>,
        from: EdgeKey,
    ) -> Result<(), LogError<E>> {
        self.list.start(log, state, from)?;
        self.old = self.list.next(log, state)?;
        Ok(())
    }

    /// The next edge, those at nodes that are deleted left out, or lost: neither has a home record.
    fn next<E>(
        &mut self,
        log: &mut dyn LogBytes<Error = E>,
        state: &State<'_>,
    ) -> Result<Option<EdgeKey>, LogError<E>> {
        loop {
            let (old, change) = (self.old, self.changes.first().copied());
            let (key, there) = match (old, change) {
                (None, None) => return Ok(None),
                (Some(key), None) => (key, true),
                (old, Some(change)) => match old.filter(|key| *key < change.key()) {
                    Some(key) => (key, true),
                    None => (change.key(), change.is_add() || planted::is(Fault::UnlinkForgotten)),
                },
            };
            if old == Some(key) {
                self.old = self.list.next(log, state)?;
            }
            if change.is_some_and(|change| change.key() == key) {
                self.changes = self.changes.get(1..).unwrap_or_default();
            }
            if there && !state.index.home(key.number).is_none() {
                return Ok(Some(key));
            }
        }
    }
}

impl<'r> Fold<'r> {
    /// What [`new`](Self::new) takes of the region.
    pub const fn footprint(before: Footprint, pending_edges: u32) -> Footprint {
        before.slice::<KeyChange>(pending_edges as usize)
    }

    /// Memory for folding with so many pending edges.
    ///
    /// # Errors
    /// The region is too small.
    pub fn new(
        memory: &mut StorageCoordinator<'r>,
        pending_edges: u32,
    ) -> Result<Self, RegionTooSmall> {
        Ok(Self { changes: memory.slice_of(pending_edges as usize)?, keeps_orphans: false })
    }

    /// Folds what is pending for the part of the list that `key` lies in: the whole list, or one
    /// page of it (and the pages that fit beside it in half a record). Frees the node if nothing is
    /// left of it.
    ///
    /// Reads that part twice and writes it once, in one record or, where it grew too long, in several.
    /// A part that is damaged beyond mending stays damaged, under a short record of its own: its edges,
    /// and the changes that were pending for it, are known at their other ends only, as far as those hold.
    ///
    /// # Errors
    /// The log could not be read or written.
    pub fn fold<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        of: (NodeNumber, Direction),
        key: EdgeKey,
    ) -> Result<(), ApplyError<S::Error>> {
        let keeps_orphans = self.keeps_orphans;
        // What is read while a record is being written must be on media.
        store.log.flush(&mut store.storage)?;
        let (mut range, entries) =
            part_of(&mut store.log, &mut store.storage, &store.state, of, key)?;
        let Some(old_entries) = entries else { return self.keep_damaged(store, of, range) };
        let end = range.high;
        let changes = self.gather(&store.state, of, range);
        let adds = changes.iter().filter(|change| change.is_add()).count() as u32;
        let quota = quota(store, old_entries + adds);
        // Each turn writes a record and so moves `range.low` on; a list has no more records than entries.
        loop {
            let changes = self.gather(&store.state, of, range);
            let next = write_part(store, of, range, changes, quota)?;
            // What was pending here may have been the last that mentioned the other end: an edge that was
            // unlinked, or one that came and whose other end is deleted since.
            for change in changes.iter().filter(|_| !keeps_orphans) {
                free_if_orphan(store, change.key().number)?;
            }
            match next {
                Some(low) => range = KeyRange { low, high: end },
                None => break,
            }
        }
        if keeps_orphans { Ok(()) } else { free_if_orphan(store, of.0) }
    }

    /// Empties the part of the list that `key` lies in, if it cannot be read; what is pending for it goes as
    /// well. Returns the end of that part, and whether it was emptied.
    ///
    /// # Errors
    /// The log could not be read or written.
    pub fn empty_if_damaged<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        of: (NodeNumber, Direction),
        key: EdgeKey,
    ) -> Result<(Option<EdgeKey>, bool), ApplyError<S::Error>> {
        let (range, is_damaged) = check_part(store, of, key)?;
        if is_damaged {
            store.record(&list_record(of, range, 0), &[])?;
        }
        Ok((range.high, is_damaged))
    }

    /// Writes the record that says that this part of the list is damaged.
    fn keep_damaged<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        of: (NodeNumber, Direction),
        range: KeyRange,
    ) -> Result<(), ApplyError<S::Error>> {
        let keeps_orphans = self.keeps_orphans;
        let changes = self.gather(&store.state, of, range);
        // One entry, since a record without any has no body that could be damaged.
        let record = list_record(of, range, 1);
        store.record_damaged(&record)?;
        for change in changes.iter().filter(|_| !keeps_orphans) {
            free_if_orphan(store, change.key().number)?;
        }
        Ok(())
    }

    /// Whether nodes stay of which nothing is left: while lists are repaired, an edge may be known at its
    /// other end only.
    pub fn keep_orphans(&mut self, keeps: bool) {
        self.keeps_orphans = keeps;
    }

    /// The changes that are pending for this part of the list, sorted by key.
    fn gather(
        &mut self,
        state: &State<'_>,
        of: (NodeNumber, Direction),
        range: KeyRange,
    ) -> &[KeyChange] {
        let halves = state.pending.halves(of.0, of.1).filter(|half| range.contains(half.key));
        let mut count = 0;
        for (place, half) in self.changes.iter_mut().zip(halves) {
            *place = half.into();
            count += 1;
        }
        let changes = self.changes.get_mut(..count).unwrap_or_default();
        sort_by_key(changes, |change| change.key());
        changes
    }
}

/// How many entries each record gets, so that all get about as many.
fn quota<S>(store: &Store<'_, S>, entries: u32) -> u32 {
    let max = adjacency_entries_max(store.log.layout()).max(1);
    // A list that is cut into pages takes a place for each. Where they are lacking, the record
    // becomes longer than it should be; links that it could not hold are refused, so that it stays
    // bounded.
    let pages = entries.div_ceil(max).min(store.state.hubs.free()).max(1);
    entries.div_ceil(pages).max(1)
}

/// The part of a list that is written anew for a key, and how many entries its records have; `None` if
/// they cannot be read.
fn part_of<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    state: &State<'_>,
    of: (NodeNumber, Direction),
    key: EdgeKey,
) -> Result<(KeyRange, Option<u32>), LogError<S::Error>> {
    let reader = &mut log.on(storage);
    let Adjacency::Pages(chain) = state.adjacency(of.0, of.1) else {
        return Ok((KeyRange::ALL, entries_at(reader, state, of, EdgeKey::MIN)?));
    };
    let half_full = adjacency_entries_max(reader.log().layout()) / 2;
    let (mut range, _) =
        state.hubs.page_of(chain, key).unwrap_or((KeyRange::ALL, Default::default()));
    let Some(mut entries) = entries_at(reader, state, of, range.low)? else {
        return Ok((range, None));
    };
    // Neighbouring pages that shrank are taken in, on the right and then on the left, so that a hub
    // whose edges go becomes an ordinary node again. Damaged ones stay by themselves.
    let mut take_in = |low: EdgeKey| {
        let more = entries_at(reader, state, of, low)?;
        let fits = more.filter(|more| entries + more <= half_full);
        entries += fits.unwrap_or(0);
        Ok(fits.is_some())
    };
    for _ in 0..state.hubs.len() {
        let Some(high) = range.high else { break };
        let Some((next, _)) = state.hubs.page_of(chain, high) else { break };
        if !take_in(next.low)? {
            break;
        }
        range.high = next.high;
    }
    for _ in 0..state.hubs.len() {
        let before = state.hubs.pages(chain).find(|(page, _)| page.high == Some(range.low));
        let Some((before, _)) = before else { break };
        if !take_in(before.low)? {
            break;
        }
        range.low = before.low;
    }
    Ok((range, Some(entries)))
}

/// The part of the list that a key lies in, and whether it cannot be read. One record is read whole.
///
/// # Errors
/// The storage refused.
pub fn check_part<S: Storage>(
    store: &mut Store<'_, S>,
    of: (NodeNumber, Direction),
    key: EdgeKey,
) -> Result<(KeyRange, bool), LogError<S::Error>> {
    let Store { storage, log, state } = store;
    let range = match state.adjacency(of.0, of.1) {
        Adjacency::Pages(chain) => state.hubs.page_of(chain, key).map(|(range, _)| range),
        Adjacency::None | Adjacency::Record(_) => None,
    };
    let range = range.unwrap_or(KeyRange::ALL);
    let is_damaged = entries_at(&mut log.on(storage), state, of, range.low)?.is_none();
    Ok((range, is_damaged))
}

/// How many entries the record has that covers a key; `None` if it cannot be read.
fn entries_at<E>(
    log: &mut dyn LogBytes<Error = E>,
    state: &State<'_>,
    of: (NodeNumber, Direction),
    key: EdgeKey,
) -> Result<Option<u32>, LogError<E>> {
    let mut list = List::new(of, None);
    match list.start(log, state, key) {
        Ok(()) => Ok(Some(list.record_entries())),
        Err(LogError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The record over a part of a list.
fn list_record(of: (NodeNumber, Direction), range: KeyRange, entries: u32) -> Record {
    let range = (range != KeyRange::ALL).then_some(range);
    Record::Adjacency { number: of.0, direction: of.1, entries, range }
}

/// Writes one record with at most `quota` entries from `range.low` on, and returns the first key
/// that is left.
fn write_part<S: Storage>(
    store: &mut Store<'_, S>,
    of: (NodeNumber, Direction),
    range: KeyRange,
    changes: &[KeyChange],
    quota: u32,
) -> Result<Option<EdgeKey>, ApplyError<S::Error>> {
    let (entries, left) = count_part(store, of, range, changes, quota)?;
    let written = KeyRange { low: range.low, high: left.or(range.high) };
    let record = list_record(of, written, entries);
    let appended = append_part(store, of, range, changes, &record)?;
    store.apply(&record, appended)?;
    Ok(left)
}

/// How many entries a record gets from `range.low` on, at most `quota`, and the first key that is left.
// These two have frames of their own, one after the other: each holds a list's window.
#[inline(never)]
fn count_part<S: Storage>(
    store: &mut Store<'_, S>,
    of: (NodeNumber, Direction),
    range: KeyRange,
    changes: &[KeyChange],
    quota: u32,
) -> Result<(u32, Option<EdgeKey>), LogError<S::Error>> {
    let Store { storage, log, state } = store;
    let reader = &mut log.on(storage);
    let mut merged = Merged::new(of, range, changes);
    merged.start(reader, state, range.low)?;
    let mut entries = 0;
    // Ends with the list: every turn takes one key.
    while let Some(key) = merged.next(reader, state)? {
        if entries == quota {
            return Ok((entries, Some(key)));
        }
        entries += 1;
    }
    Ok((entries, None))
}

/// Appends a record with the first entries from `range.low` on, as many as it says.
#[inline(never)]
fn append_part<S: Storage>(
    store: &mut Store<'_, S>,
    of: (NodeNumber, Direction),
    range: KeyRange,
    changes: &[KeyChange],
    record: &Record,
) -> Result<Appended, LogError<S::Error>> {
    let Store { storage, log, state } = store;
    // Opens the next segment now if need be, so that everything that is read below is on media.
    let mut writer = log.begin(storage, record, false)?;
    let mut merged = Merged::new(of, range, changes);
    merged.start(&mut writer, state, range.low)?;
    let Record::Adjacency { entries, .. } = *record else { return writer.end() };
    for _ in 0..entries {
        let Some(key) = merged.next(&mut writer, state)? else { break };
        writer.body(&entry_bytes(key))?;
    }
    let appended = writer.end()?;
    log.flush(storage)?;
    Ok(appended)
}

/// A node that has neither a block nor an edge is nobody's: its number becomes free.
///
/// # Errors
/// The log could not be read or written.
pub fn free_if_orphan<S: Storage>(
    store: &mut Store<'_, S>,
    node: NodeNumber,
) -> Result<(), ApplyError<S::Error>> {
    let home = store.state.index.home(node);
    if home.is_none() || !store.state.is_bare(node) {
        return Ok(());
    }
    let home = store.log.on(&mut store.storage).known_outline(home)?;
    if let Subject::Node { number, id } = home.subject {
        store.record(&Record::Tombstone { number, id }, &[])?;
    }
    Ok(())
}
