//! Faults that are no power cut: which there are, and at which call each strikes.
//!
//! It decides when, and does nothing itself: what a fault does to the medium stands in `nor.rs`.

use crate::random::Random;

/// What may go wrong with a medium while power is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// A read fails.
    FailedRead,
    /// A write fails; some of its units may be written.
    FailedWrite,
    /// An erase fails; what the sector holds then, the seed decides.
    FailedErase,
    /// A sync fails. On a medium that does not keep write order, what was unsynced is lost on the disk, but
    /// is read as if it were there, and is not synced again, until power is cut: the cache believes it
    /// clean.
    FailedSync,
    /// A sync fails, and what was unsynced is gone at once, on a medium that does not keep write order.
    DroppedSync,
    /// One bit flips, anywhere on the medium, before a read: for good, until its sector is erased.
    BitFlip,
    /// A unit of what is being read cannot be read, now and until its sector is erased.
    UnreadableSpan,
    /// What is written lands elsewhere, over what is there; the call succeeds.
    MisdirectedWrite,
    /// A read shows what each byte was before its last change since the fault was planned.
    StaleRead,
    /// A sector can no longer be erased, now and for ever.
    StuckSector,
    /// The storage is full: a write fails, and nothing of it is written.
    Full,
}

/// The call at which a fault strikes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Chance {
    Read,
    Write,
    Erase,
    Sync,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 11] = [
        Self::FailedRead,
        Self::FailedWrite,
        Self::FailedErase,
        Self::FailedSync,
        Self::DroppedSync,
        Self::BitFlip,
        Self::UnreadableSpan,
        Self::MisdirectedWrite,
        Self::StaleRead,
        Self::StuckSector,
        Self::Full,
    ];

    pub(crate) fn chance(self) -> Chance {
        match self {
            Self::FailedRead | Self::BitFlip | Self::UnreadableSpan | Self::StaleRead => {
                Chance::Read
            }
            Self::FailedWrite | Self::MisdirectedWrite | Self::Full => Chance::Write,
            Self::FailedErase | Self::StuckSector => Chance::Erase,
            Self::FailedSync | Self::DroppedSync => Chance::Sync,
        }
    }
}

/// When a fault strikes, counted in the calls that it can strike from the moment when it is planned: reads,
/// writes, erases or syncs, as the fault is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum When {
    /// Never.
    #[default]
    Never,
    /// At this call alone, if there are so many; the first is 0.
    Call(u64),
    /// At this call and all later ones.
    From(u64),
    /// At one call in so many, as the seed decides.
    OneIn(u64),
}

/// When each fault strikes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    when: [When; Fault::ALL.len()],
    /// Calls since each was planned that it could have struck.
    calls: [u64; Fault::ALL.len()],
    struck: [u64; Fault::ALL.len()],
}

impl Plan {
    pub(crate) fn inject(&mut self, fault: Fault, when: When) {
        let place = fault as usize;
        if let (Some(planned), Some(calls)) = (self.when.get_mut(place), self.calls.get_mut(place))
        {
            (*planned, *calls) = (when, 0);
        }
    }

    pub(crate) fn mend(&mut self) {
        self.when = Default::default();
    }

    /// Whether the fault strikes the call that is being made.
    pub(crate) fn strikes(&mut self, fault: Fault, random: &mut Random) -> bool {
        let place = fault as usize;
        let Some(calls) = self.calls.get_mut(place) else { return false };
        let call = *calls;
        *calls += 1;
        let strikes = match self.when.get(place).copied().unwrap_or_default() {
            When::Never => false,
            When::Call(at) => call == at,
            When::From(first) => call >= first,
            When::OneIn(calls) => calls > 0 && random.below(calls) == 0,
        };
        if let Some(struck) = self.struck.get_mut(place) {
            *struck += u64::from(strikes);
        }
        strikes
    }

    pub(crate) fn struck(&self, fault: Fault) -> u64 {
        self.struck.get(fault as usize).copied().unwrap_or(0)
    }
}
