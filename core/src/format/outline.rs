//! A record in outline: what the state takes from it, read from the record's own header, or from the index
//! page that describes it.
//!
//! An outline does not tell what a body holds, or how long its parts are: who reads a body reads the header
//! before it.

use super::record::{CHECK_BYTES, ENTRY_BYTES, EdgeChange, Kind, Record, Repair, Tag};
use super::varint;
use crate::types::{BlockId, Direction, EdgeKind, KeyRange, NodeNumber};

/// No list of edges is shorter, in bytes: tag, number, count, check, one entry, and its check.
const LIST_BYTES_MIN: u32 = 7 + ENTRY_BYTES + CHECK_BYTES;

/// What a record is about.
// Which it is takes a whole word, as in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Subject {
    /// The newest content of a node.
    Block {
        /// The node.
        number: NodeNumber,
        /// Its id.
        id: BlockId,
        /// The caller's version.
        version: u64,
    },
    /// A node without a block.
    Node {
        /// The node.
        number: NodeNumber,
        /// Its id.
        id: BlockId,
    },
    /// A node that is gone, and whose number is free.
    Tombstone {
        /// The node.
        number: NodeNumber,
        /// Its id.
        id: BlockId,
    },
    /// A node that is gone, and whose neighbours are being cleaned.
    Intent {
        /// The node.
        number: NodeNumber,
        /// Its id.
        id: BlockId,
    },
    /// An edge that came or went.
    Edge(EdgeChange),
    /// A list of a node's edges, or a page of one.
    List {
        /// The node.
        number: NodeNumber,
        /// Which of its edges.
        direction: Direction,
        /// The keys that this page covers; `None` where the record is the whole list.
        range: Option<KeyRange>,
        /// Whether there are none.
        is_empty: bool,
    },
    /// The end of a batch of so many records.
    BatchEnd {
        /// How many records it has, this one left out.
        records: u32,
    },
    /// Records that are lost, and what a repair says of them.
    Damage {
        /// What it says.
        says: Repair,
        /// Number of the segment in which they are lost.
        segment: u32,
        /// As in [`Record::Damage`].
        detail: u32,
    },
    /// The log itself: a mark, a retirement, an index page.
    Log,
}

/// A record in outline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outline {
    /// How the record stands in the log.
    pub tag: Tag,
    /// What it is about.
    pub subject: Subject,
    /// Its length in bytes, padding included.
    pub bytes: u32,
}

impl Record {
    /// What the record is about.
    pub const fn subject(&self) -> Subject {
        match *self {
            Self::Block { number, id, version, .. } => Subject::Block { number, id, version },
            Self::Node { number, id } => Subject::Node { number, id },
            Self::Tombstone { number, id } => Subject::Tombstone { number, id },
            Self::Intent { number, id } => Subject::Intent { number, id },
            Self::Edge(change) => Subject::Edge(change),
            Self::Adjacency { number, direction, entries, range } => {
                Subject::List { number, direction, range, is_empty: entries == 0 }
            }
            Self::BatchEnd { records } => Subject::BatchEnd { records },
            Self::Damage { says, segment, detail } => Subject::Damage { says, segment, detail },
            Self::Retire { .. } | Self::Mark { .. } | Self::Index(_) => Subject::Log,
        }
    }

    /// The outline of the record, which stands outside of any batch and is so many bytes long, padding
    /// included.
    pub const fn outline(&self, bytes: u32) -> Outline {
        Outline { tag: self.tag(false, false), subject: self.subject(), bytes }
    }

    /// The number that stands for the record in an index page: that of the node which it is about (for an
    /// edge its source); of the end of a batch, how many records it has.
    pub const fn page_number(&self) -> u32 {
        match self {
            Self::BatchEnd { records } => *records,
            record => match record.number() {
                Some(number) => number.get(),
                None => 0,
            },
        }
    }
}

impl Subject {
    /// The node that it is about; for an edge its source; none for records about the log itself.
    pub const fn number(&self) -> Option<NodeNumber> {
        match self {
            Self::Block { number, .. }
            | Self::Node { number, .. }
            | Self::Tombstone { number, .. }
            | Self::Intent { number, .. }
            | Self::List { number, .. } => Some(*number),
            Self::Edge(change) => Some(change.source),
            Self::BatchEnd { .. } | Self::Damage { .. } | Self::Log => None,
        }
    }

    /// The id that it names.
    pub const fn id(&self) -> Option<&BlockId> {
        match self {
            Self::Block { id, .. }
            | Self::Node { id, .. }
            | Self::Tombstone { id, .. }
            | Self::Intent { id, .. } => Some(id),
            _ => None,
        }
    }

    /// How many bytes more its version takes than that of an older block; 0 where one of them is none.
    pub fn version_beyond(&self, older: &Self) -> u32 {
        match (self, older) {
            (Self::Block { version, .. }, Self::Block { version: older, .. }) => {
                varint::len(*version).saturating_sub(varint::len(*older))
            }
            _ => 0,
        }
    }

    /// Whether it is a block.
    pub const fn is_block(&self) -> bool {
        matches!(self, Self::Block { .. })
    }
}

/// What the columns of an index page say of one record.
#[derive(Clone, Copy, Debug)]
pub struct PageEntry {
    /// The record's first byte.
    pub tag: Tag,
    /// Its [`page_number`](Record::page_number).
    pub number: u32,
    /// The id, and the version, if it is of a kind that holds them.
    pub id: BlockId,
    /// As above.
    pub version: u64,
    /// The target and the kind of an edge, if it is a change of one.
    pub target: u32,
    /// As above.
    pub edge_kind: u16,
    /// Its length in bytes, padding included.
    pub bytes: u32,
}

impl PageEntry {
    /// The record in outline; `None` where that takes the record's header. `shortest` is the length of the
    /// shortest record, padding included, in bytes.
    pub fn outline(&self, shortest: u32) -> Option<Outline> {
        let (number, id) = (NodeNumber::new(self.number), self.id);
        // A list that is longer than the shortest record has edges, and one that has edges is so long.
        let is_empty = self.bytes < LIST_BYTES_MIN;
        let list = |direction| Subject::List { number, direction, range: None, is_empty };
        let edge = |add| {
            let (kind, target) = (EdgeKind(self.edge_kind), NodeNumber::new(self.target));
            Subject::Edge(EdgeChange { source: number, kind, target, add })
        };
        let subject = match self.tag.kind() {
            Kind::Block => Subject::Block { number, id, version: self.version },
            Kind::Node => Subject::Node { number, id },
            Kind::Tombstone => Subject::Tombstone { number, id },
            Kind::Intent => Subject::Intent { number, id },
            Kind::Link => edge(true),
            Kind::Unlink => edge(false),
            Kind::AdjacencyOut | Kind::AdjacencyIn if !is_empty && self.bytes <= shortest => {
                return None;
            }
            Kind::AdjacencyOut => list(Direction::Out),
            Kind::AdjacencyIn => list(Direction::In),
            Kind::BatchEnd => Subject::BatchEnd { records: self.number },
            Kind::Retire | Kind::Mark => Subject::Log,
            Kind::PageOut | Kind::PageIn | Kind::Damage | Kind::Index => return None,
        };
        Some(Outline { tag: self.tag, subject, bytes: self.bytes })
    }
}

impl Kind {
    /// Whether records of this kind are changes of an edge.
    pub const fn is_edge(self) -> bool {
        matches!(self, Self::Link | Self::Unlink)
    }
}
