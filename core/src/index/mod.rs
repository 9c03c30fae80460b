//! The block index: from an id to its node's number, and from a number to where the node's records lie. All
//! in RAM.
//!
//! ```text
//!  id -- hash --> bucket: fingerprint, number, location --> record on media, which holds the id
//!                                       |
//!                                       v
//!         columns by number:  home | out | into   (and bitmaps: numbers used, lists that are paged)
//! ```
//!
//! The table answers a lookup from one cache line; the location lies in it a second time, beside the column
//! `home`, so that no second line is needed before the record's. Numbers in use lie dense, so everything else
//! that the store knows of a node is a column indexed by its number.
//!
//! The index holds no ids, reads no media and knows no record: an entry whose fingerprint matches is a
//! [`Candidate`], and its record tells whether it is the one. Which records lie where is the caller's
//! knowledge.
//!
//! Everything is carved from the region at open: no growth, no rehash, no allocation, about 26.6 bytes for
//! each node. Every operation ends; one on the table visits few buckets for ids that nobody chose against the
//! store's seed, and each bucket at most once for any ids.
//!
//! Invariants, all of which [`BlockIndex::check`] or [`BlockIndex::check_hashes`] tests:
//!
//! - a number has at most one entry in the table; a number with an entry is used;
//! - the location in an entry is that in its number's column `home`;
//! - those of the table and of the numbers, which their files state.
//!
//! The first two are kept together with the caller, who takes a number before it inserts an entry, gives one
//! entry to a number, moves entries with [`relocate`](BlockIndex::relocate) and removes them before it
//! releases the number.

mod hash;
mod numbers;
mod table;

#[cfg(test)]
mod tests;

pub use hash::Hash;
pub use numbers::{FreeNumbers, Homes};
pub use table::{Candidate, Candidates};

use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator, prefetch};
use crate::types::{BlockId, Direction, Location, NodeNumber};
use core::fmt;
use hash::Seeds;
use numbers::{Numbers, paged_words, used_words};
use table::{Bucket, Table, buckets};

/// From ids to node numbers, and the columns by number. See the [room](self).
pub struct BlockIndex<'r> {
    seeds: Seeds,
    table: Table<'r>,
    numbers: Numbers<'r>,
}

impl<'r> BlockIndex<'r> {
    /// What the region must hold `before` the index, and the index for so many nodes.
    pub const fn footprint(before: Footprint, nodes: u32) -> Footprint {
        before
            .slice::<Bucket>(buckets(nodes) as usize)
            .slice::<u32>(nodes as usize)
            .slice::<u32>(nodes as usize)
            .slice::<u32>(nodes as usize)
            .slice::<u32>(used_words(nodes) as usize)
            .slice::<u32>(paged_words(nodes) as usize)
    }

    /// An empty index for so many nodes. `seed` is the store's secret: random, and kept from who chooses ids.
    ///
    /// # Errors
    /// The region has less room than [`footprint`](Self::footprint) says.
    pub fn new(
        memory: &mut StorageCoordinator<'r>,
        nodes: u32,
        seed: [u64; 2],
    ) -> Result<Self, RegionTooSmall> {
        let table = Table::new(memory.slice_of(buckets(nodes) as usize)?);
        let home = memory.slice_of(nodes as usize)?;
        let out = memory.slice_of(nodes as usize)?;
        let into = memory.slice_of(nodes as usize)?;
        let used_bits = memory.slice_of(used_words(nodes) as usize)?;
        let paged_bits = memory.slice_of(paged_words(nodes) as usize)?;
        let numbers = Numbers::new(nodes, [home, out, into], [used_bits, paged_bits]);
        Ok(Self { seeds: Seeds::new(seed), table, numbers })
    }

    /// The hash of an id, good for this index only. Two multiplications of 64 by 64 bits.
    #[inline]
    pub fn hash(&self, id: &BlockId) -> Hash {
        self.seeds.hash(id)
    }

