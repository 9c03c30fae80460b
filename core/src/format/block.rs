//! What a find needs of a block's record: the lengths of its parts, and nothing that it does not return.
//!
//! It is the short way past [`Header`] for bytes whose checks held before: the id that was asked for stands
//! in the record, so it tells this record from all others, and any change of the id is noticed by it, as is
//! one of kind or of a field's length in bytes, which moves the place where the id is looked for (but of an
//! id that repeats itself every two bytes). A change of version or lengths is not; whatever the bytes are,
//! what is borrowed lies inside of what was given.

use super::record::{CHECK_BYTES, Header, Kind, Record, Tag, block_fields};
use super::varint;
use crate::types::{BlockId, BlockRef};

/// Version and lengths of a block, and where its body starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockHead {
    /// The caller's version.
    pub version: u64,
    /// Lengths of source URI, metadata and content, in bytes.
    pub lens: [u32; 3],
    /// Length of the record's header, check included, in bytes.
    pub header_bytes: u32,
}

impl BlockHead {
    /// The head of a block's header; `None` for another kind of record.
    pub fn of(header: &Header) -> Option<Self> {
        let Record::Block { version, lens, .. } = header.record else { return None };
        Some(Self { version, lens, header_bytes: header.bytes })
    }

    /// Reads the header at the start of `bytes` without checking it: they are known to be a record's whose
    /// check held. `None` if it is no block's with this id.
    #[inline]
    pub fn parse_unchecked(bytes: &[u8], id: &BlockId) -> Option<Self> {
        let mut reader = varint::Reader::new(bytes);
        let tag = Tag::new(reader.byte()?).filter(|tag| tag.kind() == Kind::Block)?;
        let (_, version, lens) = block_fields(tag, &mut reader)?;
        if reader.array()? != *id.bytes() {
            return None;
        }
        // A header has fewer bytes than HEADER_BYTES_MAX.
        let header_bytes = (bytes.len() - reader.remaining()) as u32 + CHECK_BYTES;
        Some(Self { version, lens, header_bytes })
    }

    /// Length of the body, in bytes, without its checks. (64 bits: the lengths may be hostile.)
    #[inline]
    pub fn body_bytes(&self) -> u64 {
        self.lens.iter().map(|len| u64::from(*len)).sum()
    }

    /// Length of header and body, in bytes.
    #[inline]
    pub fn record_bytes(&self) -> u64 {
        u64::from(self.header_bytes) + self.body_bytes()
    }

    /// The block with this id and body. `None` if the body is too short.
    #[inline]
    pub fn block<'b>(&self, id: &BlockId, body: &'b [u8]) -> Option<BlockRef<'b>> {
        let [uri, metadata, content] = self.lens.map(|len| len as usize);
        let (uri, rest) = body.split_at_checked(uri)?;
        let (metadata, rest) = rest.split_at_checked(metadata)?;
        Some(BlockRef::new(*id, self.version, uri, metadata, rest.get(..content)?))
    }
}
