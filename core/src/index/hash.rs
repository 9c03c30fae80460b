//! The hash of an id, under a seed of the store's own.
//!
//! A folded multiplication takes two words to one: the 128-bit product's halves, xored, so that every bit of
//! either word reaches the middle bits. Two rounds of it spread a bit of the id over the whole hash. This is
//! the shape of Wang Yi's wyhash and of folded-multiply hashers since.
//!
//! It is seeded, not cryptographic: who does not know the store's seed cannot choose ids that collide, and
//! nothing in the store ever shows a hash. Who knows the seed can; such a store becomes slow, never wrong.

use crate::types::BlockId;

/// Digits of pi. They keep a seed of zeros (a test's, or a careless caller's) from multiplying by zero.
const SPREAD: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0];

/// The hash of an id in one store: 64 bits, meaningless to any other store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hash(u64);

impl Hash {
    /// A hash made to measure, for tests that choose buckets and fingerprints.
    #[cfg(test)]
    pub(super) const fn from_halves(high: u32, low: u32) -> Self {
        Self((high as u64) << 32 | low as u64)
    }

    /// The low half tells entries of one bucket apart.
    pub(super) const fn fingerprint(self) -> u32 {
        self.0 as u32
    }

    /// The high half chooses one of `buckets`, by multiply and shift: any number of buckets, no division.
    ///
    /// The result is less than `buckets`, unless that is 0.
    pub const fn home(self, buckets: u32) -> u32 {
        (((self.0 >> 32) * buckets as u64) >> 32) as u32
    }

    /// One of the first so many powers of two, or 1 if that is 0; equal for equal fingerprints.
    pub(super) const fn stride(self, strides: u32) -> usize {
        1 << ((self.fingerprint() as u64 * strides as u64) >> 32)
    }
}

/// What makes one store's hashes its own.
#[derive(Clone, Copy)]
pub(super) struct Seeds([u64; 2]);

impl Seeds {
    pub(super) const fn new(seed: [u64; 2]) -> Self {
        let [first, second] = seed;
        Self([first ^ SPREAD[0], second ^ SPREAD[1]])
    }

    pub(super) const fn hash(self, id: &BlockId) -> Hash {
        let id = u128::from_le_bytes(*id.bytes());
        let [first, second] = self.0;
        let once = fold(id as u64 ^ first, (id >> 64) as u64 ^ second);
        Hash(fold(once ^ first, SPREAD[2] ^ second))
    }
}

const fn fold(one: u64, other: u64) -> u64 {
    let product = one as u128 * other as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flipped_bits(seeds: Seeds, id: u128, bit: u32) -> u32 {
        let hash = seeds.hash(&BlockId::from_u128(id));
        (hash.0 ^ seeds.hash(&BlockId::from_u128(id ^ 1 << bit)).0).count_ones()
    }

    #[test]
    fn every_bit_of_an_id_changes_about_half_of_the_hash() {
        let ids: u128 = if cfg!(miri) { 4 } else { 256 };
        for seed in [[0, 0], [1, 2], [u64::MAX, 7]] {
            let seeds = Seeds::new(seed);
            for bit in 0..128 {
                let flips: u32 = (0..ids).map(|id| flipped_bits(seeds, id << 7, bit)).sum();
                let mean = f64::from(flips) / ids as f64;
                assert!((16.0..48.0).contains(&mean), "seed {seed:?} bit {bit}: {mean}");
            }
        }
    }

    #[test]
    fn ids_that_count_upwards_fill_the_buckets_evenly() {
        let ids: u32 = if cfg!(miri) { 500 } else { 50_000 };
        let buckets = ids / 10;
        for shift in [0, 32, 64, 96] {
            let mut filled = std::vec![0_u32; buckets as usize];
            for id in 0..u128::from(ids) {
                let hash = Seeds::new([0, 0]).hash(&BlockId::from_u128(id << shift));
                filled[hash.home(buckets) as usize] += 1;
            }
            // The mean is 10; of so many Poisson variables none comes near 40.
            assert!(filled.iter().all(|entries| *entries < 40), "shift {shift}");
        }
    }

    #[test]
    fn another_seed_is_another_hash() {
        let id = BlockId::from_u128(1);
        let hashes = [[0, 0], [1, 0], [0, 1]].map(|seed| Seeds::new(seed).hash(&id));
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2]);
    }

    #[test]
    fn the_home_is_below_the_number_of_buckets() {
        for buckets in [1, 2, 3, 1000, u32::MAX] {
            assert_eq!(Hash::from_halves(0, 0).home(buckets), 0);
            assert_eq!(Hash::from_halves(u32::MAX, 0).home(buckets), buckets - 1);
        }
    }
}
