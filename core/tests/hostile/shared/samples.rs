//! Good stores to begin lies with: a little of everything, on a few kinds of media, closed and not.

use super::medium::Medium;
use crate::common::{Mix, Random, region};
use kausaldb::format::{FoundHeader, Layout};
use kausaldb::storage::{Erased, Geometry, MappedStorage};
use kausaldb::{Capacity, Config, FormatOptions, StorageEngine, StoreId, format};
use std::sync::OnceLock;

pub const STORE: StoreId = StoreId::from_u128(0x0BAD);

/// A medium, and the size of its segments.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub geometry: Geometry,
    pub segment_bytes: u32,
}

const NOR: Geometry = Geometry {
    capacity_bytes: 16 << 10,
    erase_bytes: 1 << 10,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};

/// Flash with small segments, a file with middling ones, and one with segments whose pages hold full columns.
pub const SHAPES: [Shape; 3] = [
    Shape { geometry: NOR, segment_bytes: 1 << 10 },
    Shape {
        geometry: Geometry {
            capacity_bytes: 32 << 10,
            erase_bytes: 1 << 12,
            write_bytes: 1,
            erased: Erased::Unknown,
            keeps_write_order: false,
        },
        segment_bytes: 1 << 12,
    },
    LARGE,
];

pub const LARGE: Shape = Shape {
    geometry: Geometry {
        capacity_bytes: 2 << 20,
        erase_bytes: 1 << 12,
        write_bytes: 16,
        erased: Erased::Unknown,
        keeps_write_order: false,
    },
    segment_bytes: 1 << 18,
};

impl Shape {
    pub fn layout(&self) -> Layout {
        Layout::new(STORE, self.geometry, self.segment_bytes).expect("a layout that can be")
    }

    /// What the store was written with, and what it is opened with.
    pub fn capacity(&self) -> Capacity {
        Capacity {
            nodes: 48,
            pending_edges: 32,
            hub_pages: 16,
            segments: 16,
            segment_bytes: self.segment_bytes,
            block_bytes: 1 << 13,
            buffer_bytes: 64,
            ..Capacity::SMALL
        }
    }

    pub fn is_large(&self) -> bool {
        self.segment_bytes >= 1 << 18
    }

    /// What random batches on it are like.
    pub fn mix(&self) -> Mix {
        let content_max = if self.is_large() { 4000 } else { 60 };
        Mix { ids: 24, operations: 6, content_max, puts: 40, links: 38, hubs: true }
    }
}

/// A good store.
pub struct Sample {
    pub shape: Shape,
    pub image: Vec<u8>,
}

/// The good stores; made once.
pub fn samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let kinds = SHAPES.into_iter().flat_map(|shape| (0..4).map(move |seed| (shape, seed)));
        kinds.map(|(shape, seed)| sample(shape, seed)).collect()
    })
}

fn sample(shape: Shape, seed: u64) -> Sample {
    let mut random = Random::new(seed);
    let mut medium = Medium::new(shape.geometry, Vec::new());
    format(&mut medium, &FormatOptions { store: STORE, segment_bytes: shape.segment_bytes })
        .expect("format");
    let capacity = shape.capacity();
    let mut memory = region(&capacity);
    let mut version = 0;
    // The first is young, the others have turned; the odd ones are closed.
    let batches = if seed == 0 { 12 } else { 150 };
    for _ in 0..2 {
        medium = medium.reopened();
        let opened = StorageEngine::open(medium, &mut memory, capacity, Config::default());
        let mut engine = opened.expect("open");
        for _ in 0..batches {
            let ops = shape.mix().batch(&mut random, &mut version);
            let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
            // What is refused is refused.
            let _ = engine.write(&operations);
        }
        if seed.is_multiple_of(2) {
            medium = engine.storage().clone();
            continue;
        }
        let (storage, closed) = engine.close();
        closed.expect("close");
        medium = storage;
    }
    let image = medium.bytes().to_vec();
    assert!(image.chunks(shape.segment_bytes as usize).any(|at| FoundHeader::parse(at).is_ok()));
    Sample { shape, image }
}
