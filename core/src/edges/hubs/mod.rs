//! Where the pages of long adjacency lists lie.
//!
//! A list that exceeds one adjacency record is cut into pages, each a record with a stretch of the keys. A
//! chain names them, in key order; it covers every key, without gap or overlap, however the records came to
//! be:
//!
//! ```text
//! page    next u32 | location u32 | low.number u32 | low.kind u16 | flags u16
//! chain   low = MIN -> low = (3, 70) -> low = (9, 0) -> end         each covers the keys up to the next
//! handle  a link to the first page                                 in place of the list's location
//! ```
//!
//! A record that lies later in the log covers what lay there before, whole or in part: half of an older page
//! may still count, or both its ends. A page is dead, and said to be, when nothing of it counts any more.
//!
//! The first page of a chain starts at the least key and stays in its slot, so that the handle does. A handle
//! to a chain that is gone is refused, unless the 256th page after it in the same slot begins a chain again.
//!
//! Invariants, which [`HubPages::check`] walks: a chain starts at the least key and ascends; each page in use
//! lies in one chain; pages of a chain with the same location all know that it is shared.

mod check;
#[cfg(test)]
mod tests;

use crate::memory::{Footprint, Link, Pool, RegionTooSmall, StorageCoordinator};
use crate::types::{EdgeKey, KeyRange, Location, NodeNumber};
use core::fmt;
use core::mem::replace;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use check::HubFault;

/// Names the pages of one node's list in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HubChain(u32);

impl HubChain {
    fn new(first: Link<Page>) -> Self {
        Self(first.to_raw())
    }

    /// The handle that [`get`](Self::get) took apart; any other number is refused wherever it is used.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The handle as a number below 2^31, and not 0.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The first page of the chain.
    const fn first(self) -> Link<Page> {
        Link::from_raw(self.0)
    }
}

/// Why the pages of a list could not be changed. Nothing was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HubError {
    /// More pages than there are places.
    Full {
        /// How many pages would have to fit.
        needed: u32,
        /// How many fit.
        capacity: u32,
    },
    /// The handle names no chain: it is gone, or never was.
    NoChain,
    /// The range holds no key.
    EmptyRange,
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { needed, capacity } => {
                write!(f, "{needed} pages of adjacency lists, where {capacity} fit")
            }
            Self::NoChain => f.write_str("the handle names no list of pages"),
            Self::EmptyRange => f.write_str("a page has to cover some key"),
        }
    }
}

impl core::error::Error for HubError {}

/// Flags of a page: the first of its chain; its record may be that of another page of the chain, too.
const FIRST: u16 = 1;
const SHARED: u16 = 2;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Page {
    next: Link<Page>,
    location: Location,
    number: NodeNumber,
    kind: u16,
    flags: u16,
}

const _: () = assert!(size_of::<Page>() == 16);

impl Page {
    fn new(low: EdgeKey, location: Location, flags: u16) -> Self {
        let EdgeKey { kind, number } = low;
        Self { next: Link::NONE, location, number, kind, flags }
    }

    fn low(&self) -> EdgeKey {
        EdgeKey { kind: self.kind, number: self.number }
    }

    fn set_low(&mut self, low: EdgeKey) {
        (self.kind, self.number) = (low.kind, low.number);
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// What a page about to be placed meets in its chain.
struct Survey {
    /// The last page that starts at or before the range.
    before: Link<Page>,
    /// Whether it starts where the range does, and so makes way.
    starts_at_low: bool,
    /// The last page that starts before the end of the range.
    last: Link<Page>,
    /// How many start behind the start of the range, and before its end.
    inside: u32,
    /// The range's end, if the last page goes on behind it.
    remainder: Option<EdgeKey>,
}

impl Survey {
    /// Pages that have to be made: the placed one, and the remainder of a page that is cut in the middle.
    fn made(&self) -> u32 {
        u32::from(!self.starts_at_low) + u32::from(self.remainder.is_some() && self.inside == 0)
    }

    /// Pages that go: all inside, but for the last of them if it moves up to be the remainder.
    fn removed(&self) -> u32 {
        self.inside - u32::from(self.remainder.is_some() && self.inside > 0)
    }
}

/// A pool of the pages of long adjacency lists. See the [room](crate::edges).
#[derive(Debug)]
pub struct HubPages<'r> {
    pages: Pool<'r, Page>,
}

impl<'r> HubPages<'r> {
    /// The most pages that a pool can have.
    pub const CAPACITY_MAX: u32 = Pool::<Page>::SLOTS_MAX as u32;

