//! A record while it is written: header, body in pieces, checks, padding, and its entry in the index.

use super::append::Appended;
use super::staging::{Filling, Source};
use super::{Log, LogBytes, LogError};
use crate::format::{CHUNK_BYTES, Crc, Header, Record, SPOILED};
use crate::planted::{self, Fault};
use crate::storage::Storage;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

/// A record that is begun and not ended.
///
/// It has the log and its write buffer until [`end`](Self::end), so nobody flushes or looks at half a record.
/// Records that are on media can be read meanwhile: it is a [`LogBytes`]. One that is dropped was not
/// written; what is known of the end of the log is then void, and the engine has to recover.
#[must_use = "the record is not there before it is ended"]
pub struct RecordWriter<'a, 'r, S> {
    filling: Filling<'a, 'r, S>,
    record: Record,
    in_batch: bool,
    start: u32,
    chunk: Crc,
    chunk_left: u32,
    checks: usize,
    /// Zero, or `SPOILED` where the body is known to be damaged: its checks must fail wherever it goes.
    spoil: u32,
}

impl<'a, 'r, S: Storage> RecordWriter<'a, 'r, S> {
    /// Writes the header. There is room in the segment.
    pub(super) fn start(
        log: &'a mut Log<'r>,
        storage: &'a mut S,
        record: &Record,
        in_batch: bool,
    ) -> Result<Self, LogError<S::Error>> {
        let start = log.at;
        log.mark_next |= planted::is(Fault::MarksUnsynced);
        let header = record.encode(in_batch, log.mark_next, log.seed_at(start));
        let mut filling = Filling::start(log, storage);
        filling.put(header.as_slice())?;
        let chunk = filling.log.seed_at(filling.log.at);
        Ok(Self {
            filling,
            record: *record,
            in_batch,
            start,
            chunk,
            chunk_left: CHUNK_BYTES,
            checks: 0,
            spoil: 0,
        })
    }

    /// The next piece of the body.
    ///
    /// # Errors
    /// The storage refused.
    pub fn body(&mut self, bytes: &[u8]) -> Result<(), LogError<S::Error>> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.chunk_left == 0 {
                self.end_chunk();
            }
            let take = rest.len().min(self.chunk_left as usize);
            let (piece, behind) = rest.split_at_checked(take).unwrap_or((rest, &[]));
            self.chunk = self.chunk.and(piece);
            self.chunk_left -= take as u32;
            self.filling.put(piece)?;
            rest = behind;
        }
        Ok(())
    }

    /// The next piece of the body, of at most so many bytes, from a source that puts it into the write buffer
    /// itself. Returns how many bytes it put there.
    ///
    /// # Errors
    /// The storage refused.
    pub fn fill(
        &mut self,
        most: u32,
        source: &mut Source<'_>,
    ) -> Result<Option<u32>, LogError<S::Error>> {
        if self.chunk_left == 0 {
            self.end_chunk();
        }
        let filled = self.filling.fill(most.min(self.chunk_left), &mut self.chunk, source)?;
        self.chunk_left -= filled.unwrap_or(0);
        Ok(filled)
    }

    /// Whether the check over the chunk that was written last must fail, wherever it is moved to.
    pub(super) const fn spoil(&mut self, spoil: bool) {
        self.spoil = if spoil { SPOILED } else { 0 };
    }

    fn end_chunk(&mut self) {
        let log = &mut *self.filling.log;
        if let Some(place) = log.checks.get_mut(self.checks) {
            *place = U32::new(self.chunk.get() ^ self.spoil);
        }
        self.checks += 1;
        self.chunk = log.seed_at(log.at);
        self.chunk_left = CHUNK_BYTES;
    }

    /// Ends the record: its checks, its padding, its entry in the index.
    ///
    /// # Errors
    /// The storage refused.
    pub fn end(mut self) -> Result<Appended, LogError<S::Error>> {
        if self.record.body_bytes(self.filling.log.layout.index_form()) > 0 {
            self.end_chunk();
        }
        for place in 0..self.checks {
            let check = self.filling.log.checks.get(place).copied().unwrap_or_default();
            self.filling.put(check.as_bytes())?;
        }
        self.filling.pad()?;
        let log = &mut *self.filling.log;
        let header = Header::new(self.record, self.record.tag(self.in_batch, log.mark_next));
        log.mark_next = false;
        if !matches!(self.record, Record::Index(_)) {
            log.page.push(&header, self.start);
        }
        let slot = log.ring.head().unwrap_or_default();
        let location = log.layout.location(slot, self.start);
        let bytes = log.at - self.start;
        self.filling.finish();
        Ok(Appended { location, bytes })
    }
}

impl<S: Storage> LogBytes for RecordWriter<'_, '_, S> {
    type Error = S::Error;

    fn log(&self) -> &Log<'_> {
        self.filling.log
    }

    fn erased(&mut self) -> &mut dyn LogBytes<Error = S::Error> {
        self
    }

    fn read(&mut self, slot: u32, offset: u32, into: &mut [u8]) -> Result<(), LogError<S::Error>> {
        self.filling.log.read(self.filling.storage, slot, offset, into)
    }
}
