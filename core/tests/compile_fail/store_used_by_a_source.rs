//! While a content comes in, nobody reads the store: half of a record is being written.
use kausaldb::{BlockId, Expect, IncomingBlock, MappedStorage, StorageEngine};

fn copy<S: MappedStorage>(engine: &mut StorageEngine<'_, S>, from: &BlockId, to: &IncomingBlock<'_>) {
    let _ = engine.put_from(to, Expect::Any, |room| {
        engine.find(from).map(|block| block.map_or(0, |block| block.content().len().min(room.len())))
    });
}

fn main() {}
