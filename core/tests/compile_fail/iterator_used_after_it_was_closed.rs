//! What is closed shows nothing any more.
use kausaldb::engine::Media;
use kausaldb::{Order, Query};

fn go_on<M: Media>(query: &mut Query<'_, '_, '_, M>) -> bool {
    let Ok(scan) = query.scan(Order::NewestFirst) else { return false };
    drop(query.close(scan));
    query.next_info(&scan).is_ok()
}

fn main() {}
