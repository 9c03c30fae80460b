//! A block that was found does not outlive the engine that showed it.
use kausaldb::storage::RamStorage;
use kausaldb::{BlockId, BlockRef, StorageEngine};

fn find<'a>(engine: StorageEngine<'a, RamStorage<'a>>, id: &BlockId) -> BlockRef<'a> {
    engine.find(id).unwrap().unwrap()
}

fn main() {}
