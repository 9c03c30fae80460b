//! The recorder on a host's file: each run records a boot, a few readings and an alarm, and tells what led
//! to it.
//!
//! ```text
//! cargo run -p flight-recorder --example host -- flight.kdb
//! ```
//!
//! The file is what a dump of a board's flash would be: `kausaldb --store flight.kdb stats` shows it.

use flight_recorder::{Event, Recorder};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{Capacity, Config, FormatOptions, StoreId};
use kausaldb_file::{Access, OpenedFile, PositionedFile, Region};
use std::error::Error;
use std::path::Path;

/// As a board with 256 KiB of flash has it.
const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 256 * 1024,
    erase_bytes: 4096,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: false,
};
const CAPACITY: Capacity = Capacity { nodes: 1000, ..Capacity::SMALL };

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("which file? It is made if it is not there")?;
    let mut region = Region::new(CAPACITY.region_bytes())?;
    let storage = storage(Path::new(&path))?;
    let mut recorder = Recorder::open(storage, region.bytes(), CAPACITY, Config::default())?;
    let now = || {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    let boot = recorder.record(&Event::new(now(), 1, b"boot"), &[])?;
    let mut last = boot;
    for reading in ["21 degrees", "35 degrees", "90 degrees"] {
        last = recorder.record(&Event::new(now(), 2, reading.as_bytes()), &[last])?;
    }
    let alarm = recorder.record(&Event::new(now(), 3, b"too hot"), &[last, boot])?;
    println!("events {} to {}; what led to {alarm}:", recorder.oldest(), recorder.next() - 1);
    recorder.led_to(alarm, |number, event| match event {
        Ok(event) => {
            let text = String::from_utf8_lossy(&event.payload);
            println!("{number:6}  {}  {text}", event.time_ms);
        }
        Err(error) => println!("{number:6}  {error}"),
    });
    recorder.close().1?;
    Ok(())
}

/// The store's file, made and formatted if there is none.
fn storage(path: &Path) -> Result<PositionedFile, Box<dyn Error>> {
    if path.exists() {
        return Ok(OpenedFile::open(path, Access::ReadWrite)?.with_geometry(GEOMETRY)?);
    }
    let mut file = PositionedFile::create(path, GEOMETRY)?;
    let store = StoreId::from_u128(0xF117);
    kausaldb::format(&mut file, &FormatOptions { store, segment_bytes: 4096 })?;
    Ok(file)
}
