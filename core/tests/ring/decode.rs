//! The media format, read a second time: written from `core/docs/format.md`, without a line of the core's
//! own decoder, so that a slip there is not a slip here.
//!
//! It knows segment headers and records, and what of them the ring's rules speak of. Index pages are
//! passed by.

use kausaldb::storage::Geometry;

const MAGIC: &[u8] = b"KAUSALDB";
const VERSION: u16 = 4;
/// Length of a segment's header and of its check, in bytes.
const HEADER_BYTES: usize = 80;
const CHECK_BYTES: usize = 4;
/// Length of what a segment says of the one that was opened after it.
const SUCCESSOR_BYTES: usize = 8;
/// What one check of a body covers at most, in bytes.
const CHUNK_BYTES: usize = 8 << 10;
/// Segments of so many bytes have index pages of full columns, and records at multiples of 16.
const LARGE_BYTES: u32 = 256 << 10;

/// What of a store's medium its bytes are read by.
#[derive(Clone, Debug)]
pub struct Format {
    pub store: [u8; 16],
    pub segment_bytes: u32,
    pub segments: u32,
    /// Sectors in a segment.
    pub sectors: u32,
    /// Records start at multiples of so many bytes.
    pub align: u32,
    /// Whether a write is durable before the next is begun.
    pub is_ordered: bool,
}

/// A segment's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub slot: u32,
    pub number: u32,
    /// Number of the newest retired segment; 0 for none.
    pub retired: u32,
    pub before: Option<Before>,
    /// Whether an opening wrote it.
    pub is_fresh: bool,
    /// Whether it goes on with a batch that began before.
    pub continues: bool,
    pub next_node: u32,
}

/// The segment before another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Before {
    pub slot: u32,
    pub number: u32,
    /// What lies there and behind is void for ever.
    pub end: u32,
    /// Offset of its last index page; 0 for none.
    pub index: u32,
}

/// Edge kind and number of the other node: what an entry of a list is found by.
pub type Key = (u16, u32);

/// What a record says, as far as the ring's rules speak of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Block {
        node: u32,
        id: [u8; 16],
    },
    Node {
        node: u32,
        id: [u8; 16],
    },
    Tombstone {
        node: u32,
    },
    Edge {
        source: u32,
        kind: u16,
        target: u32,
        is_link: bool,
    },
    /// All edges of a node in one direction, or those from a key to below another.
    List {
        node: u32,
        is_out: bool,
        entries: u32,
        low: Key,
        high: Option<Key>,
    },
    Intent {
        node: u32,
    },
    Retire {
        segment: u32,
        slot: u32,
    },
    Mark,
    End {
        records: u32,
    },
    Index,
    Damage,
}

/// A record whose checks hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Where it starts in its segment, in bytes.
    pub offset: u32,
    /// Its length in bytes, padding included.
    pub bytes: u32,
    pub what: What,
    pub in_batch: bool,
    /// Whether it says that everything before it was synced.
    pub is_marked: bool,
    /// Its fields, and its body without checks: what a copy of it has as well.
    pub content: Vec<u8>,
    /// Length of the body in it, in bytes.
    pub body: usize,
}

impl Record {
    /// Offset behind it, in bytes.
    pub fn end(&self) -> u32 {
        self.offset + self.bytes
    }

    /// Whether it says something of blocks and edges, or ends a batch that does.
    pub fn is_content(&self) -> bool {
        !matches!(self.what, What::Mark | What::Retire { .. } | What::Index)
    }

    /// The entries of a list.
    pub fn entries(&self) -> impl Iterator<Item = Key> + '_ {
        let body = &self.content[self.content.len() - self.body..];
        body.chunks_exact(6).map(|entry| {
            let number = entry[2..].try_into().expect("four bytes");
            (u16::from_le_bytes([entry[0], entry[1]]), u32::from_le_bytes(number))
        })
    }
}

impl Format {
    pub fn new(store: [u8; 16], geometry: &Geometry, segment_bytes: u32) -> Self {
        let least = if segment_bytes >= LARGE_BYTES { 16 } else { 1 };
        Self {
            store,
            segment_bytes,
            segments: (geometry.capacity_bytes / u64::from(segment_bytes)) as u32,
            sectors: segment_bytes / geometry.erase_bytes,
            align: geometry.write_bytes.max(least),
            is_ordered: geometry.keeps_write_order,
        }
    }

