//! Bump allocation out of borrowed bytes, and scopes that give it back.
//!
//! An arena is the rest of its region and nothing else. What it hands out borrows the region for `'r`,
//! never the arena, so the arena can be moved; and because nothing in it has a destructor there is
//! nothing to free, let alone twice.

use super::carve::carve;
use super::pool::Pool;
use super::{Footprint, POISON, Plain, REGION_ALIGN, RegionTooSmall};
use core::mem::MaybeUninit;

/// Hands out slices of a region, from front to back.
pub struct Arena<'r> {
    rest: &'r mut [MaybeUninit<u8>],
    given_bytes: usize,
    /// Tells the pools of this arena from each other; see [`Pool`].
    pools: u8,
}

/// The arena that a scope lends: `'s` is the scope, and nothing that borrows for `'s` gets out of it.
pub type Scratch<'s> = Arena<'s>;

impl<'r> Arena<'r> {
    /// An arena over the whole of `region`.
    pub fn new(region: &'r mut [MaybeUninit<u8>]) -> Self {
        let given_bytes = region.len();
        Self { rest: region, given_bytes, pools: 0 }
    }

    /// An arena over a caller's scratch. What was in it is overwritten by what is taken.
    pub fn over(scratch: &'r mut [u8]) -> Self {
        Self::new(super::carve::as_uninit(scratch))
    }

    /// A slice of `count` zeroed values. O(its bytes).
    ///
    /// # Errors
    /// The rest is too small; nothing was taken.
    pub fn slice_of<T: Plain>(&mut self, count: usize) -> Result<&'r mut [T], RegionTooSmall> {
        carve(&mut self.rest, count).map_err(|needed| self.too_small(needed))
    }

    /// A pool of `count` free slots, of at most [`Pool::SLOTS_MAX`]. O(its bytes).
    ///
    /// # Errors
    /// The rest is too small, or no pool has as many slots (`needed_bytes` is `usize::MAX`); nothing was
    /// taken.
    pub fn pool_of<T: Plain + Copy>(
        &mut self,
        count: usize,
    ) -> Result<Pool<'r, T>, RegionTooSmall> {
        Pool::carve(self, count)
    }

    /// How many bytes are left. Alignment may take some of them.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Runs `f` on the rest of this arena, and takes back all that it took there.
    ///
    /// O(1) and `f`; debug builds also poison what `f` took. `f` must work for a scope of any lifetime,
    /// so it can neither return nor store what it took. Scopes nest.
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// use kausaldb::memory::Arena;
    ///
    /// let mut region = [MaybeUninit::uninit(); 1024];
    /// let mut arena = Arena::new(&mut region);
    /// let sum = arena.scope(|scratch| {
    ///     let squares = scratch.slice_of::<u32>(10)?;
    ///     squares.iter_mut().zip(0..).for_each(|(square, n)| *square = n * n);
    ///     Ok(squares.iter().sum::<u32>())
    /// })?;
    /// assert_eq!((sum, arena.remaining()), (285, 1024));
    /// # Ok::<(), kausaldb::memory::RegionTooSmall>(())
    /// ```
    ///
    /// ```compile_fail
    /// # let mut arena = kausaldb::memory::Arena::new(&mut []);
    /// let kept = arena.scope(|scratch| scratch.slice_of::<u32>(10));
    /// ```
    pub fn scope<R>(&mut self, f: impl FnOnce(&mut Scratch<'_>) -> R) -> R {
        let given_bytes = self.rest.len();
        let mut scratch = Arena { rest: &mut *self.rest, given_bytes, pools: self.pools };
        let result = f(&mut scratch);
        // Handles may leave a scope, so the pools of the next one are told from those of this one.
        self.pools = scratch.pools;
        let taken_bytes = given_bytes.saturating_sub(scratch.rest.len());
        if cfg!(debug_assertions) {
            self.rest
                .iter_mut()
                .take(taken_bytes)
                .for_each(|byte| *byte = MaybeUninit::new(POISON));
        }
        result
    }

    /// Whether a pool of `count` slots fits, before any of it is taken.
    pub(super) fn check_pool<T: Plain>(&self, count: usize) -> Result<(), RegionTooSmall> {
        // No type is aligned above `REGION_ALIGN`, so from here on only the offset from there counts.
        let start = self.rest.as_ptr().addr() % REGION_ALIGN;
        let end = Footprint::starting_at(start).pool::<T>(count).end();
        let needed = end.map_or(usize::MAX, |end| end - start);
        if needed > self.rest.len() { Err(self.too_small(needed)) } else { Ok(()) }
    }

    /// The error when the next step needs `needed_bytes` of the rest.
    pub(super) fn too_small(&self, needed_bytes: usize) -> RegionTooSmall {
        let taken_bytes = self.given_bytes.saturating_sub(self.rest.len());
        RegionTooSmall {
            needed_bytes: needed_bytes.saturating_add(taken_bytes),
            given_bytes: self.given_bytes,
        }
    }

    /// Leaves out the bytes before the next multiple of `align`, or all of them if there is none.
    pub(super) fn align_to(&mut self, align: usize) {
        let padding = super::carve::padding(self.rest.as_ptr().addr(), align).min(self.rest.len());
        let (_, aligned) = core::mem::take(&mut self.rest).split_at_mut(padding);
        self.rest = aligned;
    }

    /// A tag for the next pool. The 257th has the first one's.
    pub(super) fn next_pool_tag(&mut self) -> u8 {
        let tag = self.pools;
        self.pools = tag.wrapping_add(1);
        tag
    }
}
