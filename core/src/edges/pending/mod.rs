//! Changes of edges that lie in the log and are not yet folded into the adjacency records of both ends.
//!
//! An entry is one edge's newest change. It has two halves, (source, Out, target) and (target, In, source); a
//! half dies when it is folded, and with its second half the entry is freed. Each entry lies in three hashed
//! chains: that of its edge, that of its source, and that of its target. It stays in all three until it is
//! freed, dead halves included, because a node's number may be given anew only when no entry mentions it.
//!
//! ```text
//! heads   | edge out in | edge out in | ...            capacity / 2 + 1 buckets, 12 bytes each
//! entries | source target location kind flags units next  out.next out.previous  in.next in.previous | ...
//! ```
//!
//! The chains of a node are doubly linked, as a hub's may be long; that of an edge is short. The hash is
//! seeded, so nobody outside can crowd a bucket, and mixes well: node numbers are dense, and a plain
//! multiplication, unlucky in its factor, lays them in clumps.
//!
//! Invariants, which [`PendingEdges::check`] walks: at most one entry an edge; every entry has a half alive,
//! and lies once in each of its chains, and nothing else does; the slots in use and the free ones are all
//! there are.

mod check;
mod entry;
#[cfg(test)]
mod tests;

use super::scramble::scramble;
use crate::memory::{Footprint, Link, Pool, RegionTooSmall, StorageCoordinator};
use crate::types::{Direction, EdgeKey, EdgeKind, KeyRange, Location, NodeNumber};
use core::fmt;
use core::mem::replace;
use entry::{Entry, Heads, Links, alive};

pub use check::PendingFault;
pub use entry::{Half, PendingEdge};

/// A place among the pending changes of a node.
#[derive(Clone, Copy, Debug)]
pub struct HalfCursor(Link<Entry>);

/// No place is left in the pool of pending edges: something must be folded first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PendingFull {
    /// How many changes would have to fit.
    pub needed: u32,
    /// How many fit.
    pub capacity: u32,
}

impl fmt::Display for PendingFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pending edges, where {} fit", self.needed, self.capacity)
    }
}

impl core::error::Error for PendingFull {}

/// How many buckets a pool of this capacity has: at least one, and at most two entries to each.
const fn bucket_count(capacity: u32) -> u32 {
    capacity / 2 + 1
}

/// Entries that [`PendingEdges::fullest`] looks at.
const LOOK_AT: u32 = 8;

/// Links of a chain that [`PendingEdges::fullest`] follows.
const COUNT_TO: usize = 64;

/// A pool of changes of edges that are not folded yet. See the [room](crate::edges).
///
/// "The changes of a node" in the bounds below are all entries that mention it in the direction in question,
/// dead halves included, and on average two others that share its bucket.
#[derive(Debug)]
pub struct PendingEdges<'r> {
    heads: &'r mut [Heads],
    entries: Pool<'r, Entry>,
    seed: u64,
    /// The slot that [`fullest`](Self::fullest) looks at next.
    hand: u32,
}

impl<'r> PendingEdges<'r> {
    /// The most changes that a pool can have.
    pub const CAPACITY_MAX: u32 = Pool::<Entry>::SLOTS_MAX as u32;

    /// Adds what a pool of this capacity takes: 46 bytes a change.
    pub const fn footprint(before: Footprint, capacity: u32) -> Footprint {
        let heads = before.slice::<Heads>(bucket_count(capacity) as usize);
        heads.pool::<Entry>(capacity as usize)
    }

    /// An empty pool with places for `capacity` changes. Any `seed` is good, as long as nobody knows it.
    ///
    /// # Errors
    /// The region has less than the [`footprint`](Self::footprint) left.
    pub fn new(
        memory: &mut StorageCoordinator<'r>,
        capacity: u32,
        seed: u64,
    ) -> Result<Self, RegionTooSmall> {
        let heads = memory.slice_of(bucket_count(capacity) as usize)?;
        let entries = memory.pool_of(capacity as usize)?;
        Ok(Self { heads, entries, seed: scramble(seed), hand: 0 })
    }

    /// How many changes fit.
    pub fn capacity(&self) -> u32 {
        self.entries.capacity() as u32 // made from a u32
    }

