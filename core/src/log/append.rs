//! The head of the ring: appending records, opening and sealing segments, reading records back.
//!
//! Everything that is written goes through one small buffer in the region, so that a storage sees
//! few large writes. What lies in the buffer is not on media yet: [`Log::flush`] ends every
//! operation that others may look at.

mod copy;
mod successor;

pub use copy::{Copied, CopyAs};

use super::LogError;
use super::page::{OpenPage, SealedPage, TablePage};
use super::read::OnStorage;
use super::ring::{Ring, SlotState};
use super::staging::{Filling, Staging};
use super::writer::RecordWriter;
use crate::format::{
    CHUNK_BYTES, Crc, HEADER_BYTES, HEADER_BYTES_SHORT, HEADER_BYTES_USUAL, Header, IndexForm,
    Layout, Outline, Place, Predecessor, Record, Salt, SegmentHeader,
};
use crate::memory::owned::{Owned, Table};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::planted::{self, Fault};
use crate::storage::{Storage, read_around};
use crate::types::{Location, NodeNumber, Sequence};
use zerocopy::little_endian::U32;

/// Free slots that only an opening store may take: one for its fresh segment, and one in case that
/// opening is cut.
pub const RECOVERY_RESERVE: u32 = 2;

/// What the log asked of its storage since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Traffic {
    /// Bytes written.
    pub bytes_written: u64,
    /// Segments erased.
    pub segment_erases: u64,
    /// Calls of `sync`.
    pub syncs: u64,
    /// Segments opened.
    pub segments_opened: u64,
    /// Live bytes that were moved from the tail.
    pub moved_bytes: u64,
}

/// A record that was appended: where it lies and how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Where it lies.
    pub location: Location,
    /// Its length in bytes, padding included.
    pub bytes: u32,
}

/// An end of the log that was durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Synced {
    /// Slot of the open segment.
    pub slot: u32,
    /// Its number.
    pub number: u32,
    /// Offset behind its last record, in bytes.
    pub end: u32,
    /// Whether it counts: it holds a record, and is not that of an opening that has not returned yet.
    pub counts: bool,
}

/// The ring and its open segment.
pub struct Log<'r> {
    pub(super) layout: Layout,
    salt: Salt,
    /// The slots of the ring.
    pub ring: Ring<'r>,
    pub(super) page: OpenPage<'r>,
    /// The page that is read, while no segment is open: it has the columns of the other one.
    pub(super) table: Option<TablePage<'r>>,
    pub(super) staging: Owned<Staging<'r>, Table>,
    /// Of the chunks of the record that is being written.
    pub(super) checks: &'r mut [U32],
    /// Offset in the open segment at which the buffer starts, and at which the next byte goes.
    flushed: u32,
    pub(super) at: u32,
    /// Offset behind the last record that is on media whole.
    whole: u32,
    pub(super) mark_next: bool,
    /// Where the log ended when it was synced last; `None` before the first time.
    synced: Option<Synced>,
    /// Whether a sync failed since: what was written behind may read well and be lost all the same.
    in_doubt: bool,
    number_max: u32,
    /// Slot and number of the segment that was open before this one, until it says so.
    before: Option<(u32, u32)>,
    /// Whether the open segment is that of an opening and not proven yet: all of what is written before its
    /// marks must lie in it, or nothing of it counts.
    is_fresh: bool,
    /// Number of the newest retired segment; 0 if there is none.
    pub retired: u32,
    /// Node numbers from here on were never given; written into every segment header.
    pub next_node: u32,
    traffic: Traffic,
    /// The longest header of a record that was read since the segment before this one was begun, and since
    /// this one was, in bytes.
    headers: [u8; 2],
    /// The record that was last read of those that live.
    recent: Option<(Location, Outline)>,
}

