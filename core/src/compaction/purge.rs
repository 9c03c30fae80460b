//! Cleaning up after deleted nodes: a neighbour at a time, until nothing mentions the node.
//!
//! Who the neighbours are says the node's own list. Where that is damaged, every node's list is looked at.

use super::Fold;
use crate::format::{Record, Subject};
use crate::log::{LogBytes, LogError, ReadLog};
use crate::planted::{self, Fault};
use crate::state::{Adjacency, ApplyError, Cursor, Intent, List, State, Store};
use crate::storage::Storage;
use crate::types::{Direction, EdgeKey, KeyRange, NodeNumber};

/// Nodes without a list that one step passes by at most.
const PASS_MAX: u32 = 256;

/// One step for the oldest open intent: folds one neighbour's list, or frees the node's number when
/// none is left. False if no intent is open.
///
/// # Errors
/// The log could not be read or written.
pub fn purge_step<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
) -> Result<bool, ApplyError<S::Error>> {
    let Some(intent) = store.state.intents.first() else { return Ok(false) };
    match intent.cursor {
        _ if planted::is(Fault::TombstoneTooEarly) => write_tombstone(store, intent)?,
        Cursor::List(direction, from) => clean_neighbour(store, fold, intent, direction, from)?,
        Cursor::Search(direction, from) => search_neighbour(store, fold, intent, direction, from)?,
        Cursor::Pending => clean_pending(store, fold, intent)?,
    }
    Ok(true)
}

/// Folds the list of the next neighbour, or turns to the next stage.
fn clean_neighbour<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    intent: Intent,
    direction: Direction,
    from: EdgeKey,
) -> Result<(), ApplyError<S::Error>> {
    let Store { storage, log, state } = &mut *store;
    let node = intent.number;
    // An edge may be folded at its other end and pending at this one: only in this node's own list
    // would it be found. No change of a deleted node's edges comes in, so this is done before the
    // first key is passed.
    let own = state.pending.halves(node, direction).next().filter(|_| from == EdgeKey::MIN);
    if let Some(half) = own {
        return fold.fold(store, (node, direction), half.key);
    }
    let list = (node, direction);
    let key = match first_key(&mut log.on(storage), state, list, from) {
        Err(LogError::Corrupt { .. }) => {
            state.intents.set_cursor(node, Cursor::Search(direction, NodeNumber::new(0)));
            return Ok(());
        }
        key => key?,
    };
    let Some(key) = key else {
        state.intents.set_cursor(node, stage_after(direction));
        return Ok(());
    };
    let next = successor(key).map_or(stage_after(direction), |key| Cursor::List(direction, key));
    state.intents.set_cursor(node, next);
    // The lists of deleted nodes are dead; so is this node's own.
    if state.intents.contains(key.number) {
        return Ok(());
    }
    let there = (key.number, direction.reverse());
    let back = EdgeKey { kind: key.kind, number: node };
    match first_key(&mut log.on(storage), state, there, back) {
        Ok(Some(key)) if key == back => fold.fold(store, there, back),
        Ok(_) => Ok(()),
        // It may read well again some day, and the number is another node's then: what cannot be read now
        // is made unreadable for good.
        Err(LogError::Corrupt { .. }) => fold.fold(store, there, back),
        Err(error) => Err(error.into()),
    }
}

/// What comes when the node's list of this direction is done with.
const fn stage_after(direction: Direction) -> Cursor {
    match direction {
        Direction::Out => Cursor::List(Direction::In, EdgeKey::MIN),
        Direction::In => Cursor::Pending,
    }
}

/// The first key of a list that is at least `from`.
fn first_key<E>(
    log: &mut dyn LogBytes<Error = E>,
    state: &State<'_>,
    list: (NodeNumber, Direction),
    from: EdgeKey,
) -> Result<Option<EdgeKey>, LogError<E>> {
    let mut list = List::new(list, None);
    list.start(log, state, from)?;
    list.next(log, state)
}

