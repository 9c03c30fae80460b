//! The scratch under a workspace is the caller's again when query and workspace have ended.
use kausaldb::{MappedStorage, Order, StorageEngine, Workspace};

fn overwrite<S: MappedStorage>(engine: &StorageEngine<'_, S>) {
    let mut scratch = [0; 512];
    let mut query = engine.reader().query(Workspace::over(&mut scratch, 1).unwrap());
    let scan = query.scan(Order::NewestFirst).unwrap();
    scratch.fill(0xFF);
    query.next_info(&scan).unwrap();
}

fn main() {}
