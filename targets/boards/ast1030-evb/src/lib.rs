//! The SPI flash of the AST1030's evaluation board (SST25VF032B, 4 MiB), behind the flash memory controller.
//!
//! Between commands the controller shows the flash in memory. A command switches it to passing on bytes,
//! which are written to and read from the same window, and back.
#![no_std]
#![allow(unsafe_code)]

use core::ptr;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Where the controller shows the flash.
pub const WINDOW: usize = 0x8000_0000;
/// Size of the flash, in bytes.
const FLASH_BYTES: usize = 4 << 20;
/// What one command erases, in bytes.
const SECTOR_BYTES: u32 = 4096;
/// What one command programs at most, within a page, in bytes.
const PAGE_BYTES: usize = 256;

/// Its first chip's configuration; the bit allows writes.
const CONFIG: usize = 0x7E62_0000;
const CONFIG_WRITES: u32 = 1 << 16;
/// How the first chip is driven: the values below.
const CONTROL: usize = 0x7E62_0010;
const CONTROL_MAPPED: u32 = 0;
const CONTROL_SELECTED: u32 = 0b011;
const CONTROL_RELEASED: u32 = 0b111;

const WRITE_ENABLE: u8 = 0x06;
const READ_STATUS: u8 = 0x05;
const STATUS_BUSY: u8 = 1;
const READ: u8 = 0x03;
const PAGE_PROGRAM: u8 = 0x02;
const SECTOR_ERASE: u8 = 0x20;

/// The flash: read where the controller shows it, or with `COMMANDS` by a command of its own for each read,
/// as flash is read that nothing shows in memory.
pub struct SpiFlash<const COMMANDS: bool = false>(());

impl<const COMMANDS: bool> SpiFlash<COMMANDS> {
    /// The driver, with the controller set up.
    ///
    /// # Safety
    /// - The processor is an AST1030 with this flash as its first chip, and there is no other driver of it;
    /// - nothing that is written or erased through it is borrowed as data.
    pub unsafe fn new() -> Self {
        let mut flash = Self(());
        // SAFETY: the register is there and can be read at any time.
        let config = unsafe { ptr::with_exposed_provenance::<u32>(CONFIG).read_volatile() };
        flash.set(CONFIG, config | CONFIG_WRITES);
        flash.set(CONTROL, CONTROL_MAPPED);
        flash
    }

    /// The same flash, read in the other way.
    #[must_use]
    pub fn into_mapped(self) -> SpiFlash {
        SpiFlash(())
    }

    fn set(&mut self, register: usize, value: u32) {
        // SAFETY:
        // - the register is one of the two above, which take words: `new` was promised an AST1030;
        // - what it changes is how the window behaves, and no memory that is borrowed.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(register).write_volatile(value) };
    }

    /// Sends a command, and takes the bytes that come back.
    fn command(&mut self, command: &[u8], answer: &mut [u8]) {
        self.set(CONTROL, CONTROL_SELECTED);
        for byte in command {
            // SAFETY: a byte written to the window goes to the selected chip, and to no memory.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(WINDOW).write_volatile(*byte) };
        }
        for byte in answer {
            // SAFETY: a byte read from the window comes from the selected chip.
            *byte = unsafe { ptr::with_exposed_provenance::<u8>(WINDOW).read_volatile() };
        }
        self.set(CONTROL, CONTROL_RELEASED);
        self.set(CONTROL, CONTROL_MAPPED);
    }

    /// Allows one change, makes it, and waits until it is done.
    fn change(&mut self, command: u8, address: u32, data: &[u8]) {
        self.set(CONTROL, CONTROL_SELECTED);
        // SAFETY: as in `command`; without a read behind it, which the chip would take for more data.
        unsafe { ptr::with_exposed_provenance_mut::<u8>(WINDOW).write_volatile(WRITE_ENABLE) };
        self.set(CONTROL, CONTROL_RELEASED);
        self.set(CONTROL, CONTROL_SELECTED);
        let [low, middle, high, _] = address.to_le_bytes();
        for byte in [command, high, middle, low].iter().chain(data) {
            // SAFETY: as above.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(WINDOW).write_volatile(*byte) };
        }
        self.set(CONTROL, CONTROL_RELEASED);
        self.set(CONTROL, CONTROL_MAPPED);
        let mut status = [STATUS_BUSY];
        while status.iter().any(|status| status & STATUS_BUSY != 0) {
            self.command(&[READ_STATUS], &mut status);
        }
    }
}

impl<const COMMANDS: bool> ErrorType for SpiFlash<COMMANDS> {
    type Error = NorFlashErrorKind;
}

impl<const COMMANDS: bool> ReadNorFlash for SpiFlash<COMMANDS> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        if COMMANDS {
            let [low, middle, high, _] = offset.to_le_bytes();
            self.command(&[READ, high, middle, low], bytes);
            return Ok(());
        }
        for (at, byte) in (WINDOW + offset as usize..).zip(bytes) {
            // SAFETY: the address is in the window, which shows the flash between commands.
            *byte = unsafe { ptr::with_exposed_provenance::<u8>(at).read_volatile() };
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        FLASH_BYTES
    }
}

impl<const COMMANDS: bool> NorFlash for SpiFlash<COMMANDS> {
    /// The chip would take single bytes; words make one geometry with the other boards.
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR_BYTES as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        for sector in (from..to).step_by(SECTOR_BYTES as usize) {
            self.change(SECTOR_ERASE, sector, &[]);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        let (mut offset, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let room = PAGE_BYTES - offset as usize % PAGE_BYTES;
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            self.change(PAGE_PROGRAM, offset, piece);
            offset += piece.len() as u32;
            rest = behind;
        }
        Ok(())
    }
}
