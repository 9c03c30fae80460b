//! An engine that is prepared first and opens its store where it lies: until then it knows nothing and says
//! so; then it is as one that `open` returned; and where the store does not open, the storage is not lost.
#![cfg(test)]

use crate::common::power::SMALL;
use crate::common::{Model, Op, Random, all_ids, open, read_all, verify};
use kausaldb::state::Limit;
use kausaldb::{
    Capacity, Config, Direction, OpenError, ReadError, Sequence, StorageEngine, WriteError,
};
use kausaldb_sim::SimNor;

/// A store that was in use, and what it holds.
fn used() -> (SimNor, Model) {
    let (mut random, mut version, mut model) = (Random::new(11), 0, Model::default());
    let mut engine = open(SMALL.device(), SMALL.capacity(), SMALL.config()).expect("open");
    for _ in 0..60 {
        let ops = SMALL.mix.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
        if engine.write(&operations).is_ok() {
            model.apply(&ops);
        }
    }
    let (mut device, closed) = engine.close();
    closed.expect("close");
    device.reopen();
    (device, model)
}

#[test]
fn an_engine_that_is_prepared_says_so_and_opens_where_it_lies() {
    let (device, model) = used();
    let mut region = crate::common::region(&SMALL.capacity());
    let mut engine =
        StorageEngine::prepare(device.clone(), &mut region, SMALL.capacity(), SMALL.config())
            .expect("prepare");
    let id = all_ids(&SMALL.mix)[0];
    assert!(matches!(engine.find_into(&id, &mut []), Err(ReadError::NeedsRecovery)));
    assert!(matches!(engine.delete(&id), Err(WriteError::NeedsRecovery)));
    assert!(matches!(engine.sync(), Err(WriteError::NeedsRecovery)));
    assert!(matches!(engine.compact(1), Err(WriteError::NeedsRecovery)));
    assert!(matches!(engine.scrub(1), Err(WriteError::NeedsRecovery)));
    assert!(matches!(engine.repair(), Err(WriteError::NeedsRecovery)));
    assert!(matches!(engine.verify(|_| ()), Err(ReadError::NeedsRecovery)));
    let edges = engine.reader_through(&mut []).edges(&id, Direction::Out, None).map(|_| ());
    assert!(matches!(edges, Err(ReadError::NeedsRecovery)));
    assert_eq!(engine.count_edges(), Err(ReadError::NeedsRecovery));
    let content = engine.reader_through(&mut []).read_content(&id, 0, &mut [0]);
    assert!(matches!(content, Err(ReadError::NeedsRecovery)));
    // As of an empty store.
    let stats = engine.stats();
    assert_eq!((stats.blocks, stats.segments_live, stats.damaged), (0, 0, 0));
    assert_eq!((engine.sequence(), engine.damage()), (Sequence::default(), None));
    assert!(engine.storage().image() == device.image(), "it wrote");
    engine.recover().expect("recover");
    assert!(read_all(&mut engine, &all_ids(&SMALL.mix)) == model);
    verify(&mut engine, "prepared");
    // It has done what `open` does.
    let opened = open(device, SMALL.capacity(), SMALL.config()).expect("open");
    assert!(engine.storage().image() == opened.storage().image());
    assert_eq!(format!("{:?}", engine.stats()), format!("{:?}", opened.stats()));
}

#[test]
fn a_store_that_does_not_open_gives_its_storage_back() {
    let (device, model) = used();
    let few = Capacity { nodes: 3, ..SMALL.capacity() };
    let mut region = crate::common::region(&few);
    let mut engine = StorageEngine::prepare(device.clone(), &mut region, few, Config::default())
        .expect("prepare");
    let refused = engine.recover();
    assert!(matches!(refused, Err(OpenError::TooMany { what: Limit::Nodes, .. })), "{refused:?}");
    assert!(matches!(engine.sync(), Err(WriteError::NeedsRecovery)));
    let (mut storage, closed) = engine.close();
    assert!(matches!(closed, Err(WriteError::NeedsRecovery)));
    assert!(storage.image() == device.image(), "it wrote");
    storage.reopen();
    let mut engine = open(storage, SMALL.capacity(), SMALL.config()).expect("open");
    assert!(read_all(&mut engine, &all_ids(&SMALL.mix)) == model);
}