    /// Where a segment says which one was opened after it, in bytes.
    pub fn successor_offset(&self) -> u32 {
        (HEADER_BYTES as u32).next_multiple_of(self.align)
    }

    /// Where records begin in a segment, in bytes.
    pub fn first_offset(&self) -> u32 {
        self.successor_offset() + (SUCCESSOR_BYTES as u32).next_multiple_of(self.align)
    }

    /// Slot and number of the segment that was opened after the one with this number, if these bytes say so.
    pub fn successor(&self, bytes: &[u8], number: u32) -> Option<(u32, u32)> {
        let (said, check) = bytes[..SUCCESSOR_BYTES].split_at(SUCCESSOR_BYTES - CHECK_BYTES);
        let slot = u32::from_le_bytes([said[0], said[1], said[2], 0]);
        let is_whole = crc(self.seed(number, self.successor_offset()), said).to_le_bytes() == check;
        is_whole.then(|| (slot, number + u32::from(said[3])))
    }

    /// The bytes of a slot.
    pub fn slot<'i>(&self, image: &'i [u8], slot: u32) -> &'i [u8] {
        let start = slot as usize * self.segment_bytes as usize;
        &image[start..start + self.segment_bytes as usize]
    }

    /// The header of the segment in a slot, if there is one of this store; one flipped bit is mended.
    pub fn head(&self, bytes: &[u8], slot: u32) -> Option<Head> {
        let sound = self.sound_head(bytes).or_else(|| self.mended_head(bytes));
        sound.filter(|head| head.slot == slot)
    }

    fn mended_head(&self, bytes: &[u8]) -> Option<Head> {
        let mut copy = bytes[..HEADER_BYTES].to_vec();
        let expected = MAGIC.iter().chain(&self.store);
        let found = copy[..8].iter().chain(&copy[12..28]);
        let wrong: u32 = found.zip(expected).map(|(a, b)| (a ^ b).count_ones()).sum();
        let bits = if wrong > 1 { 0 } else { HEADER_BYTES * 8 };
        (0..bits).find_map(|bit| {
            copy[bit / 8] ^= 1 << (bit % 8);
            let head = self.sound_head(&copy);
            copy[bit / 8] ^= 1 << (bit % 8);
            head
        })
    }

    fn sound_head(&self, bytes: &[u8]) -> Option<Head> {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        let is_ours = bytes[..8] == *MAGIC
            && u16::from_le_bytes([bytes[8], bytes[9]]) == VERSION
            && bytes[12..28] == self.store
            && u32_at(32) == self.segment_bytes
            && u32_at(76) == crc(0, &bytes[..HEADER_BYTES - CHECK_BYTES]);
        let before =
            Before { slot: u32_at(52), number: u32_at(56), end: u32_at(60), index: u32_at(64) };
        is_ours.then(|| Head {
            slot: u32_at(40),
            number: u32_at(44),
            retired: u32_at(48),
            before: (before.number != 0).then_some(before),
            is_fresh: bytes[10] & 1 != 0,
            continues: bytes[10] & 2 != 0,
            next_node: u32_at(72),
        })
    }

    /// The seed of a check over bytes at this offset of a segment.
    fn seed(&self, number: u32, offset: u32) -> u32 {
        let salt = crc(0, &self.store);
        crc(crc(salt, &number.to_le_bytes()), &offset.to_le_bytes())
    }

    /// The record at an offset of the segment with this number, of which `bytes` are what lies there and
    /// behind. `None` if its checks do not hold, or it is not all there.
    pub fn record(&self, bytes: &[u8], number: u32, offset: u32) -> Option<Record> {
        let mut fields = Fields { rest: bytes };
        let (what, in_batch, is_marked, body) = fields.record(self.segment_bytes >= LARGE_BYTES)?;
        let header = bytes.len() - fields.rest.len();
        let check = fields.take(CHECK_BYTES)?;
        if crc(self.seed(number, offset), &bytes[..header]).to_le_bytes() != check {
            return None;
        }
        let mut content = bytes[1..header].to_vec();
        let (body, checks) = fields.rest.split_at_checked(body)?;
        let body_offset = offset + (header + CHECK_BYTES) as u32;
        for (at, chunk) in body.chunks(CHUNK_BYTES).enumerate() {
            let seed = self.seed(number, body_offset + (at * CHUNK_BYTES) as u32);
            let check = checks.get(at * CHECK_BYTES..(at + 1) * CHECK_BYTES)?;
            if crc(seed, chunk).to_le_bytes() != check {
                return None;
            }
        }
        content.extend(body);
        let checks = body.len().div_ceil(CHUNK_BYTES) * CHECK_BYTES;
        let len = (header + CHECK_BYTES + body.len() + checks) as u32;
        let (bytes, body) = (len.next_multiple_of(self.align), body.len());
        let fits = offset + bytes <= self.segment_bytes;
        fits.then_some(Record { offset, bytes, what, in_batch, is_marked, content, body })
    }
}

