//! The hash table: which numbers and locations may belong to a hash.
//!
//! A bucket is one cache line and holds five entries:
//!
//! ```text
//!  byte  0                    20                  40                  60        64
//!        | fingerprint x 5    | number x 5        | location x 5      | overflow |
//! ```
//!
//! An entry lies in the home bucket of its hash or, where that was full, in the first with room on its way:
//! so many buckets further each time, cyclically. The stride, a power of two, comes from the fingerprint; the
//! number of buckets is odd, so any stride meets them all. (With a stride of 1 for all, full buckets clump: a
//! table of a million entries, nine tenths full, then visits 1.8 buckets for a hit and 9.3 for a miss; with
//! eight strides, 1.4 and 3.0.)
//!
//! `overflow` counts the entries that passed this bucket because it was full and lie further on. A lookup
//! goes on while that count is not 0; a removal takes back what its insertion counted. So nothing has to be
//! marked as deleted, and no rebuilding has to clear marks away. (The counters are the idea of Meta's F14.)
//!
//! The table knows no ids: equal fingerprints are for the caller to tell apart, from the record on media.
//!
//! Invariants:
//!
//! - a place is empty exactly if its location is `NONE`; then its fingerprint and number are 0;
//! - a bucket's `overflow` is the number of entries whose way from home leads over it and beyond;
//! - there are more places than entries, so an insertion ends; no walk visits a bucket twice.

use super::hash::Hash;
use crate::types::{Location, NodeNumber};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries in a bucket.
const PLACES: usize = 5;

/// One cache line of entries.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    fingerprint: [u32; PLACES],
    number: [NodeNumber; PLACES],
    location: [Location; PLACES],
    pub(super) overflow: u32,
}

const _: () = assert!(size_of::<Bucket>() == 64 && align_of::<Bucket>() == 64);

/// How many strides there are: 1, 2, 4 and so on, up to 128 buckets or two pages of 4 KiB.
const STRIDES: u32 = 8;

/// The number of buckets for so many entries: odd, and such that at most nine tenths of the places are taken.
pub(super) const fn buckets(entries: u32) -> u32 {
    // entries / (0.9 * 5), rounded up.
    (entries as u64 * 2).div_ceil(9) as u32 | 1
}

/// An entry whose fingerprint is that of the hash asked for: very likely the node meant, but only its record
/// knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Candidate {
    /// The node's number.
    pub number: NodeNumber,
    /// Where its newest block record or node record lies; never `NONE`.
    pub location: Location,
}

impl Bucket {
    /// One bit for each place with this fingerprint, the lowest for the first.
    #[inline]
    fn matching(&self, fingerprint: u32) -> u32 {
        // No early exit: five comparisons side by side cost less than one mispredicted branch.
        let places = self.fingerprint.iter().zip(&self.location).enumerate();
        places.fold(0, |found, (place, (here, location))| {
            found | u32::from((*here == fingerprint) & !location.is_none()) << place
        })
    }

    fn entry(&self, place: usize) -> Option<Candidate> {
        let location = *self.location.get(place)?;
        let number = *self.number.get(place)?;
        (!location.is_none()).then_some(Candidate { number, location })
    }

    /// The entries, each with its place and fingerprint.
    fn entries(&self) -> impl Iterator<Item = (usize, u32, Candidate)> + '_ {
        let places = self.fingerprint.iter().enumerate();
        places.filter_map(|(place, here)| Some((place, *here, self.entry(place)?)))
    }

    fn count(&self) -> u32 {
        self.location.iter().map(|location| u32::from(!location.is_none())).sum()
    }

    fn place_of(&self, fingerprint: u32, number: NodeNumber) -> Option<usize> {
        let mut found = self.entries().filter(|(_, here, _)| *here == fingerprint);
        found.find(|(_, _, entry)| entry.number == number).map(|(place, _, _)| place)
    }

    /// Puts the entry into an empty place; false if there is none.
    fn fill(&mut self, fingerprint: u32, entry: Candidate) -> bool {
        match self.location.iter().position(|location| location.is_none()) {
            Some(place) => self.set(place, fingerprint, entry),
            None => false,
        }
    }

    fn set(&mut self, place: usize, fingerprint: u32, entry: Candidate) -> bool {
        let places = (
            self.fingerprint.get_mut(place),
            self.number.get_mut(place),
            self.location.get_mut(place),
        );
        let (Some(here), Some(number), Some(location)) = places else { return false };
        (*here, *number, *location) = (fingerprint, entry.number, entry.location);
        true
    }

    fn empty(&mut self, place: usize) {
        let nothing = Candidate { number: NodeNumber::new(0), location: Location::NONE };
        self.set(place, 0, nothing);
    }

    /// Whether every empty place is all zeros.
    fn empty_places_are_blank(&self) -> bool {
        let mut places = self.fingerprint.iter().zip(&self.number).zip(&self.location);
        places.all(|((here, number), location)| {
            !location.is_none() || (*here == 0 && number.get() == 0)
        })
    }
}

