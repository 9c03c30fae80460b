//! What lives, altogether and by slot: the one decides whether the store is full, the other how soon the
//! tail has to move.
//!
//! A record counts for the slot that it lies in from when it is applied until it is superseded. So a slot's
//! sum only falls once its segment is sealed, and is 0 when all of it is dead.

use super::charge::{Charge, Share};
use crate::format::{Layout, Outline};
use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::types::Location;

/// What lives: what all of it is charged, and what it takes of each slot.
pub struct Living<'r> {
    charge: Charge,
    /// What the live records of each slot take in place, in bytes. Sums wrap, so that what was added can
    /// always be taken off again.
    slots: &'r mut [u32],
}

impl<'r> Living<'r> {
    /// What [`new`](Self::new) takes of the region.
    pub const fn footprint(before: Footprint, segments: u32) -> Footprint {
        before.slice::<u32>(segments as usize)
    }

    /// Nothing, in a ring of `segments` slots.
    ///
    /// # Errors
    /// The region is too small.
    pub fn new(memory: &mut StorageCoordinator<'r>, segments: u32) -> Result<Self, RegionTooSmall> {
        Ok(Self { charge: Charge::default(), slots: memory.slice_of(segments as usize)? })
    }

    /// Back to nothing.
    pub fn clear(&mut self) {
        self.charge = Charge::default();
        self.slots.fill(0);
    }

    /// What all of it is charged.
    pub fn charge(&self) -> &Charge {
        &self.charge
    }

    /// What the live records of a slot take in place, in bytes.
    pub fn in_slot(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    /// With a record more, which lies at `at`.
    pub fn add(&mut self, layout: &Layout, share: Share, at: Location) {
        self.charge.add(share);
        if let Some(sum) = self.slot_mut(layout, at) {
            *sum = sum.wrapping_add(share.in_place());
        }
    }

    /// With a record less, which lay at `at`.
    pub fn subtract(&mut self, layout: &Layout, share: Share, at: Location) {
        self.charge.subtract(share);
        if let Some(sum) = self.slot_mut(layout, at) {
            *sum = sum.wrapping_sub(share.in_place());
        }
    }

    /// With the record of this outline less, which lay at `at`.
    pub fn subtract_outline(&mut self, layout: &Layout, outline: &Outline, at: Location) {
        self.subtract(layout, Share::of_outline(layout, outline), at);
    }

    fn slot_mut(&mut self, layout: &Layout, at: Location) -> Option<&mut u32> {
        self.slots.get_mut(layout.place(at).slot as usize)
    }
}
