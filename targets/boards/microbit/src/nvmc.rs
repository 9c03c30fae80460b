//! The on-chip flash of the nRF51, through its non-volatile memory controller (NVMC).
//!
//! Its rules: reads are those of memory; a write programs one aligned word of 32 bits and only clears bits;
//! an erase sets a page of 1 KiB to ones. Each needs the controller to be told before, and to be waited for
//! after; at all other times writes are disabled, so that a stray store does nothing.
#![allow(unsafe_code)]

use core::ptr;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Size of the chip's flash, which starts at address 0, in bytes.
const FLASH_BYTES: usize = 256 * 1024;
/// What the chip erases at once, in bytes.
const PAGE_BYTES: usize = 1024;

/// 1 while the controller waits for work.
const READY: usize = 0x4001_E400;
/// What the controller allows: one of the three values below.
const CONFIG: usize = 0x4001_E504;
/// An address written here has its page erased.
const ERASEPAGE: usize = 0x4001_E508;

const CONFIG_READ: u32 = 0;
const CONFIG_WRITE: u32 = 1;
const CONFIG_ERASE: u32 = 2;

/// The chip's flash, erased in sectors of `SECTOR_BYTES`: a multiple of 1 KiB.
pub(crate) struct Nvmc<const SECTOR_BYTES: usize>(());

impl<const SECTOR_BYTES: usize> Nvmc<SECTOR_BYTES> {
    /// The driver.
    ///
    /// # Safety
    /// - The processor is an nRF51, and there is no other driver of its NVMC;
    /// - nothing that is written or erased through it holds code, or is borrowed as data.
    pub(crate) const unsafe fn new() -> Self {
        const { assert!(SECTOR_BYTES.is_multiple_of(PAGE_BYTES)) };
        Self(())
    }

    fn configure(&mut self, config: u32) {
        // SAFETY:
        // - the register is there and takes a word: `new` was promised an nRF51;
        // - what it changes is whether later writes take effect, and no memory.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(CONFIG).write_volatile(config) };
        self.wait();
    }

    fn wait(&mut self) {
        // SAFETY: the register is there and can be read at any time.
        while unsafe { ptr::with_exposed_provenance::<u32>(READY).read_volatile() } & 1 == 0 {}
    }

    /// Programs the aligned word at `address`, which lies in the flash. Writes are enabled.
    fn program(&mut self, address: u32, word: u32) {
        // SAFETY:
        // - the address is aligned and in the flash: the callers checked both;
        // - nothing that is borrowed lies there, as `new` was promised.
        unsafe {
            ptr::with_exposed_provenance_mut::<u32>(address as usize).write_volatile(word);
        }
        self.wait();
    }
}

impl<const SECTOR_BYTES: usize> ErrorType for Nvmc<SECTOR_BYTES> {
    type Error = NorFlashErrorKind;
}

impl<const SECTOR_BYTES: usize> ReadNorFlash for Nvmc<SECTOR_BYTES> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        for (at, byte) in (offset as usize..).zip(bytes) {
            // SAFETY: the address is in the flash, which can be read at any time.
            *byte = unsafe { ptr::with_exposed_provenance::<u8>(at).read_volatile() };
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        FLASH_BYTES
    }
}

impl<const SECTOR_BYTES: usize> NorFlash for Nvmc<SECTOR_BYTES> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        self.configure(CONFIG_ERASE);
        for page in (from..to).step_by(PAGE_BYTES) {
            // SAFETY:
            // - the register is there and takes the address of a page;
            // - nothing that is borrowed lies in that page, as `new` was promised.
            unsafe { ptr::with_exposed_provenance_mut::<u32>(ERASEPAGE).write_volatile(page) };
            self.wait();
        }
        self.configure(CONFIG_READ);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        self.configure(CONFIG_WRITE);
        let words = bytes.as_chunks::<4>().0;
        for (address, word) in (offset..).step_by(4).zip(words) {
            self.program(address, u32::from_le_bytes(*word));
        }
        self.configure(CONFIG_READ);
        Ok(())
    }
}