/// Cleans the list of the next node, from a number on; those without one are passed by, a few at a time.
fn search_neighbour<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    intent: Intent,
    direction: Direction,
    from: NodeNumber,
) -> Result<(), ApplyError<S::Error>> {
    let state = &mut store.state;
    let high_water = state.index.high_water();
    let end = from.get().saturating_add(PASS_MAX).min(high_water);
    let mut lists = (from.get()..end).map(|number| (NodeNumber::new(number), direction.reverse()));
    let has_list = |list: &(NodeNumber, Direction)| {
        state.adjacency(list.0, list.1) != Adjacency::None && !state.intents.contains(list.0)
    };
    let list = lists.find(has_list);
    let next = list.map_or(end, |(number, _)| number.get() + 1);
    let cursor = match next < high_water {
        true => Cursor::Search(direction, NodeNumber::new(next)),
        false => stage_after(direction),
    };
    state.intents.set_cursor(intent.number, cursor);
    list.map_or(Ok(()), |list| clean_list(store, fold, list, intent.number))
}

/// Folds every part of a list that mentions the node, or cannot be read. O(its length).
fn clean_list<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    of: (NodeNumber, Direction),
    node: NodeNumber,
) -> Result<(), ApplyError<S::Error>> {
    let mut from = EdgeKey::MIN;
    // Ends with the list: each turn takes an edge out of it, or a page further.
    loop {
        let Store { storage, log, state } = &mut *store;
        let page = match state.adjacency(of.0, of.1) {
            Adjacency::Pages(chain) => state.hubs.page_of(chain, from).map(|(range, _)| range),
            Adjacency::None | Adjacency::Record(_) => None,
        };
        let range = KeyRange { low: from, high: page.and_then(|page| page.high) };
        match first_mention(&mut log.on(storage), state, of, range, node) {
            Ok(Some(key)) => {
                fold.fold(store, of, key)?;
                from = key;
                continue;
            }
            Ok(None) => {}
            // As for a neighbour that is known.
            Err(LogError::Corrupt { .. }) => fold.fold(store, of, from)?,
            Err(error) => return Err(error.into()),
        }
        match range.high {
            Some(high) => from = high,
            None => return Ok(()),
        }
    }
}

/// The first edge in a part of a list whose other end is `node`.
fn first_mention<E>(
    log: &mut dyn LogBytes<Error = E>,
    state: &State<'_>,
    of: (NodeNumber, Direction),
    range: KeyRange,
    node: NodeNumber,
) -> Result<Option<EdgeKey>, LogError<E>> {
    let mut list = List::new(of, range.high);
    list.start(log, state, range.low)?;
    // Ends with the list: every turn takes one key.
    while let Some(key) = list.next(log, state)? {
        if key.number == node {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Folds a list for which a change that mentions the node is pending; if there is none, the deletion is done.
fn clean_pending<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    intent: Intent,
) -> Result<(), ApplyError<S::Error>> {
    let state = &store.state;
    let living = |node: NodeNumber| !state.intents.contains(node);
    if let Some((other, direction, key)) = state.pending.unfolded_elsewhere(intent.number, living) {
        return fold.fold(store, (other, direction), key);
    }
    write_tombstone(store, intent)
}

/// Ends a deletion.
fn write_tombstone<S: Storage>(
    store: &mut Store<'_, S>,
    intent: Intent,
) -> Result<(), ApplyError<S::Error>> {
    let open = store.log.on(&mut store.storage).known_outline(intent.location)?;
    if let Subject::Intent { number, id } = open.subject {
        store.record(&Record::Tombstone { number, id }, &[])?;
    }
    Ok(())
}

/// The next key after this one; `None` after the last.
fn successor(key: EdgeKey) -> Option<EdgeKey> {
    if let Some(number) = key.number.get().checked_add(1) {
        return Some(EdgeKey { number: NodeNumber::new(number), ..key });
    }
    let kind = key.kind.checked_add(1)?;
    Some(EdgeKey { kind, number: NodeNumber::new(0) })
}
