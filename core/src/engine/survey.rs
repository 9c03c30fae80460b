//! Looking at a medium before anything is believed: headers, and which of them counts.

use super::error::{GeometryField, OpenError};
use crate::format::{
    FORMAT_VERSION, FoundHeader, HEADER_BYTES, Header, Kind, Layout, NotAHeader, Place,
    Predecessor, Record, SegmentHeader,
};
use crate::log::{Log, LogError, ReadLog, Step, Walk};
use crate::planted::{self, Fault};
use crate::storage::{Geometry, Storage};

/// Marks that an opening writes.
const MARKS: u32 = 3;
/// Header, checks and rounding of an index page take at most this, in bytes.
const PAGE_HEADER_BYTES: u32 = 64;
/// How often a header is read before it is taken for unreadable: one that is passed over may be the newest.
const HEADER_READS: u32 = 3;
/// Offsets at which a segment can start are multiples of the least erase size, in bytes.
const PROBE_STEP: u64 = 512;

/// What a store says of itself, read from its newest header: enough to size a region for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreInfo {
    /// The layout: geometry, segment size, store id.
    pub layout: Layout,
    /// Node numbers from here on had not been given when the newest segment was opened.
    pub next_node: u32,
}

impl StoreInfo {
    /// A bound on the node numbers in use: those of the header, and one for each record that the
    /// newest segment can hold since.
    pub fn nodes_max(&self) -> u32 {
        let shortest = self.layout.padded(8);
        self.next_node.saturating_add(self.layout.segment_bytes() / shortest)
    }
}

