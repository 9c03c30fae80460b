//! Point reads: find, contains, version; and the reader from which scans and edges start.

use super::checks::{Check, Checks};
use super::damage::Damage;
use super::error::ReadError;
use super::media::{Mapped, Media, Reading, Span, Through};
use super::neighbours::Neighbours;
use super::scan::Nodes;
use super::{Mode, StorageEngine};
use crate::format::{BlockHead, CHUNK_BYTES, HEADER_BYTES_MAX, Header, Place, Subject};
use crate::index::Candidate;
use crate::log::{BodyFlip, BodyState, Log, LogBytes, LogError, ReadLog, Step, Walk};
use crate::planted::{self, Fault};
use crate::state::{Adjacency, State, Store};
use crate::storage::{MappedStorage, Storage};
use crate::types::{
    BlockId, BlockRef, Direction, EdgeKey, EdgeKind, GraphEdge, Location, NodeNumber,
};

/// A reader of a store as it is now. It borrows the engine, so that nothing is written while it lives.
///
/// Over mapped storage ([`StorageEngine::reader`]) what it returns lives as long as the engine's
/// borrow. Over other storage ([`StorageEngine::reader_through`]) what it returns lies in the
/// scratch until the next read.
pub struct Reader<'e, 'r, M> {
    pub(super) log: &'e Log<'r>,
    pub(super) state: &'e State<'r>,
    checks: Checks<'e>,
    /// Whether nothing is known of the store.
    lost: bool,
    /// Where records are lost, so that what lies before may be the past.
    pub(super) damage: Option<Damage>,
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
            checks: Checks::new(self.verified, self.config.verify),
            lost: self.mode == Mode::Lost,
            damage: self.damage(),
            media: Through::new(&mut self.store.storage, scratch),
        }
    }

    /// The block with this id, read into `scratch`. One read for its header and one for the rest; none for
    /// an id that is not there. The same two where the config asks for a check of the record and the scratch
    /// has room for it, four bytes behind the block; a block of more than 8 KiB, or one that does not hold,
    /// takes two more for each 8 KiB. The first find in a segment takes three for each record there, if the
    /// config asks for that ([`Verify::FirstRead`](super::Verify::FirstRead)).
    ///
    /// # Errors
    /// The storage refused, the record is damaged, or the scratch is too small for the block.
    pub fn find_into<'s>(
        &mut self,
        id: &BlockId,
        scratch: &'s mut [u8],
    ) -> Result<Option<BlockRef<'s>>, ReadError<S::Error>> {
        let damage = self.damage();
        let Store { storage, log, state } = &mut self.store;
        let media = Through::new(storage, &mut *scratch);
        let lost = self.mode == Mode::Lost;
        let checks = Checks::new(self.verified, self.config.verify);
        let mut reader = Reader { log, state, checks, lost, damage, media };
        let Some(found) = reader.locate(id)? else { return Ok(None) };
        let corrupt = reader.corrupt(found.place);
        let len = reader.body(&found)?.bytes().len();
        let bytes = scratch.get(..len).unwrap_or_default();
        found.head.block(id, bytes).ok_or(corrupt).map(Some)
    }

    /// Whether there is a block with this id.
    ///
    /// # Errors
    /// The storage refused, the record is damaged, or what is there may be the past
    /// ([`Degraded`](ReadError::Degraded)).
    pub fn contains(&mut self, id: &BlockId) -> Result<bool, ReadError<S::Error>> {
        self.reader_through(&mut []).contains(id)
    }

    /// The version of the block with this id, also of one that is damaged, as far as its record's header or
    /// an index page tells.
    ///
    /// # Errors
    /// The storage refused, neither tells, or what is there may be the past
    /// ([`Degraded`](ReadError::Degraded)).
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
            checks: Checks::new(self.verified, self.config.verify),
            lost: self.mode == Mode::Lost,
            damage: self.damage(),
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

/// A block's record that is there: what its header says, and where it lies.
struct Found {
    head: BlockHead,
    place: Place,
    /// Where the record starts on the medium, in bytes.
    start: u64,
    /// Whether it was read as part of a sound segment, so that nothing of it is checked any more.
    sound: bool,
}

/// What the record that the index names is to an id.
enum Checked {
    /// Its block.
    Block(BlockHead),
    /// Its node, which has no block.
    NoBlock,
    /// Another id's, with the same fingerprint.
    Another,
}

/// The block type of a reader's media.
pub type BlockOf<'s, M> = <<M as Media>::Span<'s> as Span>::Block;

