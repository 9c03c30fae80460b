//! The open intents: nodes that are deleted while their neighbours still mention them.

use crate::memory::{Footprint, RegionTooSmall, StorageCoordinator};
use crate::types::{Direction, EdgeKey, Location, NodeNumber};
use core::mem;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An intent as it lives in the region.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Entry {
    number: NodeNumber,
    location: Location,
    cursor_number: NodeNumber,
    cursor_kind: u16,
    /// 0 out, 1 in, 2 pending changes, 3 all lists for edges out, 4 all lists for edges in.
    cursor_stage: u16,
}

/// A node that is deleted, and how far its neighbours are cleaned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intent {
    /// The node.
    pub number: NodeNumber,
    /// Where the intent record lies.
    pub location: Location,
    /// Which neighbour is next.
    pub cursor: Cursor,
}

/// Which neighbour of a deleted node is cleaned next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cursor {
    /// The first with at least this key in the node's list of this direction.
    List(Direction, EdgeKey),
    /// The node's list of this direction is damaged, so every other node is looked at: this one next.
    Search(Direction, NodeNumber),
    /// The lists are done; what is left is in pending changes.
    Pending,
}

/// A small table of open intents; searched from end to end, which at this size is fastest.
pub struct Intents<'r> {
    entries: &'r mut [Entry],
    len: usize,
    high_water: usize,
}

impl<'r> Intents<'r> {
    /// What [`new`](Self::new) takes of the region.
    pub const fn footprint(before: Footprint, capacity: u32) -> Footprint {
        before.slice::<Entry>(capacity as usize)
    }

    /// An empty table.
    ///
    /// # Errors
    /// The region is too small.
    pub fn new(memory: &mut StorageCoordinator<'r>, capacity: u32) -> Result<Self, RegionTooSmall> {
        Ok(Self { entries: memory.slice_of(capacity as usize)?, len: 0, high_water: 0 })
    }

    /// How many fit.
    pub fn capacity(&self) -> u32 {
        self.entries.len() as u32
    }

    /// How many are open.
    pub fn len(&self) -> u32 {
        self.len as u32
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most that were ever open at once.
    pub fn high_water(&self) -> u32 {
        self.high_water as u32
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    fn open(&self) -> &[Entry] {
        self.entries.get(..self.len).unwrap_or_default()
    }

    fn find_mut(&mut self, number: NodeNumber) -> Option<&mut Entry> {
        self.entries.iter_mut().take(self.len).find(|entry| entry.number == number)
    }

    /// Whether the node is deleted and not yet cleaned up after.
    pub fn contains(&self, number: NodeNumber) -> bool {
        self.len > 0 && self.open().iter().any(|entry| entry.number == number)
    }

    /// The intent of this node.
    pub fn get(&self, number: NodeNumber) -> Option<Intent> {
        self.open().iter().find(|entry| entry.number == number).map(intent)
    }

    /// The intent that was opened first of those still open.
    pub fn first(&self) -> Option<Intent> {
        self.open().first().map(intent)
    }

    /// Every open intent.
    pub fn iter(&self) -> impl Iterator<Item = Intent> + '_ {
        self.open().iter().map(intent)
    }

    /// Opens an intent, or notes that the one of this node was moved. False if the table is full.
    pub fn open_at(&mut self, number: NodeNumber, location: Location) -> bool {
        if let Some(entry) = self.find_mut(number) {
            entry.location = location;
            return true;
        }
        let Some(entry) = self.entries.get_mut(self.len) else { return false };
        *entry = Entry { number, location, ..Entry::default() };
        self.len += 1;
        self.high_water = self.high_water.max(self.len);
        true
    }

    /// Notes how far the node's neighbours are cleaned.
    pub fn set_cursor(&mut self, number: NodeNumber, cursor: Cursor) {
        let Some(entry) = self.find_mut(number) else { return };
        match cursor {
            Cursor::List(direction, key) => {
                entry.cursor_stage = u16::from(direction == Direction::In);
                entry.cursor_kind = key.kind;
                entry.cursor_number = key.number;
            }
            Cursor::Search(direction, number) => {
                entry.cursor_stage = 3 + u16::from(direction == Direction::In);
                entry.cursor_number = number;
            }
            Cursor::Pending => entry.cursor_stage = 2,
        }
    }

    /// Closes an intent; the order of the others stays.
    pub fn close(&mut self, number: NodeNumber) {
        let Some(place) = self.open().iter().position(|entry| entry.number == number) else {
            return;
        };
        // Each takes the place before it. (Not `copy_within`, which brings 1.5 KB and a panic into an image.)
        let mut entry = Entry::default();
        let later = self.entries.get_mut(place..self.len).unwrap_or_default();
        later.iter_mut().rev().for_each(|place| mem::swap(place, &mut entry));
        self.len -= 1;
    }
}

fn intent(entry: &Entry) -> Intent {
    let key = EdgeKey { kind: entry.cursor_kind, number: entry.cursor_number };
    let cursor = match entry.cursor_stage {
        0 => Cursor::List(Direction::Out, key),
        1 => Cursor::List(Direction::In, key),
        3 => Cursor::Search(Direction::Out, key.number),
        4 => Cursor::Search(Direction::In, key.number),
        _ => Cursor::Pending,
    };
    Intent { number: entry.number, location: entry.location, cursor }
}