/// The bytes of a record's header that were not read yet.
struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn id(&mut self) -> Option<[u8; 16]> {
        self.take(16)?.try_into().ok()
    }

    /// A number of seven bits a byte, the least significant first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for at in 0..10 {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn word(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn key(&mut self) -> Option<Key> {
        Some((self.number()?.try_into().ok()?, self.word()?))
    }

    /// Kind and fields: what the record says, whether it is in a batch, whether it is marked, and the length
    /// of its body.
    fn record(&mut self, is_large: bool) -> Option<(What, bool, bool, usize)> {
        let tag = self.take(1)?[0];
        let mut body = 0;
        let what = match tag & 0x0F {
            1 => {
                let (node, _version) = (self.word()?, self.number()?);
                let lens = if tag & 0x40 == 0 { 3 } else { 1 };
                body = (0..lens).try_fold(0, |sum, _| Some(sum + self.word()? as usize))?;
                What::Block { node, id: self.id()? }
            }
            2 => What::Node { node: self.word()?, id: self.id()? },
            3 => What::Tombstone { node: self.word()? }.with(self.id()?),
            kind @ (4 | 5) => {
                let (source, (kind_of_edge, target)) = (self.word()?, self.key()?);
                What::Edge { source, kind: kind_of_edge, target, is_link: kind == 4 }
            }
            kind @ 6..=9 => {
                let (node, entries) = (self.word()?, self.word()?);
                body = entries as usize * 6;
                let (mut low, mut high) = ((0, 0), None);
                if kind >= 8 {
                    low = self.key()?;
                    high = if self.take(1)?[0] == 1 { Some(self.key()?) } else { None };
                }
                What::List { node, is_out: kind % 2 == 0, entries, low, high }
            }
            10 => What::Intent { node: self.word()? }.with(self.id()?),
            11 => What::Retire { segment: self.word()?, slot: self.word()? },
            12 => What::Mark,
            13 => What::End { records: self.word()? },
            14 => {
                let mut count = || Some(self.word()? as usize);
                let (entries, ids, edges) = (count()?, count()?, count()?);
                let _places = (count()?, count()?);
                body = if is_large { 9 * entries + 24 * ids + 6 * edges } else { 0 };
                What::Index
            }
            15 => {
                let _damage = (self.take(1)?, self.word()?, self.word()?);
                What::Damage
            }
            _ => return None,
        };
        let unused = if matches!(tag & 0x0F, 1 | 12) { 0x80 } else { 0xC0 };
        (tag & unused == 0).then_some((what, tag & 0x10 != 0, tag & 0x20 != 0, body))
    }
}

impl What {
    /// An id that belongs to the record, and of which no rule speaks.
    fn with(self, _id: [u8; 16]) -> Self {
        self
    }

    /// The id of a node that is there.
    pub fn id(&self) -> Option<[u8; 16]> {
        match self {
            Self::Block { id, .. } | Self::Node { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The greatest node number that it names; what a list names was named before.
    pub fn greatest_node(&self) -> Option<u32> {
        match self {
            Self::Edge { source, target, .. } => Some(*source.max(target)),
            Self::Block { node, .. }
            | Self::Node { node, .. }
            | Self::Tombstone { node }
            | Self::Intent { node }
            | Self::List { node, .. } => Some(*node),
            _ => None,
        }
    }
}

/// CRC-32 as in zlib, going on from the check of what came before.
fn crc(before: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!before, |state, byte| TABLE[usize::from(state as u8 ^ byte)] ^ (state >> 8))
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u32, 0);
        while bit < 8 {
            value = (value >> 1) ^ if value & 1 == 1 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};
