//! What a segment says of the one that was opened after it.
//!
//! ```text
//!  0 slot         3
//!  3 distance     1   of its number from that of the one that says it; 255 where it is 255 or more
//!  4 check        4   CRC-32 of these, salted as that of a record in this place
//! ```
//!
//! It stands between the header and the first record, and is written when the other segment holds what is
//! durable: so one that is lost whole is missed, and never taken for one that was not written.

use super::check::Crc;

/// Length in bytes, without padding.
pub const SUCCESSOR_BYTES: u32 = 8;

/// The segment that was opened after another one, be that in the ring still or taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Successor {
    /// Its slot.
    pub slot: u32,
    /// How much greater its number is, at least 1; 255 where it is more. (Each opening that is cut takes a
    /// number. Where so many were, what is lost is known by its slot alone.)
    pub distance: u8,
}

impl Successor {
    /// The segment in this slot and with this number, as the one with number `before` has it; `None` for the
    /// slots from 2^24 on, for which there is no room.
    pub fn new(slot: u32, number: u32, before: u32) -> Option<Self> {
        let distance = u8::try_from(number.saturating_sub(before)).unwrap_or(u8::MAX);
        (slot >> 24 == 0).then_some(Self { slot, distance })
    }

    /// Its bytes, with the seed of the check over where they lie.
    pub fn encode(&self, seed: Crc) -> [u8; SUCCESSOR_BYTES as usize] {
        let said = (self.slot | u32::from(self.distance) << 24).to_le_bytes();
        let mut bytes = [0; SUCCESSOR_BYTES as usize];
        let parts = said.into_iter().chain(seed.and(&said).get().to_le_bytes());
        bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        bytes
    }

    /// Reads what these bytes say; `None` if nothing was written there, or no longer reads as it was.
    pub fn parse(bytes: &[u8; SUCCESSOR_BYTES as usize], seed: Crc) -> Option<Self> {
        let (said, check) = bytes.split_first_chunk()?;
        let word = u32::from_le_bytes(*said);
        let is_whole = seed.and(said).get().to_le_bytes() == *check;
        is_whole.then_some(Self { slot: word & 0xFF_FFFF, distance: (word >> 24) as u8 })
    }
}
