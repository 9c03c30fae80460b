//! The record: the one form of everything in the log, its one encoder and its one decoder.
//!
//! ```text
//! tag        1   low four bits: kind; 0x10 inside a batch; 0x20 mark: everything before this was synced;
//!                0x40 a block of which there is content only; a mark behind which the store was closed
//! fields     n   variable-length numbers, by kind (below)
//! id        16   block, node, tombstone and intent only
//! check      4   CRC-32 of everything above, seeded with store, segment number and offset
//! body       n   block: source URI, metadata, content; adjacency: entries; index: columns
//! checks   4*n   CRC-32 of each 8 KiB of the body, seeded likewise with the offset at which the piece starts
//! padding        up to the alignment; never read
//! ```
//!
//! | kind | | fields | body |
//! | --- | --- | --- | --- |
//! | 1 | block | number, version, three lengths; with 0x40 the last one | source URI, metadata, content |
//! | 2 | node: a number's id, without a block | number | |
//! | 3 | tombstone: the node is gone, its number is free | number | |
//! | 4 | link | source, kind, target | |
//! | 5 | unlink | source, kind, target | |
//! | 6, 7 | adjacency: all edges of a node, out or in | number, count | count entries |
//! | 8, 9 | adjacency page: those from a key to below another | number, count, two keys | count entries |
//! | 10 | intent: node and edges are gone, its neighbours are being cleaned | number | |
//! | 11 | retire: this segment holds nothing that is needed | segment number, slot | |
//! | 12 | mark | | |
//! | 13 | batch end | number of records of the batch | |
//! | 14 | index page | entries, with ids, of edges, first offset, offset of the page before or 0 | columns |
//! | 15 | damage: records are lost, and a repair began (0) or ended (1) | 0 or 1, segment number, offset | |
//!
//! A block without source URI and metadata is written with 0x40 and no other way.
//! An entry of an adjacency list is kind (2 bytes) and number (4 bytes). All numbers are little-endian.
//! The first key of an adjacency page is kind and number; the second is 0 if there is none above, else 1,
//! kind and number. It is greater than the first.

use super::check::{CHUNK_BYTES, Crc};
use super::layout::IndexForm;
use super::varint;
use crate::types::{BlockId, Direction, EdgeKey, EdgeKind, KeyRange, NodeNumber};

/// No header is longer, in bytes.
pub const HEADER_BYTES_MAX: usize = 56;
/// Nearly all headers are as short, in bytes: a block's whose version is a time in milliseconds, say.
pub const HEADER_BYTES_USUAL: usize = 36;
/// Of blocks of at most 127 bytes of content, with a number of two bytes and a version of two, in bytes.
pub const HEADER_BYTES_SHORT: usize = 26;
/// Length of a checksum, in bytes.
pub const CHECK_BYTES: u32 = 4;
/// Length of an entry of an adjacency list, in bytes.
pub const ENTRY_BYTES: u32 = 6;

const KIND_MASK: u8 = 0x0F;
const IN_BATCH: u8 = 0x10;
const MARKED: u8 = 0x20;
/// Of a block.
const CONTENT_ONLY: u8 = 0x40;
/// Of a mark.
const CLOSES: u8 = 0x40;

/// What a record says.
// Which it is takes a whole word: behind a byte, what is copied with it would lie across words, and be copied
// byte by byte on a Cortex-M.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Record {
    /// The newest content of a node.
    Block {
        /// The node.
        number: NodeNumber,
        /// Its id.
        id: BlockId,
        /// The caller's version.
        version: u64,
        /// Lengths of source URI, metadata and content, in bytes.
        lens: [u32; 3],
    },
    /// The node has no block; this holds its id.
    Node {
        /// The node.
        number: NodeNumber,
        /// Its id.
        id: BlockId,
    },
    /// The node is gone and its number is free.
    Tombstone {
        /// The node.
        number: NodeNumber,
        /// Its id.
        id: BlockId,
    },
    /// An edge came or went.
    Edge(EdgeChange),
    /// The edges of a node in one direction: all of them, or those in a range of keys.
    Adjacency {
        /// The node.
        number: NodeNumber,
        /// Which of its edges.
        direction: Direction,
        /// How many entries the body has.
        entries: u32,
        /// The keys that this page covers; `None` where the record is the whole list.
        range: Option<KeyRange>,
    },
    /// The node and all its edges are gone; its number is not free yet.
    Intent {
        /// The node.
        number: NodeNumber,
        /// Its id.
        id: BlockId,
    },
    /// The segment holds nothing that is needed; its slot may be erased.
    Retire {
        /// Number of the segment.
        segment: u32,
        /// Its slot.
        slot: u32,
    },
    /// Everything before this was synced.
    Mark {
        /// Whether the store was closed there. So it is none of the marks of an opening.
        closes: bool,
    },
    /// The batch is whole.
    BatchEnd {
        /// How many records it has, this one left out.
        records: u32,
    },
    /// Columns that describe the records before it.
    Index(IndexHeader),
    /// Records are lost, and are being repaired.
    Damage {
        /// What the repair says.
        says: Repair,
        /// Number of the segment in which they are lost.
        segment: u32,
        /// Where they should start in it, in bytes; where the repair knows of damage, the check over all that
        /// is in this segment.
        detail: u32,
    },
}

