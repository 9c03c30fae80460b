//! Keys of edge lists: the order in which a node's edges are stored.

use super::NodeNumber;

/// Sort key of an edge within the list of one node and direction: by kind, then by the other end's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct EdgeKey {
    /// The edge's kind.
    pub kind: u16,
    /// The node at its other end.
    pub number: NodeNumber,
}

impl EdgeKey {
    /// The least of all keys.
    pub const MIN: Self = Self { kind: 0, number: NodeNumber::new(0) };
}

/// The keys from `low` up to, but not including, `high`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyRange {
    /// The least key in the range.
    pub low: EdgeKey,
    /// The least key beyond it; `None` where the range has no end.
    pub high: Option<EdgeKey>,
}

impl KeyRange {
    /// Every key.
    pub const ALL: Self = Self { low: EdgeKey::MIN, high: None };

    /// Whether the key lies in the range.
    pub fn contains(&self, key: EdgeKey) -> bool {
        self.low <= key && self.high.is_none_or(|high| key < high)
    }

    /// Whether all of the other range's keys lie in this one.
    pub fn covers(&self, other: Self) -> bool {
        let ends_behind =
            self.high.is_none_or(|high| other.high.is_some_and(|other| other <= high));
        self.low <= other.low && ends_behind
    }
}
