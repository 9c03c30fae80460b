//! How much to move, and how much must stay free: pure arithmetic.

use crate::planted::{self, Fault};

/// Free slots without which no step is begun: two that recovery may need, one that the step may
/// open, and one that moving the tail may open before it frees another.
const STEP_SLOTS: u32 = 4;
/// Spare slots at the least.
const SPARE_SLOTS_MIN: u32 = 5;
/// One of so many slots is spare for the usual pace.
const SPARE_PART: u32 = 20;
/// One of so many slots is never filled, beside the spare ones that there are at least. The fewer there are,
/// the more of the ring moves for a put where the store is full.
const EMPTY_PART: u32 = 64;
/// Moving a segment takes one of so many parts of one more than what lives in it.
const MOVE_LOSS_PART: i64 = 128;
/// Logarithm of the parts of a segment in which a turn is computed at most.
const PARTS_LOG2: u32 = 10;
/// Logarithm of the parts that all segments together have at most.
const SUM_LOG2: u32 = 28;
/// A segment full of changes of edges is charged what it takes when they are folded, which is more than it
/// holds; of that, no more than so many segments count.
const LIVES_MAX: u64 = 4;
/// A ring with fewer slots could be full with nothing in it.
const SEGMENTS_MIN: u32 = 8;

/// How many slots of a ring stay free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reserve {
    segments: u32,
}

impl Reserve {
    /// The reserve of a ring of so many segments.
    pub const fn of(segments: u32) -> Self {
        Self { segments }
    }

    /// The fewest segments that a ring can have.
    pub const fn segments_min() -> u32 {
        SEGMENTS_MIN
    }

    /// Free slots without which no step is begun.
    pub const fn step_slots(self) -> u32 {
        STEP_SLOTS
    }

    /// Slots over which the tail goes around the ring at the usual pace, if live records leave as many: 5 %,
    /// and no fewer than what a step, an update in place and a recovery need.
    pub const fn spare_slots(self) -> u32 {
        let part = self.segments / SPARE_PART;
        if part > SPARE_SLOTS_MIN { part } else { SPARE_SLOTS_MIN }
    }

    /// Slots that live records may fill: all but those that a step, an update in place and a recovery need,
    /// and one of 64.
    pub const fn live_slots(self) -> u32 {
        self.segments.saturating_sub(SPARE_SLOTS_MIN + self.segments / EMPTY_PART)
    }
}

/// How far the tail moves for a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Live bytes to move at most.
    pub move_bytes: u64,
    /// Segments to free at most.
    pub free_segments: u32,
}

/// What is left of a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// Free slots.
    pub slots: u32,
    /// Of the open segment, in bytes.
    pub rest: u32,
}

impl Left {
    /// What may be appended before the reserve is all that is left, in bytes, where records fill so much of a
    /// segment.
    fn bytes(&self, reserve: Reserve, filled: u32) -> u64 {
        let slots = u64::from(self.slots.saturating_sub(reserve.step_slots()));
        slots * u64::from(filled) + u64::from(self.rest.min(filled))
    }

    /// While no more lives than these bytes, nothing moves, however it lies: all of it fits into what is
    /// left, with the spare and what moving takes. So in a ring that is less than half full no turn is
    /// computed.
    pub fn beyond_any_turn(&self, reserve: Reserve, usable: u32) -> u64 {
        let other = reserve.spare_slots() + reserve.segments / MOVE_LOSS_PART as u32 + 2;
        self.bytes(reserve, usable).saturating_sub(u64::from(other) * u64::from(usable))
    }
}

/// How one turn of the ring goes: how fast the tail moves for each byte that is put, and how late that may
/// begin.
///
/// What moving each segment takes and what it brings back is known, by what lives in it. To have come through
/// the oldest k of them takes the bytes that live there, Λ; freed are those before the last of them. While
/// nothing lives longer than it does now, puts may have the difference. So for every k, where m bytes move
/// for each that is put:
///
/// ```text
/// Λ / m  <=  left + (k - 1) filled - Λ
/// ```
///
/// The usual m is what lives over the spare, so that the tail goes around the whole ring before the spare is
/// used up, however the live bytes lie in it; or over what the live bytes leave of the ring, if that is less.
/// The tail begins no sooner than the inequality asks for some k. Where it is late for that, m is the least
/// that will do, in the hope that half of what is put replaces what is still to be moved.
///
/// Source: the inequality is that of paced copying collection (Baker, List processing in real time on a
/// serial computer, 1978), a segment at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// Nothing moves while more bytes than these are left.
    start: u64,
    /// Of so many bytes that are put,
    put: u64,
    /// so many are moved.
    moved: u64,
    /// What records fill of a segment.
    filled: u32,
}

