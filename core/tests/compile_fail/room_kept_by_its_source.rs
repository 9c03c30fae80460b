//! The room in the write buffer is the caller's only while the source runs.
use kausaldb::{Expect, IncomingBlock, Storage, StorageEngine};

fn keep<'k, S: Storage>(
    engine: &mut StorageEngine<'_, S>,
    block: &IncomingBlock<'_>,
    kept: &mut &'k mut [u8],
) {
    let _ = engine.put_from(block, Expect::Any, |room| {
        *kept = room;
        Ok::<_, ()>(0)
    });
}

fn main() {}
