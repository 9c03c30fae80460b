//! The lock behind an engine that threads share: any number of readers at once, or one writer.
//!
//! One word, and no operating system. It knows nothing of what it guards, and no code of it can panic:
//! readers beyond what the word can count wait as they wait for a writer.
#![allow(unsafe_code)]

use core::hint::spin_loop;
use core::sync::atomic::{AtomicUsize, Ordering};
use lock_api::{GuardSend, RawRwLock};

/// A value behind the lock; its guards are those of `lock_api`.
pub(crate) type RwLock<T> = lock_api::RwLock<Spinning, T>;

/// Set while somebody writes...
const WRITING: usize = 1;
/// ...and while somebody waits to write: readers that come later wait behind.
const WAITING: usize = 2;
/// What one reader adds, above these bits.
const READER: usize = 4;
/// No reader is let in beyond this.
const READERS_MAX: usize = usize::MAX - (READER + WAITING + WRITING);

/// The word: how many read, and whether anybody writes or waits to.
pub(crate) struct Spinning {
    state: AtomicUsize,
}

impl Spinning {
    /// Changes the state as `change` says, if it is one that may be changed so.
    fn try_change(&self, change: impl Fn(usize) -> Option<usize>) -> bool {
        self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, change).is_ok()
    }

    /// The same, as soon as it may be changed so.
    fn change(&self, change: impl Fn(usize) -> Option<usize>) {
        while !self.try_change(&change) {
            spin_loop();
        }
    }
}

/// A state with one reader more.
fn one_more(state: usize) -> Option<usize> {
    let lets_in = state & (WRITING | WAITING) == 0 && state <= READERS_MAX;
    lets_in.then_some(state.wrapping_add(READER))
}

// SAFETY:
// - `WRITING` is set only over a state without readers, and by one caller, since it is an atomic step away
//   from such a state; while it is set no reader is let in. So a writer is alone.
// - Whoever gets in acquires what those who left have released.
// - Guards may be sent: the word does not care which thread gives back what another one took.
unsafe impl RawRwLock for Spinning {
    #[allow(clippy::declare_interior_mutable_const)] // It is how lock_api starts a lock.
    const INIT: Self = Self { state: AtomicUsize::new(0) };

    type GuardMarker = GuardSend;

    fn lock_shared(&self) {
        self.change(one_more);
    }

    fn try_lock_shared(&self) -> bool {
        self.try_change(one_more)
    }

    unsafe fn unlock_shared(&self) {
        self.state.fetch_sub(READER, Ordering::Release);
    }

    fn lock_exclusive(&self) {
        // First in front of the readers to come, then behind those that are there.
        self.change(|state| (state & (WRITING | WAITING) == 0).then_some(state | WAITING));
        self.change(|state| (state == WAITING).then_some(WRITING));
    }

    fn try_lock_exclusive(&self) -> bool {
        self.try_change(|state| (state == 0).then_some(WRITING))
    }

    unsafe fn unlock_exclusive(&self) {
        self.state.fetch_and(!WRITING, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const ROUNDS: u64 = if cfg!(miri) { 20 } else { 5_000 };

    #[test]
    fn a_writer_is_alone_and_readers_see_what_it_left() {
        let pair = RwLock::new([0_u64; 2]);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let mut pair = pair.write();
                        pair[0] += 1;
                        pair[1] += 1;
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let [first, second] = *pair.read();
                    assert_eq!(first, second);
                }
            });
        });
        assert_eq!(*pair.read(), [2 * ROUNDS; 2]);
    }

    #[test]
    fn a_writer_that_waits_goes_before_readers_that_come_later() {
        let value = RwLock::new(1);
        let reader = value.read();
        thread::scope(|scope| {
            scope.spawn(|| *value.write() = 2);
            // It waits for this reader, and the next one for it.
            while value.try_read().is_some() {
                thread::yield_now();
            }
            assert_eq!(*reader, 1);
            assert!(value.try_write().is_none());
            drop(reader);
        });
        assert_eq!(*value.read(), 2);
    }

    #[test]
    fn readers_beyond_what_the_word_counts_are_not_let_in() {
        let lock = Spinning { state: AtomicUsize::new(READERS_MAX) };
        assert!(lock.try_lock_shared());
        assert!(!lock.try_lock_shared());
        assert!(!lock.try_lock_exclusive());
        // SAFETY:
        // - one reader was let in above.
        unsafe { lock.unlock_shared() };
        assert!(lock.try_lock_shared());
    }
}
