//! Flash whose sectors differ in size.

use crate::{FlashError, FlashStorage, Partition, SectorRun, SectorTable, SetupError};
use core::mem::MaybeUninit;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use kausaldb::storage::{Erased, GeometryError, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, StorageEngine, StoreId, format,
};
use std::string::ToString;
use std::vec;
use std::vec::Vec;

/// The sectors of an STM32F405, at a sixteenth of their size.
const RUNS: &[SectorRun] = &[
    SectorRun { count: 4, bytes: 1024 },
    SectorRun { count: 1, bytes: 4096 },
    SectorRun { count: 7, bytes: 8192 },
];
const FLASH_BYTES: u32 = 64 * 1024;
const WHOLE: Partition = Partition { offset_bytes: 0, len_bytes: FLASH_BYTES };
const TABLE: SectorTable = SectorTable { runs: RUNS, segment_bytes: 8192 };

/// A driver that erases one whole sector at a time, and writes no word twice.
struct Uneven {
    bytes: Vec<u8>,
    written: Vec<bool>,
    erased: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum UnevenError {
    NoSector(u32, u32),
    WrittenTwice(u32),
}

impl NorFlashError for UnevenError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Uneven {
    fn new() -> Self {
        let len = FLASH_BYTES as usize;
        Self { bytes: vec![0xFF; len], written: vec![false; len], erased: Vec::new() }
    }

    /// Start and end of each sector, written down without the code under test.
    fn sectors() -> Vec<(u32, u32)> {
        let ends = [1, 2, 3, 4, 8, 16, 24, 32, 40, 48, 56, 64].map(|end| end * 1024);
        [0].iter().chain(&ends).copied().zip(ends).collect()
    }
}

impl ErrorType for Uneven {
    type Error = UnevenError;
}

impl ReadNorFlash for Uneven {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), UnevenError> {
        into.copy_from_slice(&self.bytes[offset as usize..][..into.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        FLASH_BYTES as usize
    }
}

impl NorFlash for Uneven {
    const WRITE_SIZE: usize = 4;
    // As drivers of such chips say: the largest.
    const ERASE_SIZE: usize = 8192;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), UnevenError> {
        if !Self::sectors().contains(&(from, to)) {
            return Err(UnevenError::NoSector(from, to));
        }
        self.erased.push((from, to));
        self.bytes[from as usize..to as usize].fill(0xFF);
        self.written[from as usize..to as usize].fill(false);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), UnevenError> {
        for (at, byte) in (offset as usize..).zip(bytes) {
            if core::mem::replace(&mut self.written[at], true) {
                return Err(UnevenError::WrittenTwice(offset));
            }
            self.bytes[at] = *byte;
        }
        Ok(())
    }
}

fn storage(partition: Partition, table: SectorTable) -> Result<FlashStorage<Uneven>, SetupError> {
    FlashStorage::with_sectors(Uneven::new(), partition, Erased::Ones, table)
}

#[test]
fn a_segment_is_erased_sector_by_sector() {
    let mut storage = storage(WHOLE, TABLE).unwrap();
    assert_eq!(storage.geometry().erase_bytes, 8192);
    assert_eq!(storage.geometry().sectors(), 8);
    storage.write(0, &vec![7; FLASH_BYTES as usize]).unwrap();
    storage.erase(0).unwrap();
    storage.erase(3).unwrap();
    let driver = storage.close();
    let small = (0..4).map(|sector| (sector * 1024, (sector + 1) * 1024));
    let expected: Vec<_> = small.chain([(4096, 8192), (24 * 1024, 32 * 1024)]).collect();
    assert_eq!(driver.erased, expected);
    let erased = |at: usize| (0..8192).contains(&at) || (24 * 1024..32 * 1024).contains(&at);
    assert!(
        driver
            .bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == if erased(at) { 0xFF } else { 7 })
    );
}

#[test]
fn a_partition_may_lie_in_the_small_sectors_alone() {
    let partition = Partition { offset_bytes: 2048, len_bytes: 2048 };
    let mut storage = storage(partition, SectorTable { segment_bytes: 1024, ..TABLE }).unwrap();
    storage.erase(1).unwrap();
    let refused = FlashError::Access { at: 2048, len: 1024, partition_bytes: 2048 };
    assert_eq!(storage.erase(2), Err(refused));
    assert_eq!(storage.close().erased, [(3072, 4096)]);
}

