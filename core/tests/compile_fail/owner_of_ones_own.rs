//! The set of owners is closed: there is no owner that a user could make up.
use kausaldb::memory::owned::Owner;

struct Everybody;

impl Owner for Everybody {}

fn main() {}
