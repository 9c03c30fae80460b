//! Arbitrary bytes, taken for records and for headers of segments.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kausaldb_fuzz::shared::bodies::records(data));
