//! An engine is not closed, and gives its storage to nobody, while a block of it is held.
use kausaldb::storage::RamStorage;
use kausaldb::{BlockId, StorageEngine};

fn last(engine: StorageEngine<'_, RamStorage<'_>>, id: &BlockId) -> u64 {
    let found = engine.find(id).unwrap().unwrap();
    let (_storage, closed) = engine.close();
    closed.unwrap();
    found.version()
}

fn main() {}
