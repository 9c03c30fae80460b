//! What the records of the ring mean, in the plainest way: which record each key's answer rests on. What
//! nothing rests on is dead; a segment may be retired when all of it is.

use super::decode::{Head, Key, Record, What};
use super::rules::{Kept, Rule, hold};
use std::collections::{BTreeMap, BTreeSet};

/// Where a record lies: number of its segment, and offset in it.
pub type Place = (u32, u32);

/// The newest record that says who a node is.
#[derive(Clone, Debug)]
struct Home {
    what: What,
    content: Vec<u8>,
    at: Place,
}

/// A change of an edge that one end at least has not folded into its list.
#[derive(Clone, Debug)]
struct Pending {
    is_link: bool,
    at: Place,
    /// Whether the source's list of edges out, and the target's list of edges in, do not hold it yet.
    unfolded: [bool; 2],
}

/// A node's edges in one direction: the records that it is made of, each with the keys that it covers.
#[derive(Clone, Debug, Default)]
struct List {
    parts: Vec<(Key, Option<Key>, Place)>,
    keys: BTreeSet<Key>,
}

/// Source, kind and target of an edge.
type Edge = (u32, u16, u32);

/// The meaning of the records so far.
#[derive(Clone, Debug, Default)]
pub struct Meaning {
    homes: BTreeMap<u32, Home>,
    pending: BTreeMap<Edge, Pending>,
    lists: BTreeMap<(u32, bool), List>,
    /// The batch that is not ended, and whether its beginning may lie before the tail.
    run: Vec<(Place, Record)>,
    is_cut_off: bool,
    is_at_tail: bool,
    /// The last record outside of batches, or end of one that counts.
    pub last: Place,
    /// Records that were copied as they were, since the last retirement: place and length.
    pub copies: Vec<(Place, u32)>,
}

fn contains(part: (Key, Option<Key>), key: Key) -> bool {
    part.0 <= key && part.1.is_none_or(|high| key < high)
}

impl Meaning {
    /// Before the first record of the oldest segment.
    pub fn of_nothing() -> Self {
        Self { is_at_tail: true, ..Self::default() }
    }

    /// A segment begins. What an opening wrote ends a batch that was not whole.
    pub fn begin(&mut self, head: &Head) {
        if head.is_fresh && !head.continues {
            self.run.clear();
        }
    }

    /// Whether a batch was begun and not ended.
    pub fn is_in_batch(&self) -> bool {
        !self.run.is_empty()
    }

    /// One more record. The rules hold for what the running engine writes; what is read at an opening was
    /// held to them when it was written.
    pub fn note(&mut self, number: u32, record: &Record, is_running: bool) -> Kept {
        let at = (number, record.offset);
        if record.what == What::Index {
            return Ok(());
        }
        let may_be_cut_off = std::mem::replace(&mut self.is_at_tail, false);
        if let What::End { records } = record.what {
            let run = std::mem::take(&mut self.run);
            let is_whole = run.len() == records as usize || self.is_cut_off && records > 0;
            if !is_whole || run.is_empty() {
                return Ok(());
            }
            self.last = at;
            return run.iter().try_for_each(|(at, record)| self.apply(*at, record, is_running));
        }
        if record.in_batch {
            if self.run.is_empty() {
                self.is_cut_off = may_be_cut_off;
            }
            self.run.push((at, record.clone()));
            return Ok(());
        }
        self.run.clear();
        self.last = at;
        self.apply(at, record, is_running)
    }

    fn apply(&mut self, at: Place, record: &Record, is_running: bool) -> Kept {
        match record.what {
            What::Block { node, .. } | What::Node { node, .. } => {
                self.home(node, at, record, is_running)
            }
            What::Intent { node } => {
                self.note_copy(node, at, record);
                self.homes.insert(node, Home::of(record, at));
                Ok(())
            }
            What::Tombstone { node } => self.tombstone(node, at, is_running),
            What::Edge { source, kind, target, is_link } => {
                let edge = (source, kind, target);
                let before = self.pending.get(&edge).map(|pending| pending.is_link);
                // (A batch that touches both ends before may say again what is known.)
                let is_moved = is_running && !record.in_batch && before == Some(is_link);
                hold(!is_moved, Rule::NeverMoved, || format!("the change of {edge:?} at {at:?}"))?;
                self.pending.insert(edge, Pending { is_link, at, unfolded: [true; 2] });
                Ok(())
            }
            What::List { node, is_out, low, high, .. } => {
                self.list((node, is_out), (low, high), at, record, is_running)
            }
            _ => Ok(()),
        }
    }

    /// A record that says what the one before it said was moved.
    fn note_copy(&mut self, node: u32, at: Place, record: &Record) {
        let before = self.homes.get(&node);
        if before.is_some_and(|home| home.content == record.content) && !record.in_batch {
            self.copies.push((at, record.bytes));
        }
    }

    fn home(&mut self, node: u32, at: Place, record: &Record, is_running: bool) -> Kept {
        self.note_copy(node, at, record);
        let id = record.what.id();
        let before = self.homes.get(&node).map(|home| home.what);
        let is_its_own = before.is_none_or(|before| before.id() == id);
        hold(is_its_own || !is_running, Rule::NumberFree, || {
            format!("{:?} at {at:?} takes the number of {before:?}", record.what)
        })?;
        self.homes.insert(node, Home::of(record, at));
        Ok(())
    }

