//! What the log means: which nodes there are, where their records lie, which edges are pending,
//! what is being deleted.
//!
//! The only way in is [`State::apply`], one record at a time, in log order: the running engine and
//! recovery come through the same door, so that reopening a store rebuilds the states that the
//! engine went through, in the same bounded memory. The later record of a key wins, always.
//!
//! This room reads the log where it must know what a record supersedes; it never writes.
//!
//! Invariants, which `verify` checks:
//!
//! - a node in use has a home record, or an open intent, or adjacency records that a later record
//!   will explain (the last only during recovery);
//! - the live bytes are the sum of the charges of all live records, and so are those of each slot.

mod apply;
mod charge;
mod intents;
mod list;
mod living;
mod store;

pub use apply::{ApplyError, Limit};
pub use charge::{Charge, Share};
pub use intents::{Cursor, Intent, Intents};
pub use list::List;
pub use living::Living;
pub use store::Store;

use crate::edges::{HubChain, HubPages, PendingEdges};
use crate::format::{Layout, Outline, Place, Subject};
use crate::index::BlockIndex;
use crate::log::{LogBytes, LogError};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::types::{BlockId, Direction, Location, NodeNumber};
use core::ops::RangeInclusive;

/// How many of everything fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateCapacity {
    /// Nodes: ids with a block or an edge.
    pub nodes: u32,
    /// Edge changes that are not folded yet.
    pub pending_edges: u32,
    /// Pages of adjacency lists too long for one record.
    pub hub_pages: u32,
    /// Deleted nodes whose neighbours are not cleaned yet.
    pub intents: u32,
    /// Slots of the ring.
    pub segments: u32,
}

/// A repair that began: until it ends, nothing that the log says is certain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// Where the record lies that says so.
    pub location: Location,
    /// Number of the segment in which records are lost.
    pub segment: u32,
    /// Where in it, in bytes.
    pub offset: u32,
}

/// Where the edges of a node in one direction lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adjacency {
    /// Nothing was folded yet.
    None,
    /// One record.
    Record(Location),
    /// Several pages.
    Pages(HubChain),
}

/// A node, where its home record lies, and that record in outline.
pub type Home = (NodeNumber, Location, Outline);

/// What the log means. See the [room](self).
pub struct State<'r> {
    /// Ids, numbers, and where the nodes' records lie.
    pub index: BlockIndex<'r>,
    /// Edge changes that are not folded yet.
    pub pending: PendingEdges<'r>,
    /// Pages of long adjacency lists.
    pub hubs: HubPages<'r>,
    /// Deletions that are not finished.
    pub intents: Intents<'r>,
    /// The repair that began and did not end.
    pub doubt: Option<Doubt>,
    /// What lives, in bytes of the log.
    pub live: Living<'r>,
    /// Nodes that have a block.
    pub blocks: u32,
    /// Whether the two above are kept up to date.
    counts: bool,
}

impl<'r> State<'r> {
    /// What [`new`](Self::new) takes of the region.
    pub const fn footprint(before: Footprint, capacity: &StateCapacity) -> Footprint {
        let before = BlockIndex::footprint(before, capacity.nodes);
        let before = PendingEdges::footprint(before, capacity.pending_edges);
        let before = HubPages::footprint(before, capacity.hub_pages);
        let before = Intents::footprint(before, capacity.intents);
        Living::footprint(before, capacity.segments)
    }

    /// The state of an empty log. `seed` keeps ids that an adversary chose from crowding the hash tables.
    ///
    /// # Errors
    /// The region is too small.
    pub fn new(
        memory: &mut StorageCoordinator<'r>,
        capacity: &StateCapacity,
        seed: [u64; 2],
    ) -> Result<Self, RegionTooSmall> {
        Ok(Self {
            index: BlockIndex::new(memory, capacity.nodes, seed)?,
            pending: PendingEdges::new(memory, capacity.pending_edges, seed[1])?,
            hubs: HubPages::new(memory, capacity.hub_pages)?,
            intents: Intents::new(memory, capacity.intents)?,
            doubt: None,
            live: Living::new(memory, capacity.segments)?,
            blocks: 0,
            counts: true,
        })
    }

    /// Back to the state of an empty log.
    pub fn clear(&mut self) {
        self.index.clear();
        self.pending.clear();
        self.hubs.clear();
        self.intents.clear();
        self.doubt = None;
        self.restart_counting();
    }

    /// From here on nothing is read of the records that are superseded, and neither live bytes nor blocks are
    /// counted: where all of the log is replayed, counting what lives once it is there reads less.
    pub fn stop_counting(&mut self) {
        self.counts = false;
    }

    /// Counts again, from nothing; [`count`](Self::count) is then called for each record that lives.
    pub fn restart_counting(&mut self) {
        self.live.clear();
        (self.blocks, self.counts) = (0, true);
    }

    /// Counts one record that lives, and lies at `at`.
    pub fn count(&mut self, layout: &Layout, outline: &Outline, at: Location) {
        self.live.add(layout, Share::of_outline(layout, outline), at);
        self.blocks += u32::from(outline.subject.is_block());
    }

