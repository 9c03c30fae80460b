//! Cleaning up after deleted nodes: a neighbour at a time, until nothing mentions the node.
//!
//! Who the neighbours are says the node's own list. Where that is damaged, every node's list is looked at.

use super::Fold;
use crate::format::Record;
use crate::log::{LogError, ReadLog};
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
        // Nobody reads what a damaged list says of the node.
        Ok(_) | Err(LogError::Corrupt { .. }) => Ok(()),
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
fn first_key<L: ReadLog>(
    log: &mut L,
    state: &State<'_>,
    list: (NodeNumber, Direction),
    from: EdgeKey,
) -> Result<Option<EdgeKey>, LogError<L::Error>> {
    List::from(log, state, list, from)?.next(log, state)
}

/// Folds the list of the next node that mentions the deleted one, from a number on; those of a few nodes
/// are looked at.
fn search_neighbour<S: Storage>(
    store: &mut Store<'_, S>,
    fold: &mut Fold<'_>,
    intent: Intent,
    direction: Direction,
    from: NodeNumber,
) -> Result<(), ApplyError<S::Error>> {
    let Store { storage, log, state } = &mut *store;
    let end = from.get().saturating_add(PASS_MAX).min(state.index.high_water());
    for number in from.get()..end {
        let list = (NodeNumber::new(number), direction.reverse());
        if state.adjacency(list.0, list.1) == Adjacency::None || state.intents.contains(list.0) {
            continue;
        }
        // Again from this one on: there may be edges of several kinds.
        let cursor = Cursor::Search(direction, NodeNumber::new(number));
        state.intents.set_cursor(intent.number, cursor);
        match find_mention(&mut log.on(storage), state, list, intent.number)? {
            Some(key) => return fold.fold(store, list, key),
            None => {
                let next = Cursor::Search(direction, NodeNumber::new(number + 1));
                state.intents.set_cursor(intent.number, next);
                return Ok(());
            }
        }
    }
    let next = match end < state.index.high_water() {
        true => Cursor::Search(direction, NodeNumber::new(end)),
        false => stage_after(direction),
    };
    state.intents.set_cursor(intent.number, next);
    Ok(())
}

/// An edge of the list whose other end is `node`, in the parts that can be read. O(its length).
fn find_mention<L: ReadLog>(
    log: &mut L,
    state: &State<'_>,
    of: (NodeNumber, Direction),
    node: NodeNumber,
) -> Result<Option<EdgeKey>, LogError<L::Error>> {
    let whole = [(KeyRange::ALL, Default::default())];
    let chain = match state.adjacency(of.0, of.1) {
        Adjacency::Pages(chain) => Some(chain),
        Adjacency::None | Adjacency::Record(_) => None,
    };
    let pages = chain.into_iter().flat_map(|chain| state.hubs.pages(chain));
    for (range, _) in pages.chain(whole.into_iter().filter(|_| chain.is_none())) {
        let found = mention_in(log, state, of, range, node);
        match found {
            Ok(None) | Err(LogError::Corrupt { .. }) => {}
            found => return found,
        }
    }
    Ok(None)
}

fn mention_in<L: ReadLog>(
    log: &mut L,
    state: &State<'_>,
    of: (NodeNumber, Direction),
    range: KeyRange,
    node: NodeNumber,
) -> Result<Option<EdgeKey>, LogError<L::Error>> {
    let mut list = List::over(log, state, of, range)?;
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
