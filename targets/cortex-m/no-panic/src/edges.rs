//! Calls of `edges`.

use crate::any::{any, call_each, drain, keep, show};
use kausaldb::edges::{Half, HubChain, HubError, HubPages, KeyChange, PendingEdges, PendingFull};

pub(crate) fn call_all() {
    pending();
    hubs();
    call_each![KeyChange::new, KeyChange::key, KeyChange::is_add];
    keep(KeyChange::from(any::<Half>()));
    show::<HubError>();
    show::<PendingFull>();
}

fn hubs() {
    call_each![
        HubChain::from_raw,
        HubChain::get,
        HubPages::footprint,
        HubPages::new,
        HubPages::capacity,
        HubPages::len,
        HubPages::is_empty,
        HubPages::free,
        HubPages::high_water,
        HubPages::clear,
        HubPages::begin,
        HubPages::page_of,
        HubPages::collapse,
        HubPages::check,
    ];
    keep(HubPages::place(any(), any(), any(), any(), keep));
    drain(HubPages::pages(any(), any()));
    drain(HubPages::locations(any()));
    HubPages::drop_chain(any(), any(), keep);
}

fn pending() {
    call_each![
        PendingEdges::footprint,
        PendingEdges::new,
        PendingEdges::capacity,
        PendingEdges::len,
        PendingEdges::is_empty,
        PendingEdges::free,
        PendingEdges::high_water,
        PendingEdges::clear,
        PendingEdges::insert,
        PendingEdges::get,
        PendingEdges::half,
        PendingEdges::next_half,
        PendingEdges::mentions,
        PendingEdges::fullest,
        PendingEdges::check,
    ];
    drain(PendingEdges::halves(any(), any(), any()));
    drain(PendingEdges::changes(any()));
    keep(PendingEdges::unfolded_elsewhere(any(), any(), |number| {
        keep(number);
        any()
    }));
    PendingEdges::clear_halves(any(), any(), any(), any(), keep);
    PendingEdges::remove_node(any(), any(), keep);
    keep(PendingEdges::drop_oldest(any(), |location| {
        keep(location);
        any::<u64>()
    }));
}