impl<'r> Log<'r> {
    /// What [`new`](Self::new) takes of the region: for a ring of `segments`, of at most
    /// `segment_bytes` each, with record bodies of at most `body_bytes`, and a write buffer of
    /// `buffer_bytes`.
    pub const fn footprint(
        before: Footprint,
        segments: u32,
        form: IndexForm,
        body_bytes: u32,
        buffer_bytes: u32,
    ) -> Footprint {
        let before = Ring::footprint(before, segments);
        let before = OpenPage::footprint(before, form);
        before
            .slice::<u8>(buffer_bytes as usize)
            .slice::<U32>(body_bytes.div_ceil(CHUNK_BYTES) as usize)
    }

    /// A log over media of this layout, of whose content nothing is known yet.
    ///
    /// # Errors
    /// The region is too small.
    pub fn new(
        memory: &mut StorageCoordinator<'r>,
        layout: Layout,
        body_bytes: u32,
        buffer_bytes: u32,
    ) -> Result<Self, RegionTooSmall> {
        Ok(Self {
            layout,
            salt: Salt::of(layout.store()),
            ring: Ring::new(memory, layout.segments(), layout.segment_bytes())?,
            page: OpenPage::new(memory, layout.index_form())?,
            table: None,
            staging: Staging::new(memory.slice_of(buffer_bytes as usize)?),
            checks: memory.slice_of(body_bytes.div_ceil(CHUNK_BYTES) as usize)?,
            flushed: 0,
            at: 0,
            whole: 0,
            mark_next: false,
            synced: None,
            in_doubt: false,
            number_max: 0,
            before: None,
            is_fresh: false,
            retired: 0,
            next_node: 0,
            traffic: Traffic::default(),
            headers: [HEADER_BYTES_SHORT as u8; 2],
            recent: None,
        })
    }

    /// Forgets what is known of the media, to look at them anew; but not up to where they may be
    /// believed.
    pub fn forget(&mut self) {
        self.ring.clear();
        self.end_reading();
        self.page.restart(0, 0);
        self.staging.clear();
        (self.flushed, self.at, self.whole, self.mark_next) = (0, 0, 0, false);
        (self.number_max, self.retired, self.is_fresh) = (0, 0, false);
        (self.recent, self.before) = (None, None);
    }

    /// The layout of the media.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What was asked of the storage so far.
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// In how many bytes an opening looks for a header at first: as many as the longest had of late.
    pub(super) fn recent_header(&self) -> usize {
        usize::from(self.headers[0])
    }

    /// In how many bytes a header is looked for at first, wherever it lies.
    pub fn usual_header(&self) -> usize {
        self.recent_header().max(HEADER_BYTES_USUAL)
    }

    /// Notes the length of a header that was read.
    pub(super) fn saw_header(&mut self, bytes: u32) {
        // None is longer than fits.
        let bytes = u8::try_from(bytes).unwrap_or(u8::MAX);
        self.headers = self.headers.map(|longest| longest.max(bytes));
    }

    /// Another segment is read or written: its headers may be shorter.
    pub fn begin_headers(&mut self) {
        self.headers = [self.headers[1], HEADER_BYTES_SHORT as u8];
    }

    /// Remembers what a record is about that was read at a location, and lives: whoever supersedes it asks
    /// for it again, up to four times in a put. (The two passes that plan the put, what it replaces, and what
    /// is no longer charged: before, each read it.) It is forgotten when a slot is erased, since another
    /// record may come to lie there.
    pub const fn remember(&mut self, location: Location, outline: Outline) {
        self.recent = Some((location, outline));
    }

    /// What is remembered of the record at a location.
    pub(super) fn remembered(&self, location: Location) -> Option<&Outline> {
        self.recent.as_ref().filter(|(at, _)| *at == location).map(|(_, outline)| outline)
    }

    /// Counts live bytes that were moved from the tail.
    pub fn count_moved(&mut self, bytes: u32) {
        self.traffic.moved_bytes += u64::from(bytes);
    }

