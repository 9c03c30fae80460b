//! Hostile media, opened without writing and read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kausaldb_fuzz::shared::bodies::open(data));
