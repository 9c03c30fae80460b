//! One flipped bit anywhere in the image of a closed store: it opens, and what it shows is right or
//! is said to be damaged. And a bit that flips while the store is open and its segment is known to be sound.
#![cfg(test)]

mod common;

use common::{Block, Mix, Model, Random, all_ids, region};
use kausaldb::storage::{Erased, Geometry, MappedStorage, RamError, RamStorage, Storage};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, FormatOptions, Operation, ReadError,
    StorageEngine, StoreId, Verify, format,
};
use kausaldb_sim::SimNor;
use std::cell::Cell;

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 16 * 1024,
    erase_bytes: 1024,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};
const CAPACITY: Capacity = Capacity { nodes: 32, pending_edges: 16, ..Capacity::SMALL };
const CONFIG: Config = Config {
    verify: Verify::EveryRead,
    durability: kausaldb::Durability::EveryBatch,
    seed: [0; 2],
};

/// A closed store with a little of everything, and what it holds.
fn image(seed: u64) -> (Vec<u8>, Model, Mix) {
    let mix = Mix { ids: 12, content_max: 60, ..Mix::default() };
    let mut random = Random::new(seed);
    let mut storage = SimNor::new(GEOMETRY, seed).expect("geometry");
    format(&mut storage, &FormatOptions { store: StoreId::from_u128(3), segment_bytes: 1024 })
        .expect("format");
    let mut memory = region(&CAPACITY);
    let mut engine = StorageEngine::open(storage, &mut memory, CAPACITY, CONFIG).expect("open");
    let (mut model, mut version) = (Model::default(), 0);
    for _ in 0..120 {
        let ops = mix.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(|op| op.borrow()).collect();
        if engine.write(&operations).is_ok() {
            assert!(model.apply(&ops));
        }
    }
    let (storage, closed) = engine.close();
    closed.expect("close");
    (storage.image().to_vec(), model, mix)
}

/// Whether the store shows what the model holds, or says that something is damaged.
fn is_honest(image: Vec<u8>, verify: Verify, (model, mix): (&Model, &Mix), what: &str) -> bool {
    let config = Config { verify, ..CONFIG };
    let storage = SimNor::from_image(GEOMETRY, image, 0).expect("image");
    let mut memory = region(&CAPACITY);
    let mut engine = match StorageEngine::open_read_only(storage, &mut memory, CAPACITY, config) {
        Ok(engine) => engine,
        Err(error) => {
            println!("{what}: does not open: {error}");
            return false;
        }
    };
    let damaged = engine.stats().damaged > 0;
    let lost = engine.verify(|_| {}).map_or(true, |sum| sum.lost > 0);
    // Twice: what the first round checked, the second may rely on.
    for id in all_ids(mix).into_iter().chain(all_ids(mix)) {
        let mut scratch = [0; 512];
        let shown = engine.find_into(&id, &mut scratch).map(|found| {
            found.map(|block| Block {
                version: block.version(),
                source_uri: block.source_uri().into(),
                metadata: block.metadata().into(),
                content: block.content().into(),
            })
        });
        let Ok(shown) = shown else { continue };
        if shown.as_ref() != model.blocks.get(&id) && !(damaged || lost) {
            println!("{what}: {id} shows {shown:?}");
            return false;
        }
        for direction in Direction::BOTH {
            let mut scratch = [0; 512];
            let Ok(mut edges) = engine.reader_through(&mut scratch).edges(&id, direction, None)
            else {
                continue;
            };
            let mut count = 0;
            let failed = loop {
                match edges.next() {
                    Ok(Some(edge)) if model.edges.contains(&edge) => count += 1,
                    Ok(Some(edge)) if !(damaged || lost) => {
                        println!("{what}: shows {edge:?}");
                        return false;
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            let of_node = model.edges.iter().filter(|edge| match direction {
                Direction::Out => edge.source == id,
                Direction::In => edge.target == id,
            });
            if !failed && count != of_node.count() && !(damaged || lost) {
                println!("{what}: {id} lacks edges");
                return false;
            }
        }
    }
    true
}

#[test]
fn one_flipped_bit_never_shows_a_store_that_looks_whole_and_is_not() {
    for seed in 0..3 {
        let (image, model, mix) = image(seed);
        let holds = (&model, &mix);
        let whole = is_honest(image.clone(), Verify::EveryRead, holds, "no bit");
        assert!(whole, "the image itself is not right");
        let mut random = Random::new(seed);
        let mut dishonest = 0;
        for byte in 0..image.len() {
            let bit = random.below(8);
            let mut hurt = image.clone();
            hurt[byte] ^= 1 << bit;
            let verify = if byte % 2 == 0 { Verify::EveryRead } else { Verify::FirstRead };
            let what = format!("seed {seed}, byte {byte}, bit {bit}, {verify:?}");
            dishonest += u32::from(!is_honest(hurt, verify, holds, &what));
        }
        assert_eq!(dishonest, 0, "seed {seed}");
    }
}

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
    let mut engine = StorageEngine::open(storage, &mut memory, CAPACITY, CONFIG).expect("open");
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
        let config = Config { verify: Verify::FirstRead, ..CONFIG };
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
