//! Calls of `format`.

use crate::any::{call_each, show};
use kausaldb::format::{
    BlockHead, Column, Crc, Flip, FoundHeader, Header, HeaderBytes, IndexForm, IndexHeader, Kind,
    Layout, LayoutError, PageEntry, Record, Salt, SegmentHeader, Subject, Tag, entry_bytes,
    entry_key,
};

pub(crate) fn call_all() {
    records();
    call_each![
        BlockHead::of,
        BlockHead::parse_unchecked,
        BlockHead::body_bytes,
        BlockHead::record_bytes,
        BlockHead::block,
        Crc::new,
        Crc::and,
        Crc::get,
        Salt::of,
        Salt::at,
        entry_key,
        entry_bytes,
        Layout::new,
        Layout::store,
        Layout::geometry,
        Layout::segment_bytes,
        Layout::segments,
        Layout::align,
        Layout::padded,
        Layout::padded_long,
        Layout::is_aligned,
        Layout::units,
        Layout::first_offset,
        Layout::index_form,
        Layout::sectors_per_segment,
        Layout::slot_start,
        Layout::location,
        Layout::place,
        Layout::start,
        Flip::locate,
        SegmentHeader::encode,
        FoundHeader::parse,
        FoundHeader::mend,
    ];
    show::<LayoutError>();
}

fn records() {
    call_each![
        Header::mend,
        Header::new,
        Header::record_bytes,
        Header::parse,
        HeaderBytes::as_slice,
        Record::subject,
        Record::outline,
        Record::page_number,
        Record::kind,
        Record::tag,
        Record::number,
        Record::id,
        Record::body_bytes,
        Record::header_bytes,
        Record::bytes,
        Record::encode,
        Subject::id,
        Subject::number,
        Subject::is_block,
        Subject::version_beyond,
        PageEntry::outline,
        Kind::is_edge,
        Kind::has_id,
        IndexForm::entries_max,
        IndexForm::body_bytes,
        IndexForm::body_bytes_max,
        IndexForm::entry_bytes,
        Column::width,
        IndexHeader::column,
        Tag::new,
        Tag::of,
        Tag::byte,
        Tag::kind,
        Tag::in_batch,
        Tag::marked,
    ];
}
