//! A hint to the cache, behind a safe function.
#![allow(unsafe_code)]

/// Asks the processor to bring the start of `at` into its caches. A hint: it changes no state that a
/// program can see, and does nothing where the target has no such instruction.
#[inline(always)]
pub fn prefetch<T>(at: &T) {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY:
        // - The instruction exists: the target has SSE.
        // - Any address may be prefetched, as it neither faults nor changes memory; this one is even
        //   readable.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(at).cast::<i8>()) }
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    {
        // SAFETY:
        // - The instruction is part of the base architecture.
        // - Any address may be prefetched, as it neither faults nor changes memory; this one is even
        //   readable.
        // - It touches neither stack nor flags, as the options say.
        unsafe {
            core::arch::asm!(
                "prfm pldl1keep, [{at}]",
                at = in(reg) core::ptr::from_ref(at),
                options(nostack, preserves_flags, readonly),
            );
        }
    }
    let _ = at;
}
