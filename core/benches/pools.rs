//! What a pool takes for acquire and release, beside the system's heap.
//!
//! `cargo bench -p kausaldb --features std --bench pools`. A value of 32 bytes; each way has its turn for a
//! thousand pairs, and a figure is the median of a thousand turns, in nanoseconds for one pair. The values
//! lie ready in memory: made up on the way, they cost more than what is measured, by stores of words that
//! are loaded again at once in another width.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a bench may stop")]

mod support;

use kausaldb::memory::{Arena, Footprint, Handle};
use std::hint::black_box;
use std::mem::MaybeUninit;
use support::{Random, median, ns, timed, times};

const SLOTS: usize = 1024;
const PAIRS: usize = 1000;
const ROUNDS: usize = 1000;

type Value = [u64; 4];

fn main() {
    let mut region =
        vec![MaybeUninit::uninit(); Footprint::new().pool::<Value>(SLOTS).region_bytes()];
    let mut pool = Arena::new(&mut region).pool_of::<Value>(SLOTS).expect("the footprint's size");
    let mut random = Random::new(1);
    let mut figures = [const { Vec::new() }; 4];
    // Half full, so that what is released last is not always taken next from a fresh pool.
    let mut held: Vec<Handle<Value>> =
        (0..SLOTS / 2).map(|n| pool.acquire([n as u64; 4]).expect("room")).collect();
    let mut boxed: Vec<Box<Value>> = (0..SLOTS / 2).map(|n| Box::new([n as u64; 4])).collect();
    let values: Vec<Value> = (0..PAIRS as u64).map(|n| [n; 4]).collect();
    for _ in 0..ROUNDS {
        let order: Vec<usize> =
            (0..PAIRS).map(|_| random.below(held.len() as u64) as usize).collect();
        figures[0].push(timed(PAIRS, || {
            for value in &values {
                let handle = pool.acquire(*black_box(value)).expect("room");
                black_box(pool.release(black_box(handle)).expect("live"));
            }
        }));
        figures[1].push(timed(PAIRS, || {
            values.iter().for_each(|value| drop(black_box(Box::new(*black_box(value)))));
        }));
        figures[2].push(timed(PAIRS, || {
            for (at, value) in order.iter().zip(&values) {
                let taken = pool.acquire(*black_box(value)).expect("room");
                let old = std::mem::replace(&mut held[*at], taken);
                black_box(pool.release(old).expect("live"));
            }
        }));
        figures[3].push(timed(PAIRS, || {
            for (at, value) in order.iter().zip(&values) {
                drop(std::mem::replace(&mut boxed[*at], Box::new(*black_box(value))));
            }
        }));
    }
    let [pair, heap_pair, random_pair, heap_random_pair] = figures.map(median);
    println!("{:<28}{:>8}{:>8}{:>8}", "acquire and release", "pool", "heap", "ratio");
    for (name, ours, heap) in
        [("the same slot", pair, heap_pair), ("in no order", random_pair, heap_random_pair)]
    {
        println!("{name:<28}{:>8}{:>8}{:>8}", ns(ours), ns(heap), times(ours, heap));
    }
    println!("high water: {} of {SLOTS} slots", pool.high_water());
}
