//! Lies: in headers, in records, in index pages, in the order of things.

use super::draft::{Draft, Item, Segment};
use super::script::Script;
use kausaldb::format::{
    Column, EdgeChange, IndexHeader, Kind, Layout, Predecessor, Record, Repair, SegmentHeader,
    Successor, entry_bytes,
};
use kausaldb::types::{EdgeKey, KeyRange, NodeNumber};
use kausaldb::{BlockId, Direction, EdgeKind};

/// An id that good stores hold as well.
pub fn id(script: &mut Script<'_>) -> BlockId {
    let n = script.below(24);
    BlockId::from_u128(u128::from(n) * 0x1_0000_0001_0000_0001 + 1)
}

fn node(script: &mut Script<'_>) -> NodeNumber {
    NodeNumber::new(if script.one_in(4) { script.number() } else { script.below(32) })
}

fn key(script: &mut Script<'_>) -> EdgeKey {
    EdgeKey { kind: script.below(4) as u16, number: node(script) }
}

fn direction(script: &mut Script<'_>) -> Direction {
    Direction::BOTH[script.below(2) as usize]
}

/// An offset in a segment, mostly one at which a record could start.
fn offset(layout: &Layout, script: &mut Script<'_>) -> u32 {
    match script.below(8) {
        0 => script.number(),
        1 => layout.first_offset(),
        2 => layout.segment_bytes() - script.below(3) * layout.align(),
        _ => script.below(layout.segment_bytes() / layout.align()) * layout.align(),
    }
}

/// A length: mostly one that fits.
fn len(script: &mut Script<'_>) -> u32 {
    if script.one_in(4) { script.number() } else { script.below(80) }
}

/// Any record, with a body that fits it if that is possible.
pub fn record(layout: &Layout, script: &mut Script<'_>) -> Item {
    let number = node(script);
    let record = match script.below(16) {
        0..=3 => Record::Block {
            number,
            id: id(script),
            version: script.number().into(),
            lens: [(); 3].map(|()| len(script)),
        },
        4 => Record::Node { number, id: id(script) },
        5 => Record::Tombstone { number, id: id(script) },
        6 | 7 => Record::Edge(EdgeChange {
            source: number,
            kind: EdgeKind(script.below(4) as u16),
            target: node(script),
            add: !script.one_in(3),
        }),
        8 => {
            let (direction, entries) = (direction(script), len(script));
            Record::Adjacency { number, direction, entries, range: None }
        }
        9 | 10 => {
            let high = if script.one_in(3) { None } else { Some(key(script)) };
            let range = Some(KeyRange { low: key(script), high });
            Record::Adjacency { number, direction: direction(script), entries: len(script), range }
        }
        11 => Record::Intent { number, id: id(script) },
        12 => Record::Retire { segment: script.number(), slot: script.number() },
        13 => Record::BatchEnd { records: script.number() },
        14 => Record::Index(index_header(layout, script)),
        _ if script.one_in(2) => Record::Damage {
            says: says(script),
            segment: script.number(),
            detail: offset(layout, script),
        },
        _ => Record::Mark { closes: script.one_in(3) },
    };
    let mut item = Item::new(record);
    item.in_batch = script.one_in(3);
    item.marked = script.one_in(3);
    item.body = body(layout, &item.record, script);
    item
}

fn says(script: &mut Script<'_>) -> Repair {
    [Repair::Began, Repair::Ended, Repair::Knows][script.below(3) as usize]
}

fn index_header(layout: &Layout, script: &mut Script<'_>) -> IndexHeader {
    IndexHeader {
        entries: len(script),
        ids: len(script),
        edges: script.below(8),
        first: offset(layout, script),
        previous: offset(layout, script),
    }
}

/// A body for a record: lists are made of entries, in order or not.
fn body(layout: &Layout, record: &Record, script: &mut Script<'_>) -> Vec<u8> {
    let bytes = record.body_bytes(layout.index_form()).min(8 << 10) as usize;
    match record {
        Record::Adjacency { .. } => {
            let mut keys: Vec<_> = (0..bytes / 6).map(|_| key(script)).collect();
            if !script.one_in(4) {
                keys.sort();
            }
            keys.into_iter().flat_map(entry_bytes).collect()
        }
        _ => script.bytes(bytes.min(64)),
    }
}

