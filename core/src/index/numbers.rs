//! Node numbers and the columns that they index: which are used, and where each node's records lie.
//!
//! A number is in one of four states. The columns of a number that is not used are free for the list's links:
//!
//! | state | bit in `used` | below high water | `home` | `into` | `out` |
//! | --- | --- | --- | --- | --- | --- |
//! | used | 1 | yes | location | location | location |
//! | listed | 0 | yes | next in the list | previous | [`LISTED`] |
//! | loose | 0 | yes | 0 | 0 | 0 |
//! | fresh | 0 | no | 0 | 0 | 0 |
//!
//! Beside each location of a list stands a bit in `paged`: it is then no location, but names the list's
//! pages. Locations need all 32 bits. The bit is 0 for every number that is not used.
//!
//! A link is a number plus 1; 0 ends the list. Any listed number can be taken in constant time, for replay
//! follows the numbers that the log names. Numbers that replay jumps over become *loose*: free, but in no
//! list, until the list is rebuilt. Memory that is all zeros is an empty `Numbers`.

use super::NumberError;
use crate::types::{Direction, Location, NodeNumber};

/// In the column `out` of a number that is not used: it is in the list.
const LISTED: u32 = 1;

/// No number: either end of the list.
const END: u32 = 0;

/// Words of the bitmap `used` for so many numbers.
pub(super) const fn used_words(numbers: u32) -> u32 {
    numbers.div_ceil(u32::BITS)
}

/// Words of the bitmap `paged` for so many numbers: two bits each.
pub(super) const fn paged_words(numbers: u32) -> u32 {
    numbers.div_ceil(u32::BITS / 2)
}

/// The columns, each as long as there are numbers, and the bitmaps.
pub(super) struct Numbers<'r> {
    pub(super) home: &'r mut [u32],
    pub(super) out: &'r mut [u32],
    pub(super) into: &'r mut [u32],
    pub(super) used_bits: &'r mut [u32],
    pub(super) paged_bits: &'r mut [u32],
    capacity: u32,
    used: u32,
    high_water: u32,
    /// Link to the first of the list.
    first: u32,
}

