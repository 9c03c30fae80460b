//! A bit that flips while the store is open, in a segment that was checked and is known to be sound: what it
//! may change is what the config takes on trust, and nothing else.
#![cfg(test)]

use crate::common::region;
use kausaldb::storage::{Geometry, MappedStorage, RamError, RamStorage, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, Operation, ReadError, StorageEngine,
    StoreId, Verify, format,
};
use std::cell::Cell;

const CAPACITY: Capacity = Capacity { nodes: 32, pending_edges: 16, ..Capacity::SMALL };

/// Storage over two images of the same store; which of them is seen can be changed while it is open.
struct TwoImages<'m> {
    sound: RamStorage<'m>,
    hurt: &'m [u8],
    shows_hurt: &'m Cell<bool>,
}

impl Storage for TwoImages<'_> {
    type Error = RamError;

    fn geometry(&self) -> Geometry {
        self.sound.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), RamError> {
        let start = at as usize;
        into.copy_from_slice(&self.bytes()[start..start + into.len()]);
        Ok(())
    }

    fn is_lost(&self, error: &RamError) -> bool {
        self.sound.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), RamError> {
        self.sound.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), RamError> {
        self.sound.erase(sector)
    }

    fn sync(&mut self) -> Result<(), RamError> {
        self.sound.sync()
    }
}

impl MappedStorage for TwoImages<'_> {
    fn bytes(&self) -> &[u8] {
        if self.shows_hurt.get() { self.hurt } else { self.sound.bytes() }
    }
}

/// The bytes of a store that holds block 1 in a sealed segment, and where that block's record starts.
fn one_block(content: &[u8]) -> (Vec<u8>, usize) {
    let mut media = vec![0; 16 * 1024];
    let mut storage = RamStorage::new(&mut media, 1024, 4).expect("geometry");
    format(&mut storage, &FormatOptions { store: StoreId::from_u128(3), segment_bytes: 1024 })
        .expect("format");
    let mut memory = region(&CAPACITY);
    let mut engine =
        StorageEngine::open(storage, &mut memory, CAPACITY, Config::default()).expect("open");
    for n in 1..20 {
        let id = BlockId::from_u128(n << 64 | 0x5A5A);
        let block = ContextBlock { id, version: 7, source_uri: "u", metadata: b"m", content };
        engine.write(&[Operation::put(block)]).expect("room");
    }
    let (_, closed) = engine.close();
    closed.expect("close");
    let id = BlockId::from_u128(1 << 64 | 0x5A5A);
    // The id stands behind tag, number, version and lengths, of a byte each.
    let id_at = media.windows(16).position(|bytes| bytes == id.bytes()).expect("it was put");
    (media, id_at - 6)
}

#[test]
fn a_bit_of_a_header_that_flips_after_its_segment_was_checked_names_no_other_block() {
    let content = [0xC3; 50];
    let (image, start) = one_block(&content);
    let id = BlockId::from_u128(1 << 64 | 0x5A5A);
    let bits = 0..8 * (6 + 16 + 4);
    for bit in bits.step_by(if cfg!(miri) { 67 } else { 1 }) {
        let byte = bit / 8;
        let (mut sound, mut hurt) = (image.clone(), image.clone());
        hurt[start + byte] ^= 1 << (bit % 8);
        let shows_hurt = Cell::new(false);
        let sound = RamStorage::new(&mut sound, 1024, 4).expect("geometry");
        let storage = TwoImages { sound, hurt: &hurt, shows_hurt: &shows_hurt };
        let mut memory = region(&CAPACITY);
        let config = Config { verify: Verify::FirstRead, ..Config::default() };
        let engine = StorageEngine::open_read_only(storage, &mut memory, CAPACITY, config);
        let engine = engine.expect("open");
        let block = engine.find(&id).expect("sound").expect("there");
        assert_eq!((block.version(), block.content()), (7, &content[..]));
        shows_hurt.set(true);
        match (byte, engine.find(&id)) {
            // Version and lengths are what FirstRead takes on trust; what is out of bounds is still refused.
            (2..6, Ok(Some(block))) => assert!(block.content().len() <= 1024),
            (2..6, Err(ReadError::Corrupt { .. })) => {}
            // Anything else makes it another record, whose header is checked and mended.
            (_, Ok(Some(block))) => {
                assert_eq!((block.id(), block.version(), block.content()), (id, 7, &content[..]));
            }
            (byte, other) => panic!("byte {byte}, bit {}: {other:?}", bit % 8),
        }
    }
}
