//! Only its owner gives a value away.
use kausaldb::memory::owned::{Caller, Engine, Owned};

fn take(engines: Owned<[u8; 4], Engine>, caller: &Caller) -> Owned<[u8; 4], Caller> {
    engines.transfer(caller)
}

fn main() {}
