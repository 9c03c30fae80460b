//! Fixed slots behind handles that are checked.
//!
//! A pool is two columns of the region: the values, and beside each its link:
//!
//! ```text
//! link    generation u32 | next free u32       generation: even while the slot is free, odd while in use
//! handle  tag u8, index u24 | generation u32   tag: tells the pools of one arena from each other
//! ```
//!
//! A slot's generation goes up by one when it is taken and when it is given back, so a handle speaks of
//! exactly one stay of one object in one slot. Free slots are chained through their links, the last one
//! given back first. Slots that were never used are not chained: they are the ones from the high-water
//! mark on, so a pool starts as zeroes.
//!
//! Nothing moves between slots and all are of one size, so no order of taking and giving back can
//! fragment a pool.
//!
//! A stale handle is told from a live one until its slot was taken 2^31 times more while the handle was kept.

use super::{Arena, POISON, Plain, RegionTooSmall};
use core::fmt;
use core::marker::PhantomData;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a pool knows of a slot.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Link {
    generation: u32,
    /// The slot that was given back before this one, or [`NONE`]. Meaningless while the slot is in use.
    next_free: u32,
}

/// The end of the chain of free slots: no index.
const NONE: u32 = u32::MAX;

/// How many bits of a handle's first word are its index; the tag is above.
const INDEX_BITS: u32 = 24;

/// An index as a place in a slice. Lossless: indices have 24 bits.
const fn place(index: u32) -> usize {
    index as usize
}

/// Names one stay of one object in one slot of a pool of `T`.
///
/// Two words, and plain itself: a column of the region can hold handles. Made up from other words it
/// names a live object or is refused; it is never undefined.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Handle<T> {
    words: [u32; 2],
    of: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    const fn new(tag: u8, index: u32, generation: u32) -> Self {
        Self::from_raw([(tag as u32) << INDEX_BITS | index, generation])
    }

    /// The handle that [`to_raw`](Self::to_raw) took apart.
    pub const fn from_raw(words: [u32; 2]) -> Self {
        Self { words, of: PhantomData }
    }

    /// The pool's tag and the index in one word, and the generation.
    pub const fn to_raw(self) -> [u32; 2] {
        self.words
    }

    /// Which slot of a pool with this `tag` is meant, if one.
    const fn index_in(self, tag: u8) -> Option<u32> {
        let [word, _] = self.words;
        if word >> INDEX_BITS == tag as u32 { Some(word & ((1 << INDEX_BITS) - 1)) } else { None }
    }

    const fn generation(self) -> u32 {
        let [_, generation] = self.words;
        generation
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl<T> Eq for Handle<T> {}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [word, generation] = self.words;
        write!(f, "Handle({word:#010x}, {generation})")
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for Handle<T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let [word, generation] = self.words;
        defmt::write!(f, "Handle({=u32:#010x}, {=u32})", word, generation);
    }
}

/// Why a pool refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PoolError {
    /// What the handle names was given back: also when it is given back twice.
    Stale,
    /// The handle is another pool's, or was made up.
    Foreign,
    /// All slots are in use.
    Exhausted {
        /// How many there are.
        capacity: usize,
    },
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the object of this handle was given back"),
            Self::Foreign => f.write_str("the handle is not of this pool"),
            Self::Exhausted { capacity } => {
                write!(f, "all {capacity} slots of the pool are in use")
            }
        }
    }
}

impl core::error::Error for PoolError {}

/// A fixed number of slots for values of type `T`.
///
/// Every operation but [`clear`](Self::clear) is O(1). The slots lie in the region, so moving the pool
/// moves none of them, and handles stay valid.
///
/// The tag by which a pool knows foreign handles is one byte, counted by the coordinator or arena that it
/// came from: it tells 256 pools of that one apart, not pools of different regions.
///
/// ```
/// use core::mem::MaybeUninit;
/// use kausaldb::memory::{Arena, PoolError};
///
/// let mut region = [MaybeUninit::uninit(); 256];
/// let mut pool = Arena::new(&mut region).pool_of::<u64>(4)?;
/// let handle = pool.acquire(7).unwrap();
/// assert_eq!(pool.get(handle), Ok(&7));
/// assert_eq!(pool.release(handle), Ok(7));
/// assert_eq!(pool.release(handle), Err(PoolError::Stale));
/// # Ok::<(), kausaldb::memory::RegionTooSmall>(())
/// ```
pub struct Pool<'r, T> {
    links: &'r mut [Link],
    values: &'r mut [T],
    /// The free slot that was given back last, or [`NONE`].
    free: u32,
    /// How many slots were ever in use at once: those behind were never used.
    high_water: u32,
    in_use: u32,
    tag: u8,
}

