//! Sealed tables: reading what a segment's records are about from its index pages, without touching the
//! records.
//!
//! A segment's pages name each other backwards, and the next segment's header names the last. A [`TableWalk`]
//! goes over a segment in log order, by its pages where they hold full columns and validate, and by the
//! records' own headers elsewhere: behind the last page, where a page is damaged, and in small segments,
//! whose pages hold no columns. So replaying a sealed segment costs its pages. Their columns are read into
//! those of the memtable, which has nothing to describe before a segment is opened.
//!
//! A page is believed where its checks hold and its columns agree with each other. It is no promise that a
//! record lies where the page says so: whoever goes there checks that record.

use super::page::TablePage;
use super::read::{BodyFlip, BodyState};
use super::walk::{Step, Walk};
use super::{Log, LogBytes, LogError};
use crate::format::{
    Column, IndexForm, IndexHeader, Kind, Outline, PageEntry, Place, Record, Subject, Tag,
};
use crate::storage::Storage;
use crate::types::BlockId;
use core::mem;

/// Pages of one segment that a walk remembers. Beyond these it goes through the pages from the last one
/// again.
const PAGES: usize = 8;
/// Tags that are read at once.
const TAGS: usize = 32;

/// An index page of full columns whose checks hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Where the page's own record lies. What it describes ends there.
    pub(super) place: Place,
    /// Where its columns start in the segment, in bytes.
    body: u32,
    pub(super) header: IndexHeader,
    /// A bit of its columns that is flipped.
    flip: Option<BodyFlip>,
}

impl Page {
    /// The page at a place; `None` if there is none that can be believed. O(its length), in small reads.
    fn open<E>(
        log: &mut dyn LogBytes<Error = E>,
        place: Place,
    ) -> Result<Option<Self>, LogError<E>> {
        let Some(header) = log.mended_header(place)? else { return Ok(None) };
        let Record::Index(index) = header.record else { return Ok(None) };
        if !is_plausible(log.log(), &index, place) {
            return Ok(None);
        }
        let flip = match log.body_state(place, &header)? {
            BodyState::Sound => None,
            BodyState::OneBit(flip) => Some(flip),
            BodyState::Damaged => return Ok(None),
        };
        Ok(Some(Self { place, body: place.offset + header.bytes, header: index, flip }))
    }

    /// Reads bytes of a column from entry `first` of it on, with the flipped bit mended.
    ///
    /// # Errors
    /// The storage refused.
    pub(super) fn column<E>(
        &self,
        log: &mut dyn LogBytes<Error = E>,
        column: Column,
        first: u32,
        into: &mut [u8],
    ) -> Result<(), LogError<E>> {
        // Within the body, whose length is 32 bits.
        let at = self.header.column(column) as u32 + first * column.width();
        log.read(self.place.slot, self.body + at, into)?;
        self.flip.iter().for_each(|flip| flip.mend(into, at));
        Ok(())
    }

    /// The offset of the record that entry `at` describes; that of the page behind the last one.
    fn offset<E>(&self, log: &mut dyn LogBytes<Error = E>, at: u32) -> Result<u32, LogError<E>> {
        if at >= self.header.entries {
            return Ok(self.place.offset);
        }
        let mut offset = [0; 4];
        self.column(log, Column::Offsets, at, &mut offset)?;
        Ok(u32::from_le_bytes(offset))
    }

    /// How many of the entries before `at` hold ids, and how many are changes of edges.
    fn ranks<E>(
        &self,
        log: &mut dyn LogBytes<Error = E>,
        at: u32,
    ) -> Result<(u32, u32), LogError<E>> {
        let (mut ids, mut edges) = (0, 0);
        for first in (0..at).step_by(TAGS) {
            let mut tags = [0; TAGS];
            let tags = tags.get_mut(..(at - first).min(TAGS as u32) as usize).unwrap_or_default();
            self.column(log, Column::Tags, first, tags)?;
            for kind in tags.iter().filter_map(|tag| Tag::new(*tag)).map(Tag::kind) {
                ids += u32::from(kind.has_id());
                edges += u32::from(kind.is_edge());
            }
        }
        Ok((ids, edges))
    }

