//! An iterator is closed once: closing takes it.
use kausaldb::engine::Media;
use kausaldb::{Order, Query};

fn close<M: Media>(query: &mut Query<'_, '_, '_, M>) {
    let Ok(scan) = query.scan(Order::NewestFirst) else { return };
    drop(query.close(scan));
    drop(query.close(scan));
}

fn main() {}
