//! Looking at a medium before anything is believed: headers, and which of them counts.

use super::error::{GeometryField, OpenError};
use crate::format::{
    FORMAT_VERSION, FoundHeader, HEADER_BYTES, HEADER_BYTES_EVER, Header, Kind, LAYOUT_BYTES,
    LAYOUT_OFFSET, Layout, MAGIC, NotAHeader, Place, Predecessor, Record, SegmentHeader,
};
use crate::log::{Log, LogBytes, LogError, ReadLog, Step, Walk};
use crate::planted::{self, Fault};
use crate::storage::{Geometry, Storage, read_around};

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
        let shortest = self.layout.padded(Record::Mark { closes: false }.header_bytes()).max(1);
        self.next_node.saturating_add(self.layout.segment_bytes() / shortest)
    }
}

/// Finds a store on bytes of which only the length is known, by its own headers: a file, a dump of
/// a flash chip.
///
/// Reads a header's length at every multiple of 512 bytes until it finds one (which is mostly the
/// first), then at the start of every segment. Places that cannot be read are passed over.
///
/// # Errors
/// No header is readable, or the first readable one is of another format version.
pub fn probe<E>(
    len: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<StoreInfo, OpenError<E>> {
    let mut at = 0;
    let mut found = None;
    let (mut other, mut refused) = (None, None);
    while at + u64::from(HEADER_BYTES_EVER) <= len && found.is_none() {
        let mut bytes = [0; HEADER_BYTES_EVER as usize];
        let parsed = match read(at, &mut bytes) {
            Ok(()) => FoundHeader::parse(&bytes),
            Err(error) => {
                refused = Some(error);
                Err(NotAHeader::Absent)
            }
        };
        match parsed {
            Ok(header) if header.layout.slot_start(header.segment.slot) == at => {
                found = Some(header)
            }
            Err(NotAHeader::Version(version)) => other = Some(version),
            _ => {}
        }
        at += PROBE_STEP;
    }
    let Some(first) = found else { return Err(no_header(other, refused)) };
    let mut newest = first;
    let segments = len / u64::from(first.layout.segment_bytes()).max(1);
    for slot in 0..segments {
        let mut bytes = [0; HEADER_BYTES as usize];
        let at = slot * u64::from(first.layout.segment_bytes());
        if read(at, &mut bytes).is_err() {
            continue;
        }
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
    Ok(look_for_header(storage, layout, slot)?.ok())
}

/// As [`read_header`]; where there is none, because bytes are lost, the error that said so.
pub(super) fn look_for_header<S: Storage>(
    storage: &mut S,
    layout: &Layout,
    slot: u32,
) -> Result<Result<SegmentHeader, Option<S::Error>>, S::Error> {
    let (bytes, lost) = header_bytes(storage, layout.slot_start(slot))?;
    let found = FoundHeader::parse(&bytes).ok();
    let found = found.or_else(|| FoundHeader::mend(&bytes, Some(layout.store())));
    let ours = found.filter(|found| {
        found.segment.slot == slot
            && found.layout.store() == layout.store()
            && found.layout.segment_bytes() == layout.segment_bytes()
            && found.layout.segments() <= layout.segments()
    });
    Ok(ours.map(|found| found.segment).ok_or(lost))
}

/// Whether the header of a live segment reads as it was written, without a flipped bit.
pub(super) fn header_is_whole<S: Storage>(
    storage: &mut S,
    layout: &Layout,
    slot: u32,
) -> Result<bool, S::Error> {
    let (bytes, _) = header_bytes(storage, layout.slot_start(slot))?;
    Ok(FoundHeader::parse(&bytes).is_ok())
}

/// The bytes of a header, and the error that says that some of them are lost.
type HeaderRead<E> = ([u8; HEADER_BYTES_EVER as usize], Option<E>);

/// Reads the bytes of a header, again if that fails, in the end around what is lost.
fn header_bytes<S: Storage>(storage: &mut S, at: u64) -> Result<HeaderRead<S::Error>, S::Error> {
    let mut bytes = [0; HEADER_BYTES_EVER as usize];
    let mut lost = None;
    for _ in 1..HEADER_READS {
        match storage.read(at, &mut bytes) {
            Ok(()) => return Ok((bytes, None)),
            Err(error) => lost = Some(error).filter(|error| storage.is_lost(error)),
        }
    }
    read_around(storage, at, &mut bytes).map(|()| (bytes, lost))
}

/// Finds the store's layout on its medium: the newest header decides. O(sectors) reads of a header's length.
pub(super) fn find_layout<S: Storage>(storage: &mut S) -> Result<Layout, OpenError<S::Error>> {
    let medium = storage.geometry();
    medium
        .check()
        .map_err(|error| OpenError::Layout(crate::format::LayoutError::Geometry(error)))?;
    if let Some(only) = only_layout(storage, &medium) {
        agree(&only, &medium)?;
        return Layout::new(only.store(), medium, only.segment_bytes()).map_err(OpenError::Layout);
    }
    let sound = |bytes: &[u8]| FoundHeader::parse(bytes);
    let mended = |bytes: &[u8]| FoundHeader::mend(bytes, None).ok_or(NotAHeader::Absent);
    let newest = match newest_header(storage, &medium, sound) {
        // A store of one segment has one header.
        Err(OpenError::NoStore | OpenError::Log(_)) => newest_header(storage, &medium, mended)?,
        found => found?,
    };
    agree(&newest.layout, &medium)?;
    // The medium's own capacity and manners count: it may have grown.
    Layout::new(newest.layout.store(), medium, newest.layout.segment_bytes())
        .map_err(OpenError::Layout)
}

/// The layout of which the medium's first valid header tells, if no other one tells of another, and all can
/// be read: which of them is the newest does not matter then. What makes a layout stands in few bytes of a
/// header, and of a sector in which none of the first one's segments starts, the magic is enough. O(sectors)
/// such reads.
fn only_layout<S: Storage>(storage: &mut S, medium: &Geometry) -> Option<Layout> {
    let mut only: Option<(Layout, [u8; LAYOUT_BYTES])> = None;
    for sector in 0..medium.sectors() {
        let at = sector * u64::from(medium.erase_bytes);
        if let Some((layout, first)) = &only {
            let mut bytes = [0; LAYOUT_BYTES];
            let starts = at.is_multiple_of(u64::from(layout.segment_bytes()));
            let may_differ = if starts {
                storage.read(at + LAYOUT_OFFSET, &mut bytes).ok()?;
                // Where all bytes are the same, the medium is blank: no store has such sizes.
                bytes != *first && bytes != [bytes[0]; LAYOUT_BYTES]
            } else {
                let magic = bytes.first_chunk_mut::<{ MAGIC.len() }>()?;
                storage.read(at, magic).ok()?;
                *magic == MAGIC
            };
            if !may_differ {
                continue;
            }
        }
        let mut bytes = [0; HEADER_BYTES as usize];
        storage.read(at, &mut bytes).ok()?;
        match FoundHeader::parse(&bytes).ok() {
            Some(found) if found.layout.slot_start(found.segment.slot) == at => {
                let first = bytes.get(LAYOUT_OFFSET as usize..)?.first_chunk()?;
                if only.replace((found.layout, *first)).is_some() {
                    return None;
                }
            }
            _ => {}
        }
    }
    only.map(|(layout, _)| layout)
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
        let (bytes, lost) = match header_bytes(storage, at) {
            Ok(read) => read,
            Err(error) => {
                refused = Some(error);
                continue;
            }
        };
        refused = lost.or(refused);
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
    newest.ok_or(no_header(other, refused))
}

/// Why no header was found: one of another format version was, or else a read was refused, or there is none.
fn no_header<E>(other: Option<u16>, refused: Option<E>) -> OpenError<E> {
    match (other, refused) {
        (Some(found), _) => OpenError::Version { found, known: FORMAT_VERSION },
        (None, Some(error)) => OpenError::Log(LogError::Storage(error)),
        (None, None) => OpenError::NoStore,
    }
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
    /// How many of them there are up to the first one behind damage that only a segment in use can hold.
    in_use: Option<u32>,
    /// Whether the last record is an index page, and says that what lies before it is durable.
    page_is_marked: bool,
    /// The last record; `None` where nothing of the segment is in doubt, since a later one was begun behind
    /// it.
    pub(super) last: Option<Found>,
    /// The record before it ends the open run that the last one would be part of, or goes on with.
    pub(super) run: Option<Run>,
    /// The newest segment that is retired by a record here, and by a record here that another follows.
    pub(super) retired: u32,
    retired_firm: u32,
    /// Whether a repair speaks in it.
    pub(super) tells_of_repair: bool,
    /// What it takes to copy the records but for the last: bytes, with their entries in index pages.
    pub(super) copy_bytes: u64,
    /// How many of them that are.
    copy_records: u32,
    /// Offset behind the last record.
    pub(super) end: u32,
    /// Offset of the last index page, and of the last but one; 0 if there is none.
    pages: [u32; 2],
}

/// What is looked at of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Up to this offset everything was durable once: what is invalid there is damage, and no tear.
    pub(super) proven: u32,
    /// Up to this offset it is looked at.
    pub(super) end: u32,
}

impl Span {
    /// Of a segment of which nothing is proven.
    pub(super) const fn up_to(end: u32) -> Self {
        Self { proven: 0, end }
    }
}

/// A record and where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) offset: u32,
    pub(super) bytes: u32,
    pub(super) kind: Kind,
    pub(super) in_batch: bool,
    /// What its entry in an index page takes, in bytes.
    entry: u32,
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
    /// Walks over the segment in `slot`, bodies and all. O(one segment).
    pub(super) fn of<S: Storage>(
        log: &mut Log<'_>,
        storage: &mut S,
        slot: u32,
        Span { proven, end }: Span,
    ) -> Result<Self, LogError<S::Error>> {
        let first = log.layout().first_offset();
        let mut walk = Walk::new(slot, first, end).unproven();
        if !planted::is(Fault::TornBodyCounts) {
            walk = walk.checking_bodies();
        }
        let mut survey = Self { end: first, ..Self::default() };
        // Up to here everything was durable when a later record was written.
        let mut proven = proven;
        let mut in_hole = false;
        // Ends with the segment: every turn moves on by the alignment at least.
        loop {
            match walk.next(log.on(storage).erased())? {
                Step::End => break,
                Step::Record { header, offset, bytes } => {
                    in_hole = false;
                    survey.note(log, &header, offset, bytes);
                }
                // (A walk over what is unproven asks no page for a name.)
                Step::Named { offset, .. } | Step::Invalid { offset } => {
                    if offset >= proven {
                        let Some(proof) = find_proof(log, storage, slot, offset)? else { break };
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
                        survey.page_is_marked = false;
                        in_hole = true;
                        walk.skip_to(offset + log.layout().align());
                    }
                }
            }
        }
        if survey.end <= proven {
            // A later segment's header follows on all of it, what is hurt at its end included.
            survey.end_at(proven);
        }
        Ok(survey)
    }

    /// Nothing of it is in doubt up to this offset.
    fn end_at(&mut self, end: u32) {
        self.pass_last();
        (self.last, self.end) = (None, end);
    }

    /// Something that was durable is lost behind all that was found, up to this offset at least.
    pub(super) fn end_in_hole(&mut self, end: u32) {
        self.holes += 1;
        self.end_at(end);
    }

    /// One more record.
    fn note(&mut self, log: &Log<'_>, header: &Header, offset: u32, bytes: u32) {
        let kind = header.tag.kind();
        let entry = log.layout().index_form().entry_bytes(kind);
        self.pass_last();
        let in_batch = header.tag.in_batch();
        self.last = Some(Found { offset, bytes, kind, in_batch, entry });
        if let Record::Retire { segment, .. } = header.record {
            self.retired = self.retired.max(segment);
        }
        self.tells_of_repair |= kind == Kind::Damage;
        // (A page of the index before a record says in its place that what lies before is durable.)
        let is_marked = header.tag.marked() || self.page_is_marked;
        self.page_is_marked = kind == Kind::Index && is_marked;
        if self.holes > 0 && kind != Kind::Index && self.in_use.is_none() {
            // In a fresh segment only marks lie behind a mark, and the third tells that two were there; and
            // only these, and the first record of all, say that what lies before them is durable.
            let is_of_use = match header.record {
                Record::Mark { closes } => closes,
                _ => is_marked && offset != log.layout().first_offset(),
            };
            if self.first_mark.is_some() || is_of_use {
                self.in_use = Some(self.records + 1);
            }
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
        if kind == Kind::Index {
            self.pages = [offset, self.pages[0]];
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

    /// Offset of the last index page before `end`, which is that of the last record or behind it; 0 if there
    /// is none.
    pub(super) fn index_before(&self, end: u32) -> u32 {
        self.pages.into_iter().find(|page| *page < end).unwrap_or(0)
    }

    /// Whether the segment counts: something valid follows its header, or its two marks are there. Where they
    /// are hurt, what came behind them proves that they were.
    pub(super) fn counts(&self, header: &SegmentHeader) -> bool {
        let needs_marks = header.recovery && !planted::is(Fault::CountsWithoutMarks);
        if needs_marks { self.prelude.or(self.in_use).is_some() } else { self.records > 0 }
    }

    /// Whether what makes it count is itself followed by a valid record.
    pub(super) fn is_firm(&self, header: &SegmentHeader) -> bool {
        if header.recovery { self.was_in_use() } else { self.records >= 2 }
    }

    /// Whether it was used behind an opening that returned, for certain: something follows the proof of that.
    pub(super) fn was_in_use(&self) -> bool {
        self.is_proven_fresh() || self.in_use.is_some_and(|proof| self.records > proof)
    }

    /// Whether this is a fresh segment of an opening that returned: something follows its proof.
    fn is_proven_fresh(&self) -> bool {
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
        let marks = (MARKS + 1) * (layout.padded(8) + layout.index_form().entry_bytes(Kind::Mark));
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
        u64::from(self.bytes) + u64::from(self.entry)
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
        if ordered || header.tag.marked() || planted::is(Fault::TearIsDamage) {
            return Ok(Some(offset));
        }
        at = offset + log.layout().align();
    }
    Ok(None)
}

/// The predecessor that a header names, if it is not retired.
pub(super) fn living(before: Option<Predecessor>, retired: u32) -> Option<Predecessor> {
    before.filter(|before| before.number > retired)
}
