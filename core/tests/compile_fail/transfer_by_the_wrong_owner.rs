//! Only its owner gives a value away: nobody flushes a buffer that the engine is filling.
use kausaldb::memory::owned::{Engine, Owned, Table};

fn flush(filling: Owned<[u8; 4], Engine>, table: &Table) -> Owned<[u8; 4], Table> {
    filling.transfer(table)
}

fn main() {}
