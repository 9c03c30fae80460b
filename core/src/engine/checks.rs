//! Which checks a read makes: what the config asks for, and what is known of each segment.
//!
//! With [`Verify::FirstRead`] a sealed segment is checked whole, headers and bodies, when something in it is
//! read first. If all of it holds as it lies, with nothing to be mended, it is sound, and a find checks none
//! of it again until its slot is used anew. If not, every read of it looks for itself.
//!
//! What is known is one atomic byte a slot, since readers share it: a plain load and a plain store. Two
//! readers that check the same segment at once come to the same result.

use super::Verify;
use core::sync::atomic::{AtomicU8, Ordering};

const UNVERIFIED: u8 = 0;
const SOUND: u8 = 1;
const DAMAGED: u8 = 2;

/// What is to be checked before a record is handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Check {
    /// Nothing any more.
    Nothing,
    /// Its segment, if it is sealed; else the record.
    Segment,
    /// The record.
    Record,
}

/// The config's wish, and what is known of each slot.
#[derive(Clone, Copy)]
pub(super) struct Checks<'e> {
    slots: &'e [AtomicU8],
    verify: Verify,
}

impl<'e> Checks<'e> {
    pub(super) const fn new(slots: &'e [AtomicU8], verify: Verify) -> Self {
        Self { slots, verify }
    }

    /// Whether everything in the slot's segment held, header and body, and need not be checked again.
    #[inline]
    pub(super) fn is_sound(&self, slot: u32) -> bool {
        self.verify == Verify::FirstRead && self.known(slot) == SOUND
    }

    /// What is to be checked before the body of a record in this slot is handed out.
    pub(super) fn of_body(&self, slot: u32) -> Check {
        match self.verify {
            Verify::Never => Check::Nothing,
            Verify::EveryRead => Check::Record,
            Verify::FirstRead => match self.known(slot) {
                SOUND => Check::Nothing,
                UNVERIFIED => Check::Segment,
                _ => Check::Record,
            },
        }
    }

    /// Notes what a check of the slot's segment found.
    pub(super) fn note(&self, slot: u32, sound: bool) {
        if let Some(known) = self.slots.get(slot as usize) {
            known.store(if sound { SOUND } else { DAMAGED }, Ordering::Relaxed);
        }
    }

    #[inline]
    fn known(&self, slot: u32) -> u8 {
        self.slots.get(slot as usize).map_or(DAMAGED, |known| known.load(Ordering::Relaxed))
    }
}
