//! KausalDB on NOR flash: a partition of any `embedded-storage` driver as a storage.
//!
//! Every chip whose driver implements [`NorFlash`](embedded_storage::nor_flash::NorFlash) works, with or
//! without ECC: the engine writes no word twice, so nothing here asks for `MultiwriteNorFlash`. Write and
//! erase sizes are the driver's; erase sizes below 512 bytes are grouped to sectors of at least that. Where
//! sectors differ in size, a [`SectorTable`] says so. Reads of any alignment work over drivers that read
//! whole words.
//!
//! - [`FlashStorage`]: reads through the driver.
//! - [`XipStorage`]: the same flash, also visible in memory (execute in place); its bytes can be borrowed.
//!
//! Both take the driver, or `&mut` to it, and give it back with `close`. They hold no buffers and know
//! nothing of what is stored: they translate addresses and check bounds, so that nothing outside of the
//! partition is ever touched.
//!
//! ```
//! use kausaldb::storage::{Erased, Storage};
//! use kausaldb_flash::{FlashStorage, Partition};
//! use kausaldb_sim::NorRam; // any driver: reads and writes of 4 bytes, erases of 4 KiB
//!
//! let mut driver = NorRam::<4, 4, 4096>::new(8, 0xFF);
//! let partition = Partition { offset_bytes: 2 * 4096, len_bytes: 4 * 4096 };
//!
//! let mut storage = FlashStorage::new(&mut driver, partition, Erased::Ones)?;
//! storage.erase(0)?;
//! storage.write(0, b"kausal..")?;
//! let mut word = [0; 5];
//! storage.read(1, &mut word)?;
//! assert_eq!(&word, b"ausal");
//! assert_eq!(&driver.bytes()[2 * 4096..][..6], b"kausal");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A driver must do what it is told before it returns (all of `embedded-storage`'s do): `sync` has nothing to
//! add.
#![no_std]

#[cfg(test)]
extern crate std;

mod error;
mod flash;
mod sectors;
#[cfg(test)]
mod tests;
mod xip;

pub use error::{FlashError, SetupError};
pub use flash::{FlashStorage, MAX_READ_BYTES, Partition};
pub use sectors::{SectorRun, SectorTable};
pub use xip::XipStorage;
