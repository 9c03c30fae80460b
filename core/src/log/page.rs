//! The memtable: columns that describe the newest records of the open segment until an index page holds them.
//!
//! A page is open, sealed, and open again, in the same columns: [`OpenPage`] takes records and cannot be
//! written, [`SealedPage`] can be written and takes none. Before a segment is opened there is nothing to
//! describe, and the columns serve a [`TablePage`] that is read.

use super::table::{Cursor, Page};
use super::{LogBytes, LogError};
use crate::format::{Column, Header, IndexForm, IndexHeader, Kind, PageEntry, Record, Tag};
use crate::memory::owned::{Memtable, Owned, Table};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::types::BlockId;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// The columns of one page in the region. The numbers are little-endian, as on media.
#[derive(Default)]
struct Columns<'r> {
    tags: &'r mut [u8],
    numbers: &'r mut [U32],
    offsets: &'r mut [U32],
    ids: &'r mut [BlockId],
    versions: &'r mut [U64],
    targets: &'r mut [U32],
    kinds: &'r mut [U16],
}

/// Columns of the records since the last index page, in log order.
///
/// The columns are the memtable's while records are added. [`seal`](Self::seal) hands them to the
/// table: there is one set of columns, so that nothing can be added to what is being written, and
/// nothing was copied to see to that.
pub struct OpenPage<'r> {
    columns: Owned<Columns<'r>, Memtable>,
    form: IndexForm,
    header: IndexHeader,
}

impl<'r> OpenPage<'r> {
    /// What [`new`](Self::new) takes of the region.
    pub const fn footprint(before: Footprint, form: IndexForm) -> Footprint {
        let entries = form.entries_max() as usize;
        match form {
            IndexForm::Bare => before,
            IndexForm::Columns => before
                .slice::<u8>(entries)
                .slice::<U32>(entries)
                .slice::<U32>(entries)
                .slice::<BlockId>(entries)
                .slice::<U64>(entries)
                .slice::<U32>(entries)
                .slice::<U16>(entries),
        }
    }

    /// An empty page.
    ///
    /// # Errors
    /// The region is too small.
    pub fn new(
        memory: &mut StorageCoordinator<'r>,
        form: IndexForm,
    ) -> Result<Self, RegionTooSmall> {
        let columns = match form {
            IndexForm::Bare => 0,
            IndexForm::Columns => form.entries_max() as usize,
        };
        let columns = Columns {
            tags: memory.slice_of(columns)?,
            numbers: memory.slice_of(columns)?,
            offsets: memory.slice_of(columns)?,
            ids: memory.slice_of(columns)?,
            versions: memory.slice_of(columns)?,
            targets: memory.slice_of(columns)?,
            kinds: memory.slice_of(columns)?,
        };
        let columns = Owned::new(columns, &Memtable::token());
        Ok(Self { columns, form, header: empty(0, 0) })
    }

    /// Which columns it has.
    pub const fn form(&self) -> IndexForm {
        self.form
    }

    /// How many records it describes.
    pub const fn entries(&self) -> u32 {
        self.header.entries
    }

    /// Whether it describes as many records as it can.
    pub const fn is_full(&self) -> bool {
        self.entries() >= self.form.entries_max()
    }

    /// Offset of the first record that it describes, in bytes.
    pub const fn first(&self) -> u32 {
        self.header.first
    }

    /// Offset of the index page before it in the segment, in bytes; 0 if there is none.
    pub const fn previous(&self) -> u32 {
        self.header.previous
    }

    /// Empties it for the records from `first` on, the page before them lying at `previous`.
    pub const fn restart(&mut self, first: u32, previous: u32) {
        self.header = empty(first, previous);
    }

    /// Length of the record that would write it with one more entry, in bytes; 0 where it need not be
    /// written.
    pub fn bytes_with(&self, record: &Record) -> u64 {
        let with = with_one(&self.header, record.kind());
        if self.is_due(&with) { Record::Index(with).bytes(self.form) } else { 0 }
    }

    /// Whether it is written where the segment ends here: a bare page only where it is full, or not the
    /// first.
    pub const fn ends_segment(&self) -> bool {
        self.header.entries > 0 && self.is_due(&self.header)
    }

