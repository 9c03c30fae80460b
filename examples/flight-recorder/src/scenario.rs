//! What the boards record, and how large a store they record it in: the same everywhere, on a host as well,
//! to the last byte of flash.
//!
//! Each event follows from its number, so that whoever reads one can check it.

use crate::{Event, Number, PAYLOAD_BYTES_MAX};
use core::fmt::Write;
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{Capacity, FormatOptions, StoreId};

/// Size of the flash that the store has, in bytes.
pub const FLASH_BYTES: u32 = 64 * 1024;
/// What is erased at once, and a segment, in bytes.
pub const SECTOR_BYTES: u32 = 4096;
/// The flash, however it is reached.
pub const GEOMETRY: Geometry = Geometry {
    capacity_bytes: FLASH_BYTES as u64,
    erase_bytes: SECTOR_BYTES,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};
/// How an empty store is made.
pub const FORMAT: FormatOptions =
    FormatOptions { store: StoreId::from_u128(0xB0A2D), segment_bytes: SECTOR_BYTES };
/// Room for a little more than 200 events and 400 causes, in a region of 8 KiB at most.
pub const CAPACITY: Capacity = Capacity {
    nodes: 204,
    pending_edges: 12,
    hub_pages: 2,
    segments: FLASH_BYTES / SECTOR_BYTES,
    segment_bytes: SECTOR_BYTES,
    block_bytes: 96,
    batch_operations: 5,
    buffer_bytes: 64,
    ..Capacity::SMALL
};
/// Events that are recorded: several times what is kept.
pub const EVENTS: Number = 1000;

const _: () = assert!(CAPACITY.region_bytes() <= 8 * 1024);

/// The event with this number.
pub fn event(number: Number) -> Event {
    let mut text = heapless::String::<PAYLOAD_BYTES_MAX>::new();
    let written = match number % 10 {
        9 => write!(text, "alarm {number}"),
        _ => write!(text, "reading {number}: {} degrees", 20 + number * 7 % 80),
    };
    // A number has 20 digits at most.
    debug_assert!(written.is_ok());
    Event::new(number * 250, (number % 10) as u16, text.as_bytes())
}

/// What caused it: the event before it, and two earlier ones, the latest first.
pub fn causes(number: Number) -> impl Iterator<Item = Number> + Clone {
    let back = [1, 3 + number % 5, 12].into_iter();
    back.filter_map(move |back| number.checked_sub(back))
}
