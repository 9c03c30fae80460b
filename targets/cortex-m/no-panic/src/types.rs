//! Calls of `types`.

use crate::any::{any, call_each, keep, show};
use kausaldb::types::{
    BlockId, BlockRef, ContextBlock, Direction, EdgeKey, EdgeKind, KeyRange, Location, NodeNumber,
    ParseIdError, Sequence, StoreId,
};

pub(crate) fn call_all() {
    call_each![
        BlockRef::id,
        BlockRef::version,
        BlockRef::source_uri,
        BlockRef::source_uri_bytes,
        BlockRef::metadata,
        BlockRef::content,
        BlockRef::as_block,
        BlockId::new,
        BlockId::bytes,
        BlockId::from_u128,
        StoreId::new,
        StoreId::bytes,
        StoreId::from_u128,
        EdgeKind::name,
        EdgeKind::parse,
        Direction::reverse,
        KeyRange::contains,
        KeyRange::covers,
        Sequence::new,
        Sequence::get,
        NodeNumber::new,
        NodeNumber::get,
        Location::new,
        Location::get,
        Location::is_none,
    ];
    keep(BlockRef::from(any::<&ContextBlock<'_>>()));
    keep(any::<&str>().parse::<BlockId>());
    keep(any::<&str>().parse::<StoreId>());
    keep(any::<EdgeKey>().cmp(&any()));
    show::<BlockId>();
    show::<StoreId>();
    show::<EdgeKind>();
    show::<Sequence>();
    show::<ParseIdError>();
}
