//! The flash that all stores are measured on: NOR in RAM that keeps NOR's rules and counts what it is asked.
//!
//! An access out of bounds, an erase that is not aligned, and a write to a byte that was written since its
//! sector was erased end the run: no store may be measured on a flash that does not exist.
//!
//! One chip, three faces: the traits that the three stores are written for. All of them come down to
//! [`Chip::read`], [`Chip::write`] and [`Chip::erase`].

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::ops::Sub;

/// What is erased at once, in bytes.
pub(crate) const SECTOR_BYTES: usize = 4096;
/// How many sectors there are.
pub(crate) const SECTORS: usize = 64;
/// The whole chip, in bytes.
pub(crate) const CHIP_BYTES: usize = SECTORS * SECTOR_BYTES;
/// What is programmed at once at most, in bytes.
const PAGE_BYTES: usize = 256;
/// What a byte is after an erase.
const ERASED: u8 = 0xFF;

/// The model of time: what serial NOR chips typically take to erase a sector and to program a page, and a
/// byte on a bus of 20 MHz, one bit wide; a command is four bytes. In nanoseconds.
const ERASE_NS: u64 = 45_000_000;
const PAGE_NS: u64 = 400_000;
const BYTE_NS: u64 = 400;
const COMMAND_BYTES: u64 = 4;

/// What was asked of a chip.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Reads, of any length.
    pub(crate) reads: u64,
    /// Bytes read.
    pub(crate) bytes_read: u64,
    /// Bytes programmed.
    pub(crate) bytes_written: u64,
    /// Sectors erased.
    pub(crate) erases: u64,
    /// How long a chip would have taken, in nanoseconds, by the times above.
    pub(crate) time_ns: u64,
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            bytes_read: self.bytes_read - earlier.bytes_read,
            bytes_written: self.bytes_written - earlier.bytes_written,
            erases: self.erases - earlier.erases,
            time_ns: self.time_ns - earlier.time_ns,
        }
    }
}

/// The chip. It is asked through [`Driver`]s.
pub(crate) struct Chip {
    bytes: RefCell<Vec<u8>>,
    /// For each byte, whether it was written since it was erased.
    written: RefCell<Vec<bool>>,
    /// How often each sector was erased.
    erases: RefCell<Vec<u32>>,
    traffic: Cell<Traffic>,
}

impl Chip {
    /// A chip that was erased in the factory.
    pub(crate) fn blank() -> Self {
        Self {
            bytes: RefCell::new(vec![ERASED; CHIP_BYTES]),
            written: RefCell::new(vec![false; CHIP_BYTES]),
            erases: RefCell::new(vec![0; SECTORS]),
            traffic: Cell::default(),
        }
    }

    /// What was asked of it so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    /// How often each sector was erased.
    pub(crate) fn erases(&self) -> Vec<u32> {
        self.erases.borrow().clone()
    }

    fn count(&self, change: impl FnOnce(&mut Traffic)) {
        let mut traffic = self.traffic.get();
        change(&mut traffic);
        self.traffic.set(traffic);
    }

    fn read(&self, at: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes.borrow()[at..at + into.len()]);
        self.count(|traffic| {
            traffic.reads += 1;
            traffic.bytes_read += into.len() as u64;
            traffic.time_ns += (COMMAND_BYTES + into.len() as u64) * BYTE_NS;
        });
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        let mut written = self.written.borrow_mut();
        assert!(!written[at..end].contains(&true), "{at}: written twice since its erase");
        written[at..end].fill(true);
        self.bytes.borrow_mut()[at..end].copy_from_slice(bytes);
        let pages = end.div_ceil(PAGE_BYTES) - at / PAGE_BYTES;
        self.count(|traffic| {
            traffic.bytes_written += bytes.len() as u64;
            let bus = pages as u64 * COMMAND_BYTES + bytes.len() as u64;
            traffic.time_ns += pages as u64 * PAGE_NS + bus * BYTE_NS;
        });
    }

    fn erase(&self, from: usize, to: usize) {
        assert!(from.is_multiple_of(SECTOR_BYTES) && to.is_multiple_of(SECTOR_BYTES));
        self.bytes.borrow_mut()[from..to].fill(ERASED);
        self.written.borrow_mut()[from..to].fill(false);
        let sectors = from / SECTOR_BYTES..to / SECTOR_BYTES;
        self.erases.borrow_mut()[sectors.clone()].iter_mut().for_each(|count| *count += 1);
        self.count(|traffic| {
            traffic.erases += sectors.len() as u64;
            traffic.time_ns += sectors.len() as u64 * ERASE_NS;
        });
    }
}

/// A driver of the chip: reads and writes of any length, as serial NOR allows.
#[derive(Clone, Copy)]
pub(crate) struct Driver<'c>(pub(crate) &'c Chip);

impl ErrorType for Driver<'_> {
    type Error = Infallible;
}

impl ReadNorFlash for Driver<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.read(offset as usize, bytes);
        Ok(())
    }

    fn capacity(&self) -> usize {
        CHIP_BYTES
    }
}

impl NorFlash for Driver<'_> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
        self.0.erase(from as usize, to as usize);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.write(offset as usize, bytes);
        Ok(())
    }
}

/// The same for sequential-storage.
impl embedded_storage_async::nor_flash::ReadNorFlash for Driver<'_> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.read(offset as usize, bytes);
        Ok(())
    }

    fn capacity(&self) -> usize {
        CHIP_BYTES
    }
}

impl embedded_storage_async::nor_flash::NorFlash for Driver<'_> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
        self.0.erase(from as usize, to as usize);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.write(offset as usize, bytes);
        Ok(())
    }
}

/// The same for ekv, which speaks of pages.
impl ekv::flash::Flash for Driver<'_> {
    type Error = Infallible;

    fn page_count(&self) -> usize {
        SECTORS
    }

    async fn erase(&mut self, page: ekv::flash::PageID) -> Result<(), Infallible> {
        let from = page.index() * SECTOR_BYTES;
        self.0.erase(from, from + SECTOR_BYTES);
        Ok(())
    }

    async fn read(
        &mut self,
        page: ekv::flash::PageID,
        offset: usize,
        bytes: &mut [u8],
    ) -> Result<(), Infallible> {
        self.0.read(page.index() * SECTOR_BYTES + offset, bytes);
        Ok(())
    }

    async fn write(
        &mut self,
        page: ekv::flash::PageID,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), Infallible> {
        self.0.write(page.index() * SECTOR_BYTES + offset, bytes);
        Ok(())
    }
}
