//! What the caller still fills is not the table's, and only that goes to media.
use kausaldb::memory::owned::{Caller, Owned, Table};

fn flush(_buffer: &Owned<[u8; 64], Table>) {}

fn fill_and_flush(buffer: Owned<[u8; 64], Caller>, table: &Table) -> Owned<[u8; 64], Table> {
    flush(&buffer);
    buffer.transfer(table)
}

fn main() {}
