//! A deterministic faulty medium, for tests of KausalDB and of firmware that uses it.
//!
//! [`SimNor`] is a peer of the real storages: it keeps every promise of the
//! [`Storage`](kausaldb::storage::Storage) contract and not one more, and it checks what the engine promised
//! in return.
//!
//! - A write to a unit that was written before, to a sector not erased since the medium was opened (but for
//!   units between others that were written), out of bounds or unaligned, is refused and recorded:
//!   [`SimNor::violations`].
//! - Power is cut at any step ([`SimNor::cut_at`]): a write unit, an erase or a sync. What the cut left
//!   behind is decided when power comes back, by the seed or by the test ([`Aftermath`]); so a test runs up
//!   to the cut once, and tries every aftermath on a clone.
//! - A medium that does not [keep write order](kausaldb::storage::Geometry::keeps_write_order) is a file:
//!   what was written since the last sync survives in any subset of pieces of 512 bytes.
//!
//! - Beside power cuts, calls fail, bits flip in data at rest, spans become unreadable, writes land
//!   elsewhere, reads
//!   are stale, sectors wear out, the storage fills up: each [`Fault`] at one call, from one call on, or at a
//!   rate ([`SimNor::inject`]), and at every call in turn ([`at_every_call`]).
//! - The engine owns its storage; [`Shared`] keeps a hand on it.
//!
//! # Your firmware under power cuts
//!
//! What a device does between two boots is a function of its storage. [`at_every_step`] runs it once for each
//! word that it writes, each sector that it erases and each sync, and cuts power there:
//!
//! ```
//! use kausaldb::storage::{Erased, Geometry, Storage};
//! use kausaldb::{
//!     BlockId, Capacity, Config, ContextBlock, FormatOptions, StorageEngine, StoreId, format,
//! };
//! use kausaldb_sim::{SimNor, at_every_step};
//! use std::mem::MaybeUninit;
//!
//! const CAPACITY: Capacity = Capacity { segments: 8, ..Capacity::SMALL };
//! const BOOTS: BlockId = BlockId::from_u128(1);
//!
//! /// The firmware: counts its boots, and returns the count once that is durable.
//! fn boot<S: Storage>(flash: S) -> Option<u64> {
//!     let mut region = vec![MaybeUninit::uninit(); CAPACITY.region_bytes()];
//!     let mut store = StorageEngine::open(flash, &mut region, CAPACITY, Config::default()).ok()?;
//!     let boots = store.version(&BOOTS).ok()?.unwrap_or(0) + 1;
//!     let block = ContextBlock {
//!         id: BOOTS,
//!         version: boots,
//!         source_uri: "boots",
//!         metadata: b"",
//!         content: b"",
//!     };
//!     store.put(&block).ok()?;
//!     Some(boots)
//! }
//!
//! let geometry = Geometry {
//!     capacity_bytes: 8 * 4096,
//!     erase_bytes: 4096,
//!     write_bytes: 16,
//!     erased: Erased::Ones,
//!     keeps_write_order: true,
//! };
//! let mut flash = SimNor::new(geometry, 7)?;
//! format(&mut flash, &FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4096 })?;
//! assert_eq!(boot(&mut flash), Some(1));
//! flash.reopen();
//!
//! let steps = at_every_step(
//!     &flash,
//!     |flash| boot(flash), // power fails somewhere in here
//!     |counted, flash| {
//!         let next = boot(&mut *flash);
//!         // The boot in flight counts, or it does not.
//!         let expected = counted.map_or([2, 3], |boots| [boots + 1; 2]);
//!         assert!(next.is_some_and(|boots| expected.contains(&boots)), "{next:?}; replay: {flash}");
//!         assert_eq!(flash.violations(), []);
//!     },
//! );
//! assert!(steps > 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Replay
//!
//! The same geometry, seed and calls give the same bytes, always. A failing test prints the medium (`{}`):
//! one line with the seed, the cuts and their aftermaths, and every planned fault. That line is a medium:
//!
//! ```
//! use kausaldb::storage::Storage;
//! use kausaldb_sim::SimNor;
//!
//! let line = "seed=7 capacity=16384 erase=4096 write=8 erased=ones ordered=yes; \
//!     cut 2 @1; on new seeded seeded @2; now @9";
//! let mut nor: SimNor = line.parse()?;
//! nor.erase(0)?;
//! assert!(nor.write(0, b"survivestorn....").is_err());
//! nor.power_on();
//! let mut torn = [0; 16];
//! nor.read(0, &mut torn)?;
//! assert_eq!(&torn, b"survivestorn....");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A test that takes its medium from an environment variable, where there is one, replays what it printed.
//!
//! [`check_storage`] asks any storage to keep the same promises, for whoever writes one.
//!
//! [`NorRam`] is the other end of the flash adapter: a plain `embedded-storage` driver over RAM.

mod conformance;
mod error;
mod exhaust;
mod fault;
mod file;
mod line;
mod nor;
mod nor_ram;
mod plan;
mod random;
mod rules;
mod shared;
#[cfg(test)]
mod tests;

pub use conformance::{check_mapped_storage, check_storage};
pub use error::{SetupError, SimError};
pub use exhaust::{at_every_call, at_every_step};
pub use fault::{Aftermath, Survivors, TornErase, TornWrite, UnderWay};
pub use line::LineError;
pub use nor::{Counts, SimNor};
pub use nor_ram::{NorRam, NorRamError};
pub use plan::{Fault, When};
pub use rules::Violation;
pub use shared::Shared;
