//! A link into one pool does not name an object of another's type.
use kausaldb::memory::{Link, Pool, PoolError};

fn mix_up<'p>(pool: &'p Pool<'_, u64>, link: Link<u32>) -> Result<&'p u64, PoolError> {
    pool.get(link)
}

fn main() {}
