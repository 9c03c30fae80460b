//! Slots of one type in the region, linked by number: the common ground of the two pools of this room.
//!
//! A [`Link`] is a slot's number plus one, and zero is no slot, so zeroed memory is empty. Slots that were
//! never taken are handed out in order; those given back are linked through the same field that their owners
//! use while they live. Links never leave this room, so they carry no generation; the checks of both pools
//! walk every one of them.

use crate::memory::{Plain, RegionTooSmall, StorageCoordinator};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names a slot, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub(super) struct Link(u32);

impl Link {
    pub(super) const NONE: Self = Self(0);

    /// The link that [`get`](Self::get) gave this number.
    pub(super) const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// From 1 on, or 0 for none.
    pub(super) const fn get(self) -> u32 {
        self.0
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Which slot, counted from 0; what no slice has for none.
    const fn index(self) -> usize {
        (self.0 as usize).wrapping_sub(1)
    }
}

/// What can lie in a slot: a free slot is all zero, but for its link to the next free one.
pub(super) trait Slot: Plain + Copy {
    const FREE: Self;
    fn next(&self) -> Link;
    fn next_mut(&mut self) -> &mut Link;
}

/// The slots, and the list of those given back.
#[derive(Debug)]
pub(super) struct Slots<'r, T> {
    slots: &'r mut [T],
    /// Slots that were taken at least once; those behind are zero.
    used: u32,
    free: Link,
    len: u32,
    high_water: u32,
}

impl<'r, T: Slot> Slots<'r, T> {
    pub(super) fn new(
        memory: &mut StorageCoordinator<'r>,
        count: usize,
    ) -> Result<Self, RegionTooSmall> {
        let slots = memory.slice_of(count)?;
        Ok(Self { slots, used: 0, free: Link::NONE, len: 0, high_water: 0 })
    }

    pub(super) fn capacity(&self) -> u32 {
        self.slots.len() as u32 // made from a u32 by both pools
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn high_water(&self) -> u32 {
        self.high_water
    }

    /// Slots that may hold something: none behind them was ever taken since [`clear`](Self::clear).
    pub(super) fn used(&self) -> &[T] {
        self.slots.get(..self.used as usize).unwrap_or_default()
    }

    /// What lies in the slot; `None` for no link, and for one that was never taken.
    pub(super) fn get(&self, link: Link) -> Option<&T> {
        self.used().get(link.index())
    }

    pub(super) fn get_mut(&mut self, link: Link) -> Option<&mut T> {
        self.slots.get_mut(..self.used as usize)?.get_mut(link.index())
    }

    /// Puts `value` in a slot; `None` if all are taken.
    pub(super) fn take(&mut self, value: T) -> Option<Link> {
        let (link, next_free) = match self.slots.get(self.free.index()) {
            Some(slot) => (self.free, slot.next()),
            None => (Link(self.used + 1), Link::NONE),
        };
        *self.slots.get_mut(link.index())? = value;
        self.free = next_free;
        self.used = self.used.max(link.0);
        self.len += 1;
        self.high_water = self.high_water.max(self.len);
        Some(link)
    }

    /// Makes the slot free. Nothing may link to it any more.
    pub(super) fn give_back(&mut self, link: Link) {
        let next_free = self.free;
        let Some(slot) = self.get_mut(link) else { return };
        *slot = T::FREE;
        *slot.next_mut() = next_free;
        self.free = link;
        self.len -= 1;
    }

    /// Makes all slots free; the high water stays.
    pub(super) fn clear(&mut self) {
        for slot in self.slots.iter_mut().take(self.used as usize) {
            *slot = T::FREE;
        }
        (self.used, self.free, self.len) = (0, Link::NONE, 0);
    }

    /// Whether the free list and `len` add up, and nothing is in a slot that is free (as `is_free` tells).
    /// Walks all slots.
    pub(super) fn are_sound(&self, is_free: impl Fn(&T) -> bool) -> bool {
        let mut free = 0;
        let mut at = self.free;
        for _ in 0..self.used {
            let Some(slot) = self.get(at) else { break };
            if !is_free(slot) {
                return false;
            }
            free += 1;
            at = slot.next();
        }
        let behind = self.slots.get(self.used as usize..).unwrap_or_default();
        let lives = self.used().iter().filter(|slot| !is_free(slot)).count();
        at.is_none()
            && free + self.len == self.used
            && lives == self.len as usize
            && self.len <= self.high_water
            && self.high_water <= self.capacity()
            && behind.iter().all(|slot| is_free(slot) && slot.next().is_none())
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): makes a random-looking number of any.
pub(super) const fn scramble(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
