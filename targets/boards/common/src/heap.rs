//! The application's heap: the store never asks it for anything, and the program sees to that.
//!
//! While the store is at work the heap is watched: whoever allocates, grows or frees then is noticed, also
//! where as much is in use at the end as there was before.

use crate::program::Fault;
use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use embedded_alloc::LlffHeap;
use static_cell::ConstStaticCell;

/// Its size, in bytes.
const BYTES: usize = 256;

#[global_allocator]
static HEAP: Heap = Heap(LlffHeap::empty());
static MEMORY: ConstStaticCell<[MaybeUninit<u8>; BYTES]> =
    ConstStaticCell::new([MaybeUninit::uninit(); BYTES]);

/// Whether nobody may use the heap now.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// Whether somebody did all the same.
static USED: AtomicBool = AtomicBool::new(false);

/// Gives the heap its memory. Called once, before anything else.
#[allow(unsafe_code)]
pub(crate) fn begin() {
    let memory = MEMORY.take();
    // SAFETY:
    // - the memory is there and has this size;
    // - nothing else ever uses it: the cell gives it out once, and panics before it would twice.
    unsafe { HEAP.0.init(memory.as_mut_ptr().expose_provenance(), BYTES) };
}

/// A stretch of the program in which nothing uses the heap: one that the store is at work in.
#[must_use]
pub struct Watch(());

/// From here on nothing uses the heap.
pub fn watch() -> Watch {
    WATCHED.store(true, Ordering::Relaxed);
    Watch(())
}

impl Watch {
    /// The store has come to the end of its work.
    ///
    /// # Errors
    /// Something used the heap meanwhile.
    pub fn end(self) -> Result<(), Fault> {
        WATCHED.store(false, Ordering::Relaxed);
        if USED.load(Ordering::Relaxed) { Err("the store used the heap") } else { Ok(()) }
    }
}

/// The allocator, which notices who calls it when nobody may.
struct Heap(LlffHeap);

impl Heap {
    #[inline(never)]
    fn notice(&self) {
        if WATCHED.load(Ordering::Relaxed) {
            USED.store(true, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call is that of the allocator within, as it came, and what that returns.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.notice();
        // SAFETY: the caller's promises are the same.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.notice();
        // SAFETY: the caller's promises are the same.
        unsafe { self.0.dealloc(memory, layout) }
    }
}
