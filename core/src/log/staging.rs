//! The write buffer, and who has it.
//!
//! Between two records the buffer belongs to the table, that is to the segment on media: what lies in it are
//! whole records, so it can be flushed at any time. While a record is written the engine has it: bytes are
//! added, and the log has no buffer that it could flush. Where the content of a block comes in pieces, the
//! caller has it in between: it puts the next bytes where they will be written from, and nobody sums up or
//! flushes what is still being filled. There is one buffer, and what can be done with it is written for each
//! owner: the caller's can be filled, the engine's added to, the table's read.

use super::{Log, LogError};
use crate::format::Crc;
use crate::memory::owned::{Caller, Engine, Owned, Table};
use crate::planted::{self, Fault};
use crate::storage::Storage;

/// Puts the next bytes of a content into the room that it is given, and says how many; `None` if there are
/// none.
pub type Source<'a> = dyn FnMut(&mut [u8]) -> Option<usize> + 'a;

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

    fn room(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.len..).unwrap_or_default()
    }
}

impl Owned<Staging<'_>, Table> {
    /// What lies in it.
    pub(super) fn bytes(&self) -> &[u8] {
        let Staging { buffer, len } = self.get(&Table::token());
        buffer.get(..*len).unwrap_or_default()
    }

    pub(super) const fn clear(&mut self) {
        self.get_mut(&Table::token()).len = 0;
    }

    /// Bytes that are to be written elsewhere, filled up to a length, in the buffer while that is empty.
    pub(super) fn padded(&mut self, bytes: &[u8], len: usize, filler: u8) -> &[u8] {
        let buffer = &mut *self.get_mut(&Table::token()).buffer;
        let padded = buffer.get_mut(..len).unwrap_or_default();
        padded.fill(filler);
        padded.iter_mut().zip(bytes).for_each(|(into, byte)| *into = *byte);
        padded
    }
}

impl<'r> Owned<Staging<'r>, Engine> {
    const fn is_full(&self) -> bool {
        let Staging { buffer, len } = self.get(&Engine::token());
        *len == buffer.len()
    }

    /// Adds as many of the bytes as fit, and returns the others.
    fn add<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let staging = self.get_mut(&Engine::token());
        let room = staging.room();
        let fits = bytes.len().min(room.len());
        let (piece, behind) = bytes.split_at_checked(fits).unwrap_or((bytes, &[]));
        if let Some(room) = room.get_mut(..fits) {
            room.copy_from_slice(piece);
        }
        staging.len += fits;
        behind
    }

    /// Takes in the first bytes of the room, which the caller has filled.
    fn take_in(&mut self, filled: usize) -> &[u8] {
        let staging = self.get_mut(&Engine::token());
        let start = staging.len;
        staging.len = start.saturating_add(filled).min(staging.buffer.len());
        staging.buffer.get(start..staging.len).unwrap_or_default()
    }

    /// Lends the buffer to the caller.
    fn lend(&mut self) -> Lent<'_, 'r> {
        let staging = self.hand_over(&Engine::token());
        Lent { staging, home: self }
    }
}

impl Owned<Staging<'_>, Caller> {
    /// Has the source fill the room, of which at most so many bytes. Returns how many it filled.
    fn fill(&mut self, most: usize, source: &mut Source<'_>) -> Option<usize> {
        let room = self.get_mut(&Caller::token()).room();
        let most = most.min(room.len());
        source(room.get_mut(..most)?).map(|filled| filled.min(most))
    }
}

/// The buffer while the caller has it. It is the engine's again when this ends, also where the caller's code
/// does not return.
struct Lent<'f, 'r> {
    staging: Owned<Staging<'r>, Caller>,
    home: &'f mut Owned<Staging<'r>, Engine>,
}

impl Drop for Lent<'_, '_> {
    fn drop(&mut self) {
        *self.home = self.staging.hand_over(&Caller::token());
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
            let behind = self.staging.add(rest);
            self.log.at += (rest.len() - behind.len()) as u32;
            rest = behind;
            self.write_out_if_full()?;
        }
        Ok(())
    }

    /// Has a source put at most so many bytes behind all that were put, where they will be written from, and
    /// adds them to a check. Returns how many.
    pub(super) fn fill(
        &mut self,
        most: u32,
        check: &mut Crc,
        source: &mut Source<'_>,
    ) -> Result<Option<u32>, LogError<S::Error>> {
        let filled = self.staging.lend().staging.fill(most as usize, source);
        let Some(filled) = filled else { return Ok(None) };
        let bytes = self.staging.take_in(filled);
        *check = check.and(bytes);
        let filled = bytes.len() as u32;
        self.log.at += filled;
        self.write_out_if_full()?;
        Ok(Some(filled))
    }

    fn write_out_if_full(&mut self) -> Result<(), LogError<S::Error>> {
        if !self.staging.is_full() {
            return Ok(());
        }
        self.give_back();
        let flushed = self.log.write_out(self.storage);
        self.staging = self.log.staging.hand_over(&Table::token());
        flushed
    }

    /// Fills up to the alignment.
    pub(super) fn pad(&mut self) -> Result<(), LogError<S::Error>> {
        let layout = &self.log.layout;
        let filler = [layout.geometry().erased.filler(); 16];
        let gap = if planted::is(Fault::LeavesAGap) { layout.align() } else { 0 };
        let mut missing = (layout.padded(self.log.at) - self.log.at + gap) as usize;
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
