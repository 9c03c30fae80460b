//! A query, and with it every iterator, lives no longer than the scratch that its iterators lie in.
use kausaldb::engine::Mapped;
use kausaldb::{MappedStorage, Query, StorageEngine, Workspace};

fn open<'e, 'r, S: MappedStorage>(
    engine: &'e StorageEngine<'r, S>,
) -> Query<'e, 'r, 'e, Mapped<'e, S::Error>> {
    let mut scratch = [0; 512];
    engine.reader().query(Workspace::over(&mut scratch, 1).unwrap())
}

fn main() {}
