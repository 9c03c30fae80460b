//! The invariants of the pool of pending edges, walked.

use super::PendingEdges;
use super::entry::Entry;
use crate::memory::Link;
use crate::types::{Direction, EdgeKind};

/// Which invariant of the pending edges does not hold. This is a fault of the store itself, or of its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PendingFault {
    /// The entries in use and the free ones are not all there are.
    Slots,
    /// An edge has two entries.
    Duplicate,
    /// The chains by edge do not hold each entry once, in its bucket.
    EdgeChains,
    /// The chains by node do not hold each entry once in this direction, in its bucket, with its links in
    /// pairs.
    NodeChains(Direction),
}

impl PendingEdges<'_> {
    /// Walks everything. O(capacity), expected.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), PendingFault> {
        let is_pending = |(_, entry): (_, &Entry)| !entry.is_folded();
        if !self.entries.is_sound() || !self.entries.iter().all(is_pending) {
            return Err(PendingFault::Slots);
        }
        let mut reached = 0;
        for (bucket, heads) in self.heads.iter().enumerate() {
            reached += self.check_edge_chain(bucket, heads.edge)?;
        }
        if reached != self.len() {
            return Err(PendingFault::EdgeChains);
        }
        for direction in Direction::BOTH {
            let mut reached = 0;
            for (bucket, heads) in self.heads.iter().enumerate() {
                reached += self.check_node_chain(bucket, heads.of(direction), direction)?;
            }
            if reached != self.len() {
                return Err(PendingFault::NodeChains(direction));
            }
        }
        Ok(())
    }

    /// The length of one chain by edge, if it ends, and its entries belong there.
    fn check_edge_chain(&self, bucket: usize, head: Link<Entry>) -> Result<u32, PendingFault> {
        let mut at = head;
        for length in 0..=self.len() {
            let Ok(entry) = self.entries.get(at) else {
                return if at.is_none() { Ok(length) } else { Err(PendingFault::EdgeChains) };
            };
            let &Entry { source, kind, target, next, .. } = entry;
            let kind = EdgeKind(kind);
            if self.edge_bucket(source, kind, target) != bucket {
                return Err(PendingFault::EdgeChains);
            }
            if self.find(source, kind, target) != at {
                return Err(PendingFault::Duplicate);
            }
            at = next;
        }
        Err(PendingFault::EdgeChains)
    }

    /// The length of one chain by node, if it ends, and its entries belong there, each linked back to the one
    /// before.
    fn check_node_chain(
        &self,
        bucket: usize,
        head: Link<Entry>,
        direction: Direction,
    ) -> Result<u32, PendingFault> {
        let fault = PendingFault::NodeChains(direction);
        let mut at = head;
        let mut previous = Link::NONE;
        for length in 0..=self.len() {
            let Ok(entry) = self.entries.get(at) else {
                return if at.is_none() { Ok(length) } else { Err(fault) };
            };
            let is_home = self.node_bucket(entry.node(direction)) == bucket;
            if !is_home || entry.links(direction).previous != previous {
                return Err(fault);
            }
            previous = at;
            at = entry.links(direction).next;
        }
        Err(fault)
    }
}
