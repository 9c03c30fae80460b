//! The blocks: each follows from its number, so that whoever reads one can check it.

use alloc::format;
use alloc::string::String;
use kausaldb::{BlockId, BlockRef, ContextBlock, EdgeKind, GraphEdge};

/// From a block to one with a smaller number.
pub(crate) const REFERS_TO: EdgeKind = EdgeKind(1);
/// Length of the longest content, in bytes; the shortest has half of it.
const CONTENT_BYTES_MAX: usize = 128;
/// Source URI, metadata and content of the longest block, in bytes.
pub(crate) const BLOCK_BYTES_MAX: usize = "part/0123456789".len() + 8 + CONTENT_BYTES_MAX;

/// A block as it is written.
pub(crate) struct Block {
    pub(crate) id: BlockId,
    /// Its text is made on the application's heap.
    source_uri: String,
    metadata: [u8; 8],
    content: [u8; CONTENT_BYTES_MAX],
    content_bytes: usize,
}

impl Block {
    pub(crate) fn new(number: u32) -> Self {
        let mut content = [0; CONTENT_BYTES_MAX];
        let words = (0..).map(|word| mixed(u64::from(number) << 32 | word));
        for (bytes, word) in content.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let more = mixed(number.into()) as usize % (CONTENT_BYTES_MAX / 2 + 1);
        Self {
            id: id(number),
            source_uri: format!("part/{number}"),
            metadata: u64::from(number).to_le_bytes(),
            content,
            content_bytes: CONTENT_BYTES_MAX / 2 + more,
        }
    }

    pub(crate) fn as_block(&self) -> ContextBlock<'_> {
        ContextBlock {
            id: self.id,
            version: 1,
            source_uri: &self.source_uri,
            metadata: &self.metadata,
            content: self.content.get(..self.content_bytes).unwrap_or_default(),
        }
    }

    /// Whether a block that was read is this one, to the last byte.
    pub(crate) fn is(&self, read: &BlockRef<'_>) -> bool {
        read.as_block() == self.as_block()
    }
}

/// A block's id: neighbours in number are none in the index.
pub(crate) fn id(number: u32) -> BlockId {
    let halves = [0, 1].map(|half| u128::from(mixed(u64::from(number) << 1 | half)));
    BlockId::from_u128(halves.iter().fold(0, |id, half| id << 64 | half))
}

/// What the block refers to: the one before it, and the one with half of its number.
pub(crate) fn edges(number: u32) -> impl Iterator<Item = GraphEdge> {
    let (before, half) = (number.checked_sub(1), number / 2);
    let half = before.filter(|before| *before != half).map(|_| half);
    let edge = move |target| GraphEdge { source: id(number), kind: REFERS_TO, target: id(target) };
    before.into_iter().chain(half).map(edge)
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
const fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}
