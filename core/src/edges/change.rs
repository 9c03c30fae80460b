//! A change of one edge, seen from one of its ends: what an adjacency list is merged with.

use crate::types::{EdgeKey, NodeNumber};
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A change of one edge, seen from one of its ends.
///
/// Eight bytes that may lie in the region: a node's changes are gathered there, and sorted by key,
/// to be merged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct KeyChange {
    number: u32,
    kind: u16,
    add: u16,
}

impl KeyChange {
    /// The edge with this key is there from now on (`add`), or no longer.
    pub fn new(key: EdgeKey, add: bool) -> Self {
        Self { number: key.number.get(), kind: key.kind, add: u16::from(add) }
    }

    /// Which edge.
    pub const fn key(self) -> EdgeKey {
        EdgeKey { kind: self.kind, number: NodeNumber::new(self.number) }
    }

    /// Whether the edge is there after the change.
    pub const fn is_add(self) -> bool {
        self.add != 0
    }
}

impl fmt::Debug for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(if self.is_add() { "Add" } else { "Remove" }).field(&self.key()).finish()
    }
}
