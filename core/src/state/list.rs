//! Reading a node's adjacency on the writing side: entry by entry, through a small window, holding no borrow.

use super::{Adjacency, State};
use crate::edges::Half;
use crate::format::{ENTRY_BYTES, Record, entry_key};
use crate::log::{BodyFlip, BodyState, LogBytes, LogError};
use crate::types::{Direction, EdgeKey, EdgeKind, KeyRange, Location, NodeNumber};

/// Entries that are read at once.
const WINDOW: u32 = 32;

/// A record of the list, and which part of it counts.
#[derive(Clone, Copy)]
struct Page {
    range: KeyRange,
    location: Location,
    entries: u32,
    /// Where its entries start in the segment, in bytes.
    body: u32,
    next: u32,
    /// A bit of the entries that is flipped.
    flip: Option<BodyFlip>,
}

/// The folded edges of a node in one direction, in key order, from some key on. What is pending is
/// not among them.
///
/// It holds no borrow: the state may change between two calls of [`next`](Self::next) as long as
/// the list does not. Records that hold none of its keys are not looked at: they may be damaged.
pub struct List {
    node: NodeNumber,
    direction: Direction,
    /// Where it ends, if not with the last key.
    high: Option<EdgeKey>,
    page: Option<Page>,
    window: [u8; (WINDOW * ENTRY_BYTES) as usize],
    window_first: u32,
    window_len: u32,
}

impl List {
    /// A list up to, but not including, `high`, or up to its end. It stands nowhere before it is
    /// [started](Self::start). (It is large: so it is started where it lies, and never moved.)
    pub const fn new((node, direction): (NodeNumber, Direction), high: Option<EdgeKey>) -> Self {
        Self {
            node,
            direction,
            high,
            page: None,
            window: [0; (WINDOW * ENTRY_BYTES) as usize],
            window_first: 0,
            window_len: 0,
        }
    }

    /// Goes to the first edge whose key is at least `from`. One binary search in one record.
    ///
    /// # Errors
    /// The storage refused, or a record of the list is damaged.
    pub fn start<E>(
        &mut self,
        log: &mut dyn LogBytes<Error = E>,
        state: &State<'_>,
        from: EdgeKey,
    ) -> Result<(), LogError<E>> {
        self.enter(log, state, from)?;
        self.seek(log, from)
    }

    /// How many entries the record has that the list stands in; 0 if there is none.
    pub fn record_entries(&self) -> u32 {
        self.page.map_or(0, |page| page.entries)
    }

    /// Turns to the record that covers `key`.
    fn enter<E>(
        &mut self,
        log: &mut dyn LogBytes<Error = E>,
        state: &State<'_>,
        key: EdgeKey,
    ) -> Result<(), LogError<E>> {
        self.window_len = 0;
        self.page = None;
        let (range, location) = match state.adjacency(self.node, self.direction) {
            Adjacency::None => return Ok(()),
            Adjacency::Record(location) => (KeyRange::ALL, location),
            Adjacency::Pages(chain) => match state.hubs.page_of(chain, key) {
                Some(found) => found,
                None => return Ok(()),
            },
        };
        let mut page = Page { range, location, entries: 0, body: 0, next: 0, flip: None };
        if !location.is_none() {
            let header = log.known_header(location)?;
            let place = log.log().layout().place(location);
            let Some(entries) = self.entries_of(&header.record, range) else {
                return Err(log.log().corrupt(place));
            };
            // Entries of a damaged list would be other edges: it is checked whenever it is read.
            page.flip = match log.body_state(place, &header)? {
                BodyState::Sound => None,
                BodyState::OneBit(flip) => Some(flip),
                BodyState::Damaged => return Err(log.log().corrupt(place)),
            };
            page.entries = entries;
            page.body = place.offset + header.bytes;
        }
        self.page = Some(page);
        Ok(())
    }

    /// How many entries the record has, if it is what the list needs there: its own, over all of the range.
    fn entries_of(&self, record: &Record, needed: KeyRange) -> Option<u32> {
        let Record::Adjacency { number, direction, entries, range } = *record else { return None };
        let covers = range.is_none_or(|range| range.covers(needed));
        (number == self.node && direction == self.direction && covers).then_some(entries)
    }

