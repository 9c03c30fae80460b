//! Fixed slots behind handles that are checked.
//!
//! A pool is two columns of the region:
//!
//! ```text
//! generations  u32 each      even while the slot is free, odd while it is in use
//! values       T each        while the slot is free, the first four bytes are the next free slot
//! ```
//!
//! and its slots are named in two ways:
//!
//! ```text
//! handle  tag u8, index u24 | generation u32     tag: tells the pools of one arena from each other
//! link    0, stay u8, index + 1 u23              stay: what tells it from the last 255 in the same slot
//! ```
//!
//! Handles are for everybody. The objects of a pool name each other by links, of half the size: a list or a
//! chain in the region is made of them.
//!
//! A slot's generation goes up by one when it is taken and when it is given back, so a handle speaks of
//! exactly one stay of one object in one slot. Free slots are chained, the last one
//! given back first. Slots that were never used are not chained: they are the ones from the high-water
//! mark on, so a pool starts as zeroes.
//!
//! Nothing moves between slots and all are of one size, so no order of taking and giving back can
//! fragment a pool.
//!
//! A stale handle is told from a live one until its slot was taken 2^31 times more while the handle was kept;
//! a stale link, 256 times.

mod handle;

pub(super) use handle::SLOTS_MAX;
pub use handle::{Handle, Link, Name};

use super::{Arena, POISON, Plain, RegionTooSmall};
use core::fmt;

/// The end of the chain of free slots: no index.
const NONE: u32 = u32::MAX;

/// An index as a place in a slice. Lossless: indices have 24 bits.
const fn place(index: u32) -> usize {
    index as usize
}

/// Why a pool refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PoolError {
    /// What is named was given back: also when it is given back twice.
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

