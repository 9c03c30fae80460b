//! A query is a reader: nothing is written while it runs.
use kausaldb::memory::owned::{Caller, Owned};
use kausaldb::{BlockId, MappedStorage, Order, StorageEngine, Workspace};

fn delete_while_scanning<S: MappedStorage>(
    engine: &mut StorageEngine<'_, S>,
    workspace: Owned<Workspace<'_>, Caller>,
) {
    let mut query = engine.reader().query(workspace);
    let scan = query.scan(Order::OldestFirst).unwrap();
    engine.delete(&BlockId::default()).unwrap();
    query.next_info(&scan).unwrap();
}

fn main() {}