    /// What the columns say at a cursor; `None` where they contradict each other.
    fn entry<E>(
        &self,
        log: &mut dyn LogBytes<Error = E>,
        at: Cursor,
    ) -> Result<Option<PageEntry>, LogError<E>> {
        let end = self.offset(log, at.next + 1)?;
        let (mut tag, mut number) = ([0], [0; 4]);
        self.column(log, Column::Tags, at.next, &mut tag)?;
        self.column(log, Column::Numbers, at.next, &mut number)?;
        let (mut id, mut version, mut target, mut kind) = ([0; 16], [0; 8], [0; 4], [0; 2]);
        let Some(tag) = Tag::new(tag[0]) else { return Ok(None) };
        let has_id = tag.kind().has_id() && at.ids < self.header.ids;
        let is_edge = tag.kind().is_edge() && at.edges < self.header.edges;
        if has_id {
            self.column(log, Column::Ids, at.ids, &mut id)?;
            self.column(log, Column::Versions, at.ids, &mut version)?;
        }
        if is_edge {
            self.column(log, Column::Targets, at.edges, &mut target)?;
            self.column(log, Column::Kinds, at.edges, &mut kind)?;
        }
        let lacks = has_id != tag.kind().has_id() || is_edge != tag.kind().is_edge();
        if lacks || end <= at.offset || end > self.place.offset {
            return Ok(None);
        }
        Ok(Some(PageEntry {
            tag,
            number: u32::from_le_bytes(number),
            id: BlockId::new(id),
            version: u64::from_le_bytes(version),
            target: u32::from_le_bytes(target),
            edge_kind: u16::from_le_bytes(kind),
            bytes: end - at.offset,
        }))
    }

    /// What its columns say of the record at an offset, if they tell all of it.
    // Its frame is none of those below which the page is opened.
    #[inline(never)]
    fn outline_at<E>(
        &self,
        log: &mut dyn LogBytes<Error = E>,
        offset: u32,
    ) -> Result<Option<Outline>, LogError<E>> {
        let Some(next) = self.find(log, offset)? else { return Ok(None) };
        let (ids, edges) = self.ranks(log, next)?;
        let entry = self.entry(log, Cursor { next, ids, edges, offset })?;
        let align = log.log().layout().align();
        Ok(entry.and_then(|entry| entry.outline(align)))
    }

    /// The entry of the record at an offset, if it has one. A binary search; the columns may lie, so that
    /// what is found is as good as they are.
    fn find<E>(
        &self,
        log: &mut dyn LogBytes<Error = E>,
        offset: u32,
    ) -> Result<Option<u32>, LogError<E>> {
        let (mut low, mut high) = (0, self.header.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.offset(log, middle)? < offset { low = middle + 1 } else { high = middle }
        }
        Ok((self.offset(log, low)? == offset && low < self.header.entries).then_some(low))
    }
}

/// Whether the page at a place may describe what it says.
fn is_plausible(log: &Log<'_>, index: &IndexHeader, place: Place) -> bool {
    index.entries > 0
        && index.entries <= log.layout().index_form().entries_max()
        && index.ids <= index.entries
        && index.edges <= index.entries - index.ids
        && index.first >= log.layout().first_offset()
        && index.first < place.offset
        && index.previous < index.first
        && log.layout().is_aligned(index.first)
        && log.layout().is_aligned(index.previous)
}

/// Where the last index page of the segment in a slot lies that is on media; 0 if there is none.
fn last_page(log: &Log<'_>, slot: u32) -> u32 {
    let is_open = log.at() > 0 && log.ring.head() == Some(slot);
    if is_open { log.page().previous() } else { log.ring.slot(slot).index() }
}

/// What the index says of the record at a place, whose own header cannot be read; `None` where it says
/// nothing. Reads the headers of the segment's pages from the last one back to that one, and that one whole.
///
/// # Errors
/// The storage refused.
#[cold]
pub(super) fn named<E>(
    log: &mut dyn LogBytes<Error = E>,
    at: Place,
) -> Result<Option<Outline>, LogError<E>> {
    let mut offset = last_page(log.log(), at.slot);
    // Where what follows the page begins, if that is known.
    let slot = log.log().ring.slot(at.slot);
    let mut behind = slot.is_sealed().then(|| slot.end());
    // Each page lies before the one that names it.
    while offset > at.offset {
        let place = Place { slot: at.slot, offset };
        let Some(header) = log.mended_header(place)? else { break };
        let Record::Index(index) = header.record else { break };
        if !is_plausible(log.log(), &index, place) {
            break;
        }
        if index.first <= at.offset {
            return entry_at(log, place, at.offset);
        }
        (offset, behind) = (index.previous, Some(index.first));
    }
    // It is itself a page: what it described can be read without it.
    let is_page = offset == at.offset;
    let bytes = behind.filter(|_| is_page).and_then(|behind| behind.checked_sub(offset));
    let tag = Tag::of(Kind::Index);
    // (A walk that did not move on would not end.)
    let bytes = bytes.filter(|bytes| *bytes > 0);
    Ok(bytes.map(|bytes| Outline { tag, subject: Subject::Log, bytes }))
}

/// What the page at a place says of the record at an offset, if it tells all of it.
fn entry_at<E>(
    log: &mut dyn LogBytes<Error = E>,
    page: Place,
    offset: u32,
) -> Result<Option<Outline>, LogError<E>> {
    if log.log().layout().index_form() != IndexForm::Columns {
        return Ok(None);
    }
    let Some(page) = Page::open(log, page)? else { return Ok(None) };
    page.outline_at(log, offset)
}

