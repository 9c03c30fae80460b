//! The slots of the ring, in RAM: which segment lies where, in which order, and which slots are free.

use crate::format::{Crc, Predecessor, SegmentHeader};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::types::Sequence;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// No slot.
const NO_SLOT: u32 = u32::MAX;

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlotState {
    /// Nothing that is needed; it is erased before it is used again.
    Free,
    /// Nothing, and this run erased it.
    Clean,
    /// A segment of the ring.
    Live,
    /// A sector of it refused to be erased: it is not used while others are left.
    Bad,
    /// During recovery: it must not be erased, since a recovery after this one may need it.
    Protected,
    /// During recovery: a segment that would count if newer ones did not.
    Candidate,
}

/// What is known of a slot. All plain words, since it lives in the region.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Slot {
    number: u32,
    end: u32,
    index: u32,
    erase_count: u32,
    next: u32,
    /// Flags, the state, and in the upper three bytes a number. While `HEADER` is set and the slot is not
    /// live, `next`, `end` and `index` are those of the segment's predecessor, whose number is less by that
    /// one; 0 if there is none. While the slot is live, it is the check over damage.
    word: u32,
}

/// The segment was filled, and ends with its last index page if it holds any; else that is not known.
const SEALED: u32 = 0x01;
/// What the segment's header says is known from one reading of it: the three flags below, and until the slot
/// is live, its predecessor.
const HEADER: u32 = 0x02;
const RECOVERY: u32 = 0x04;
const CONTINUES: u32 = 0x08;
const BEFORE_SEALED: u32 = 0x10;
/// A repair knows of all damage in the live segment.
const KNOWN: u32 = 0x10;
const FLAGS: u32 = 0x1F;
const STATE_SHIFT: u32 = 5;
const STATE: u32 = 0x07 << STATE_SHIFT;
const REST_SHIFT: u32 = 8;

impl Slot {
    /// Number of the segment that lies (or lay last) in the slot; 0 if none is known.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Offset behind the segment's last valid record, in bytes; 0 while it is open.
    pub const fn end(&self) -> u32 {
        self.end
    }

    /// Offset of the segment's last index page, in bytes; 0 if there is none.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Whether the segment was filled, and ends with its last index page if it holds any, as far as is known.
    pub const fn is_sealed(&self) -> bool {
        self.word & SEALED != 0
    }

    /// How often the slot was erased.
    pub const fn erase_count(&self) -> u32 {
        self.erase_count
    }

    /// What the slot holds.
    pub const fn state(&self) -> SlotState {
        match (self.word & STATE) >> STATE_SHIFT {
            0 => SlotState::Free,
            1 => SlotState::Clean,
            2 => SlotState::Live,
            3 => SlotState::Bad,
            4 => SlotState::Protected,
            _ => SlotState::Candidate,
        }
    }

    /// Check over the damage of a live segment; 0 if there is none.
    pub const fn damage(&self) -> u32 {
        debug_assert!(matches!(self.state(), SlotState::Live), "the word holds something else");
        self.word >> REST_SHIFT
    }

    /// Whether a repair knows of all damage of the live segment.
    pub const fn is_damage_known(&self) -> bool {
        debug_assert!(matches!(self.state(), SlotState::Live), "the word holds something else");
        self.word & KNOWN != 0
    }

    const fn set_state(&mut self, state: SlotState) {
        self.word = self.word & !STATE | (state as u32) << STATE_SHIFT;
    }

    /// Sets the flags, and the number beside them.
    const fn set(&mut self, flags: u32, rest: u32) {
        self.word = self.word & STATE | flags | rest << REST_SHIFT;
    }
}

/// A queue of slots, linked through `next`.
#[derive(Clone, Copy)]
struct Queue {
    first: u32,
    last: u32,
    len: u32,
}

impl Queue {
    const EMPTY: Self = Self { first: NO_SLOT, last: NO_SLOT, len: 0 };
}