impl<'r> Numbers<'r> {
    /// The numbers below `capacity`, over columns of that length and bitmaps (`used`, `paged`), all zeros.
    pub(super) fn new(
        capacity: u32,
        columns: [&'r mut [u32]; 3],
        bitmaps: [&'r mut [u32]; 2],
    ) -> Self {
        let [home, out, into] = columns;
        let [used_bits, paged_bits] = bitmaps;
        Self {
            home,
            out,
            into,
            used_bits,
            paged_bits,
            capacity,
            used: 0,
            high_water: 0,
            first: END,
        }
    }

    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    pub(super) fn used(&self) -> u32 {
        self.used
    }

    pub(super) fn high_water(&self) -> u32 {
        self.high_water
    }

    pub(super) fn is_used(&self, number: NodeNumber) -> bool {
        let (word, bit) = bit_of(number);
        self.used_bits.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn home(&self, number: NodeNumber) -> Location {
        self.read(&*self.home, number)
    }

    pub(super) fn homes(&self) -> Homes<'_> {
        Homes { home: self.home, used_bits: self.used_bits, next: 0 }
    }

    pub(super) fn set_home(&mut self, number: NodeNumber, to: Location) {
        if self.is_used(number) {
            set(self.home, number, to.get());
        }
    }

    pub(super) fn adjacency(&self, number: NodeNumber, direction: Direction) -> Location {
        match direction {
            Direction::Out => self.read(&*self.out, number),
            Direction::In => self.read(&*self.into, number),
        }
    }

    pub(super) fn is_paged(&self, number: NodeNumber, direction: Direction) -> bool {
        let (word, bit) = paged_bit_of(number, direction);
        self.paged_bits.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn set_adjacency(
        &mut self,
        number: NodeNumber,
        direction: Direction,
        to: Location,
        paged: bool,
    ) {
        if !self.is_used(number) {
            return;
        }
        match direction {
            Direction::Out => set(self.out, number, to.get()),
            Direction::In => set(self.into, number, to.get()),
        }
        let (word, bit) = paged_bit_of(number, direction);
        if let Some(word) = self.paged_bits.get_mut(word) {
            *word = if paged { *word | bit } else { *word & !bit };
        }
    }

    /// Marks the number as used; says whether it was free.
    pub(super) fn take(&mut self, number: NodeNumber) -> Result<bool, NumberError> {
        if number.get() >= self.capacity {
            return Err(NumberError { number: number.get(), capacity: self.capacity });
        }
        if self.is_used(number) {
            return Ok(false);
        }
        if self.is_listed(number) {
            self.unlink(number);
        }
        self.flip_used(number);
        self.used += 1;
        self.high_water = self.high_water.max(number.get() + 1);
        Ok(true)
    }

    /// Makes a used number the first of the free ones; does nothing with any other.
    pub(super) fn release(&mut self, number: NodeNumber) {
        if self.is_used(number) {
            for direction in Direction::BOTH {
                self.set_adjacency(number, direction, Location::NONE, false);
            }
            self.flip_used(number);
            self.used -= 1;
            self.link_first(number);
        }
    }

    pub(super) fn raise_high_water(&mut self, to: u32) -> Result<(), NumberError> {
        if to > self.capacity {
            return Err(NumberError { number: to, capacity: self.capacity });
        }
        self.high_water = self.high_water.max(to);
        Ok(())
    }

    pub(super) fn peek_free(&self) -> FreeNumbers {
        FreeNumbers { link: self.first, fresh: self.high_water }
    }

    /// Lists the numbers that are not used and that `is_free` agrees to, ascending; the others become loose.
    pub(super) fn rebuild_free_list(&mut self, mut is_free: impl FnMut(NodeNumber) -> bool) {
        self.first = END;
        // Downwards, each before the last, so that the list ascends.
        for number in (0..self.high_water).rev().map(NodeNumber::new) {
            if self.is_used(number) {
                continue;
            }
            self.blank(number);
            if is_free(number) {
                self.link_first(number);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        for column in [&mut *self.home, self.out, self.into, self.used_bits, self.paged_bits] {
            column.fill(0);
        }
        (self.used, self.high_water, self.first) = (0, 0, END);
    }

    /// Every invariant of the table above.
    pub(super) fn check(&self) -> bool {
        self.first.max(self.used) <= self.high_water
            && self.high_water <= self.capacity
            && self.check_bits()
            && (0..self.capacity).map(NodeNumber::new).all(|number| self.check_state(number))
            && self.check_list()
    }

    /// As many bits as used numbers, none at or above high water.
    fn check_bits(&self) -> bool {
        let bits: u32 = self.used_bits.iter().map(|word| word.count_ones()).sum();
        let below = (0..self.high_water).filter(|number| self.is_used(NodeNumber::new(*number)));
        bits == self.used && below.count() == self.used as usize
    }

    /// A number that is neither used nor listed is blank; a listed one is below high water; neither is paged.
    fn check_state(&self, number: NodeNumber) -> bool {
        let blank = [&*self.home, self.out, self.into].map(|column| get(column, number)) == [0; 3];
        let listed = self.is_listed(number) && number.get() < self.high_water;
        let paged = Direction::BOTH.iter().any(|way| self.is_paged(number, *way));
        self.is_used(number) || (blank || listed) && !paged
    }

    /// Forward and backward links agree, and every listed number is reached, once.
    fn check_list(&self) -> bool {
        let numbers = (0..self.high_water).map(NodeNumber::new);
        let listed = numbers.filter(|number| self.is_listed(*number)).count();
        let (mut link, mut previous) = (self.first, END);
        for _ in 0..listed {
            let Some(number) = target(link) else { return false };
            if !self.is_listed(number) || get(self.into, number) != previous {
                return false;
            }
            (previous, link) = (link, get(self.home, number));
        }
        link == END
    }

    fn is_listed(&self, number: NodeNumber) -> bool {
        !self.is_used(number) && get(self.out, number) == LISTED
    }

    /// A column's location of a used number. (Other numbers' columns hold links.)
    fn read(&self, column: &[u32], number: NodeNumber) -> Location {
        match self.is_used(number) {
            true => Location::new(get(column, number)),
            false => Location::NONE,
        }
    }

    fn flip_used(&mut self, number: NodeNumber) {
        let (word, bit) = bit_of(number);
        if let Some(word) = self.used_bits.get_mut(word) {
            *word ^= bit;
        }
    }

    fn blank(&mut self, number: NodeNumber) {
        for column in [&mut *self.home, self.out, self.into] {
            set(column, number, 0);
        }
    }

    fn link_first(&mut self, number: NodeNumber) {
        set(self.home, number, self.first);
        set(self.into, number, END);
        set(self.out, number, LISTED);
        if let Some(next) = target(self.first) {
            set(self.into, next, link_to(number));
        }
        self.first = link_to(number);
    }

    /// Takes a listed number out of the list and leaves it blank.
    fn unlink(&mut self, number: NodeNumber) {
        let (next, previous) = (get(self.home, number), get(self.into, number));
        match target(previous) {
            Some(previous) => set(self.home, previous, next),
            None => self.first = next,
        }
        if let Some(next) = target(next) {
            set(self.into, next, previous);
        }
        self.blank(number);
    }
}

/// A cursor over the free numbers, in the order in which they are to be taken: the listed ones, then the
/// fresh ones.
///
/// It changes nothing and is `Copy`: a batch can walk it once to see that its numbers suffice, and again from
/// a copy to give them, and meets the same ones. It is good until a number is taken or released; used after
/// that, it still names free numbers only, but may leave some out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FreeNumbers {
    link: u32,
    fresh: u32,
}

impl FreeNumbers {
    /// The next free number; `None` when there is no other. Constant work.
    pub fn next(&mut self, index: &super::BlockIndex<'_>) -> Option<NodeNumber> {
        let numbers = &index.numbers;
        if let Some(number) = target(self.link).filter(|number| numbers.is_listed(*number)) {
            self.link = get(numbers.home, number);
            return Some(number);
        }
        self.link = END;
        let number = self.fresh.max(numbers.high_water);
        if number >= numbers.capacity {
            return None;
        }
        self.fresh = number + 1;
        Some(NodeNumber::new(number))
    }
}

/// The used numbers, ascending, each with its home: one column read through, a word of the bitmap for 32 of
/// it.
///
/// Made by [`BlockIndex::homes`](super::BlockIndex::homes).
#[derive(Clone)]
pub struct Homes<'t> {
    home: &'t [u32],
    used_bits: &'t [u32],
    next: u32,
}

impl Iterator for Homes<'_> {
    type Item = (NodeNumber, Location);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // Ends with the bitmap.
        loop {
            let (word, _) = bit_of(NodeNumber::new(self.next));
            let rest = self.used_bits.get(word)? >> (self.next % u32::BITS);
            if rest != 0 {
                let number = NodeNumber::new(self.next + rest.trailing_zeros());
                self.next = number.get() + 1;
                return Some((number, Location::new(get(self.home, number))));
            }
            self.next = (self.next / u32::BITS + 1) * u32::BITS;
        }
    }

    // Where all of a word is used, which is nearly everywhere, nothing depends on the bitmap any more.
    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, from: B, mut f: F) -> B {
        let mut sum = from;
        while !self.next.is_multiple_of(u32::BITS) {
            let Some(item) = self.next() else { return sum };
            sum = f(sum, item);
        }
        let (word, _) = bit_of(NodeNumber::new(self.next));
        let used = self.used_bits.get(word..).unwrap_or_default();
        let homes = self.home.get(index_of(NodeNumber::new(self.next))..).unwrap_or_default();
        let pieces = used.iter().zip(homes.chunks(u32::BITS as usize));
        for ((used, homes), first) in pieces.zip((self.next..).step_by(u32::BITS as usize)) {
            // The place is below 32.
            let item =
                |at: usize, home: &u32| (NodeNumber::new(first + at as u32), Location::new(*home));
            let whole = homes.first_chunk::<{ u32::BITS as usize }>();
            if let Some(homes) = whole.filter(|_| *used == u32::MAX) {
                sum = homes.iter().enumerate().fold(sum, |sum, (at, home)| f(sum, item(at, home)));
            } else {
                let homes = homes.iter().enumerate().filter(|(at, _)| used >> at & 1 == 1);
                sum = homes.fold(sum, |sum, (at, home)| f(sum, item(at, home)));
            }
        }
        sum
    }
}

