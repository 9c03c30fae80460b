//! What the simulator enforces, and what its power cuts may leave behind.

use crate::{Aftermath, SetupError, SimError, SimNor, Survivors, TornErase, TornWrite, Violation};
use kausaldb::storage::{Erased, Geometry, GeometryError, MappedStorage, Storage};

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 4 << 10,
    erase_bytes: 1 << 10,
    write_bytes: 8,
    erased: Erased::Ones,
    keeps_write_order: true,
};

const FILE: Geometry = Geometry { keeps_write_order: false, ..GEOMETRY };

fn nor(geometry: Geometry) -> SimNor {
    SimNor::new(geometry, 7).unwrap()
}

fn read<const N: usize>(nor: &mut SimNor, at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    nor.read(at, &mut bytes).unwrap();
    bytes
}

/// A medium with sector 0 written full of threes, synced.
fn written(geometry: Geometry) -> SimNor {
    let mut nor = nor(geometry);
    nor.erase(0).unwrap();
    nor.write(0, &[3; 1 << 10]).unwrap();
    nor.sync().unwrap();
    nor
}

mod rules;

#[test]
fn an_erase_leaves_the_pattern_of_the_geometry() {
    for (erased, byte) in [(Erased::Ones, 0xFF), (Erased::Zeros, 0x00)] {
        let mut nor = written(Geometry { erased, ..GEOMETRY });
        nor.erase(0).unwrap();
        assert_eq!(read(&mut nor, 0), [byte; 1 << 10]);
    }
    let mut nor = written(Geometry { erased: Erased::Unknown, ..GEOMETRY });
    nor.erase(0).unwrap();
    let blank: [u8; 1 << 10] = read(&mut nor, 0);
    assert!((0..=255).filter(|byte| blank.contains(byte)).count() > 200, "bytes look random");
    assert_eq!(read::<1024>(&mut nor, 0), blank, "and are the same at each read");
    let mut file = written(Geometry { erased: Erased::Unknown, ..FILE });
    file.erase(0).unwrap();
    assert_eq!(read(&mut file, 0), [3; 1 << 10], "a file is not filled on erase");
}

#[test]
fn everything_asked_is_counted() {
    let mut nor = nor(GEOMETRY);
    nor.erase(1).unwrap();
    nor.erase(1).unwrap();
    nor.erase(3).unwrap();
    nor.write(1 << 10, &[0; 24]).unwrap();
    nor.sync().unwrap();
    read::<5>(&mut nor, 3);
    let counts = nor.counts();
    assert_eq!((counts.reads, counts.bytes_read), (1, 5));
    assert_eq!((counts.writes, counts.bytes_written), (1, 24));
    assert_eq!((counts.erases, counts.syncs), (3, 1));
    assert_eq!(nor.erases(), [0, 2, 0, 1]);
    assert_eq!(nor.steps(), 3 + 3 + 1, "erases, units and syncs");
}

mod cuts;

mod faults;

mod files;

mod replay;

mod nor_ram;

mod conformance {
    use super::*;
    use crate::{check_mapped_storage, check_storage};
    use kausaldb::storage::RamStorage;

    #[test]
    fn the_simulator_and_the_slice_of_ram_keep_what_they_are_given() {
        for seed in 0..20 {
            for erased in [Erased::Ones, Erased::Zeros, Erased::Unknown] {
                for keeps_write_order in [true, false] {
                    let geometry = Geometry { erased, keeps_write_order, ..GEOMETRY };
                    let mut nor = SimNor::new(geometry, seed).unwrap();
                    check_mapped_storage(&mut nor, seed, 200);
                    assert_eq!(nor.violations(), []);
                }
            }
            let mut bytes = [0; 4 << 10];
            let mut ram = RamStorage::new(&mut bytes, 1 << 10, 8).unwrap();
            check_mapped_storage(&mut ram, seed, 200);
        }
    }

    /// Loses the last byte of each write.
    struct Forgetful(SimNor);

    impl Storage for Forgetful {
        type Error = SimError;

        fn geometry(&self) -> Geometry {
            self.0.geometry()
        }

        fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
            self.0.read(at, into)
        }

        fn is_lost(&self, error: &SimError) -> bool {
            self.0.is_lost(error)
        }

        fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
            let mut bytes = bytes.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            self.0.write(at, &bytes)
        }

        fn erase(&mut self, sector: u32) -> Result<(), SimError> {
            self.0.erase(sector)
        }

        fn sync(&mut self) -> Result<(), SimError> {
            self.0.sync()
        }
    }

    #[test]
    #[should_panic(expected = "delivers other bytes")]
    fn a_storage_that_loses_a_byte_is_found_out() {
        check_storage(&mut Forgetful(nor(GEOMETRY)), 1, 200);
    }
}
