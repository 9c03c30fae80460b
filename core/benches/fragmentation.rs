//! Fragmentation.
fn main() {}
