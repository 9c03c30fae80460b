//! Calls of `index`.

use crate::any::{any, call_each, drain, keep, show};
use kausaldb::index::{BlockIndex, FreeNumbers, Hash, IndexFull, NumberError};

pub(crate) fn call_all() {
    call_each![
        BlockIndex::footprint,
        BlockIndex::new,
        BlockIndex::hash,
        BlockIndex::prefetch,
        BlockIndex::insert,
        BlockIndex::relocate,
        BlockIndex::remove,
        BlockIndex::entries,
        BlockIndex::home,
        BlockIndex::set_home,
        BlockIndex::adjacency,
        BlockIndex::is_paged,
        BlockIndex::set_adjacency,
        BlockIndex::capacity,
        BlockIndex::used,
        BlockIndex::high_water,
        BlockIndex::raise_high_water,
        BlockIndex::is_used,
        BlockIndex::take,
        BlockIndex::release,
        BlockIndex::peek_free,
        BlockIndex::clear,
        BlockIndex::check,
        FreeNumbers::next,
        Hash::home,
    ];
    drain(BlockIndex::candidates(any(), any()));
    drain(BlockIndex::homes(any()));
    BlockIndex::rebuild_free_list(any(), |number| {
        keep(number);
        any()
    });
    keep(BlockIndex::check_hashes(any(), |number| {
        keep(number);
        any()
    }));
    show::<IndexFull>();
    show::<NumberError>();
}
