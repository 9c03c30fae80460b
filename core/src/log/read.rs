//! Reading records, written once for everybody who reads: the writing side through its storage,
//! readers through mapped bytes or scratch.

use super::{Log, LogError, table};
use crate::format::{
    CHECK_BYTES, CHUNK_BYTES, Flip, HEADER_BYTES_MAX, Header, Outline, Place, Tag,
};
use crate::storage::Storage;
use crate::types::Location;

/// How much of a body is read at once where it is only looked at, in bytes.
/// (It lies on the stack, of which a board has little.)
pub(super) const LOOK_BYTES: usize = if cfg!(target_os = "none") { 64 } else { 256 };

/// Whether what each find asks for is compiled for each way to read: on hosts a find takes a tenth fewer
/// instructions then; boards have little room for code.
const EACH_ITS_OWN: bool = !cfg!(target_os = "none");

/// A log and a way to read its bytes.
///
/// Who reads lists and pages takes `&mut dyn LogBytes`: so that the code that reads lists, mends headers and
/// looks into index pages is there once, and not once for each way to read.
pub trait LogBytes {
    /// What the storage says when it refuses.
    type Error;

    /// The log.
    fn log(&self) -> &Log<'_>;

    /// The same, so that all ways to read share the code that takes it.
    fn erased(&mut self) -> &mut dyn LogBytes<Error = Self::Error>;

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

    /// Borrows `into.len()` bytes at `offset` in `slot`: from where they lie if that is possible, else from
    /// `into`, into which they are read.
    ///
    /// # Errors
    /// The storage refused.
    fn look<'b>(
        &'b mut self,
        slot: u32,
        offset: u32,
        into: &'b mut [u8],
    ) -> Result<&'b [u8], LogError<Self::Error>> {
        self.read(slot, offset, into)?;
        Ok(into)
    }

    /// In how many bytes a header is looked for at first.
    fn usual_header(&self) -> usize {
        self.log().usual_header()
    }

    /// Notes the length of a header that was read, where that is of use.
    fn saw_header(&mut self, _header: &Header) {}

    /// What is [remembered](Log::remember) of the record at a location, where anybody remembers.
    fn remembered(&self, _location: Location) -> Option<&Outline> {
        None
    }

    /// Remembers it, likewise.
    fn remember(&mut self, _location: Location, _outline: &Outline) {}

    /// The check over `len` bytes at a place. In small reads, unless there is a better way.
    ///
    /// # Errors
    /// The storage refused.
    fn check_of(&mut self, place: Place, len: u32) -> Result<u32, LogError<Self::Error>> {
        let mut crc = self.log().seed(place);
        for done in (0..len).step_by(LOOK_BYTES) {
            let mut piece = [0; LOOK_BYTES];
            let take = (len - done).min(LOOK_BYTES as u32);
            let piece = piece.get_mut(..take as usize).unwrap_or_default();
            crc = crc.and(self.look(place.slot, place.offset + done, piece)?);
        }
        Ok(crc.get())
    }
}

/// Reads the header of the record at a place; `None` if no valid one lies there. Two reads where it is not as
/// short as most are. For loops over many of them: each way to read gets code of its own.
///
/// # Errors
/// The storage refused.
#[inline]
pub fn read_header<L: LogBytes + ?Sized>(
    log: &mut L,
    place: Place,
) -> Result<Option<Header>, LogError<L::Error>> {
    let mut bytes = [0; HEADER_BYTES_MAX];
    let left = log.log().layout().segment_bytes().saturating_sub(place.offset) as usize;
    let seed = log.log().seed(place);
    for len in [log.usual_header(), HEADER_BYTES_MAX] {
        let Some(bytes) = bytes.get_mut(..left.min(len)) else { break };
        let bytes = log.look(place.slot, place.offset, bytes)?;
        // Where there is no tag, more bytes make no header: whoever looks for one at every place passes fast.
        let has_tag = bytes.first().is_some_and(|tag| Tag::new(*tag).is_some());
        if let Some(header) = Header::parse(bytes, seed) {
            log.saw_header(&header);
            return Ok((log.log().bytes_of(&header) <= left as u64).then_some(header));
        }
        if !has_tag {
            break;
        }
    }
    Ok(None)
}

