//! The application's heap: the store never asks it for anything, and the program sees to that.

use core::mem::MaybeUninit;
use embedded_alloc::LlffHeap;
use static_cell::ConstStaticCell;

/// Its size, in bytes.
const BYTES: usize = 256;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();
static MEMORY: ConstStaticCell<[MaybeUninit<u8>; BYTES]> =
    ConstStaticCell::new([MaybeUninit::uninit(); BYTES]);

/// Gives the heap its memory. Called once, before anything else.
#[allow(unsafe_code)]
pub(crate) fn begin() {
    let memory = MEMORY.take();
    // SAFETY:
    // - the memory is there and has this size;
    // - nothing else ever uses it: the cell gives it out once, and panics before it would twice.
    unsafe { HEAP.init(memory.as_mut_ptr().expose_provenance(), BYTES) };
}

/// Bytes in use.
pub(crate) fn used_bytes() -> usize {
    HEAP.used()
}
