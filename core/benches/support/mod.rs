//! What the benches share: the clock, rounds that take turns, medians, and seeded random numbers.
//!
//! Two ways are compared by rounds of one process that take turns, so that whatever else the machine does
//! meets both. A figure is the median of its rounds; what to trust is the ratio of two figures of one run.
#![allow(dead_code, unreachable_pub, reason = "each bench uses its part")]
#![allow(clippy::indexing_slicing, reason = "a bench may stop")]

use kausaldb::BlockId;
use std::hint::black_box;
use std::time::Instant;

/// The finalizer of SplitMix64: each value has one image, and images look random.
pub fn mix(value: u64) -> u64 {
    let mixed = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The id of the n-th block; no two are equal, and they look random.
pub fn id(n: u64) -> BlockId {
    BlockId::from_u128(u128::from(mix(n)) << 64 | u128::from(mix(!n)))
}

/// Random numbers from a seed, the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn shuffle<T>(&mut self, slice: &mut [T]) {
        for at in (1..slice.len()).rev() {
            slice.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// Nanoseconds for each of `count` steps that `work` takes. What it returns is not optimised away.
pub fn timed<R>(count: usize, work: impl FnOnce() -> R) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_nanos() as f64 / count.max(1) as f64
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The numbers on the command line. (Cargo adds `--bench`, which is none.)
pub fn numbers() -> Vec<u64> {
    std::env::args().skip(1).filter_map(|argument| argument.replace('_', "").parse().ok()).collect()
}

/// A time with three digits, however long.
pub fn ns(figure: f64) -> String {
    match figure {
        _ if figure.is_nan() => "-".into(),
        _ if figure < 10.0 => format!("{figure:.2}"),
        _ if figure < 100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

/// How many times the first fits into the second.
pub fn times(ours: f64, theirs: f64) -> String {
    format!("{}x", ns(theirs / ours))
}
