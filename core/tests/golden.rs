//! Golden images: what a few fixed scenarios leave on media, to the byte, on every storage there is.
//!
//! Each image is pinned by a checksum in `golden/checksums.txt`; the smallest one also lies in
//! `golden/small.hex`, line by line, and is explained in `docs/format.md`. A change of the media
//! format changes them. After one that is meant to,
//!
//! ```text
//! BLESS=1 cargo test -p kausaldb --test golden
//! ```
//!
//! writes both files anew; the changelog then says so, under the version of the media format.
//!
//! The scenario `turns` also pins what the engine decides: what it folds and moves, and when, and
//! which numbers it gives. Where only its lines change, the format may well be as it was.
#![cfg(test)]

mod common;

use common::{Mix, Random, open, verify};
use kausaldb::storage::{Erased, Geometry, RamStorage, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Durability, EdgeKind, FormatOptions, GraphEdge,
    Operation, StoreId, WriteError, format,
};
use kausaldb_file::PositionedFile;
use kausaldb_flash::{FlashStorage, Partition};
use kausaldb_sim::{NorRam, SimNor};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

const STORE: StoreId = StoreId::from_u128(0x6B61_7573_616C_6462_2067_6F6C_6465_6E21);

/// A medium, and the size of its segments.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    geometry: Geometry,
    segment_bytes: u32,
}

/// NOR flash as most boards have it.
const NOR: Shape = Shape {
    name: "nor",
    geometry: Geometry {
        capacity_bytes: 8 << 12,
        erase_bytes: 1 << 12,
        write_bytes: 4,
        erased: Erased::Ones,
        keeps_write_order: true,
    },
    segment_bytes: 1 << 12,
};
/// Serial NOR flash: any byte can be written, so that records lie at any.
const SERIAL: Shape =
    Shape { name: "serial", geometry: Geometry { write_bytes: 1, ..NOR.geometry }, ..NOR };
/// Flash that erases to zeros, with wide words and small sectors.
const ZEROS: Shape = Shape {
    name: "zeros",
    geometry: Geometry {
        capacity_bytes: 32 << 11,
        erase_bytes: 1 << 10,
        write_bytes: 16,
        erased: Erased::Zeros,
        keeps_write_order: true,
    },
    segment_bytes: 1 << 11,
};
/// A file, with the large segments of hosts.
const FILE: Shape = Shape {
    name: "file",
    geometry: Geometry {
        capacity_bytes: 10 << 18,
        erase_bytes: 1 << 12,
        write_bytes: 16,
        erased: Erased::Unknown,
        keeps_write_order: false,
    },
    segment_bytes: 1 << 18,
};

impl Shape {
    fn capacity(self) -> Capacity {
        Capacity {
            hub_pages: 32,
            segment_bytes: 1 << 18,
            block_bytes: 1 << 14,
            batch_bytes: 1 << 15,
            ..Capacity::SMALL
        }
    }

    /// The same as a file has it: the page cache keeps no order.
    fn on_a_file(self) -> Self {
        Self { geometry: Geometry { keeps_write_order: false, ..self.geometry }, ..self }
    }
}

// ---- scenarios ----

fn id(number: u8) -> BlockId {
    BlockId::new([number; 16])
}

/// The one that is explained: a block, an edge, a batch, an edge and a block that go, and a second opening.
fn small<S: Storage>(storage: S, shape: Shape) {
    let mut storage = formatted(storage, shape);
    {
        let mut engine = open(&mut storage, shape.capacity(), Config::default()).expect("open");
        let block = |number, version, content| ContextBlock {
            id: id(number),
            version,
            source_uri: "a.rs",
            metadata: b"{}",
            content,
        };
        let calls = GraphEdge { source: id(0xAA), kind: EdgeKind(7), target: id(0xBB) };
        // Retires the segment that format wrote.
        engine.compact(u64::MAX).expect("compact");
        engine.put(&block(0xAA, 1, b"fn a() { b() }")).expect("put");
        engine.link(&calls).expect("link");
        // Content only.
        let bare = ContextBlock { source_uri: "", metadata: b"", ..block(0xBB, 300, b"fn b() {}") };
        let batch = [Operation::put(bare), Operation::Unlink(calls)];
        engine.write(&batch).expect("write");
        engine.delete(&id(0xAA)).expect("delete");
        engine.close().1.expect("close");
    }
    let mut engine = open(&mut storage, shape.capacity(), Config::default()).expect("open");
    verify(&mut engine, shape.name);
    engine.close().1.expect("close");
}

