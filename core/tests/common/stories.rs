//! Stores of every kind with a little of everything in them, to be damaged; and what damage may take without
//! a word.

use super::{Mix, Model, Random, region};
use kausaldb::format::{FoundHeader, Header, Kind, Layout, Record, Salt};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{Capacity, Config, FormatOptions, OnDamage, StorageEngine, StoreId, Verify, format};
use kausaldb_sim::SimNor;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Length of a segment's header, in bytes.
pub const HEADER: usize = 80;

/// A kind of store: its medium, its segments, and how it was left.
#[derive(Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub geometry: Geometry,
    pub segment: usize,
    /// How many ids there are: enough for old segments to be needed.
    pub ids: u64,
    pub content_max: u64,
    /// How many batches are written.
    pub batches: u64,
    pub closes: bool,
    /// Of so many images one is of this kind.
    pub one_in: u64,
}

pub const NOR: Shape = Shape {
    name: "flash",
    geometry: Geometry {
        capacity_bytes: 16 << 10,
        erase_bytes: 1 << 10,
        write_bytes: 4,
        erased: Erased::Ones,
        keeps_write_order: true,
    },
    segment: 1 << 10,
    ids: 12,
    content_max: 60,
    batches: 120,
    closes: true,
    one_in: 1,
};
pub const NOR_CUT: Shape = Shape { name: "flash, not closed", closes: false, one_in: 2, ..NOR };
/// Small segments of more records than one index page describes.
pub const PAGED: Shape = Shape {
    name: "flash, pages",
    geometry: Geometry { capacity_bytes: 64 << 10, erase_bytes: 4 << 10, ..NOR.geometry },
    segment: 4 << 10,
    ids: 30,
    content_max: 8,
    batches: 500,
    ..NOR
};
pub const FILE: Shape = Shape {
    name: "file",
    geometry: Geometry {
        capacity_bytes: 32 << 10,
        erase_bytes: 2 << 10,
        write_bytes: 1,
        erased: Erased::Unknown,
        keeps_write_order: false,
    },
    segment: 2 << 10,
    content_max: 200,
    one_in: 2,
    ..NOR
};
pub const FILE_CUT: Shape = Shape { name: "file, not closed", closes: false, ..FILE };
pub const LARGE: Shape = Shape {
    name: "large segments",
    geometry: Geometry {
        capacity_bytes: 8 << 18,
        erase_bytes: 1 << 12,
        write_bytes: 16,
        ..FILE.geometry
    },
    segment: 1 << 18,
    ids: 60,
    content_max: 14_000,
    batches: 240,
    one_in: 10,
    ..NOR
};
pub const LARGE_CUT: Shape = Shape { name: "large segments, not closed", closes: false, ..LARGE };
pub const SHAPES: [Shape; 6] = [NOR, NOR_CUT, FILE, FILE_CUT, LARGE, LARGE_CUT];

impl Shape {
    pub const fn capacity(&self) -> Capacity {
        let capacity = Capacity { nodes: 32, pending_edges: 16, ..Capacity::SMALL };
        let segment_bytes = self.segment as u32;
        let large = Capacity {
            nodes: 90,
            segment_bytes,
            block_bytes: 1 << 14,
            batch_bytes: 1 << 17,
            ..capacity
        };
        if self.is_large() { large } else { capacity }
    }

    /// Memory for what a log may need from which damage took what made room.
    pub const fn ample(&self) -> Capacity {
        Capacity { pending_edges: 256, hub_pages: 64, intents: 64, ..self.capacity() }
    }

    pub const fn is_large(&self) -> bool {
        self.segment >= 1 << 18
    }

    pub fn segments(&self) -> usize {
        self.geometry.capacity_bytes as usize / self.segment
    }

    /// Offset of the first record in a segment.
    pub fn first(&self) -> usize {
        let layout = Layout::new(STORE, self.geometry, self.segment as u32).expect("layout");
        layout.first_offset() as usize
    }

    /// Where the segment starts in an image whose header has the greatest number.
    pub fn newest(&self, image: &[u8]) -> usize {
        let number =
            |at: &usize| FoundHeader::parse(&image[*at..]).map_or(0, |found| found.segment.number);
        let starts = (0..self.segments()).map(|slot| slot * self.segment);
        starts.max_by_key(number).unwrap_or(0)
    }

    /// A device with these bytes.
    pub fn device(&self, image: &[u8]) -> SimNor {
        SimNor::from_image(self.geometry, image.to_vec(), 0).expect("image")
    }
}

pub const CONFIG: Config = Config {
    verify: Verify::EveryRead,
    durability: kausaldb::Durability::EveryBatch,
    on_damage: OnDamage::Say,
    seed: [0; 2],
};

pub const STORE: StoreId = StoreId::from_u128(3);

