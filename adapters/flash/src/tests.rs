//! What the flash storages promise, over a strict driver in RAM.

mod uneven;

use crate::{FlashError, FlashStorage, Partition, SetupError, XipStorage};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use kausaldb::storage::{Erased, Geometry, GeometryError, MappedStorage, Storage};
use kausaldb_sim::{NorRam, NorRamError};
use std::string::ToString;
use std::vec::Vec;
use std::{boxed::Box, format, vec};

const PARTITION: Partition = Partition { offset_bytes: 1024, len_bytes: 4096 };

type Nor = NorRam<4, 8, 1024>;

fn storage() -> FlashStorage<Nor> {
    FlashStorage::new(Nor::new(8, 0xFF), PARTITION, Erased::Ones).unwrap()
}

#[test]
fn the_geometry_is_the_drivers_and_the_partitions() {
    let expected = Geometry {
        capacity_bytes: 4096,
        erase_bytes: 1024,
        write_bytes: 8,
        erased: Erased::Ones,
        keeps_write_order: true,
    };
    assert_eq!(storage().geometry(), expected);
    assert_eq!(storage().partition(), PARTITION);
    let zeros = FlashStorage::new(Nor::new(8, 0x00), PARTITION, Erased::Zeros).unwrap();
    assert_eq!(zeros.geometry().erased, Erased::Zeros);
}

#[test]
fn what_is_written_lands_in_the_partition_and_nowhere_else() {
    let mut storage = storage();
    for sector in 0..4 {
        storage.erase(sector).unwrap();
        storage.write(u64::from(sector) * 1024, &[sector as u8; 1024]).unwrap();
    }
    storage.sync().unwrap();
    let driver = storage.close();
    assert_eq!(driver.bytes()[..1024], [0xFF; 1024]);
    assert_eq!(driver.bytes()[1024 + 4096..], [0xFF; 3072]);
    for sector in 0..4 {
        assert_eq!(driver.bytes()[1024 * (sector + 1)..][..1024], [sector as u8; 1024]);
    }
}

#[test]
fn an_erase_clears_its_sector_alone() {
    let mut storage = storage();
    storage.write(0, &[1; 4096]).unwrap();
    storage.erase(2).unwrap();
    let driver = storage.close();
    let sectors = driver.bytes().chunks(1024).skip(1).map(|sector| sector[0]);
    assert_eq!(sectors.take(4).collect::<Vec<_>>(), [1, 1, 0xFF, 1]);
}

/// Every span of the first 80 bytes and of the last, over drivers that read words of these sizes.
fn reads_every_span<const READ: usize>() {
    let mut driver = NorRam::<READ, 8, 1024>::new(8, 0xFF);
    let written: Vec<u8> = (0..4096).map(|at| (at * 7 % 251) as u8).collect();
    driver.write(1024, &written).unwrap();
    let mut storage = FlashStorage::new(&mut driver, PARTITION, Erased::Ones).unwrap();
    // Miri takes minutes for all of them.
    let stride = if cfg!(miri) { 13 } else { 1 };
    for base in [0, 4096 - 80] {
        for start in (base..base + 80).step_by(stride) {
            for end in (start..=base + 80).step_by(stride) {
                let mut bytes = vec![0; end - start];
                storage.read(start as u64, &mut bytes).unwrap();
                assert_eq!(bytes, written[start..end], "{start}..{end} in words of {READ}");
            }
        }
    }
}

#[test]
fn reads_of_any_alignment_work_whatever_the_driver_reads_at_once() {
    reads_every_span::<1>();
    reads_every_span::<2>();
    reads_every_span::<4>();
    reads_every_span::<16>();
    reads_every_span::<32>();
}

