//! One flipped bit anywhere in the image of a closed store: it opens, and what it shows is right or
//! is said to be damaged.
#![cfg(test)]

mod common;

use common::{Block, Mix, Model, Random, all_ids, region};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{
    Capacity, Config, Direction, FormatOptions, StorageEngine, StoreId, Verify, format,
};
use kausaldb_sim::SimNor;

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
fn is_honest(image: Vec<u8>, model: &Model, mix: &Mix, what: &str) -> bool {
    let storage = SimNor::from_image(GEOMETRY, image, 0).expect("image");
    let mut memory = region(&CAPACITY);
    let mut engine = match StorageEngine::open_read_only(storage, &mut memory, CAPACITY, CONFIG) {
        Ok(engine) => engine,
        Err(error) => {
            println!("{what}: does not open: {error}");
            return false;
        }
    };
    let damaged = engine.stats().damaged > 0;
    let lost = engine.verify(|_| {}).map_or(true, |sum| sum.lost > 0);
    for id in all_ids(mix) {
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
        assert!(is_honest(image.clone(), &model, &mix, "no bit"), "the image itself is not right");
        let mut random = Random::new(seed);
        let mut dishonest = 0;
        for byte in 0..image.len() {
            let bit = random.below(8);
            let mut hurt = image.clone();
            hurt[byte] ^= 1 << bit;
            dishonest += u32::from(!is_honest(
                hurt,
                &model,
                &mix,
                &format!("seed {seed}, byte {byte}, bit {bit}"),
            ));
        }
        assert_eq!(dishonest, 0, "seed {seed}");
    }
}
