//! The memtable: columns that describe the newest records of the open segment until an index page holds them.
//!
//! A page is open, sealed, and open again, in the same columns: [`OpenPage`] takes records and cannot be
//! written, [`SealedPage`] can be written and takes none.

use crate::format::{Header, IndexForm, IndexHeader, OFFSET_UNIT, Record};
use crate::memory::owned::{Memtable, Owned, Table};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::types::{BlockId, NodeNumber};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// The columns of one page in the region. The numbers are little-endian, as on media.
#[derive(Default)]
struct Columns<'r> {
    tags: &'r mut [u8],
    numbers: &'r mut [U32],
    offsets: &'r mut [U32],
    short_offsets: &'r mut [U16],
    ids: &'r mut [BlockId],
    versions: &'r mut [U64],
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
            IndexForm::Offsets => before.slice::<U16>(entries),
            IndexForm::Columns => before
                .slice::<u8>(entries)
                .slice::<U32>(entries)
                .slice::<U32>(entries)
                .slice::<BlockId>(entries)
                .slice::<U64>(entries),
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
        let all = form.entries_max() as usize;
        let (columns, short) = match form {
            IndexForm::Offsets => (0, all),
            IndexForm::Columns => (all, 0),
        };
        let columns = Columns {
            short_offsets: memory.slice_of(short)?,
            tags: memory.slice_of(columns)?,
            numbers: memory.slice_of(columns)?,
            offsets: memory.slice_of(columns)?,
            ids: memory.slice_of(columns)?,
            versions: memory.slice_of(columns)?,
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

    /// Length of the record that would write it, in bytes, with one more entry of this kind.
    pub fn bytes_with(&self, record: &Record) -> u64 {
        let IndexHeader { entries, ids, .. } = self.header;
        let ids = ids + u32::from(record.kind().has_id());
        Record::Index(IndexHeader { entries: entries + 1, ids, ..self.header }).bytes(self.form)
    }

    /// Describes one more record. The caller has seen to it that the page is not full.
    pub fn push(&mut self, header: &Header, offset: u32) {
        debug_assert!(!self.is_full());
        let columns = self.columns.get_mut(&Memtable::token());
        let place = self.header.entries as usize;
        match self.form {
            IndexForm::Offsets => {
                // Offsets in small segments fit two bytes in this unit.
                let short = U16::new((offset / OFFSET_UNIT) as u16);
                set(columns.short_offsets, place, short);
            }
            IndexForm::Columns => {
                let number = header.record.number().map_or(0, NodeNumber::get);
                set(columns.tags, place, header.tag.byte());
                set(columns.numbers, place, U32::new(number));
                set(columns.offsets, place, U32::new(offset));
            }
        }
        if let Some(id) = header.record.id() {
            let version = match header.record {
                Record::Block { version, .. } => version,
                _ => 0,
            };
            let place = self.header.ids as usize;
            set(columns.ids, place, *id);
            set(columns.versions, place, U64::new(version));
            self.header.ids += 1;
        }
        self.header.entries += 1;
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
    pub fn columns(&self) -> [&[u8]; 5] {
        let columns = self.columns.get(&Table::token());
        let (entries, ids) = (self.header.entries as usize, self.header.ids as usize);
        match self.form {
            IndexForm::Offsets => {
                [head(columns.short_offsets, entries).as_bytes(), &[], &[], &[], &[]]
            }
            IndexForm::Columns => [
                head(columns.tags, entries),
                head(columns.numbers, entries).as_bytes(),
                head(columns.offsets, entries).as_bytes(),
                head(columns.ids, ids).as_bytes(),
                head(columns.versions, ids).as_bytes(),
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

/// Of a page without records, the first of which will lie at `first`, behind the page at `previous`.
const fn empty(first: u32, previous: u32) -> IndexHeader {
    IndexHeader { entries: 0, ids: 0, first, previous }
}

fn set<T>(column: &mut [T], place: usize, value: T) {
    if let Some(entry) = column.get_mut(place) {
        *entry = value;
    }
}

fn head<T>(column: &[T], len: usize) -> &[T] {
    column.get(..len).unwrap_or_default()
}
