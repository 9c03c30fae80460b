//! A deterministic faulty medium, for tests of KausalDB and of firmware that uses it.
//!
//! [`SimNor`] is a peer of the real storages: it keeps every promise of the
//! [`Storage`](kausaldb::storage::Storage) contract and not one more, and it checks what the engine promised
//! in return.
//!
//! - A write to a unit that was written before, to a sector not erased since the medium was opened, out of
//!   bounds or unaligned, is refused and recorded: [`SimNor::violations`].
//! - Power is cut at any step ([`SimNor::cut_at`]): a write unit, an erase or a sync. What the cut left
//!   behind is decided when power comes back, by the seed or by the test ([`Aftermath`]); so a test runs up
//!   to the cut once, and tries every aftermath on a clone.
//! - A medium that does not [keep write order](kausaldb::storage::Geometry::keeps_write_order) is a file:
//!   what was written since the last sync survives in any subset of pieces of 512 bytes.
//!
//! The same geometry, seed and calls give the same bytes, always. A failing test prints the medium (`{}`):
//! one line with the seed, the cuts and their aftermaths replays it.
//!
//! ```
//! use kausaldb::storage::{Erased, Geometry, Storage};
//! use kausaldb_sim::{Aftermath, SimNor, TornWrite};
//!
//! let geometry = Geometry {
//!     capacity_bytes: 16 << 10,
//!     erase_bytes: 4 << 10,
//!     write_bytes: 8,
//!     erased: Erased::Ones,
//!     keeps_write_order: true,
//! };
//! let mut nor = SimNor::new(geometry, 7)?;
//! nor.erase(0)?;
//! nor.cut_at(1); // one unit is written whole, the next is torn
//! assert!(nor.write(0, b"survivestorn....").is_err());
//!
//! for write in [TornWrite::Old, TornWrite::New, TornWrite::Unstable] {
//!     let mut after = nor.clone();
//!     after.power_on_with(Aftermath { write, ..Aftermath::default() });
//!     let mut whole = [0; 8];
//!     after.read(0, &mut whole)?;
//!     assert_eq!(&whole, b"survives", "{after}");
//!     assert_eq!(after.violations(), []);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`check_storage`] asks any storage to keep the same promises, for whoever writes one.
//!
//! [`NorRam`] is the other end of the flash adapter: a plain `embedded-storage` driver over RAM.

mod conformance;
mod error;
mod fault;
mod file;
mod nor;
mod nor_ram;
mod random;
mod rules;
#[cfg(test)]
mod tests;

pub use conformance::{check_mapped_storage, check_storage};
pub use error::{SetupError, SimError};
pub use fault::{Aftermath, Survivors, TornErase, TornWrite};
pub use nor::{Counts, SimNor};
pub use nor_ram::{NorRam, NorRamError};
pub use rules::Violation;
