//! An adjacency list with changes applied, one key at a time. This knows no pool and no record.

use crate::types::{EdgeKey, NodeNumber};
use core::fmt;
use core::iter::Peekable;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A change of one edge, seen from one of its ends.
///
/// Eight bytes that may lie in the region: a node's changes are gathered there, and sorted by key, to be
/// merged.
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

/// The keys of `old` with `changes` applied: sorted, each once. Constant work a key.
///
/// Both must be strictly ascending by key, and so is then what comes out. Where both speak of a key, the
/// change decides: an addition of what is there is there once, a removal of what is absent is nothing.
///
/// Whatever the order of what is given, it ends, and yields at most as many keys as the two have together.
pub fn merge<I>(old: I, changes: &[KeyChange]) -> Merge<'_, I::IntoIter>
where
    I: IntoIterator<Item = EdgeKey>,
{
    Merge { old: old.into_iter().peekable(), changes }
}

/// The iterator that [`merge`] returns.
#[derive(Clone, Debug)]
pub struct Merge<'c, I: Iterator<Item = EdgeKey>> {
    old: Peekable<I>,
    changes: &'c [KeyChange],
}

impl<I: Iterator<Item = EdgeKey>> Iterator for Merge<'_, I> {
    type Item = EdgeKey;

    fn next(&mut self) -> Option<EdgeKey> {
        while let Some((change, later)) = self.changes.split_first() {
            let kept = self.old.next_if(|old| *old < change.key());
            if kept.is_some() {
                return kept;
            }
            self.old.next_if(|old| *old == change.key());
            self.changes = later;
            if change.is_add() {
                return Some(change.key());
            }
        }
        self.old.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (low, high) = self.old.size_hint();
        let changes = self.changes.len();
        (low.saturating_sub(changes), high.and_then(|high| high.checked_add(changes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::vec::Vec;

    fn keys() -> impl Strategy<Value = EdgeKey> {
        (0..3_u16, 0..6_u32)
            .prop_map(|(kind, number)| EdgeKey { kind, number: NodeNumber::new(number) })
    }

    fn changed(old: &BTreeSet<EdgeKey>, changes: &BTreeMap<EdgeKey, bool>) -> Vec<EdgeKey> {
        let mut set = old.clone();
        for (key, add) in changes {
            if *add {
                set.insert(*key);
            } else {
                set.remove(key);
            }
        }
        set.into_iter().collect()
    }

    #[test]
    fn a_change_keeps_its_key() {
        let key = EdgeKey { kind: u16::MAX, number: NodeNumber::new(u32::MAX) };
        for add in [false, true] {
            let change = KeyChange::new(key, add);
            assert_eq!((change.key(), change.is_add()), (key, add));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 1000 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_merge_is_the_set_with_the_changes_applied(
            old in prop::collection::btree_set(keys(), 0..18),
            changes in prop::collection::btree_map(keys(), any::<bool>(), 0..18),
        ) {
            let list: Vec<_> = changes.iter().map(|(key, add)| KeyChange::new(*key, *add)).collect();
            let merged = merge(old.iter().copied(), &list);
            let (low, high) = merged.size_hint();
            let got: Vec<EdgeKey> = merged.collect();
            prop_assert_eq!(&got, &changed(&old, &changes));
            prop_assert!(low <= got.len() && got.len() <= high.unwrap());
        }

        #[test]
        fn what_is_not_sorted_ends_as_well(
            old in prop::collection::vec(keys(), 0..18),
            changes in prop::collection::vec((keys(), any::<bool>()), 0..18),
        ) {
            let list: Vec<_> = changes.iter().map(|(key, add)| KeyChange::new(*key, *add)).collect();
            prop_assert!(merge(old.iter().copied(), &list).count() <= old.len() + list.len());
        }
    }
}
