//! Scans: all live blocks in log order, oldest or newest first; and the ids of all nodes.
//!
//! A scan walks over the segments' records and knows from RAM which of them live: it touches no
//! body that it does not return. Records can be walked forwards only, so a scan from the newest on
//! takes a window of places at a time: it walks from the start of the segment (or of the index page
//! that covers the place) and keeps the last few. Where a scan stands is plain data in the caller's
//! workspace, like its window.

use super::error::ReadError;
use super::media::Media;
use super::read::Reader;
use crate::format::{Header, Place, Record, Subject};
use crate::index::Homes;
use crate::log::{Log, ReadLog, Step, Walk, read_header};
use crate::planted::{self, Fault};
use crate::types::{BlockId, Location, Sequence};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// In which order a scan goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Order {
    /// As written.
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

/// A live block's columns: everything but its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// The block's name.
    pub id: BlockId,
    /// The version with which it was put.
    pub version: u64,
    /// Lengths of source URI, metadata and content, in bytes.
    pub lens: [u32; 3],
    /// Where it lies along the log. Maintenance moves blocks, and gives them later places.
    pub sequence: Sequence,
}

/// It goes from the newest on.
const NEWEST_FIRST: u32 = 1;
/// It was said that blocks may be missing.
const SAID: u32 = 2;
/// What lies before the place is no valid record.
const BEHIND_DAMAGE: u32 = 4;

/// Where a scan stands.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Cursor {
    /// One more than the slot of the segment that it is in; 0 at the end.
    slot: u32,
    /// Oldest first: the offset of the next record. Newest first: below which offset to look next.
    at: u32,
    /// How many places are in the window that are still to come, and where in it the next one goes: it is
    /// filled round and round from the oldest on, and emptied from the newest on.
    left: u32,
    next: u32,
    flags: u32,
}

impl Cursor {
    /// Before the first block.
    pub(super) fn new(log: &Log<'_>, order: Order) -> Self {
        let (slot, flags) = match order {
            Order::OldestFirst => (log.ring.tail(), 0),
            Order::NewestFirst => (log.ring.head(), NEWEST_FIRST),
        };
        let mut cursor = Self { slot: 0, at: 0, left: 0, next: 0, flags };
        cursor.enter(log, slot);
        cursor
    }

    /// Goes to the first record of a segment, or behind the last one.
    fn enter(&mut self, log: &Log<'_>, slot: Option<u32>) {
        self.slot = slot.map_or(0, |slot| slot + 1);
        self.at = match slot {
            Some(slot) if self.has(NEWEST_FIRST) => log.end_of(slot),
            _ => log.layout().first_offset(),
        };
    }

    const fn slot(&self) -> Option<u32> {
        self.slot.checked_sub(1)
    }

    const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    const fn set(&mut self, flag: u32, to: bool) {
        self.flags = if to { self.flags | flag } else { self.flags & !flag };
    }

    /// Puts a place into the window, of which the oldest is left out if there is no room. Returns whether
    /// it was.
    fn push(&mut self, window: &mut [u32], offset: u32) -> bool {
        let len = window.len() as u32;
        if let Some(room) = window.get_mut(self.next as usize) {
            *room = offset;
        }
        self.next = if self.next + 1 < len { self.next + 1 } else { 0 };
        let is_full = self.left == len;
        self.left += u32::from(!is_full);
        is_full
    }

    /// The newest place in the window, which is taken out.
    fn pop(&mut self, window: &[u32]) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        self.next = self.next.checked_sub(1).unwrap_or((window.len() as u32).saturating_sub(1));
        window.get(self.next as usize).copied()
    }

    /// The oldest place in the window.
    fn oldest(&self, window: &[u32]) -> Option<u32> {
        let behind = self.next.checked_sub(self.left);
        let place = behind.unwrap_or(self.next + window.len() as u32 - self.left);
        window.get(place as usize).copied().filter(|_| self.left > 0)
    }
}

