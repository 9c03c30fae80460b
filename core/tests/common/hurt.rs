//! What is asked of stores that were hurt: every answer is right, or says that it is not known; behind a
//! repair nothing contradicts itself, and the store goes on.

use super::stories::{CONFIG, Story};
use super::{Block, Mix, Model, Op, Random, all_ids, check, read_all, region};
use kausaldb::storage::Storage;
use kausaldb::{
    BlockId, Config, Direction, Finding, GraphEdge, OnDamage, OpenError, StorageEngine,
};
use kausaldb_sim::SimNor;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;

type Engine<'r> = StorageEngine<'r, SimNor>;

/// What a store answers, question by question.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Answers {
    pub blocks: BTreeMap<BlockId, Option<Block>>,
    /// Edges in one direction, and whether they are all.
    pub edges: BTreeMap<(BlockId, Direction), (BTreeSet<GraphEdge>, bool)>,
    /// Questions that were refused.
    pub refused: u32,
}

impl Answers {
    pub fn of(engine: &mut Engine<'_>, mix: &Mix) -> Self {
        let (mut answers, mut scratch) = (Self::default(), vec![0; 20_000]);
        for id in all_ids(mix) {
            match engine.find_into(&id, &mut scratch) {
                Ok(found) => {
                    let block = found.map(|block| Block {
                        version: block.version(),
                        source_uri: block.source_uri().into(),
                        metadata: block.metadata().into(),
                        content: block.content().into(),
                    });
                    answers.blocks.insert(id, block);
                }
                Err(_) => answers.refused += 1,
            }
            for direction in Direction::BOTH {
                let reader = engine.reader_through(&mut scratch);
                let (mut of_node, mut all) = (BTreeSet::new(), false);
                if let Ok(mut edges) = reader.edges(&id, direction, None) {
                    all = loop {
                        match edges.next() {
                            Ok(Some(edge)) => assert!(of_node.insert(edge), "{edge:?} twice"),
                            Ok(None) => break true,
                            Err(_) => break false,
                        }
                    };
                }
                answers.refused += u32::from(!all);
                answers.edges.insert((id, direction), (of_node, all));
            }
        }
        answers
    }

    /// The first answer that is not what the model holds.
    pub fn lie(&self, model: &Model) -> Option<String> {
        for (id, shown) in &self.blocks {
            let held = model.blocks.get(id);
            if shown.as_ref() != held {
                return Some(format!("{id} shows {shown:?}, and is {held:?}"));
            }
        }
        for ((id, direction), (shown, all)) in &self.edges {
            let of_node = |edge: &&GraphEdge| match direction {
                Direction::Out => edge.source == *id,
                Direction::In => edge.target == *id,
            };
            let held: BTreeSet<_> = model.edges.iter().filter(of_node).copied().collect();
            if !shown.is_subset(&held) || *all && *shown != held {
                return Some(format!("{id} {direction:?} shows {shown:?}, and has {held:?}"));
            }
        }
        None
    }
}

/// The ids that a store says nothing certain about, from the first question that was refused.
pub fn unreadable(engine: &mut Engine<'_>, mix: &Mix) -> Vec<BlockId> {
    let answers = Answers::of(engine, mix);
    let is_known = |id: &BlockId| {
        answers.blocks.contains_key(id)
            && Direction::BOTH.iter().all(|way| answers.edges[&(*id, *way)].1)
    };
    all_ids(mix).into_iter().filter(|id| !is_known(id)).collect()
}

/// What a hurt image answers is right, or is refused; returns how many questions are. `None` if it is no
/// store any more.
pub fn asks(story: &Story, image: &[u8], memory: &mut [MaybeUninit<u8>]) -> Option<u32> {
    let (device, ample) = (story.shape.device(image), story.shape.ample());
    let opened = StorageEngine::open_read_only(device, memory, ample, CONFIG);
    let mut engine = match opened {
        Err(OpenError::NoStore) => return None,
        opened => opened.unwrap_or_else(|error| panic!("does not open to read: {error}")),
    };
    let answers = Answers::of(&mut engine, &story.mix);
    let is_true = story.conceded(image).iter().any(|state| answers.lie(state).is_none());
    assert!(is_true, "{:?}, {:?}", answers.lie(&story.states[0]), engine.damage());
    Some(answers.refused)
}

/// Opens a hurt image for writing, repairs it, and goes on with it.
pub fn go_on(story: &Story, image: &[u8], seed: u64, repairs_itself: bool) {
    let mix = &story.mix;
    let on_damage = if repairs_itself { OnDamage::Repair } else { OnDamage::Say };
    // A board has the memory that it has; on a host there is more.
    let shape = &story.shape;
    let capacity = if repairs_itself { shape.capacity() } else { shape.ample() };
    let config = Config { on_damage, ..CONFIG };
    let mut memory = region(&capacity);
    let opened = StorageEngine::open(shape.device(image), &mut memory, capacity, config);
    let mut engine = opened.unwrap_or_else(|error| panic!("does not open: {error}"));
    if engine.damage().is_some() {
        assert!(!repairs_itself, "it was not repaired");
        let refused = engine.delete(&all_ids(mix)[0]);
        assert!(refused.is_err(), "a degraded store is written");
    }
    // A list that cannot be read is no reason to refuse everything else, but is repaired with it.
    engine.repair().unwrap_or_else(|error| panic!("repair: {error}"));
    assert_eq!(engine.damage(), None);
    let contradictions = contradictions(&mut engine);
    assert!(contradictions.is_empty(), "{contradictions:?}");
    // Blocks of which the key is known and the content is not are the caller's to delete.
    for id in unreadable(&mut engine, mix) {
        engine.delete(&id).unwrap_or_else(|error| panic!("delete: {error}"));
    }
    let mut model = read_all(&mut engine, &all_ids(mix));
    check(&mut engine, &model, mix, "after the repair");
    let (mut random, mut version) = (Random::new(seed), 1 << 40);
    for _ in 0..60 {
        let ops = mix.batch(&mut random, &mut version);
        write(&mut engine, &mut model, &ops);
    }
    check(&mut engine, &model, mix, "later");
    let (storage, closed) = engine.close();
    closed.expect("close");
    let image = storage.image().to_vec();
    let opened = StorageEngine::open(shape.device(&image), &mut memory, capacity, config);
    let mut engine = opened.expect("open again");
    assert_eq!(engine.damage(), None);
    check(&mut engine, &model, mix, "reopened");
    let mut lost = Vec::new();
    let on = |finding: Finding| lost.extend(finding.is_loss().then_some(finding));
    let sum = engine.verify(on).expect("verify");
    assert_eq!((sum.blocks as usize, lost), (model.blocks.len(), Vec::new()));
}

pub fn write(engine: &mut Engine<'_>, model: &mut Model, ops: &[Op]) {
    let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
    match engine.write(&operations) {
        Ok(_) => assert!(model.apply(ops), "a batch was written that must be refused"),
        Err(kausaldb::WriteError::Conflict { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// What contradicts itself in a store, other than that records are damaged.
pub fn contradictions<S: Storage>(engine: &mut StorageEngine<'_, S>) -> Vec<Finding> {
    let mut contradictions = Vec::new();
    let verified = engine.verify(|finding| {
        let is_damage = matches!(finding, Finding::Body { .. } | Finding::Header { .. });
        if finding.is_loss() && !is_damage {
            contradictions.push(finding);
        }
    });
    verified.expect("verify");
    contradictions
}