impl Turn {
    /// The turn that is ahead, where records fill so much of a segment, and so much `lives` in each from the
    /// tail on, in bytes. O(segments); to be computed anew when a segment was opened or freed, since what
    /// dies meanwhile only helps.
    pub fn ahead<I: Iterator<Item = u64> + Clone>(
        reserve: Reserve,
        left: Left,
        filled: u32,
        lives: I,
    ) -> Self {
        // Sums stay below 2^31, products of two below 2^63.
        let parts = PARTS_LOG2.min(SUM_LOG2.saturating_sub(reserve.segments.max(1).ilog2()));
        let unit = filled.max(1).ilog2().saturating_sub(parts);
        let units = |bytes: u64| (bytes >> unit) as i64;
        let usable = units(filled.into()).max(1);
        let most = u64::from(filled) * LIVES_MAX;
        let lives = lives.map(|bytes| units(bytes.min(most) + (1 << unit) - 1));
        let all = lives.clone().sum::<i64>();
        let room = i64::from(reserve.segments.saturating_sub(reserve.step_slots())) * usable;
        let usual = i64::from(reserve.spare_slots()) * usable;
        let spare = (room - all - usable).min(usual).max(usable);
        let left = units(left.bytes(reserve, filled));
        // To have come through each segment takes so much beside what is put meanwhile.
        let through = lives.scan((0, 0), |(moved, freed), live| {
            let before = *freed;
            (*moved, *freed) = (*moved + live, before + usable);
            Some((*moved, *moved + *freed / MOVE_LOSS_PART - before))
        });
        let asks = through.clone().map(|(moved, takes)| moved * spare + takes * all);
        let start = asks.fold(0, i64::max) / all.max(1);
        let is_late = left <= start && !planted::is(Fault::PaceIgnoresWhatIsLeft);
        let (moved, put) =
            if is_late {
                let needs = through.map(|(moved, takes)| {
                    let hoped = moved - moved * moved / (2 * all).max(1);
                    (hoped, (left - takes).max(usable / 2))
                });
                needs.fold((all, spare), |most, this| {
                    if this.0 * most.1 > most.0 * this.1 { this } else { most }
                })
            } else {
                (all, spare)
            };
        Self { start: (start as u64) << unit, put: put as u64, moved: moved as u64, filled }
    }

    /// The pace for a put that takes `put` bytes.
    pub fn pace(&self, reserve: Reserve, left: Left, put: u64) -> Pace {
        if left.bytes(reserve, self.filled).saturating_sub(put) > self.start {
            return Pace { move_bytes: 0, free_segments: 0 };
        }
        let usable = u64::from(self.filled).max(2);
        let share = put.saturating_mul(self.moved) / self.put.max(1);
        let move_bytes = share.max(put.min(usable));
        let segments = u32::try_from(move_bytes / usable).unwrap_or(u32::MAX);
        Pace { move_bytes, free_segments: segments.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const RESERVE: Reserve = Reserve::of(64);
    const FILLED: u32 = 4096;
    const WHOLE: u64 = FILLED as u64;

    /// What a put of 1000 bytes moves, where so many slots are free.
    fn moves(slots: u32, lives: &[u64]) -> u64 {
        let left = Left { slots, rest: 0 };
        let turn = Turn::ahead(RESERVE, left, FILLED, lives.iter().copied());
        turn.pace(RESERVE, left, 1000).move_bytes
    }

    /// What a put of 1000 bytes moves where so many segments live, over so many of the spare.
    fn usual(live: u64, spare: u64) -> u64 {
        1000 * live / spare
    }

    #[test]
    fn nothing_moves_while_there_is_room() {
        // 40 segments that live wholly come first: moving them takes one, their bookkeeping a third of one,
        // and puts meanwhile the five that are spare.
        let lives = [vec![WHOLE; 40], vec![0; 12]].concat();
        assert_eq!(moves(12, &lives), 0);
        assert_eq!(moves(10, &lives), usual(40, 5));
    }

    #[test]
    fn segments_of_which_half_is_dead_are_moved_late() {
        let lives = [WHOLE / 2; 56];
        assert_eq!(moves(6, &lives), 0);
        assert_eq!(moves(4, &lives), usual(28, 5));
    }

    #[test]
    fn the_less_is_left_the_more_moves() {
        let free = [9, 8, 7, 6, 5, 4, 0];
        let all = free.map(|free| moves(free, &[WHOLE; 54]));
        assert!(all.is_sorted(), "{all:?}");
        // Half of what is put is hoped to replace what is moved; half a segment is left to puts at least.
        assert_eq!(all[6], 1000 * 54);
    }

    #[test]
    fn a_put_moves_its_own_length_at_least() {
        assert_eq!(moves(4, &[WHOLE, 0, 0]), 1000);
        assert_eq!(moves(4, &[]), 1000);
    }

    #[test]
    fn sums_of_the_largest_media_do_not_overflow() {
        let reserve = Reserve::of(1 << 21);
        let left = Left { slots: 100, rest: 0 };
        let turn = Turn::ahead(reserve, left, FILLED, (0..1 << 21).map(|_| WHOLE));
        assert!(turn.pace(reserve, left, 1000).move_bytes > 1000);
    }

    #[test]
    fn the_spare_is_five_percent_or_what_a_step_and_a_recovery_need() {
        assert_eq!(Reserve::of(8).live_slots(), 3);
        assert_eq!(Reserve::of(63).live_slots(), 58);
        assert_eq!(Reserve::of(200).live_slots(), 192);
        assert_eq!(Reserve::of(64).spare_slots(), 5);
        assert_eq!(Reserve::of(1000).spare_slots(), 50);
    }
}
