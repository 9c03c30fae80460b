//! Scans: all live blocks in log order, oldest or newest first.
//!
//! A scan walks over the segments' records and knows from RAM which of them live: it touches no
//! body that it does not return. Records can be walked forwards only, so a scan from the newest on
//! takes a window of places at a time: it walks from the start of the segment (or of the index page
//! that covers the place) and keeps the last few.

use super::error::ReadError;
use super::media::Media;
use super::read::{BlockOf, Reader};
use crate::format::{Header, Place, Record};
use crate::index::Homes;
use crate::log::{ReadLog, Step, Walk};
use crate::types::{BlockId, Location, Sequence};

/// Places that a scan from the newest on keeps at once.
const WINDOW: usize = 64;

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

/// A scan over all live blocks. Each call of `next` goes on where the last one ended.
pub struct Scan<'e, 'r, M> {
    reader: Reader<'e, 'r, M>,
    order: Order,
    /// The segment that the scan is in; none at the end.
    slot: Option<u32>,
    walk: Walk,
    /// Offsets of live blocks in this segment that are still to come, last first; and below which
    /// offset to look next.
    window: heapless::Vec<u32, WINDOW>,
    below: u32,
    /// Whether it was said that blocks may be missing.
    said: bool,
    /// Where a record that is needed is damaged, which is still to be said.
    hurt: Option<Place>,
}

impl<'e, 'r, M: Media> Scan<'e, 'r, M> {
    pub(super) fn new(reader: Reader<'e, 'r, M>, order: Order) -> Self {
        let slot = match order {
            Order::OldestFirst => reader.log.ring.tail(),
            Order::NewestFirst => reader.log.ring.head(),
        };
        let walk = Walk::new(0, 0, 0);
        let window = heapless::Vec::new();
        let mut scan =
            Self { reader, order, slot, walk, window, below: 0, said: false, hurt: None };
        scan.enter(slot);
        scan
    }

    fn enter(&mut self, slot: Option<u32>) {
        self.slot = slot;
        let Some(slot) = slot else { return };
        let log = self.reader.log;
        self.walk = Walk::new(slot, log.layout().first_offset(), log.end_of(slot));
        self.below = log.end_of(slot);
    }

    /// The next block, without its body: reads its header only.
    ///
    /// # Errors
    /// The storage refused, a record is damaged, or the store is degraded: then the first call
    /// says so, and every call that meets a block that may be the past. (The scan goes on behind it when
    /// called again.)
    pub fn next_info(&mut self) -> Result<Option<BlockInfo>, ReadError<M::Error>> {
        let Some((header, place)) = self.advance()? else { return Ok(None) };
        let Record::Block { id, version, lens, .. } = header.record else { return Ok(None) };
        let sequence = self.reader.log.ring.position(place.slot, place.offset);
        Ok(Some(BlockInfo { id, version, lens, sequence }))
    }

