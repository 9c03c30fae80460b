//! What a read through the caller's scratch asks of its storage: the scratch is also the space in which a
//! body is checked, for the time of the check.
#![cfg(test)]

use crate::common::region;
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, Operation, ReadError, StorageEngine,
    StoreId, Verify, format,
};
use kausaldb_sim::SimNor;

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 128 * 1024,
    erase_bytes: 16 * 1024,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};
const CAPACITY: Capacity = Capacity {
    segment_bytes: 16 * 1024,
    block_bytes: 8192,
    batch_bytes: 12 << 10,
    ..Capacity::SMALL
};
const BODY_BYTES: usize = 4000;

#[test]
fn a_body_is_checked_in_as_few_reads_as_the_scratch_allows() {
    let mut storage = SimNor::new(GEOMETRY, 1).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: 16 * 1024 };
    format(&mut storage, &options).expect("format");
    let config = Config { verify: Verify::EveryRead, ..Config::default() };
    let mut memory = region(&CAPACITY);
    let mut engine = StorageEngine::open(storage, &mut memory, CAPACITY, config).expect("open");
    let id = BlockId::from_u128(7);
    let content: Vec<u8> = (0..BODY_BYTES).map(|at| at as u8).collect();
    let block = ContextBlock { id, version: 1, source_uri: "", metadata: b"", content: &content };
    engine.write(&[Operation::put(block)]).expect("room");

    // Header, body to check, check, body to return; or, with room for the check, header, and body with check.
    for (scratch_bytes, reads) in [(BODY_BYTES, 4), (BODY_BYTES + 4, 2), (3 * BODY_BYTES, 2)] {
        let mut scratch = vec![0; scratch_bytes];
        let before = engine.storage().counts().reads;
        let found = engine.find_into(&id, &mut scratch).expect("sound").expect("there");
        assert_eq!(found.content(), content);
        assert_eq!(engine.storage().counts().reads - before, reads, "{scratch_bytes}");
    }

    // A scratch that is too short is no scratch to return the body in, but it is checked all the same.
    let mut scratch = [0; 1000];
    let before = engine.storage().counts().reads;
    let refused = engine.find_into(&id, &mut scratch);
    assert_eq!(refused, Err(ReadError::ScratchFull { needed: BODY_BYTES, given: 1000 }));
    assert_eq!(engine.storage().counts().reads - before, 1 + 4 + 1);
    let before = engine.storage().counts().reads;
    assert!(matches!(engine.find_into(&id, &mut []), Err(ReadError::ScratchFull { .. })));
    assert_eq!(engine.storage().counts().reads - before, 1 + (BODY_BYTES as u64).div_ceil(256) + 1);
}