fn link_to(number: NodeNumber) -> u32 {
    number.get() + 1
}

fn target(link: u32) -> Option<NodeNumber> {
    link.checked_sub(1).map(NodeNumber::new)
}

/// The one place where a number becomes an index; the store needs addresses of 32 bits at least.
fn index_of(number: NodeNumber) -> usize {
    const { assert!(usize::BITS >= u32::BITS) };
    number.get() as usize
}

/// The word of the bitmap, and the bit in it.
fn bit_of(number: NodeNumber) -> (usize, u32) {
    (index_of(number) / u32::BITS as usize, 1 << (number.get() % u32::BITS))
}

/// The same in the bitmap with two bits a number.
fn paged_bit_of(number: NodeNumber, direction: Direction) -> (usize, u32) {
    let pair = number.get() % (u32::BITS / 2) * 2;
    let bit = pair + u32::from(direction == Direction::In);
    (index_of(number) / (u32::BITS as usize / 2), 1 << bit)
}

fn get(column: &[u32], number: NodeNumber) -> u32 {
    column.get(index_of(number)).copied().unwrap_or(0)
}

fn set(column: &mut [u32], number: NodeNumber, value: u32) {
    if let Some(place) = column.get_mut(index_of(number)) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_homes_are_those_of_the_used_numbers_whether_stepped_through_or_folded() {
        let ([mut home, mut out, mut into], mut used, mut paged) = ([[0; 200]; 3], [0; 7], [0; 13]);
        let mut numbers =
            Numbers::new(200, [&mut home, &mut out, &mut into], [&mut used, &mut paged]);
        let item = |value: u32| (NodeNumber::new(value), Location::new(value + 1));
        (0..170).for_each(|value| assert_eq!(numbers.take(item(value).0), Ok(true)));
        (0..170).for_each(|value| numbers.set_home(item(value).0, item(value).1));
        let released = [0, 31, 40, 64, 95, 150];
        released.iter().for_each(|value| numbers.release(NodeNumber::new(*value)));
        let used = (0..170).filter(|value| !released.contains(value));
        let expected: Vec<_> = used.map(item).collect();
        for stepped in [0, 1, 30, 31, 32, 100, expected.len()] {
            let mut homes = numbers.homes();
            let mut found: Vec<_> = (0..stepped).filter_map(|_| homes.next()).collect();
            homes.for_each(|item| found.push(item));
            assert_eq!(found, expected, "{stepped}");
        }
    }
}