    /// The next block.
    ///
    /// # Errors
    /// As [`next_info`](Self::next_info); or the scratch is too small.
    pub fn next_block(&mut self) -> Result<Option<BlockOf<'_, M>>, ReadError<M::Error>> {
        match self.advance()? {
            Some((header, place)) => self.reader.block_at(place, &header).map(Some),
            None => Ok(None),
        }
    }

    fn advance(&mut self) -> Result<Option<(Header, Place)>, ReadError<M::Error>> {
        self.reader.check_known()?;
        if let Some(damage) = self.reader.damage.filter(|_| !self.said) {
            self.said = true;
            return Err(damage.into());
        }
        let found = match self.order {
            Order::OldestFirst => self.forwards(),
            Order::NewestFirst => self.backwards(),
        }?;
        if let Some((_, place)) = found {
            let location = self.reader.log.layout().location(place.slot, place.offset);
            self.reader.check_newest(location)?;
        }
        Ok(found)
    }

    fn forwards(&mut self) -> Result<Option<(Header, Place)>, ReadError<M::Error>> {
        while let Some(slot) = self.slot {
            match self.walk.next(&mut self.reader.reading())? {
                Step::End => self.enter(self.reader.log.ring.after(slot)),
                Step::Invalid { offset } => {
                    let place = Place { slot, offset };
                    let (state, end) = (self.reader.state, self.reader.log.end_of(slot));
                    let (until, is_needed) =
                        state.damaged_span(&mut self.reader.reading(), place, end)?;
                    self.walk.skip_to(until);
                    if is_needed {
                        return Err(self.reader.corrupt(place));
                    }
                }
                Step::Record { header, offset, .. } => {
                    let place = Place { slot, offset };
                    if self.is_live_block(&header, place) {
                        return Ok(Some((header, place)));
                    }
                }
            }
        }
        Ok(None)
    }

    fn backwards(&mut self) -> Result<Option<(Header, Place)>, ReadError<M::Error>> {
        while let Some(slot) = self.slot {
            if let Some(offset) = self.window.pop() {
                let place = Place { slot, offset };
                let header = self.reader.reading().mended_header(place)?;
                let segment = self.reader.log.ring.slot(slot).number();
                let header = header.ok_or(ReadError::Corrupt { segment, offset })?;
                return Ok(Some((header, place)));
            }
            if self.below > self.reader.log.layout().first_offset() {
                self.fill_window(slot)?;
                if let Some(place) = self.hurt.take() {
                    return Err(self.reader.corrupt(place));
                }
            } else {
                let before = self.before(slot);
                self.enter(before);
            }
        }
        Ok(None)
    }

    /// The segment that came before the one in `slot`. O(segments).
    fn before(&self, slot: u32) -> Option<u32> {
        let ring = &self.reader.log.ring;
        ring.chain().find(|earlier| ring.after(*earlier) == Some(slot))
    }

    /// Takes the last live blocks below `below` into the window.
    fn fill_window(&mut self, slot: u32) -> Result<(), ReadError<M::Error>> {
        let log = self.reader.log;
        let from = self.covered_from(slot)?;
        let mut walk = Walk::new(slot, from, self.below);
        self.below = from;
        let mut left_out = false;
        loop {
            match walk.next(&mut self.reader.reading())? {
                Step::End => break,
                Step::Invalid { offset } => {
                    let (state, place) = (self.reader.state, Place { slot, offset });
                    let end = log.end_of(slot);
                    let (until, is_needed) =
                        state.damaged_span(&mut self.reader.reading(), place, end)?;
                    walk.skip_to(until);
                    self.hurt = if is_needed { Some(place) } else { self.hurt };
                }
                Step::Record { header, offset, .. } => {
                    if !self.is_live_block(&header, Place { slot, offset }) {
                        continue;
                    }
                    if self.window.is_full() {
                        left_out = true;
                        self.window.remove(0);
                    }
                    // There is room: one was taken out if there was none.
                    let _ = self.window.push(offset);
                }
            }
        }
        if let Some(oldest) = self.window.first().filter(|_| left_out) {
            // Those before it come in a later window.
            self.below = *oldest;
        }
        Ok(())
    }

    /// Where the index page that describes the records just below `below` begins to do so; else the
    /// segment's start.
    fn covered_from(&mut self, slot: u32) -> Result<u32, ReadError<M::Error>> {
        let log = self.reader.log;
        let first = log.layout().first_offset();
        let head = log.ring.head() == Some(slot);
        let mut page = if head { log.page().previous() } else { log.ring.slot(slot).index() };
        if head && log.page().first() < self.below && log.page().first() >= first {
            return Ok(log.page().first());
        }
        // Pages name the one before them, each at a lower offset.
        while page >= first {
            let place = Place { slot, offset: page };
            let Some(header) = self.reader.reading().header(place)? else { break };
            let Record::Index(index) = header.record else { break };
            let behind = page + log.bytes_of(&header) as u32;
            if behind < self.below {
                return Ok(behind);
            }
            if index.first < self.below {
                return Ok(index.first.max(first));
            }
            if index.previous >= page {
                break;
            }
            page = index.previous;
        }
        Ok(first)
    }

    fn is_live_block(&self, header: &Header, place: Place) -> bool {
        let Record::Block { number, .. } = header.record else { return false };
        let location: Location = self.reader.log.layout().location(place.slot, place.offset);
        self.reader.state.index.home(number) == location
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
    /// The storage refused, a record is damaged, or the store is degraded, as for a [`Scan`] (the
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
            let header = self.reader.reading().known_header(home)?;
            if let Some(id) = header.record.id() {
                return Ok(Some(*id));
            }
        }
        Ok(None)
    }
}
