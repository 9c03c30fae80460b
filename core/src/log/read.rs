//! Reading records, written once for everybody who reads: the writing side through its storage,
//! readers through mapped bytes or scratch.

use super::{Log, LogError};
use crate::format::{CHECK_BYTES, CHUNK_BYTES, HEADER_BYTES_MAX, Header, Place, Tag};
use crate::storage::Storage;
use crate::types::Location;

/// How much of a body is read at once where it is only looked at, in bytes.
pub(super) const LOOK_BYTES: usize = 256;

/// A log and a way to read its bytes.
pub trait ReadLog {
    /// What the storage says when it refuses.
    type Error;

    /// The log.
    fn log(&self) -> &Log<'_>;

    /// Reads `into.len()` bytes at `offset` in `slot`.
    ///
    /// # Errors
    /// The storage refused.
    fn read(
        &mut self,
        slot: u32,
        offset: u32,
        into: &mut [u8],
    ) -> Result<(), LogError<Self::Error>>;

    /// Reads the header of the record at a place; `None` if no valid one lies there.
    ///
    /// # Errors
    /// The storage refused.
    fn header(&mut self, place: Place) -> Result<Option<Header>, LogError<Self::Error>> {
        let mut bytes = [0; HEADER_BYTES_MAX];
        let left = self.log().layout().segment_bytes().saturating_sub(place.offset) as usize;
        let Some(bytes) = bytes.get_mut(..left.min(HEADER_BYTES_MAX)) else { return Ok(None) };
        self.read(place.slot, place.offset, bytes)?;
        let header = Header::parse(bytes, self.log().seed(place));
        Ok(header.filter(|header| self.log().bytes_of(header) <= left as u64))
    }

    /// The next valid header in the segment from offset `from` on, wherever records may start. O(the rest of the
    /// segment), in small reads.
    ///
    /// # Errors
    /// The storage refused.
    fn next_header(
        &mut self,
        slot: u32,
        from: u32,
    ) -> Result<Option<(u32, Header)>, LogError<Self::Error>> {
        let (end, align) = (self.log().layout().segment_bytes(), self.log().layout().align());
        let mut at = from;
        while at < end {
            let mut window = [0; LOOK_BYTES];
            let take = (end - at).min(LOOK_BYTES as u32);
            let window = window.get_mut(..take as usize).unwrap_or_default();
            self.read(slot, at, window)?;
            for (place, tag) in window.iter().enumerate().step_by(align as usize) {
                let offset = at + place as u32;
                if Tag::new(*tag).is_none() {
                    continue;
                }
                if let Some(header) = self.header(Place { slot, offset })? {
                    return Ok(Some((offset, header)));
                }
            }
            at += take.next_multiple_of(align);
        }
        Ok(None)
    }

    /// Reads the header of a record that this store relies on.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged.
    fn known_header(&mut self, location: Location) -> Result<Header, LogError<Self::Error>> {
        let place = self.log().layout().place(location);
        self.header(place)?.ok_or_else(|| self.log().corrupt(place))
    }

    /// Whether every check of the record's body holds. O(its length), in small reads.
    ///
    /// # Errors
    /// The storage refused.
    fn body_is_valid(
        &mut self,
        place: Place,
        header: &Header,
    ) -> Result<bool, LogError<Self::Error>> {
        // Below the segment size, which is 32 bits: the header was taken for valid.
        let body_bytes = header.record.body_bytes(self.log().layout().index_form()) as u32;
        let body = place.offset + header.bytes;
        let end = body + body_bytes;
        let mut checks_at = end;
        let mut chunk_at = body;
        while chunk_at < end {
            let chunk_end = (chunk_at + CHUNK_BYTES).min(end);
            let mut crc = self.log().seed(Place { slot: place.slot, offset: chunk_at });
            let mut at = chunk_at;
            while at < chunk_end {
                let mut piece = [0; LOOK_BYTES];
                let take = (chunk_end - at).min(LOOK_BYTES as u32);
                let Some(piece) = piece.get_mut(..take as usize) else { break };
                self.read(place.slot, at, piece)?;
                crc = crc.and(piece);
                at += take;
            }
            let mut check = [0; CHECK_BYTES as usize];
            self.read(place.slot, checks_at, &mut check)?;
            if u32::from_le_bytes(check) != crc.get() {
                return Ok(false);
            }
            checks_at += CHECK_BYTES;
            chunk_at = chunk_end;
        }
        Ok(true)
    }
}

/// A log with its storage: the writing side's way to read.
pub struct OnStorage<'a, 'r, S> {
    pub(super) log: &'a mut Log<'r>,
    pub(super) storage: &'a mut S,
}

impl<S: Storage> ReadLog for OnStorage<'_, '_, S> {
    type Error = S::Error;

    fn log(&self) -> &Log<'_> {
        self.log
    }

    fn read(&mut self, slot: u32, offset: u32, into: &mut [u8]) -> Result<(), LogError<S::Error>> {
        self.log.read(self.storage, slot, offset, into)
    }
}