/// The buckets that a lookup visits, home first, each with its index: it ends behind the first that nothing
/// passed, and in any case before it comes home again.
#[derive(Clone)]
struct Walk<'t> {
    buckets: &'t [Bucket],
    at: usize,
    stride: usize,
    left: usize,
}

impl<'t> Iterator for Walk<'t> {
    type Item = (usize, &'t Bucket);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        self.left = self.left.checked_sub(1)?;
        let bucket = self.buckets.get(at)?;
        if bucket.overflow == 0 {
            self.left = 0;
        }
        self.at = after(at, self.stride, self.buckets.len());
        Some((at, bucket))
    }
}

/// The next bucket on a way, cyclically; the stride is at most the number of buckets.
fn after(at: usize, stride: usize, buckets: usize) -> usize {
    let next = at + stride;
    if next < buckets { next } else { next - buckets }
}

/// The entries that may belong to a hash. Made by [`BlockIndex::candidates`](super::BlockIndex::candidates).
#[derive(Clone)]
pub struct Candidates<'t> {
    walk: Walk<'t>,
    fingerprint: u32,
    /// The bucket visited last, and its matching places that were not yet given.
    bucket: Option<&'t Bucket>,
    matching: u32,
}

impl Iterator for Candidates<'_> {
    type Item = Candidate;

    #[inline]
    fn next(&mut self) -> Option<Candidate> {
        // Ends with the walk.
        while self.matching == 0 {
            let (_, bucket) = self.walk.next()?;
            self.matching = bucket.matching(self.fingerprint);
            self.bucket = Some(bucket);
        }
        let place = self.matching.trailing_zeros();
        self.matching &= self.matching - 1;
        self.bucket?.entry(place as usize)
    }
}

impl core::iter::FusedIterator for Candidates<'_> {}

impl core::fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The buckets, and how many entries they hold.
pub(super) struct Table<'r> {
    pub(super) buckets: &'r mut [Bucket],
    entries: u32,
}

impl<'r> Table<'r> {
    /// A table in memory that is all zeros.
    pub(super) fn new(buckets: &'r mut [Bucket]) -> Self {
        Self { buckets, entries: 0 }
    }

    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    pub(super) fn home(&self, hash: Hash) -> usize {
        // The number of buckets came from a u32.
        hash.home(self.buckets.len() as u32) as usize
    }

