//! Faults that tests plant, to see that the other tests would notice them.
//!
//! Each is a rule of the log that is left out, or a bug of the kind that such systems had. Without the
//! feature `planted` nothing of this is compiled: `is` says `false`, and what it guards is gone.
//! `core/tests/planted/` plants them one after the other.

/// A fault. The rule that it breaks stands beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "each names what is done wrong")]
pub enum Fault {
    /// What was moved is durable before its old segment is retired.
    MovedNotSynced = 1,
    /// The retire record is durable before the slot may be erased.
    RetireNotSynced,
    /// A segment's header is durable before its first record.
    HeaderNotSynced,
    /// A segment says which one was opened after it.
    SuccessorUntold,
    /// It says so when that one holds what is durable.
    SuccessorToldEarly,
    /// A slot is erased before it is used again.
    EraseLeftOut,
    /// A fresh segment counts only with its marks.
    CountsWithoutMarks,
    /// A third mark is written before an opening returns.
    NoThirdMark,
    /// The last record is not trusted where it lies.
    TrustsTheEnd,
    /// A torn body is no record.
    TornBodyCounts,
    /// A record that is written again counts only if its body was sound as it was copied.
    CopiesWhatIsTorn,
    /// Recovery erases no slot of a ring that is proven.
    ProvenUnprotected,
    /// The slot that was retired last is the last that recovery takes.
    RetiredLastFirst,
    /// The slot with the highest segment number is never the next one erased.
    HighestErasedNext,
    /// While nobody knows what was lost nothing is written, so that no number is given which it may have had.
    DegradedWritten,
    /// Segment numbers are never used again.
    NumbersRestart,
    /// Every opening syncs before it believes what it reads.
    OpensUnsynced,
    /// Checks are salted with the segment's number.
    SaltLacksNumber,
    /// Checks are salted with the offset.
    SaltLacksOffset,
    /// A batch counts only with its end.
    BatchNeedsNoEnd,
    /// The end of a batch counts its records.
    BatchEndUncounted,
    /// An acknowledged batch is synced.
    AcknowledgedUnsynced,
    /// After a sync the next record says so.
    NeverMarks,
    /// A tombstone is written when nothing mentions the node any more.
    TombstoneTooEarly,
    /// A number is free when its node's deletion is done.
    NumberFreedTooEarly,
    /// An edge change at the tail is folded at both ends.
    FoldedAtOneEnd,
    /// An open deletion is moved like all that lives.
    IntentNotMoved,
    /// The later record of a key wins.
    OlderWins,
    /// Folding takes out what was unlinked.
    UnlinkForgotten,
    /// An edge to itself is an edge.
    SelfEdgeRefused,
    /// What does not fit is refused before anything is written.
    FullUnchecked,
    /// No step is begun without the reserve.
    NoReserve,
    /// What a failed sync left is not believed.
    FailedSyncForgotten,
    /// After a failed write nothing is written.
    GoesOnAfterFailure,
    /// A storage that refuses is no absence.
    RefusalIsAbsence,
    /// A body that is damaged stays damaged where it is moved.
    DamageMovedAsSound,
    /// Where records are lost, the store says so.
    SilentlyDegraded,
    /// A slot that was retired is used again after all that were free before.
    RetiredUsedNext,
    /// The less is left, the more is moved; what moving takes is left over.
    PaceIgnoresWhatIsLeft,
    /// A storage that cannot be read is not one without a store.
    RefusalIsNoStore,
    /// Moves, folds and marks never lie inside a batch.
    MovesInsideBatch,
    /// Room is made for the whole of a batch before it starts.
    BatchSizeUncounted,
    /// Checks are salted with the store's id.
    SaltLacksStore,
    /// What was moved is read back before its old segment is retired.
    MovedNotReadBack,
    /// Where a segment ends is said without what is written again.
    EndIncludesAgain,
    /// Recovery erases no slot of the ring that it uses.
    ChainErased,
    /// Recovery erases no segment that would count if newer ones did not.
    CandidateUnprotected,
    /// To recovery, a segment is retired only when a valid record follows the one that says so.
    RetireBelieved,
    /// An edge change is never moved.
    EdgeChangeMoved,
    /// A tombstone is never moved.
    TombstoneMoved,
    /// What does not validate behind all that is known to be durable is a tear: nothing behind it counts.
    TearIsDamage,
    /// A record says that what lies before it is durable only after a sync.
    MarksUnsynced,
    /// Closing says that everything is durable.
    CloseUnmarked,
    /// Bytes that do not validate are never handed out.
    BodyUnchecked,
    /// One bad record does not keep a store from opening.
    DamageRefusesTheStore,
    /// A scan shows what a point read shows.
    ScanShowsDead,
    /// What was cut short says so.
    CutShortUnsaid,
    /// A repair ends the damage that it knew of, and no other.
    RepairEndsAll,
    /// An opening that takes a segment over copies all that counts in it.
    TakesOverInPart,
    /// A number is given to one node only.
    NumberGivenTwice,
    /// Records lie one behind the other.
    LeavesAGap,
}

#[cfg(feature = "planted")]
mod chosen {
    use super::Fault;
    use core::sync::atomic::{AtomicU64, Ordering};

    static CHOSEN: AtomicU64 = AtomicU64::new(0);

    /// Plants faults in every store of this process, in place of those that were planted. Rules that cover
    /// for each other are broken together.
    pub fn plant(faults: &[Fault]) {
        let chosen = faults.iter().fold(0, |chosen, fault| chosen | 1 << *fault as u64);
        CHOSEN.store(chosen, Ordering::Relaxed);
    }

    pub(crate) fn is(fault: Fault) -> bool {
        CHOSEN.load(Ordering::Relaxed) & (1 << fault as u64) != 0
    }
}

#[cfg(feature = "planted")]
pub(crate) use chosen::is;
#[cfg(feature = "planted")]
pub use chosen::plant;

/// Whether this fault is planted.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) const fn is(_: Fault) -> bool {
    false
}