    /// The columns of the newest records.
    pub const fn page(&self) -> &OpenPage<'r> {
        &self.page
    }

    /// Where the next record would go, in bytes from the start of the open segment.
    pub const fn at(&self) -> u32 {
        self.at
    }

    /// Offset behind the last record of the segment in `slot`, in bytes.
    pub fn end_of(&self, slot: u32) -> u32 {
        let open = self.at > 0 && self.ring.head() == Some(slot);
        if open { self.at } else { self.ring.slot(slot).end() }
    }

    /// The greatest segment number that was seen; every new segment takes a greater one.
    pub const fn number_max(&self) -> u32 {
        self.number_max
    }

    /// Notes a segment number that was seen.
    pub fn saw_number(&mut self, number: u32) {
        self.number_max = self.number_max.max(number);
    }

    /// Notes a node number that was given.
    pub fn saw_node(&mut self, number: Option<NodeNumber>) {
        let next = number.map_or(0, |number| number.get().saturating_add(1));
        self.next_node = self.next_node.max(next);
    }

    /// The position along the log of the next record.
    pub fn position(&self) -> Sequence {
        self.ring.head().map_or(Sequence::default(), |slot| self.ring.position(slot, self.at))
    }

    /// The position along the log of a location in a live segment.
    pub fn position_of(&self, location: Location) -> Sequence {
        let place = self.layout.place(location);
        self.ring.position(place.slot, place.offset)
    }

    /// The longest body for whose checks there is memory, in bytes.
    pub fn body_bytes_max(&self) -> u32 {
        self.checks.len() as u32 * CHUNK_BYTES
    }

    /// The longest record that fits into a segment with the index page that describes it, in bytes.
    pub const fn record_bytes_max(layout: &Layout) -> u32 {
        // The index page that describes it, and what an opening writes behind it: the end of a
        // batch, three marks, and their entries.
        let behind = layout.padded(64) + layout.padded(12) * 4 + layout.padded(32) * 4;
        layout.segment_bytes() - layout.first_offset() - behind
    }

    // ---- writing ----

    /// Appends a record, opening the next segment if it does not fit into this one.
    ///
    /// # Errors
    /// The storage refused, or no slot is free, or no segment is as long.
    pub fn append<S: Storage>(
        &mut self,
        storage: &mut S,
        record: &Record,
        in_batch: bool,
        body: &[&[u8]],
    ) -> Result<Appended, LogError<S::Error>> {
        let mut writer = self.begin(storage, record, in_batch)?;
        for part in body {
            writer.body(part)?;
        }
        writer.end()
    }

    /// Appends a record in place of one whose body is damaged beyond mending: its body, of zeros, is
    /// found damaged wherever it is read and moved to. It stands for as long as nobody knows better.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_damaged<S: Storage>(
        &mut self,
        storage: &mut S,
        record: &Record,
    ) -> Result<Appended, LogError<S::Error>> {
        let form = self.layout.index_form();
        let mut writer = self.begin(storage, record, false)?;
        writer.spoil(true);
        for _ in 0..record.body_bytes(form) {
            writer.body(&[0])?;
        }
        writer.end()
    }

    /// Starts a record: makes room for the whole of it and writes its header. Its body follows in pieces.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn begin<'a, S: Storage>(
        &'a mut self,
        storage: &'a mut S,
        record: &Record,
        in_batch: bool,
    ) -> Result<RecordWriter<'a, 'r, S>, LogError<S::Error>> {
        // The record may open a segment, and that one's header says which numbers were never given.
        self.saw_node(record.number());
        if self.mark_next && self.at > self.layout.first_offset() {
            // What lies in this segment is durable.
            let before = self.before.take();
            self.tell_successor(storage, before, self.ring.head())?;
        }
        if self.page.is_full() {
            self.write_page(storage)?;
        }
        if !self.fits(record)? {
            if self.is_fresh {
                return Err(self.too_large(record));
            }
            self.advance(storage)?;
            if !self.fits(record)? {
                return Err(self.too_large(record));
            }
        }
        RecordWriter::start(self, storage, record, in_batch)
    }

    /// The fresh segment of an opening is proven: from here on the log goes on in other segments. `before` is
    /// the one that was the newest, if it can still say which one came after it.
    pub fn end_fresh(&mut self, before: Option<u32>) {
        self.is_fresh = false;
        self.before = before.map(|slot| (slot, self.ring.slot(slot).number()));
    }

    fn too_large<E>(&self, record: &Record) -> LogError<E> {
        let len = record.bytes(self.layout.index_form());
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        LogError::RecordTooLarge { len, max: Self::record_bytes_max(&self.layout) }
    }

    /// Whether the record fits into the open segment, with the index page that will describe it, if one will.
    fn fits<E>(&self, record: &Record) -> Result<bool, LogError<E>> {
        let len = record.bytes(self.layout.index_form());
        let body_max = u64::from(self.body_bytes_max());
        let body_fits = record.body_bytes(self.layout.index_form()) <= body_max;
        if len > u64::from(self.layout.segment_bytes()) || !body_fits {
            return Err(self.too_large(record));
        }
        let page = self.layout.padded_long(self.page.bytes_with(record));
        let end = u64::from(self.at) + self.layout.padded_long(len) + page;
        Ok(end <= u64::from(self.layout.segment_bytes()))
    }

    pub(super) fn seed_at(&self, offset: u32) -> Crc {
        self.salt.at(self.head_number(), offset)
    }

    fn head_number(&self) -> u32 {
        self.ring.head().map_or(0, |slot| self.ring.slot(slot).number())
    }

    /// Writes what lies in the buffer. Records are padded to the write size, and so is the buffer,
    /// so that this is possible between any two records and whenever the buffer is full.
    ///
    /// # Errors
    /// The storage refused.
    pub fn flush<S: Storage>(&mut self, storage: &mut S) -> Result<(), LogError<S::Error>> {
        self.write_out(storage)?;
        self.whole = self.at;
        Ok(())
    }

    /// Writes what lies in the buffer, whole records or not.
    pub(super) fn write_out<S: Storage>(
        &mut self,
        storage: &mut S,
    ) -> Result<(), LogError<S::Error>> {
        let Some(slot) = self.ring.head() else { return Ok(()) };
        let bytes = self.staging.bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        let at = self.layout.slot_start(slot) + u64::from(self.flushed);
        storage.write(at, bytes).map_err(LogError::Storage)?;
        self.traffic.bytes_written += bytes.len() as u64;
        self.staging.clear();
        self.flushed = self.at;
        Ok(())
    }

    /// The storage refused: drops what lies in the buffer, so that nobody who reads writes it, and ends
    /// the open segment behind what is on media. Nothing is appended before the log is looked at anew.
    pub fn abandon(&mut self) {
        self.staging.clear();
        (self.at, self.flushed) = (self.whole, self.whole);
    }

    /// Makes everything that was appended durable; the next record says so.
    ///
    /// # Errors
    /// The storage refused; nothing is known about what was appended since the last sync, and what
    /// was is [`beyond_doubt`](Self::beyond_doubt) no more.
    pub fn sync<S: Storage>(&mut self, storage: &mut S) -> Result<(), LogError<S::Error>> {
        self.flush(storage)?;
        self.sync_storage(storage)?;
        // What a recovery writes counts when it has come to its end. Where it failed before that, what was in
        // doubt still is.
        if !self.in_doubt || self.synced.is_none() {
            self.note_synced();
        }
        self.mark_next = !planted::is(Fault::NeverMarks);
        Ok(())
    }

    fn note_synced(&mut self) {
        let (slot, end) = (self.ring.head().unwrap_or_default(), self.at);
        let counts = !self.is_fresh && end > self.layout.first_offset();
        self.synced = Some(Synced { slot, number: self.head_number(), end, counts });
    }

    /// Makes durable what was written before this log knew of it.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn sync_storage<S: Storage>(&mut self, storage: &mut S) -> Result<(), LogError<S::Error>> {
        let synced = storage.sync().map_err(LogError::Storage);
        self.in_doubt |= synced.is_err() && !planted::is(Fault::FailedSyncForgotten);
        self.traffic.syncs += 1;
        synced
    }

    /// Up to where the log may be believed, if a sync failed; what lies behind is void, however it
    /// reads: a cache may show what the disk has lost.
    pub fn beyond_doubt(&self) -> Option<Synced> {
        self.synced.filter(|_| self.in_doubt)
    }

    /// A recovery voided what was in doubt, and synced what it wrote.
    pub fn end_doubt(&mut self) {
        self.in_doubt = false;
        self.note_synced();
    }

    /// Seals the open segment, with its last index page if it has pages, and opens the next one.
    fn advance<S: Storage>(&mut self, storage: &mut S) -> Result<(), LogError<S::Error>> {
        if self.ring.free() <= RECOVERY_RESERVE {
            self.try_bad_slots(storage);
        }
        if self.ring.free() <= RECOVERY_RESERVE {
            return Err(LogError::NoFreeSegment { segments: self.ring.segments() });
        }
        let slot = self.ring.head().unwrap_or_default();
        if self.page.ends_segment() {
            self.write_page(storage)?;
        }
        self.flush(storage)?;
        let (end, index) = (self.at, self.page.previous());
        let number = self.ring.slot(slot).number();
        let predecessor = Predecessor { slot, number, end, index, sealed: true };
        let before = self.before.replace((slot, number));
        self.open_segment(storage, Some(predecessor), Opening::Append)?;
        // All that it holds is durable, though no record behind it said so.
        self.tell_successor(storage, before, Some(slot))?;
        if planted::is(Fault::SuccessorToldEarly) {
            let before = self.before.take();
            self.tell_successor(storage, before, self.ring.head())?;
        }
        Ok(())
    }

    /// Writes the index page of the newest records, and begins the next one behind it.
    fn write_page<S: Storage>(&mut self, storage: &mut S) -> Result<(), LogError<S::Error>> {
        let start = self.at;
        let sealed = self.page.seal();
        let written = self.append_page(storage, &sealed);
        self.page = match written {
            Ok(()) => sealed.reopen(self.at, start),
            Err(_) => sealed.unseal(),
        };
        written
    }

    fn append_page<S: Storage>(
        &mut self,
        storage: &mut S,
        page: &SealedPage<'r>,
    ) -> Result<(), LogError<S::Error>> {
        let record = page.record();
        let mut writer = RecordWriter::start(self, storage, &record, false)?;
        for column in page.columns() {
            writer.body(column)?;
        }
        writer.end()?;
        Ok(())
    }

    /// Erases the oldest free slot if this run did not, and opens a segment in it. Durable when it returns.
    ///
    /// # Errors
    /// The storage refused, no slot is free, or no number.
    pub fn open_segment<S: Storage>(
        &mut self,
        storage: &mut S,
        predecessor: Option<Predecessor>,
        opening: Opening,
    ) -> Result<(), LogError<S::Error>> {
        let number = self.number_max.checked_add(1).ok_or(LogError::NumbersSpent)?;
        self.end_reading();
        let slot = self.take_clean_slot(storage)?;
        if let Some(before) = predecessor {
            self.ring.end_head(&before);
        }
        let header = SegmentHeader {
            slot,
            number,
            retired: self.retired,
            predecessor,
            erase_count: self.ring.slot(slot).erase_count(),
            next_node: self.next_node,
            recovery: matches!(opening, Opening::Recovery { .. }),
            continues_batch: matches!(opening, Opening::Recovery { continues_batch: true }),
        };
        self.number_max = number;
        self.is_fresh = header.recovery;
        self.ring.push_head(slot, number);
        self.begin_headers();
        (self.at, self.flushed, self.whole) = (0, 0, 0);
        let bytes = header.encode(&self.layout);
        debug_assert_eq!(bytes.len(), HEADER_BYTES as usize);
        let mut filling = Filling::start(self, storage);
        filling.put(&bytes)?;
        filling.pad()?;
        filling.finish();
        self.flush(storage)?;
        // What lies between is written when another segment is opened after this one.
        let first = self.layout.first_offset();
        (self.at, self.flushed, self.whole) = (first, first, first);
        if !planted::is(Fault::HeaderNotSynced) {
            self.sync(storage)?;
        }
        self.page.restart(self.at, 0);
        self.traffic.segments_opened += 1;
        Ok(())
    }

    /// The oldest free slot that can be erased, erased. Slots that cannot are bad from now on.
    fn take_clean_slot<S: Storage>(&mut self, storage: &mut S) -> Result<u32, LogError<S::Error>> {
        let mut refused = None;
        for _ in 0..self.ring.free() {
            let Some(slot) = self.ring.pop_free() else { break };
            let is_clean = self.ring.slot(slot).state() == SlotState::Clean;
            if is_clean || planted::is(Fault::EraseLeftOut) {
                return Ok(slot);
            }
            match self.erase(storage, slot) {
                Ok(()) => return Ok(slot),
                Err(error) => {
                    self.ring.found_bad(slot);
                    refused = Some(error);
                }
            }
        }
        let none = LogError::NoFreeSegment { segments: self.ring.segments() };
        Err(refused.map_or(none, LogError::Storage))
    }

    /// Tries the bad slots once more, since a refusal may have been a passing one: before anybody says that
    /// no room is left. In vain it takes time, and wears nothing that is in use. Returns whether one is free
    /// again.
    pub fn try_bad_slots<S: Storage>(&mut self, storage: &mut S) -> bool {
        let free = self.ring.free();
        for slot in 0..self.ring.segments() {
            let is_bad = self.ring.slot(slot).state() == SlotState::Bad;
            if is_bad && self.erase(storage, slot).is_ok() {
                self.ring.add_mended(slot);
            }
        }
        self.ring.free() > free
    }

    fn erase<S: Storage>(&mut self, storage: &mut S, slot: u32) -> Result<(), S::Error> {
        let sectors = self.layout.sectors_per_segment();
        self.traffic.segment_erases += 1;
        self.recent = None;
        (slot * sectors..(slot + 1) * sectors).try_for_each(|sector| storage.erase(sector))?;
        self.ring.count_erase(slot);
        Ok(())
    }

    // ---- reading ----

    /// Reads `into.len()` bytes at `offset` in `slot`, those in the buffer included, but for those
    /// of a record that is begun and not ended: its writer has them.
    ///
    /// # Errors
    /// The storage refused.
    pub fn read<S: Storage>(
        &mut self,
        storage: &mut S,
        slot: u32,
        offset: u32,
        into: &mut [u8],
    ) -> Result<(), LogError<S::Error>> {
        let end = u64::from(offset) + into.len() as u64;
        let is_buffered = self.ring.head() == Some(slot) && end > u64::from(self.flushed);
        if is_buffered && !self.staging.bytes().is_empty() {
            self.flush(storage)?;
        }
        let at = self.layout.slot_start(slot) + u64::from(offset);
        read_around(storage, at, into).map_err(LogError::Storage)
    }

    /// The seed of the check over the bytes at a place.
    pub fn seed(&self, place: Place) -> Crc {
        self.salt.at(self.ring.slot(place.slot).number(), place.offset)
    }

    /// The error that names a place.
    pub fn corrupt<E>(&self, place: Place) -> LogError<E> {
        let segment = self.ring.slot(place.slot).number();
        LogError::Corrupt { segment, offset: place.offset }
    }

    /// Length of a record in bytes, padding included.
    pub fn bytes_of(&self, header: &Header) -> u64 {
        self.layout.padded_long(header.record_bytes(self.layout.index_form()))
    }

    /// What the record with this header is about.
    pub fn outline_of(&self, header: &Header) -> Outline {
        // Within the segment, which is 32 bits long: the header was taken for valid.
        let bytes = self.bytes_of(header) as u32;
        Outline { tag: header.tag, subject: header.record.subject(), bytes }
    }

    /// The log together with its storage, for reading.
    pub fn on<'a, S>(&'a mut self, storage: &'a mut S) -> OnStorage<'a, 'r, S> {
        OnStorage { log: self, storage }
    }
}

/// Why a segment is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// The one before is full, or the store is new.
    Append,
    /// The store was opened.
    Recovery {
        /// Whether a batch that began in the predecessor is ended here.
        continues_batch: bool,
    },
}
