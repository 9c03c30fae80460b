//! What the table owns, the engine does not read.
use kausaldb::memory::owned::{Engine, Owned, Table};

fn first(flushed: &Owned<[u8; 4], Table>, engine: &Engine) -> u8 {
    flushed.get(engine)[0]
}

fn main() {}
