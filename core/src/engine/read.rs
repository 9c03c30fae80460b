//! Point reads: find, contains, version; and the reader from which scans and edges start.

use super::error::ReadError;
use super::media::{Mapped, Media, Reading, Span, Through};
use super::neighbours::Neighbours;
use super::scan::{Nodes, Order, Scan};
use super::{Mode, StorageEngine, Verify};
use crate::format::{Header, Place, Record};
use crate::log::{BodyState, Log, ReadLog, Step, Walk};
use crate::state::{State, Store};
use crate::storage::{MappedStorage, Storage};
use crate::types::{BlockId, BlockRef, Direction, EdgeKey, EdgeKind, GraphEdge};
use core::sync::atomic::{AtomicU8, Ordering};

/// Nothing was verified; all of it was, and is sound; there is damage, so that every read looks for itself.
const UNVERIFIED: u8 = 0;
const SOUND: u8 = 1;
const DAMAGED: u8 = 2;

/// A reader of a store as it is now. It borrows the engine, so that nothing is written while it lives.
///
/// Over mapped storage ([`StorageEngine::reader`]) what it returns lives as long as the engine's
/// borrow. Over other storage ([`StorageEngine::reader_through`]) what it returns lies in the
/// scratch until the next read.
pub struct Reader<'e, 'r, M> {
    pub(super) log: &'e Log<'r>,
    pub(super) state: &'e State<'r>,
    verified: &'e [AtomicU8],
    verify: Verify,
    /// Whether nothing is known of the store.
    lost: bool,
    pub(super) media: M,
}

impl<'r, S: Storage> StorageEngine<'r, S> {
    /// A reader through `scratch`, into which it reads one block at a time: it must hold the
    /// longest that is read.
    pub fn reader_through<'e>(
        &'e mut self,
        scratch: &'e mut [u8],
    ) -> Reader<'e, 'r, Through<'e, S>> {
        Reader {
            log: &self.store.log,
            state: &self.store.state,
            verified: self.verified,
            verify: self.config.verify,
            lost: self.mode == Mode::Lost,
            media: Through::new(&mut self.store.storage, scratch),
        }
    }

    /// The block with this id, read into `scratch`. One read for its header and one for the rest;
    /// none for an id that is not there.
    ///
    /// # Errors
    /// The storage refused, the record is damaged, or the scratch is too small for the block.
    pub fn find_into<'s>(
        &mut self,
        id: &BlockId,
        scratch: &'s mut [u8],
    ) -> Result<Option<BlockRef<'s>>, ReadError<S::Error>> {
        let Store { storage, log, state } = &mut self.store;
        let media = Through::new(storage, &mut *scratch);
        let lost = self.mode == Mode::Lost;
        let (verified, verify) = (&*self.verified, self.config.verify);
        let mut reader = Reader { log, state, verified, verify, lost, media };
        let found = reader.locate(id)?.filter(|(header, _)| is_block(header));
        let Some((header, place)) = found else { return Ok(None) };
        let (at, len) = reader.reading().body(place, &header);
        let flip = match reader.verify(place, &header) {
            Ok(()) => None,
            // In scratch a bit can be mended; in mapped bytes it cannot.
            Err(error @ ReadError::Corrupt { .. }) => {
                let state = reader.reading().body_state(place, &header)?;
                let BodyState::OneBit(flip) = state else { return Err(error) };
                Some(flip)
            }
            Err(error) => return Err(error),
        };
        reader.media.span(at, len)?;
        let bytes = scratch.get_mut(..len).unwrap_or_default();
        flip.iter().for_each(|flip| flip.mend(bytes, 0));
        Ok((&*bytes).block(&header))
    }

    /// Whether there is a block with this id.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged.
    pub fn contains(&mut self, id: &BlockId) -> Result<bool, ReadError<S::Error>> {
        self.reader_through(&mut []).contains(id)
    }

    /// The version of the block with this id.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged.
    pub fn version(&mut self, id: &BlockId) -> Result<Option<u64>, ReadError<S::Error>> {
        self.reader_through(&mut []).version(id)
    }
}