/// A scan at work: where it stands, its window, and what it reads through.
pub(super) struct Scanning<'q, 'e, 'r, M> {
    pub(super) reader: &'q mut Reader<'e, 'r, M>,
    pub(super) cursor: &'q mut Cursor,
    pub(super) window: &'q mut [u32],
}

impl<M: Media> Scanning<'_, '_, '_, M> {
    /// The next live block's record.
    pub(super) fn advance(&mut self) -> Result<Option<(Header, Place)>, ReadError<M::Error>> {
        self.reader.check_known()?;
        if let Some(damage) = self.reader.damage.filter(|_| !self.cursor.has(SAID)) {
            self.cursor.set(SAID, true);
            return Err(damage.into());
        }
        let newest_first = self.cursor.has(NEWEST_FIRST);
        let found = if newest_first { self.backwards() } else { self.forwards() }?;
        if let Some((_, place)) = found {
            let location = self.reader.log.layout().location(place.slot, place.offset);
            self.reader.check_newest(location)?;
        }
        Ok(found)
    }

    fn forwards(&mut self) -> Result<Option<(Header, Place)>, ReadError<M::Error>> {
        while let Some(slot) = self.cursor.slot() {
            let (log, end) = (self.reader.log, self.reader.log.end_of(slot));
            let walk = Walk::new(slot, self.cursor.at, end);
            // Behind damage a header that would have to be mended is none.
            let damaged = self.cursor.has(BEHIND_DAMAGE);
            let mut walk = if damaged { walk.unproven() } else { walk };
            let step = walk.next(&mut self.reader.reading())?;
            self.cursor.set(BEHIND_DAMAGE, matches!(step, Step::Invalid { .. }));
            self.cursor.at = walk.at();
            match step {
                Step::End => self.cursor.enter(log, log.ring.after(slot)),
                Step::Named { outline, offset } => {
                    let place = Place { slot, offset };
                    if self.is_live_block(&outline.subject, place) {
                        return Err(self.reader.corrupt(place));
                    }
                }
                Step::Invalid { offset } => {
                    let (state, place) = (self.reader.state, Place { slot, offset });
                    let (until, is_needed) =
                        state.damaged_span(&mut self.reader.reading(), place, end)?;
                    self.cursor.at = until;
                    if is_needed {
                        return Err(self.reader.corrupt(place));
                    }
                }
                Step::Record { header, offset, .. } => {
                    let place = Place { slot, offset };
                    if self.is_live_block(&header.record.subject(), place) {
                        return Ok(Some((header, place)));
                    }
                }
            }
        }
        Ok(None)
    }

    fn backwards(&mut self) -> Result<Option<(Header, Place)>, ReadError<M::Error>> {
        while let Some(slot) = self.cursor.slot() {
            if let Some(offset) = self.cursor.pop(self.window) {
                let place = Place { slot, offset };
                let header = match read_header(&mut self.reader.reading(), place)? {
                    None => self.reader.reading().mended_header(place)?,
                    header => header,
                };
                let segment = self.reader.log.ring.slot(slot).number();
                let header = header.ok_or(ReadError::Corrupt { segment, offset })?;
                return Ok(Some((header, place)));
            }
            if self.cursor.at > self.reader.log.layout().first_offset() {
                if let Some(place) = self.fill_window(slot)? {
                    return Err(self.reader.corrupt(place));
                }
            } else {
                let before = self.before(slot);
                self.cursor.enter(self.reader.log, before);
            }
        }
        Ok(None)
    }

    /// The segment that came before the one in `slot`. O(segments).
    fn before(&self, slot: u32) -> Option<u32> {
        let ring = &self.reader.log.ring;
        ring.chain().find(|earlier| ring.after(*earlier) == Some(slot))
    }

    /// Takes the last live blocks before the cursor into the window, which is empty. Returns where a record
    /// that is needed is damaged, if one was met.
    fn fill_window(&mut self, slot: u32) -> Result<Option<Place>, ReadError<M::Error>> {
        let end = self.reader.log.end_of(slot);
        let from = self.covered_from(slot)?;
        let mut walk = Walk::new(slot, from, self.cursor.at);
        self.cursor.at = from;
        let (mut left_out, mut hurt) = (false, None);
        loop {
            match walk.next(&mut self.reader.reading())? {
                Step::End => break,
                Step::Named { outline, offset } => {
                    let place = Place { slot, offset };
                    let is_needed = self.is_live_block(&outline.subject, place);
                    hurt = if is_needed { Some(place) } else { hurt };
                }
                Step::Invalid { offset } => {
                    let (state, place) = (self.reader.state, Place { slot, offset });
                    let (until, is_needed) =
                        state.damaged_span(&mut self.reader.reading(), place, end)?;
                    walk.skip_to(until);
                    hurt = if is_needed { Some(place) } else { hurt };
                }
                Step::Record { header, offset, .. } => {
                    if self.is_live_block(&header.record.subject(), Place { slot, offset }) {
                        left_out |= self.cursor.push(self.window, offset);
                    }
                }
            }
        }
        if let Some(oldest) = self.cursor.oldest(self.window).filter(|_| left_out) {
            // Those before it come in a later window, and so does what is hurt there.
            self.cursor.at = oldest;
        }
        Ok(hurt.filter(|place| place.offset >= self.cursor.at))
    }

    /// Where the index page that describes the records just before the cursor begins to do so; else the
    /// segment's start.
    fn covered_from(&mut self, slot: u32) -> Result<u32, ReadError<M::Error>> {
        let (log, below) = (self.reader.log, self.cursor.at);
        let first = log.layout().first_offset();
        let head = log.ring.head() == Some(slot);
        let mut page = if head { log.page().previous() } else { log.ring.slot(slot).index() };
        if head && log.page().first() < below && log.page().first() >= first {
            return Ok(log.page().first());
        }
        // Pages name the one before them, each at a lower offset.
        while page >= first {
            let place = Place { slot, offset: page };
            let Some(header) = read_header(&mut self.reader.reading(), place)? else { break };
            let Record::Index(index) = header.record else { break };
            let behind = page + log.bytes_of(&header) as u32;
            if behind < below {
                return Ok(behind);
            }
            if index.first < below {
                return Ok(index.first.max(first));
            }
            if index.previous >= page {
                break;
            }
            page = index.previous;
        }
        Ok(first)
    }

    fn is_live_block(&self, subject: &Subject, place: Place) -> bool {
        let Subject::Block { number, .. } = *subject else { return false };
        let location: Location = self.reader.log.layout().location(place.slot, place.offset);
        self.reader.state.index.home(number) == location || planted::is(Fault::ScanShowsDead)
    }
}