/// Some turns of the ring, with lists of edges that are cut into pages, and openings in between.
fn turns<S: Storage>(storage: S, shape: Shape) {
    let mut storage = formatted(storage, shape);
    let config = Config { durability: Durability::OnSync, ..Config::default() };
    let mut random = Random::new(42);
    let large = shape.segment_bytes >= 1 << 18;
    let content_max = if large { 9000 } else { 150 };
    let mix = Mix { ids: 60, operations: 5, content_max, puts: 40, links: 40, hubs: true };
    let (mut version, mut opened) = (0, 0);
    while opened < 4 {
        opened += 1;
        let mut engine = open(&mut storage, shape.capacity(), config).expect("open");
        for _ in 0..if large { 400 } else { 150 } {
            let ops = mix.batch(&mut random, &mut version);
            let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
            match engine.write(&operations) {
                Ok(_) | Err(WriteError::Conflict { .. } | WriteError::Full { .. }) => {}
                Err(error) => panic!("{}: {error}", shape.name),
            }
            if random.one_in(8) {
                engine.sync().expect("sync");
            }
        }
        verify(&mut engine, shape.name);
        engine.close().1.expect("close");
    }
}

fn formatted<S: Storage>(mut storage: S, shape: Shape) -> S {
    let options = FormatOptions { store: STORE, segment_bytes: shape.segment_bytes };
    format(&mut storage, &options).expect("format");
    storage
}

// ---- storages ----

/// A storage, and which of its bytes were written since they were erased.
struct Watched<S> {
    storage: S,
    written: Vec<bool>,
}

impl<S: Storage> Watched<S> {
    fn new(storage: S) -> Self {
        let len = storage.geometry().capacity_bytes as usize;
        Self { storage, written: vec![false; len] }
    }

    /// All bytes of the medium, as they are read.
    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.written.len()];
        self.storage.read(0, &mut bytes).expect("read");
        bytes
    }

    /// The bytes that were written; the others as if erased.
    fn image(&mut self) -> Vec<u8> {
        let filler = self.geometry().erased.filler();
        let bytes = self.bytes().into_iter().zip(&self.written);
        bytes.map(|(byte, written)| if *written { byte } else { filler }).collect()
    }
}

impl<S: Storage> Storage for Watched<S> {
    type Error = S::Error;

    fn geometry(&self) -> Geometry {
        self.storage.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), S::Error> {
        self.storage.read(at, into)
    }

    fn is_lost(&self, error: &S::Error) -> bool {
        self.storage.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), S::Error> {
        let at_byte = at as usize;
        self.written[at_byte..at_byte + bytes.len()].fill(true);
        self.storage.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), S::Error> {
        let len = self.geometry().erase_bytes as usize;
        let at = sector as usize * len;
        self.written[at..at + len].fill(false);
        self.storage.erase(sector)
    }

    fn sync(&mut self) -> Result<(), S::Error> {
        self.storage.sync()
    }
}

/// A scenario that runs on any storage.
#[derive(Clone, Copy)]
enum Scenario {
    Small,
    Turns,
}