/// Changes one field of a record.
fn lie(layout: &Layout, record: &mut Record, script: &mut Script<'_>) {
    match record {
        Record::Block { number, id: of, version, lens } => match script.below(6) {
            0 => *number = node(script),
            1 => *of = id(script),
            2 => *version = script.number().into(),
            field => lens[field as usize - 3] = len(script),
        },
        Record::Node { number, id: of }
        | Record::Tombstone { number, id: of }
        | Record::Intent { number, id: of } => {
            if script.one_in(2) {
                *number = node(script)
            } else {
                *of = id(script)
            }
        }
        Record::Edge(change) => match script.below(4) {
            0 => change.source = node(script),
            1 => change.target = node(script),
            2 => change.kind = EdgeKind(script.below(4) as u16),
            _ => change.add = !change.add,
        },
        Record::Adjacency { number, direction: way, entries, range } => match script.below(5) {
            0 => *number = node(script),
            1 => *way = way.reverse(),
            2 => *entries = len(script),
            3 => *range = None,
            _ => {
                let high = if script.one_in(3) { None } else { Some(key(script)) };
                *range = Some(KeyRange { low: key(script), high });
            }
        },
        Record::Retire { segment, slot } => {
            *(if script.one_in(2) { segment } else { slot }) = script.number();
        }
        Record::BatchEnd { records } => *records = script.number(),
        Record::Index(header) => match script.below(5) {
            0 => header.entries = len(script),
            1 => header.ids = len(script),
            2 => header.edges = len(script),
            3 => header.first = offset(layout, script),
            _ => header.previous = offset(layout, script),
        },
        Record::Damage { says: what, segment, detail } => match script.below(3) {
            0 => *what = says(script),
            1 => *segment = script.number(),
            _ => *detail = offset(layout, script),
        },
        Record::Mark { .. } => *record = Record::BatchEnd { records: script.number() },
    }
}

/// Changes one entry of the columns of an index page.
fn lie_in_column(layout: &Layout, item: &mut Item, script: &mut Script<'_>) {
    let Record::Index(header) = item.record else { return };
    let column = match script.below(8) {
        0 => Column::Tags,
        1 => Column::Numbers,
        2 | 3 => Column::Offsets,
        4 => Column::Ids,
        5 => Column::Versions,
        6 => Column::Targets,
        _ => Column::Kinds,
    };
    let entry = script.below(header.entries.max(1));
    let new = match column {
        // Mostly another kind, standing as it may.
        Column::Tags => vec![script.byte() & 0x7F],
        Column::Numbers | Column::Targets => node(script).get().to_le_bytes().to_vec(),
        Column::Offsets => offset(layout, script).to_le_bytes().to_vec(),
        Column::Ids => id(script).bytes().to_vec(),
        Column::Versions | Column::Kinds => script.bytes(column.width() as usize),
    };
    // (A bare page has none: nothing is changed.)
    let at = (header.column(column) + u64::from(entry * column.width())) as usize;
    if let Some(rest) = item.body.get_mut(at..) {
        let len = new.len().min(rest.len());
        rest[..len].copy_from_slice(&new[..len]);
    }
}

fn lie_in_header(layout: &Layout, header: &mut SegmentHeader, script: &mut Script<'_>) {
    let slots = layout.segments();
    match script.below(10) {
        0 => header.slot = script.below(slots + 1),
        1 => header.number = script.number(),
        2 => header.retired = script.number(),
        3 => header.predecessor = None,
        4 => header.erase_count = script.number(),
        5 => header.next_node = script.number(),
        6 => header.recovery = !header.recovery,
        7 => header.continues_batch = !header.continues_batch,
        _ => {
            let mut before = header.predecessor.unwrap_or(predecessor(layout, script));
            match script.below(4) {
                0 => {
                    before.slot =
                        if script.one_in(4) { script.number() } else { script.below(slots) }
                }
                1 => before.number = script.number(),
                2 => before.end = offset(layout, script),
                _ => before.index = offset(layout, script),
            }
            header.predecessor = Some(before);
        }
    }
}

/// Of a slot that is there or not, itself included, and of any distance, none included.
fn successor(layout: &Layout, script: &mut Script<'_>) -> Option<Successor> {
    let slot = if script.one_in(8) { 0xFF_FFFF } else { script.below(layout.segments() + 1) };
    let distance = if script.one_in(2) { script.below(4) } else { script.below(256) };
    (!script.one_in(4)).then_some(Successor { slot, distance: distance as u8 })
}

fn predecessor(layout: &Layout, script: &mut Script<'_>) -> Predecessor {
    Predecessor {
        slot: script.below(layout.segments()),
        number: script.number(),
        end: offset(layout, script),
        index: offset(layout, script),
        sealed: script.below(2) == 1,
    }
}

/// A store from nothing: headers and records of any kind.
pub fn forged(layout: Layout, script: &mut Script<'_>) -> Draft {
    let slots = layout.segments();
    let mut draft = Draft { layout, slots: vec![None; slots as usize] };
    for (slot, segment) in draft.slots.iter_mut().enumerate() {
        if script.is_over() {
            break;
        }
        let header = SegmentHeader {
            slot: slot as u32,
            number: if script.one_in(8) { script.number() } else { slot as u32 + 1 },
            retired: if script.one_in(4) { script.number() } else { 0 },
            predecessor: match (script.below(8), slot as u32) {
                (0, _) | (_, 0) => None,
                (1, _) => Some(predecessor(&layout, script)),
                (_, slot) => Some(Predecessor {
                    slot: slot - 1,
                    number: slot,
                    end: 0,
                    index: 0,
                    sealed: false,
                }),
            },
            erase_count: script.below(3),
            next_node: if script.one_in(8) { script.number() } else { 8 },
            recovery: script.one_in(3),
            continues_batch: script.one_in(6),
        };
        let mark = || Item { marked: true, ..Item::new(Record::Mark { closes: false }) };
        let mut items = vec![mark(), mark(), mark()];
        for _ in 0..script.below(24) {
            items.push(record(&layout, script));
        }
        let successor = if script.one_in(4) { successor(&layout, script) } else { None };
        *segment = Some(Segment { header, successor, items });
    }
    if !script.one_in(4) {
        draft.be_honest();
    }
    draft
}

