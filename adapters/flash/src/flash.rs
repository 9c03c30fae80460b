//! The storage in a partition, read through the driver.
//!
//! Invariants: the partition lies inside the flash, and what is erased at once starts and ends where sectors
//! do: at multiples of the driver's erase size, or where a table says so; no address outside of the partition
//! ever reaches the driver.

use crate::{FlashError, SectorTable, SetupError};
use embedded_storage::nor_flash::{ErrorType, NorFlash};
use kausaldb::storage::{Erased, Geometry, GeometryError, Storage};

/// The largest read size of a driver, in bytes; a driver with a larger one does not compile.
pub const MAX_READ_BYTES: usize = 32;

/// The smallest sector that the engine works with, in bytes.
const MIN_SECTOR_BYTES: usize = 512;

/// Where in the flash the store lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Partition {
    /// Where it starts: a multiple of the driver's erase size, or where a sector starts of a [`SectorTable`],
    /// in bytes.
    pub offset_bytes: u32,
    /// Its size: a multiple of the driver's erase size (and of 512 bytes, where that is smaller), or of the
    /// table's segments, in bytes.
    pub len_bytes: u32,
}

/// A storage in a partition of NOR flash, over its `embedded-storage` driver or `&mut` to it.
///
/// A read whose ends are not aligned to the driver's read size takes up to three of the driver's reads.
///
/// A driver that reads more than [`MAX_READ_BYTES`] at once is refused by the compiler:
///
/// ```compile_fail,E0080
/// # use kausaldb::storage::Erased;
/// # use kausaldb_flash::{FlashStorage, Partition};
/// # use kausaldb_sim::NorRam;
/// let driver = NorRam::<64, 64, 4096>::new(8, 0xFF);
/// let partition = Partition { offset_bytes: 0, len_bytes: 8 * 4096 };
/// let storage = FlashStorage::new(driver, partition, Erased::Ones);
/// ```
#[derive(Debug)]
pub struct FlashStorage<F: ErrorType> {
    driver: F,
    partition: Partition,
    geometry: Geometry,
    /// What is erased one after another; without runs, the driver's erase size holds everywhere.
    sectors: SectorTable,
    lost: fn(&F::Error) -> bool,
}

impl<F: NorFlash> FlashStorage<F> {
    /// What the engine erases at once: the driver's erase size, or as many of them as make up 512 bytes.
    const SECTOR_BYTES: usize = {
        assert!(F::READ_SIZE > 0 && F::READ_SIZE <= MAX_READ_BYTES, "READ_SIZE: 1 to 32 bytes");
        assert!(F::ERASE_SIZE > 0 && F::ERASE_SIZE <= 16 << 20, "ERASE_SIZE: 1 byte to 16 MiB");
        assert!(F::ERASE_SIZE.is_multiple_of(F::READ_SIZE), "ERASE_SIZE: a multiple of READ_SIZE");
        assert!(F::WRITE_SIZE <= 256, "WRITE_SIZE: at most 256 bytes");
        F::ERASE_SIZE * MIN_SECTOR_BYTES.div_ceil(F::ERASE_SIZE)
    };

    /// A storage in this partition, whose bytes are `erased` after an erase. Touches no flash.
    ///
    /// # Errors
    /// The partition does not lie in the flash as it should, or a size is out of its bounds. The driver is
    /// dropped then; whoever still needs it passes `&mut` to it.
    pub fn new(driver: F, partition: Partition, erased: Erased) -> Result<Self, SetupError> {
        let sectors = SectorTable { runs: &[], segment_bytes: Self::SECTOR_BYTES as u32 };
        Self::of_sectors(driver, partition, erased, sectors, F::ERASE_SIZE)
    }

    /// The same on flash whose sectors differ in size, of which the driver's erase size cannot tell: a table
    /// does. What the engine erases at once is a segment of the table's size, sector by sector.
    ///
    /// # Errors
    /// Those of [`new`](Self::new); or a segment starts or ends inside a sector. O(segments x runs).
    pub fn with_sectors(
        driver: F,
        partition: Partition,
        erased: Erased,
        sectors: SectorTable,
    ) -> Result<Self, SetupError> {
        let word = F::READ_SIZE.max(F::WRITE_SIZE);
        let storage = Self::of_sectors(driver, partition, erased, sectors, word)?;
        if !(sectors.segment_bytes as usize).is_multiple_of(F::READ_SIZE) {
            return Err(GeometryError::EraseSize { given: sectors.segment_bytes }.into());
        }
        sectors.check(partition)?;
        Ok(storage)
    }

