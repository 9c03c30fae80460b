//! The boards' default run on a host: the simulator's flash and a file end with the same bytes, and the
//! boards' flash with those of that file.
#![cfg(test)]

use flight_recorder::Recorder;
use flight_recorder::scenario::{self, CAPACITY, EVENTS, FLASH_BYTES, FORMAT, GEOMETRY};
use kausaldb::Config;
use kausaldb::storage::{Geometry, Storage};
use kausaldb_file::PositionedFile;
use kausaldb_sim::SimNor;
use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;

/// As a board does it: format, record, start again without having closed. Returns every byte of the storage.
fn run<S: Storage>(storage: &mut S) -> Vec<u8> {
    kausaldb::format(storage, &FORMAT).expect("format");
    let mut region = vec![MaybeUninit::uninit(); CAPACITY.region_bytes()];
    for end in [EVENTS, 0] {
        let mut recorder = Recorder::open(&mut *storage, &mut region, CAPACITY, Config::default())
            .unwrap_or_else(|error| panic!("open: {error}"));
        while recorder.next() < end {
            let number = recorder.next();
            let causes: Vec<_> = scenario::causes(number).collect();
            let recorded = recorder.record(&scenario::event(number), &causes);
            assert_eq!(recorded.ok(), Some(number));
        }
        assert_eq!(recorder.next(), EVENTS);
    }
    let mut bytes = vec![0; FLASH_BYTES as usize];
    storage.read(0, &mut bytes).expect("read");
    bytes
}

/// A file that says of itself what the boards' flash says: headers name the manners of the medium.
struct AsFlash(PositionedFile);

impl Storage for AsFlash {
    type Error = <PositionedFile as Storage>::Error;

    fn geometry(&self) -> Geometry {
        GEOMETRY
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        Storage::read(&mut self.0, at, into)
    }

    fn is_lost(&self, error: &Self::Error) -> bool {
        self.0.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), Self::Error> {
        self.0.erase(sector)
    }

    fn sync(&mut self) -> Result<(), Self::Error> {
        self.0.sync()
    }
}

#[test]
fn simulator_and_file_end_with_the_same_bytes() {
    let flash = run(&mut SimNor::new(GEOMETRY, 1).expect("geometry"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("boards.bin");
    if path.exists() {
        fs::remove_file(&path).expect("an earlier run's file");
    }
    let bytes = run(&mut AsFlash(PositionedFile::create(&path, GEOMETRY).expect("file")));
    let differ = flash.iter().zip(&bytes).position(|(flash, file)| flash != file);
    assert_eq!(differ, None, "the first byte that differs");
    // What the boards' flash is compared with.
    assert_eq!(fs::read(path).ok(), Some(flash));
}
