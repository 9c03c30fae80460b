//! What the engine owns, a caller does not read.
use kausaldb::memory::owned::{Caller, Engine, Owned};

fn first(engines: &Owned<[u8; 4], Engine>, caller: &Caller) -> u8 {
    engines.get(caller)[0]
}

fn main() {}