/// Finds a store on bytes of which only the length is known, by its own headers: a file, a dump of
/// a flash chip.
///
/// Reads a header's length at every multiple of 512 bytes until it finds one (which is mostly the
/// first), then at the start of every segment.
///
/// # Errors
/// No header is readable, or the first readable one is of another format version.
pub fn probe<E>(
    len: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<StoreInfo, OpenError<E>> {
    let mut at = 0;
    let mut found = None;
    let mut other = None;
    while at + u64::from(HEADER_BYTES) <= len && found.is_none() {
        let mut bytes = [0; HEADER_BYTES as usize];
        read(at, &mut bytes).map_err(|error| OpenError::Log(LogError::Storage(error)))?;
        match FoundHeader::parse(&bytes) {
            Ok(header) if header.layout.slot_start(header.segment.slot) == at => {
                found = Some(header)
            }
            Err(NotAHeader::Version(version)) => other = Some(version),
            _ => {}
        }
        at += PROBE_STEP;
    }
    let Some(first) = found else {
        let version = other.map(|found| OpenError::Version { found, known: FORMAT_VERSION });
        return Err(version.unwrap_or(OpenError::NoStore));
    };
    let mut newest = first;
    let segments = len / u64::from(first.layout.segment_bytes());
    for slot in 0..segments {
        let mut bytes = [0; HEADER_BYTES as usize];
        let at = slot * u64::from(first.layout.segment_bytes());
        read(at, &mut bytes).map_err(|error| OpenError::Log(LogError::Storage(error)))?;
        if let Ok(header) = FoundHeader::parse(&bytes) {
            if u64::from(header.segment.slot) == slot
                && header.segment.number > newest.segment.number
            {
                newest = header;
            }
        }
    }
    Ok(StoreInfo { layout: newest.layout, next_node: newest.segment.next_node })
}

/// Reads the header of a slot; `None` if there is none of this store.
pub(super) fn read_header<S: Storage>(
    storage: &mut S,
    layout: &Layout,
    slot: u32,
) -> Result<Option<SegmentHeader>, S::Error> {
    let bytes = header_bytes(storage, layout.slot_start(slot))?;
    let found = FoundHeader::parse(&bytes).ok();
    let found = found.or_else(|| FoundHeader::mend(&bytes, Some(layout.store())));
    let ours = found.filter(|found| {
        found.segment.slot == slot
            && found.layout.store() == layout.store()
            && found.layout.segment_bytes() == layout.segment_bytes()
    });
    Ok(ours.map(|found| found.segment))
}

/// Whether the header of a live segment reads as it was written, without a flipped bit.
pub(super) fn header_is_whole<S: Storage>(
    storage: &mut S,
    layout: &Layout,
    slot: u32,
) -> Result<bool, S::Error> {
    Ok(FoundHeader::parse(&header_bytes(storage, layout.slot_start(slot))?).is_ok())
}

/// The bytes of a header; read again if that fails.
fn header_bytes<S: Storage>(
    storage: &mut S,
    at: u64,
) -> Result<[u8; HEADER_BYTES as usize], S::Error> {
    let mut bytes = [0; HEADER_BYTES as usize];
    let mut read = storage.read(at, &mut bytes);
    for _ in 1..HEADER_READS {
        if read.is_ok() {
            break;
        }
        read = storage.read(at, &mut bytes);
    }
    read.map(|()| bytes)
}

/// Finds the store's layout on its medium: the newest header decides. O(sectors) reads of a header's length.
pub(super) fn find_layout<S: Storage>(storage: &mut S) -> Result<Layout, OpenError<S::Error>> {
    let medium = storage.geometry();
    medium
        .check()
        .map_err(|error| OpenError::Layout(crate::format::LayoutError::Geometry(error)))?;
    let sound = |bytes: &[u8]| FoundHeader::parse(bytes);
    let mended = |bytes: &[u8]| FoundHeader::mend(bytes, None).ok_or(NotAHeader::Absent);
    let newest = match newest_header(storage, &medium, sound) {
        // A store of one segment has one header.
        Err(OpenError::NoStore) => newest_header(storage, &medium, mended)?,
        found => found?,
    };
    agree(&newest.layout, &medium)?;
    // The medium's own capacity and manners count: it may have grown.
    Layout::new(newest.layout.store(), medium, newest.layout.segment_bytes())
        .map_err(OpenError::Layout)
}

/// The header with the greatest segment number among those that `parse` takes.
fn newest_header<S: Storage>(
    storage: &mut S,
    medium: &Geometry,
    parse: impl Fn(&[u8]) -> Result<FoundHeader, NotAHeader>,
) -> Result<FoundHeader, OpenError<S::Error>> {
    let mut newest: Option<FoundHeader> = None;
    let mut other = None;
    let mut refused = None;
    for sector in 0..medium.sectors() {
        let at = sector * u64::from(medium.erase_bytes);
        // A sector that cannot be read holds no header that could be believed.
        let bytes = match header_bytes(storage, at) {
            Ok(bytes) => bytes,
            Err(error) => {
                refused = Some(error);
                continue;
            }
        };
        match parse(&bytes) {
            Ok(found) if found.layout.slot_start(found.segment.slot) == at => {
                let newer =
                    newest.is_none_or(|newest| newest.segment.number < found.segment.number);
                newest = if newer { Some(found) } else { newest };
            }
            Err(NotAHeader::Version(version)) => other = Some(version),
            _ => {}
        }
    }
    newest.ok_or(match (other, refused) {
        (Some(found), _) => OpenError::Version { found, known: FORMAT_VERSION },
        (None, Some(error)) => OpenError::Log(LogError::Storage(error)),
        (None, None) => OpenError::NoStore,
    })
}

fn agree<E>(layout: &Layout, medium: &Geometry) -> Result<(), OpenError<E>> {
    let store = layout.geometry();
    let differs = |what, store: u64, medium: u64| Err(OpenError::Geometry { what, store, medium });
    if store.erase_bytes != medium.erase_bytes {
        return differs(
            GeometryField::EraseSize,
            store.erase_bytes.into(),
            medium.erase_bytes.into(),
        );
    }
    if store.write_bytes != medium.write_bytes {
        return differs(
            GeometryField::WriteSize,
            store.write_bytes.into(),
            medium.write_bytes.into(),
        );
    }
    if store.capacity_bytes > medium.capacity_bytes {
        return differs(GeometryField::Capacity, store.capacity_bytes, medium.capacity_bytes);
    }
    Ok(())
}

/// What lies in a segment of which only the header is known: its valid records up to the first that is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    /// How many valid records there are, pages of the index left out.
    pub(super) records: u32,
    /// Spans that hold none, before one that proves that they did.
    pub(super) holes: u32,
    first_mark: Option<u32>,
    /// How many of them are the fresh segment's content and first two marks, if these are whole.
    prelude: Option<u32>,
    /// The last record.
    pub(super) last: Option<Found>,
    /// The record before it ends the open run that the last one would be part of, or goes on with.
    pub(super) run: Option<Run>,
    /// The newest segment that is retired by a record here, and by a record here that another follows.
    pub(super) retired: u32,
    retired_firm: u32,
    /// What it takes to copy the records but for the last: bytes, with their entries in index pages.
    pub(super) copy_bytes: u64,
    /// How many of them that are.
    copy_records: u32,
    /// Offset behind the last record.
    pub(super) end: u32,
}