/// What a repair says of damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Repair {
    /// It began: nothing that the log says is certain but by its end.
    Began = 0,
    /// It ended: what is left counts, but for damage that no record of a repair says it knew of.
    Ended = 1,
    /// It knows of this damage.
    Knows = 2,
}

impl Repair {
    /// What this byte stands for.
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Began),
            1 => Some(Self::Ended),
            2 => Some(Self::Knows),
            _ => None,
        }
    }
}

/// One change of one edge, in node numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EdgeChange {
    /// Where the edge starts.
    pub source: NodeNumber,
    /// What it means.
    pub kind: EdgeKind,
    /// Where it ends.
    pub target: NodeNumber,
    /// Whether it came (or went).
    pub add: bool,
}

/// What an index page covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexHeader {
    /// How many records it describes.
    pub entries: u32,
    /// How many of them hold an id.
    pub ids: u32,
    /// How many of them are changes of edges.
    pub edges: u32,
    /// Offset of the first of them in the segment, in bytes. They lie one behind the other up to the page.
    pub first: u32,
    /// Offset of the page before in the same segment, in bytes; 0 if there is none.
    pub previous: u32,
}

/// The first byte of a record: its kind, and how it stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag(u8);

/// Kinds as they stand in a tag. The numbers are written down here and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the record of the same name")]
pub enum Kind {
    Block = 1,
    Node = 2,
    Tombstone = 3,
    Link = 4,
    Unlink = 5,
    AdjacencyOut = 6,
    AdjacencyIn = 7,
    PageOut = 8,
    PageIn = 9,
    Intent = 10,
    Retire = 11,
    Mark = 12,
    BatchEnd = 13,
    Index = 14,
    Damage = 15,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Block,
        Self::Node,
        Self::Tombstone,
        Self::Link,
        Self::Unlink,
        Self::AdjacencyOut,
        Self::AdjacencyIn,
        Self::PageOut,
        Self::PageIn,
        Self::Intent,
        Self::Retire,
        Self::Mark,
        Self::BatchEnd,
        Self::Index,
        Self::Damage,
    ];

    /// Whether records of this kind hold an id.
    pub const fn has_id(self) -> bool {
        matches!(self, Self::Block | Self::Node | Self::Tombstone | Self::Intent)
    }
}

impl Tag {
    /// The tag with this byte, if there is such a kind and no unknown flag.
    pub fn new(byte: u8) -> Option<Self> {
        let own = match byte & KIND_MASK {
            0 => return None,
            kind if kind == Kind::Block as u8 => CONTENT_ONLY,
            kind if kind == Kind::Mark as u8 => CLOSES,
            _ => 0,
        };
        let known = KIND_MASK | IN_BATCH | MARKED | own;
        (byte & !known == 0).then_some(Self(byte))
    }

    /// The tag of a record of this kind that stands outside of any batch.
    pub const fn of(kind: Kind) -> Self {
        Self(kind as u8)
    }

    /// The byte.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// The kind.
    pub fn kind(self) -> Kind {
        let place = usize::from(self.0 & KIND_MASK).wrapping_sub(1);
        Kind::ALL.get(place).copied().unwrap_or(Kind::Mark)
    }

    /// Whether the record counts only with the end of its batch.
    pub const fn in_batch(self) -> bool {
        self.0 & IN_BATCH != 0
    }

    /// Whether it is a block of which there is content only.
    const fn content_only(self) -> bool {
        self.0 & CONTENT_ONLY != 0
    }

