//! Only the end of a query makes its workspace the caller's again: it takes the query's token, which nobody
//! outside the store has.
use kausaldb::Workspace;
use kausaldb::memory::owned::{Caller, Owned, Query};

fn take_back<'s>(workspace: Owned<Workspace<'s>, Query>, caller: &Caller) -> Owned<Workspace<'s>, Caller> {
    workspace.transfer(caller)
}

fn main() {}
