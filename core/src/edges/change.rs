//! A change of one edge, seen from one of its ends: what an adjacency list is merged with.

use crate::types::{EdgeKey, NodeNumber};
use core::{fmt, mem};
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

    /// Sorts changes by key, in place: a heapsort (Williams 1964), O(n log n). The standard library's sort
    /// is quicker and takes 7 KB of code; of folding, sorting is a small part.
    pub fn sort(changes: &mut [Self]) {
        for root in (0..changes.len() / 2).rev() {
            Self::sift_down(changes, root);
        }
        let mut heap = changes;
        // Each turn takes the greatest off the heap.
        while let Some((last, rest)) = heap.split_last_mut() {
            let Some(first) = rest.first_mut() else { break };
            mem::swap(first, last);
            Self::sift_down(rest, 0);
            heap = rest;
        }
    }

    /// Lets the change at `place` sink below all greater ones that hang from it.
    fn sift_down(heap: &mut [Self], place: usize) {
        let Some(sinking) = heap.get(place).copied() else { return };
        let mut place = place;
        let mut left = 2 * place + 1;
        // Each turn goes a level down.
        while let Some(mut child) = heap.get(left).copied() {
            let mut from = left;
            let right = heap.get(left + 1).copied();
            if let Some(right) = right.filter(|right| right.key() > child.key()) {
                (child, from) = (right, left + 1);
            }
            if child.key() <= sinking.key() {
                break;
            }
            heap.get_mut(place).into_iter().for_each(|place| *place = child);
            (place, left) = (from, 2 * from + 1);
        }
        heap.get_mut(place).into_iter().for_each(|place| *place = sinking);
    }
}

impl fmt::Debug for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(if self.is_add() { "Add" } else { "Remove" }).field(&self.key()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn changes_are_sorted_by_kind_and_then_by_number(
            keys in proptest::collection::vec((0u16..3, 0u32..50), 0..200),
        ) {
            let key = |(kind, number)| EdgeKey { kind, number: NodeNumber::new(number) };
            let mut changes: std::vec::Vec<_> =
                keys.iter().map(|fields| KeyChange::new(key(*fields), true)).collect();
            KeyChange::sort(&mut changes);
            let mut fields = keys;
            fields.sort_unstable();
            let sorted: std::vec::Vec<_> = changes.iter().map(|change| change.key()).collect();
            prop_assert_eq!(sorted, fields.into_iter().map(key).collect::<std::vec::Vec<_>>());
        }
    }
}
