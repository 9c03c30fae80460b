//! Sizes and manners of a medium, checked once.

use core::fmt;

/// What a medium's bytes are after an erase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Erased {
    /// All ones: nearly every NOR flash.
    Ones,
    /// All zeros: STM32 L0 and L1.
    Zeros,
    /// Anything: encrypted flash, and files (which are not filled on erase).
    Unknown,
}

impl Erased {
    /// The byte with which the engine pads what it writes.
    pub const fn filler(self) -> u8 {
        match self {
            Self::Ones | Self::Unknown => 0xFF,
            Self::Zeros => 0x00,
        }
    }
}

/// Sizes and manners of a medium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Geometry {
    /// Size of the whole medium, in bytes: a multiple of `erase_bytes`.
    pub capacity_bytes: u64,
    /// What one erase erases, in bytes: 512 to 16 MiB, a multiple of `write_bytes`.
    /// (An adapter shows sectors that differ in size as equal groups of them.)
    pub erase_bytes: u32,
    /// What can be written at once, in bytes: a power of two, 1 to 256.
    pub write_bytes: u32,
    /// What bytes are after an erase.
    pub erased: Erased,
    /// Whether a write is durable before the next one begins (flash), or writes since the last sync
    /// may survive in any subset (files).
    pub keeps_write_order: bool,
}

impl Geometry {
    /// Number of erase sectors.
    pub const fn sectors(&self) -> u64 {
        match self.capacity_bytes.checked_div(self.erase_bytes as u64) {
            Some(sectors) => sectors,
            None => 0,
        }
    }

    /// Checks every size against its bounds.
    ///
    /// # Errors
    /// Names the first size that is out of bounds.
    pub const fn check(&self) -> Result<(), GeometryError> {
        let (erase, write) = (self.erase_bytes, self.write_bytes);
        if !write.is_power_of_two() || write > 256 {
            return Err(GeometryError::WriteSize { given: write });
        }
        if erase < 512 || erase > 16 << 20 || erase % write != 0 {
            return Err(GeometryError::EraseSize { given: erase });
        }
        if self.capacity_bytes == 0 || !self.capacity_bytes.is_multiple_of(erase as u64) {
            return Err(GeometryError::Capacity { given: self.capacity_bytes, multiple_of: erase });
        }
        Ok(())
    }
}

/// A size of a medium that the store cannot work with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GeometryError {
    /// The write size is not a power of two from 1 to 256.
    WriteSize {
        /// The write size given, in bytes.
        given: u32,
    },
    /// The erase size is not a multiple of the write size from 512 bytes to 16 MiB.
    EraseSize {
        /// The erase size given, in bytes.
        given: u32,
    },
    /// The capacity is zero or not a multiple of the erase size.
    Capacity {
        /// The capacity given, in bytes.
        given: u64,
        /// The erase size, in bytes.
        multiple_of: u32,
    },
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteSize { given } => {
                write!(
                    f,
                    "the write size is {given} bytes; it must be a power of two from 1 to 256"
                )
            }
            Self::EraseSize { given } => write!(
                f,
                "the erase size is {given} bytes; it must be a multiple of the write size, \
                 from 512 to 16777216"
            ),
            Self::Capacity { given, multiple_of } => write!(
                f,
                "the capacity is {given} bytes; it must be a multiple of the erase size, \
                 {multiple_of}, and not zero"
            ),
        }
    }
}

impl core::error::Error for GeometryError {}
