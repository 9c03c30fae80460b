//! Calls of `state`.

use crate::any::{any, call_each, drain};
use crate::storage::Ram;
use kausaldb::state::{Charge, Intents, Limit, List, Living, Share, State, Store};
use kausaldb::storage::RamError;

pub(crate) fn call_all() {
    call_each![
        State::footprint,
        State::new,
        State::clear,
        State::stop_counting,
        State::restart_counting,
        State::count,
        State::adjacency,
        State::is_bare,
        State::is_free,
        State::rests_on,
        State::is_live,
        State::apply::<Ram>,
        State::give_way::<Ram>,
        State::count_pending,
        State::pending_half,
        Store::<Ram>::record,
        Store::<Ram>::record_damaged,
        Store::<Ram>::apply,
        Store::<Ram>::share,
        State::lookup::<RamError>,
        State::damaged_span::<RamError>,
        State::has_edge::<RamError>,
        List::new,
        List::start::<RamError>,
        List::next::<RamError>,
        List::record_entries,
        Limit::field,
    ];
    charges();
    intents();
}

fn charges() {
    call_each![
        Share::of,
        Share::of_outline,
        Share::in_place,
        Share::of_growth,
        Charge::usable,
        Charge::filled,
        Charge::add,
        Charge::subtract,
        Charge::with,
        Charge::without,
        Charge::taken,
        Charge::taken_at_most,
        Charge::is_surely_within,
        Living::footprint,
        Living::new,
        Living::clear,
        Living::charge,
        Living::in_slot,
        Living::add,
        Living::subtract,
        Living::subtract_outline,
    ];
}

fn intents() {
    call_each![
        Intents::footprint,
        Intents::new,
        Intents::capacity,
        Intents::len,
        Intents::is_empty,
        Intents::high_water,
        Intents::clear,
        Intents::contains,
        Intents::get,
        Intents::first,
        Intents::open_at,
        Intents::set_cursor,
        Intents::close,
    ];
    drain(Intents::iter(any()));
}