/// The ids of all nodes: of blocks, and of ends of edges that have no block. In the order of their numbers.
pub struct Nodes<'e, 'r, M> {
    reader: Reader<'e, 'r, M>,
    homes: Homes<'e>,
    /// Whether it was said that ids may be missing.
    said: bool,
}

impl<'e, 'r, M: Media> Nodes<'e, 'r, M> {
    pub(super) fn new(reader: Reader<'e, 'r, M>) -> Self {
        let homes = reader.state.index.homes();
        Self { reader, homes, said: false }
    }

    /// The next id. Reads its record's header.
    ///
    /// # Errors
    /// The storage refused, a record is damaged, or the store is degraded, as for a scan (the
    /// next call goes on behind it).
    // Not an iterator: it reads through scratch where storage is not mapped, and may fail.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<BlockId>, ReadError<M::Error>> {
        self.reader.check_known()?;
        if let Some(damage) = self.reader.damage.filter(|_| !self.said) {
            self.said = true;
            return Err(damage.into());
        }
        for (_, home) in self.homes.by_ref() {
            if home.is_none() {
                continue;
            }
            self.reader.check_newest(home)?;
            let known = self.reader.reading().known_outline(home)?;
            if let Some(id) = known.subject.id() {
                return Ok(Some(*id));
            }
        }
        Ok(None)
    }
}