/// Where the body of a record lies, and how long it is, in bytes.
fn body_of(log: &Log<'_>, place: Place, header: &Header) -> (Place, u32) {
    // Below the segment size, which is 32 bits: the header was taken for valid.
    let body_bytes = header.record.body_bytes(log.layout().index_form()) as u32;
    (Place { slot: place.slot, offset: place.offset + header.bytes }, body_bytes)
}

/// As [`ReadLog::mended_header`].
#[inline]
fn mended_header<L: LogBytes + ?Sized>(
    log: &mut L,
    place: Place,
) -> Result<Option<Header>, LogError<L::Error>> {
    // Handed on as it is: taken apart and put together again, it would be copied.
    match read_header(log, place) {
        Ok(None) => log.erased().mend_header(place),
        found => found,
    }
}

/// As [`ReadLog::body_state_at`].
#[inline]
fn body_state_at<L: LogBytes + ?Sized>(
    log: &mut L,
    Place { slot, offset: body }: Place,
    body_bytes: u32,
) -> Result<BodyState, LogError<L::Error>> {
    let mut state = BodyState::Sound;
    for (chunk, start) in (0..body_bytes).step_by(CHUNK_BYTES as usize).enumerate() {
        let len = (body_bytes - start).min(CHUNK_BYTES);
        let crc = log.check_of(Place { slot, offset: body + start }, len)?;
        let mut check = [0; CHECK_BYTES as usize];
        let check_at = body + body_bytes + chunk as u32 * CHECK_BYTES;
        log.read(slot, check_at, &mut check)?;
        let syndrome = u32::from_le_bytes(check) ^ crc;
        if syndrome == 0 {
            continue;
        }
        state = match (state, Flip::locate(syndrome, len)) {
            (BodyState::Sound, Some(Flip::InCheck)) => {
                BodyState::OneBit(BodyFlip { chunk: chunk as u32, at: None })
            }
            (BodyState::Sound, Some(Flip::At { byte, bit })) => {
                let at = Some((start + byte, bit));
                BodyState::OneBit(BodyFlip { chunk: chunk as u32, at })
            }
            _ => return Ok(BodyState::Damaged),
        };
    }
    Ok(state)
}