/// The slots: the chain of live segments from tail to head, and the queue of free slots, oldest first.
pub struct Ring<'r> {
    slots: &'r mut [Slot],
    chain: Queue,
    free: Queue,
    /// How many slots are [`Bad`](SlotState::Bad).
    bad: u32,
    segment_bytes: u32,
}

impl<'r> Ring<'r> {
    /// What [`new`](Self::new) takes of the region.
    pub const fn footprint(before: Footprint, segments: u32) -> Footprint {
        before.slice::<Slot>(segments as usize)
    }

    /// A ring of `segments` slots of which nothing is known yet: neither live nor free.
    ///
    /// # Errors
    /// The region is too small.
    pub fn new(
        memory: &mut StorageCoordinator<'r>,
        segments: u32,
        segment_bytes: u32,
    ) -> Result<Self, RegionTooSmall> {
        let slots = memory.slice_of::<Slot>(segments as usize)?;
        Ok(Self { slots, chain: Queue::EMPTY, free: Queue::EMPTY, bad: 0, segment_bytes })
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots.fill(Slot::default());
        self.chain = Queue::EMPTY;
        self.free = Queue::EMPTY;
        self.bad = 0;
    }

    /// Number of slots.
    pub fn segments(&self) -> u32 {
        // The slice was made with a count of this type.
        self.slots.len() as u32
    }

    /// Number of slots that can be used: all but the bad ones.
    pub const fn sound(&self) -> u32 {
        (self.slots.len() as u32).saturating_sub(self.bad)
    }

    /// What is known of the slot; an empty one if there is no such slot.
    pub fn slot(&self, slot: u32) -> Slot {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    /// All slots in the order in which they lie on the media.
    pub fn slots(&self) -> &[Slot] {
        self.slots
    }

    fn with(&mut self, slot: u32, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            change(slot);
        }
    }

    /// Notes what a readable header says of the slot.
    pub fn found(&mut self, slot: u32, number: u32, erase_count: u32) {
        self.with(slot, |slot| {
            slot.number = number;
            slot.erase_count = erase_count;
            slot.set(0, 0);
        });
    }

    /// Notes all that a readable header says of its slot, so that an opening need not read it again.
    pub fn found_header(&mut self, header: &SegmentHeader) {
        self.found(header.slot, header.number, header.erase_count);
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let before = header.predecessor;
        let distance = before.map_or(0, |before| header.number.saturating_sub(before.number));
        // Numbers that are skipped are few: each opening skips some. Else the header is read again.
        if distance > u32::MAX >> REST_SHIFT {
            return;
        }
        self.with(header.slot, |slot| {
            if let Some(before) = before {
                (slot.next, slot.end, slot.index) = (before.slot, before.end, before.index);
            }
            let flags = HEADER
                | flag(header.recovery, RECOVERY)
                | flag(header.continues_batch, CONTINUES)
                | flag(before.is_some_and(|before| before.sealed), BEFORE_SEALED);
            slot.set(flags, distance);
        });
    }

    /// The segment before that with this number in a slot which is not live yet, as its header says; `None`
    /// where that is not known.
    pub fn before(&self, slot: u32, number: u32) -> Option<Option<Predecessor>> {
        let known = self.slot(slot);
        let is_known = known.word & HEADER != 0 && known.state() != SlotState::Live;
        let distance = known.word >> REST_SHIFT;
        let before = Predecessor {
            slot: known.next,
            number: known.number.saturating_sub(distance),
            end: known.end,
            index: known.index,
            sealed: known.word & BEFORE_SEALED != 0,
        };
        (is_known && known.number == number).then_some((distance != 0).then_some(before))
    }

    /// Whether recovery wrote the live segment in a slot, and whether it goes on with a batch, as its header
    /// says; `None` where that is not known.
    pub fn beginning(&self, slot: u32) -> Option<(bool, bool)> {
        let flags = self.slot(slot).word;
        (flags & HEADER != 0).then_some((flags & RECOVERY != 0, flags & CONTINUES != 0))
    }