/// A fixed number of slots for values of type `T`, of at least four bytes each.
///
/// Every operation is O(1) where it does not say otherwise. The slots lie in the region, so moving the pool
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
#[derive(Debug)]
pub struct Pool<'r, T> {
    generations: &'r mut [u32],
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
    pub const SLOTS_MAX: usize = SLOTS_MAX;

    pub(super) fn carve(arena: &mut Arena<'r>, count: usize) -> Result<Self, RegionTooSmall> {
        const {
            assert!(
                size_of::<T>() >= size_of::<u32>(),
                "a free slot holds the number of the next one"
            );
        }
        if count > Self::SLOTS_MAX {
            return Err(arena.too_small(usize::MAX));
        }
        arena.check_pool::<T>(count)?;
        let generations = arena.slice_of(count)?;
        let values = arena.slice_of(count)?;
        let tag = arena.next_pool_tag();
        Ok(Self { generations, values, free: NONE, high_water: 0, in_use: 0, tag })
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
        let generation = self.generations.get_mut(place(index)).ok_or(exhausted)?;
        let room = self.values.get_mut(place(index)).ok_or(exhausted)?;
        if fresh {
            self.high_water += 1;
        } else {
            self.free = next_free(*room);
        }
        *room = value;
        *generation = generation.wrapping_add(1);
        self.in_use += 1;
        Ok(Handle::new(self.tag, index, *generation))
    }

    /// Gives the slot back, and returns what was in it. Every copy of the handle is stale from now on.
    ///
    /// # Errors
    /// [`PoolError::Stale`] or [`PoolError::Foreign`]; the pool is as it was.
    pub fn release(&mut self, name: impl Name<T>) -> Result<T, PoolError> {
        let index = self.check(name)?;
        let generation = self.generations.get_mut(place(index)).ok_or(PoolError::Foreign)?;
        let room = self.values.get_mut(place(index)).ok_or(PoolError::Foreign)?;
        let value = *room;
        *generation = generation.wrapping_add(1);
        set_free(room, self.free);
        self.free = index;
        self.in_use -= 1;
        Ok(value)
    }

    /// What is named.
    ///
    /// # Errors
    /// [`PoolError::Stale`] or [`PoolError::Foreign`].
    pub fn get(&self, name: impl Name<T>) -> Result<&T, PoolError> {
        let index = self.check(name)?;
        self.values.get(place(index)).ok_or(PoolError::Foreign)
    }

    /// What is named, to change it.
    ///
    /// # Errors
    /// [`PoolError::Stale`] or [`PoolError::Foreign`].
    pub fn get_mut(&mut self, name: impl Name<T>) -> Result<&mut T, PoolError> {
        let index = self.check(name)?;
        self.values.get_mut(place(index)).ok_or(PoolError::Foreign)
    }

    /// Which slot that is, counted from 0: to find what belongs to the object in columns beside the pool.
    ///
    /// # Errors
    /// [`PoolError::Stale`] or [`PoolError::Foreign`].
    pub fn index_of(&self, name: impl Name<T>) -> Result<usize, PoolError> {
        self.check(name).map(place)
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.generations.len()
    }

    /// How many slots are in use.
    pub fn in_use(&self) -> usize {
        place(self.in_use)
    }

    /// How many slots were ever in use at once: what the pool would have needed.
    pub fn high_water(&self) -> usize {
        place(self.high_water)
    }

    /// Gives all slots back: every name is stale from now on, and the first slot is taken next. The
    /// high-water mark stays. O(high-water mark).
    pub fn clear(&mut self) {
        let mut next_free = NONE;
        for index in (0..self.high_water).rev() {
            let slot =
                self.generations.get_mut(place(index)).zip(self.values.get_mut(place(index)));
            let Some((generation, room)) = slot else { break };
            *generation = generation.wrapping_add(u32::from(is_in_use(*generation)));
            set_free(room, next_free);
            next_free = index;
        }
        self.free = next_free;
        self.in_use = 0;
    }

    /// What lies in a slot, counted from 0, and its name; `None` if it is free, or there is no such slot.
    pub fn at(&self, index: usize) -> Option<(Link<T>, &T)> {
        let generation = *self.generations.get(index)?;
        // Less than `SLOTS_MAX`, which has fewer bits.
        let name = Link::new(index as u32, generation);
        is_in_use(generation).then_some((name, self.values.get(index)?))
    }

    /// Everything in the pool, and its names, in no order. O(high-water mark).
    pub fn iter(&self) -> impl Iterator<Item = (Link<T>, &T)> {
        (0..self.high_water()).filter_map(|index| self.at(index))
    }

    /// Whether the slots in use and the free ones are all there are, as the pool believes. O(capacity).
    ///
    /// It is, unless something else wrote into the region.
    pub fn is_sound(&self) -> bool {
        let mut free = 0;
        let mut next = self.free;
        for _ in 0..self.high_water {
            let slot = self.generations.get(place(next)).zip(self.values.get(place(next)));
            let Some((generation, value)) = slot else { break };
            if is_in_use(*generation) {
                return false;
            }
            free += 1;
            next = next_free(*value);
        }
        let in_use = self.generations.iter().filter(|generation| is_in_use(**generation)).count();
        let mut unused = self.generations.iter().skip(self.high_water());
        next == NONE
            && free + self.in_use == self.high_water
            && in_use == self.in_use()
            && unused.all(|generation| *generation == 0)
    }

    /// The index of the slot that is named, if what is named is still there.
    fn check(&self, name: impl Name<T>) -> Result<u32, PoolError> {
        let index = name.index_in(self.tag).ok_or(PoolError::Foreign)?;
        let generation = *self.generations.get(place(index)).ok_or(PoolError::Foreign)?;
        // A made-up name may carry the generation of a free slot.
        if is_in_use(generation) && name.is_of(generation) {
            Ok(index)
        } else {
            Err(PoolError::Stale)
        }
    }

    /// Makes the pool unsound, for tests of who checks.
    #[cfg(test)]
    pub(crate) fn plant_fault(&mut self) {
        self.in_use += 1;
    }
}

const fn is_in_use(generation: u32) -> bool {
    generation % 2 == 1
}

/// Notes the next free slot where the object was; in debug builds the rest is overwritten.
fn set_free<T: Plain>(room: &mut T, next_free: u32) {
    if cfg!(debug_assertions) {
        room.as_mut_bytes().fill(POISON);
    }
    if let Some(start) = room.as_mut_bytes().first_chunk_mut() {
        *start = next_free.to_le_bytes();
    }
}

/// What [`set_free`] noted.
fn next_free<T: Plain>(mut room: T) -> u32 {
    room.as_mut_bytes().first_chunk().map_or(NONE, |start| u32::from_le_bytes(*start))
}

#[cfg(test)]
mod tests;
