//! Bytes of the region as atomic bytes, also on targets without compare-and-swap.
//!
//! `AtomicU8` is [`Plain`](super::Plain) only where the target has all atomic operations. Loads and
//! stores are all that the store needs, and Cortex-M0 and riscv32imc have those; this cast gives them to
//! everybody.
#![allow(unsafe_code)]

use core::slice;
use core::sync::atomic::AtomicU8;

/// The same bytes, to be loaded and stored through shared borrows.
///
/// Carve them with `slice_of::<u8>`. O(1).
pub fn atomic_bytes(bytes: &mut [u8]) -> &mut [AtomicU8] {
    let (start, count) = (bytes.as_mut_ptr().cast::<AtomicU8>(), bytes.len());
    // SAFETY:
    // - The pointer is not null and spans `count` elements of one allocation, as `bytes` did: `AtomicU8`
    //   has the size and the alignment of `u8`.
    // - Each element is a valid value: `AtomicU8` has the valid bit patterns of `u8`.
    // - Nothing else reaches the memory meanwhile: the result has the lifetime of the exclusive borrow it
    //   consumes, and whatever is stored through it leaves valid `u8`s behind.
    unsafe { slice::from_raw_parts_mut(start, count) }
}