    const fn is_due(&self, header: &IndexHeader) -> bool {
        let is_bare = matches!(self.form, IndexForm::Bare);
        !is_bare || header.previous > 0 || header.entries >= self.form.entries_max()
    }

    /// Describes one more record. The caller has seen to it that the page is not full.
    pub fn push(&mut self, header: &Header, offset: u32) {
        debug_assert!(!self.is_full());
        let columns = self.columns.get_mut(&Memtable::token());
        let place = self.header.entries as usize;
        // (A bare page has no columns: nothing is set.)
        set(columns.tags, place, header.tag.byte());
        set(columns.numbers, place, U32::new(header.record.page_number()));
        set(columns.offsets, place, U32::new(offset));
        if let Some(id) = header.record.id() {
            let version = match header.record {
                Record::Block { version, .. } => version,
                _ => 0,
            };
            let place = self.header.ids as usize;
            set(columns.ids, place, *id);
            set(columns.versions, place, U64::new(version));
        }
        if let Record::Edge(change) = header.record {
            let place = self.header.edges as usize;
            set(columns.targets, place, U32::new(change.target.get()));
            set(columns.kinds, place, U16::new(change.kind.0));
        }
        self.header = with_one(&self.header, header.record.kind());
    }

    /// Seals the page: from here on it can be read, and nothing can be added. O(1).
    ///
    /// What is left in its place has no columns and is full; [`SealedPage::reopen`] makes the next page.
    pub fn seal(&mut self) -> SealedPage<'r> {
        let sealed = SealedPage {
            columns: self.columns.hand_over(&Memtable::token()),
            form: self.form,
            header: self.header,
        };
        self.header.entries = self.form.entries_max();
        sealed
    }
}

/// A page that is complete: it is read into the log, and then its columns serve the next one.
#[must_use = "the next page has no columns but these"]
pub struct SealedPage<'r> {
    columns: Owned<Columns<'r>, Table>,
    form: IndexForm,
    header: IndexHeader,
}

impl<'r> SealedPage<'r> {
    /// The record that writes it into the log.
    pub const fn record(&self) -> Record {
        Record::Index(self.header)
    }

    /// The columns as they go to media, in order.
    pub fn columns(&self) -> [&[u8]; 7] {
        let columns = self.columns.get(&Table::token());
        let counts = [self.header.entries, self.header.ids, self.header.edges];
        let [entries, ids, edges] = counts.map(|count| count as usize);
        match self.form {
            IndexForm::Bare => [&[]; 7],
            IndexForm::Columns => [
                head(columns.tags, entries),
                head(columns.numbers, entries).as_bytes(),
                head(columns.offsets, entries).as_bytes(),
                head(columns.ids, ids).as_bytes(),
                head(columns.versions, ids).as_bytes(),
                head(columns.targets, edges).as_bytes(),
                head(columns.kinds, edges).as_bytes(),
            ],
        }
    }

    /// The page as it was: it did not reach the log.
    pub fn unseal(self) -> OpenPage<'r> {
        let columns = self.columns.transfer(&Table::token());
        OpenPage { columns, form: self.form, header: self.header }
    }

    /// An empty page in the same columns, for the records from `first` on; the page before them lies
    /// at `previous`.
    pub fn reopen(self, first: u32, previous: u32) -> OpenPage<'r> {
        let columns = self.columns.transfer(&Table::token());
        OpenPage { columns, form: self.form, header: empty(first, previous) }
    }
}

/// A page that was read back from a sealed segment, in the columns of the memtable, which had nothing to
/// describe.
#[must_use = "the next page has no columns but these"]
pub(super) struct TablePage<'r> {
    columns: Owned<Columns<'r>, Table>,
    form: IndexForm,
    /// Where it was read; none if that failed.
    page: Option<Page>,
}

impl<'r> TablePage<'r> {
    /// No page, in the columns of a memtable that is empty. O(1).
    pub(super) fn over(open: &mut OpenPage<'r>) -> Self {
        let columns = open.columns.hand_over(&Memtable::token());
        open.header.entries = open.form.entries_max();
        Self { columns, form: open.form, page: None }
    }

