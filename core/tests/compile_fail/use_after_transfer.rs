//! Who gave a value away has it no more.
use kausaldb::memory::owned::{Caller, Engine, Owned};

fn main() {
    let caller = Caller::token();
    let staged = Owned::new([0u8; 4], &caller);
    let _engines: Owned<[u8; 4], Engine> = staged.transfer(&caller);
    staged.get(&caller);
}
