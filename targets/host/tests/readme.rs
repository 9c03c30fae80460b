//! What README.md shows compiles, runs, and says true numbers: its examples are this file's code,
//! word for word.
#![cfg(test)]

use kausaldb::Capacity;
use std::error::Error;
use std::mem::MaybeUninit;

const README: &str = include_str!("../../../README.md");
const HERE: &str = include_str!("readme.rs");

mod host {
    use super::*;

    pub(super) fn example(path: &std::path::Path) -> Result<(), Box<dyn Error>> {
        // README: host
        use kausaldb::storage::{Erased, Geometry};
        use kausaldb::{BlockId, Config, ContextBlock, FormatOptions, StorageEngine, StoreId};
        use kausaldb_file::{PositionedFile, Region};

        let geometry = Geometry {
            capacity_bytes: 64 << 20,
            erase_bytes: 4 << 20,
            write_bytes: 16,
            erased: Erased::Unknown,
            keeps_write_order: false,
        };
        let mut file = PositionedFile::create(path, geometry)?;
        let store = StoreId::from_u128(0x5eed); // better a random one
        kausaldb::format(&mut file, &FormatOptions { store, segment_bytes: 4 << 20 })?;
        let capacity = Capacity::host(100_000, 16);
        let mut region = Region::new(capacity.region_bytes())?; // or a vector, or a static
        let mut engine = StorageEngine::open(file, region.bytes(), capacity, Config::default())?;

        let (id, source_uri) = (BlockId::from_u128(1), "notes://1");
        let (metadata, content) = (b"{}", b"an idea");
        engine.put(&ContextBlock { id, version: 1, source_uri, metadata, content })?;
        let mut scratch = [0; 1024];
        let found = engine.find_into(&id, &mut scratch)?;
        assert_eq!(found.map(|block| block.content()), Some(&content[..]));
        engine.close().1?;
        // README: end
        reopen(path)
    }

    fn reopen(path: &std::path::Path) -> Result<(), Box<dyn Error>> {
        // README: reopen
        use kausaldb_file::{Access, OpenedFile};

        let file = OpenedFile::open(path, Access::ReadWrite)?;
        let info = kausaldb::probe(file.len_bytes(), |at, into| file.read_at(at, into))?;
        let file = file.with_geometry(*info.layout.geometry())?;
        // README: end
        drop(file);
        Ok(())
    }
}

mod firmware {
    use super::*;

    // README: firmware
    use embedded_storage::nor_flash::NorFlash;
    use kausaldb::storage::{Erased, Storage};
    use kausaldb::{Config, FormatOptions, OpenError, StorageEngine, StoreId};
    use kausaldb_flash::{FlashStorage, Partition};
    use static_cell::ConstStaticCell;

    const CAPACITY: Capacity = Capacity { nodes: 500, ..Capacity::SMALL };
    static REGION: ConstStaticCell<[MaybeUninit<u8>; CAPACITY.region_bytes()]> =
        ConstStaticCell::new([MaybeUninit::uninit(); CAPACITY.region_bytes()]);
    const PARTITION: Partition = Partition { offset_bytes: 0x4_0000, len_bytes: 0x4_0000 };

    type Store<F> = StorageEngine<'static, FlashStorage<F>>;

    fn open<F: NorFlash>(driver: F, store: StoreId) -> Option<Store<F>> {
        let mut storage = FlashStorage::new(driver, PARTITION, Erased::Ones).ok()?;
        let found = kausaldb::probe(PARTITION.len_bytes.into(), |at, into| storage.read(at, into));
        if matches!(found, Err(OpenError::NoStore)) {
            kausaldb::format(&mut storage, &FormatOptions { store, segment_bytes: 4096 }).ok()?;
        }
        StorageEngine::open(storage, REGION.take(), CAPACITY, Config::default()).ok()
    }
    // README: end

    #[test]
    fn the_example_for_firmware_opens_a_store_on_blank_flash() {
        let driver = kausaldb_sim::NorRam::<1, 4, 4096>::new(128, 0xFF);
        let engine = open(driver, StoreId::from_u128(1)).expect("a store");
        assert_eq!(engine.stats().segments, 64);
    }
}

#[test]
fn the_example_for_hosts_runs() {
    let folder = tempfile::tempdir().unwrap();
    host::example(&folder.path().join("notes.kdb")).unwrap();
}

/// The lines between a marker and its end, without the indentation that they share.
fn shown(name: &str) -> String {
    let start = format!("// README: {name}\n");
    let (_, rest) = HERE.split_once(&start).expect("the marker");
    let (code, _) = rest.split_once("// README: end").expect("its end");
    let lines: Vec<_> = code.trim_end().lines().collect();
    let indented = lines.iter().filter(|line| !line.is_empty());
    let indent = indented.map(|line| line.len() - line.trim_start().len()).min().unwrap();
    let cut = lines.iter().map(|line| line.get(indent..).unwrap_or_default());
    cut.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_examples_are_this_files_code() {
    for name in ["host", "reopen", "firmware"] {
        let code = shown(name);
        assert!(README.contains(&code), "README.md does not show:\n{code}");
    }
    let fences = README.matches("```rust").count();
    assert_eq!(fences, 3, "every Rust example of README.md is one of these");
}

#[test]
fn the_regions_are_as_large_as_said() {
    let small = Capacity::SMALL;
    let tiny = Capacity { nodes: 64, pending_edges: 16, segments: 16, buffer_bytes: 64, ..small };
    let rows = [
        ("64 nodes, 16 pending edges, 16 segments, buffer of 64 bytes", tiny),
        ("`Capacity::SMALL`: 256 nodes, 32 pending edges, 64 segments", small),
        ("2 000 nodes, else `SMALL`", Capacity { nodes: 2000, ..small }),
        ("`Capacity::HOST`: 65 536 nodes, 64 segments of 4 MiB", Capacity::HOST),
        ("`Capacity::host(1_000_000, 512)`: 2 GiB of media", Capacity::host(1_000_000, 512)),
    ];
    let missing = rows.map(|(name, capacity)| {
        let row = format!("| {name} | {} |", grouped(capacity.region_bytes()));
        if README.contains(&row) { String::new() } else { row }
    });
    assert_eq!(missing.concat(), "", "rows that README.md lacks");
}

/// The number with a space between groups of three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    groups.iter().map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(" ")
}
