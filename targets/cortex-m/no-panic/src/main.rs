//! An image that calls every public function of the core and of the flash adapter, and whose panic handler
//! is a symbol that is nowhere: that it links is the proof that they hold no code that could panic.
//!
//! It is linked and never run. Each function is called once, with values of which the compiler knows
//! nothing but their type (see [`any`]): neither what a constructor would have checked nor what an earlier
//! call left behind helps it to leave a check out. What a function returns is kept, lest the function be
//! left out itself. A file for each room lists them; `cargo task tidy` compares the lists with their
//! source and names what is missing.
//!
//! Where a target has no compare-and-swap, `sync` is not there, and not called.
#![no_std]
#![no_main]

mod any;
mod compaction;
mod edges;
mod engine;
mod flash;
mod format;
mod index;
mod log;
mod memory;
mod reading;
mod state;
mod storage;
#[cfg(target_has_atomic = "ptr")]
mod sync;
mod types;

use core::panic::PanicInfo;

/// Where a loader would begin, and where the linker begins to ask what is needed.
#[unsafe(no_mangle)]
extern "C" fn _start() {
    types::call_all();
    memory::call_all();
    storage::call_all();
    format::call_all();
    log::call_all();
    index::call_all();
    edges::call_all();
    state::call_all();
    compaction::call_all();
    engine::call_all();
    reading::call_all();
    flash::call_all();
    #[cfg(target_has_atomic = "ptr")]
    sync::call_all();
}

unsafe extern "C" {
    /// Defined nowhere: the linker names it, and this file, if anything may panic.
    fn panic_code_is_linked() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: There is no such function; an image that could come here does not link.
    unsafe { panic_code_is_linked() }
}