impl<'r, S: MappedStorage> StorageEngine<'r, S> {
    /// A reader that borrows what it returns from the media itself.
    pub fn reader(&self) -> Reader<'_, 'r, Mapped<'_, S::Error>> {
        Reader {
            log: &self.store.log,
            state: &self.store.state,
            verified: self.verified,
            verify: self.config.verify,
            lost: self.mode == Mode::Lost,
            media: Mapped::new(self.store.storage.bytes()),
        }
    }

    /// The block with this id, borrowed from where it lies.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn find(&self, id: &BlockId) -> Result<Option<BlockRef<'_>>, ReadError<S::Error>> {
        self.reader().into_find(id)
    }
}

fn is_block(header: &Header) -> bool {
    matches!(header.record, Record::Block { .. })
}

/// The block type of a reader's media.
pub type BlockOf<'s, M> = <<M as Media>::Span<'s> as Span>::Block;

impl<'e, 'r, E> Reader<'e, 'r, Mapped<'e, E>> {
    fn into_find(mut self, id: &BlockId) -> Result<Option<BlockRef<'e>>, ReadError<E>> {
        let Some((header, place)) = self.locate(id)?.filter(|(header, _)| is_block(header)) else {
            return Ok(None);
        };
        self.block_at(place, &header).map(Some)
    }
}

impl<'e, 'r, M: Media> Reader<'e, 'r, M> {
    pub(super) fn reading(&mut self) -> Reading<'_, 'r, M> {
        Reading { log: self.log, media: &mut self.media }
    }

    /// Refuses to answer where nothing is known.
    pub(super) const fn check_known(&self) -> Result<(), ReadError<M::Error>> {
        if self.lost { Err(ReadError::NeedsRecovery) } else { Ok(()) }
    }

    /// The home record of the node with this id.
    fn locate(&mut self, id: &BlockId) -> Result<Option<(Header, Place)>, ReadError<M::Error>> {
        self.check_known()?;
        let state = self.state;
        let found = state.lookup(&mut self.reading(), id)?;
        Ok(found.map(|(_, location, header)| (header, self.log.layout().place(location))))
    }