impl Scenario {
    const ALL: [Self; 2] = [Self::Small, Self::Turns];

    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Turns => "turns",
        }
    }

    /// The image that it leaves. A storage that fills what it erases has it in all its bytes.
    fn image_on<S: Storage>(self, storage: S, shape: Shape) -> Vec<u8> {
        let mut watched = Watched::new(storage);
        match self {
            Self::Small => small(&mut watched, shape),
            Self::Turns => turns(&mut watched, shape),
        }
        let image = watched.image();
        if shape.geometry.erased != Erased::Unknown {
            assert!(image == watched.bytes(), "{}: what is not written is erased", shape.name);
        }
        image
    }

    fn image(self, shape: Shape) -> Vec<u8> {
        let storage = SimNor::new(shape.geometry, 5).expect("geometry");
        self.image_on(storage, shape)
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// FNV-1a of 64 bits (Fowler, Noll and Vo). A CRC-32 would not do: over anything that ends in its own CRC-32
/// it is the same whatever that says, so that it saw no change of a header or of a body.
fn fingerprint(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Compares with what is written down, or writes it down.
fn compare(name: &str, text: &str) {
    let path = golden(name);
    if env::var_os("BLESS").is_some() {
        return fs::write(path, text).expect("bless");
    }
    let pinned = fs::read_to_string(&path).expect("a golden file");
    let differs = pinned.lines().zip(text.lines()).find(|(pinned, now)| pinned != now);
    assert!(pinned == text, "{name} differs, first in (pinned, now) {differs:?}: see golden.rs");
}

// ---- what must hold ----

#[test]
fn images_are_what_they_were() {
    let mut text = String::new();
    for shape in [NOR, SERIAL, ZEROS, FILE] {
        for scenario in Scenario::ALL {
            let image = scenario.image(shape);
            let check = fingerprint(&image);
            writeln!(text, "{} {} {check:016x}", shape.name, scenario.name()).expect("text");
        }
    }
    compare("checksums.txt", &text);
}

#[test]
fn the_smallest_image_is_what_is_explained() {
    let image = Scenario::Small.image(NOR);
    let mut text = String::new();
    for (line, bytes) in image.chunks(16).enumerate() {
        if bytes.iter().any(|byte| *byte != 0xFF) {
            write!(text, "{:05x} ", line * 16).expect("text");
            bytes.iter().for_each(|byte| write!(text, " {byte:02x}").expect("text"));
            text.push('\n');
        }
    }
    compare("small.hex", &text);
}

#[test]
fn ram_holds_the_same_bytes() {
    for scenario in Scenario::ALL {
        let mut bytes = vec![0xFF; NOR.geometry.capacity_bytes as usize];
        let storage = RamStorage::new(&mut bytes, NOR.geometry.erase_bytes, 4).expect("geometry");
        assert!(scenario.image_on(storage, NOR) == scenario.image(NOR), "{}", scenario.name());
    }
}

#[test]
fn flash_behind_a_driver_holds_the_same_bytes() {
    for scenario in Scenario::ALL {
        // The partition lies behind a sector of somebody else's.
        let offset_bytes = 1 << 12;
        let partition = Partition { offset_bytes, len_bytes: NOR.geometry.capacity_bytes as u32 };
        let driver = NorRam::<4, 4, 4096>::new(9, 0xFF);
        let storage = FlashStorage::new(driver, partition, Erased::Ones).expect("partition");
        assert!(scenario.image_on(storage, NOR) == scenario.image(NOR), "{}", scenario.name());

        let driver = NorRam::<1, 1, 4096>::new(9, 0xFF);
        let storage = FlashStorage::new(driver, partition, Erased::Ones).expect("partition");
        let same = scenario.image_on(storage, SERIAL) == scenario.image(SERIAL);
        assert!(same, "{}", scenario.name());

        let partition = Partition { offset_bytes, len_bytes: ZEROS.geometry.capacity_bytes as u32 };
        let driver = NorRam::<16, 16, 1024>::new(80, 0x00);
        let storage = FlashStorage::new(driver, partition, Erased::Zeros).expect("partition");
        assert!(scenario.image_on(storage, ZEROS) == scenario.image(ZEROS), "{}", scenario.name());
    }
}

#[test]
fn a_file_holds_the_same_bytes() {
    for shape in [NOR, SERIAL, ZEROS, FILE].map(Shape::on_a_file) {
        for scenario in Scenario::ALL {
            let name =
                format!("kausaldb-golden-{}-{}-{}", shape.name, scenario.name(), process::id());
            let path = env::temp_dir().join(name);
            let file = PositionedFile::create(&path, shape.geometry).expect("create");
            let image = scenario.image_on(file, shape);
            fs::remove_file(&path).expect("remove");
            assert!(image == scenario.image(shape), "{} {}", shape.name, scenario.name());
        }
    }
}

/// What a medium says of its write order stands in one bit of each segment header, and changes nothing else.
#[test]
fn write_order_is_one_bit_of_a_header() {
    for shape in [NOR, SERIAL, ZEROS] {
        for scenario in Scenario::ALL {
            let flash = scenario.image(shape);
            let mut file = scenario.image(shape.on_a_file());
            for (flash, file) in flash
                .chunks(shape.segment_bytes as usize)
                .zip(file.chunks_mut(shape.segment_bytes as usize))
            {
                if flash.starts_with(b"KAUSALDB") {
                    assert_eq!(flash[10] ^ file[10], 4, "the flag");
                    file[10] = flash[10];
                    file[76..80].copy_from_slice(&flash[76..80]);
                }
            }
            assert!(flash == file, "{} {}", shape.name, scenario.name());
        }
    }
}