/// A place among the entries of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor {
    /// The entry, and how many before it hold ids and are changes of edges.
    pub(super) next: u32,
    pub(super) ids: u32,
    pub(super) edges: u32,
    /// Where its record starts, in bytes.
    pub(super) offset: u32,
}

/// A walk over what the records of one segment are about, in log order, by index pages where that is
/// possible. It holds no borrow.
#[derive(Clone, Debug)]
pub struct TableWalk {
    headers: Walk,
    slot: u32,
    /// Where the last index page lies by which it goes; 0 if it goes by headers only.
    last: u32,
    /// Pages ahead, the next one last: where each lies, and where the first record that it describes starts.
    ahead: heapless::Vec<(u32, u32), PAGES>,
    /// Whether there are more pages behind these.
    more: bool,
    /// The page that it is in, and where in it.
    inside: Option<(Page, Cursor)>,
}

/// What a walk over a table met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableStep {
    /// A record.
    Record {
        /// What it is about.
        outline: Outline,
        /// Where it starts in the segment, in bytes.
        offset: u32,
    },
    /// Bytes that are no valid record, where there should be one.
    Invalid {
        /// Where they start in the segment, in bytes.
        offset: u32,
    },
    /// The end.
    End,
}

impl TableWalk {
    /// A walk over the segment in `slot` from offset `from` up to `end`, by its index pages. While a segment
    /// is open for writing, its pages and those of all others are passed over.
    pub fn by_pages(log: &Log<'_>, slot: u32, from: u32, end: u32) -> Self {
        let goes_by_pages = log.layout().index_form() == IndexForm::Columns && log.at() == 0;
        // What lies beyond the end is void.
        let last = if goes_by_pages { last_page(log, slot) } else { 0 };
        let last = if last < end { last } else { 0 };
        Self { last, more: last > from, ..Self::by_headers(slot, from, end) }
    }

    /// A walk over the segment in `slot` from offset `from` up to `end`, by its records' headers.
    pub const fn by_headers(slot: u32, from: u32, end: u32) -> Self {
        let headers = Walk::new(slot, from, end);
        Self { headers, slot, last: 0, ahead: heapless::Vec::new(), more: false, inside: None }
    }

    /// The slot of the segment.
    pub const fn slot(&self) -> u32 {
        self.slot
    }

    /// Offset of the next step, in bytes.
    pub const fn at(&self) -> u32 {
        self.headers.at()
    }

    /// A walk that stands at the record that this one has just met, of which outline and offset are given.
    #[must_use]
    pub fn back_at(&self, outline: &Outline, offset: u32) -> Self {
        let mut back = self.clone();
        back.headers.skip_to(offset);
        let kind = outline.tag.kind();
        if let Some((_, cursor)) = &mut back.inside {
            cursor.next = cursor.next.saturating_sub(1);
            cursor.ids = cursor.ids.saturating_sub(u32::from(kind.has_id()));
            cursor.edges = cursor.edges.saturating_sub(u32::from(kind.is_edge()));
            cursor.offset = offset;
        }
        back
    }

    /// Goes on from another offset, after [`TableStep::Invalid`].
    pub const fn skip_to(&mut self, offset: u32) {
        self.headers.skip_to(offset);
    }

    /// The next record. After [`TableStep::Invalid`] it stays where it is until [`skip_to`](Self::skip_to).
    ///
    /// # Errors
    /// The storage refused.
    pub fn next<S: Storage>(
        &mut self,
        log: &mut Log<'_>,
        storage: &mut S,
    ) -> Result<TableStep, LogError<S::Error>> {
        if self.inside.is_none() {
            self.enter_page(log, storage)?;
        }
        if let Some(step) = self.by_page(log, storage)? {
            return Ok(step);
        }
        let step = self.by_header(log, storage)?;
        // It stays in the page where the record ends where the page says.
        let at = self.headers.at();
        if self.inside.as_ref().is_some_and(|(_, cursor)| cursor.offset != at) {
            self.inside = None;
        }
        Ok(step)
    }

