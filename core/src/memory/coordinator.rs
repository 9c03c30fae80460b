//! The typed face through which subsystems get their memory at open.
//!
//! It knows no subsystem: each asks for what its part of the [`Footprint`](super::Footprint) says, in the
//! same order. Nothing is given back: what the engine holds, it holds until it is closed.

use super::{Arena, Plain, Pool, REGION_ALIGN, RegionTooSmall};
use core::mem::MaybeUninit;

/// Carves a region into the slices and pools of the subsystems.
///
/// It starts at the first multiple of [`REGION_ALIGN`] in the region, so what it hands out lies at the same
/// offsets from there whatever the region's own alignment.
pub struct StorageCoordinator<'r> {
    arena: Arena<'r>,
}

impl<'r> StorageCoordinator<'r> {
    /// A coordinator over `region`, which a [`Footprint`](super::Footprint) sized.
    pub fn new(region: &'r mut [MaybeUninit<u8>]) -> Self {
        let mut arena = Arena::new(region);
        arena.align_to(REGION_ALIGN);
        Self { arena }
    }

    /// A slice of `count` zeroed values. O(its bytes).
    ///
    /// # Errors
    /// The rest of the region is too small; nothing was taken.
    pub fn slice_of<T: Plain>(&mut self, count: usize) -> Result<&'r mut [T], RegionTooSmall> {
        self.arena.slice_of(count)
    }

    /// A slice that holds the same values as `from`. O(its bytes).
    ///
    /// # Errors
    /// The rest of the region is too small; nothing was taken.
    pub fn duplicate<T: Plain + Copy>(
        &mut self,
        from: &[T],
    ) -> Result<&'r mut [T], RegionTooSmall> {
        let slice = self.arena.slice_of(from.len())?;
        // Not `copy_from_slice`: it brings a panic for lengths that differ into the firmware's image.
        slice.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(slice)
    }

    /// A pool of `count` free slots, of at most [`Pool::SLOTS_MAX`]. O(its bytes).
    ///
    /// # Errors
    /// The rest of the region is too small, or no pool has as many slots (`needed_bytes` is
    /// `usize::MAX`); nothing was taken.
    pub fn pool_of<T: Plain + Copy>(
        &mut self,
        count: usize,
    ) -> Result<Pool<'r, T>, RegionTooSmall> {
        self.arena.pool_of(count)
    }

    /// How many bytes are left. Alignment may take some of them.
    pub fn remaining(&self) -> usize {
        self.arena.remaining()
    }
}