    fn tombstone(&mut self, node: u32, at: Place, is_running: bool) -> Kept {
        if is_running {
            let is_new = self.homes.contains_key(&node);
            hold(is_new, Rule::NeverMoved, || format!("a tombstone of {node} again, at {at:?}"))?;
            let mention = self.mention(node);
            hold(mention.is_none(), Rule::Unmentioned, || {
                format!("{node} is gone at {at:?}, and {mention:?} mentions it")
            })?;
        }
        self.homes.remove(&node);
        self.lists.retain(|list, _| list.0 != node);
        self.pending.retain(|edge, _| edge.0 != node && edge.2 != node);
        Ok(())
    }

    /// A list or a pending change of a living node that names this one.
    fn mention(&self, node: u32) -> Option<Edge> {
        let lives = |other: u32| other != node && self.lives(other);
        let listed = self.lists.iter().find_map(|((other, _), list)| {
            let key = list.keys.iter().find(|key| key.1 == node).filter(|_| lives(*other))?;
            Some((*other, key.0, node))
        });
        let mut pending = self.pending.iter().filter(|((source, _, target), pending)| {
            *target == node && pending.unfolded[0] && lives(*source)
                || *source == node && pending.unfolded[1] && lives(*target)
        });
        listed.or_else(|| pending.next().map(|(edge, _)| *edge))
    }

    /// Whether the node is there and not deleted.
    fn lives(&self, node: u32) -> bool {
        self.homes.get(&node).is_some_and(|home| !matches!(home.what, What::Intent { .. }))
    }

    fn forget_folded(&mut self) {
        self.pending.retain(|_, pending| pending.unfolded != [false; 2]);
    }

    fn list(
        &mut self,
        of: (u32, bool),
        part: (Key, Option<Key>),
        at: Place,
        record: &Record,
        is_running: bool,
    ) -> Kept {
        let keys: BTreeSet<Key> = record.entries().collect();
        if is_running {
            let expected = self.folded(of, part);
            hold(keys == expected, Rule::Folded, || {
                format!("the list {of:?} at {at:?} holds {keys:?} in place of {expected:?}")
            })?;
        }
        let list = self.lists.entry(of).or_default();
        list.keys.retain(|key| !contains(part, *key));
        list.keys.extend(keys);
        list.cover(part, at);
        let is_empty = part == ((0, 0), None) && list.keys.is_empty();
        if is_empty {
            self.lists.remove(&of);
        }
        let (node, is_out) = of;
        let side = usize::from(!is_out);
        for ((source, kind, target), pending) in &mut self.pending {
            let (own, other) = if is_out { (*source, *target) } else { (*target, *source) };
            pending.unfolded[side] &= own != node || !contains(part, (*kind, other));
        }
        self.forget_folded();
        Ok(())
    }

    /// What a part of a list holds when it is written anew: nothing that leads to a node that is gone.
    fn folded(&self, (node, is_out): (u32, bool), part: (Key, Option<Key>)) -> BTreeSet<Key> {
        let old = self.lists.get(&(node, is_out)).into_iter().flat_map(|list| &list.keys);
        let mut keys: BTreeSet<Key> = old.copied().filter(|key| contains(part, *key)).collect();
        let side = usize::from(!is_out);
        for ((source, kind, target), pending) in &self.pending {
            let (own, other) = if is_out { (*source, *target) } else { (*target, *source) };
            let key = (*kind, other);
            if own != node || !pending.unfolded[side] || !contains(part, key) {
                continue;
            }
            if pending.is_link {
                keys.insert(key);
            } else {
                keys.remove(&key);
            }
        }
        keys.retain(|key| self.lives(key.1));
        keys
    }

    /// Something that rests on a record of this segment.
    pub fn rests_on(&self, number: u32) -> Option<(String, Place)> {
        let homes = self.homes.values().map(|home| (format!("{:?}", home.what), home.at));
        let pending = self.pending.iter().map(|(edge, pending)| (format!("{edge:?}"), pending.at));
        let lists = self.lists.iter().flat_map(|(of, list)| {
            list.parts.iter().map(move |(_, _, at)| (format!("list {of:?}"), *at))
        });
        homes.chain(pending).chain(lists).find(|(_, at)| at.0 == number)
    }

    /// Every node number that a record names, also one of a batch that is not ended, is below this.
    pub fn next_node(&self) -> u32 {
        let homes = self.homes.keys().copied();
        let edges = self.pending.keys().flat_map(|edge| [edge.0, edge.2]);
        let batch = self.run.iter().filter_map(|(_, record)| record.what.greatest_node());
        homes.chain(edges).chain(batch).max().map_or(0, |node| node + 1)
    }
}

impl Home {
    fn of(record: &Record, at: Place) -> Self {
        Self { what: record.what, content: record.content.clone(), at }
    }
}

impl List {
    /// A record covers these keys from here on, whatever covered them before.
    fn cover(&mut self, (low, high): (Key, Option<Key>), at: Place) {
        let mut parts = vec![(low, high, at)];
        for (old_low, old_high, old) in self.parts.drain(..) {
            let low_end = old_high.map_or(low, |old_high| old_high.min(low));
            if old_low < low_end {
                parts.push((old_low, Some(low_end), old));
            }
            let Some(high) = high else { continue };
            let high_start = old_low.max(high);
            if old_high.is_none_or(|old_high| high_start < old_high) {
                parts.push((high_start, old_high, old));
            }
        }
        self.parts = parts;
    }
}