impl<'e, 'r, E> Reader<'e, 'r, Mapped<'e, E>> {
    fn into_find(mut self, id: &BlockId) -> Result<Option<BlockRef<'e>>, ReadError<E>> {
        let Some(found) = self.locate(id)? else { return Ok(None) };
        self.block(id, &found).map(Some)
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

    /// Refuses to answer with what may be the past.
    #[inline]
    pub(super) fn check_newest(&self, at: Location) -> Result<(), ReadError<M::Error>> {
        match self.damage.filter(|damage| damage.is_behind(self.log, at)) {
            Some(damage) => Err(damage.into()),
            None => Ok(()),
        }
    }

    /// Refuses to answer from a list of edges that may be the past.
    pub(super) fn check_list(
        &self,
        node: NodeNumber,
        direction: Direction,
    ) -> Result<(), ReadError<M::Error>> {
        if self.damage.is_none() {
            return Ok(());
        }
        match self.state.adjacency(node, direction) {
            Adjacency::None => self.check_newest(Location::NONE),
            Adjacency::Record(location) => self.check_newest(location),
            Adjacency::Pages(chain) => {
                self.state.hubs.pages(chain).try_for_each(|(_, at)| self.check_newest(at))
            }
        }
    }

    /// Whether the node is deleted, and edges at it are still to be cleaned.
    pub(super) fn is_deleted(&self, node: NodeNumber) -> Result<bool, ReadError<M::Error>> {
        match self.state.intents.get(node) {
            Some(intent) => self.check_newest(intent.location).map(|()| true),
            None => Ok(false),
        }
    }

    /// The node with this id.
    pub(super) fn node(&mut self, id: &BlockId) -> Result<Option<NodeNumber>, ReadError<M::Error>> {
        self.check_known()?;
        let state = self.state;
        let found = state.lookup(&mut self.reading(), id)?;
        self.check_newest(found.map_or(Location::NONE, |(_, location, _)| location))?;
        Ok(found.map(|(number, ..)| number))
    }

    /// The record of the block with this id.
    ///
    /// In a sound segment the id stands for the header's check: a record that holds another one, though the
    /// fingerprint agreed, is nearly always one that has changed since, and is looked at with its check. So
    /// is one with a long header.
    #[inline(always)]
    fn locate(&mut self, id: &BlockId) -> Result<Option<Found>, ReadError<M::Error>> {
        self.check_known()?;
        let index = &self.state.index;
        for candidate in index.candidates(index.hash(id)) {
            let place = self.log.layout().place(candidate.location);
            let start = self.log.layout().start(candidate.location);
            if self.checks.is_sound(place.slot) {
                let left = self.log.layout().segment_bytes().saturating_sub(place.offset) as usize;
                let mut bytes = [0; HEADER_BYTES_MAX];
                let len = left.min(self.log.usual_header()).min(HEADER_BYTES_MAX);
                let bytes = bytes.get_mut(..len).unwrap_or_default();
                let bytes = self.media.look(start, bytes)?;
                let head = BlockHead::parse_unchecked(bytes, id);
                if let Some(head) = head.filter(|head| head.record_bytes() <= left as u64) {
                    self.check_newest(candidate.location)?;
                    return Ok(Some(Found { head, place, start, sound: true }));
                }
            }
            let found = match self.check_candidate(candidate, id)? {
                Checked::Another => continue,
                Checked::NoBlock => None,
                Checked::Block(head) => Some(Found { head, place, start, sound: false }),
            };
            self.check_newest(candidate.location)?;
            return Ok(found);
        }
        self.check_newest(Location::NONE)?;
        Ok(None)
    }

    /// What a candidate's record is to this id. Where its header is hurt, its index page may tell.
    #[inline(never)]
    fn check_candidate(
        &mut self,
        candidate: Candidate,
        id: &BlockId,
    ) -> Result<Checked, ReadError<M::Error>> {
        let place = self.log.layout().place(candidate.location);
        let header = match self.reading().mended_header(place) {
            Err(LogError::Storage(_)) if planted::is(Fault::RefusalIsAbsence) => {
                return Ok(Checked::Another);
            }
            header => header?,
        };
        if let Some(header) = header {
            return Ok(match BlockHead::of(&header) {
                _ if header.record.id() != Some(id) => Checked::Another,
                Some(head) => Checked::Block(head),
                None => Checked::NoBlock,
            });
        }
        match self.reading().named(place)?.map(|outline| outline.subject) {
            Some(subject) if subject.id() != Some(id) => Ok(Checked::Another),
            Some(subject) if !subject.is_block() => Ok(Checked::NoBlock),
            _ => Err(self.corrupt(place)),
        }
    }

    /// The block with this id. O(1) expected; a miss reads nothing.
    ///
    /// # Errors
    /// The storage refused, the record is damaged, or the scratch is too small.
    pub fn find(&mut self, id: &BlockId) -> Result<Option<BlockOf<'_, M>>, ReadError<M::Error>> {
        let Some(found) = self.locate(id)? else { return Ok(None) };
        self.block(id, &found).map(Some)
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
                    self.media.expect(self.log.layout().start(candidate.location));
                }
            }
            for (at, id) in ids.iter().enumerate() {
                let at = group * TOGETHER + at;
                let Some(located) = self.locate(id)? else {
                    found(at, None);
                    continue;
                };
                let corrupt = self.corrupt(located.place);
                let body = self.body(&located)?;
                let block = located.head.block(id, body.bytes()).ok_or(corrupt)?;
                found(at, Some(block));
            }
        }
        Ok(())
    }

    /// Whether there is a block with this id.
    ///
    /// # Errors
    /// The storage refused, the record is damaged, or what is there may be the past
    /// ([`Degraded`](ReadError::Degraded)).
    pub fn contains(&mut self, id: &BlockId) -> Result<bool, ReadError<M::Error>> {
        Ok(self.locate(id)?.is_some())
    }

    /// The version of the block with this id, also of one that is damaged, as far as its record's header or
    /// an index page tells.
    ///
    /// # Errors
    /// The storage refused, neither tells, or what is there may be the past
    /// ([`Degraded`](ReadError::Degraded)).
    pub fn version(&mut self, id: &BlockId) -> Result<Option<u64>, ReadError<M::Error>> {
        match self.locate(id) {
            Err(ReadError::Corrupt { .. }) => self.named_version(id),
            found => Ok(found?.map(|found| found.head.version)),
        }
    }

    /// The version of a block whose record's header is hurt.
    #[cold]
    fn named_version(&mut self, id: &BlockId) -> Result<Option<u64>, ReadError<M::Error>> {
        let state = self.state;
        let home = state.lookup(&mut self.reading(), id)?;
        self.check_newest(home.map_or(Location::NONE, |(_, at, _)| at))?;
        let version = home.map(|(_, _, outline)| match outline.subject {
            Subject::Block { version, .. } => Some(version),
            _ => None,
        });
        Ok(version.flatten())
    }

    /// Copies a part of the content of the block with this id, from byte `offset` on: as much as there is and
    /// `into` holds. Returns how many bytes that is; `None` if there is no such block.
    ///
    /// So a content is read that no scratch holds as a whole. It takes none of the scratch, but where the
    /// config asks for a check that was not made before, all of the body is checked in it first, each time.
    ///
    /// # Errors
    /// The storage refused, the record is damaged, or what is there may be the past
    /// ([`Degraded`](ReadError::Degraded)).
    pub fn read_content(
        &mut self,
        id: &BlockId,
        offset: u32,
        into: &mut [u8],
    ) -> Result<Option<usize>, ReadError<M::Error>> {
        let Some(found) = self.locate(id)? else { return Ok(None) };
        let flip = if found.sound { None } else { self.check(&found)? };
        let [source_uri, metadata, content] = found.head.lens;
        let left = content.saturating_sub(offset) as usize;
        let into = match into.get_mut(..left) {
            Some(whole) => whole,
            None => into,
        };
        let start = source_uri.saturating_add(metadata).saturating_add(offset.min(content));
        let at = found.start + u64::from(found.head.header_bytes) + u64::from(start);
        self.media.copy(at, into)?;
        flip.iter().for_each(|flip| flip.mend(into, start));
        Ok(Some(into.len()))
    }

    /// Whether the edge is there. A few binary searches in one record.
    ///
    /// # Errors
    /// The storage refused, a record is damaged, or what is there may be the past
    /// ([`Degraded`](ReadError::Degraded)).
    pub fn has_edge(&mut self, edge: &GraphEdge) -> Result<bool, ReadError<M::Error>> {
        let state = self.state;
        let Some(source) = self.node(&edge.source)? else { return Ok(false) };
        let Some(target) = self.node(&edge.target)? else { return Ok(false) };
        let key = EdgeKey { kind: edge.kind.0, number: target };
        match state.pending_half((source, Direction::Out), key) {
            Some(half) => self.check_newest(half.location)?,
            None => self.check_list(source, Direction::Out)?,
        }
        Ok(state.has_edge(&mut self.reading(), source, key)?)
    }

    /// The ids of all nodes, with a block or without.
    pub fn nodes(self) -> Nodes<'e, 'r, M> {
        Nodes::new(self)
    }

    /// The edges of an id in one direction, of one kind or of all, as ids.
    ///
    /// # Errors
    /// The storage refused, a record is damaged, or what is there may be the past
    /// ([`Degraded`](ReadError::Degraded)).
    pub fn edges(
        self,
        id: &BlockId,
        direction: Direction,
        kind: Option<EdgeKind>,
    ) -> Result<Neighbours<'e, 'r, M>, ReadError<M::Error>> {
        Neighbours::new(self, id, direction, kind)
    }

    /// The block whose record's header was read there.
    pub(super) fn block_at(
        &mut self,
        place: Place,
        header: &Header,
    ) -> Result<BlockOf<'_, M>, ReadError<M::Error>> {
        let start = self.log.layout().slot_start(place.slot) + u64::from(place.offset);
        let head = BlockHead::of(header).zip(header.record.id());
        let (head, id) = head.ok_or_else(|| self.corrupt(place))?;
        self.block(id, &Found { head, place, start, sound: false })
    }

    #[inline]
    fn block(
        &mut self,
        id: &BlockId,
        found: &Found,
    ) -> Result<BlockOf<'_, M>, ReadError<M::Error>> {
        let corrupt = self.corrupt(found.place);
        self.body(found)?.block(id, &found.head).ok_or(corrupt)
    }

    /// The body of the block, checked as the config asks, and mended where it can be.
    #[inline]
    fn body(&mut self, found: &Found) -> Result<M::Span<'_>, ReadError<M::Error>> {
        let at = found.start + u64::from(found.head.header_bytes);
        let len = found.head.body_bytes() as usize;
        if !found.sound && self.holds(found, at, len)? {
            return self.media.held(at, len);
        }
        let flip = if found.sound { None } else { self.check(found)? };
        self.media.span(at, len, flip)
    }

    /// Whether this record is to be checked for itself, and was read together with its check, which holds:
    /// so it is read once for both. A body with one check only, as most have.
    #[inline(never)]
    fn holds(&mut self, found: &Found, at: u64, len: usize) -> Result<bool, ReadError<M::Error>> {
        let Found { head, place, .. } = found;
        let for_itself = match self.checks.of_body(place.slot) {
            Check::Nothing => false,
            Check::Segment => self.log.ring.head() == Some(place.slot),
            Check::Record => true,
        };
        if !for_itself || len == 0 || len > CHUNK_BYTES as usize {
            return Ok(false);
        }
        let body = Place { slot: place.slot, offset: place.offset + head.header_bytes };
        Ok(self.media.hold(at, len, self.log.seed(body))?)
    }

    fn body_state(&mut self, found: &Found) -> Result<BodyState, ReadError<M::Error>> {
        let Found { head, place, .. } = found;
        let body = Place { slot: place.slot, offset: place.offset + head.header_bytes };
        // Below the segment size, which is 32 bits: the header's check held.
        Ok(self.reading().body_state_at(body, head.body_bytes() as u32)?)
    }

    /// The error that names a place.
    pub(super) fn corrupt(&self, place: Place) -> ReadError<M::Error> {
        let segment = self.log.ring.slot(place.slot).number();
        ReadError::Corrupt { segment, offset: place.offset }
    }

    /// Checks what the config asks to be checked before a body is handed out. Returns the bit that is flipped
    /// in it, where it can be mended.
    #[inline(never)]
    fn check(&mut self, found: &Found) -> Result<Option<BodyFlip>, ReadError<M::Error>> {
        let slot = found.place.slot;
        let check = self.checks.of_body(slot);
        if check == Check::Nothing || planted::is(Fault::BodyUnchecked) {
            return Ok(None);
        }
        if check == Check::Segment && self.log.ring.head() != Some(slot) {
            let sound = self.segment_is_sound(slot)?;
            self.checks.note(slot, sound);
            if sound {
                return Ok(None);
            }
        }
        match self.body_state(found)? {
            BodyState::Sound => Ok(None),
            BodyState::OneBit(flip) if M::MENDS => Ok(Some(flip)),
            BodyState::OneBit(_) | BodyState::Damaged => Err(self.corrupt(found.place)),
        }
    }

    /// Whether every record of a sealed segment holds as it lies, header and body.
    fn segment_is_sound(&mut self, slot: u32) -> Result<bool, ReadError<M::Error>> {
        let first = self.log.layout().first_offset();
        // Nothing is mended: a header that would have to be cannot be read unchecked later.
        let mut walk = Walk::new(slot, first, self.log.end_of(slot)).checking_bodies().unproven();
        loop {
            match walk.next(self.reading().erased())? {
                Step::End => return Ok(true),
                Step::Invalid { .. } | Step::Named { .. } => return Ok(false),
                Step::Record { .. } => {}
            }
        }
    }
}
