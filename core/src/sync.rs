//! One engine, many threads: any number of readers at once, or one writer.
//!
//! The lock spins; it needs atomic compare-and-swap and no operating system; on targets
//! without it (Cortex-M0, riscv32imc) this room is not there. It knows nothing of what the engine
//! does.
//!
//! Invariants:
//!
//! - While a reader holds its guard nothing is written, so that what it borrowed stays where it is.
//! - A waiting writer goes before readers that come later: readers in turns do not keep it waiting for ever.
//!
//! # Never from an interrupt
//!
//! Who waits here spins. An interrupt that waits for a lock which the code that it interrupted
//! holds waits for ever, and so does a task that waits for one of lower priority on the same core.
//! Where interrupts touch the store, or where the target has no compare-and-swap, mask them
//! instead, with the crate `critical-section`. `examples/hal/shared` is a whole program that does, for
//! Cortex-M0:
//!
//! ```text
//! static STORE: Mutex<RefCell<Option<StorageEngine<'static, Flash>>>> = Mutex::new(RefCell::new(None));
//!
//! fn with_store<R>(access: impl FnOnce(&mut Store) -> R) -> Option<R> {
//!     critical_section::with(|section| {
//!         let mut store = STORE.borrow(section).try_borrow_mut().ok()?;
//!         store.as_mut().map(access)
//!     })
//! }
//!
//! with_store(|store| store.put(&block));
//! ```
//!
//! Interrupts are masked for as long as the closure runs: an erase takes tens of milliseconds on
//! most flash. A queue that the interrupt fills and the main loop writes from is mostly the better
//! answer.

use crate::engine::StorageEngine;
use crate::memory::RwLock;
use core::ops::{Deref, DerefMut};

/// An engine that threads share.
///
/// Readers borrow from storage that is [mapped](crate::MappedStorage). Storage that is not is read
/// through the engine by one thread at a time: take [`write`](Self::write) for that.
///
/// ```
/// use kausaldb::storage::RamStorage;
/// use kausaldb::sync::SharedEngine;
/// use kausaldb::{BlockId, Capacity, Config, ContextBlock, FormatOptions, StorageEngine, StoreId, format};
///
/// let mut media = [0; 64 * 4096];
/// let mut storage = RamStorage::new(&mut media, 4096, 4)?;
/// format(&mut storage, &FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4096 })?;
/// const CAPACITY: Capacity = Capacity::SMALL;
/// let mut region = [const { core::mem::MaybeUninit::uninit() }; CAPACITY.region_bytes()];
/// let engine = StorageEngine::open(storage, &mut region, CAPACITY, Config::default())?;
///
/// let shared = SharedEngine::new(engine);
/// let id = BlockId::from_u128(7);
/// shared.write().put(&ContextBlock { id, version: 1, source_uri: "a", metadata: b"", content: b"b" })?;
/// let reader = shared.read();
/// assert_eq!(reader.find(&id)?.map(|block| block.content()), Some(&b"b"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SharedEngine<'r, S> {
    engine: RwLock<StorageEngine<'r, S>>,
}

impl<'r, S> SharedEngine<'r, S> {
    /// Shares an engine.
    pub const fn new(engine: StorageEngine<'r, S>) -> Self {
        Self { engine: RwLock::new(engine) }
    }

    /// The engine for reading, beside other readers. Spins while somebody writes or waits to write.
    ///
    /// A thread that already holds a guard must not ask for another: it may wait for itself.
    pub fn read(&self) -> impl Deref<Target = StorageEngine<'r, S>> {
        self.engine.read()
    }

    /// The engine for reading, if nobody writes or waits to write. Never waits.
    pub fn try_read(&self) -> Option<impl Deref<Target = StorageEngine<'r, S>>> {
        self.engine.try_read()
    }

    /// The engine for writing, alone. Spins while anybody else holds it; readers that come later
    /// wait behind it.
    ///
    /// A thread that already holds a guard must not ask for another: it waits for itself, for ever.
    pub fn write(&self) -> impl DerefMut<Target = StorageEngine<'r, S>> {
        self.engine.write()
    }

    /// The engine for writing, if nobody else holds it. Never waits.
    pub fn try_write(&self) -> Option<impl DerefMut<Target = StorageEngine<'r, S>>> {
        self.engine.try_write()
    }

    /// The engine, which is shared no more: to close it.
    pub fn into_inner(self) -> StorageEngine<'r, S> {
        self.engine.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::RamStorage;
    use crate::{
        BlockId, Capacity, Config, ContextBlock, FormatOptions, Operation, StoreId, format,
    };
    use core::mem::MaybeUninit;
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    const CAPACITY: Capacity = Capacity::SMALL;

    fn with_shared(test: impl FnOnce(SharedEngine<'_, RamStorage<'_>>)) {
        let mut media = std::vec![0; 64 * 4096];
        let mut storage = RamStorage::new(&mut media, 4096, 4).unwrap();
        let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4096 };
        format(&mut storage, &options).unwrap();
        let mut region = [const { MaybeUninit::uninit() }; CAPACITY.region_bytes()];
        let config = Config::default();
        test(SharedEngine::new(
            StorageEngine::open(storage, &mut region, CAPACITY, config).unwrap(),
        ));
    }

    fn block(id: u128, version: u64, content: &[u8]) -> ContextBlock<'_> {
        let id = BlockId::from_u128(id);
        ContextBlock { id, version, source_uri: "counter", metadata: b"", content }
    }

    #[test]
    fn two_readers_see_whole_batches_while_a_third_thread_writes_them() {
        const BATCHES: u64 = 2_000;
        with_shared(|shared| {
            let write_pair = |version: u64| {
                let content = version.to_le_bytes();
                let pair = [1, 2].map(|id| Operation::put(block(id, version, &content)));
                shared.write().write(&pair).unwrap();
            };
            write_pair(0);
            let read_pair = || {
                let engine = shared.read();
                let [first, second] =
                    [1, 2].map(|id| engine.find(&BlockId::from_u128(id)).unwrap().unwrap());
                // Both are borrowed from the medium at once, and no writer moves them meanwhile.
                assert_eq!(first.content(), second.content());
                assert_eq!(first.content(), first.version().to_le_bytes());
                assert_eq!(first.version(), second.version());
                first.version()
            };
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let mut newest = 0;
                        while !done.load(Ordering::Acquire) {
                            let seen = read_pair();
                            assert!(seen >= newest, "the past came back: {seen} after {newest}");
                            newest = seen;
                        }
                        assert_eq!(read_pair(), BATCHES);
                    });
                }
                (1..=BATCHES).for_each(write_pair);
                done.store(true, Ordering::Release);
            });
            let (_, closed) = shared.into_inner().close();
            assert_eq!(closed, Ok(()));
        });
    }

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        with_shared(|shared| {
            {
                let _reader = shared.read();
                assert!(shared.try_read().is_some());
                assert!(shared.try_write().is_none());
            }
            let mut writer = shared.try_write().unwrap();
            assert!(shared.try_read().is_none());
            assert!(shared.try_write().is_none());
            writer.put(&block(1, 1, b"one")).unwrap();
            drop(writer);
            assert!(shared.read().find(&BlockId::from_u128(1)).unwrap().is_some());
        });
    }
}
