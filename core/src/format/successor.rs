//! What a segment says of the one that was opened after it.
//!
//! ```text
//!  0 slot         4
//!  4 number       4   of the segment: greater than that of the one that says it
//!  8 check        4   CRC-32 of these, salted as that of a record in this place
//! ```
//!
//! It stands between the header and the first record, and is written when the other segment holds what is
//! durable: so one that is lost whole is missed, and never taken for one that was not written.

use super::check::Crc;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length in bytes, without padding.
pub const SUCCESSOR_BYTES: u32 = 12;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    slot: U32,
    number: U32,
    check: U32,
}

const _: () = assert!(size_of::<Raw>() == SUCCESSOR_BYTES as usize);

/// The segment that was opened after another one, be that in the ring still or taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Successor {
    /// Its slot.
    pub slot: u32,
    /// Its number.
    pub number: u32,
}

impl Successor {
    /// Its bytes, with the seed of the check over where they lie.
    pub fn encode(&self, seed: Crc) -> [u8; SUCCESSOR_BYTES as usize] {
        let (slot, number) = (U32::new(self.slot), U32::new(self.number));
        zerocopy::transmute!(Raw { slot, number, check: U32::new(check(slot, number, seed)) })
    }

    /// Reads what these bytes say; `None` if nothing was written there, or no longer reads as it was.
    pub fn parse(bytes: &[u8; SUCCESSOR_BYTES as usize], seed: Crc) -> Option<Self> {
        let Raw { slot, number, check: found } = zerocopy::transmute!(*bytes);
        let is_whole = found.get() == check(slot, number, seed);
        is_whole.then_some(Self { slot: slot.get(), number: number.get() })
    }
}

fn check(slot: U32, number: U32, seed: Crc) -> u32 {
    seed.and(slot.as_bytes()).and(number.as_bytes()).get()
}
