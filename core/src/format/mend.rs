//! Mending one flipped bit: a checksum that fails tells which bit it was.
//!
//! Within the length that a check covers, every single-bit error changes CRC-32 in its own way (the
//! syndrome), and differently from every two-bit error. Headers are short, but their length is
//! itself in them, so each of their bits is tried; in a body the syndrome is compared with that of
//! each bit, a shift apart from the next. Only bytes that are known to have been a record are
//! mended: at the log's tail random bits are expected.

use super::check::Crc;
use super::record::{HEADER_BYTES_MAX, Header};

const POLYNOMIAL: u32 = 0xEDB8_8320;

/// A single flipped bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flip {
    /// In the check itself: what it covers is sound.
    InCheck,
    /// In what the check covers.
    At {
        /// Which byte, counted from the first that is covered.
        byte: u32,
        /// Which bit of it, 0 being the least.
        bit: u8,
    },
}

/// How the check of a body differs from the right one where the body is known to be damaged: like no
/// flipped bit.
pub const SPOILED: u32 = u32::MAX;

impl Flip {
    /// Finds the bit from the difference between the check that was read and the one that was
    /// computed over `len` bytes. `None` if no single bit explains it. O(bits).
    pub fn locate(syndrome: u32, len: u32) -> Option<Self> {
        if syndrome.count_ones() == 1 {
            return Some(Self::InCheck);
        }
        // From the last bit to the first: one more bit behind the error is one more shift of its syndrome.
        let mut state = POLYNOMIAL;
        for behind in 0..u64::from(len) * 8 {
            if state == syndrome {
                let byte = u64::from(len) - 1 - behind / 8;
                // Below `len`, and below eight.
                return Some(Self::At { byte: byte as u32, bit: 7 - (behind % 8) as u8 });
            }
            state = if state & 1 == 1 { state >> 1 ^ POLYNOMIAL } else { state >> 1 };
        }
        None
    }
}

impl Header {
    /// The header that these bytes are but for one flipped bit. O(bits of a header) checks of it.
    /// The bytes are flipped one by one, and left as they were.
    pub fn mend(bytes: &mut [u8], seed: Crc) -> Option<Self> {
        let len = bytes.len().min(HEADER_BYTES_MAX);
        let bytes = bytes.get_mut(..len)?;
        for at in 0..len * 8 {
            *bytes.get_mut(at / 8)? ^= 1 << (at % 8);
            let found = Self::parse(bytes, seed);
            *bytes.get_mut(at / 8)? ^= 1 << (at % 8);
            // A flip behind the header changes nothing, and the bytes were no header as they were.
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_flipped_bit_is_found_by_its_syndrome(
            bytes in proptest::collection::vec(any::<u8>(), 1..400), byte in 0usize..400, bit in 0u8..8,
        ) {
            let seed = Crc::new().and(b"seed");
            let byte = byte % bytes.len();
            let mut hurt = bytes.clone();
            hurt[byte] ^= 1 << bit;
            let syndrome = seed.and(&bytes).get() ^ seed.and(&hurt).get();
            let found = Flip::locate(syndrome, bytes.len() as u32);
            prop_assert_eq!(found, Some(Flip::At { byte: byte as u32, bit }));
        }

        #[test]
        fn two_flipped_bits_are_not_taken_for_one(
            one in 0usize..8 * 1024 * 8, two in 0usize..8 * 1024 * 8,
        ) {
            let bytes = std::vec![0x5A; 8 * 1024];
            let mut hurt = bytes.clone();
            hurt[one / 8] ^= 1 << (one % 8);
            hurt[two / 8] ^= 1 << (two % 8);
            let syndrome = Crc::new().and(&bytes).get() ^ Crc::new().and(&hurt).get();
            prop_assert_eq!(Flip::locate(syndrome, bytes.len() as u32), None);
        }
    }

    #[test]
    fn a_spoiled_check_is_no_flipped_bits() {
        // A bit is looked for from the end of the chunk on, so that this holds for every shorter one.
        assert_eq!(Flip::locate(SPOILED, crate::format::CHUNK_BYTES), None);
    }
}
