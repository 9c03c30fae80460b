//! How much of the ring the live records take: the sum by which the store decides that it is full.
//!
//! A record does not span segments, so the end of a segment stays empty when the next record does not fit.
//! How much is lost so depends on the order in which records meet segment ends, and each turn of the ring
//! brings another one. What counts is therefore a bound that holds for any order. There are two,
//! and the lesser one is taken:
//!
//! - by *gaps*: a gap is shorter than the record that did not fit. A length is taken off each segment
//!   beforehand, which pays for the gaps of records that are no longer; a longer record is charged what it
//!   may leave beyond that. Of five such lengths the one counts that comes to the least. This is close where
//!   records are short for their segment.
//! - by *places*: of records that are no longer than a third, say, of a segment, each segment that was filled
//!   holds three. A longer one takes as many places as it is longer, and may leave as many empty in the
//!   segment that it did not fit into. This is close where records are long and of one size. A place is
//!   charged a little more than it is: where the store is full, the tail would else have to go around the
//!   whole ring to make room for one record.
//!
//! A change of an edge is charged what the lists at both its ends may grow by when it is folded, so that
//! folding never takes more than was charged. With this sum at most the ring's usable bytes, moving the tail
//! around always ends with the same free space that it began with.

use crate::format::{EdgeChange, IndexForm, Kind, Layout, Outline, Record, Subject};
use crate::types::{Direction, EdgeKey, KeyRange};

/// Gaps are counted in this part of a segment,
const GAP_PART: u32 = 64;
/// and so many of them are taken off each. (The longest is for records of a sixteenth to an eighth of a
/// segment, which are too many for places: without it they were charged half as much again.)
const GAP_LENS: [u32; 5] = [1, 2, 3, 4, 8];
const GAPS: usize = GAP_LENS.len();
/// A place is charged this part of a segment more than it is.
const PLACES_PART: u32 = 16;
/// Records of which more than so many fit into a segment need more than two index pages there.
const TINY_PART: u32 = 96;
/// How many places a segment may be parted into, ascending. (Where there are more, gaps are short.)
const PLACES: [u64; 6] = [1, 2, 3, 4, 5, 6];
/// What an index page takes at most beside its entries.
const PAGE_BYTES: u32 = 20;
/// What a bare one takes.
const BARE_PAGE_BYTES: u32 = 14;
/// What the record takes at most that retires a segment.
const RETIRE_BYTES: u32 = 15;
/// A tiny record pays for this part of it: of a hundred and more in a segment, so many are tiny that it is
/// enough for every page beyond the second.
const PAGE_PART: u32 = 32;
/// What a change of an edge is charged by places, for each end of it: a list that grows beyond a place takes
/// three more, a new one takes one, and so does one that has to be split.
const PLACES_OF_A_LIST: u64 = 4;

/// What one record takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Its length, in bytes.
    pub bytes: u64,
    /// What it takes in place, with its index entry, in bytes.
    in_place: u64,
    /// What it takes by gaps, for each of the lengths that are taken off, in bytes.
    gaps: [u64; GAPS],
    class: Class,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// The last of [`PLACES`] into which it fits; the first, if it fits into none.
    Places(usize),
    /// A change of an edge.
    Change,
}

impl Share {
    /// Of a record.
    pub fn of(layout: &Layout, record: &Record) -> Self {
        let bytes = layout.padded_long(record.bytes(layout.index_form()));
        Self::of_bytes(layout, (record.kind(), &record.subject()), bytes)
    }

    /// Of the record with this outline.
    pub fn of_outline(layout: &Layout, outline: &Outline) -> Self {
        let Outline { tag, subject, bytes } = outline;
        Self::of_bytes(layout, (tag.kind(), subject), u64::from(*bytes))
    }

    /// What it takes where it lies, with its index entry and without gaps, in bytes; a change of an edge as
    /// much as it may take when it is folded.
    pub const fn in_place(&self) -> u32 {
        // A record is no longer than a segment, whose size is a number of this type.
        self.in_place as u32
    }

    /// How much more a record may be charged that is so many bytes longer: each is charged for itself and for
    /// the gap that it makes longer, and what is taken off segments makes that a little more.
    pub fn of_growth(layout: &Layout, longer: u32) -> u64 {
        3 * u64::from(layout.padded(longer))
    }

