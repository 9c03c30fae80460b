//! The invariants of the pool of hub pages, walked.

use super::{FIRST, HubPages, Page, SHARED};
use crate::edges::scramble::scramble;
use crate::memory::Link;
use crate::types::EdgeKey;
use core::iter;

/// Which invariant of the pages does not hold. This is a fault of the store itself, or of its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HubFault {
    /// The slots in use and the free ones are not all there are.
    Slots,
    /// A chain does not start at the least key, does not ascend, or runs into another one.
    Order,
    /// A page is in use but in no chain, or in more than one.
    Reach,
    /// Two pages of a chain lie in the same record, and one of them does not know.
    Sharing,
}

impl HubPages<'_> {
    /// Walks everything. O(capacity), and the square of the length of each chain.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), HubFault> {
        if !self.pages.is_sound() {
            return Err(HubFault::Slots);
        }
        let mut reached = 0;
        for (_, first) in self.pages.iter().filter(|(_, page)| page.has(FIRST)) {
            reached += self.check_chain(first)?;
        }
        if reached == self.len() && self.is_every_page_linked_once() {
            Ok(())
        } else {
            Err(HubFault::Reach)
        }
    }

    /// The length of a chain that is in order, and knows what it shares.
    fn check_chain(&self, first: &Page) -> Result<u32, HubFault> {
        if first.low() != EdgeKey::MIN {
            return Err(HubFault::Order);
        }
        let mut length = 1;
        let mut last = first;
        for page in self.walk(first.next) {
            if page.low() <= last.low() || page.has(FIRST) {
                return Err(HubFault::Order);
            }
            last = page;
            length += 1;
        }
        if !last.next.is_none() {
            return Err(HubFault::Order);
        }
        let pages = || iter::once(first).chain(self.walk(first.next));
        for (index, page) in pages().enumerate().filter(|(_, page)| !page.has(SHARED)) {
            let mut others = pages().enumerate().filter(|(other, _)| *other != index);
            if others.any(|(_, other)| other.location == page.location) {
                return Err(HubFault::Sharing);
            }
        }
        Ok(length)
    }

    /// Whether the links between pages lead to each page once, but to the first of a chain: then two chains
    /// never meet, and a page that no chain reaches lies on a ring.
    ///
    /// Two sets of links are taken to be the same when the sums of their scrambled numbers are.
    fn is_every_page_linked_once(&self) -> bool {
        let sum = |links: &mut dyn Iterator<Item = Link<Page>>| {
            links.fold(0, |sum: u64, link| sum.wrapping_add(scramble(u64::from(link.to_raw()))))
        };
        let nexts = self.pages.iter().map(|(_, page)| page.next);
        let inner = self.pages.iter().filter(|(_, page)| !page.has(FIRST));
        sum(&mut nexts.filter(|next| !next.is_none())) == sum(&mut inner.map(|(link, _)| link))
    }
}