#[test]
fn a_segment_that_would_end_inside_a_sector_is_refused_with_both_places() {
    let error = |offset_bytes, len_bytes, segment_bytes| {
        let partition = Partition { offset_bytes, len_bytes };
        storage(partition, SectorTable { runs: RUNS, segment_bytes }).err().unwrap()
    };
    let border = |border, start, end| SetupError::Border {
        segment_border_bytes: border,
        sector_start_bytes: start,
        sector_end_bytes: end,
    };
    // Four small ones, the middle one, and then half of a large one.
    assert_eq!(error(0, FLASH_BYTES, 4096), border(12 * 1024, 8192, 16 * 1024));
    assert_eq!(error(0, FLASH_BYTES, 2048), border(6144, 4096, 8192));
    assert_eq!(error(0, 4096, 512), border(512, 0, 1024));
    assert_eq!(error(512, 8192, 8192), border(512, 0, 1024));
    assert_eq!(error(1024, 8192, 8192), border(9216, 8192, 16 * 1024));
    assert_eq!(
        error(0, FLASH_BYTES, 4096).to_string(),
        "a segment starts or ends at 12288, inside the sector from 8192 to 16384"
    );
    let whole = GeometryError::Capacity { given: 20 * 1024, multiple_of: 8192 };
    assert_eq!(error(0, 20 * 1024, 8192), SetupError::Geometry(whole));
    assert_eq!(error(2, 8192, 8192), SetupError::Offset { offset_bytes: 2, multiple_of: 4 });
}

#[test]
fn a_table_reaches_to_the_end_of_the_partition() {
    let short = |runs| storage(WHOLE, SectorTable { runs, segment_bytes: 8192 }).err();
    let error = SetupError::Table { table_bytes: 8192, end_bytes: 65_536 };
    assert_eq!(short(&RUNS[..2]), Some(error));
    assert_eq!(error.to_string(), "the table of sectors ends at 8192, the partition at 65536");
    let error = SetupError::Table { table_bytes: 0, end_bytes: 65_536 };
    assert_eq!(short(&[]), Some(error));
    assert_eq!(short(&[SectorRun { count: 9, bytes: 0 }]), Some(error));
    let huge = &[SectorRun { count: u32::MAX, bytes: u32::MAX }];
    assert!(matches!(short(huge), Some(SetupError::Border { segment_border_bytes: 8192, .. })));
}

#[test]
fn sectors_that_differ_keep_what_they_are_given() {
    for seed in 0..20 {
        kausaldb_sim::check_storage(&mut storage(WHOLE, TABLE).unwrap(), seed, 200);
    }
}

#[test]
fn a_store_goes_around_a_ring_of_sectors_that_differ() {
    const CAPACITY: Capacity = Capacity { nodes: 64, segment_bytes: 8192, ..Capacity::SMALL };
    let mut storage = storage(WHOLE, TABLE).unwrap();
    format(&mut storage, &FormatOptions { store: StoreId::from_u128(1), segment_bytes: 8192 })
        .unwrap();
    let mut region = vec![MaybeUninit::uninit(); CAPACITY.region_bytes()];
    let mut engine =
        StorageEngine::open(storage, &mut region, CAPACITY, Config::default()).unwrap();
    let block = |version: u64| ContextBlock {
        id: BlockId::from_u128(u128::from(version % 20)),
        version,
        source_uri: "board:/adc",
        metadata: b"",
        content: &[7; 100],
    };
    for version in 0..2000 {
        engine.put(&block(version)).unwrap();
    }
    let (storage, closed) = engine.close();
    closed.unwrap();
    let driver = storage.close();
    for sector in Uneven::sectors() {
        let times = driver.erased.iter().filter(|erased| **erased == sector).count();
        assert!(times >= 2, "{sector:?}: {times}");
    }
    let storage = FlashStorage::with_sectors(driver, WHOLE, Erased::Ones, TABLE).unwrap();
    let mut engine =
        StorageEngine::open(storage, &mut region, CAPACITY, Config::default()).unwrap();
    let mut scratch = [0; 256];
    for version in 1980..2000 {
        let found = engine.find_into(&block(version).id, &mut scratch).unwrap();
        assert_eq!(found.map(|found| found.version()), Some(version));
    }
}
