//! The engine: what a caller opens, writes to and reads from. The one room that knows all the others.
//!
//! - `capacity`, `operation`, `error`: what goes in and what can go wrong
//! - `mount`: format, open, recover: finding the ring and replaying it
//! - `batch`, `plan`, `places`, `write`, `put_from`, `work_ahead`: a batch, from its limits to its records;
//!   making room beforehand
//! - `media`, `checks`, `read`, `preview`, `neighbours`: reading without a copy, over mapped and other
//!   storage alike
//! - `workspace`, `query`, `scan`: block iterators, in what the caller lends
//! - `stats`, `verify`: what is in the store, and whether it is sound
//! - `damage`, `repair`, `scrub`: what is done where records are lost, and where a bit is flipped
//!
//! Invariants:
//!
//! - What a batch changes becomes visible after all of it is written (and synced, where the config
//!   says so), by replaying it from media through the same door as recovery does.
//! - A limit is an error before the first byte is written.
//! - After a failed write or sync nothing is written until `recover`; what was read before reads the same.

mod batch;
mod capacity;
mod chain;
mod checks;
mod damage;
mod error;
mod fresh;
mod media;
mod mount;
mod neighbours;
mod operation;
mod places;
mod plan;
mod preview;
mod put_from;
mod query;
mod read;
mod repair;
mod replay;
mod scan;
mod scrub;
mod stats;
mod survey;
mod verify;
mod work_ahead;
mod workspace;
mod write;

pub use capacity::Capacity;
pub use damage::{Damage, OnDamage};
pub use error::{FormatError, GeometryField, OpenError, PutError, ReadError, WriteError};
pub use media::{Mapped, Media, Span, Through};
pub use mount::{FormatOptions, format};
pub use neighbours::Neighbours;
pub use operation::{Expect, Operation};
pub use preview::Preview;
pub use put_from::IncomingBlock;
pub use query::Query;
pub use read::{BlockOf, Reader};
pub use repair::Repaired;
pub use scan::{BlockInfo, Nodes, Order};
pub use scrub::Scrubbed;
pub use stats::{PoolUse, Stats};
pub use survey::{StoreInfo, probe};
pub use verify::{EdgeCount, Finding, Verification};
pub use work_ahead::Compacted;
pub use workspace::{Scan, Workspace};

use crate::compaction::{Fold, TailCursor, Turn};
use crate::planted::{self, Fault};
use crate::state::Store;
use crate::storage::Storage;
use crate::types::Sequence;
use core::sync::atomic::AtomicU8;
use plan::Plan;
use scrub::ScrubCursor;

/// When a batch is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Durability {
    /// When the call that writes it returns: one `sync` of the storage for each batch.
    #[default]
    EveryBatch,
    /// When [`StorageEngine::sync`] or [`StorageEngine::close`] returns. Before, a power cut may
    /// take batches back, always the newest ones: what survives is what was written up to some
    /// batch.
    OnSync,
}

/// When the checksums of a block are checked as it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verify {
    /// All of a segment, headers and bodies, when something in it is read for the first time. What changes on
    /// media after that is found by `verify`, and by a find if it is in the record's id.
    /// Where a segment does not hold, and in the open one, as with `EveryRead`.
    #[default]
    FirstRead,
    /// The block, header and body, each time.
    EveryRead,
    /// Headers only, each time; `verify` looks at everything.
    Never,
}

/// How a store is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// When a batch is durable.
    pub durability: Durability,
    /// When checksums are checked.
    pub verify: Verify,
    /// What is done about damage of which nobody knows what it hit.
    pub on_damage: OnDamage,
    /// Seed of the hash tables. A store whose ids strangers choose takes a random one; it is not stored.
    pub seed: [u64; 2],
}

/// Whether the engine may write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Writing,
    ReadOnly,
    /// A write or a sync failed: what media hold beyond the last sync is not known.
    Failed,
    /// There was no recovery yet, or it failed half way, or a batch could not be read back: nothing is known.
    Lost,
}

/// A store that is open, or prepared to be. See the [room](self).
///
/// It borrows its region for as long as it lives, and owns its storage, which
/// [`close`](Self::close) gives back. It may be moved at any time between two calls.
pub struct StorageEngine<'r, S> {
    store: Store<'r, S>,
    fold: Fold<'r>,
    plan: Plan<'r>,
    tail: TailCursor,
    /// The turn that is ahead, as of when the ring had these ends: the number of its oldest segment and of
    /// its newest.
    turn: Turn,
    turn_of: (u32, u32),
    scrub: ScrubCursor,
    mode: Mode,
    config: Config,
    capacity: Capacity,
    /// The end of the newest batch.
    sequence: Sequence,
    /// Bytes that callers gave to be stored.
    given_bytes: u64,
    damaged: u32,
    /// The last place where records are lost, until it is repaired.
    lost: Option<Damage>,
    /// Where the last opening gave something up, since it did not fit.
    gave_way: Option<Damage>,
    /// What is known of each slot's checksums; shared by readers, hence atomic.
    verified: &'r mut [AtomicU8],
}

impl<S: Storage> StorageEngine<'_, S> {
    /// The end of the newest batch that was written, or that was found at open.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The capacity with which the store was opened.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// Whether records are lost of which nobody knows what they held, and where: the store is degraded,
    /// until [`repair`](Self::repair).
    pub fn damage(&self) -> Option<Damage> {
        let says = !self.shows_what_is_left() && !planted::is(Fault::SilentlyDegraded);
        self.lost.filter(|_| says)
    }

    /// Whether damage is no reason not to answer: a store that is opened read-only cannot be repaired first.
    fn shows_what_is_left(&self) -> bool {
        self.mode == Mode::ReadOnly && self.config.on_damage == OnDamage::Repair
    }

    /// The storage, for questions that the engine does not ask. (Writing to it breaks the store.)
    pub fn storage(&self) -> &S {
        &self.store.storage
    }
}
