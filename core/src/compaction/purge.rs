//! Cleaning up after deleted nodes: a neighbour at a time, until nothing mentions the node.

use super::Fold;
use crate::format::Record;
use crate::log::ReadLog;
use crate::state::{ApplyError, Cursor, Intent, List, Store};
use crate::storage::Storage;
use crate::types::{Direction, EdgeKey, NodeNumber};

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
        Cursor::List(direction, from) => clean_neighbour(store, fold, intent, direction, from)?,
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
    let next = List::from(&mut log.on(storage), state, (node, direction), from)?
        .next(&mut log.on(storage), state)?;
    let Some(key) = next else {
        let stage = match direction {
            Direction::Out => Cursor::List(Direction::In, EdgeKey::MIN),
            Direction::In => Cursor::Pending,
        };
        state.intents.set_cursor(node, stage);
        return Ok(());
    };
    let stage = match successor(key) {
        Some(key) => Cursor::List(direction, key),
        None if direction == Direction::Out => Cursor::List(Direction::In, EdgeKey::MIN),
        None => Cursor::Pending,
    };
    state.intents.set_cursor(node, stage);
    // The lists of deleted nodes are dead; so is this node's own.
    if state.intents.contains(key.number) {
        return Ok(());
    }
    let there = (key.number, direction.reverse());
    let back = EdgeKey { kind: key.kind, number: node };
    let mut list = List::from(&mut log.on(storage), state, there, back)?;
    let mentioned = list.next(&mut log.on(storage), state)? == Some(back);
    if mentioned { fold.fold(store, there, back) } else { Ok(()) }
}

/// Folds a list for which a change that mentions the node is pending; if there is none, the deletion is done.
fn clean_pending<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    intent: Intent,
) -> Result<(), ApplyError<S::Error>> {
    let Store { storage, log, state } = &mut *store;
    let living = |node: NodeNumber| !state.intents.contains(node);
    if let Some((other, direction, key)) = state.pending.unfolded_elsewhere(intent.number, living) {
        return fold.fold(store, (other, direction), key);
    }
    let header = log.on(storage).known_header(intent.location)?;
    if let Record::Intent { number, id } = header.record {
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
