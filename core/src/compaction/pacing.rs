//! How much to move, and how much must stay free: pure arithmetic.

/// Free slots without which no step is begun: two that recovery may need, one that the step may
/// open, and one that moving the tail may open before it frees another.
const STEP_SLOTS: u32 = 4;
/// Spare slots at the least.
const SPARE_SLOTS_MIN: u32 = 5;
/// One of so many slots is spare.
const SPARE_PART: u32 = 20;
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
}

impl Pace {
    /// The pace for `put` bytes, with `live` bytes in the ring, `free` slots and `usable` bytes in a segment.
    ///
    /// Nothing moves while free space exceeds the spare. Below it, a put of r bytes moves up to r x
    /// live / spare live bytes: as the free space shrinks by what is put, the tail would go around
    /// the whole ring before the spare is used up, however the live bytes lie in it.
    pub fn of(reserve: Reserve, put: u64, live: u64, free: u32, usable: u32) -> Self {
        let spare_slots = reserve.spare_slots() + reserve.step_slots();
        if free > spare_slots {
            return Self { move_bytes: 0 };
        }
        let spare = u64::from(reserve.spare_slots()) * u64::from(usable);
        let share = u128::from(put) * u128::from(live) / u128::from(spare.max(1));
        Self {
            move_bytes: u64::try_from(share).unwrap_or(u64::MAX).max(put.min(u64::from(usable))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_while_there_is_room() {
        let reserve = Reserve::of(64);
        assert_eq!(Pace::of(reserve, 1000, 1 << 20, 30, 4096).move_bytes, 0);
        assert!(Pace::of(reserve, 1000, 1 << 20, 5, 4096).move_bytes >= 1000);
    }

    #[test]
    fn the_spare_is_five_percent_or_what_a_step_and_a_recovery_need() {
        assert_eq!(Reserve::of(8).live_slots(), 3);
        assert_eq!(Reserve::of(64).spare_slots(), 5);
        assert_eq!(Reserve::of(1000).spare_slots(), 50);
    }
}
