//! Arbitrary batches against a plain model, with every limit low: what is refused changes nothing, and what
//! is written is there, after reopening as well.

use super::medium::Medium;
use super::samples::{SHAPES, STORE};
use super::script::Script;
use crate::common::{Block, Mix, Model, Op, check, region, verify};
use kausaldb::{
    BlockId, Capacity, Config, EdgeKind, Expect, FormatOptions, GraphEdge, StorageEngine,
    WriteError, format,
};

const CAPACITY: Capacity = Capacity {
    nodes: 20,
    pending_edges: 8,
    hub_pages: 6,
    intents: 2,
    segments: 16,
    block_bytes: 256,
    batch_operations: 5,
    batch_bytes: 1024,
    buffer_bytes: 64,
    ..Capacity::SMALL
};

const MIX: Mix = Mix { ids: 24, operations: 6, content_max: 0, puts: 0, links: 0, hubs: false };

/// Writes what the bytes say.
pub fn batches(data: &[u8]) {
    let script = &mut Script::new(data);
    let shape = SHAPES[script.below(2) as usize];
    let mut medium = Medium::new(shape.geometry, Vec::new());
    format(&mut medium, &FormatOptions { store: STORE, segment_bytes: shape.segment_bytes })
        .expect("format");
    let config = Config::default();
    let mut memory = region(&CAPACITY);
    let mut model = Model::default();
    while !script.is_over() {
        let opened = StorageEngine::open(medium.reopened(), &mut memory, CAPACITY, config);
        let mut engine = opened.expect("open");
        for _ in 0..script.below(200) {
            if script.is_over() {
                break;
            }
            let ops: Vec<_> = (0..script.below(7)).map(|_| op(script)).collect();
            step(&mut engine, &mut model, &ops);
        }
        check(&mut engine, &model, &MIX, "before it is closed");
        verify(&mut engine, "before it is closed");
        let (storage, closed) = engine.close();
        closed.expect("close");
        medium = storage;
    }
}

fn step(engine: &mut StorageEngine<'_, Medium>, model: &mut Model, ops: &[Op]) {
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    let mut next = model.clone();
    let fits = next.apply(ops);
    match engine.write(&operations) {
        Ok(_) => {
            assert!(fits, "an expectation was not checked: {ops:?}");
            *model = next;
        }
        Err(WriteError::Conflict { .. }) => assert!(!fits, "a conflict that is none: {ops:?}"),
        Err(
            WriteError::Full { .. }
            | WriteError::NodesFull { .. }
            | WriteError::HubPagesFull { .. }
            | WriteError::BatchTooLarge { .. }
            | WriteError::BlockTooLarge { .. },
        ) => {}
        Err(error) => panic!("{error}: {ops:?}"),
    }
}

fn id(script: &mut Script<'_>) -> BlockId {
    let n = u128::from(script.below(MIX.ids as u32));
    BlockId::from_u128(n * 0x1_0000_0001_0000_0001 + 1)
}

fn op(script: &mut Script<'_>) -> Op {
    let what = script.below(10);
    let of = id(script);
    if what < 4 {
        let expect = match script.below(8) {
            0 => Expect::Absent,
            1 => Expect::Version(script.below(16).into()),
            _ => Expect::Any,
        };
        let len = if script.one_in(8) { script.below(300) } else { script.below(70) };
        let block = Block {
            version: if script.one_in(8) { u64::MAX } else { script.below(16).into() },
            source_uri: "u".repeat(script.below(20) as usize),
            metadata: vec![0; script.below(20) as usize],
            content: vec![len as u8; len as usize],
        };
        return Op::Put(of, block, expect);
    }
    let kind = if script.one_in(16) { u16::MAX } else { script.below(3) as u16 };
    let edge = GraphEdge { source: of, kind: EdgeKind(kind), target: id(script) };
    match what {
        4..=6 => Op::Link(edge),
        7 => Op::Unlink(edge),
        8 => Op::Delete(of),
        _ => Op::DeleteBlock(of),
    }
}