    fn of_bytes(layout: &Layout, (kind, subject): (Kind, &Subject), bytes: u64) -> Self {
        let is_tiny = bytes < u64::from(layout.segment_bytes() / TINY_PART);
        let of_page = if is_tiny { page_bytes(layout).div_ceil(PAGE_PART) } else { 0 };
        let in_place = bytes + u64::from(layout.index_form().entry_bytes(kind) + of_page);
        let gaps = gap_lens(layout).map(|gap| in_place + bytes.saturating_sub(gap.into()));
        if let Subject::Edge(change) = subject {
            let gaps = pairs(gaps, Self::folded(layout, change), u64::max);
            let in_place = gaps.iter().fold(in_place, |least, of| least.max(*of));
            return Self { bytes, in_place, gaps, class: Class::Change };
        }
        let usable = u64::from(Charge::usable(layout));
        let fits = PLACES.iter().take_while(|places| in_place * **places <= usable).count();
        Self { bytes, in_place, gaps, class: Class::Places(fits.saturating_sub(1)) }
    }

    /// What the change may take when it is folded: a page of a list at both ends, each longer by the
    /// alignment, by which a list that is there, or is split, may grow beyond that.
    #[inline(never)]
    fn folded(layout: &Layout, change: &EdgeChange) -> [u64; GAPS] {
        // The lists at both ends are as long but for the node's number.
        let number = change.source.max(change.target);
        let key = EdgeKey { kind: change.kind.0, number };
        let range = Some(KeyRange { low: key, high: Some(key) });
        let list = Record::Adjacency { number, direction: Direction::Out, entries: 1, range };
        Self::of(layout, &list).gaps.map(|gaps| 2 * (gaps + u64::from(layout.align())))
    }
}

/// The lengths of which one is taken off each segment, in bytes.
fn gap_lens(layout: &Layout) -> [u32; GAPS] {
    let part = layout.segment_bytes() / GAP_PART;
    GAP_LENS.map(|parts| parts * part)
}

/// What an index page takes beside its entries, in bytes.
fn page_bytes(layout: &Layout) -> u32 {
    layout.padded(match layout.index_form() {
        IndexForm::Bare => BARE_PAGE_BYTES,
        IndexForm::Columns => PAGE_BYTES,
    })
}

/// What is left of a segment beside headers, two index pages, and the record that retires another: moving a
/// segment takes one. In bytes.
fn room(layout: &Layout) -> u32 {
    let taken = layout.first_offset() + 2 * page_bytes(layout) + retire_bytes(layout);
    layout.segment_bytes().saturating_sub(taken)
}

/// What the record takes that retires another segment, in bytes.
fn retire_bytes(layout: &Layout) -> u32 {
    layout.padded(RETIRE_BYTES) + layout.index_form().entry_bytes(Kind::Retire)
}

fn pairs<T, const N: usize>(mut mine: [T; N], its: [T; N], both: impl Fn(T, T) -> T) -> [T; N]
where
    T: Copy,
{
    mine.iter_mut().zip(its).for_each(|(mine, its)| *mine = both(*mine, its));
    mine
}

/// What records take together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Charge {
    /// Their lengths, in bytes.
    pub bytes: u64,
    /// What they take by gaps, for each of the lengths that are taken off, in bytes.
    gaps: [u64; GAPS],
    /// How many there are of each class,
    records: [u32; PLACES.len()],
    /// and how many changes of edges.
    changes: u32,
}

impl Charge {
    /// How much records may take of a segment, in bytes.
    pub fn usable(layout: &Layout) -> u32 {
        let [least, ..] = gap_lens(layout);
        room(layout).saturating_sub(least).max(1)
    }

    /// How much records of these lengths take of a segment, in bytes, in the order in which they happen to
    /// come: as many as fit beside the record that retires another segment, where all are of one length, and
    /// half of one less in the mean.
    pub fn filled(&self, layout: &Layout) -> u32 {
        let records: u64 = self.records.iter().map(|count| u64::from(*count)).sum();
        let mean = self.bytes / (records + u64::from(self.changes)).max(1);
        let mean = u32::try_from(mean).unwrap_or(u32::MAX).max(1);
        let mean = mean.saturating_add(layout.index_form().entry_bytes(Kind::Block));
        let most =
            layout.segment_bytes().saturating_sub(layout.first_offset() + retire_bytes(layout));
        // With the record that retires a segment.
        let (form, records) = (layout.index_form(), most / mean + 1);
        let pages = match form {
            IndexForm::Bare if records <= form.entries_max() => 0,
            IndexForm::Bare | IndexForm::Columns => records / form.entries_max() + 1,
        };
        let most = most.saturating_sub(pages * page_bytes(layout));
        (most - most % mean).min(most - (mean / 2).min(most / 2))
    }

