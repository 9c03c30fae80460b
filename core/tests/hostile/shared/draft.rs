//! A store taken apart into what it says, and put together again with every check right: segments, their
//! headers, their records with bodies. What is changed in between is a lie that no checksum tells.

use kausaldb::format::{
    CHUNK_BYTES, Crc, FoundHeader, Header, IndexForm, IndexHeader, Kind, Layout, Record, Salt,
    SegmentHeader, Successor,
};

/// A record and its body.
#[derive(Clone, Debug)]
pub struct Item {
    pub record: Record,
    pub in_batch: bool,
    pub marked: bool,
    /// As long as the record says, or it is made so.
    pub body: Vec<u8>,
    /// Whether the body's checks are wrong.
    pub hurt: bool,
}

/// A segment: what its header says, and what lies behind it.
#[derive(Clone, Debug)]
pub struct Segment {
    pub header: SegmentHeader,
    pub successor: Option<Successor>,
    pub items: Vec<Item>,
}

/// All slots of a medium.
#[derive(Clone, Debug)]
pub struct Draft {
    pub layout: Layout,
    pub slots: Vec<Option<Segment>>,
}

impl Item {
    pub fn new(record: Record) -> Self {
        Self { record, in_batch: false, marked: false, body: Vec::new(), hurt: false }
    }
}

impl Draft {
    /// Takes an image apart; what lies behind the first record that is none is left out.
    pub fn of(layout: Layout, image: &[u8]) -> Self {
        let slots = image.chunks(layout.segment_bytes() as usize);
        let slots = slots.map(|bytes| {
            let header = FoundHeader::parse(bytes).ok()?.segment;
            let (at, seed) = successor_at(&layout, header.number);
            let successor = bytes[at..].first_chunk().and_then(|said| Successor::parse(said, seed));
            Some(Segment { header, successor, items: items(&layout, bytes, header.number) })
        });
        Self { layout, slots: slots.collect() }
    }

    /// The bytes that say so.
    pub fn image(&self) -> Vec<u8> {
        let filler = self.layout.geometry().erased.filler();
        let segment_bytes = self.layout.segment_bytes() as usize;
        let mut image = vec![filler; segment_bytes * self.slots.len()];
        for (bytes, segment) in image.chunks_mut(segment_bytes).zip(&self.slots) {
            segment.iter().for_each(|segment| segment.write(&self.layout, bytes));
        }
        image
    }

    /// Makes every index page say what lies before it, and every header where its predecessor ends.
    pub fn be_honest(&mut self) {
        let layout = self.layout;
        let mut ends = Vec::new();
        for segment in self.slots.iter_mut().flatten() {
            let (end, index) = segment.describe(&layout);
            ends.push((segment.header.number, end, index));
        }
        for segment in self.slots.iter_mut().flatten() {
            let Some(before) = &mut segment.header.predecessor else { continue };
            if let Some((_, end, index)) = ends.iter().find(|end| end.0 == before.number) {
                (before.end, before.index) = (*end, *index);
            }
        }
    }
}

/// Where a segment says which one was opened after it, and the seed of the check over that.
fn successor_at(layout: &Layout, number: u32) -> (usize, Crc) {
    let at = layout.successor_offset();
    (at as usize, Salt::of(layout.store()).at(number, at))
}

/// The records of a segment, up to the first bytes that are none.
fn items(layout: &Layout, bytes: &[u8], number: u32) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = layout.first_offset() as usize;
    while at < bytes.len() {
        let seed = Salt::of(layout.store()).at(number, at as u32);
        let Some(header) = Header::parse(&bytes[at..], seed) else { break };
        let body = at + header.bytes as usize;
        let len = header.record.body_bytes(layout.index_form()) as usize;
        let Some(body) = bytes.get(body..body + len) else { break };
        items.push(Item {
            record: header.record,
            in_batch: header.tag.in_batch(),
            marked: header.tag.marked(),
            body: body.to_vec(),
            hurt: false,
        });
        at += (header.record_bytes(layout.index_form()) as usize)
            .next_multiple_of(layout.align() as usize);
    }
    items
}