impl<E> dyn LogBytes<Error = E> + '_ {
    /// Reads the header of the record at a place; `None` if no valid one lies there.
    ///
    /// # Errors
    /// The storage refused.
    pub fn header(&mut self, place: Place) -> Result<Option<Header>, LogError<E>> {
        read_header(self, place)
    }

    /// The next valid header in the segment from offset `from` on, wherever records may start.
    /// O(the rest of the segment), in small reads.
    ///
    /// # Errors
    /// The storage refused.
    pub fn next_header(
        &mut self,
        slot: u32,
        from: u32,
    ) -> Result<Option<(u32, Header)>, LogError<E>> {
        let layout = self.log().layout();
        let (end, align) = (layout.segment_bytes(), layout.align().max(1));
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
                let place = Place { slot, offset };
                let seed = self.log().seed(place);
                // Most of what looks like a header is none: it is read only where it is one, or is cut off.
                let rest = window.get((offset - at) as usize..).unwrap_or_default();
                if rest.len() >= HEADER_BYTES_MAX && Header::parse(rest, seed).is_none() {
                    continue;
                }
                if let Some(header) = self.header(place)? {
                    return Ok(Some((offset, header)));
                }
            }
            at += self.log().layout().padded(take);
        }
        Ok(None)
    }

    /// Reads the header of the record at a place where one is known to lie, and mends one flipped bit.
    ///
    /// # Errors
    /// The storage refused.
    pub fn mended_header(&mut self, place: Place) -> Result<Option<Header>, LogError<E>> {
        mended_header(self, place)
    }

    /// As `mended_header`, of a header that is not valid as it lies.
    ///
    /// # Errors
    /// The storage refused.
    #[cold]
    pub fn mend_header(&mut self, place: Place) -> Result<Option<Header>, LogError<E>> {
        let mut bytes = [0; HEADER_BYTES_MAX];
        let left = self.log().layout().segment_bytes().saturating_sub(place.offset) as usize;
        let Some(bytes) = bytes.get_mut(..left.min(HEADER_BYTES_MAX)) else { return Ok(None) };
        self.read(place.slot, place.offset, bytes)?;
        let header = Header::mend(bytes, self.log().seed(place));
        Ok(header.filter(|header| self.log().bytes_of(header) <= left as u64))
    }

    /// Reads the header of a record that this store relies on; one flipped bit is mended.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged.
    pub fn known_header(&mut self, location: Location) -> Result<Header, LogError<E>> {
        let place = self.log().layout().place(location);
        self.mended_header(place)?.ok_or_else(|| self.log().corrupt(place))
    }

    /// What the index page says of the record at a place, where its own header cannot be read.
    ///
    /// # Errors
    /// The storage refused.
    #[cold]
    pub fn named(&mut self, place: Place) -> Result<Option<Outline>, LogError<E>> {
        table::named(self, place)
    }

    /// What a record is about that this store relies on: from its header, or from its index page where that
    /// is damaged.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged and no page describes it.
    pub fn known_outline(&mut self, location: Location) -> Result<Outline, LogError<E>> {
        let place = self.log().layout().place(location);
        let outline = match self.mended_header(place)? {
            Some(header) => Some(self.log().outline_of(&header)),
            None => self.named(place)?,
        };
        let outline = outline.ok_or_else(|| self.log().corrupt(place))?;
        self.remember(location, &outline);
        Ok(outline)
    }

    /// The same, from memory where it was the last one asked for.
    ///
    /// # Errors
    /// As [`ReadLog::known_outline`].
    pub fn recent_outline(&mut self, location: Location) -> Result<Outline, LogError<E>> {
        match self.remembered(location) {
            Some(outline) => Ok(*outline),
            None => self.known_outline(location),
        }
    }

    /// Whether every check of the record's body holds. O(its length), in small reads.
    ///
    /// # Errors
    /// The storage refused.
    pub fn body_is_valid(&mut self, place: Place, header: &Header) -> Result<bool, LogError<E>> {
        Ok(self.body_state(place, header)? == BodyState::Sound)
    }

    /// What the checks of the record's body say. O(its length), in small reads.
    ///
    /// # Errors
    /// The storage refused.
    pub fn body_state(&mut self, place: Place, header: &Header) -> Result<BodyState, LogError<E>> {
        let (body, body_bytes) = body_of(self.log(), place, header);
        self.body_state_at(body, body_bytes)
    }

    /// What the checks of the body say that starts at a place and has so many bytes. O(its length), in
    /// small reads.
    ///
    /// # Errors
    /// The storage refused.
    pub fn body_state_at(
        &mut self,
        body: Place,
        body_bytes: u32,
    ) -> Result<BodyState, LogError<E>> {
        body_state_at(self, body, body_bytes)
    }
}

/// The records of a log, for whoever has a way to read its bytes.
pub trait ReadLog: LogBytes + Sized {
    /// Reads the header of the record at a place; `None` if no valid one lies there.
    ///
    /// # Errors
    /// The storage refused.
    fn header(&mut self, place: Place) -> Result<Option<Header>, LogError<Self::Error>> {
        self.erased().header(place)
    }

    /// The next valid header in the segment from offset `from` on, wherever records may start.
    /// O(the rest of the segment), in small reads.
    ///
    /// # Errors
    /// The storage refused.
    fn next_header(
        &mut self,
        slot: u32,
        from: u32,
    ) -> Result<Option<(u32, Header)>, LogError<Self::Error>> {
        self.erased().next_header(slot, from)
    }

    /// Reads the header of the record at a place where one is known to lie, and mends one flipped bit.
    ///
    /// # Errors
    /// The storage refused.
    fn mended_header(&mut self, place: Place) -> Result<Option<Header>, LogError<Self::Error>> {
        if EACH_ITS_OWN { mended_header(self, place) } else { self.erased().mended_header(place) }
    }

    /// As [`mended_header`](Self::mended_header), of a header that is not valid as it lies.
    ///
    /// # Errors
    /// The storage refused.
    fn mend_header(&mut self, place: Place) -> Result<Option<Header>, LogError<Self::Error>> {
        self.erased().mend_header(place)
    }

