//! What the boards record, and how large a store they record it in: the same everywhere, to the last byte of
//! flash.
//!
//! Each event follows from its number, so that whoever reads one can check it.
#![no_std]

extern crate alloc;

use alloc::format;
use flight_recorder::{Event, Number};
use kausaldb::{Capacity, FormatOptions, StoreId};

/// Size of the flash that the store has, in bytes.
pub const FLASH_BYTES: u32 = 64 * 1024;
/// What is erased at once, and a segment, in bytes.
pub const SECTOR_BYTES: u32 = 4096;
/// What is written at once, in bytes.
pub const WORD_BYTES: u32 = 4;
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

/// The event with this number. Its text is made on the application's heap.
pub fn event(number: Number) -> Event {
    let text = match number % 10 {
        9 => format!("alarm {number}"),
        _ => format!("reading {number}: {} degrees", 20 + number * 7 % 80),
    };
    Event::new(number * 250, (number % 10) as u16, text.as_bytes())
}

/// What caused it: the event before it, and two earlier ones, the latest first.
pub fn causes(number: Number) -> impl Iterator<Item = Number> + Clone {
    let back = [1, 3 + number % 5, 12].into_iter();
    back.filter_map(move |back| number.checked_sub(back))
}
