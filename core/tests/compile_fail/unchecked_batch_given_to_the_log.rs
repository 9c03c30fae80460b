//! What is the caller's still was not checked, and nothing else than what is the engine's is written.
use kausaldb::Operation;
use kausaldb::memory::owned::{Caller, Engine, Owned};

fn write_records(_batch: &Owned<&[Operation<'_>], Engine>) {}

fn write(batch: Owned<&[Operation<'_>], Caller>) {
    write_records(&batch);
}

fn main() {}