    /// How many changes are pending.
    pub fn len(&self) -> u32 {
        self.entries.in_use() as u32 // at most the capacity
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many places are left.
    pub fn free(&self) -> u32 {
        self.capacity() - self.len()
    }

    /// The most changes that were ever pending at once.
    pub fn high_water(&self) -> u32 {
        self.entries.high_water() as u32 // at most the capacity
    }

    /// Forgets every change. O(capacity).
    pub fn clear(&mut self) {
        self.entries.clear();
        self.heads.fill(Heads::EMPTY);
        self.hand = 0;
    }

    /// Holds a change, with both halves alive, and returns the older change of the same edge, which it
    /// replaces. O(1) expected.
    ///
    /// # Errors
    /// No place is left, and no change of this edge is pending. Nothing has changed.
    pub fn insert(&mut self, change: PendingEdge) -> Result<Option<PendingEdge>, PendingFull> {
        let link = self.find(change.source, change.kind, change.target);
        if let Ok(entry) = self.entries.get_mut(link) {
            let replaced = entry.change();
            entry.renew(change);
            return Ok(Some(replaced));
        }
        let capacity = self.capacity();
        let full = PendingFull { needed: capacity.saturating_add(1), capacity };
        let link = self.entries.acquire(Entry::new(change)).map_err(|_| full)?.link();
        self.link_edge(link);
        Direction::BOTH.into_iter().for_each(|direction| self.link_half(direction, link));
        Ok(None)
    }

    /// The pending change of this edge, if there is one, even if one of its halves is folded. O(1) expected.
    pub fn get(
        &self,
        source: NodeNumber,
        kind: EdgeKind,
        target: NodeNumber,
    ) -> Option<PendingEdge> {
        self.entries.get(self.find(source, kind, target)).ok().map(Entry::change)
    }

    /// What is pending of this edge for the list of its source (out) or of its target (in). O(1) expected.
    pub fn half(
        &self,
        source: NodeNumber,
        kind: EdgeKind,
        target: NodeNumber,
        direction: Direction,
    ) -> Option<Half> {
        let entry = self.entries.get(self.find(source, kind, target)).ok();
        entry.filter(|entry| entry.is_alive(direction)).map(|entry| entry.half(direction))
    }

    /// What is pending for the list of this node and direction: one change a key, in no order.
    /// O(changes of the node).
    pub fn halves(&self, node: NodeNumber, direction: Direction) -> impl Iterator<Item = Half> {
        self.of_node(node, direction)
            .filter(move |entry| entry.is_alive(direction))
            .map(move |entry| entry.half(direction))
    }

    /// The half behind `after` in what [`halves`](Self::halves) yields, the first if there is none; for who
    /// cannot hold the iterator between two steps. The changes of the node must be the same as then.
    /// O(1) expected.
    pub fn next_half(
        &self,
        node: NodeNumber,
        direction: Direction,
        after: Option<HalfCursor>,
    ) -> Option<(HalfCursor, Half)> {
        let mut at = match after {
            None => self.head(node, direction),
            Some(HalfCursor(link)) => self.entries.get(link).ok()?.links(direction).next,
        };
        for _ in 0..self.capacity() {
            let entry = self.entries.get(at).ok()?;
            if entry.node(direction) == node && entry.is_alive(direction) {
                return Some((HalfCursor(at), entry.half(direction)));
            }
            at = entry.links(direction).next;
        }
        None
    }

    /// Whether a change is pending that has this node at either end, even where that end's half is folded.
    /// O(1) expected.
    pub fn mentions(&self, node: NodeNumber) -> bool {
        Direction::BOTH.into_iter().any(|direction| self.of_node(node, direction).next().is_some())
    }

    /// A change that mentions `node` and is still to be folded into the list of another node, for
    /// which `counts` says that it matters: that list, and the change's key in it. O(changes of the
    /// node).
    pub fn unfolded_elsewhere(
        &self,
        node: NodeNumber,
        counts: impl Fn(NodeNumber) -> bool,
    ) -> Option<(NodeNumber, Direction, EdgeKey)> {
        Direction::BOTH.into_iter().find_map(|direction| {
            let elsewhere = direction.reverse();
            let mut entries = self.of_node(node, direction);
            let entry = entries.find(|entry| {
                let other = entry.node(elsewhere);
                entry.is_alive(elsewhere) && other != node && counts(other)
            })?;
            Some((entry.node(elsewhere), elsewhere, entry.half(elsewhere).key))
        })
    }

    /// Every pending change, in no order. O(capacity).
    pub fn changes(&self) -> impl Iterator<Item = PendingEdge> {
        self.entries.iter().map(|(_, entry)| entry.change())
    }

    /// The list of this node and direction was folded for the keys in `range`: kills their halves, and hands
    /// `freed` each change both of whose halves are dead now. O(changes of the node).
    pub fn clear_halves(
        &mut self,
        node: NodeNumber,
        direction: Direction,
        range: KeyRange,
        mut freed: impl FnMut(PendingEdge),
    ) {
        let mut at = self.head(node, direction);
        for _ in 0..self.capacity() {
            let link = at;
            let Ok(entry) = self.entries.get_mut(link) else { break };
            at = entry.links(direction).next;
            if entry.node(direction) == node && range.contains(entry.half(direction).key) {
                entry.flags &= !alive(direction);
                if entry.is_folded() {
                    freed(entry.change());
                    self.remove(link);
                }
            }
        }
    }

    /// The node is gone, and its edges with it: drops every change that mentions it, and hands each to
    /// `freed`. O(changes of the node, in both directions).
    pub fn remove_node(&mut self, node: NodeNumber, mut freed: impl FnMut(PendingEdge)) {
        for direction in Direction::BOTH {
            let mut at = self.head(node, direction);
            for _ in 0..self.capacity() {
                let link = at;
                let Ok(entry) = self.entries.get(link) else { break };
                at = entry.links(direction).next;
                if entry.node(direction) == node {
                    freed(entry.change());
                    self.remove(link);
                }
            }
        }
    }

    /// Drops the change that most likely is not pending any more: one that one end has folded before one that
    /// neither has, and of those the oldest, by what `age` says of where they lie. `None` if nothing is
    /// pending. O(capacity).
    pub fn drop_oldest<A: Ord>(&mut self, age: impl Fn(Location) -> A) -> Option<PendingEdge> {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| {
            let is_whole = Direction::BOTH.into_iter().all(|way| entry.is_alive(way));
            (is_whole, age(entry.location))
        });
        let (link, change) = oldest.map(|(link, entry)| (link, entry.change()))?;
        self.remove(link);
        Some(change)
    }