/// The image of a store with a little of everything, and how it came to be.
pub struct Story {
    pub shape: Shape,
    pub image: Vec<u8>,
    /// An earlier image, from the middle of the story.
    pub earlier: Vec<u8>,
    /// What the store held after each batch, the newest first.
    pub states: Vec<Model>,
    /// Where the newest segment starts in the image.
    pub newest: usize,
    /// The newest synced group, in the newest segment: the record that carries the last mark, and all behind.
    pub group: Range<usize>,
    /// Whether the segment before it says that it was opened: it holds more than one synced group.
    pub is_told: bool,
    pub mix: Mix,
}

pub fn story(seed: u64) -> Story {
    story_of(NOR, seed)
}

pub fn story_of(shape: Shape, seed: u64) -> Story {
    let content_max = shape.content_max;
    let mix = Mix { ids: shape.ids, content_max, hubs: seed % 2 == 1, ..Mix::default() };
    let mut random = Random::new(seed);
    let mut storage = SimNor::new(shape.geometry, seed).expect("geometry");
    let segment_bytes = shape.segment as u32;
    format(&mut storage, &FormatOptions { store: STORE, segment_bytes }).expect("format");
    let capacity = shape.capacity();
    let mut memory = region(&capacity);
    let mut engine = StorageEngine::open(storage, &mut memory, capacity, CONFIG).expect("open");
    let (mut states, mut version) = (vec![Model::default()], 0);
    let mut earlier = Vec::new();
    for batch in 0..shape.batches {
        let ops = mix.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
        let sequence = engine.sequence();
        if engine.write(&operations).is_ok_and(|after| after != sequence) {
            let mut next = states[0].clone();
            assert!(next.apply(&ops));
            states.insert(0, next);
        }
        if batch == 60 {
            earlier = engine.storage().image().to_vec();
        }
    }
    let mut image = engine.storage().image().to_vec();
    if shape.closes {
        let (storage, closed) = engine.close();
        closed.expect("close");
        image = storage.image().to_vec();
    }
    Story::new(shape, mix, image, (earlier, states))
}

/// The records of a segment: where each lies, padding left out, and its header.
pub fn records(bytes: &[u8]) -> Vec<(Range<usize>, Header)> {
    let Ok(FoundHeader { layout, segment }) = FoundHeader::parse(bytes) else { return Vec::new() };
    let (mut records, mut at) = (Vec::new(), layout.first_offset());
    while let Some(rest) = bytes.get(at as usize..) {
        let seed = Salt::of(layout.store()).at(segment.number, at);
        let Some(header) = Header::parse(rest, seed) else { break };
        let len = header.record_bytes(layout.index_form()) as u32;
        records.push((at as usize..(at + len) as usize, header));
        at += layout.padded(len);
    }
    records
}

impl Story {
    /// What there is to know of an image; with an earlier one, and what the store held at its last batches.
    pub fn new(
        shape: Shape,
        mix: Mix,
        image: Vec<u8>,
        (earlier, states): (Vec<u8>, Vec<Model>),
    ) -> Self {
        let newest = shape.newest(&image);
        let records = records(&image[newest..newest + shape.segment]);
        let end = records.last().map_or(shape.first(), |(span, _)| span.end);
        let start = records.iter().rev().find(|(_, header)| header.tag.marked());
        let group = start.map_or(end, |(span, _)| span.start)..end;
        // An opening that is cut leaves marks as well.
        let is_of_use = |header: &Header| match header.record {
            Record::Mark { closes } => closes,
            _ => header.tag.marked() && header.tag.kind() != Kind::Index,
        };
        let is_told = records.iter().skip(1).any(|(_, header)| is_of_use(header));
        Self { shape, earlier, states, newest, group, is_told, image, mix }
    }

    pub fn region(&self) -> Vec<MaybeUninit<u8>> {
        region(&self.shape.ample())
    }

    /// The states that a hurt image may show without a word. Where the newest synced group is hurt, that
    /// cannot be told from a tear: the state before it; where that is more than the last mark of a closed
    /// store, also earlier ones. But where nothing is left of the newest segment, or its header is gone, the
    /// one before says that it was opened, as soon as it holds more than one group.
    pub fn conceded(&self, image: &[u8]) -> &[Model] {
        let is_hurt = |span: Range<usize>| {
            let span = self.newest + span.start..self.newest + span.end;
            image[span.clone()] != self.image[span]
        };
        let left = &image[self.newest..self.newest + self.shape.segment];
        let is_left = !is_hurt(0..HEADER) && !records(left).is_empty();
        let hurts_group = is_hurt(self.group.clone());
        // What is hurt before it as well lies behind a mark that is not there any more.
        let hurts_more = hurts_group && is_hurt(self.shape.first()..self.group.start);
        if self.is_told && !is_left {
            &self.states[..1]
        } else if !is_left || hurts_more {
            &self.states
        } else if hurts_group && !self.shape.closes {
            &self.states[..2]
        } else {
            &self.states[..1]
        }
    }
}
