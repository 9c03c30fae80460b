//! Keys of edge lists: the order in which a node's edges are stored.

use super::NodeNumber;
use core::cmp::Ordering;

/// Sort key of an edge within the list of one node and direction: by kind, then by the other end's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct EdgeKey {
    /// The edge's kind.
    pub kind: u16,
    /// The node at its other end.
    pub number: NodeNumber,
}

impl EdgeKey {
    /// The least of all keys.
    pub const MIN: Self = Self { kind: 0, number: NodeNumber::new(0) };

    /// The key as one number, in the same order: comparing these takes less code than field by field.
    const fn rank(self) -> u64 {
        (self.kind as u64) << 32 | self.number.get() as u64
    }
}

impl Ord for EdgeKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for EdgeKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    // The comparisons of a number, and not what follows from an order of three.
    fn lt(&self, other: &Self) -> bool {
        self.rank() < other.rank()
    }

    fn le(&self, other: &Self) -> bool {
        self.rank() <= other.rank()
    }

    fn gt(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    fn ge(&self, other: &Self) -> bool {
        self.rank() >= other.rank()
    }
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
