//! What the engine was doing when power was cut: read from the records that were being written.
//!
//! A [`Watch`] follows the writes to the open segment, record by record, so that each unit of a write is
//! known by its record. It reads media with the core's own decoder and knows nothing of the engine's RAM.

use kausaldb::StoreId;
use kausaldb::format::{FoundHeader, Header, Kind, Layout, Record, Salt};
use std::cell::Cell;
use std::fmt;
use std::ops::{AddAssign, Range};

/// Something that the engine does, at which power may be cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Records of a batch, and marks.
    Writing,
    /// Index pages.
    Sealing,
    /// A node's list of edges.
    Folding,
    /// A page of a hub's list.
    Paging,
    /// A block that was written before.
    Moving,
    Retiring,
    Erasing,
    /// A segment's header.
    Starting,
    /// What a segment says of the one that was opened after it.
    Telling,
    Syncing,
    /// Anything, while the store is being opened.
    Recovery,
    /// Anything, while the edges of a deleted node are being cleaned up.
    OpenIntent,
    /// A slot is erased or begun that lies before the last one.
    Wrapping,
}

const PHASES: [Phase; 13] = [
    Phase::Writing,
    Phase::Sealing,
    Phase::Folding,
    Phase::Paging,
    Phase::Moving,
    Phase::Retiring,
    Phase::Erasing,
    Phase::Starting,
    Phase::Telling,
    Phase::Syncing,
    Phase::Recovery,
    Phase::OpenIntent,
    Phase::Wrapping,
];

/// The phases that one step belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment(u16);

impl Moment {
    pub fn of(phase: Phase) -> Self {
        Self(1 << phase as u8)
    }

    fn and_if(self, is: bool, phase: Phase) -> Self {
        if is { Self(self.0 | Self::of(phase).0) } else { self }
    }

    pub fn is(self, phase: Phase) -> bool {
        self.0 & Self::of(phase).0 != 0
    }
}

/// How many cuts there were in each phase.
#[derive(Clone, Copy, Default)]
pub struct Counts([u64; PHASES.len()]);

impl Counts {
    pub fn add(&mut self, moment: Moment) {
        for (count, phase) in self.0.iter_mut().zip(PHASES) {
            *count += u64::from(moment.is(phase));
        }
    }

    /// The least that was counted in any of the step's phases.
    pub fn least(&self, moment: Moment) -> u64 {
        let counted = self.0.iter().zip(PHASES).filter(|(_, phase)| moment.is(*phase));
        counted.map(|(count, _)| *count).min().unwrap_or(0)
    }

    /// The phases in which there was none.
    pub fn missing(&self) -> Vec<Phase> {
        let none = self.0.iter().zip(PHASES).filter(|(count, _)| **count == 0);
        none.map(|(_, phase)| phase).collect()
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, phase) in self.0.iter().zip(PHASES) {
            write!(f, " {phase:?} {count}")?;
        }
        Ok(())
    }
}

/// What no record says: whoever runs the engine sets it.
#[derive(Default)]
pub struct Context {
    /// Blocks of this version or below were there before the batch in flight.
    pub newest: Cell<u64>,
    pub recovery: Cell<bool>,
    pub open_intent: Cell<bool>,
}

/// Follows what is written.
#[derive(Clone)]
pub struct Watch {
    layout: Layout,
    salt: Salt,
    /// Slot and number of the segment that is being written.
    segment: Option<(u32, u32)>,
    /// Offset of the first record that was not seen whole.
    next: u32,
}

impl Watch {
    pub fn new(store: StoreId, geometry: kausaldb::storage::Geometry, segment_bytes: u32) -> Self {
        let layout = Layout::new(store, geometry, segment_bytes).expect("layout");
        Self { layout, salt: Salt::of(store), segment: None, next: 0 }
    }

    fn moment(&self, phase: Phase, context: &Context) -> Moment {
        Moment::of(phase)
            .and_if(context.recovery.get(), Phase::Recovery)
            .and_if(context.open_intent.get(), Phase::OpenIntent)
    }

