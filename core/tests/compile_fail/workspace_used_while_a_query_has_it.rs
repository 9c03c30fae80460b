//! What a query has, its caller has not: a second query takes another workspace, or waits for the first.
use kausaldb::memory::owned::{Caller, Owned};
use kausaldb::{MappedStorage, StorageEngine, Workspace};

fn both<S: MappedStorage>(engine: &StorageEngine<'_, S>, workspace: Owned<Workspace<'_>, Caller>) {
    let one = engine.reader().query(workspace);
    let two = engine.reader().query(workspace);
    drop((one, two));
}

fn main() {}
