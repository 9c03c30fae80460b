//! Blocks: what a caller gives to be stored, and what the store gives back without a copy.

use super::BlockId;

/// A block to be stored; it borrows everything that is long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContextBlock<'a> {
    /// The block's name.
    pub id: BlockId,
    /// The caller's version; the store keeps the newest put, whatever its version.
    pub version: u64,
    /// Where the content came from.
    pub source_uri: &'a str,
    /// Structured data about the content; the store does not look inside (the host tools write JSON).
    pub metadata: &'a [u8],
    /// The content.
    pub content: &'a [u8],
}

/// A stored block, borrowed from where it lies: mapped media, or the caller's scratch.
///
/// It holds the borrow of the engine (or of the scratch) that it came from, so no write can happen
/// while it lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockRef<'e> {
    id: BlockId,
    version: u64,
    source_uri: &'e [u8],
    metadata: &'e [u8],
    content: &'e [u8],
}

impl<'e> BlockRef<'e> {
    pub(crate) fn new(
        id: BlockId,
        version: u64,
        source_uri: &'e [u8],
        metadata: &'e [u8],
        content: &'e [u8],
    ) -> Self {
        Self { id, version, source_uri, metadata, content }
    }

    /// The block's name.
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// The version with which it was put.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where the content came from.
    ///
    /// A put takes text only. Should media hold other bytes under a valid checksum, the text ends
    /// before the first of them; [`source_uri_bytes`](Self::source_uri_bytes) has them all. Costs
    /// one pass over the bytes.
    pub fn source_uri(&self) -> &'e str {
        self.source_uri.utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    /// The bytes of the source URI.
    pub fn source_uri_bytes(&self) -> &'e [u8] {
        self.source_uri
    }

    /// The metadata.
    pub fn metadata(&self) -> &'e [u8] {
        self.metadata
    }

    /// The content.
    pub fn content(&self) -> &'e [u8] {
        self.content
    }

    /// The same block, in the form in which it can be put (into another store, for example).
    pub fn as_block(&self) -> ContextBlock<'e> {
        ContextBlock {
            id: self.id,
            version: self.version,
            source_uri: self.source_uri(),
            metadata: self.metadata,
            content: self.content,
        }
    }
}

impl<'a> From<&ContextBlock<'a>> for BlockRef<'a> {
    fn from(block: &ContextBlock<'a>) -> Self {
        Self::new(
            block.id,
            block.version,
            block.source_uri.as_bytes(),
            block.metadata,
            block.content,
        )
    }
}