impl Segment {
    fn write(&self, layout: &Layout, bytes: &mut [u8]) {
        put(bytes, 0, &self.header.encode(layout));
        let (at, seed) = successor_at(layout, self.header.number);
        self.successor.iter().for_each(|successor| put(bytes, at, &successor.encode(seed)));
        let mut at = layout.first_offset() as usize;
        for item in &self.items {
            let Some(end) = item.write(layout, self.header.number, bytes, at) else { break };
            at = end;
        }
    }

    /// Makes the index pages honest; returns where the records end, and where the last page lies.
    fn describe(&mut self, layout: &Layout) -> (u32, u32) {
        let mut at = u64::from(layout.first_offset());
        let (mut first, mut previous, mut described) = (at as u32, 0, Vec::<(u32, Item)>::new());
        for item in &mut self.items {
            if item.record.kind() == Kind::Index {
                let count = |is: fn(Kind) -> bool| {
                    described.iter().filter(|(_, item)| is(item.record.kind())).count() as u32
                };
                let (entries, ids) = (described.len() as u32, count(Kind::has_id));
                let edges = count(Kind::is_edge);
                item.record = Record::Index(IndexHeader { entries, ids, edges, first, previous });
                item.body = columns(layout.index_form(), &described);
                described.clear();
                previous = at as u32;
            } else {
                described.push((at as u32, item.clone()));
            }
            let bytes = item.record.bytes(layout.index_form());
            let end = at + bytes.next_multiple_of(u64::from(layout.align()));
            if end > u64::from(layout.segment_bytes()) {
                break;
            }
            at = end;
            if item.record.kind() == Kind::Index {
                first = at as u32;
            }
        }
        (at as u32, previous)
    }
}

/// The body of an index page over these records.
fn columns(form: IndexForm, described: &[(u32, Item)]) -> Vec<u8> {
    let mut body = Vec::new();
    if form == IndexForm::Bare {
        return body;
    }
    body.extend(described.iter().map(|(_, item)| item.tag()));
    for (_, item) in described {
        body.extend(item.record.page_number().to_le_bytes());
    }
    described.iter().for_each(|(offset, _)| body.extend(offset.to_le_bytes()));
    let ids = || described.iter().filter_map(|(_, item)| item.record.id().map(|id| (item, id)));
    ids().for_each(|(_, id)| body.extend(id.bytes()));
    for (item, _) in ids() {
        let version = match item.record {
            Record::Block { version, .. } => version,
            _ => 0,
        };
        body.extend(version.to_le_bytes());
    }
    let edges = || {
        described.iter().filter_map(|(_, item)| match item.record {
            Record::Edge(change) => Some(change),
            _ => None,
        })
    };
    edges().for_each(|edge| body.extend(edge.target.get().to_le_bytes()));
    edges().for_each(|edge| body.extend(edge.kind.0.to_le_bytes()));
    body
}

impl Item {
    fn tag(&self) -> u8 {
        self.record.tag(self.in_batch, self.marked).byte()
    }

    /// Writes the record as far as it fits; returns where the next one starts, if it fits whole.
    fn write(&self, layout: &Layout, number: u32, bytes: &mut [u8], at: usize) -> Option<usize> {
        let seed = |at: usize| Salt::of(layout.store()).at(number, at as u32);
        let header = self.record.encode(self.in_batch, self.marked, seed(at));
        put(bytes, at, header.as_slice());
        let body_at = at + header.as_slice().len();
        let len = usize::try_from(self.record.body_bytes(layout.index_form())).ok()?;
        let end = usize::try_from(self.record.bytes(layout.index_form())).ok()?.checked_add(at)?;
        if end > bytes.len() {
            put(bytes, body_at, &self.body);
            return None;
        }
        let mut body = self.body.clone();
        body.resize(len, 0);
        put(bytes, body_at, &body);
        for (place, chunk) in body.chunks(CHUNK_BYTES as usize).enumerate() {
            let check = seed(body_at + place * CHUNK_BYTES as usize).and(chunk).get();
            let check = if self.hurt { !check } else { check };
            put(bytes, body_at + len + place * 4, &check.to_le_bytes());
        }
        Some(end.next_multiple_of(layout.align() as usize))
    }
}

/// Overwrites what lies there, as far as it fits.
fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    let Some(rest) = bytes.get_mut(at..) else { return };
    let len = new.len().min(rest.len());
    rest[..len].copy_from_slice(&new[..len]);
}
