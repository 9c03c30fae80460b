//! What a reader through scratch shows lies in the scratch, into which it reads the next block.
use kausaldb::{BlockId, Storage, StorageEngine};

fn both<S: Storage>(engine: &mut StorageEngine<'_, S>, ids: [BlockId; 2], scratch: &mut [u8]) -> bool {
    let mut reader = engine.reader_through(scratch);
    let one = reader.find(&ids[0]).unwrap().unwrap();
    let two = reader.find(&ids[1]).unwrap().unwrap();
    one.content() == two.content()
}

fn main() {}
