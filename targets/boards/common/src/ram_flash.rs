//! Flash in RAM, for machines of QEMU that have none: it has the rules, and forgets when it is switched off.

use core::fmt;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// Bytes of RAM that are read, written in words of 4 bytes, and erased in sectors of 4 KiB.
pub struct RamFlash<'b>(pub &'b mut [u8]);

/// What flash does not do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RamFlashError {
    /// The access lies beyond the flash, or is not aligned.
    Access(NorFlashErrorKind),
    /// The bytes were written already.
    NotErased,
}

impl fmt::Display for RamFlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access(kind) => kind.fmt(f),
            Self::NotErased => f.write_str("the bytes were not erased"),
        }
    }
}

impl core::error::Error for RamFlashError {}

impl From<NorFlashErrorKind> for RamFlashError {
    fn from(kind: NorFlashErrorKind) -> Self {
        Self::Access(kind)
    }
}

impl NorFlashError for RamFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Access(kind) => *kind,
            Self::NotErased => NorFlashErrorKind::Other,
        }
    }
}

impl ErrorType for RamFlash<'_> {
    type Error = RamFlashError;
}

impl RamFlash<'_> {
    /// Bytes that were checked to lie in the flash.
    fn span(&mut self, from: u32, len: usize) -> &mut [u8] {
        let start = from as usize;
        self.0.get_mut(start..start + len).unwrap_or_default()
    }
}

impl ReadNorFlash for RamFlash<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(self.span(offset, bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for RamFlash<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        self.span(from, (to - from) as usize).fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        let span = self.span(offset, bytes.len());
        if span.iter().any(|byte| *byte != 0xFF) {
            return Err(RamFlashError::NotErased);
        }
        span.copy_from_slice(bytes);
        Ok(())
    }
}