    /// Reads the header of a record that this store relies on; one flipped bit is mended.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged.
    fn known_header(&mut self, location: Location) -> Result<Header, LogError<Self::Error>> {
        self.erased().known_header(location)
    }

    /// What the index page says of the record at a place, where its own header cannot be read.
    ///
    /// # Errors
    /// The storage refused.
    fn named(&mut self, place: Place) -> Result<Option<Outline>, LogError<Self::Error>> {
        self.erased().named(place)
    }

    /// What a record is about that this store relies on: from its header, or from its index page where that
    /// is damaged.
    ///
    /// # Errors
    /// The storage refused, or the record is damaged and no page describes it.
    fn known_outline(&mut self, location: Location) -> Result<Outline, LogError<Self::Error>> {
        self.erased().known_outline(location)
    }

    /// The same, from memory where it was the last one asked for.
    ///
    /// # Errors
    /// As [`known_outline`](Self::known_outline).
    fn recent_outline(&mut self, location: Location) -> Result<Outline, LogError<Self::Error>> {
        self.erased().recent_outline(location)
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
        self.erased().body_is_valid(place, header)
    }

    /// What the checks of the record's body say. O(its length), in small reads.
    ///
    /// # Errors
    /// The storage refused.
    fn body_state(
        &mut self,
        place: Place,
        header: &Header,
    ) -> Result<BodyState, LogError<Self::Error>> {
        if EACH_ITS_OWN {
            let (body, body_bytes) = body_of(self.log(), place, header);
            body_state_at(self, body, body_bytes)
        } else {
            self.erased().body_state(place, header)
        }
    }

    /// What the checks of the body say that starts at a place and has so many bytes. O(its length), in
    /// small reads.
    ///
    /// # Errors
    /// The storage refused.
    fn body_state_at(
        &mut self,
        place: Place,
        body_bytes: u32,
    ) -> Result<BodyState, LogError<Self::Error>> {
        if EACH_ITS_OWN {
            body_state_at(self, place, body_bytes)
        } else {
            self.erased().body_state_at(place, body_bytes)
        }
    }
}

impl<L: LogBytes> ReadLog for L {}

/// What the checks of a body say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyState {
    /// All hold.
    Sound,
    /// One bit is flipped.
    OneBit(BodyFlip),
    /// More than that.
    Damaged,
}

/// A flipped bit in a body or in its checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyFlip {
    /// Which check fails, counted from 0.
    pub chunk: u32,
    /// Byte of the body, and bit of the byte; `None` if the check itself is hit.
    pub at: Option<(u32, u8)>,
}

impl BodyFlip {
    /// Flips the bit back in `bytes`, which start at byte `start` of the body, if it lies there.
    pub fn mend(&self, bytes: &mut [u8], start: u32) {
        let Some((byte, bit)) = self.at else { return };
        let place = byte.checked_sub(start).map(|place| place as usize);
        if let Some(byte) = place.and_then(|place| bytes.get_mut(place)) {
            *byte ^= 1 << bit;
        }
    }
}

/// A log with its storage: the writing side's way to read.
pub struct OnStorage<'a, 'r, S> {
    pub(super) log: &'a mut Log<'r>,
    pub(super) storage: &'a mut S,
}

impl<S: Storage> LogBytes for OnStorage<'_, '_, S> {
    type Error = S::Error;

    fn log(&self) -> &Log<'_> {
        self.log
    }

    fn erased(&mut self) -> &mut dyn LogBytes<Error = S::Error> {
        self
    }

    fn read(&mut self, slot: u32, offset: u32, into: &mut [u8]) -> Result<(), LogError<S::Error>> {
        self.log.read(self.storage, slot, offset, into)
    }

    fn usual_header(&self) -> usize {
        self.log.recent_header()
    }

    fn saw_header(&mut self, header: &Header) {
        self.log.saw_header(header.bytes);
    }

    fn remembered(&self, location: Location) -> Option<&Outline> {
        self.log.remembered(location)
    }

    fn remember(&mut self, location: Location, outline: &Outline) {
        self.log.remember(location, *outline);
    }
}
