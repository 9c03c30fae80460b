//! The rules of the ring, by name. Each is a sentence of `core/docs/durability.md`.

use std::fmt;

/// A rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// Every opening that writes syncs before it writes or erases anything.
    OpensSynced,
    /// What was synced is in the ring that the next opening uses.
    NothingLost,
    /// Free slots are erased oldest first, the one that was retired last at the very end.
    OldestFirst,
    /// No slot is erased of the ring in use, of a ring that is proven, or of a segment that counts.
    RingKept,
    /// A segment is begun in a slot that this run erased.
    ErasedBefore,
    /// Segment numbers rise, and are never used again.
    NumbersRise,
    /// A header says which segment came before, where that one ended, and which are retired.
    HeaderTells,
    /// A header is durable before the first record.
    HeaderFirst,
    /// A segment says which one was opened after it: once, and when that one holds what is durable.
    SuccessorTold,
    /// Records are whole, and lie one behind the other behind what this run wrote.
    AtTheEnd,
    /// The first record after each sync says so, and no other one does.
    MarkAfterSync,
    /// A fresh segment holds what was taken over and what is written again, no more and no less.
    FreshContent,
    /// An opening writes three marks, each of them synced, before it returns.
    ThreeMarks,
    /// Nothing stands inside a batch but its records and index pages.
    BatchWhole,
    /// A segment is retired behind a sync, the oldest first, and nothing is written before that is synced.
    RetireSynced,
    /// Everything that lives in a segment is written anew before it is retired.
    LiveRewritten,
    /// What was moved is read back before its segment is retired.
    ReadBack,
    /// Edge changes and tombstones are never moved.
    NeverMoved,
    /// A number is given to another node only when its deletion is done.
    NumberFree,
    /// A deletion is done only when no list and no pending change mentions the node.
    Unmentioned,
    /// A list that is written holds what it held before, changed by what was pending.
    Folded,
    /// Four slots are free before a batch begins, and one more for each segment that it needs beyond the
    /// first; an opening finds two.
    Reserve,
    /// What is acknowledged is durable.
    Acknowledged,
    /// Closing marks the end, and syncs that.
    Closed,
    /// The engine counts live and free segments, and places the end, as the model does.
    Recovered,
}

/// A rule that was broken, and by what.
#[derive(Clone, Debug)]
pub struct Broken {
    pub rule: Rule,
    pub by: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule of the ring {:?}: {}", self.rule, self.by)
    }
}

/// Whether the engine kept the rules.
pub type Kept = Result<(), Broken>;

/// Holds a rule.
pub fn hold(is_kept: bool, rule: Rule, by: impl FnOnce() -> String) -> Kept {
    if is_kept { Ok(()) } else { Err(Broken { rule, by: by() }) }
}