/// A record and where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) offset: u32,
    pub(super) bytes: u32,
    pub(super) kind: Kind,
    pub(super) in_batch: bool,
    pub(super) id_entry: u32,
}

/// A batch that is not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Offset of its first record in this segment.
    pub(super) start: u32,
    /// Whether it may have begun in an earlier segment.
    pub(super) from_before: bool,
}

impl Survey {
    /// Walks over the segment in `slot` up to the offset `end`, bodies and all. O(one segment).
    pub(super) fn of<S: Storage>(
        log: &mut Log<'_>,
        storage: &mut S,
        slot: u32,
        end: u32,
    ) -> Result<Self, LogError<S::Error>> {
        let first = log.layout().first_offset();
        let mut walk = Walk::new(slot, first, end).unproven();
        if !planted::is(Fault::TornBodyCounts) {
            walk = walk.checking_bodies();
        }
        let mut survey = Self { end: first, ..Self::default() };
        // Up to here everything was durable when a later record was written.
        let mut proven = first;
        let mut in_hole = false;
        // Ends with the segment: every turn moves on by the alignment at least.
        loop {
            match walk.next(&mut log.on(storage))? {
                Step::End => return Ok(survey),
                Step::Record { header, offset, bytes } => {
                    in_hole = false;
                    survey.note(log, &header, offset, bytes);
                }
                Step::Invalid { offset } => {
                    if offset >= proven {
                        let Some(proof) = find_proof(log, storage, slot, offset)? else {
                            return Ok(survey);
                        };
                        proven = proof;
                    }
                    let place = Place { slot, offset };
                    let header = match log.on(storage).header(place)? {
                        None if !in_hole => log.on(storage).mended_header(place)?,
                        header => header,
                    };
                    if let Some(header) = header {
                        // A bit of it, or its body, is damaged; what it is about is known.
                        let bytes = log.bytes_of(&header) as u32;
                        survey.note(log, &header, offset, bytes);
                        walk.skip_to(offset + bytes);
                    } else {
                        survey.holes += u32::from(!in_hole);
                        in_hole = true;
                        walk.skip_to(offset + log.layout().align());
                    }
                }
            }
        }
    }

    /// One more record.
    fn note(&mut self, log: &Log<'_>, header: &Header, offset: u32, bytes: u32) {
        let kind = header.tag.kind();
        let id_entry = log.layout().index_form().entry_bytes(kind.has_id());
        self.pass_last();
        let in_batch = header.tag.in_batch();
        self.last = Some(Found { offset, bytes, kind, in_batch, id_entry });
        if let Record::Retire { segment, .. } = header.record {
            self.retired = self.retired.max(segment);
        }
        if kind == Kind::Mark {
            match self.first_mark {
                None => self.first_mark = Some(self.records),
                Some(at) if self.prelude.is_none() && at + 1 == self.records => {
                    self.prelude = Some(self.records + 1);
                }
                Some(_) => {}
            }
        }
        // A page of the index stands wherever it was full, be it between two marks.
        self.records += u32::from(kind != Kind::Index);
        self.end = offset + bytes;
    }

