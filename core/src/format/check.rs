//! Checksums: CRC-32 (IEEE 802.3, reflected, as zlib has it), salted with where the bytes belong.
//!
//! Every check is seeded with store id, segment number and offset, so that bytes of another store,
//! of an earlier use of the same segment, or of another place never validate: two seeds that differ
//! only in the number (or only in the offset) differ in a burst of at most 32 bits, which CRC-32
//! always tells apart.
//!
//! A check covers at most [`CHUNK_BYTES`], within which CRC-32 has a Hamming distance of at least
//! 4: every one-bit error can be located and every two-bit error is noticed.

use crate::planted::{self, Fault};
use crate::types::StoreId;

/// The most bytes that one check covers; longer bodies carry one check for each piece of this size.
pub const CHUNK_BYTES: u32 = 8 * 1024;

/// A running CRC-32.
#[derive(Clone, Copy, Default)]
pub struct Crc(u32);

impl Crc {
    /// The checksum of nothing.
    pub const fn new() -> Self {
        Self(0)
    }

    /// The checksum of everything so far and then `bytes`.
    #[must_use]
    #[inline]
    pub fn and(self, bytes: &[u8]) -> Self {
        Self(update(self.0, bytes))
    }

    /// The checksum.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The seed of every check in one store.
#[derive(Clone, Copy)]
pub struct Salt(Crc);

impl Salt {
    /// The salt of the store with this id.
    pub fn of(store: StoreId) -> Self {
        let lacks_store = planted::is(Fault::SaltLacksStore);
        Self(if lacks_store { Crc::new() } else { Crc::new().and(store.bytes()) })
    }

    /// The seed of a check over the bytes at `offset` bytes in the segment with this number.
    #[inline]
    pub fn at(self, segment_number: u32, offset: u32) -> Crc {
        let number = if planted::is(Fault::SaltLacksNumber) { 0 } else { segment_number };
        let offset = if planted::is(Fault::SaltLacksOffset) { 0 } else { offset };
        let place = u64::from(number) | u64::from(offset) << 32;
        self.0.and(&place.to_le_bytes())
    }
}

#[cfg(feature = "std")]
fn update(state: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(state);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(not(feature = "std"))]
fn update(state: u32, bytes: &[u8]) -> u32 {
    table::update(state, bytes)
}

/// The same polynomial from a table of 1 KiB, for boards on which 16 KiB of tables are too much.
#[cfg(any(test, not(feature = "std")))]
mod table {
    const POLYNOMIAL: u32 = 0xEDB8_8320;

    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
                bit += 1;
            }
            // `index` is below 256: a constant evaluation that were not would not compile.
            #[allow(clippy::indexing_slicing)]
            {
                table[index] = value;
            }
            index += 1;
        }
        table
    };

    // A byte cannot index out of 256 entries; the compiler sees it and emits no check.
    #[allow(clippy::indexing_slicing)]
    pub(super) fn update(state: u32, bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!state, |state, byte| {
            TABLE[usize::from(state.to_le_bytes()[0] ^ byte)] ^ state >> 8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_the_one_that_everybody_calls_crc_32() {
        assert_eq!(Crc::new().and(b"123456789").get(), 0xCBF4_3926);
        assert_eq!(table::update(0, b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_same_bytes_elsewhere_have_another_check() {
        let salt = Salt::of(StoreId::from_u128(7));
        let other_store = Salt::of(StoreId::from_u128(8));
        let check = |salt: Salt, number, offset| salt.at(number, offset).and(b"record").get();
        let here = check(salt, 3, 64);
        assert_ne!(here, check(salt, 4, 64));
        assert_ne!(here, check(salt, 3, 80));
        assert_ne!(here, check(other_store, 3, 64));
    }

    proptest! {
        #[test]
        fn both_ways_to_compute_it_agree(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            cut in 0usize..600,
        ) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let whole = Crc::new().and(&bytes).get();
            prop_assert_eq!(Crc::new().and(head).and(tail).get(), whole);
            prop_assert_eq!(table::update(table::update(0, head), tail), whole);
        }
    }
}
