//! Pools.
fn main() {}
