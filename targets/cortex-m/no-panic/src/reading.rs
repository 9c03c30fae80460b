//! Calls of what reads through either kind of media, in `engine`.

use crate::any::{any, call_each, keep};
use crate::storage::Ram;
use kausaldb::engine::{Mapped, Media, Neighbours, Nodes, Query, Reader, Span, Through};
use kausaldb::storage::RamError;

pub(crate) fn call_all() {
    through_media::<Mapped<'static, RamError>>();
    through_media::<Through<'static, Ram>>();
    call_each![<&'static [u8] as Span>::bytes, <&'static [u8] as Span>::block];
}

fn through_media<M: Media + 'static>() {
    call_each![
        Reader::<M>::query,
        Reader::<M>::find,
        Reader::<M>::contains,
        Reader::<M>::version,
        Reader::<M>::read_content,
        Reader::<M>::has_edge,
        Reader::<M>::nodes,
        Reader::<M>::edges,
        Query::<M>::scan,
        Query::<M>::next_info,
        Query::<M>::next_block,
        Query::<M>::close,
        Query::<M>::reader,
        Query::<M>::iterators,
        Query::<M>::end,
        Nodes::<M>::next,
        Neighbours::<M>::next,
        <M as Media>::span,
        <M as Media>::hold,
        <M as Media>::held,
        <M as Media>::copy,
        <M as Media>::copy_around,
        <M as Media>::look,
        <M as Media>::checksum,
        <M as Media>::expect,
    ];
    keep(Reader::<M>::find_many(any(), any(), |number, block| keep((number, block))));
}
