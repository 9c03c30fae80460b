//! The memtable: columns that describe the newest records of the open segment until an index page holds them.

use crate::format::{Header, IndexForm, IndexHeader, OFFSET_UNIT, Record};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::types::{BlockId, NodeNumber};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// Columns of the records since the last index page, in log order. The numbers are little-endian,
/// as on media.
pub struct OpenPage<'r> {
    form: IndexForm,
    tags: &'r mut [u8],
    numbers: &'r mut [U32],
    offsets: &'r mut [U32],
    short_offsets: &'r mut [U16],
    ids: &'r mut [BlockId],
    versions: &'r mut [U64],
    entries: u32,
    with_id: u32,
    first: u32,
    previous: u32,
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
        Ok(Self {
            form,
            short_offsets: memory.slice_of(short)?,
            tags: memory.slice_of(columns)?,
            numbers: memory.slice_of(columns)?,
            offsets: memory.slice_of(columns)?,
            ids: memory.slice_of(columns)?,
            versions: memory.slice_of(columns)?,
            entries: 0,
            with_id: 0,
            first: 0,
            previous: 0,
        })
    }

    /// Which columns it has.
    pub const fn form(&self) -> IndexForm {
        self.form
    }

    /// How many records it describes.
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    /// Whether it describes as many records as it can.
    pub const fn is_full(&self) -> bool {
        self.entries >= self.form.entries_max()
    }

    /// Offset of the first record that it describes, in bytes.
    pub const fn first(&self) -> u32 {
        self.first
    }

    /// Offset of the index page before it in the segment, in bytes; 0 if there is none.
    pub const fn previous(&self) -> u32 {
        self.previous
    }

    /// Empties it for the records from `first` on, the page before them lying at `previous`.
    pub fn restart(&mut self, first: u32, previous: u32) {
        (self.entries, self.with_id) = (0, 0);
        (self.first, self.previous) = (first, previous);
    }

    /// The record that writes it into the log.
    pub const fn record(&self) -> Record {
        Record::Index(self.header(0, 0))
    }

    const fn header(&self, more_entries: u32, more_ids: u32) -> IndexHeader {
        IndexHeader {
            entries: self.entries + more_entries,
            ids: self.with_id + more_ids,
            first: self.first,
            previous: self.previous,
        }
    }

    /// Length of the record that would write it, in bytes, with one more entry of this kind.
    pub fn bytes_with(&self, record: &Record) -> u64 {
        let with_id = u32::from(record.kind().has_id());
        Record::Index(self.header(1, with_id)).bytes(self.form)
    }

    /// Describes one more record. The caller has seen to it that the page is not full.
    pub fn push(&mut self, header: &Header, offset: u32) {
        let place = self.entries as usize;
        match self.form {
            IndexForm::Offsets => {
                // Offsets in small segments fit two bytes in this unit.
                let short = U16::new((offset / OFFSET_UNIT) as u16);
                set(self.short_offsets, place, short);
            }
            IndexForm::Columns => {
                let number = header.record.number().map_or(0, NodeNumber::get);
                set(self.tags, place, header.tag.byte());
                set(self.numbers, place, U32::new(number));
                set(self.offsets, place, U32::new(offset));
            }
        }
        if let Some(id) = header.record.id() {
            let version = match header.record {
                Record::Block { version, .. } => version,
                _ => 0,
            };
            let place = self.with_id as usize;
            set(self.ids, place, *id);
            set(self.versions, place, U64::new(version));
            self.with_id += 1;
        }
        self.entries += 1;
    }

    /// The columns as they go to media, in order.
    pub fn columns(&self) -> [&[u8]; 5] {
        let (entries, with_id) = (self.entries as usize, self.with_id as usize);
        match self.form {
            IndexForm::Offsets => {
                [head(self.short_offsets, entries).as_bytes(), &[], &[], &[], &[]]
            }
            IndexForm::Columns => [
                head(self.tags, entries),
                head(self.numbers, entries).as_bytes(),
                head(self.offsets, entries).as_bytes(),
                head(self.ids, with_id).as_bytes(),
                head(self.versions, with_id).as_bytes(),
            ],
        }
    }
}

fn set<T>(column: &mut [T], place: usize, value: T) {
    if let Some(entry) = column.get_mut(place) {
        *entry = value;
    }
}

fn head<T>(column: &[T], len: usize) -> &[T] {
    column.get(..len).unwrap_or_default()
}