    /// Notes what a slot is to recovery.
    pub fn set_state(&mut self, slot: u32, state: SlotState) {
        self.with(slot, |slot| slot.set_state(state));
    }

    /// Makes this segment the oldest of the chain.
    pub fn push_tail(&mut self, segment: &Predecessor) {
        let next = self.chain.first;
        self.with(segment.slot, |slot| {
            // The header of another segment says nothing of this one.
            let of_header = HEADER | RECOVERY | CONTINUES;
            let kept = if slot.number == segment.number { slot.word & of_header } else { 0 };
            slot.number = segment.number;
            slot.end = segment.end;
            slot.index = segment.index;
            slot.next = next;
            slot.set_state(SlotState::Live);
            slot.set(kept | if segment.sealed { SEALED } else { 0 }, 0);
        });
        if self.chain.len == 0 {
            self.chain.last = segment.slot;
        }
        self.chain.first = segment.slot;
        self.chain.len += 1;
    }

    /// Live segments.
    pub fn live(&self) -> u32 {
        self.chain.len
    }

    /// Free slots, clean ones included.
    pub fn free(&self) -> u32 {
        self.free.len
    }

    /// The slot of the oldest live segment.
    pub fn tail(&self) -> Option<u32> {
        (self.chain.first != NO_SLOT).then_some(self.chain.first)
    }

    /// The slot of the newest live segment.
    pub fn head(&self) -> Option<u32> {
        (self.chain.last != NO_SLOT).then_some(self.chain.last)
    }

    /// The slot of the segment that came after the one in `slot`, if that is live and not the head.
    pub fn after(&self, slot: u32) -> Option<u32> {
        let known = self.slot(slot);
        (known.state() == SlotState::Live && known.next != NO_SLOT).then_some(known.next)
    }

