//! A change of an edge: as the caller gives it, as each of its ends sees it, and as it lies in the region.

use crate::edges::KeyChange;
use crate::memory::Link;
use crate::types::{Direction, EdgeKey, EdgeKind, Location, NodeNumber};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A change of one edge, and the record in the log that made it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PendingEdge {
    /// Where the edge starts.
    pub source: NodeNumber,
    /// What it means.
    pub kind: EdgeKind,
    /// Where it ends; possibly where it starts.
    pub target: NodeNumber,
    /// Whether the edge is there from now on, or no longer.
    pub add: bool,
    /// Where the change record lies.
    pub location: Location,
    /// Length of the change record, in units of the record alignment.
    pub units: u8,
}

/// A pending change, seen from one of its ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Half {
    /// Which edge: its kind, and its other end.
    pub key: EdgeKey,
    /// Whether the edge is there from now on, or no longer.
    pub add: bool,
    /// Where the change record lies.
    pub location: Location,
}

impl From<Half> for KeyChange {
    fn from(half: Half) -> Self {
        Self::new(half.key, half.add)
    }
}

/// The links of one half within the chain of its node.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Links {
    pub(super) next: Link<Entry>,
    pub(super) previous: Link<Entry>,
}

impl Links {
    const NONE: Self = Self { next: Link::NONE, previous: Link::NONE };
}

/// Flag of an entry: the edge is there from now on. The halves' flags are in [`alive`].
pub(super) const ADD: u8 = 1;

/// Flag of an entry: this half is not folded yet.
pub(super) const fn alive(direction: Direction) -> u8 {
    match direction {
        Direction::Out => 2,
        Direction::In => 4,
    }
}

const BOTH_ALIVE: u8 = alive(Direction::Out) | alive(Direction::In);

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Entry {
    pub(super) source: NodeNumber,
    pub(super) target: NodeNumber,
    pub(super) location: Location,
    pub(super) kind: u16,
    pub(super) flags: u8,
    pub(super) units: u8,
    /// In the chain of the edge's bucket.
    pub(super) next: Link<Entry>,
    pub(super) outgoing: Links,
    pub(super) incoming: Links,
}

const _: () = assert!(size_of::<Entry>() == 36);

impl Entry {
    pub(super) fn new(change: PendingEdge) -> Self {
        let PendingEdge { source, kind, target, add, location, units } = change;
        let flags = BOTH_ALIVE | if add { ADD } else { 0 };
        let (next, outgoing, incoming) = (Link::NONE, Links::NONE, Links::NONE);
        Self { source, target, location, kind: kind.0, flags, units, next, outgoing, incoming }
    }

    /// Puts another change of the same edge in the place of this one; the chains stay.
    pub(super) fn renew(&mut self, change: PendingEdge) {
        let Self { location, flags, units, .. } = Self::new(change);
        (self.location, self.flags, self.units) = (location, flags, units);
    }

    pub(super) fn change(&self) -> PendingEdge {
        PendingEdge {
            source: self.source,
            kind: EdgeKind(self.kind),
            target: self.target,
            add: self.flags & ADD != 0,
            location: self.location,
            units: self.units,
        }
    }

    pub(super) fn half(&self, direction: Direction) -> Half {
        let key = EdgeKey { kind: self.kind, number: self.node(direction.reverse()) };
        Half { key, add: self.flags & ADD != 0, location: self.location }
    }

    pub(super) fn is_edge(&self, source: NodeNumber, kind: EdgeKind, target: NodeNumber) -> bool {
        (self.source, self.kind, self.target) == (source, kind.0, target)
    }

    /// The node whose edges in this direction the change is one of.
    pub(super) fn node(&self, direction: Direction) -> NodeNumber {
        match direction {
            Direction::Out => self.source,
            Direction::In => self.target,
        }
    }

    pub(super) fn is_alive(&self, direction: Direction) -> bool {
        self.flags & alive(direction) != 0
    }

    /// Whether both halves are folded, so that the entry is to be freed.
    pub(super) fn is_folded(&self) -> bool {
        self.flags & BOTH_ALIVE == 0
    }

    pub(super) fn links(&self, direction: Direction) -> &Links {
        match direction {
            Direction::Out => &self.outgoing,
            Direction::In => &self.incoming,
        }
    }

    pub(super) fn links_mut(&mut self, direction: Direction) -> &mut Links {
        match direction {
            Direction::Out => &mut self.outgoing,
            Direction::In => &mut self.incoming,
        }
    }
}

/// Where the chains of one bucket begin.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Heads {
    pub(super) edge: Link<Entry>,
    pub(super) outgoing: Link<Entry>,
    pub(super) incoming: Link<Entry>,
}

impl Heads {
    pub(super) const EMPTY: Self =
        Self { edge: Link::NONE, outgoing: Link::NONE, incoming: Link::NONE };

    pub(super) fn of(&self, direction: Direction) -> Link<Entry> {
        match direction {
            Direction::Out => self.outgoing,
            Direction::In => self.incoming,
        }
    }

    pub(super) fn of_mut(&mut self, direction: Direction) -> &mut Link<Entry> {
        match direction {
            Direction::Out => &mut self.outgoing,
            Direction::In => &mut self.incoming,
        }
    }
}