impl<'r, T: Plain + Copy> Pool<'r, T> {
    /// How many slots a pool can have.
    pub const SLOTS_MAX: usize = 1 << INDEX_BITS;

    pub(super) fn carve(arena: &mut Arena<'r>, count: usize) -> Result<Self, RegionTooSmall> {
        if count > Self::SLOTS_MAX {
            return Err(arena.too_small(usize::MAX));
        }
        arena.check_pool::<T>(count)?;
        let links = arena.slice_of(count)?;
        let values = arena.slice_of(count)?;
        let tag = arena.next_pool_tag();
        Ok(Self { links, values, free: NONE, high_water: 0, in_use: 0, tag })
    }

    /// Puts `value` into a free slot.
    ///
    /// # Errors
    /// [`PoolError::Exhausted`].
    pub fn acquire(&mut self, value: T) -> Result<Handle<T>, PoolError> {
        let exhausted = PoolError::Exhausted { capacity: self.capacity() };
        let fresh = self.free == NONE;
        let index = if fresh { self.high_water } else { self.free };
        // With no free slot behind the high-water mark either, this is where it shows.
        let link = self.links.get_mut(place(index)).ok_or(exhausted)?;
        let slot = self.values.get_mut(place(index)).ok_or(exhausted)?;
        if fresh {
            self.high_water += 1;
        } else {
            self.free = link.next_free;
        }
        *slot = value;
        link.generation = link.generation.wrapping_add(1);
        self.in_use += 1;
        Ok(Handle::new(self.tag, index, link.generation))
    }

    /// Gives the slot back, and returns what was in it. Every copy of the handle is stale from now on.
    ///
    /// # Errors
    /// [`PoolError::Stale`] or [`PoolError::Foreign`]; the pool is as it was.
    pub fn release(&mut self, handle: Handle<T>) -> Result<T, PoolError> {
        let index = self.check(handle)?;
        let link = self.links.get_mut(place(index)).ok_or(PoolError::Foreign)?;
        let slot = self.values.get_mut(place(index)).ok_or(PoolError::Foreign)?;
        let value = *slot;
        poison(slot);
        *link = Link { generation: link.generation.wrapping_add(1), next_free: self.free };
        self.free = index;
        self.in_use -= 1;
        Ok(value)
    }

    /// What the handle names.
    ///
    /// # Errors
    /// [`PoolError::Stale`] or [`PoolError::Foreign`].
    pub fn get(&self, handle: Handle<T>) -> Result<&T, PoolError> {
        let index = self.check(handle)?;
        self.values.get(place(index)).ok_or(PoolError::Foreign)
    }

    /// What the handle names, to change it.
    ///
    /// # Errors
    /// [`PoolError::Stale`] or [`PoolError::Foreign`].
    pub fn get_mut(&mut self, handle: Handle<T>) -> Result<&mut T, PoolError> {
        let index = self.check(handle)?;
        self.values.get_mut(place(index)).ok_or(PoolError::Foreign)
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.links.len()
    }

    /// How many slots are in use.
    pub fn in_use(&self) -> usize {
        place(self.in_use)
    }

    /// How many slots were ever in use at once: what the pool would have needed.
    pub fn high_water(&self) -> usize {
        place(self.high_water)
    }

    /// Gives all slots back: every handle is stale from now on. The high-water mark stays. O(high-water
    /// mark).
    pub fn clear(&mut self) {
        let used = self.high_water();
        let mut next_free = NONE;
        for ((index, link), slot) in
            (0..).zip(self.links.iter_mut()).zip(self.values.iter_mut()).take(used)
        {
            if is_in_use(link.generation) {
                link.generation = link.generation.wrapping_add(1);
                poison(slot);
            }
            link.next_free = next_free;
            next_free = index;
        }
        self.free = next_free;
        self.in_use = 0;
    }

    /// The index of the slot that `handle` names, if what it names is still there.
    fn check(&self, handle: Handle<T>) -> Result<u32, PoolError> {
        let index = handle.index_in(self.tag).ok_or(PoolError::Foreign)?;
        let link = self.links.get(place(index)).ok_or(PoolError::Foreign)?;
        // A made-up handle may carry the generation of a free slot.
        if link.generation == handle.generation() && is_in_use(link.generation) {
            Ok(index)
        } else {
            Err(PoolError::Stale)
        }
    }
}

const fn is_in_use(generation: u32) -> bool {
    generation % 2 == 1
}

/// Overwrites a free slot, in debug builds.
fn poison<T: Plain>(slot: &mut T) {
    if cfg!(debug_assertions) {
        slot.as_mut_bytes().fill(POISON);
    }
}

#[cfg(test)]
mod tests;
