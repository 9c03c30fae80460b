//! The write buffer, and who has it.
//!
//! Between two records the buffer belongs to the table, that is to the segment on media: what lies in it are
//! whole records, so it can be flushed at any time. While a record is written the engine has it: bytes are
//! added, and the log has no buffer that it could flush. The types see to both: [`Staging::add`] is reached
//! through the engine's ownership, flushing through the table's, and there is one buffer.

use super::{Log, LogError};
use crate::memory::owned::{Engine, Owned, Table};
use crate::storage::Storage;

/// Bytes that follow one another on media, of which none is there yet.
#[derive(Default)]
pub(super) struct Staging<'r> {
    buffer: &'r mut [u8],
    len: usize,
}

impl<'r> Staging<'r> {
    /// An empty one, the table's.
    pub(super) const fn new(buffer: &'r mut [u8]) -> Owned<Self, Table> {
        Owned::new(Self { buffer, len: 0 }, &Table::token())
    }

    /// What lies in it.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }

    const fn is_full(&self) -> bool {
        self.len == self.buffer.len()
    }

    /// Adds as many of the bytes as fit, and returns the others.
    fn add<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = self.buffer.get_mut(self.len..).unwrap_or_default();
        let fits = bytes.len().min(room.len());
        let (piece, behind) = bytes.split_at_checked(fits).unwrap_or((bytes, &[]));
        if let Some(room) = room.get_mut(..fits) {
            room.copy_from_slice(piece);
        }
        self.len += fits;
        behind
    }
}

/// The log while its buffer is being filled.
///
/// It ends with [`finish`](Self::finish). If it is dropped instead, since the storage failed, what is in the
/// buffer is forgotten: it may be part of a record, and part of it may be on media. The log is abandoned.
pub(super) struct Filling<'a, 'r, S> {
    pub(super) log: &'a mut Log<'r>,
    pub(super) storage: &'a mut S,
    staging: Owned<Staging<'r>, Engine>,
    is_whole: bool,
}

impl<'a, 'r, S: Storage> Filling<'a, 'r, S> {
    pub(super) fn start(log: &'a mut Log<'r>, storage: &'a mut S) -> Self {
        let staging = log.staging.hand_over(&Table::token());
        Self { log, storage, staging, is_whole: false }
    }

    /// Puts bytes behind all that were put. A full buffer goes to media: it is a multiple of the write size.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), LogError<S::Error>> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let staging = self.staging.get_mut(&Engine::token());
            let behind = staging.add(rest);
            self.log.at += (rest.len() - behind.len()) as u32;
            rest = behind;
            if staging.is_full() {
                self.give_back();
                let flushed = self.log.write_out(self.storage);
                self.staging = self.log.staging.hand_over(&Table::token());
                flushed?;
            }
        }
        Ok(())
    }

    /// Fills up to the alignment.
    pub(super) fn pad(&mut self) -> Result<(), LogError<S::Error>> {
        let layout = &self.log.layout;
        let filler = [layout.geometry().erased.filler(); 16];
        let mut missing = (layout.padded(self.log.at) - self.log.at) as usize;
        while missing > 0 {
            let take = missing.min(filler.len());
            self.put(filler.get(..take).unwrap_or_default())?;
            missing -= take;
        }
        Ok(())
    }

    /// What was put is whole: from here on it may be flushed.
    pub(super) fn finish(mut self) {
        self.is_whole = true;
    }
}

impl<S> Filling<'_, '_, S> {
    fn give_back(&mut self) {
        self.log.staging = self.staging.hand_over(&Engine::token());
    }
}

impl<S> Drop for Filling<'_, '_, S> {
    fn drop(&mut self) {
        self.give_back();
        if !self.is_whole {
            self.log.abandon();
        }
    }
}
