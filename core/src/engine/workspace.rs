//! What a caller lends to a query: room for its block iterators, and the windows that they look through.
//!
//! A workspace is carved once out of a caller's scratch and serves any number of queries, one after the
//! other. It passes from the caller to the query and back, by value; as long as the query runs, the caller
//! has none of it, and as long as the caller has it, no iterator is open in it: giving it back closes them
//! all. Neither needs a look at run time, since nobody can do with the workspace of one owner what only the
//! other may.
//!
//! Invariants: there is a window for each iterator, all of the same length, of one place at least.

use super::scan::Cursor;
use super::stats::PoolUse;
use crate::memory::owned::{self, Caller, Owned};
use crate::memory::{Arena, Footprint, Handle, Pool, PoolError, REGION_ALIGN, RegionTooSmall};

/// Room for the block iterators of a query, in a caller's scratch.
///
/// [`over`](Self::over) makes it, [`Reader::query`](super::Reader::query) takes it, and
/// [`Query::end`](super::Query::end) gives it back.
pub struct Workspace<'s> {
    cursors: Pool<'s, Cursor>,
    /// The windows of all iterators, one behind the other.
    windows: &'s mut [u32],
}

/// An iterator of a query that is open. [`Query::close`](super::Query::close) takes it back.
///
/// It can be neither made up nor copied, so that nothing is closed twice. One that is kept beyond its query
/// names nothing any more in the next one with the same workspace; in another workspace it may name an
/// iterator that is open there, and never more than that.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "the place of an iterator is taken until it is closed"]
pub struct Scan {
    cursor: Handle<Cursor>,
}

impl<'s> Workspace<'s> {
    /// The scratch for so many iterators at once, each with a window of so many places, in bytes, wherever
    /// the scratch starts. A place takes four bytes.
    ///
    /// Windows serve scans from the newest on ([`Order::NewestFirst`](super::Order)): a stretch of the log
    /// between two index pages, or a small segment, is walked once for every window that its live blocks
    /// fill. For other iterators one place will do.
    pub const fn scratch_bytes(iterators: usize, window: usize) -> usize {
        let places = iterators.saturating_mul(window);
        let whole = Footprint::new().pool::<Cursor>(iterators).slice::<u32>(places).region_bytes();
        // No more than the cursors need is lost where the scratch starts.
        if whole == usize::MAX { whole } else { whole - (REGION_ALIGN - align_of::<Cursor>()) }
    }

    /// Makes a workspace of all of `scratch`, for so many iterators at once. Their windows share what the
    /// iterators leave, so that more scratch makes longer windows.
    ///
    /// # Errors
    /// The scratch does not hold the iterators and a place for each.
    pub fn over(
        scratch: &'s mut [u8],
        iterators: usize,
    ) -> Result<Owned<Self, Caller>, RegionTooSmall> {
        let given_bytes = scratch.len();
        let mut arena = Arena::over(scratch);
        let cursors = arena.pool_of(iterators)?;
        // What is left is aligned for places: the cursors are, and end on a multiple.
        let places = arena.remaining() / size_of::<u32>();
        if places < iterators {
            let taken_bytes = given_bytes - arena.remaining();
            let needed_bytes = taken_bytes + iterators * size_of::<u32>();
            return Err(RegionTooSmall { needed_bytes, given_bytes });
        }
        let windows = arena.slice_of(places)?;
        Ok(Owned::new(Self { cursors, windows }, &Caller::token()))
    }

    /// Opens an iterator that stands at `cursor`.
    pub(super) fn open(&mut self, cursor: Cursor) -> Result<Scan, PoolError> {
        self.cursors.acquire(cursor).map(|cursor| Scan { cursor })
    }

    /// Where an iterator stands, and its window.
    pub(super) fn at(&mut self, scan: &Scan) -> Result<(&mut Cursor, &mut [u32]), PoolError> {
        let index = self.cursors.index_of(scan.cursor)?;
        let len = self.windows.len().checked_div(self.cursors.capacity()).unwrap_or(0);
        let window = self.windows.get_mut(index * len..(index + 1) * len).unwrap_or_default();
        Ok((self.cursors.get_mut(scan.cursor)?, window))
    }

    /// Closes an iterator.
    pub(super) fn close(&mut self, scan: &Scan) -> Result<(), PoolError> {
        self.cursors.release(scan.cursor).map(|_| ())
    }

    /// How many iterators are open, were at most, and can be.
    pub(super) fn iterators(&self) -> PoolUse {
        // A pool has fewer slots than 32 bits count.
        PoolUse {
            used: self.cursors.in_use() as u32,
            high_water: self.cursors.high_water() as u32,
            capacity: self.cursors.capacity() as u32,
        }
    }
}

/// The workspace becomes the query's.
pub(super) fn lend(workspace: Owned<Workspace<'_>, Caller>) -> Owned<Workspace<'_>, owned::Query> {
    workspace.transfer(&Caller::token())
}

/// The workspace becomes the caller's again, and every iterator in it is closed.
pub(super) fn give_back(
    mut workspace: Owned<Workspace<'_>, owned::Query>,
) -> Owned<Workspace<'_>, Caller> {
    let query = owned::Query::token();
    workspace.get_mut(&query).cursors.clear();
    workspace.transfer(&query)
}