    /// Which list to fold to make room: the one with the most pending halves among those of the next 8
    /// changes. `None` if nothing is pending.
    ///
    /// Each call goes on where the last one ended, so every change has its turn. A list of 64 is long enough
    /// to be chosen: at most 64 links of each are followed. O(1), beyond free places passed on the way.
    pub fn fullest(&mut self) -> Option<(NodeNumber, Direction)> {
        let mut longest = None;
        let mut seen = 0;
        let slots = self.entries.high_water();
        for _ in 0..slots {
            if seen == LOOK_AT {
                break;
            }
            let place = self.hand as usize;
            self.hand = if place + 1 < slots { self.hand + 1 } else { 0 };
            let Some((_, entry)) = self.entries.at(place) else { continue };
            seen += 1;
            for direction in Direction::BOTH.into_iter().filter(|way| entry.is_alive(*way)) {
                let list = (entry.node(direction), direction);
                let count = self.count_up_to_limit(list.0, direction);
                if longest.is_none_or(|(most, _)| count > most) {
                    longest = Some((count, list));
                }
            }
        }
        longest.map(|(_, list)| list)
    }

    /// Halves of this list that are alive, among the first links of its chain.
    fn count_up_to_limit(&self, node: NodeNumber, direction: Direction) -> usize {
        self.chain(node, direction)
            .take(COUNT_TO)
            .filter(|entry| entry.node(direction) == node && entry.is_alive(direction))
            .count()
    }

    fn edge_bucket(&self, source: NodeNumber, kind: EdgeKind, target: NodeNumber) -> usize {
        let numbers = (u64::from(source.get()) << 32) | u64::from(target.get());
        self.bucket(scramble(numbers ^ scramble(self.seed ^ u64::from(kind.0))))
    }

    fn node_bucket(&self, node: NodeNumber) -> usize {
        self.bucket(scramble(self.seed ^ u64::from(node.get())))
    }