    /// The slots of the live segments, oldest first.
    pub fn chain(&self) -> impl Iterator<Item = u32> + Clone + '_ {
        core::iter::successors(self.tail(), |slot| self.after(*slot)).take(self.chain.len as usize)
    }

    fn push(&mut self, queue: fn(&mut Self) -> &mut Queue, slot: u32, state: SlotState) {
        self.with(slot, |slot| {
            slot.next = NO_SLOT;
            slot.set_state(state);
            // What is linked holds no predecessor any more.
            slot.set(0, 0);
        });
        let last = queue(self).last;
        self.with(last, |last| last.next = slot);
        let queue = queue(self);
        if queue.len == 0 {
            queue.first = slot;
        }
        queue.last = slot;
        queue.len += 1;
    }

    fn pop(&mut self, queue: fn(&mut Self) -> &mut Queue) -> Option<u32> {
        let first = queue(self).first;
        if first == NO_SLOT {
            return None;
        }
        let next = self.slot(first).next;
        let queue = queue(self);
        queue.first = next;
        queue.len -= 1;
        if queue.len == 0 {
            *queue = Queue::EMPTY;
        }
        Some(first)
    }

    /// Makes the segment in `slot` the newest of the chain.
    pub fn push_head(&mut self, slot: u32, number: u32) {
        self.with(slot, |slot| {
            slot.number = number;
            slot.end = 0;
            slot.index = 0;
        });
        self.push(|ring| &mut ring.chain, slot, SlotState::Live);
    }

    /// Notes where the newest segment of the chain ends, its last index page, and whether it ends with that.
    pub fn end_head(&mut self, segment: &Predecessor) {
        self.with(self.chain.last, |slot| {
            slot.end = segment.end;
            slot.index = segment.index;
            slot.word = slot.word & !SEALED | if segment.sealed { SEALED } else { 0 };
        });
    }

    /// Notes that there should be records in a span of a live segment, and are none: from one offset up to
    /// another. The spans of a segment are noted in the order in which they lie.
    pub fn found_damage(&mut self, slot: u32, start: u32, end: u32) {
        self.with(slot, |slot| {
            let words = [slot.damage(), start, end];
            let check = words.iter().fold(Crc::new(), |crc, word| crc.and(&word.to_le_bytes()));
            slot.set(slot.word & FLAGS & !KNOWN, (check.get() >> REST_SHIFT).max(1));
        });
    }

    /// Notes that a repair knew of the damage in a segment that has this check. If it is another one now, the
    /// segment was hurt later, or what was lost is back. What a later repair knew of counts.
    pub fn knew_damage(&mut self, (number, check): (u32, u32), retired: u32) {
        let Some(at) = self.chain().find(|slot| self.slot(*slot).number >= number) else { return };
        let slot = self.slot(at);
        if slot.number != number {
            if number > retired {
                // It is lost, and the one behind it did not name it any more, and lacks it.
                self.found_damage(at, number, 0);
            }
        } else if slot.damage() == check && check != 0 {
            self.with(at, |slot| slot.word |= KNOWN);
        } else if slot.damage() == 0 {
            // All of it is back: what the repair made count is not what is there.
            self.found_damage(at, 0, 0);
        } else {
            self.with(at, |slot| slot.word &= !KNOWN);
        }
    }

    /// The oldest live segment with damage of which no repair knows, as a slot.
    pub fn unknown_damage(&self) -> Option<u32> {
        let is_unknown = |slot: &Slot| slot.damage() != 0 && !slot.is_damage_known();
        self.chain().find(|slot| is_unknown(&self.slot(*slot)))
    }

    /// Takes the oldest segment out of the chain; its slot is neither live nor free until
    /// [`add_free`](Self::add_free).
    pub fn pop_tail(&mut self) -> Option<u32> {
        self.pop(|ring| &mut ring.chain)
    }

    /// Queues a slot as free, behind all that are free already.
    pub fn add_free(&mut self, slot: u32) {
        self.push(|ring| &mut ring.free, slot, SlotState::Free);
    }

    /// Queues a slot as free that was bad, and is erased after all.
    pub fn add_mended(&mut self, slot: u32) {
        self.push(|ring| &mut ring.free, slot, SlotState::Clean);
        self.bad = self.bad.saturating_sub(1);
    }

    /// Queues a slot as free, before all others: what the order of slots is there to prevent.
    pub fn add_free_first(&mut self, slot: u32) {
        let next = self.free.first;
        self.add_free(slot);
        if next != NO_SLOT {
            // It was queued last: turn the queue around it.
            let before = core::iter::successors(Some(next), |slot| Some(self.slot(*slot).next))
                .take(self.free.len as usize)
                .find(|at| self.slot(*at).next == slot);
            if let Some(before) = before {
                self.with(before, |before| before.next = NO_SLOT);
                self.with(slot, |slot| slot.next = next);
                (self.free.first, self.free.last) = (slot, before);
            }
        }
    }

    /// The free slot that is used next.
    pub fn next_free(&self) -> Option<u32> {
        (self.free.first != NO_SLOT).then_some(self.free.first)
    }

    /// Takes the free slot that is used next.
    pub fn pop_free(&mut self) -> Option<u32> {
        self.pop(|ring| &mut ring.free)
    }

    /// Counts an erase of the slot.
    pub fn count_erase(&mut self, slot: u32) {
        self.with(slot, |slot| slot.erase_count = slot.erase_count.saturating_add(1));
    }

    /// Notes that a free slot refused to be erased.
    pub fn found_bad(&mut self, slot: u32) {
        self.bad += u32::from(self.slot(slot).state() != SlotState::Bad);
        self.set_state(slot, SlotState::Bad);
    }

    /// The position along the log of an offset in a slot: the one order of everything.
    pub fn position(&self, slot: u32, offset: u32) -> Sequence {
        let number = u64::from(self.slot(slot).number);
        Sequence::new(number * u64::from(self.segment_bytes) + u64::from(offset))
    }
}
