//! How much to move, and how much must stay free: pure arithmetic.

use crate::planted::{self, Fault};

/// Free slots without which no step is begun: two that recovery may need, one that the step may
/// open, and one that moving the tail may open before it frees another.
const STEP_SLOTS: u32 = 4;
/// Spare slots at the least.
const SPARE_SLOTS_MIN: u32 = 5;
/// One of so many slots is spare.
const SPARE_PART: u32 = 20;
/// What moving a segment may take beside its live bytes: the record that retires it, and a gap at the end of
/// another one that was not there before.
const MOVE_LOSS_BYTES: u64 = 80;
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

    /// Slots that live records never fill: 5 %, and no fewer than what a step, an update in place
    /// and a recovery need.
    pub const fn spare_slots(self) -> u32 {
        let part = self.segments / SPARE_PART;
        if part > SPARE_SLOTS_MIN { part } else { SPARE_SLOTS_MIN }
    }

    /// Slots that live records may fill.
    pub const fn live_slots(self) -> u32 {
        self.segments.saturating_sub(self.spare_slots())
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

/// What a ring holds, in bytes that records take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filling {
    /// Live records.
    pub live: u64,
    /// Free slots.
    pub free: u32,
    /// What is left of the open segment.
    pub rest: u32,
    /// What records may take of a segment.
    pub usable: u32,
}

impl Pace {
    /// Whether nothing need move for any put, however much lives.
    pub fn rests(reserve: Reserve, free: u32, usable: u32) -> bool {
        let usable = u64::from(usable);
        let used = u64::from(reserve.segments.saturating_sub(free));
        let slots = u64::from(free.saturating_sub(reserve.step_slots()));
        slots * usable > u64::from(reserve.spare_slots()) * usable + used * MOVE_LOSS_BYTES
    }

    /// The pace for a put that takes `put` bytes.
    ///
    /// Nothing moves while free space exceeds the spare, and what one turn may take beside the live bytes.
    /// Below that, a put of r bytes moves r x live / spare live bytes: the tail goes around the whole ring
    /// before the spare is used up, however the live bytes lie in it. Less than the spare may be left before
    /// the reserve is reached, in a ring that is nearly full: then twice of what is left takes its place. The
    /// less is left, the more moves, so that the rest of a turn is never due at once.
    pub fn of(reserve: Reserve, put: u64, ring: &Filling) -> Self {
        let usable = u64::from(ring.usable).max(2);
        let spare = u64::from(reserve.spare_slots()) * usable;
        let room = u64::from(reserve.segments.saturating_sub(reserve.step_slots())) * usable;
        // What one turn may take beside the live bytes, as far as there is room for it.
        let used = u64::from(reserve.segments.saturating_sub(ring.free));
        let ignores = planted::is(Fault::PaceIgnoresWhatIsLeft);
        let turn = (used * MOVE_LOSS_BYTES).min(room.saturating_sub(ring.live));
        let turn = if ignores { 0 } else { turn };
        let slots = u64::from(ring.free.saturating_sub(reserve.step_slots()));
        if slots * usable > spare + turn {
            return Self { move_bytes: 0, free_segments: 0 };
        }
        let left = (slots * usable + u64::from(ring.rest).min(usable)).saturating_sub(turn);
        let over = if ignores { spare } else { (2 * left).clamp(usable / 2, spare) };
        // The live bytes as so many times `over` and a rest, whose share is less than `put`: the product of
        // all would take 128 bits.
        let (over, times) = (over.max(1), ring.live / over.max(1));
        let rest = put.checked_mul(ring.live % over).map_or(put, |product| product / over);
        let share = put.saturating_mul(times).saturating_add(rest);
        let move_bytes = share.max(put.min(usable));
        let segments = u32::try_from(move_bytes / usable).unwrap_or(u32::MAX);
        Self { move_bytes, free_segments: segments.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: Filling = Filling { live: 40 * 4000, free: 30, rest: 0, usable: 4000 };

    fn moved(ring: Filling) -> u64 {
        Pace::of(Reserve::of(64), 1000, &ring).move_bytes
    }

    #[test]
    fn nothing_moves_while_there_is_room() {
        assert_eq!(moved(RING), 0);
        // 53 segments take 80 bytes each to move: more than one, less than two.
        assert_eq!(moved(Filling { free: 11, ..RING }), 0);
        assert_eq!(moved(Filling { free: 10, ..RING }), 1000 * 40 / 5);
    }

    #[test]
    fn the_less_is_left_the_more_moves() {
        let moves = [9, 8, 7, 6, 5, 4].map(|free| moved(Filling { free, ..RING }));
        assert!(moves.is_sorted(), "{moves:?}");
        assert_eq!((moves[0], moves[5]), (1000 * 40 / 5, 1000 * 40 * 2));
        assert_eq!(moved(Filling { free: 0, ..RING }), 1000 * 40 * 2);
        assert_eq!(moved(Filling { live: 0, free: 5, ..RING }), 1000);
    }

    #[test]
    fn the_spare_is_five_percent_or_what_a_step_and_a_recovery_need() {
        assert_eq!(Reserve::of(8).live_slots(), 3);
        assert_eq!(Reserve::of(64).spare_slots(), 5);
        assert_eq!(Reserve::of(1000).spare_slots(), 50);
    }
}