    fn of_sectors(
        driver: F,
        partition: Partition,
        erased: Erased,
        sectors: SectorTable,
        multiple_of: usize,
    ) -> Result<Self, SetupError> {
        // The compiler checks the driver's sizes here.
        let _ = Self::SECTOR_BYTES;
        let Partition { offset_bytes, len_bytes } = partition;
        let geometry = Geometry {
            capacity_bytes: u64::from(len_bytes),
            erase_bytes: sectors.segment_bytes,
            write_bytes: F::WRITE_SIZE as u32,
            erased,
            keeps_write_order: true,
        };
        geometry.check()?;
        if !(offset_bytes as usize).is_multiple_of(multiple_of) {
            return Err(SetupError::Offset { offset_bytes, multiple_of });
        }
        let end_bytes = u64::from(offset_bytes) + u64::from(len_bytes);
        let flash_bytes = driver.capacity();
        // Drivers take the end of what is to be erased as a `u32`.
        if end_bytes > flash_bytes as u64 || end_bytes > u64::from(u32::MAX) {
            return Err(SetupError::Partition { end_bytes, flash_bytes });
        }
        Ok(Self { driver, partition, geometry, sectors, lost: |_| false })
    }

    /// Tells which of the driver's errors of a read say that bytes are lost, by an uncorrectable ECC error,
    /// and not that the driver or its bus failed: see [`Storage::is_lost`]. By default none does.
    ///
    /// Flash with ECC needs it (that of STM32 G4, H7 and L4, for example): a word that a power cut tore
    /// cannot be read there, and the store goes on behind it only if it knows why. Where the processor raises
    /// an exception instead, the driver has to catch it.
    #[must_use]
    pub fn with_lost(self, lost: fn(&F::Error) -> bool) -> Self {
        Self { lost, ..self }
    }

    /// Where the store lies.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Gives the driver back.
    pub fn close(self) -> F {
        self.driver
    }

    /// The driver's address of these bytes, if they lie in the partition.
    pub(crate) fn address(&self, at: u64, len: usize) -> Result<u32, FlashError<F::Error>> {
        let Partition { offset_bytes, len_bytes } = self.partition;
        let end = at.checked_add(len as u64).filter(|&end| end <= u64::from(len_bytes));
        let start = end.and_then(|_| u32::try_from(at).ok());
        let address = start.and_then(|start| start.checked_add(offset_bytes));
        address.ok_or_else(|| self.refused(at, len))
    }

    fn refused(&self, at: u64, len: usize) -> FlashError<F::Error> {
        FlashError::Access { at, len, partition_bytes: self.partition.len_bytes }
    }

    /// Fills `into` from the driver's word at `word`, without its first `skip` bytes.
    fn read_in_word(
        &mut self,
        word: u32,
        skip: usize,
        into: &mut [u8],
    ) -> Result<(), FlashError<F::Error>> {
        let mut buffer = [0; MAX_READ_BYTES];
        if let Some(buffer) = buffer.get_mut(..F::READ_SIZE) {
            self.driver.read(word, buffer).map_err(FlashError::Driver)?;
        }
        for (to, from) in into.iter_mut().zip(buffer.iter().skip(skip)) {
            *to = *from;
        }
        Ok(())
    }
}

impl<F: NorFlash> Storage for FlashStorage<F> {
    type Error = FlashError<F::Error>;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        let len = into.len();
        let start = self.address(at, len)?;
        // The bytes, cut where the driver's words begin and end. All addresses stay in the partition, since
        // words do not cross its ends; so nothing below overflows, and no cut fails.
        let skip = start as usize % F::READ_SIZE;
        let head_len = if skip == 0 { 0 } else { len.min(F::READ_SIZE - skip) };
        let tail_len = (len - head_len) % F::READ_SIZE;
        let cut = into.split_at_mut_checked(head_len);
        let (head, rest) = cut.ok_or_else(|| self.refused(at, len))?;
        let words_len = rest.len() - tail_len;
        let cut = rest.split_at_mut_checked(words_len);
        let (words, tail) = cut.ok_or_else(|| self.refused(at, len))?;
        let words_start = start + head_len as u32;
        if !head.is_empty() {
            self.read_in_word(start - skip as u32, skip, head)?;
        }
        if !words.is_empty() {
            self.driver.read(words_start, words).map_err(FlashError::Driver)?;
        }
        if !tail.is_empty() {
            self.read_in_word(words_start + words_len as u32, 0, tail)?;
        }
        Ok(())
    }

    fn is_lost(&self, error: &Self::Error) -> bool {
        matches!(error, FlashError::Driver(error) if (self.lost)(error))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Self::Error> {
        let len = bytes.len();
        let address = self.address(at, len)?;
        if !at.is_multiple_of(F::WRITE_SIZE as u64) || !len.is_multiple_of(F::WRITE_SIZE) {
            return Err(self.refused(at, len));
        }
        self.driver.write(address, bytes).map_err(FlashError::Driver)
    }

    fn erase(&mut self, sector: u32) -> Result<(), Self::Error> {
        let len = self.geometry.erase_bytes;
        let from = self.address(u64::from(sector) * u64::from(len), len as usize)?;
        if self.sectors.runs.is_empty() {
            return self.driver.erase(from, from + len).map_err(FlashError::Driver);
        }
        // Drivers differ in whether they take several sectors at once.
        for (start, end) in self.sectors.within(from, from + len) {
            self.driver.erase(start, end).map_err(FlashError::Driver)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
