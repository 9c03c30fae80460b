//! Hostile media, verified.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kausaldb_fuzz::shared::bodies::verify(data));