    /// Goes to the first entry of this record that is at least `key`.
    fn seek<E>(
        &mut self,
        log: &mut dyn LogBytes<Error = E>,
        key: EdgeKey,
    ) -> Result<(), LogError<E>> {
        let Some(mut page) = self.page else { return Ok(()) };
        if key > EdgeKey::MIN {
            let (mut low, mut high) = (0, page.entries);
            while low < high {
                let middle = low + (high - low) / 2;
                let mut bytes = [0; ENTRY_BYTES as usize];
                let slot = log.log().layout().place(page.location).slot;
                log.read(slot, page.body + middle * ENTRY_BYTES, &mut bytes)?;
                page.flip.iter().for_each(|flip| flip.mend(&mut bytes, middle * ENTRY_BYTES));
                if entry_key(&bytes) < key { low = middle + 1 } else { high = middle }
            }
            page.next = low;
        }
        self.page = Some(page);
        Ok(())
    }

    /// The next edge.
    ///
    /// # Errors
    /// The storage refused, or a record of the list is damaged.
    pub fn next<E>(
        &mut self,
        log: &mut dyn LogBytes<Error = E>,
        state: &State<'_>,
    ) -> Result<Option<EdgeKey>, LogError<E>> {
        while let Some(mut page) = self.page {
            let inside = match self.entry(log, &page)? {
                Some(key) => page.range.high.is_none_or(|high| key < high).then_some(key),
                None => None,
            };
            let Some(key) = inside else {
                match page.range.high.filter(|high| self.high.is_none_or(|end| *high < end)) {
                    None => self.page = None,
                    Some(high) => self.start(log, state, high)?,
                }
                continue;
            };
            if self.high.is_some_and(|end| key >= end) {
                self.page = None;
                break;
            }
            page.next += 1;
            self.page = Some(page);
            if key >= page.range.low {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The entry that the page stands at, through the window.
    fn entry<E>(
        &mut self,
        log: &mut dyn LogBytes<Error = E>,
        page: &Page,
    ) -> Result<Option<EdgeKey>, LogError<E>> {
        if page.next >= page.entries {
            return Ok(None);
        }
        let in_window = page.next.wrapping_sub(self.window_first);
        if self.window_len == 0 || in_window >= self.window_len {
            self.window_first = page.next;
            self.window_len = (page.entries - page.next).min(WINDOW);
            let bytes = (self.window_len * ENTRY_BYTES) as usize;
            let slot = log.log().layout().place(page.location).slot;
            let at = page.body + page.next * ENTRY_BYTES;
            let into = self.window.get_mut(..bytes).unwrap_or_default();
            log.read(slot, at, into)?;
            page.flip.iter().for_each(|flip| flip.mend(into, page.next * ENTRY_BYTES));
        }
        let start = ((page.next - self.window_first) * ENTRY_BYTES) as usize;
        Ok(self.window.get(start..).and_then(|rest| rest.first_chunk()).map(entry_key))
    }
}

impl<'r> State<'r> {
    /// What is pending of one edge for one list. O(1) expected.
    pub fn pending_half(
        &self,
        (node, direction): (NodeNumber, Direction),
        key: EdgeKey,
    ) -> Option<Half> {
        let (source, target) = match direction {
            Direction::Out => (node, key.number),
            Direction::In => (key.number, node),
        };
        self.pending.half(source, EdgeKind(key.kind), target, direction)
    }

    /// Whether the edge is there: folded or pending. One or two binary searches.
    ///
    /// # Errors
    /// The storage refused, or a record of the list is damaged.
    pub fn has_edge<E>(
        &self,
        log: &mut dyn LogBytes<Error = E>,
        source: NodeNumber,
        key: EdgeKey,
    ) -> Result<bool, LogError<E>> {
        if let Some(half) = self.pending_half((source, Direction::Out), key) {
            return Ok(half.add);
        }
        let mut list = List::new((source, Direction::Out), None);
        list.start(log, self, key)?;
        Ok(list.next(log, self)? == Some(key))
    }
}
