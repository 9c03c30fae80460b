//! A put whose content comes in pieces, so that it never lies in RAM as a whole.
//!
//! The source puts each piece into the write buffer itself, where it is summed up and goes to media from. The
//! record is part of a batch, and only the end of that makes it count: a content that breaks off is filled up
//! with zeros and ended by what voids it, as a recovery does with half a batch, twice: damage to one of these
//! ends does not make it count. What it took is dead space.

use super::batch::Batch;
use super::error::{PutError, WriteError};
use super::operation::{Expect, Operation};
use super::{Mode, StorageEngine};
use crate::log::{LogError, RecordWriter, Source};
use crate::storage::Storage;
use crate::types::{BlockId, ContextBlock, Sequence};
use core::mem;

/// A block whose content is still to come. Its length is known: it is part of the record's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IncomingBlock<'a> {
    /// The block's name.
    pub id: BlockId,
    /// The caller's number for this content.
    pub version: u64,
    /// Where it comes from.
    pub source_uri: &'a str,
    /// Whatever the caller wants to know about it.
    pub metadata: &'a [u8],
    /// Length of its content, in bytes.
    pub content_bytes: u32,
}

impl<S: Storage> StorageEngine<'_, S> {
    /// Stores a block whose content a source supplies in pieces, if what is stored is as expected: as
    /// [`put_if`](Self::put_if), but the content lies in RAM in no other place than the write buffer.
    ///
    /// The source is called with room in the write buffer, never more than is missing of the content, until
    /// all of it is there. It puts the next bytes to the front of the room and returns how many. What it
    /// leaves of the room is offered again; it need not fill it.
    ///
    /// ```
    /// # use kausaldb::storage::RamStorage;
    /// # use kausaldb::{BlockId, Capacity, Config, FormatOptions, StorageEngine, StoreId, format};
    /// use kausaldb::{Expect, IncomingBlock};
    ///
    /// # let mut media = [0; 64 * 4096];
    /// # let mut storage = RamStorage::new(&mut media, 4096, 4)?;
    /// # format(&mut storage, &FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4096 })?;
    /// # const CAPACITY: Capacity = Capacity::SMALL;
    /// # let mut region = [const { core::mem::MaybeUninit::uninit() }; CAPACITY.region_bytes()];
    /// # let mut engine = StorageEngine::open(storage, &mut region, CAPACITY, Config::default())?;
    /// # struct Uart(u8);
    /// # impl Uart {
    /// #     fn read(&mut self, into: &mut [u8]) -> Result<usize, core::fmt::Error> {
    /// #         into.fill(self.0);
    /// #         Ok(into.len())
    /// #     }
    /// # }
    /// # let (id, mut uart) = (BlockId::from_u128(7), Uart(7));
    /// let (source_uri, metadata, content_bytes) = ("uart://0", &b""[..], 3000);
    /// let block = IncomingBlock { id, version: 1, source_uri, metadata, content_bytes };
    /// engine.put_from(&block, Expect::Any, |room| uart.read(room))?;
    /// assert_eq!(engine.find(&id)?.map(|block| block.content().len()), Some(3000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Costs what a batch of a put costs, its end included.
    ///
    /// # Errors
    /// [`PutError::Write`] as [`write`](Self::write): every limit is checked before the source is asked for
    /// anything. [`PutError::Source`] and [`PutError::Short`]: the content broke off; what was stored before
    /// still is, and the engine goes on. If the source does not return at all, because it panics, nothing is
    /// written until [`recover`](Self::recover).
    pub fn put_from<F>(
        &mut self,
        block: &IncomingBlock<'_>,
        expect: Expect,
        mut source: impl FnMut(&mut [u8]) -> Result<usize, F>,
    ) -> Result<Sequence, PutError<S::Error, F>> {
        let IncomingBlock { id, version, source_uri, metadata, content_bytes } = *block;
        let block = ContextBlock { id, version, source_uri, metadata, content: &[] };
        let put = [Operation::Put { block, expect }];
        let (mut given, mut refused) = (0, None);
        let mut next = |room: &mut [u8]| match source(room) {
            Ok(0) => None,
            Ok(bytes) => {
                given += bytes.min(room.len()) as u32;
                Some(bytes)
            }
            Err(error) => {
                refused = Some(error);
                None
            }
        };
        let written = self.write_all(Batch::incoming(&put, content_bytes), &mut next)?;
        match (written, refused) {
            (Some(sequence), _) => Ok(sequence),
            (None, Some(error)) => Err(PutError::Source(error)),
            (None, None) => Err(PutError::Short { given, needed: content_bytes }),
        }
    }

    /// Writes a content into its record, and zeros in place of what does not come. Returns whether it came.
    ///
    /// While the source runs the engine counts as failed, which is what it is if the source never returns.
    pub(super) fn write_content(
        mode: &mut Mode,
        writer: &mut RecordWriter<'_, '_, S>,
        bytes: u32,
        source: &mut Source<'_>,
    ) -> Result<bool, LogError<S::Error>> {
        let before = mem::replace(mode, Mode::Failed);
        let mut missing = bytes;
        // Ends: every turn takes a byte or more.
        while missing > 0 {
            match writer.fill(missing, source)? {
                Some(0) | None => break,
                Some(bytes) => missing -= bytes,
            }
        }
        *mode = before;
        let is_whole = missing == 0;
        while missing > 0 {
            let zeros = [0; 64];
            let take = missing.min(zeros.len() as u32);
            writer.body(zeros.get(..take as usize).unwrap_or_default())?;
            missing -= take;
        }
        Ok(is_whole)
    }
}

impl<E, F> From<WriteError<E>> for PutError<E, F> {
    fn from(error: WriteError<E>) -> Self {
        Self::Write(error)
    }
}