    /// The upper half of a hash, scaled to the number of buckets.
    fn bucket(&self, hash: u64) -> usize {
        let scaled = (hash >> 32) * self.heads.len() as u64;
        (scaled >> 32) as usize // less than the number of buckets
    }

    /// The entry of this edge, or no link.
    fn find(&self, source: NodeNumber, kind: EdgeKind, target: NodeNumber) -> Link<Entry> {
        let bucket = self.edge_bucket(source, kind, target);
        let mut at = self.heads.get(bucket).map_or(Link::NONE, |heads| heads.edge);
        for _ in 0..self.len() {
            match self.entries.get(at) {
                Ok(entry) if !entry.is_edge(source, kind, target) => at = entry.next,
                _ => break,
            }
        }
        at
    }

    fn head(&self, node: NodeNumber, direction: Direction) -> Link<Entry> {
        self.heads.get(self.node_bucket(node)).map_or(Link::NONE, |heads| heads.of(direction))
    }

    /// The entries in the chain of the node's bucket, those of other nodes included.
    fn chain(&self, node: NodeNumber, direction: Direction) -> impl Iterator<Item = &Entry> {
        let mut at = self.head(node, direction);
        let entries = core::iter::from_fn(move || {
            let entry = self.entries.get(at).ok()?;
            at = entry.links(direction).next;
            Some(entry)
        });
        entries.take(self.len() as usize)
    }

    fn of_node(&self, node: NodeNumber, direction: Direction) -> impl Iterator<Item = &Entry> {
        self.chain(node, direction).filter(move |entry| entry.node(direction) == node)
    }

    /// Takes the entry out of its three chains, and frees its slot.
    fn remove(&mut self, link: Link<Entry>) {
        self.unlink_edge(link);
        Direction::BOTH.into_iter().for_each(|direction| self.unlink_half(direction, link));
        let _ = self.entries.release(link); // it was in its chains until now
    }

    fn link_edge(&mut self, link: Link<Entry>) {
        let Ok(&Entry { source, kind, target, .. }) = self.entries.get(link) else { return };
        let bucket = self.edge_bucket(source, EdgeKind(kind), target);
        let Some(heads) = self.heads.get_mut(bucket) else { return };
        let next = replace(&mut heads.edge, link);
        if let Ok(entry) = self.entries.get_mut(link) {
            entry.next = next;
        }
    }

    fn unlink_edge(&mut self, link: Link<Entry>) {
        let Ok(&Entry { source, kind, target, next, .. }) = self.entries.get(link) else {
            return;
        };
        let bucket = self.edge_bucket(source, EdgeKind(kind), target);
        let Some(heads) = self.heads.get_mut(bucket) else { return };
        if heads.edge == link {
            heads.edge = next;
            return;
        }
        let mut at = heads.edge;
        for _ in 0..self.len() {
            let Ok(before) = self.entries.get_mut(at) else { break };
            if before.next == link {
                before.next = next;
                break;
            }
            at = before.next;
        }
    }

    fn link_half(&mut self, direction: Direction, link: Link<Entry>) {
        let Ok(entry) = self.entries.get(link) else { return };
        let node = entry.node(direction);
        let bucket = self.node_bucket(node);
        let Some(heads) = self.heads.get_mut(bucket) else { return };
        let next = replace(heads.of_mut(direction), link);
        if let Ok(entry) = self.entries.get_mut(link) {
            *entry.links_mut(direction) = Links { next, previous: Link::NONE };
        }
        if let Ok(after) = self.entries.get_mut(next) {
            after.links_mut(direction).previous = link;
        }
    }

    fn unlink_half(&mut self, direction: Direction, link: Link<Entry>) {
        let Ok(entry) = self.entries.get(link) else { return };
        let Links { next, previous } = *entry.links(direction);
        let bucket = self.node_bucket(entry.node(direction));
        if let Ok(before) = self.entries.get_mut(previous) {
            before.links_mut(direction).next = next;
        } else if let Some(heads) = self.heads.get_mut(bucket) {
            *heads.of_mut(direction) = next;
        }
        if let Ok(after) = self.entries.get_mut(next) {
            after.links_mut(direction).previous = previous;
        }
    }
}