    pub fn sync(&self, context: &Context) -> Moment {
        self.moment(Phase::Syncing, context)
    }

    pub fn erase(&self, sector: u32, context: &Context) -> Moment {
        let slot = sector / self.layout.sectors_per_segment();
        let wraps = self.segment.is_some_and(|(head, _)| slot < head);
        self.moment(Phase::Erasing, context).and_if(wraps, Phase::Wrapping)
    }

    /// What each unit of a write is, in their order; `image` is the medium before it.
    pub fn write(&mut self, image: &[u8], at: u64, bytes: &[u8], context: &Context) -> Vec<Moment> {
        let segment_bytes = u64::from(self.layout.segment_bytes());
        let (slot, offset) = ((at / segment_bytes) as u32, (at % segment_bytes) as u32);
        let unit = self.layout.geometry().write_bytes as usize;
        if offset == self.layout.successor_offset() {
            return vec![self.moment(Phase::Telling, context); bytes.len() / unit];
        }
        let mut moments = vec![self.moment(Phase::Writing, context); bytes.len() / unit];
        let mut mark = |span: Range<u32>, moment: Moment| {
            let from = span.start.saturating_sub(offset) as usize / unit;
            let end = (span.end.saturating_sub(offset) as usize).div_ceil(unit).min(moments.len());
            if let Some(units) = moments.get_mut(from..end) {
                units.fill(moment);
            }
        };
        let start = self.layout.slot_start(slot) as usize;
        if offset == 0 {
            let wraps = self.segment.is_some_and(|(head, _)| slot < head);
            // A segment without index pages is sealed by the header of the next, and nothing else.
            let before = FoundHeader::parse(bytes).ok().and_then(|found| found.segment.predecessor);
            let seals = before.is_some_and(|before| before.sealed && before.index == 0);
            let moment = self.moment(Phase::Starting, context).and_if(wraps, Phase::Wrapping);
            let moment = moment.and_if(seals, Phase::Sealing);
            mark(0..self.layout.first_offset(), moment);
        }
        if offset == 0 || self.segment.is_none_or(|(head, _)| head != slot) {
            let header = if offset == 0 { bytes } else { &image[start..] };
            let Ok(header) = FoundHeader::parse(header) else { return moments };
            self.segment = Some((slot, header.segment.number));
            self.next = self.layout.first_offset();
        }
        let (end, from) = (offset + bytes.len() as u32, self.next);
        let Some(number) = self.segment.map(|(_, number)| number).filter(|_| from < end) else {
            return moments;
        };
        let before = image.get(start + from as usize..start + offset as usize).unwrap_or_default();
        let skipped = from.saturating_sub(offset) as usize;
        let seen = [before, &bytes[skipped..]].concat();
        while self.next < end {
            let rest = &seen[(self.next - from) as usize..];
            let here = self.next;
            let (record_end, phase) = match Header::parse(rest, self.salt.at(number, here)) {
                Some(header) => {
                    let len = header.record_bytes(self.layout.index_form()) as u32;
                    (here + self.layout.padded(len), phase(&header.record, context))
                }
                None => (u32::MAX, Phase::Writing),
            };
            mark(here..record_end.min(end), self.moment(phase, context));
            if record_end > end {
                break;
            }
            self.next = record_end;
        }
        moments
    }
}

fn phase(record: &Record, context: &Context) -> Phase {
    match (record.kind(), record) {
        (Kind::Index, _) => Phase::Sealing,
        (Kind::AdjacencyOut | Kind::AdjacencyIn, _) => Phase::Folding,
        (Kind::PageOut | Kind::PageIn, _) => Phase::Paging,
        (Kind::Retire, _) => Phase::Retiring,
        (_, Record::Block { version, .. }) if *version <= context.newest.get() => Phase::Moving,
        _ => Phase::Writing,
    }
}
