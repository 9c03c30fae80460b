//! A reader shows the store as it is: nothing is written while it lives.
use kausaldb::{BlockId, MappedStorage, StorageEngine};

fn before_and_after<S: MappedStorage>(engine: &mut StorageEngine<'_, S>, id: &BlockId) -> bool {
    let mut reader = engine.reader();
    engine.delete(id).unwrap();
    reader.contains(id).unwrap()
}

fn main() {}