    fn walk(&self, hash: Hash) -> Walk<'_> {
        let (at, stride) = (self.home(hash), self.stride(hash));
        Walk { buckets: self.buckets, at, stride, left: self.buckets.len() }
    }

    /// A power of two that is less than the number of buckets, or 1.
    fn stride(&self, hash: Hash) -> usize {
        let powers = self.buckets.len().checked_ilog2().unwrap_or(0);
        hash.stride(STRIDES.min(powers))
    }

    #[inline]
    pub(super) fn candidates(&self, hash: Hash) -> Candidates<'_> {
        let walk = self.walk(hash);
        Candidates { walk, fingerprint: hash.fingerprint(), bucket: None, matching: 0 }
    }

    /// Where the entry of this hash and number lies: bucket and place.
    fn find(&self, hash: Hash, number: NodeNumber) -> Option<(usize, usize)> {
        self.walk(hash).find_map(|(at, bucket)| {
            bucket.place_of(hash.fingerprint(), number).map(|place| (at, place))
        })
    }

    /// Adds an entry. The caller keeps the entries fewer than the places, and gives a location that is not
    /// `NONE`.
    pub(super) fn insert(&mut self, hash: Hash, entry: Candidate) {
        let (buckets, stride) = (self.buckets.len(), self.stride(hash));
        let mut at = self.home(hash);
        for _ in 0..buckets {
            let Some(bucket) = self.buckets.get_mut(at) else { return };
            if bucket.fill(hash.fingerprint(), entry) {
                self.entries += 1;
                return;
            }
            bucket.overflow += 1;
            at = after(at, stride, buckets);
        }
        debug_assert!(false, "more entries than places");
    }

    /// Moves the entry's location; false if there is no such entry.
    pub(super) fn relocate(&mut self, hash: Hash, number: NodeNumber, to: Location) -> bool {
        let Some((at, place)) = self.find(hash, number) else { return false };
        let Some(bucket) = self.buckets.get_mut(at) else { return false };
        bucket.set(place, hash.fingerprint(), Candidate { number, location: to })
    }

    /// Removes the entry; false if there is no such entry.
    pub(super) fn remove(&mut self, hash: Hash, number: NodeNumber) -> bool {
        let Some((end, place)) = self.find(hash, number) else { return false };
        let (buckets, stride) = (self.buckets.len(), self.stride(hash));
        let mut at = self.home(hash);
        for _ in 0..buckets {
            let Some(bucket) = self.buckets.get_mut(at) else { return false };
            if at == end {
                bucket.empty(place);
                self.entries -= 1;
                return true;
            }
            bucket.overflow -= 1;
            at = after(at, stride, buckets);
        }
        false
    }

    pub(super) fn clear(&mut self) {
        self.buckets.as_mut_bytes().fill(0);
        self.entries = 0;
    }

    /// Every entry in the order of the buckets.
    pub(super) fn iter(&self) -> impl Iterator<Item = Candidate> + '_ {
        self.buckets.iter().flat_map(|bucket| bucket.entries().map(|(_, _, entry)| entry))
    }

    /// What can be told without hashes: the count, the blank places, and that no counter exceeds the entries
    /// that lie in other buckets.
    pub(super) fn check(&self) -> bool {
        let counted: u32 = self.buckets.iter().map(Bucket::count).sum();
        counted == self.entries
            && self.buckets.iter().all(|bucket| {
                bucket.overflow <= self.entries - bucket.count() && bucket.empty_places_are_blank()
            })
    }

    /// What needs the hashes: each entry has the fingerprint of its hash and is the one that a lookup finds,
    /// no number has two, and every counter is right. An entry without a hash is passed over; the counters
    /// are then left out.
    ///
    /// The counters are compared by a weighted sum with a weight of 64 mixed bits for each bucket, so that
    /// faults do not cancel out and no memory is needed. Costs a walk an entry.
    pub(super) fn check_hashes(&self, mut hash_of: impl FnMut(NodeNumber) -> Option<Hash>) -> bool {
        let (mut passed, mut complete) = (0_u64, true);
        for (at, bucket) in self.buckets.iter().enumerate() {
            for (place, fingerprint, entry) in bucket.entries() {
                let Some(hash) = hash_of(entry.number) else {
                    complete = false;
                    continue;
                };
                let found = self.find(hash, entry.number) == Some((at, place));
                if !found || hash.fingerprint() != fingerprint {
                    return false;
                }
                let way = self.walk(hash).take_while(|(passing, _)| *passing != at);
                passed = way.fold(passed, |sum, (passing, _)| sum.wrapping_add(weight(passing)));
            }
        }
        let counted = self.buckets.iter().enumerate().fold(0_u64, |sum, (at, bucket)| {
            sum.wrapping_add(weight(at).wrapping_mul(u64::from(bucket.overflow)))
        });
        !complete || passed == counted
    }
}

/// The weight of a bucket in the sum, never 0: SplitMix64, whose finalizer is a bijection that keeps 0.
fn weight(at: usize) -> u64 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
