//! Two ways to read: bytes that are mapped, and bytes that are read into scratch. Everything above
//! is written once.

use super::error::ReadError;
use crate::format::{BlockHead, CHECK_BYTES, Crc, Place};
use crate::log::{BodyFlip, Log, LogBytes, LogError};
use crate::memory::{Arena, prefetch};
use crate::storage::{Storage, read_around};
use crate::types::{BlockId, BlockRef};
use core::marker::PhantomData;

/// How much is checked at once by a reader whose scratch is smaller, in bytes.
const PIECE_BYTES: usize = 256;

/// Where a reader's bytes come from.
pub trait Media {
    /// What the storage says when it refuses.
    type Error;
    /// Bytes that were read: borrowed from the media for as long as the engine is borrowed, or from
    /// scratch until the next read.
    type Span<'s>: Span
    where
        Self: 's;

    /// Whether a flipped bit can be mended in what is borrowed: in scratch it can, in mapped bytes it cannot.
    const MENDS: bool;

    /// Borrows `len` bytes from `at` on, in which this bit is flipped, if any is.
    ///
    /// # Errors
    /// The storage refused, there are no such bytes, or the scratch is too small.
    fn span(
        &mut self,
        at: u64,
        len: usize,
        flip: Option<BodyFlip>,
    ) -> Result<Self::Span<'_>, ReadError<Self::Error>>;

    /// Reads `len` bytes from `at` on together with the check behind them, from this seed, where there is
    /// scratch for both. Whether they lie there now, and the check holds; else nothing is known.
    ///
    /// # Errors
    /// The storage refused.
    fn hold(&mut self, _at: u64, _len: usize, _seed: Crc) -> Result<bool, LogError<Self::Error>> {
        Ok(false)
    }

    /// The `len` bytes from `at` on that the media [hold](Self::hold).
    ///
    /// # Errors
    /// As [`span`](Self::span).
    fn held(&mut self, at: u64, len: usize) -> Result<Self::Span<'_>, ReadError<Self::Error>> {
        self.span(at, len, None)
    }

    /// Copies `into.len()` bytes from `at` on.
    ///
    /// # Errors
    /// The storage refused, or there are no such bytes.
    fn copy(&mut self, at: u64, into: &mut [u8]) -> Result<(), LogError<Self::Error>>;

    /// As [`copy`](Self::copy), for what is checked afterwards: bytes that the media has lost come as others,
    /// over which no check holds.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    fn copy_around(&mut self, at: u64, into: &mut [u8]) -> Result<(), LogError<Self::Error>> {
        self.copy(at, into)
    }

    /// Borrows `into.len()` bytes from `at` on, which are checked afterwards: from the media, or from `into`,
    /// into which they are copied.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    fn look<'b>(
        &'b mut self,
        at: u64,
        into: &'b mut [u8],
    ) -> Result<&'b [u8], LogError<Self::Error>> {
        self.copy_around(at, into)?;
        Ok(into)
    }

    /// The check over `len` bytes from `at` on, from this seed.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    fn checksum(&mut self, at: u64, len: u32, seed: Crc) -> Result<Crc, LogError<Self::Error>>;

    /// Says that the bytes at `at` will be read soon. Has no other effect.
    fn expect(&self, _at: u64) {}
}

/// Bytes that were read.
pub trait Span {
    /// A block over these bytes.
    type Block;

    /// The bytes.
    fn bytes(&self) -> &[u8];

    /// The block with this id and head whose body these bytes are. `None` if they are too few.
    fn block(self, id: &BlockId, head: &BlockHead) -> Option<Self::Block>;
}

impl<'s> Span for &'s [u8] {
    type Block = BlockRef<'s>;

    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline]
    fn block(self, id: &BlockId, head: &BlockHead) -> Option<BlockRef<'s>> {
        head.block(id, self)
    }
}

/// Mapped bytes. Spans live as long as the engine's borrow, any number of them together.
pub struct Mapped<'e, E> {
    bytes: &'e [u8],
    error: PhantomData<fn() -> E>,
}

impl<'e, E> Mapped<'e, E> {
    pub(super) fn new(bytes: &'e [u8]) -> Self {
        Self { bytes, error: PhantomData }
    }

    #[inline]
    fn get(&self, at: u64, len: usize) -> Option<&'e [u8]> {
        let start = usize::try_from(at).ok()?;
        self.bytes.get(start..start.checked_add(len)?)
    }
}

impl<'e, E> Media for Mapped<'e, E> {
    type Error = E;
    type Span<'s>
        = &'e [u8]
    where
        Self: 's;

    const MENDS: bool = false;

