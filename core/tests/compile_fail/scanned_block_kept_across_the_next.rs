//! A scan through scratch shows one block at a time.
use kausaldb::memory::owned::{Caller, Owned};
use kausaldb::{Order, Storage, StorageEngine, Workspace};

fn both<S: Storage>(
    engine: &mut StorageEngine<'_, S>,
    scratch: &mut [u8],
    workspace: Owned<Workspace<'_>, Caller>,
) -> bool {
    let mut query = engine.reader_through(scratch).query(workspace);
    let scan = query.scan(Order::NewestFirst).unwrap();
    let one = query.next_block(&scan).unwrap().unwrap();
    let two = query.next_block(&scan).unwrap().unwrap();
    one.content() == two.content()
}

fn main() {}
