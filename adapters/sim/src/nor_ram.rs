//! A plain `embedded-storage` NOR flash driver over RAM, for tests of what sits on such drivers.

use core::fmt;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// NOR flash in RAM behind the `embedded-storage` traits, with the strictness of flash that has ECC: accesses
/// are aligned, and no word is written twice between two erases.
#[derive(Clone, Debug)]
pub struct NorRam<const READ: usize, const WRITE: usize, const ERASE: usize> {
    bytes: Vec<u8>,
    /// For each word, whether it was written since it was erased.
    written: Vec<bool>,
    erased: u8,
}

/// What a [`NorRam`] refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NorRamError {
    /// The access reaches beyond the capacity.
    OutOfBounds,
    /// The access is not aligned to the size for its kind.
    NotAligned,
    /// The word was written since it was erased.
    WrittenTwice,
}

impl fmt::Display for NorRamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfBounds => "the access reaches beyond the capacity",
            Self::NotAligned => "the access is not aligned",
            Self::WrittenTwice => "the word was written since it was erased",
        })
    }
}

impl core::error::Error for NorRamError {}

impl NorFlashError for NorRamError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::WrittenTwice => NorFlashErrorKind::Other,
        }
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> NorRam<READ, WRITE, ERASE> {
    /// A blank flash of this many sectors; `erased` is what its bytes are after an erase.
    pub fn new(sectors: usize, erased: u8) -> Self {
        let capacity = sectors * ERASE;
        Self { bytes: vec![erased; capacity], written: vec![false; capacity / WRITE], erased }
    }

    /// All bytes of the flash.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes from `from` to `end`, if both are aligned and in bounds.
    fn span(&mut self, from: u32, end: u64, unit: usize) -> Result<&mut [u8], NorRamError> {
        if !u64::from(from).is_multiple_of(unit as u64) || !end.is_multiple_of(unit as u64) {
            return Err(NorRamError::NotAligned);
        }
        let end = usize::try_from(end).map_err(|_| NorRamError::OutOfBounds)?;
        self.bytes.get_mut(from as usize..end).ok_or(NorRamError::OutOfBounds)
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ErrorType
    for NorRam<READ, WRITE, ERASE>
{
    type Error = NorRamError;
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ReadNorFlash
    for NorRam<READ, WRITE, ERASE>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorRamError> {
        let end = u64::from(offset) + bytes.len() as u64;
        bytes.copy_from_slice(self.span(offset, end, READ)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> NorFlash
    for NorRam<READ, WRITE, ERASE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorRamError> {
        let erased = self.erased;
        self.span(from, u64::from(to), ERASE)?.fill(erased);
        if let Some(words) = self.written.get_mut(from as usize / WRITE..to as usize / WRITE) {
            words.fill(false);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorRamError> {
        let end = u64::from(offset) + bytes.len() as u64;
        self.span(offset, end, WRITE)?;
        let first = offset as usize / WRITE;
        let words = self.written.get_mut(first..first + bytes.len() / WRITE);
        let words = words.ok_or(NorRamError::OutOfBounds)?;
        if words.contains(&true) {
            return Err(NorRamError::WrittenTwice);
        }
        words.fill(true);
        self.span(offset, end, WRITE)?.copy_from_slice(bytes);
        Ok(())
    }
}
