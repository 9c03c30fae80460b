//! What the stores have in common: keys of 16 bytes, values of bytes, a flash that they lie on.

use crate::flash::Chip;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The longest value, in bytes.
pub(crate) const VALUE_BYTES_MAX: usize = 1024;

/// A key.
pub(crate) type Key = [u8; 16];

/// The store has no room for what it was given.
#[derive(Debug)]
pub(crate) struct Full;

/// A store that is open. Whatever else than [`Full`] goes wrong ends the run.
pub(crate) trait Store {
    /// Writes a value, durably: power may fail when it returns. `version` says how often the key was written,
    /// this time included; only KausalDB stores it.
    fn put(&mut self, key: &Key, version: u64, value: &[u8]) -> Result<(), Full>;

    /// Reads a value into `into`, which holds the longest. `None` if there is none.
    fn get<'v>(&mut self, key: &Key, into: &'v mut [u8]) -> Option<&'v [u8]>;
}

/// The RAM that a store asks its user for, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ram {
    /// What it keeps as long as it is open.
    pub(crate) kept: usize,
    /// Buffers that are lent to a call.
    pub(crate) lent: usize,
}

/// A kind of store, with its configuration.
pub(crate) trait Contender {
    /// What the table calls it.
    fn name(&self) -> String;

    /// The RAM that it takes.
    fn ram(&self) -> Ram;

    /// Makes an empty store.
    fn format(&self, chip: &Chip);

    /// Opens what is there, as after a restart, and hands it to `work`.
    fn open(&self, chip: &Chip, work: &mut dyn FnMut(&mut dyn Store));
}

/// The end of a future that waits for nothing: the chip answers at once.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits, though the chip answers at once"),
    }
}