    #[inline]
    fn span(
        &mut self,
        at: u64,
        len: usize,
        flip: Option<BodyFlip>,
    ) -> Result<&'e [u8], ReadError<E>> {
        let bytes = self.get(at, len).filter(|_| flip.is_none());
        bytes.ok_or(ReadError::Corrupt { segment: 0, offset: 0 })
    }

    #[inline]
    fn copy(&mut self, at: u64, into: &mut [u8]) -> Result<(), LogError<E>> {
        let from = self.get(at, into.len()).ok_or(LogError::Corrupt { segment: 0, offset: 0 })?;
        into.copy_from_slice(from);
        Ok(())
    }

    #[inline]
    fn look<'b>(&'b mut self, at: u64, into: &'b mut [u8]) -> Result<&'b [u8], LogError<E>> {
        self.get(at, into.len()).ok_or(LogError::Corrupt { segment: 0, offset: 0 })
    }

    fn checksum(&mut self, at: u64, len: u32, seed: Crc) -> Result<Crc, LogError<E>> {
        let bytes = self.get(at, len as usize);
        Ok(seed.and(bytes.ok_or(LogError::Corrupt { segment: 0, offset: 0 })?))
    }

    #[inline]
    fn expect(&self, at: u64) {
        if let Some(first) = self.get(at, 1).and_then(<[u8]>::first) {
            prefetch(first);
        }
    }
}

/// Bytes that are read into the caller's scratch: one span at a time.
pub struct Through<'e, S> {
    storage: &'e mut S,
    scratch: &'e mut [u8],
}

impl<'e, S> Through<'e, S> {
    pub(super) fn new(storage: &'e mut S, scratch: &'e mut [u8]) -> Self {
        Self { storage, scratch }
    }
}

impl<S: Storage> Media for Through<'_, S> {
    type Error = S::Error;
    type Span<'s>
        = &'s [u8]
    where
        Self: 's;

    const MENDS: bool = true;

    fn span(
        &mut self,
        at: u64,
        len: usize,
        flip: Option<BodyFlip>,
    ) -> Result<&[u8], ReadError<S::Error>> {
        let given = self.scratch.len();
        let full = ReadError::ScratchFull { needed: len, given };
        let into = self.scratch.get_mut(..len).ok_or(full)?;
        self.storage.read(at, into).map_err(ReadError::Storage)?;
        flip.iter().for_each(|flip| flip.mend(into, 0));
        Ok(into)
    }

    fn hold(&mut self, at: u64, len: usize, seed: Crc) -> Result<bool, LogError<S::Error>> {
        let with_check = len.saturating_add(CHECK_BYTES as usize);
        let Some(into) = self.scratch.get_mut(..with_check) else { return Ok(false) };
        read_around(self.storage, at, into).map_err(LogError::Storage)?;
        let Some((body, check)) = into.split_at_checked(len) else { return Ok(false) };
        Ok(seed.and(body).get().to_le_bytes() == *check)
    }

    fn held(&mut self, _at: u64, len: usize) -> Result<&[u8], ReadError<S::Error>> {
        let given = self.scratch.len();
        self.scratch.get(..len).ok_or(ReadError::ScratchFull { needed: len, given })
    }

    fn copy(&mut self, at: u64, into: &mut [u8]) -> Result<(), LogError<S::Error>> {
        self.storage.read(at, into).map_err(LogError::Storage)
    }

    fn copy_around(&mut self, at: u64, into: &mut [u8]) -> Result<(), LogError<S::Error>> {
        read_around(self.storage, at, into).map_err(LogError::Storage)
    }

    // As much at once as the scratch holds, whatever it was given for: it is lent for the time of the check,
    // and given back before the block is read into it.
    fn checksum(&mut self, at: u64, len: u32, seed: Crc) -> Result<Crc, LogError<S::Error>> {
        let storage = &mut *self.storage;
        let mut own = [0; PIECE_BYTES];
        Arena::over(self.scratch).scope(|scratch| {
            let room = scratch.remaining().min(len as usize);
            let lent = scratch.slice_of::<u8>(room).unwrap_or_default();
            let piece = if lent.len() > own.len() { lent } else { &mut own[..] };
            let (mut crc, mut at, mut left) = (seed, at, len as usize);
            while left > 0 {
                let take = left.min(piece.len());
                let piece = piece.get_mut(..take).unwrap_or_default();
                read_around(storage, at, piece).map_err(LogError::Storage)?;
                crc = crc.and(piece);
                at += take as u64;
                left -= take;
            }
            Ok(crc)
        })
    }
}

/// A log and the media that a reader sees it through.
pub(super) struct Reading<'a, 'r, M> {
    pub(super) log: &'a Log<'r>,
    pub(super) media: &'a mut M,
}

impl<M: Media> LogBytes for Reading<'_, '_, M> {
    type Error = M::Error;

    fn log(&self) -> &Log<'_> {
        self.log
    }

    fn erased(&mut self) -> &mut dyn LogBytes<Error = M::Error> {
        self
    }

    fn read(&mut self, slot: u32, offset: u32, into: &mut [u8]) -> Result<(), LogError<M::Error>> {
        self.media.copy_around(self.log.layout().slot_start(slot) + u64::from(offset), into)
    }

    #[inline]
    fn look<'b>(
        &'b mut self,
        slot: u32,
        offset: u32,
        into: &'b mut [u8],
    ) -> Result<&'b [u8], LogError<M::Error>> {
        self.media.look(self.log.layout().slot_start(slot) + u64::from(offset), into)
    }

    fn check_of(&mut self, place: Place, len: u32) -> Result<u32, LogError<M::Error>> {
        let at = self.log.layout().slot_start(place.slot) + u64::from(place.offset);
        self.media.checksum(at, len, self.log.seed(place)).map(Crc::get)
    }
}