/// Changes a store a few times, and computes its checks anew.
pub fn mutate(draft: &mut Draft, script: &mut Script<'_>) {
    // Pages and ends are what they should be, and then lied about, or the other way round.
    let honest_first = script.one_in(2);
    for _ in 0..1 + script.below(6) {
        if !honest_first {
            change(draft, script);
        }
    }
    if !script.one_in(8) {
        draft.be_honest();
    }
    if honest_first {
        (0..1 + script.below(6)).for_each(|_| change(draft, script));
    }
}

fn change(draft: &mut Draft, script: &mut Script<'_>) {
    let layout = draft.layout;
    let slots = layout.segments();
    let (here, there) = (script.below(slots) as usize, script.below(slots) as usize);
    let what = script.below(14);
    if what <= 2 {
        return change_ring(draft, what, here, there, script);
    }
    let Some(segment) = &mut draft.slots[here] else { return };
    if what <= 4 {
        if script.one_in(4) {
            segment.successor = successor(&layout, script);
            return;
        }
        return lie_in_header(&layout, &mut segment.header, script);
    }
    change_items(&layout, &mut segment.items, what, script);
}

/// Changes which segment lies where, and their numbers.
fn change_ring(draft: &mut Draft, what: u32, here: usize, there: usize, script: &mut Script<'_>) {
    let layout = draft.layout;
    if what == 0 {
        draft.slots.swap(here, there);
        return;
    }
    if what == 1 {
        let copy = draft.slots[here].clone();
        draft.slots[there] = copy.map(|mut segment| {
            segment.header.slot = there as u32;
            lie_in_header(&layout, &mut segment.header, script);
            segment
        });
        return;
    }
    // Close to the last number that there is.
    let greatest = draft.slots.iter().flatten().map(|segment| segment.header.number).max();
    let shift = u32::MAX.wrapping_sub(greatest.unwrap_or(0)).wrapping_sub(script.below(4));
    for segment in draft.slots.iter_mut().flatten() {
        let SegmentHeader { number, retired, predecessor, .. } = &mut segment.header;
        *number = number.wrapping_add(shift);
        *retired = if *retired > 0 { retired.wrapping_add(shift) } else { 0 };
        let before = predecessor.iter_mut();
        before.for_each(|before| before.number = before.number.wrapping_add(shift));
    }
}

/// Changes the records of a segment.
fn change_items(layout: &Layout, items: &mut Vec<Item>, what: u32, script: &mut Script<'_>) {
    let at = script.below(items.len() as u32) as usize;
    if what == 5 || items.is_empty() {
        return items.insert(at, record(layout, script));
    }
    match what {
        6 => items.truncate(at),
        7 => {
            items.remove(at);
        }
        8 => {
            let copy = items[at].clone();
            let to = script.below(items.len() as u32) as usize;
            items.insert(to, copy);
        }
        9 => match script.below(3) {
            0 => items[at].in_batch ^= true,
            1 => items[at].marked ^= true,
            _ => items[at].hurt ^= true,
        },
        10 | 11 => {
            let pages = items.iter_mut();
            let pages: Vec<_> = pages.filter(|item| item.record.kind() == Kind::Index).collect();
            let many = pages.len().max(1);
            if let Some(page) = pages.into_iter().nth(at % many) {
                (0..1 + script.below(3)).for_each(|_| lie_in_column(layout, page, script));
            }
        }
        _ => {
            let item = &mut items[at];
            lie(layout, &mut item.record, script);
            if script.one_in(2) {
                item.body = body(layout, &item.record, script);
            }
        }
    }
}

/// Overwrites a few bytes, and computes nothing anew.
pub fn scratch(image: &mut [u8], script: &mut Script<'_>) {
    for _ in 0..script.below(4) {
        let at = script.below(image.len() as u32) as usize;
        let len = script.below(64) as usize;
        let end = (at + len).min(image.len());
        match script.below(4) {
            0 => image[at] ^= 1 << script.below(8),
            1 => image[at..end].fill(script.byte()),
            2 => {
                let new = script.bytes(end - at);
                image[at..end].copy_from_slice(&new);
            }
            _ => {
                let from = script.below(image.len() as u32) as usize;
                let end = (from + len).min(image.len()).min(image.len() - at + from).max(from);
                image.copy_within(from..end, at.min(image.len() - (end - from)));
            }
        }
    }
}
