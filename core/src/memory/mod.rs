//! The memory model: everything that the store holds in RAM comes out of one region of the caller's bytes.
//!
//! - [`Footprint`] adds up, at compile time if wanted, how large the region must be.
//! - [`StorageCoordinator`] carves the region at open: the typed face through which a subsystem gets its
//!   memory.
//! - [`Pool`] holds objects that come and go, in fixed slots behind handles that are checked.
//! - [`Arena`] lends temporary space that is released whole, at the end of a scope that no borrow leaves.
//! - [`Owned`](owned::Owned) names the owner of a value in its type.
//!
//! This room knows nothing of blocks, edges or media. It holds the only unsafe code of the core: the casts in
//! `carve.rs` and `atomics.rs`, the hint in `prefetch.rs`, and the lock in `lock.rs`.
//!
//! Invariants:
//!
//! - What lies in the region is [`Plain`]: initialised when carved, without pointers, without
//!   destructors. Where the region lies is therefore no part of its content.
//! - What is handed out borrows the region, not the arena, coordinator or pool that handed it out: these
//!   can be moved at any time.
//! - No memory is taken twice, and none is given back but whole: there is nothing to fragment.
//! - In debug builds, what scopes and pools take back is overwritten with a pattern, so that a read of it
//!   through a forgotten index shows.

mod arena;
mod atomics;
mod carve;
mod coordinator;
mod footprint;
#[cfg(target_has_atomic = "ptr")]
mod lock;
pub mod owned;
mod plain;
mod pool;
mod prefetch;
#[cfg(test)]
mod tests;

pub use arena::{Arena, Scratch};
pub use atomics::atomic_bytes;
pub use coordinator::StorageCoordinator;
pub use footprint::{Footprint, REGION_ALIGN};
#[cfg(target_has_atomic = "ptr")]
pub(crate) use lock::RwLock;
pub use plain::Plain;
pub use pool::{Handle, Link, Name, Pool, PoolError};
pub use prefetch::prefetch;

use core::fmt;

/// What debug builds write over memory that is taken back: no small number, no likely id, no text.
const POISON: u8 = 0xDD;

/// The region does not hold what was asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RegionTooSmall {
    /// How large the region would have to be for everything carved so far and this, in bytes;
    /// `usize::MAX` if no region is large enough.
    pub needed_bytes: usize,
    /// How large it is, in bytes.
    pub given_bytes: usize,
}

impl fmt::Display for RegionTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed_bytes, given_bytes } = self;
        write!(f, "the region has {given_bytes} bytes and needs {needed_bytes}")
    }
}

impl core::error::Error for RegionTooSmall {}