    /// The entries that may belong to an id with this hash.
    ///
    /// Another id's entry is among them once in some four billion; the caller compares ids on media. In
    /// a full index some 1.4 buckets are visited for a hit and 3 for a miss; for any ids, each at most once.
    #[inline]
    pub fn candidates(&self, hash: Hash) -> Candidates<'_> {
        self.table.candidates(hash)
    }

    /// Asks the processor to fetch the bucket where a lookup of this hash begins. Has no other effect.
    #[inline]
    pub fn prefetch(&self, hash: Hash) {
        if let Some(bucket) = self.table.buckets.get(self.table.home(hash)) {
            prefetch(bucket);
        }
    }

    /// Adds the entry of a number that was taken and has none yet, and sets the number's home.
    ///
    /// # Errors
    /// [`IndexFull`] if the number was not taken, if the index has as many entries as numbers, or if
    /// `location` is `NONE`. Nothing is changed then. None of it happens to a caller who keeps to one entry
    /// for each taken number.
    pub fn insert(
        &mut self,
        hash: Hash,
        number: NodeNumber,
        location: Location,
    ) -> Result<(), IndexFull> {
        let full = self.table.entries() >= self.capacity();
        if full || location.is_none() || !self.is_used(number) {
            return Err(IndexFull { number: number.get(), capacity: self.capacity() });
        }
        self.table.insert(hash, Candidate { number, location });
        self.numbers.set_home(number, location);
        Ok(())
    }

    /// Changes the location of a number's entry, and the number's home with it.
    ///
    /// False, and nothing is changed, if the number has no entry with this hash or `to` is `NONE`.
    pub fn relocate(&mut self, hash: Hash, number: NodeNumber, to: Location) -> bool {
        if to.is_none() || !self.table.relocate(hash, number, to) {
            return false;
        }
        self.numbers.set_home(number, to);
        true
    }

    /// Removes a number's entry. The number stays used, and its columns keep what they hold.
    ///
    /// False, and nothing is changed, if the number has no entry with this hash. The hash must be that of the
    /// id with which the entry was inserted.
    pub fn remove(&mut self, hash: Hash, number: NodeNumber) -> bool {
        self.table.remove(hash, number)
    }

    /// How many entries the table holds: at most as many as numbers are used.
    pub fn entries(&self) -> u32 {
        self.table.entries()
    }

    /// Where the node's newest block record or node record lies; `NONE` if nowhere, or if the number is not
    /// used.
    #[inline]
    pub fn home(&self, number: NodeNumber) -> Location {
        self.numbers.home(number)
    }

    /// The used numbers, ascending, each with its home: one column, read in order.
    pub fn homes(&self) -> Homes<'_> {
        self.numbers.homes()
    }

    /// Sets the home of a used number that has no entry in the table; does nothing if the number is not used.
    pub fn set_home(&mut self, number: NodeNumber, to: Location) {
        self.numbers.set_home(number, to);
    }

    /// Where the node's adjacency record in this direction lies; `NONE` if it has none, or if the number is
    /// not used.
    #[inline]
    pub fn adjacency(&self, number: NodeNumber, direction: Direction) -> Location {
        self.numbers.adjacency(number, direction)
    }

    /// Whether what the column holds in this direction is no location, but names the pages of a list.
    #[inline]
    pub fn is_paged(&self, number: NodeNumber, direction: Direction) -> bool {
        self.numbers.is_paged(number, direction)
    }

    /// Sets where the node's adjacency record in this direction lies, or, with `paged`, what names its pages;
    /// does nothing if the number is not used.
    pub fn set_adjacency(
        &mut self,
        number: NodeNumber,
        direction: Direction,
        to: Location,
        paged: bool,
    ) {
        self.numbers.set_adjacency(number, direction, to, paged);
    }

    /// How many nodes the index has room for; numbers are less than this.
    pub fn capacity(&self) -> u32 {
        self.numbers.capacity()
    }

    /// How many numbers are used.
    pub fn used(&self) -> u32 {
        self.numbers.used()
    }

    /// The least number such that neither it nor any greater one was ever used; it only grows, but for
    /// [`clear`](Self::clear).
    pub fn high_water(&self) -> u32 {
        self.numbers.high_water()
    }

    /// Makes the high-water mark `to` at least. The numbers passed over stay out of the free list until it is
    /// rebuilt.
    ///
    /// # Errors
    /// `to` is more than the capacity; nothing is changed.
    pub fn raise_high_water(&mut self, to: u32) -> Result<(), NumberError> {
        self.numbers.raise_high_water(to)
    }

    /// Whether the number is used; false for a number beyond the capacity.
    #[inline]
    pub fn is_used(&self, number: NodeNumber) -> bool {
        self.numbers.is_used(number)
    }

    /// Marks a number as used, with `NONE` in all its columns. Any number may be taken, in any order:
    /// constant work.
    ///
    /// True if it was free; false, and nothing is changed, if it is used already.
    ///
    /// # Errors
    /// The number is beyond the capacity.
    pub fn take(&mut self, number: NodeNumber) -> Result<bool, NumberError> {
        self.numbers.take(number)
    }

    /// Makes a number free, and the first to be taken next; does nothing if it is not used. Constant work.
    ///
    /// Its entry must have been [removed](Self::remove).
    pub fn release(&mut self, number: NodeNumber) {
        self.numbers.release(number);
    }

    /// The free numbers in the order in which they are to be taken. Changes nothing.
    pub fn peek_free(&self) -> FreeNumbers {
        self.numbers.peek_free()
    }

    /// Lists, ascending, the numbers below the high-water mark that are not used and to which `is_free`
    /// agrees, as recovery does once when it has taken the numbers that the log names. The others are not
    /// handed out until the list is rebuilt again.
    ///
    /// `is_free` is asked in descending order, and only about numbers that are not used. One step a number.
    pub fn rebuild_free_list(&mut self, is_free: impl FnMut(NodeNumber) -> bool) {
        self.numbers.rebuild_free_list(is_free);
    }

    /// Forgets everything, as if the index were new; the seed stays. Writes all the memory of the index.
    pub fn clear(&mut self) {
        self.table.clear();
        self.numbers.clear();
    }

    /// Whether every invariant holds that can be tested without ids: counts, free list, bitmap and blank
    /// columns, entries whose number is not used or has another home, and counters that claim more than can
    /// be. A few steps for each node.
    pub fn check(&self) -> bool {
        self.table.check()
            && self.numbers.check()
            && self.table.entries() <= self.numbers.used()
            && self.table.iter().all(|entry| {
                self.is_used(entry.number) && self.home(entry.number) == entry.location
            })
    }

    /// Whether the table is right given the hash of every number that has an entry: each entry is the one
    /// that a lookup finds, no number has two, and the overflow counters are exact.
    ///
    /// Where a hash is not to be had (the record is damaged), `hash_of` gives `None`: that entry is passed
    /// over, and the counters are not tested. One call and one lookup an entry.
    pub fn check_hashes(&self, hash_of: impl FnMut(NodeNumber) -> Option<Hash>) -> bool {
        self.table.check_hashes(hash_of)
    }
}

impl fmt::Debug for BlockIndex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the seed, which is secret, nor the columns, which are long.
        f.debug_struct("BlockIndex")
            .field("capacity", &self.capacity())
            .field("used", &self.used())
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}

/// The index has no place for an entry of this number: a place belongs to each number that was taken and has
/// no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IndexFull {
    /// The number whose entry was refused.
    pub number: u32,
    /// How many nodes the index has room for.
    pub capacity: u32,
}

impl fmt::Display for IndexFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, capacity } = self;
        write!(f, "an index for {capacity} nodes has no place for an entry of number {number}")
    }
}

impl core::error::Error for IndexFull {}

/// A node number beyond the index's capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NumberError {
    /// The number, or the high-water mark, that was asked for.
    pub number: u32,
    /// How many nodes the index has room for.
    pub capacity: u32,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, capacity } = self;
        write!(f, "node number {number} in an index for {capacity} nodes")
    }
}

impl core::error::Error for NumberError {}
