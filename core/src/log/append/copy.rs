//! Copying records: what lives moves on with its body and its damage, or mended where one bit explains it.
//!
//! The body is checked first, so that a bit that can be mended is mended in the one copy that there will be.
//! (A damaged copy under a valid header, and then a mended one, would leave the damaged one as the newest of
//! its key, should power go in between.) A short one is then written from where it was checked; a longer one
//! is read again, and the bytes that are checked are those that are written. What was written is read back
//! before anybody relies on it.

use super::super::LogError;
use super::super::read::{BodyFlip, BodyState, LOOK_BYTES, LogBytes, ReadLog};
use super::super::writer::RecordWriter;
use super::{Appended, Log};
use crate::format::{CHECK_BYTES, CHUNK_BYTES, Crc, Header, Place};
use crate::planted::{self, Fault};
use crate::storage::Storage;

/// A record that was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copied {
    /// Where it lies now.
    pub appended: Appended,
    /// Whether the checks of its body held as it was read.
    pub sound: bool,
}

/// What a copied record is where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyAs {
    /// A record on its own. A body that is damaged beyond one bit stays damaged.
    Single,
    /// A record of a batch. A body that is damaged beyond one bit stays damaged.
    InBatch,
    /// A record of a batch that will be ended only if the body was sound. Its checks fit whatever
    /// was read, since it means nothing otherwise.
    Tentative,
}

impl Log<'_> {
    /// Appends a record as it lies elsewhere, body and all, with its flipped bit mended if there is one. A
    /// body that is damaged beyond that stays so, under its header: the key answers that it is damaged, not
    /// with its past. It is written once. What was written is read back and checked.
    ///
    /// The bytes that are checked are those that are written: a word that reads differently each time never
    /// gets a check that fits it.
    ///
    /// # Errors
    /// As [`append`](Self::append); or what was written does not read back.
    pub fn copy<S: Storage>(
        &mut self,
        storage: &mut S,
        from: Place,
        header: &Header,
        how: CopyAs,
    ) -> Result<Copied, LogError<S::Error>> {
        let in_batch = matches!(how, CopyAs::InBatch | CopyAs::Tentative);
        let mut piece = [0; LOOK_BYTES];
        let (appended, sound) = match self.short_body(storage, from, header, &mut piece)? {
            Some(body) => (self.append(storage, &header.record, in_batch, &[body])?, true),
            None => self.copy_in_pieces(storage, from, header, how, &mut piece)?,
        };
        self.flush(storage)?;
        if planted::is(Fault::MovedNotReadBack) {
            return Ok(Copied { appended, sound });
        }
        let place = self.layout.place(appended.location);
        let written = self.on(storage).header(place)?;
        let Some(written) = written.filter(|written| written.record == header.record) else {
            return Err(self.corrupt(place));
        };
        let expected = sound || how == CopyAs::Tentative || planted::is(Fault::DamageMovedAsSound);
        if self.on(storage).body_is_valid(place, &written)? != expected {
            return Err(self.corrupt(place));
        }
        Ok(Copied { appended, sound })
    }

    /// Reads the body of a record and its check at once, if they fit into `piece`. The body; `None` if it is
    /// longer, or not sound.
    fn short_body<'p, S: Storage>(
        &mut self,
        storage: &mut S,
        from: Place,
        header: &Header,
        piece: &'p mut [u8; LOOK_BYTES],
    ) -> Result<Option<&'p [u8]>, LogError<S::Error>> {
        let body_bytes = header.record.body_bytes(self.layout.index_form()) as usize;
        let both = piece.get_mut(..body_bytes.saturating_add(CHECK_BYTES as usize));
        let Some(both) = both.filter(|_| body_bytes > 0) else { return Ok(None) };
        let at = Place { slot: from.slot, offset: from.offset + header.bytes };
        self.read(storage, at.slot, at.offset, both)?;
        let (body, check) = both.split_at_checked(body_bytes).unwrap_or_default();
        let is_sound = self.seed(at).and(body).get().to_le_bytes() == check;
        Ok(Some(body).filter(|_| is_sound))
    }

    /// Appends a record as it lies elsewhere, a piece of its body at a time. Whether that was sound.
    fn copy_in_pieces<S: Storage>(
        &mut self,
        storage: &mut S,
        from: Place,
        header: &Header,
        how: CopyAs,
        piece: &mut [u8; LOOK_BYTES],
    ) -> Result<(Appended, bool), LogError<S::Error>> {
        let known = match how {
            CopyAs::Single | CopyAs::InBatch => flip_in(self.on(storage).body_state(from, header)?),
            CopyAs::Tentative => None,
        };
        let record = &header.record;
        let in_batch = matches!(how, CopyAs::InBatch | CopyAs::Tentative);
        let mut writer = self.begin(storage, record, in_batch)?;
        // Within the segment, which is 32 bits long: the header was taken for valid.
        let body_bytes = record.body_bytes(writer.log().layout.index_form()) as u32;
        let body = from.offset + header.bytes;
        let mut sound = true;
        for (chunk, start) in (0..body_bytes).step_by(CHUNK_BYTES as usize).enumerate() {
            let len = (body_bytes - start).min(CHUNK_BYTES);
            let at = Place { slot: from.slot, offset: body + start };
            let crc = copy_chunk(&mut writer, at, (start, len), known, piece)?;
            let check_at = body + body_bytes + chunk as u32 * CHECK_BYTES;
            let mut check = [0; CHECK_BYTES as usize];
            writer.read(from.slot, check_at, &mut check)?;
            let check_is_hit =
                known.is_some_and(|flip| flip.at.is_none() && flip.chunk == chunk as u32);
            let fits = check_is_hit || u32::from_le_bytes(check) == crc.get();
            let stays = how == CopyAs::Tentative || planted::is(Fault::DamageMovedAsSound);
            writer.spoil(!fits && !stays);
            sound &= fits;
        }
        Ok((writer.end()?, sound))
    }
}

/// Copies `len` bytes of a body from byte `start` of it on, at most a chunk, and returns the check over them
/// where they were.
fn copy_chunk<S: Storage>(
    writer: &mut RecordWriter<'_, '_, S>,
    from: Place,
    (start, len): (u32, u32),
    flip: Option<BodyFlip>,
    piece: &mut [u8; LOOK_BYTES],
) -> Result<Crc, LogError<S::Error>> {
    let mut crc = writer.log().seed(from);
    let mut done = 0;
    while done < len {
        let take = (len - done).min(LOOK_BYTES as u32);
        let piece = piece.get_mut(..take as usize).unwrap_or_default();
        writer.read(from.slot, from.offset + done, piece)?;
        flip.iter().for_each(|flip| flip.mend(piece, start + done));
        crc = crc.and(piece);
        writer.body(piece)?;
        done += take;
    }
    Ok(crc)
}

/// The bit that can be mended.
fn flip_in(state: BodyState) -> Option<BodyFlip> {
    match state {
        BodyState::OneBit(flip) => Some(flip),
        BodyState::Sound | BodyState::Damaged => None,
    }
}
