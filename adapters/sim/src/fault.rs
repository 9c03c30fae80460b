//! Power: the step at which it is cut, what the cut tears, and what is found there when power comes back.

use crate::random::Random;
use core::ops::Range;

/// What a write unit holds that was being written when power was cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum TornWrite {
    /// One of the others, as the seed decides.
    #[default]
    Seeded,
    /// What it held before.
    Old,
    /// What was to be written.
    New,
    /// Some bits of the one and some of the other.
    Mixed,
    /// Any bytes.
    Random,
    /// Old, new or mixed, another one at each read, until the sector is erased again.
    Unstable,
    /// Nothing: it cannot be read until the sector is erased again, as where ECC guards each unit.
    Unreadable,
}

/// What a sector holds that was being erased when power was cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum TornErase {
    /// One of the others, as the seed decides.
    #[default]
    Seeded,
    /// What it held before.
    Old,
    /// All ones, as if it were blank.
    Ones,
    /// All zeros.
    Zeros,
    /// Some units as before, the others as after a whole erase.
    Mixed,
    /// Any bytes.
    Random,
    /// Old, erased or mixed, another one at each read, until the sector is erased again.
    Unstable,
    /// Nothing: none of it can be read until it is erased again.
    Unreadable,
}

/// Which of the writes since the last sync survive a power cut, on a medium that does not keep write order.
///
/// They are counted in pieces of at most 512 bytes, in the order in which they were written; a piece does not
/// cross a multiple of 512. How many there are, [`SimNor::unsynced`](crate::SimNor::unsynced) says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Survivors {
    /// As the seed decides: all, none, the first ones, all but one, one alone, or each by the toss of a coin.
    #[default]
    Seeded,
    /// None.
    None,
    /// All.
    All,
    /// Those whose bit is set; the first piece is bit 0. Pieces from the 65th on are lost.
    Mask(u64),
}

/// What a power cut leaves behind. By default, the seed decides everything.
///
/// On a medium that does not keep write order, only `unsynced` has a meaning: what was being written or
/// erased is unsynced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Aftermath {
    /// The unit that was being written.
    pub write: TornWrite,
    /// The sector that was being erased.
    pub erase: TornErase,
    /// The writes since the last sync.
    pub unsynced: Survivors,
}

impl TornWrite {
    pub(crate) const ALL: &[Self] = &[
        Self::Seeded,
        Self::Old,
        Self::New,
        Self::Mixed,
        Self::Random,
        Self::Unstable,
        Self::Unreadable,
    ];

    /// Every way in which it can tear, [`Seeded`](Self::Seeded) left out: what a test goes through that tries
    /// them all.
    pub const WAYS: &[Self] = match Self::ALL {
        [_, ways @ ..] => ways,
        [] => &[],
    };

    pub(crate) fn settle(self, random: &mut Random) -> Self {
        match self {
            Self::Seeded => {
                let way = random.below(Self::WAYS.len() as u64) as usize;
                Self::WAYS.get(way).copied().unwrap_or_default()
            }
            decided => decided,
        }
    }
}

impl TornErase {
    pub(crate) const ALL: &[Self] = &[
        Self::Seeded,
        Self::Old,
        Self::Ones,
        Self::Zeros,
        Self::Mixed,
        Self::Random,
        Self::Unstable,
        Self::Unreadable,
    ];

    /// Every way in which it can tear, [`Seeded`](Self::Seeded) left out: what a test goes through that tries
    /// them all.
    pub const WAYS: &[Self] = match Self::ALL {
        [_, ways @ ..] => ways,
        [] => &[],
    };

    pub(crate) fn settle(self, random: &mut Random) -> Self {
        match self {
            Self::Seeded => {
                let way = random.below(Self::WAYS.len() as u64) as usize;
                Self::WAYS.get(way).copied().unwrap_or_default()
            }
            decided => decided,
        }
    }
}

impl Survivors {
    /// For each of `count` pieces, whether it survives.
    pub(crate) fn choose(self, count: usize, random: &mut Random) -> Vec<bool> {
        let kind = random.below(6);
        let chosen = random.below(count.max(1) as u64) as usize;
        let survives = |piece| match self {
            Self::None => false,
            Self::All => true,
            Self::Mask(mask) => piece < 64 && mask >> piece & 1 == 1,
            Self::Seeded => match kind {
                0 => true,
                1 => false,
                2 => piece < chosen,
                3 => piece != chosen,
                4 => piece == chosen,
                _ => random.coin(),
            },
        };
        (0..count).map(survives).collect()
    }
}

/// What was under way when power was cut, and may be torn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UnderWay {
    /// A unit was being written.
    Write,
    /// A sector was being erased.
    Erase,
}

/// What was under way when power was cut, on a medium that keeps write order.
#[derive(Clone, Debug)]
pub(crate) enum Torn {
    /// The unit that starts at `at` was being written.
    Write { at: usize, new: Vec<u8> },
    /// The sector with these bytes was being erased.
    Erase { span: Range<usize> },
}

/// Bytes that read differently each time.
#[derive(Clone, Debug)]
pub(crate) struct Unstable {
    pub(crate) at: usize,
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
}

impl Unstable {
    /// Puts one reading of these bytes where `read`, which starts at `start`, shows them.
    pub(crate) fn show(&self, read: &mut [u8], start: usize, random: &mut Random) {
        let from = self.at.max(start);
        let end = (self.at + self.old.len()).min(start + read.len());
        if from >= end {
            return;
        }
        let here = from - self.at..end - self.at;
        let old = self.old.get(here.clone()).unwrap_or_default();
        let new = self.new.get(here).unwrap_or_default();
        let Some(shown) = read.get_mut(from - start..end - start) else { return };
        match random.below(3) {
            0 => shown.copy_from_slice(old),
            1 => shown.copy_from_slice(new),
            _ => {
                shown.copy_from_slice(old);
                random.mix(shown, new);
            }
        }
    }
}

/// Counts the steps, and ends at the one that is cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Power {
    steps: u64,
    cut_at: Option<u64>,
    off: bool,
}

impl Power {
    /// Steps completed so far.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    /// Completes up to `wanted` steps; if power is cut before the last, it is off and fewer are returned.
    pub(crate) fn take(&mut self, wanted: u64) -> u64 {
        let left = self.cut_at.map_or(u64::MAX, |cut_at| cut_at - self.steps);
        let taken = wanted.min(left);
        self.steps += taken;
        self.off = taken < wanted;
        taken
    }

    /// Completes one step, or says that power was cut.
    pub(crate) fn step(&mut self) -> bool {
        self.take(1) == 1
    }

    /// Cuts before the step of this number, or not.
    pub(crate) fn cut_at(&mut self, step: Option<u64>) {
        self.cut_at = step.map(|step| step.max(self.steps));
    }

    pub(crate) fn set(&mut self, on: bool) {
        self.off = !on;
        self.cut_at = None;
    }
}
