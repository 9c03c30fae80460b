//! How many bytes a sequence of slices and pools takes: the sum that sizes a region.
//!
//! The arithmetic is that of `carve.rs` from an aligned start, so that for the same sequence the two
//! agree to the byte; a property test holds them together.

use super::Plain;
use super::pool::SLOTS_MAX;

/// Where the coordinator starts in the region: at a multiple of a cache line, in bytes.
///
/// No plain type may ask for more.
pub const REGION_ALIGN: usize = 64;

/// The bytes that a sequence of slices takes, carved in this order by a
/// [`StorageCoordinator`](super::StorageCoordinator).
///
/// ```
/// use core::mem::MaybeUninit;
/// use kausaldb::memory::{Footprint, StorageCoordinator};
///
/// const NODES: usize = 1000;
/// const REGION_BYTES: usize = Footprint::new().slice::<u32>(NODES).slice::<u64>(NODES).region_bytes();
///
/// let mut region = [MaybeUninit::uninit(); REGION_BYTES];
/// let mut coordinator = StorageCoordinator::new(&mut region);
/// let locations = coordinator.slice_of::<u32>(NODES)?;
/// let versions = coordinator.slice_of::<u64>(NODES)?;
/// assert_eq!((locations.len(), versions.len()), (NODES, NODES));
/// # Ok::<(), kausaldb::memory::RegionTooSmall>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Footprint {
    /// Bytes from an aligned start, or `None` when they exceed the address space: no later step makes it
    /// fit again.
    bytes: Option<usize>,
}

impl Footprint {
    /// Of nothing.
    pub const fn new() -> Self {
        Self { bytes: Some(0) }
    }

    /// Of `bytes` from an aligned start.
    pub(super) const fn starting_at(bytes: usize) -> Self {
        Self { bytes: Some(bytes) }
    }

    /// Where it ends, in bytes from an aligned start; `None` if beyond the address space.
    pub(super) const fn end(self) -> Option<usize> {
        self.bytes
    }

    /// And behind it a slice of `count` values.
    pub const fn slice<T: Plain>(self, count: usize) -> Self {
        self.values(align_of::<T>(), size_of::<T>(), count)
    }

    // Not a part of `slice`, so that it is there once and not once for each type.
    #[inline(never)]
    const fn values(self, align: usize, size: usize, count: usize) -> Self {
        let Some(taken) = self.bytes else { return self };
        // To the next multiple of the alignment, a power of two.
        let Some(end) = taken.checked_add(align - 1) else { return Self { bytes: None } };
        let Some(length) = size.checked_mul(count) else { return Self { bytes: None } };
        Self { bytes: (end & !(align - 1)).checked_add(length) }
    }

    /// And behind it a pool of `count` slots; no region has room for more than
    /// [`Pool::SLOTS_MAX`](super::Pool).
    pub const fn pool<T: Plain>(self, count: usize) -> Self {
        if count > SLOTS_MAX {
            return Self { bytes: None };
        }
        self.slice::<u32>(count).slice::<T>(count)
    }

    /// The size of a region that holds all of it wherever the region starts, in bytes.
    ///
    /// 64 bytes fewer never do. `usize::MAX`, which no region has, when the sum exceeds the address space.
    pub const fn region_bytes(self) -> usize {
        match self.bytes {
            Some(bytes) => bytes.saturating_add(REGION_ALIGN - 1),
            None => usize::MAX,
        }
    }
}

impl Default for Footprint {
    fn default() -> Self {
        Self::new()
    }
}
