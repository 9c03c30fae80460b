//! Arbitrary batches against a model.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kausaldb_fuzz::shared::batches::batches(data));
