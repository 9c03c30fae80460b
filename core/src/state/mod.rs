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
//! - the live bytes are the sum of the charges of all live records.

mod apply;
mod charge;
mod intents;
mod list;
mod store;

pub use apply::{ApplyError, Limit};
pub use charge::Charge;
pub use intents::{Cursor, Intent, Intents};
pub use list::List;
pub use store::Store;

use crate::edges::{HubChain, HubPages, PendingEdges};
use crate::format::{Header, Place, Record};
use crate::index::BlockIndex;
use crate::log::{LogError, ReadLog};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::types::{BlockId, Direction, Location, NodeNumber};
use core::ops::Range;

/// The columns of adjacency hold a location, or, with this bit, a chain of pages.
const CHAIN: u32 = 1 << 31;

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

/// A node, where its home record lies, and that record's header.
pub type Home = (NodeNumber, Location, Header);

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
    pub live: Charge,
    /// Nodes that have a block.
    pub blocks: u32,
}

impl<'r> State<'r> {
    /// What [`new`](Self::new) takes of the region.
    pub const fn footprint(before: Footprint, capacity: &StateCapacity) -> Footprint {
        let before = BlockIndex::footprint(before, capacity.nodes);
        let before = PendingEdges::footprint(before, capacity.pending_edges);
        let before = HubPages::footprint(before, capacity.hub_pages);
        Intents::footprint(before, capacity.intents)
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
            live: Charge::default(),
            blocks: 0,
        })
    }

    /// Back to the state of an empty log.
    pub fn clear(&mut self) {
        self.index.clear();
        self.pending.clear();
        self.hubs.clear();
        self.intents.clear();
        self.doubt = None;
        self.live = Charge::default();
        self.blocks = 0;
    }

    /// Where the edges of a node in one direction lie.
    pub fn adjacency(&self, node: NodeNumber, direction: Direction) -> Adjacency {
        let column = self.index.adjacency(node, direction);
        if column.is_none() {
            Adjacency::None
        } else if column.get() & CHAIN != 0 {
            Adjacency::Pages(HubChain::from_raw(column.get() & !CHAIN))
        } else {
            Adjacency::Record(column)
        }
    }

    fn set_adjacency(&mut self, node: NodeNumber, direction: Direction, to: Adjacency) {
        let column = match to {
            Adjacency::None => Location::NONE,
            Adjacency::Record(location) => location,
            Adjacency::Pages(chain) => Location::new(chain.get() | CHAIN),
        };
        self.index.set_adjacency(node, direction, column);
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
    /// on media, and none for an id that is not there (but for one in four billion).
    ///
    /// # Errors
    /// The storage refused, or the record that would tell is damaged.
    pub fn lookup<L: ReadLog>(
        &self,
        log: &mut L,
        id: &BlockId,
    ) -> Result<Option<Home>, LogError<L::Error>> {
        for candidate in self.index.candidates(self.index.hash(id)) {
            let header = log.known_header(candidate.location)?;
            if header.record.id() == Some(id) {
                return Ok(Some((candidate.number, candidate.location, header)));
            }
        }
        Ok(None)
    }

    /// Where a span without valid records ends, that begins at a place in a segment which ends at `end`; and
    /// whether the state rests on what lay there. O(the span, and all that there is).
    ///
    /// # Errors
    /// The storage refused.
    pub fn damaged_span<L: ReadLog>(
        &self,
        log: &mut L,
        from: Place,
        end: u32,
    ) -> Result<(u32, bool), LogError<L::Error>> {
        let behind = from.offset + log.log().layout().align();
        let next = log.next_header(from.slot, behind)?;
        let until = next.map_or(end, |(offset, _)| offset.min(end));
        let layout = log.log().layout();
        let there = layout.location(from.slot, from.offset)..layout.location(from.slot, until);
        Ok((until, self.rests_on(there)))
    }

    /// Whether the state rests on any record that lies there. O(all that there is).
    pub fn rests_on(&self, there: Range<Location>) -> bool {
        let nodes = (0..self.index.high_water()).map(NodeNumber::new);
        let mut of_nodes = nodes.flat_map(|node| {
            let lists = Direction::BOTH.map(|way| self.index.adjacency(node, way));
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
    pub fn is_live(&self, record: &Record, at: Location) -> bool {
        match record {
            Record::Block { number, .. } | Record::Node { number, .. } => {
                self.index.home(*number) == at
            }
            Record::Edge(change) => self
                .pending
                .get(change.source, change.kind, change.target)
                .is_some_and(|pending| pending.location == at),
            Record::Adjacency { number, direction, .. } => {
                match self.adjacency(*number, *direction) {
                    Adjacency::None => false,
                    Adjacency::Record(location) => location == at,
                    Adjacency::Pages(chain) => {
                        self.hubs.pages(chain).any(|(_, location)| location == at)
                    }
                }
            }
            Record::Intent { number, .. } => {
                self.intents.get(*number).is_some_and(|intent| intent.location == at)
            }
            Record::Damage { .. } => self.doubt.is_some_and(|doubt| doubt.location == at),
            Record::Tombstone { .. }
            | Record::Retire { .. }
            | Record::Mark
            | Record::BatchEnd { .. }
            | Record::Index(_) => false,
        }
    }
}