    /// The columns as those of an empty memtable. O(1).
    pub(super) fn reopen(self) -> OpenPage<'r> {
        let columns = self.columns.transfer(&Table::token());
        OpenPage { columns, form: self.form, header: empty(0, 0) }
    }

    /// The page that it holds.
    pub(super) const fn page(&self) -> Option<Page> {
        self.page
    }

    /// Reads the columns of a page, in place of those that it holds. One read a column.
    pub(super) fn load<E>(
        &mut self,
        log: &mut dyn LogBytes<Error = E>,
        page: Page,
    ) -> Result<(), LogError<E>> {
        self.page = None;
        let columns = self.columns.get_mut(&Table::token());
        let counts = [page.header.entries, page.header.ids, page.header.edges];
        let [entries, ids, edges] = counts.map(|count| count as usize);
        page.column(log, Column::Tags, 0, head_mut(columns.tags, entries))?;
        page.column(log, Column::Numbers, 0, head_mut(columns.numbers, entries).as_mut_bytes())?;
        page.column(log, Column::Offsets, 0, head_mut(columns.offsets, entries).as_mut_bytes())?;
        page.column(log, Column::Ids, 0, head_mut(columns.ids, ids).as_mut_bytes())?;
        page.column(log, Column::Versions, 0, head_mut(columns.versions, ids).as_mut_bytes())?;
        page.column(log, Column::Targets, 0, head_mut(columns.targets, edges).as_mut_bytes())?;
        page.column(log, Column::Kinds, 0, head_mut(columns.kinds, edges).as_mut_bytes())?;
        self.page = Some(page);
        Ok(())
    }

    /// The entry at a cursor; `None` behind the last one, and where the columns contradict each other. O(1).
    pub(super) fn entry(&self, at: Cursor) -> Option<PageEntry> {
        let columns = self.columns.get(&Table::token());
        let page = self.page?;
        let next = at.next as usize;
        let offsets = head(columns.offsets, page.header.entries as usize);
        let end = offsets.get(next + 1).map_or(page.place.offset, |offset| offset.get());
        let tag = Tag::new(*head(columns.tags, offsets.len()).get(next)?)?;
        let is_there = offsets.get(next)?.get() == at.offset;
        if !is_there || end <= at.offset || end > page.place.offset || tag.kind() == Kind::Index {
            return None;
        }
        let mut entry = PageEntry {
            tag,
            number: columns.numbers.get(next)?.get(),
            id: BlockId::default(),
            version: 0,
            target: 0,
            edge_kind: 0,
            bytes: end - at.offset,
        };
        if tag.kind().has_id() {
            let place = at.ids as usize;
            entry.id = *head(columns.ids, page.header.ids as usize).get(place)?;
            entry.version = columns.versions.get(place)?.get();
        }
        if tag.kind().is_edge() {
            let place = at.edges as usize;
            entry.target = head(columns.targets, page.header.edges as usize).get(place)?.get();
            entry.edge_kind = columns.kinds.get(place)?.get();
        }
        Some(entry)
    }
}

/// Of a page without records, the first of which will lie at `first`, behind the page at `previous`.
const fn empty(first: u32, previous: u32) -> IndexHeader {
    IndexHeader { entries: 0, ids: 0, edges: 0, first, previous }
}

/// With one more record of this kind.
fn with_one(header: &IndexHeader, kind: Kind) -> IndexHeader {
    IndexHeader {
        entries: header.entries + 1,
        ids: header.ids + u32::from(kind.has_id()),
        edges: header.edges + u32::from(kind.is_edge()),
        ..*header
    }
}

fn set<T>(column: &mut [T], place: usize, value: T) {
    if let Some(entry) = column.get_mut(place) {
        *entry = value;
    }
}

fn head_mut<T>(column: &mut [T], len: usize) -> &mut [T] {
    column.get_mut(..len).unwrap_or_default()
}

fn head<T>(column: &[T], len: usize) -> &[T] {
    column.get(..len).unwrap_or_default()
}