    /// The block with this id. O(1) expected; a miss reads nothing.
    ///
    /// # Errors
    /// The storage refused, the record is damaged, or the scratch is too small.
    pub fn find(&mut self, id: &BlockId) -> Result<Option<BlockOf<'_, M>>, ReadError<M::Error>> {
        let Some((header, place)) = self.locate(id)?.filter(|(header, _)| is_block(header)) else {
            return Ok(None);
        };
        self.block_at(place, &header).map(Some)
    }

    /// Hands each of the blocks with these ids to `found`, in the order of the ids; `None` for one
    /// that is not there.
    ///
    /// A few ids go through each stage together: the index lines of all are asked for, then the
    /// records that they name, and then all are read, so that the waiting for memory overlaps.
    ///
    /// # Errors
    /// As [`find`](Self::find), at the first id that fails.
    pub fn find_many(
        &mut self,
        ids: &[BlockId],
        mut found: impl FnMut(usize, Option<BlockRef<'_>>),
    ) -> Result<(), ReadError<M::Error>> {
        const TOGETHER: usize = 16;
        let index = &self.state.index;
        for (group, ids) in ids.chunks(TOGETHER).enumerate() {
            ids.iter().for_each(|id| index.prefetch(index.hash(id)));
            for id in ids {
                if let Some(candidate) = index.candidates(index.hash(id)).next() {
                    let place = self.log.layout().place(candidate.location);
                    let at = self.log.layout().slot_start(place.slot) + u64::from(place.offset);
                    self.media.expect(at);
                }
            }
            for (at, id) in ids.iter().enumerate() {
                let at = group * TOGETHER + at;
                let located = self.locate(id)?.filter(|(header, _)| is_block(header));
                let Some((header, place)) = located else {
                    found(at, None);
                    continue;
                };
                let corrupt = self.corrupt(place);
                let body = self.body_at(place, &header)?;
                let block = body.bytes().block(&header).ok_or(corrupt)?;
                found(at, Some(block));
            }
        }
        Ok(())
    }

    /// Whether there is a block with this id.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged.
    pub fn contains(&mut self, id: &BlockId) -> Result<bool, ReadError<M::Error>> {
        Ok(self.locate(id)?.is_some_and(|(header, _)| is_block(&header)))
    }

    /// The version of the block with this id.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged.
    pub fn version(&mut self, id: &BlockId) -> Result<Option<u64>, ReadError<M::Error>> {
        Ok(self.locate(id)?.and_then(|(header, _)| match header.record {
            Record::Block { version, .. } => Some(version),
            _ => None,
        }))
    }

    /// Whether the edge is there. A few binary searches in one record.
    ///
    /// # Errors
    /// The storage refused, or a record is damaged.
    pub fn has_edge(&mut self, edge: &GraphEdge) -> Result<bool, ReadError<M::Error>> {
        self.check_known()?;
        let state = self.state;
        let Some((source, ..)) = state.lookup(&mut self.reading(), &edge.source)? else {
            return Ok(false);
        };
        let Some((target, ..)) = state.lookup(&mut self.reading(), &edge.target)? else {
            return Ok(false);
        };
        let key = EdgeKey { kind: edge.kind.0, number: target };
        Ok(state.has_edge(&mut self.reading(), source, key)?)
    }

    /// All blocks, in the order in which they were written, or newest first.
    pub fn scan(self, order: Order) -> Scan<'e, 'r, M> {
        Scan::new(self, order)
    }

    /// The ids of all nodes, with a block or without.
    pub fn nodes(self) -> Nodes<'e, 'r, M> {
        Nodes::new(self)
    }

    /// The edges of an id in one direction, of one kind or of all, as ids.
    ///
    /// # Errors
    /// The storage refused, or a record is damaged.
    pub fn edges(
        self,
        id: &BlockId,
        direction: Direction,
        kind: Option<EdgeKind>,
    ) -> Result<Neighbours<'e, 'r, M>, ReadError<M::Error>> {
        Neighbours::new(self, id, direction, kind)
    }

    /// The block whose record lies there.
    pub(super) fn block_at(
        &mut self,
        place: Place,
        header: &Header,
    ) -> Result<BlockOf<'_, M>, ReadError<M::Error>> {
        let corrupt = self.corrupt(place);
        self.body_at(place, header)?.block(header).ok_or(corrupt)
    }

    fn body_at(
        &mut self,
        place: Place,
        header: &Header,
    ) -> Result<M::Span<'_>, ReadError<M::Error>> {
        self.verify(place, header)?;
        let (at, len) = self.reading().body(place, header);
        self.media.span(at, len)
    }

    /// The error that names a place.
    pub(super) fn corrupt(&self, place: Place) -> ReadError<M::Error> {
        let segment = self.log.ring.slot(place.slot).number();
        ReadError::Corrupt { segment, offset: place.offset }
    }

    /// Checks what the config asks to be checked before a body is handed out.
    fn verify(&mut self, place: Place, header: &Header) -> Result<(), ReadError<M::Error>> {
        let known = self.verified.get(place.slot as usize);
        let state = known.map_or(DAMAGED, |known| known.load(Ordering::Relaxed));
        match self.verify {
            Verify::Never => return Ok(()),
            Verify::FirstRead if state == SOUND => return Ok(()),
            Verify::FirstRead
                if state == UNVERIFIED && self.log.ring.head() != Some(place.slot) =>
            {
                let sound = self.segment_is_sound(place.slot)?;
                if let Some(known) = known {
                    known.store(if sound { SOUND } else { DAMAGED }, Ordering::Relaxed);
                }
                if sound {
                    return Ok(());
                }
            }
            Verify::FirstRead | Verify::EveryRead => {}
        }
        if self.reading().body_is_valid(place, header)? {
            return Ok(());
        }
        Err(self.corrupt(place))
    }

    /// Whether every record of a sealed segment holds.
    fn segment_is_sound(&mut self, slot: u32) -> Result<bool, ReadError<M::Error>> {
        let first = self.log.layout().first_offset();
        let mut walk = Walk::new(slot, first, self.log.end_of(slot)).checking_bodies();
        loop {
            match walk.next(&mut self.reading())? {
                Step::End => return Ok(true),
                Step::Invalid { .. } => return Ok(false),
                Step::Record { .. } => {}
            }
        }
    }
}
