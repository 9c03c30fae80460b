//! A block that was found is borrowed from the engine: nothing is written while it is held.
use kausaldb::storage::RamStorage;
use kausaldb::{BlockId, ContextBlock, StorageEngine};

fn overwrite(engine: &mut StorageEngine<'_, RamStorage<'_>>, id: BlockId) -> usize {
    let found = engine.find(&id).unwrap().unwrap();
    let next = ContextBlock { id, version: 2, source_uri: "", metadata: &[], content: b"new" };
    engine.put(&next).unwrap();
    found.content().len()
}

fn main() {}
