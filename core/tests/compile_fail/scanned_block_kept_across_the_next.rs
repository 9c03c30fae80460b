//! A scan through scratch shows one block at a time.
use kausaldb::{Order, Storage, StorageEngine};

fn both<S: Storage>(engine: &mut StorageEngine<'_, S>, scratch: &mut [u8]) -> bool {
    let mut scan = engine.reader_through(scratch).scan(Order::NewestFirst);
    let one = scan.next_block().unwrap().unwrap();
    let two = scan.next_block().unwrap().unwrap();
    one.content() == two.content()
}

fn main() {}
