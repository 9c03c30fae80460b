//! Hostile media, opened for writing, repaired, written, and opened again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kausaldb_fuzz::shared::bodies::recovery(data));