    /// Whether it is a mark behind which the store was closed.
    const fn closes(self) -> bool {
        self.0 & CLOSES != 0
    }

    /// Whether everything before the record was synced when it was written.
    pub const fn marked(self) -> bool {
        self.0 & MARKED != 0
    }
}

impl Record {
    /// The record's kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Block { .. } => Kind::Block,
            Self::Node { .. } => Kind::Node,
            Self::Tombstone { .. } => Kind::Tombstone,
            Self::Edge(EdgeChange { add: true, .. }) => Kind::Link,
            Self::Edge(EdgeChange { add: false, .. }) => Kind::Unlink,
            Self::Adjacency { direction: Direction::Out, range: None, .. } => Kind::AdjacencyOut,
            Self::Adjacency { direction: Direction::In, range: None, .. } => Kind::AdjacencyIn,
            Self::Adjacency { direction: Direction::Out, range: Some(_), .. } => Kind::PageOut,
            Self::Adjacency { direction: Direction::In, range: Some(_), .. } => Kind::PageIn,
            Self::Intent { .. } => Kind::Intent,
            Self::Retire { .. } => Kind::Retire,
            Self::Mark { .. } => Kind::Mark,
            Self::BatchEnd { .. } => Kind::BatchEnd,
            Self::Index(_) => Kind::Index,
            Self::Damage { .. } => Kind::Damage,
        }
    }

    /// The tag of this record, standing so in the log.
    pub const fn tag(&self, in_batch: bool, marked: bool) -> Tag {
        let batch = if in_batch { IN_BATCH } else { 0 };
        let mark = if marked { MARKED } else { 0 };
        let own = match self {
            Self::Block { lens: [0, 0, _], .. } => CONTENT_ONLY,
            Self::Mark { closes: true } => CLOSES,
            _ => 0,
        };
        Tag(self.kind() as u8 | batch | mark | own)
    }

    /// The node that it is about; for an edge its source; none for records about the log itself.
    pub const fn number(&self) -> Option<NodeNumber> {
        match self {
            Self::Block { number, .. }
            | Self::Node { number, .. }
            | Self::Tombstone { number, .. }
            | Self::Adjacency { number, .. }
            | Self::Intent { number, .. } => Some(*number),
            Self::Edge(change) => Some(change.source),
            Self::Retire { .. }
            | Self::Mark { .. }
            | Self::BatchEnd { .. }
            | Self::Index(_)
            | Self::Damage { .. } => None,
        }
    }

    /// The id that it holds, if its kind holds one.
    pub const fn id(&self) -> Option<&BlockId> {
        match self {
            Self::Block { id, .. }
            | Self::Node { id, .. }
            | Self::Tombstone { id, .. }
            | Self::Intent { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Length of the body, in bytes, without its checks. (64 bits: three lengths of 32 bits may be
    /// on hostile media.)
    pub fn body_bytes(&self, form: IndexForm) -> u64 {
        match self {
            Self::Block { lens, .. } => lens.iter().map(|len| u64::from(*len)).sum(),
            Self::Adjacency { entries, .. } => u64::from(*entries) * u64::from(ENTRY_BYTES),
            Self::Index(index) => form.body_bytes(index),
            _ => 0,
        }
    }

    /// Length of the header in bytes, check included.
    pub fn header_bytes(&self) -> u32 {
        let n = |number: NodeNumber| varint::len(number.get() as u64);
        let fields = match self {
            Self::Block { number, version, lens, .. } => {
                let lens: u32 = told(lens).iter().map(|len| varint::len(u64::from(*len))).sum();
                n(*number) + varint::len(*version) + lens + 16
            }
            Self::Node { number, .. }
            | Self::Tombstone { number, .. }
            | Self::Intent { number, .. } => n(*number) + 16,
            Self::Edge(change) => {
                n(change.source) + varint::len(u64::from(change.kind.0)) + n(change.target)
            }
            Self::Adjacency { number, entries, range, .. } => {
                let key = |key: EdgeKey| varint::len(u64::from(key.kind)) + n(key.number);
                let range = range.map_or(0, |range| key(range.low) + 1 + range.high.map_or(0, key));
                n(*number) + varint::len(u64::from(*entries)) + range
            }
            Self::Retire { segment, slot } => {
                varint::len(u64::from(*segment)) + varint::len(u64::from(*slot))
            }
            Self::Mark { .. } => 0,
            Self::Damage { segment, detail, .. } => {
                1 + varint::len(u64::from(*segment)) + varint::len(u64::from(*detail))
            }
            Self::BatchEnd { records } => varint::len(u64::from(*records)),
            Self::Index(index) => {
                let IndexHeader { entries, ids, edges, first, previous } = index;
                let fields = [entries, ids, edges, first, previous];
                fields.iter().map(|field| varint::len(u64::from(**field))).sum()
            }
        };
        1 + fields + CHECK_BYTES
    }

    /// Length of header, body and checks, in bytes, without padding.
    pub fn bytes(&self, form: IndexForm) -> u64 {
        self.bytes_behind(self.header_bytes(), form)
    }

    fn bytes_behind(&self, header_bytes: u32, form: IndexForm) -> u64 {
        let body = self.body_bytes(form);
        let checks = body.div_ceil(u64::from(CHUNK_BYTES)) * u64::from(CHECK_BYTES);
        u64::from(header_bytes) + body + checks
    }

    /// Writes the header.
    pub fn encode(&self, in_batch: bool, marked: bool, seed: Crc) -> HeaderBytes {
        let mut out = HeaderBytes::default();
        out.push(&[self.tag(in_batch, marked).byte()]);
        match self {
            Self::Block { number, version, lens, .. } => {
                out.number(number.get().into());
                out.number(*version);
                told(lens).iter().for_each(|len| out.number(u64::from(*len)));
            }
            Self::Node { number, .. }
            | Self::Tombstone { number, .. }
            | Self::Intent { number, .. } => out.number(number.get().into()),
            Self::Edge(change) => {
                out.number(change.source.get().into());
                out.number(change.kind.0.into());
                out.number(change.target.get().into());
            }
            Self::Adjacency { number, entries, range, .. } => {
                out.number(number.get().into());
                out.number(u64::from(*entries));
                if let Some(range) = range {
                    out.key(range.low);
                    out.number(range.high.is_some().into());
                    range.high.iter().for_each(|high| out.key(*high));
                }
            }
            Self::Retire { segment, slot } => {
                out.number(u64::from(*segment));
                out.number(u64::from(*slot));
            }
            Self::Mark { .. } => {}
            Self::Damage { says, segment, detail } => {
                out.push(&[*says as u8]);
                out.number(u64::from(*segment));
                out.number(u64::from(*detail));
            }
            Self::BatchEnd { records } => out.number(u64::from(*records)),
            Self::Index(index) => {
                let IndexHeader { entries, ids, edges, first, previous } = index;
                let fields = [entries, ids, edges, first, previous];
                fields.iter().for_each(|field| out.number(u64::from(**field)));
            }
        }
        self.id().iter().for_each(|id| out.push(id.bytes()));
        let check = seed.and(out.as_slice()).get();
        out.push(&check.to_le_bytes());
        out
    }
}

/// A record's header that was read from media and whose check held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// How the record stands in the log.
    pub tag: Tag,
    /// What it says.
    pub record: Record,
    /// Its length in bytes, check included.
    pub bytes: u32,
}

impl Header {
    /// The header of a record that stands so in the log.
    pub fn new(record: Record, tag: Tag) -> Self {
        Self { tag, record, bytes: record.header_bytes() }
    }

    /// Length of header, body and checks, in bytes, without padding.
    pub fn record_bytes(&self, form: IndexForm) -> u64 {
        self.record.bytes_behind(self.bytes, form)
    }

    /// Reads the header at the start of `bytes` (up to [`HEADER_BYTES_MAX`] of them) and checks it.
    ///
    /// `None` if there is no valid header: there is nothing more that could be said of such bytes.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub fn parse(bytes: &[u8], seed: Crc) -> Option<Self> {
        let mut reader = varint::Reader::new(bytes);
        let tag = Tag::new(reader.byte()?)?;
        let record = fields(tag, &mut reader)?;
        let (checked, rest) = bytes.split_at_checked(bytes.len() - reader.remaining())?;
        let check = u32::from_le_bytes(*rest.first_chunk()?);
        // A header has fewer bytes than HEADER_BYTES_MAX.
        let header = Self { tag, record, bytes: checked.len() as u32 + CHECK_BYTES };
        (seed.and(checked).get() == check).then_some(header)
    }
}

#[inline]
fn fields(tag: Tag, reader: &mut varint::Reader<'_>) -> Option<Record> {
    let kind = tag.kind();
    let number = |reader: &mut varint::Reader<'_>| reader.u32().map(NodeNumber::new);
    let id = |reader: &mut varint::Reader<'_>| reader.array().map(BlockId::new);
    Some(match kind {
        Kind::Block => {
            let (number, version, lens) = block_fields(tag, reader)?;
            Record::Block { number, version, lens, id: id(reader)? }
        }
        Kind::Node => Record::Node { number: number(reader)?, id: id(reader)? },
        Kind::Tombstone => Record::Tombstone { number: number(reader)?, id: id(reader)? },
        Kind::Intent => Record::Intent { number: number(reader)?, id: id(reader)? },
        Kind::Link | Kind::Unlink => Record::Edge(EdgeChange {
            source: number(reader)?,
            kind: EdgeKind(reader.u16()?),
            target: number(reader)?,
            add: kind == Kind::Link,
        }),
        Kind::AdjacencyOut | Kind::AdjacencyIn | Kind::PageOut | Kind::PageIn => {
            let out = matches!(kind, Kind::AdjacencyOut | Kind::PageOut);
            let paged = matches!(kind, Kind::PageOut | Kind::PageIn);
            Record::Adjacency {
                number: number(reader)?,
                direction: if out { Direction::Out } else { Direction::In },
                entries: reader.u32()?,
                range: if paged { Some(range(reader)?) } else { None },
            }
        }
        Kind::Retire => Record::Retire { segment: reader.u32()?, slot: reader.u32()? },
        Kind::Mark => Record::Mark { closes: tag.closes() },
        Kind::Damage => Record::Damage {
            says: Repair::of(reader.byte()?)?,
            segment: reader.u32()?,
            detail: reader.u32()?,
        },
        Kind::BatchEnd => Record::BatchEnd { records: reader.u32()? },
        Kind::Index => Record::Index(IndexHeader {
            entries: reader.u32()?,
            ids: reader.u32()?,
            edges: reader.u32()?,
            first: reader.u32()?,
            previous: reader.u32()?,
        }),
    })
}

/// The fields of a block: number, version, lengths. Its id is behind them.
#[cfg_attr(not(target_os = "none"), inline)]
pub(super) fn block_fields(
    tag: Tag,
    reader: &mut varint::Reader<'_>,
) -> Option<(NodeNumber, u64, [u32; 3])> {
    let number = NodeNumber::new(reader.u32()?);
    let version = reader.u64()?;
    if tag.content_only() {
        return Some((number, version, [0, 0, reader.u32()?]));
    }
    let lens = [reader.u32()?, reader.u32()?, reader.u32()?];
    // One form for each block, as of each number.
    (told(&lens).len() == lens.len()).then_some((number, version, lens))
}

/// The lengths of a block's parts that its record tells: where there is content only, the others go without
/// saying.
const fn told(lens: &[u32; 3]) -> &[u32] {
    match lens {
        [0, 0, content] => core::slice::from_ref(content),
        lens => lens,
    }
}

fn range(reader: &mut varint::Reader<'_>) -> Option<KeyRange> {
    let key = |reader: &mut varint::Reader<'_>| {
        Some(EdgeKey { kind: reader.u16()?, number: NodeNumber::new(reader.u32()?) })
    };
    let low = key(reader)?;
    let high = match reader.byte()? {
        0 => None,
        1 => Some(key(reader)?),
        _ => return None,
    };
    // A page over no key is no page.
    high.is_none_or(|high| low < high).then_some(KeyRange { low, high })
}

/// The bytes of a header, as they are put together.
#[derive(Clone, Default)]
pub struct HeaderBytes {
    bytes: heapless::Vec<u8, HEADER_BYTES_MAX>,
}

impl HeaderBytes {
    /// The bytes so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    fn push(&mut self, bytes: &[u8]) {
        let fits = self.bytes.extend_from_slice(bytes);
        debug_assert!(fits.is_ok(), "no header is longer than HEADER_BYTES_MAX");
    }

    fn key(&mut self, key: EdgeKey) {
        self.number(key.kind.into());
        self.number(key.number.get().into());
    }

    pub(super) fn number(&mut self, value: u64) {
        let mut rest = value;
        for _ in 0..varint::MAX_BYTES {
            let low = (rest & 0x7F) as u8;
            rest >>= 7;
            if rest == 0 {
                return self.push(&[low]);
            }
            self.push(&[low | 0x80]);
        }
    }
}