    /// The next record by the page that it is in; `None` where its own header has to tell. The page's cursor
    /// is then behind it, unless nothing more is to be had from the page.
    // Its frame is given back before headers are read, which takes much of the stack.
    #[cfg_attr(target_os = "none", inline(never))]
    fn by_page<S: Storage>(
        &mut self,
        log: &mut Log<'_>,
        storage: &mut S,
    ) -> Result<Option<TableStep>, LogError<S::Error>> {
        let Some((page, cursor)) = self.inside else { return Ok(None) };
        if cursor.offset >= self.headers.end() {
            return Ok(Some(TableStep::End));
        }
        let entry = log.table_entry(storage, page, cursor)?;
        let left = self.headers.end() - cursor.offset;
        let is_next = cursor.offset == self.headers.at();
        let Some(entry) = entry.filter(|entry| is_next && entry.bytes <= left) else {
            // Behind the last entry, or where the page contradicts itself.
            self.inside = None;
            return Ok(None);
        };
        self.inside = Some((page, cursor.behind(&entry)));
        let Some(outline) = entry.outline(log.layout().align()) else { return Ok(None) };
        self.headers.skip_to(cursor.offset + entry.bytes);
        Ok(Some(TableStep::Record { outline, offset: cursor.offset }))
    }

    /// The next record by its own header.
    fn by_header<S: Storage>(
        &mut self,
        log: &mut Log<'_>,
        storage: &mut S,
    ) -> Result<TableStep, LogError<S::Error>> {
        Ok(match self.headers.next(log.on(storage).erased())? {
            Step::Record { header, offset, .. } => {
                TableStep::Record { outline: log.outline_of(&header), offset }
            }
            Step::Named { outline, offset } => TableStep::Record { outline, offset },
            Step::Invalid { offset } => TableStep::Invalid { offset },
            Step::End => TableStep::End,
        })
    }

    /// Turns to the page that describes the next record, if there is one that can be believed.
    fn enter_page<S: Storage>(
        &mut self,
        log: &mut Log<'_>,
        storage: &mut S,
    ) -> Result<(), LogError<S::Error>> {
        let at = self.headers.at();
        if self.ahead.is_empty() && self.more {
            self.look_ahead(&mut log.on(storage))?;
        }
        // Each turn passes a page.
        while let Some((page, first)) = self.ahead.last().copied() {
            if at < first {
                break;
            }
            self.ahead.pop();
            // In the middle of a page, the records before the next one go by their headers.
            if at == first {
                let place = Place { slot: self.slot, offset: page };
                let page = Page::open(&mut log.on(storage), place)?;
                self.inside = page.map(|page| (page, Cursor::first(&page)));
                break;
            }
        }
        Ok(())
    }

    /// Finds the next pages, from the last one back. O(pages of the segment) headers.
    fn look_ahead<E>(&mut self, log: &mut dyn LogBytes<Error = E>) -> Result<(), LogError<E>> {
        let (mut page, at) = (self.last, self.headers.at());
        self.more = false;
        while page > at {
            let place = Place { slot: self.slot, offset: page };
            let Some(header) = log.mended_header(place)? else { break };
            let Record::Index(index) = header.record else { break };
            if !is_plausible(log.log(), &index, place) {
                break;
            }
            if let Err(mut next) = self.ahead.push((page, index.first)) {
                // The first one makes room: each takes the place before it.
                self.ahead.iter_mut().rev().for_each(|place| mem::swap(place, &mut next));
                self.more = true;
            }
            if index.first <= at {
                break;
            }
            page = index.previous;
        }
        Ok(())
    }
}

impl Cursor {
    /// The first entry of a page.
    const fn first(page: &Page) -> Self {
        Self { next: 0, ids: 0, edges: 0, offset: page.header.first }
    }

    /// The entry behind this one.
    fn behind(self, entry: &PageEntry) -> Self {
        let kind = entry.tag.kind();
        Self {
            next: self.next + 1,
            ids: self.ids + u32::from(kind.has_id()),
            edges: self.edges + u32::from(kind.is_edge()),
            offset: self.offset + entry.bytes,
        }
    }
}

impl Log<'_> {
    /// The entry of a page; `None` behind the last one, and where the page contradicts itself. The page stays
    /// in the memtable's columns until another one is asked for, or a segment is opened: from then on the
    /// columns describe that, and no page is read. (A batch that began in a sealed segment may end in the one
    /// that an opening writes.)
    fn table_entry<S: Storage>(
        &mut self,
        storage: &mut S,
        page: Page,
        at: Cursor,
    ) -> Result<Option<PageEntry>, LogError<S::Error>> {
        if self.at > 0 {
            return Ok(None);
        }
        let mut table = match self.table.take() {
            Some(table) => table,
            None => TablePage::over(&mut self.page),
        };
        let is_there = table.page().is_some_and(|there| there.place == page.place);
        let loaded = if is_there { Ok(()) } else { table.load(&mut self.on(storage), page) };
        let entry = table.entry(at).filter(|entry| self.layout.is_aligned(entry.bytes));
        self.table = Some(table);
        loaded.map(|()| entry)
    }

    /// The memtable has its columns again.
    pub(super) fn end_reading(&mut self) {
        if let Some(table) = self.table.take() {
            self.page = table.reopen();
        }
    }
}