    /// Adds what a pool of this capacity takes: 20 bytes a page.
    pub const fn footprint(before: Footprint, capacity: u32) -> Footprint {
        before.pool::<Page>(capacity as usize)
    }

    /// An empty pool with places for `capacity` pages.
    ///
    /// # Errors
    /// The region has less than the [`footprint`](Self::footprint) left.
    pub fn new(memory: &mut StorageCoordinator<'r>, capacity: u32) -> Result<Self, RegionTooSmall> {
        Ok(Self { pages: memory.pool_of(capacity as usize)? })
    }

    /// How many pages fit.
    pub fn capacity(&self) -> u32 {
        self.pages.capacity() as u32 // made from a u32
    }

    /// How many pages there are, in all chains. A record that is covered in its middle counts as two.
    pub fn len(&self) -> u32 {
        self.pages.in_use() as u32 // at most the capacity
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many places are left.
    pub fn free(&self) -> u32 {
        self.capacity() - self.len()
    }

    /// The most pages that there ever were at once.
    pub fn high_water(&self) -> u32 {
        self.pages.high_water() as u32 // at most the capacity
    }

    /// Forgets every chain. O(capacity).
    pub fn clear(&mut self) {
        self.pages.clear();
    }

    /// Begins a chain with one page, which covers every key. O(1).
    ///
    /// [`Location::NONE`] is a page without a record, for a list whose first pages are yet to come: it shows
    /// up as any other does, but is never reported dead.
    ///
    /// # Errors
    /// [`HubError::Full`].
    pub fn begin(&mut self, location: Location) -> Result<HubChain, HubError> {
        let full = self.full(1);
        let first = self.pages.acquire(Page::new(EdgeKey::MIN, location, FIRST));
        Ok(HubChain::new(first.map_err(|_| full)?.link()))
    }

    /// A page record that covers `range` lies at `location`, later in the log than all others of the chain:
    /// it covers what they had there. Hands `dead` the location of each record of which nothing counts any
    /// more, once. To place the newest record again changes nothing; no other page may lie at its location.
    ///
    /// O(pages of the chain), and as much again for each record that was cut in parts and loses one.
    ///
    /// # Errors
    /// [`HubError::Full`], [`HubError::NoChain`], [`HubError::EmptyRange`]; nothing has changed.
    pub fn place(
        &mut self,
        chain: HubChain,
        range: KeyRange,
        location: Location,
        mut dead: impl FnMut(Location),
    ) -> Result<(), HubError> {
        let first = self.first(chain).ok_or(HubError::NoChain)?;
        if range.high.is_some_and(|high| high <= range.low) {
            return Err(HubError::EmptyRange);
        }
        let survey = self.survey(first, range).ok_or(HubError::NoChain)?;
        if survey.made() > self.free() + survey.removed() {
            return Err(self.full(survey.made() - survey.removed()));
        }

        if let Some(high) = survey.remainder {
            self.leave_remainder(&survey, high);
        }
        for _ in 0..survey.removed() {
            if let Some(page) = self.remove_after(survey.before) {
                self.bury(first, page, location, &mut dead);
            }
        }
        if survey.starts_at_low {
            if let Ok(page) = self.pages.get_mut(survey.before) {
                let flags = page.flags & !SHARED;
                let covered = replace(page, Page { location, flags, ..*page });
                self.bury(first, covered, location, &mut dead);
            }
        } else {
            self.insert_after(survey.before, Page::new(range.low, location, 0));
        }
        Ok(())
    }

    /// The page that holds this key, if it exists: what it covers, and where it lies. `None` if there is no
    /// such chain. O(pages of the chain).
    pub fn page_of(&self, chain: HubChain, key: EdgeKey) -> Option<(KeyRange, Location)> {
        self.pages(chain).take_while(|(range, _)| range.low <= key).last()
    }

    /// The pages of a chain in key order, which cover every key; nothing if there is no such chain. A record
    /// that was covered in its middle shows up more than once. O(1) each.
    pub fn pages(&self, chain: HubChain) -> impl Iterator<Item = (KeyRange, Location)> {
        self.walk(self.first(chain).unwrap_or(Link::NONE)).map(|page| {
            let high = self.pages.get(page.next).ok().map(Page::low);
            (KeyRange { low: page.low(), high }, page.location)
        })
    }

    /// Where the pages of all chains lie. O(capacity) for all.
    pub fn locations(&self) -> impl Iterator<Item = Location> {
        self.pages.iter().map(|(_, page)| page.location)
    }

    /// If one page is left, which covers every key, ends the chain and returns where that page lies. O(1).
    pub fn collapse(&mut self, chain: HubChain) -> Option<Location> {
        let first = self.first(chain)?;
        let page = self.pages.get(first).ok().filter(|page| page.next.is_none())?;
        let location = page.location;
        self.pages.release(first).ok()?;
        Some(location)
    }

    /// Ends the chain, and hands `dead` the location of each of its records, once. Nothing if there is no
    /// such chain. O(pages of the chain), and as much again for each record that was cut in parts.
    pub fn drop_chain(&mut self, chain: HubChain, mut dead: impl FnMut(Location)) {
        let Some(first) = self.first(chain) else { return };
        for _ in 0..self.len() {
            let Some(page) = self.remove_after(first) else { break };
            self.bury(first, page, Location::NONE, &mut dead);
        }
        if let Ok(page) = self.pages.release(first) {
            self.bury(Link::NONE, page, Location::NONE, &mut dead);
        }
    }

    /// The error when `more` pages than there are do not fit.
    fn full(&self, more: u32) -> HubError {
        HubError::Full { needed: self.len() + more, capacity: self.capacity() }
    }

    /// The first page of the chain, if the handle names one.
    fn first(&self, chain: HubChain) -> Option<Link<Page>> {
        let first = chain.first();
        self.pages.get(first).is_ok_and(|page| page.has(FIRST)).then_some(first)
    }

    /// The pages from `at` to the end of its chain.
    fn walk(&self, mut at: Link<Page>) -> impl Iterator<Item = &Page> {
        let pages = core::iter::from_fn(move || {
            let page = self.pages.get(at).ok()?;
            at = page.next;
            Some(page)
        });
        pages.take(self.len() as usize)
    }

    /// Looks at what a page over `range` meets, and changes nothing. `None` if there is no page at `first`.
    fn survey(&self, first: Link<Page>, range: KeyRange) -> Option<Survey> {
        let is_before_end = |low: EdgeKey| range.high.is_none_or(|high| low < high);
        let mut survey = Survey {
            before: first,
            starts_at_low: self.pages.get(first).ok()?.low() == range.low,
            last: first,
            inside: 0,
            remainder: None,
        };
        let mut at = first;
        for page in self.walk(first) {
            if page.low() <= range.low {
                survey.before = at;
                survey.starts_at_low = page.low() == range.low;
            } else if is_before_end(page.low()) {
                survey.inside += 1;
            } else {
                break;
            }
            survey.last = at;
            at = page.next;
        }
        let end = self.pages.get(at).ok().map(Page::low);
        survey.remainder = range.high.filter(|high| end != Some(*high));
        Some(survey)
    }

    /// What the last page covers behind the end of the range stays its own.
    fn leave_remainder(&mut self, survey: &Survey, high: EdgeKey) {
        let Ok(page) = self.pages.get_mut(survey.last) else { return };
        if survey.inside > 0 {
            page.set_low(high);
        } else {
            page.flags |= SHARED;
            let remainder = Page::new(high, page.location, SHARED);
            self.insert_after(survey.last, remainder);
        }
    }

    fn insert_after(&mut self, before: Link<Page>, page: Page) {
        let Ok(next) = self.pages.get(before).map(|page| page.next) else { return };
        let Ok(handle) = self.pages.acquire(Page { next, ..page }) else { return };
        if let Ok(before) = self.pages.get_mut(before) {
            before.next = handle.link();
        }
    }

    fn remove_after(&mut self, before: Link<Page>) -> Option<Page> {
        let link = self.pages.get(before).ok()?.next;
        let page = self.pages.release(link).ok()?;
        self.pages.get_mut(before).ok()?.next = page.next;
        Some(page)
    }

    /// Reports the record of a page that went, unless something of it counts still: it is `placed` just now,
    /// or another page of the chain lies in it.
    fn bury(
        &self,
        first: Link<Page>,
        page: Page,
        placed: Location,
        dead: &mut impl FnMut(Location),
    ) {
        let is_elsewhere = || self.walk(first).any(|other| other.location == page.location);
        let is_record = !page.location.is_none() && page.location != placed;
        if is_record && !(page.has(SHARED) && is_elsewhere()) {
            dead(page.location);
        }
    }
}
