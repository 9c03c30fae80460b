//! A query: a reader, and the workspace that its block iterators live in.
//!
//! Over mapped and other media the same code runs, and as many iterators are open at once as the workspace
//! has places for. What an iterator knows lies in the workspace; the query names it by its [`Scan`], so that
//! it can turn from one to another and read other things in between.

use super::error::ReadError;
use super::media::Media;
use super::read::{BlockOf, Reader};
use super::scan::{BlockInfo, Cursor, Order, Scanning};
use super::stats::PoolUse;
use super::workspace::{Scan, Workspace, give_back, lend};
use crate::format::{Header, Place, Record};
use crate::memory::owned::{self, Caller, Owned};

/// A reader with a [`Workspace`] for block iterators.
///
/// ```
/// # use kausaldb::storage::RamStorage;
/// # use kausaldb::{BlockId, Capacity, Config, ContextBlock, FormatOptions, StorageEngine, StoreId, format};
/// use kausaldb::{Order, Workspace};
///
/// # let mut media = [0; 64 * 4096];
/// # let mut storage = RamStorage::new(&mut media, 4096, 4)?;
/// # format(&mut storage, &FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4096 })?;
/// # const CAPACITY: Capacity = Capacity::SMALL;
/// # let mut region = [const { core::mem::MaybeUninit::uninit() }; CAPACITY.region_bytes()];
/// # let mut engine = StorageEngine::open(storage, &mut region, CAPACITY, Config::default())?;
/// # let (id, content) = (BlockId::from_u128(7), b"b");
/// # engine.put(&ContextBlock { id, version: 1, source_uri: "a", metadata: b"", content })?;
/// let mut scratch = [0; Workspace::scratch_bytes(1, 64)];
/// let workspace = Workspace::over(&mut scratch, 1)?;
/// let mut query = engine.reader().query(workspace);
/// let scan = query.scan(Order::NewestFirst)?;
/// let mut blocks = 0;
/// while let Some(block) = query.next_block(&scan)? {
///     assert_eq!(block.content(), b"b");
///     blocks += 1;
/// }
/// let workspace = query.end(); // for the next query
/// # drop(workspace);
/// # assert_eq!(blocks, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Query<'e, 'r, 's, M> {
    reader: Reader<'e, 'r, M>,
    workspace: Owned<Workspace<'s>, owned::Query>,
}

impl<'e, 'r, M: Media> Reader<'e, 'r, M> {
    /// A query whose iterators live in this workspace.
    pub fn query<'s>(self, workspace: Owned<Workspace<'s>, Caller>) -> Query<'e, 'r, 's, M> {
        Query { reader: self, workspace: lend(workspace) }
    }
}

impl<'e, 'r, 's, M: Media> Query<'e, 'r, 's, M> {
    /// Opens an iterator over all live blocks, in log order. Reads nothing. O(1).
    ///
    /// # Errors
    /// [`IteratorsFull`](ReadError::IteratorsFull).
    pub fn scan(&mut self, order: Order) -> Result<Scan, ReadError<M::Error>> {
        let cursor = Cursor::new(self.reader.log, order);
        Ok(self.workspace.get_mut(&owned::Query::token()).open(cursor)?)
    }

    /// The next block of an iterator, without its body: reads its header only.
    ///
    /// # Errors
    /// [`IteratorClosed`](ReadError::IteratorClosed); the storage refused, a record is damaged, or the store
    /// is degraded: then the first call says so, and every call that meets a block that may be the past. (The
    /// iterator goes on behind it when called again.)
    pub fn next_info(&mut self, scan: &Scan) -> Result<Option<BlockInfo>, ReadError<M::Error>> {
        let Some((header, place)) = self.advance(scan)? else { return Ok(None) };
        let Record::Block { id, version, lens, .. } = header.record else { return Ok(None) };
        let sequence = self.reader.log.ring.position(place.slot, place.offset);
        Ok(Some(BlockInfo { id, version, lens, sequence }))
    }

    /// The next block of an iterator.
    ///
    /// # Errors
    /// As [`next_info`](Self::next_info); or the reader's scratch is too small.
    pub fn next_block(
        &mut self,
        scan: &Scan,
    ) -> Result<Option<BlockOf<'_, M>>, ReadError<M::Error>> {
        match self.advance(scan)? {
            Some((header, place)) => self.reader.block_at(place, &header).map(Some),
            None => Ok(None),
        }
    }

    fn advance(&mut self, scan: &Scan) -> Result<Option<(Header, Place)>, ReadError<M::Error>> {
        let (cursor, window) = self.workspace.get_mut(&owned::Query::token()).at(scan)?;
        Scanning { reader: &mut self.reader, cursor, window }.advance()
    }

    /// Closes an iterator: its place is free for another. O(1).
    ///
    /// # Errors
    /// [`IteratorClosed`](ReadError::IteratorClosed): it was another query's.
    pub fn close(&mut self, scan: Scan) -> Result<(), ReadError<M::Error>> {
        Ok(self.workspace.get_mut(&owned::Query::token()).close(&scan)?)
    }

    /// The reader, for other questions in between.
    pub const fn reader(&mut self) -> &mut Reader<'e, 'r, M> {
        &mut self.reader
    }

    /// How many iterators are open, were at most since the workspace was made, and can be.
    pub fn iterators(&self) -> PoolUse {
        self.workspace.get(&owned::Query::token()).iterators()
    }

    /// Ends the query and closes its iterators. The workspace is the caller's again. O(iterators).
    pub fn end(self) -> Owned<Workspace<'s>, Caller> {
        give_back(self.workspace)
    }
}