    /// With a record more.
    pub fn add(&mut self, share: Share) {
        self.bytes = self.bytes.saturating_add(share.bytes);
        self.gaps = pairs(self.gaps, share.gaps, u64::saturating_add);
        if let Some(count) = self.count(share.class) {
            *count = count.saturating_add(1);
        }
    }

    /// With a record less.
    pub fn subtract(&mut self, share: Share) {
        self.bytes = self.bytes.saturating_sub(share.bytes);
        self.gaps = pairs(self.gaps, share.gaps, u64::saturating_sub);
        if let Some(count) = self.count(share.class) {
            *count = count.saturating_sub(1);
        }
    }

    fn count(&mut self, class: Class) -> Option<&mut u32> {
        match class {
            Class::Places(at) => self.records.get_mut(at),
            Class::Change => Some(&mut self.changes),
        }
    }

    /// With those records more.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        self.each(more, u64::saturating_add, u32::saturating_add)
    }

    /// With those records less.
    #[must_use]
    pub fn without(&self, less: &Self) -> Self {
        self.each(less, u64::saturating_sub, u32::saturating_sub)
    }

    fn each(&self, with: &Self, sum: fn(u64, u64) -> u64, count: fn(u32, u32) -> u32) -> Self {
        Self {
            bytes: sum(self.bytes, with.bytes),
            gaps: pairs(self.gaps, with.gaps, sum),
            records: pairs(self.records, with.records, count),
            changes: count(self.changes, with.changes),
        }
    }

    /// What they are charged where it is decided whether the store is full, in bytes of which each segment
    /// has [`usable`](Self::usable).
    pub fn taken(&self, layout: &Layout) -> u64 {
        self.least(layout, u64::from(Self::usable(layout) + layout.segment_bytes() / PLACES_PART))
    }

    /// How much they take at most, in the same bytes: places are no more than they are.
    pub fn taken_at_most(&self, layout: &Layout) -> u64 {
        self.least(layout, Self::usable(layout).into())
    }

    /// The lesser bound, where a segment's places are charged `segment` bytes together.
    fn least(&self, layout: &Layout, segment: u64) -> u64 {
        let by_gaps = self.by_gaps(layout);
        let by_places = PLACES.map(|in_segment| self.by_places(in_segment, segment));
        by_places.into_iter().fold(by_gaps, u64::min)
    }

    fn by_gaps(&self, layout: &Layout) -> u64 {
        let (room, usable) = (room(layout), u64::from(Self::usable(layout)));
        let of = |(gap, bytes): (u32, u64)| {
            let left = u64::from(room.saturating_sub(gap).max(1));
            // Both are less than a segment, and so is their product less than 2^64.
            (bytes / left).saturating_mul(usable).saturating_add(bytes % left * usable / left)
        };
        gap_lens(layout).into_iter().zip(self.gaps).map(of).fold(u64::MAX, u64::min)
    }

    fn by_places(&self, in_segment: u64, segment: u64) -> u64 {
        let places = self.records.iter().zip(PLACES).map(|(count, class)| {
            let long = 2 * in_segment.div_ceil(class.max(1));
            u64::from(*count) * if class < in_segment { long } else { 1 }
        });
        let changes = u64::from(self.changes) * 2 * PLACES_OF_A_LIST;
        (places.sum::<u64>() + changes).saturating_mul(segment).div_ceil(in_segment.max(1))
    }

    /// Whether they are surely charged no more than so many bytes, by the bound that costs nothing to know.
    pub const fn is_surely_within(&self, bytes: u64) -> bool {
        let [by_the_least, ..] = self.gaps;
        by_the_least <= bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{IndexHeader, LARGE_SEGMENT_BYTES};
    use crate::storage::{Erased, Geometry};
    use crate::types::{BlockId, NodeNumber, StoreId};
    use proptest::prelude::*;
    use std::vec::Vec;

    fn layout(segment_bytes: u32) -> Layout {
        layout_of(segment_bytes, 4)
    }

    fn layout_of(segment_bytes: u32, write_bytes: u32) -> Layout {
        let geometry = Geometry {
            capacity_bytes: u64::from(segment_bytes) * 64,
            erase_bytes: segment_bytes,
            write_bytes,
            erased: Erased::Ones,
            keeps_write_order: true,
        };
        Layout::new(StoreId::from_u128(1), geometry, segment_bytes).expect("layout")
    }

    fn block(layout: &Layout, content: u32) -> Share {
        let (number, id) = (NodeNumber::new(u32::MAX), BlockId::default());
        Share::of(layout, &Record::Block { number, version: 1, id, lens: [0, 0, content] })
    }

    /// Segments that are filled when these come one after the other, and in each one a retire record: as the
    /// log writes them, with an index page behind each 64, and behind the last if there is one before.
    fn filled(layout: &Layout, shares: &[Share]) -> u64 {
        let retire = Record::Retire { segment: u32::MAX, slot: u32::MAX };
        let begin = (layout.first_offset() + layout.padded(retire.header_bytes()), 1);
        let full = layout.index_form().entries_max();
        let (mut segments, mut at, mut entries, mut pages) = (0, begin.0, begin.1, 0);
        for share in shares {
            let bytes = u32::try_from(share.bytes).expect("of a segment");
            if entries == full {
                (at, entries, pages) = (at + page_bytes(layout), 0, pages + 1);
            }
            let has_page = pages > 0 || entries + 1 == full;
            let page = if has_page { page_bytes(layout) } else { 0 };
            if at + bytes + page > layout.segment_bytes() {
                (segments, pages) = (segments + 1, 0);
                (at, entries) = begin;
            }
            (at, entries) = (at + bytes, entries + 1);
        }
        segments
    }

    #[test]
    fn no_record_that_retires_a_segment_takes_more_than_is_reckoned() {
        let retire = Record::Retire { segment: u32::MAX, slot: u32::MAX };
        assert_eq!(retire.header_bytes(), RETIRE_BYTES);
    }

    #[test]
    fn no_bare_page_takes_more_than_is_reckoned() {
        let (last, full) = (LARGE_SEGMENT_BYTES - 1, IndexForm::Bare.entries_max());
        let header =
            IndexHeader { entries: full, ids: full, edges: full, first: last, previous: last };
        assert_eq!(Record::Index(header).bytes(IndexForm::Bare), BARE_PAGE_BYTES.into());
    }

    fn taken(layout: &Layout, shares: &[Share]) -> (u64, Charge) {
        let mut charge = Charge::default();
        shares.iter().for_each(|share| charge.add(*share));
        (charge.taken(layout), charge)
    }

    proptest! {
        /// Half of them are of one length, so that places count.
        #[test]
        fn records_never_fill_more_segments_than_they_take(
            (segment_bytes, write_bytes, most) in prop_oneof![
                Just((4096, 4, 3400)), Just((4096, 256, 3000)), Just((1024, 4, 700)),
                Just((1024, 64, 500)), Just((512, 32, 200)), Just((65536, 16, 60000)),
                Just((4096, 1, 3400)), Just((512, 1, 200)), Just((128 << 10, 1, 60000)),
            ],
            one in 0u32..1000,
            lens in proptest::collection::vec((any::<bool>(), 0u32..1000, 1u32..80), 1..900),
        ) {
            let layout = layout_of(segment_bytes, write_bytes);
            let one = one * most / 1000;
            let lens = lens.into_iter().map(|(same, len, part)| (same, len * most / 1000, part));
            let shares: Vec<_> = lens
                .map(|(same, len, part)| block(&layout, if same { one } else { len / part }))
                .collect();
            let (bytes, charge) = taken(&layout, &shares);
            let usable = u64::from(Charge::usable(&layout));
            prop_assert!(filled(&layout, &shares) * usable <= bytes);
            let none = shares.iter().fold(charge, |mut charge, share| {
                charge.subtract(*share);
                charge
            });
            prop_assert_eq!(none, Charge::default());
        }
    }

    #[test]
    fn long_records_of_one_length_take_as_many_places_as_they_have() {
        let layout = layout(4096);
        let usable = f64::from(Charge::usable(&layout));
        for (content, in_segment) in [(3400, 1.0), (1700, 2.0), (1100, 3.0), (800, 4.0)] {
            let shares = [block(&layout, content); 120];
            let segments = taken(&layout, &shares).0 as f64 / usable;
            let least = 120.0 / in_segment;
            assert!((least..least * 1.08).contains(&segments), "{content}: {segments}");
            // By gaps they would take far more.
            assert!(
                taken(&layout, &shares).1.by_gaps(&layout) as f64 / usable > least * 1.15,
                "{content}"
            );
        }
    }
}
