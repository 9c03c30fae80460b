//! The hash of this room: of numbers only, seeded by who uses it.

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): makes a random-looking number of any.
pub(super) const fn scramble(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