    /// Another record follows the last one.
    fn pass_last(&mut self) {
        self.retired_firm = self.retired;
        let Some(last) = self.last else { return };
        match last.kind {
            Kind::Index => {}
            Kind::BatchEnd => self.run = None,
            _ if last.in_batch => {
                let from_before = self.records == 1;
                self.run.get_or_insert(Run { start: last.offset, from_before });
            }
            _ => self.run = None,
        }
        if last.is_content() {
            self.copy_bytes += last.cost();
            self.copy_records += 1;
        }
    }

    /// Whether the segment counts: something valid follows its header, or its two marks are there.
    pub(super) fn counts(&self, header: &SegmentHeader) -> bool {
        let needs_marks = header.recovery && !planted::is(Fault::CountsWithoutMarks);
        if needs_marks { self.prelude.is_some() } else { self.records > 0 }
    }

    /// Whether what makes it count is itself followed by a valid record.
    pub(super) fn is_firm(&self, header: &SegmentHeader) -> bool {
        if header.recovery { self.is_proven_fresh() } else { self.records >= 2 }
    }

    /// Whether this is a fresh segment of an opening that returned: something follows its proof.
    pub(super) fn is_proven_fresh(&self) -> bool {
        self.prelude.is_some_and(|prelude| self.records > prelude)
    }

    /// The newest segment that is retired for certain, as far as this segment tells.
    pub(super) fn retired_for_certain(&self, header: &SegmentHeader) -> u32 {
        self.retired_firm.max(header.retired)
    }

    /// Whether the segment is fresh from an opening: content and marks, and nothing that was written since.
    pub(super) fn is_untouched(&self, header: &SegmentHeader) -> bool {
        let Some(prelude) = self.prelude.filter(|_| header.recovery) else { return false };
        let third_mark = self.last.is_some_and(|last| last.kind == Kind::Mark);
        self.records <= prelude || self.records == prelude + 1 && third_mark
    }

    /// What it takes to write the records into another segment, with marks and whatever the log
    /// adds, in bytes.
    pub(super) fn copy_cost(&self, layout: &Layout) -> u64 {
        let last = self.last.filter(Found::is_content).map_or(0, |last| last.cost());
        let pages = self.copy_records / layout.index_form().entries_max() + 2;
        // Three marks, and the end of a batch behind the last record.
        let marks = (MARKS + 1) * (layout.padded(8) + layout.index_form().entry_bytes(false));
        self.copy_bytes + last + u64::from(pages * layout.padded(PAGE_HEADER_BYTES) + marks)
    }

    /// Whether the last record is the only one that was written since the segment was fresh.
    pub(super) fn has_one_new(&self) -> bool {
        self.prelude.is_some_and(|prelude| self.records == prelude + 1)
    }
}

impl Found {
    /// Whether it says something that must be written again.
    pub(super) fn is_content(&self) -> bool {
        !matches!(self.kind, Kind::Mark | Kind::Retire | Kind::Index)
    }

    /// What writing it again takes.
    pub(super) fn cost(&self) -> u64 {
        u64::from(self.bytes) + u64::from(self.id_entry)
    }
}

/// A valid record behind an invalid one that tells damage from a tear: what lies before it was
/// durable when it was written. On a medium that keeps write order any record tells that, on
/// another one a marked record.
fn find_proof<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    slot: u32,
    from: u32,
) -> Result<Option<u32>, LogError<S::Error>> {
    let ordered = log.layout().geometry().keeps_write_order;
    let mut at = from + log.layout().align();
    while let Some((offset, header)) = log.on(storage).next_header(slot, at)? {
        if ordered || header.tag.marked() {
            return Ok(Some(offset));
        }
        at = offset + log.layout().align();
    }
    Ok(None)
}

/// The header's predecessor, if it is not retired.
pub(super) fn living_predecessor(header: &SegmentHeader, retired: u32) -> Option<Predecessor> {
    header.predecessor.filter(|predecessor| predecessor.number > retired)
}