#[test]
fn accesses_out_of_the_partition_or_unaligned_never_reach_the_driver() {
    fn check(storage: &mut impl Storage<Error = FlashError<NorRamError>>) {
        let refused = |result, at, len| {
            let error = FlashError::Access { at, len, partition_bytes: 4096 };
            assert_eq!(result, Err(error));
        };
        for (at, len) in [(4096, 8), (4088, 16), (u64::MAX - 7, 8), (1 << 32, 8), (4, 8), (0, 4)] {
            refused(storage.write(at, &vec![0; len]), at, len);
        }
        for (at, len) in [(4096, 1), (4095, 2), (u64::MAX, 1), (1 << 32, 0), (5000, 0)] {
            refused(storage.read(at, &mut vec![0; len]), at, len);
        }
        refused(storage.erase(4), 4096, 1024);
        refused(storage.erase(u32::MAX), u64::from(u32::MAX) * 1024, 1024);
        storage.read(4096, &mut []).unwrap();
    }
    let mut storage = storage();
    check(&mut storage);
    assert_eq!(storage.close().bytes(), [0xFF; 8192]);
    let (driver, window) = Xip::new();
    check(&mut driver.storage(window));
}

#[test]
fn an_error_of_the_driver_passes_through() {
    let mut storage = storage();
    storage.write(16, &[0; 8]).unwrap();
    let error = storage.write(16, &[0; 8]).unwrap_err();
    assert_eq!(error, FlashError::Driver(NorRamError::WrittenTwice));
    assert_eq!(error.to_string(), "the flash driver says WrittenTwice");
    storage.write(24, &[0; 8]).unwrap();
}

#[test]
fn only_an_error_that_the_caller_names_says_that_bytes_are_lost() {
    let lost = FlashError::Driver(NorRamError::OutOfBounds);
    let access = FlashError::Access { at: 0, len: 1, partition_bytes: 4096 };
    assert!(!storage().is_lost(&lost));
    let storage = storage().with_lost(|error| *error == NorRamError::OutOfBounds);
    assert!(storage.is_lost(&lost));
    assert!(!storage.is_lost(&FlashError::Driver(NorRamError::NotAligned)));
    assert!(!storage.is_lost(&access));
}

#[test]
fn a_driver_that_is_lent_is_free_again_at_the_end() {
    let mut driver = Nor::new(8, 0xFF);
    for round in 0..3 {
        let mut storage = FlashStorage::new(&mut driver, PARTITION, Erased::Ones).unwrap();
        storage.erase(1).unwrap();
        storage.write(1024, &[round; 8]).unwrap();
    }
    assert_eq!(driver.bytes()[2048..2056], [2; 8]);
}

#[test]
fn small_erase_sizes_are_grouped_to_sectors() {
    let mut driver = NorRam::<4, 4, 128>::new(32, 0x00);
    driver.write(0, &[9; 4096]).unwrap();
    let partition = Partition { offset_bytes: 128, len_bytes: 1024 };
    let mut storage = FlashStorage::new(&mut driver, partition, Erased::Zeros).unwrap();
    assert_eq!(storage.geometry().erase_bytes, 512);
    assert_eq!(storage.geometry().sectors(), 2);
    storage.erase(1).unwrap();
    assert_eq!(driver.bytes()[..128 + 512], [9; 128 + 512]);
    assert_eq!(driver.bytes()[128 + 512..][..512], [0; 512]);
    assert_eq!(driver.bytes()[128 + 1024..], [9; 4096 - 128 - 1024]);
}

#[test]
fn a_partition_lies_in_the_flash_and_on_its_sectors() {
    let error = |offset_bytes, len_bytes| {
        let partition = Partition { offset_bytes, len_bytes };
        FlashStorage::new(Nor::new(8, 0xFF), partition, Erased::Ones).unwrap_err()
    };
    assert_eq!(error(100, 4096), SetupError::Offset { offset_bytes: 100, multiple_of: 1024 });
    let beyond = SetupError::Partition { end_bytes: 9216, flash_bytes: 8192 };
    assert_eq!(error(1024, 8192), beyond);
    assert_eq!(beyond.to_string(), "the partition ends at 9216, the flash at 8192");
    let far = SetupError::Partition { end_bytes: 0xFFFF_FC00 + 4096, flash_bytes: 8192 };
    assert_eq!(error(0xFFFF_FC00, 4096), far);
    let empty = GeometryError::Capacity { given: 0, multiple_of: 1024 };
    assert_eq!(error(0, 0), SetupError::Geometry(empty));
    let odd = GeometryError::Capacity { given: 1000, multiple_of: 1024 };
    assert_eq!(error(0, 1000), SetupError::Geometry(odd));
    let twelve = FlashStorage::new(NorRam::<4, 12, 1536>::new(8, 0xFF), PARTITION, Erased::Ones);
    let odd = GeometryError::WriteSize { given: 12 };
    assert_eq!(twelve.unwrap_err(), SetupError::Geometry(odd));
}