    /// Where the edges of a node in one direction lie.
    pub fn adjacency(&self, node: NodeNumber, direction: Direction) -> Adjacency {
        let column = self.index.adjacency(node, direction);
        if column.is_none() {
            Adjacency::None
        } else if self.index.is_paged(node, direction) {
            Adjacency::Pages(HubChain::from_raw(column.get()))
        } else {
            Adjacency::Record(column)
        }
    }

    fn set_adjacency(&mut self, node: NodeNumber, direction: Direction, to: Adjacency) {
        let (column, paged) = match to {
            Adjacency::None => (Location::NONE, false),
            Adjacency::Record(location) => (location, false),
            Adjacency::Pages(chain) => (Location::new(chain.get()), true),
        };
        self.index.set_adjacency(node, direction, column, paged);
    }

    /// Whether nothing at all refers to the node but its own home record: no list, no pending change.
    pub fn is_bare(&self, node: NodeNumber) -> bool {
        let lists = Direction::BOTH.iter().any(|way| self.adjacency(node, *way) != Adjacency::None);
        !lists && !self.pending.mentions(node)
    }

    /// Whether a number means nothing, so that it can be given to a new id.
    pub fn is_free(&self, node: NodeNumber) -> bool {
        self.index.home(node).is_none() && !self.intents.contains(node) && self.is_bare(node)
    }

    /// The node with this id, and where its home record lies. O(1) expected; one read of a header
    /// on media at most, and none for an id that is not there (but for one in four billion).
    ///
    /// # Errors
    /// The storage refused, or the record that would tell is damaged.
    pub fn lookup<E>(
        &self,
        log: &mut dyn LogBytes<Error = E>,
        id: &BlockId,
    ) -> Result<Option<Home>, LogError<E>> {
        for candidate in self.index.candidates(self.index.hash(id)) {
            let outline = log.recent_outline(candidate.location)?;
            if outline.subject.id() == Some(id) {
                return Ok(Some((candidate.number, candidate.location, outline)));
            }
        }
        Ok(None)
    }

    /// Where a span without valid records ends, that begins at a place in a segment which ends at `end`; and
    /// whether the state rests on what lay there. O(the span, and all that there is).
    ///
    /// # Errors
    /// The storage refused.
    pub fn damaged_span<E>(
        &self,
        log: &mut dyn LogBytes<Error = E>,
        from: Place,
        end: u32,
    ) -> Result<(u32, bool), LogError<E>> {
        let behind = from.offset + log.log().layout().align();
        let next = log.next_header(from.slot, behind)?;
        let until = next.map_or(end, |(offset, _)| offset.min(end));
        let layout = log.log().layout();
        // The last unit of the largest medium has the greatest location that there is.
        let last = until.saturating_sub(layout.align()).max(from.offset);
        let there = layout.location(from.slot, from.offset)..=layout.location(from.slot, last);
        Ok((until, self.rests_on(there)))
    }

    /// Whether the state rests on any record that lies there. O(all that there is).
    pub fn rests_on(&self, there: RangeInclusive<Location>) -> bool {
        let nodes = (0..self.index.high_water()).map(NodeNumber::new);
        let mut of_nodes = nodes.flat_map(|node| {
            let lists = Direction::BOTH.map(|way| match self.adjacency(node, way) {
                Adjacency::Record(location) => location,
                // The pages themselves are asked below.
                Adjacency::None | Adjacency::Pages(_) => Location::NONE,
            });
            [self.index.home(node), lists[0], lists[1]]
        });
        let mut intents = self.intents.iter();
        let mut changes = self.pending.changes();
        of_nodes.any(|at| there.contains(&at))
            || self.hubs.locations().any(|at| there.contains(&at))
            || changes.any(|change| there.contains(&change.location))
            || intents.any(|intent| there.contains(&intent.location))
            || self.doubt.is_some_and(|doubt| there.contains(&doubt.location))
    }

    /// Whether the record at this location is what the state rests on.
    pub fn is_live(&self, subject: &Subject, at: Location) -> bool {
        match subject {
            Subject::Block { number, .. } | Subject::Node { number, .. } => {
                self.index.home(*number) == at
            }
            Subject::Edge(change) => self
                .pending
                .get(change.source, change.kind, change.target)
                .is_some_and(|pending| pending.location == at),
            Subject::List { number, direction, .. } => match self.adjacency(*number, *direction) {
                Adjacency::None => false,
                Adjacency::Record(location) => location == at,
                Adjacency::Pages(chain) => {
                    self.hubs.pages(chain).any(|(_, location)| location == at)
                }
            },
            Subject::Intent { number, .. } => {
                self.intents.get(*number).is_some_and(|intent| intent.location == at)
            }
            Subject::Damage { .. } => self.doubt.is_some_and(|doubt| doubt.location == at),
            Subject::Tombstone { .. } | Subject::BatchEnd { .. } | Subject::Log => false,
        }
    }
}
