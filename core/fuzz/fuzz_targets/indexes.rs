//! Hostile media of large segments, whose index pages hold full columns.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kausaldb_fuzz::shared::bodies::indexes(data));