/// Flash at an address, without the rules of [`NorRam`]: its driver and its window share the bytes.
struct Xip {
    base: *mut u8,
}

const XIP_BYTES: usize = 8192;

impl Xip {
    /// The driver, and the address where its partition shows.
    fn new() -> (Self, usize) {
        let base = Box::into_raw(Box::new([0xFF_u8; XIP_BYTES])).cast::<u8>();
        (Self { base }, base.expose_provenance() + PARTITION.offset_bytes as usize)
    }

    #[allow(unsafe_code)]
    fn storage(self, window: usize) -> XipStorage<Self> {
        // SAFETY:
        // - the window shows this driver's bytes, which live until the driver is dropped;
        // - nobody else has the driver.
        unsafe { XipStorage::new(self, PARTITION, Erased::Ones, window) }.unwrap()
    }

    #[allow(unsafe_code)]
    fn put(&mut self, offset: usize, byte: u8) {
        assert!(offset < XIP_BYTES);
        // SAFETY:
        // - inside the allocation;
        // - `&mut self` of the driver is reached only through `&mut` of the storage, which ends borrows of
        //   the window.
        unsafe { self.base.wrapping_add(offset).write(byte) };
    }
}

impl Drop for Xip {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY:
        // - the pointer came from a box of this type, and is dropped once.
        drop(unsafe { Box::from_raw(self.base.cast::<[u8; XIP_BYTES]>()) });
    }
}

impl ErrorType for Xip {
    type Error = NorRamError;
}

impl ReadNorFlash for Xip {
    const READ_SIZE: usize = 1;

    fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), NorRamError> {
        panic!("the window is there to be read");
    }

    fn capacity(&self) -> usize {
        XIP_BYTES
    }
}

impl NorFlash for Xip {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 1024;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorRamError> {
        (from..to).for_each(|offset| self.put(offset as usize, 0xFF));
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorRamError> {
        (offset as usize..).zip(bytes).for_each(|(offset, byte)| self.put(offset, *byte));
        Ok(())
    }
}

#[test]
fn a_window_shows_what_the_driver_wrote_and_can_be_borrowed() {
    let (driver, window) = Xip::new();
    let mut storage = driver.storage(window);
    assert_eq!(storage.bytes(), [0xFF; 4096]);
    storage.write(8, &[7; 16]).unwrap();
    storage.sync().unwrap();
    let (before, after) = (&storage.bytes()[..8], &storage.bytes()[8..]);
    assert_eq!((before, &after[..17]), (&[0xFF; 8][..], &[vec![7; 16], vec![0xFF]].concat()[..]));
    let mut read = [0; 3];
    storage.read(6, &mut read).unwrap();
    assert_eq!(read, [0xFF, 0xFF, 7]);
    storage.erase(0).unwrap();
    assert_eq!(storage.bytes(), [0xFF; 4096]);
    assert_eq!(storage.partition(), PARTITION);
    drop(storage.close());
}

#[test]
fn errors_can_be_shown() {
    let access = FlashError::<NorRamError>::Access { at: 5, len: 6, partition_bytes: 7 };
    assert_eq!(format!("{access}"), "no aligned access of 6 bytes at 5 in a partition of 7 bytes");
}

#[test]
fn both_storages_keep_what_they_are_given() {
    for seed in 0..20 {
        kausaldb_sim::check_storage(&mut storage(), seed, 200);
        let (driver, window) = Xip::new();
        kausaldb_sim::check_mapped_storage(&mut driver.storage(window), seed, 200);
    }
}
