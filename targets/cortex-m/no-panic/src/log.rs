//! Calls of `log`.

use crate::any::{any, call_each, drain, show};
use crate::storage::Ram;
use kausaldb::log::{
    BodyFlip, Log, LogBytes, LogError, OnStorage, OpenPage, ReadLog, RecordWriter, Ring,
    SealedPage, Slot, TableWalk, Walk, read_header,
};
use kausaldb::storage::RamError;

/// A way to read that the compiler does not know.
type Erased = dyn LogBytes<Error = RamError>;

pub(crate) fn call_all() {
    log();
    ring();
    walks();
    call_each![
        OpenPage::footprint,
        OpenPage::new,
        OpenPage::form,
        OpenPage::entries,
        OpenPage::is_full,
        OpenPage::first,
        OpenPage::previous,
        OpenPage::restart,
        OpenPage::bytes_with,
        OpenPage::ends_segment,
        OpenPage::push,
        OpenPage::seal,
        SealedPage::record,
        SealedPage::columns,
        SealedPage::unseal,
        SealedPage::reopen,
        RecordWriter::<Ram>::body,
        RecordWriter::<Ram>::fill,
        RecordWriter::<Ram>::end,
    ];
    show::<LogError<RamError>>();
}

fn log() {
    call_each![
        Log::footprint,
        Log::new,
        Log::forget,
        Log::layout,
        Log::traffic,
        Log::usual_header,
        Log::begin_headers,
        Log::remember,
        Log::count_moved,
        Log::page,
        Log::at,
        Log::end_of,
        Log::number_max,
        Log::saw_number,
        Log::saw_node,
        Log::position,
        Log::position_of,
        Log::body_bytes_max,
        Log::record_bytes_max,
        Log::append::<Ram>,
        Log::append_damaged::<Ram>,
        Log::begin::<Ram>,
        Log::end_fresh,
        Log::successor::<Ram>,
        Log::can_tell_successor::<Ram>,
        Log::flush::<Ram>,
        Log::abandon,
        Log::sync::<Ram>,
        Log::sync_storage::<Ram>,
        Log::beyond_doubt,
        Log::end_doubt,
        Log::open_segment::<Ram>,
        Log::try_bad_slots::<Ram>,
        Log::read::<Ram>,
        Log::seed,
        Log::corrupt::<RamError>,
        Log::bytes_of,
        Log::outline_of,
        Log::on::<Ram>,
        Log::copy::<Ram>,
    ];
}

fn ring() {
    call_each![
        Slot::number,
        Slot::end,
        Slot::index,
        Slot::is_sealed,
        Slot::erase_count,
        Slot::damage,
        Slot::is_damage_known,
        Slot::state,
        Ring::footprint,
        Ring::new,
        Ring::clear,
        Ring::segments,
        Ring::slot,
        Ring::slots,
        Ring::found,
        Ring::found_header,
        Ring::before,
        Ring::beginning,
        Ring::set_state,
        Ring::push_tail,
        Ring::live,
        Ring::free,
        Ring::tail,
        Ring::head,
        Ring::after,
        Ring::push_head,
        Ring::end_head,
        Ring::found_damage,
        Ring::knew_damage,
        Ring::unknown_damage,
        Ring::pop_tail,
        Ring::add_free,
        Ring::add_free_first,
        Ring::next_free,
        Ring::pop_free,
        Ring::count_erase,
        Ring::found_bad,
        Ring::add_mended,
        Ring::sound,
        Ring::position,
    ];
    drain(Ring::chain(any()));
}

fn walks() {
    call_each![
        TableWalk::by_pages,
        TableWalk::by_headers,
        TableWalk::slot,
        TableWalk::at,
        TableWalk::back_at,
        TableWalk::skip_to,
        TableWalk::next::<Ram>,
        Walk::new,
        Walk::checking_bodies,
        Walk::unproven,
        Walk::at,
        Walk::end,
        Walk::skip_to,
        Walk::next::<OnStorage<'static, 'static, Ram>>,
        Walk::next::<Erased>,
        BodyFlip::mend,
        <dyn LogBytes<Error = RamError>>::header,
        <dyn LogBytes<Error = RamError>>::next_header,
        <dyn LogBytes<Error = RamError>>::mended_header,
        <dyn LogBytes<Error = RamError>>::mend_header,
        <dyn LogBytes<Error = RamError>>::known_header,
        <dyn LogBytes<Error = RamError>>::named,
        <dyn LogBytes<Error = RamError>>::known_outline,
        <dyn LogBytes<Error = RamError>>::recent_outline,
        <dyn LogBytes<Error = RamError>>::body_is_valid,
        <dyn LogBytes<Error = RamError>>::body_state,
        <dyn LogBytes<Error = RamError>>::body_state_at,
    ];
    read_log::<OnStorage<'static, 'static, Ram>>();
    read_log::<RecordWriter<'static, 'static, Ram>>();
}

fn read_log<L: ReadLog>() {
    call_each![
        <L as LogBytes>::log,
        <L as LogBytes>::erased,
        <L as LogBytes>::read,
        <L as LogBytes>::look,
        <L as LogBytes>::check_of,
        <L as LogBytes>::usual_header,
        <L as LogBytes>::saw_header,
        <L as LogBytes>::remembered,
        <L as LogBytes>::remember,
        read_header::<L>,
        <L as ReadLog>::header,
        <L as ReadLog>::next_header,
        <L as ReadLog>::mended_header,
        <L as ReadLog>::mend_header,
        <L as ReadLog>::known_header,
        <L as ReadLog>::named,
        <L as ReadLog>::known_outline,
        <L as ReadLog>::recent_outline,
        <L as ReadLog>::body_is_valid,
        <L as ReadLog>::body_state,
        <L as ReadLog>::body_state_at,
    ];
}
