//! What the tests of the whole engine share: a plain model of a store, random batches, and the
//! comparison of both.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod hurt;
pub mod lives;
pub mod moment;
pub mod power;
pub mod stories;

use kausaldb::{
    BlockId, BlockRef, Capacity, Config, ContextBlock, Direction, EdgeKind, Expect, GraphEdge,
    OpenError, Operation, Order, Storage, StorageEngine, Workspace,
};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;

/// A generator of random numbers that is the same everywhere (xorshift64*).
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        (0..4).for_each(|_| {
            random.next();
        });
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }
}

/// A block that owns its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    pub version: u64,
    pub source_uri: String,
    pub metadata: Vec<u8>,
    pub content: Vec<u8>,
}

impl Block {
    fn of(block: &BlockRef<'_>) -> Self {
        Self {
            version: block.version(),
            source_uri: block.source_uri().into(),
            metadata: block.metadata().into(),
            content: block.content().into(),
        }
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{} ({} + {} bytes)", self.version, self.metadata.len(), self.content.len())
    }
}

/// An operation that owns its parts.
#[derive(Clone, Debug)]
pub enum Op {
    Put(BlockId, Block, Expect),
    Delete(BlockId),
    DeleteBlock(BlockId),
    Link(GraphEdge),
    Unlink(GraphEdge),
}

impl Op {
    pub fn borrow(&self) -> Operation<'_> {
        match self {
            Self::Put(id, block, expect) => Operation::Put {
                block: ContextBlock {
                    id: *id,
                    version: block.version,
                    source_uri: &block.source_uri,
                    metadata: &block.metadata,
                    content: &block.content,
                },
                expect: *expect,
            },
            Self::Delete(id) => Operation::Delete(*id),
            Self::DeleteBlock(id) => Operation::DeleteBlock(*id),
            Self::Link(edge) => Operation::Link(*edge),
            Self::Unlink(edge) => Operation::Unlink(*edge),
        }
    }
}

/// What a store holds, in the plainest way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Model {
    pub blocks: BTreeMap<BlockId, Block>,
    pub edges: BTreeSet<GraphEdge>,
}

impl Model {
    /// Applies a batch; false, and nothing is changed, if a put expected something else.
    pub fn apply(&mut self, ops: &[Op]) -> bool {
        let before = self.clone();
        for op in ops {
            match op {
                Op::Put(id, block, expect) => {
                    let stored = self.blocks.get(id).map(|block| block.version);
                    let fits = match expect {
                        Expect::Any => true,
                        Expect::Absent => stored.is_none(),
                        Expect::Version(version) => stored == Some(*version),
                    };
                    if !fits {
                        *self = before;
                        return false;
                    }
                    self.blocks.insert(*id, block.clone());
                }
                Op::Delete(id) => {
                    self.blocks.remove(id);
                    self.edges.retain(|edge| edge.source != *id && edge.target != *id);
                }
                Op::DeleteBlock(id) => {
                    self.blocks.remove(id);
                }
                Op::Link(edge) => {
                    self.edges.insert(*edge);
                }
                Op::Unlink(edge) => {
                    self.edges.remove(edge);
                }
            }
        }
        true
    }

    pub fn nodes(&self) -> usize {
        let ends = self.edges.iter().flat_map(|edge| [edge.source, edge.target]);
        self.blocks.keys().copied().chain(ends).collect::<BTreeSet<_>>().len()
    }
}

/// What random batches are like.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub ids: u64,
    pub operations: u64,
    pub content_max: u64,
    /// Of 100 operations: puts, links; the rest is shared by deletes and unlinks.
    pub puts: u64,
    pub links: u64,
    /// Whether most edges have one of the first ids at one end.
    pub hubs: bool,
}

impl Default for Mix {
    fn default() -> Self {
        Self { ids: 40, operations: 6, content_max: 200, puts: 45, links: 30, hubs: false }
    }
}

impl Mix {
    pub fn id(&self, random: &mut Random) -> BlockId {
        BlockId::from_u128(u128::from(random.below(self.ids)) * 0x1_0000_0001_0000_0001 + 1)
    }

    fn edge(&self, random: &mut Random) -> GraphEdge {
        let hub = Mix { ids: 2, ..*self };
        let (mut source, mut target) = (self.id(random), self.id(random));
        if self.hubs && !random.one_in(4) {
            let end = if random.one_in(2) { &mut source } else { &mut target };
            *end = hub.id(random);
        }
        GraphEdge { source, kind: EdgeKind(random.below(3) as u16), target }
    }

    pub fn batch(&self, random: &mut Random, version: &mut u64) -> Vec<Op> {
        let many = if random.one_in(3) { self.operations } else { 1 };
        (0..1 + random.below(many)).map(|_| self.op(random, version)).collect()
    }

    fn op(&self, random: &mut Random, version: &mut u64) -> Op {
        *version += 1;
        let draw = random.below(100);
        if draw < self.puts {
            let expect = match random.below(12) {
                0 => Expect::Absent,
                1 => Expect::Version(random.below(*version)),
                _ => Expect::Any,
            };
            let bytes = |random: &mut Random, max: u64| {
                let len = random.below(max + 1);
                (0..len).map(|_| random.next() as u8).collect::<Vec<_>>()
            };
            let block = Block {
                version: *version,
                source_uri: format!("file:///{}", random.below(1000)),
                metadata: bytes(random, 20),
                content: bytes(random, self.content_max),
            };
            Op::Put(self.id(random), block, expect)
        } else if draw < self.puts + self.links {
            Op::Link(self.edge(random))
        } else {
            match random.below(4) {
                0 => Op::Delete(self.id(random)),
                1 => Op::DeleteBlock(self.id(random)),
                _ => Op::Unlink(self.edge(random)),
            }
        }
    }
}

/// A region for a capacity.
pub fn region(capacity: &Capacity) -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); capacity.region_bytes()]
}

/// Opens with a region that lives as long as the test.
pub fn open<S: Storage>(
    storage: S,
    capacity: Capacity,
    config: Config,
) -> Result<StorageEngine<'static, S>, OpenError<S::Error>> {
    StorageEngine::open(storage, Box::leak(region(&capacity).into_boxed_slice()), capacity, config)
}

/// The blocks that scans show, which agree in both orders.
fn scan_all<S: Storage>(engine: &mut StorageEngine<'_, S>, scratch: &mut [u8]) -> Model {
    let mut shown = Model::default();
    let mut room = [0; Workspace::scratch_bytes(1, 5)];
    let workspace = Workspace::over(&mut room, 1).expect("room for an iterator");
    let mut query = engine.reader_through(scratch).query(workspace);
    let scan = query.scan(Order::OldestFirst).expect("a place");
    while let Some(block) = query.next_block(&scan).expect("scan") {
        let again = shown.blocks.insert(block.id(), Block::of(&block));
        assert!(again.is_none(), "a scan shows a block twice");
    }
    query.close(scan).expect("open");
    let infos = [Order::OldestFirst, Order::NewestFirst].map(|order| {
        let (mut infos, scan) = (Vec::new(), query.scan(order).expect("a place"));
        while let Some(info) = query.next_info(&scan).expect("scan") {
            infos.push((info.sequence, info.id, info.version));
        }
        query.close(scan).expect("open");
        infos
    });
    let [oldest_first, mut newest_first] = infos;
    newest_first.reverse();
    assert_eq!(oldest_first, newest_first, "the two orders show different blocks");
    assert!(oldest_first.is_sorted_by(|one, next| one.0 < next.0), "sequences are not in order");
    let versions = shown.blocks.iter().map(|(id, block)| (*id, block.version));
    let scanned: BTreeMap<_, _> =
        oldest_first.iter().map(|(_, id, version)| (*id, *version)).collect();
    assert!(versions.eq(scanned), "blocks and their headers disagree");
    assert_eq!(engine.stats().blocks as usize, shown.blocks.len(), "blocks are counted otherwise");
    shown
}

/// What a store shows through its public reads.
pub fn read_all<S: Storage>(engine: &mut StorageEngine<'_, S>, ids: &[BlockId]) -> Model {
    let mut scratch = vec![0; 1 << 16];
    let mut shown = scan_all(engine, &mut scratch);
    let mut many = Vec::new();
    let found_many = engine.reader_through(&mut scratch).find_many(ids, |place, block| {
        assert_eq!(place, many.len());
        many.push(block.map(|block| (block.version(), block.content().to_vec())));
    });
    found_many.expect("find_many");
    for (id, many) in ids.iter().zip(&many) {
        let block = shown.blocks.get(id).map(|block| (block.version, &block.content));
        let many = many.as_ref().map(|(version, content)| (*version, content));
        assert_eq!(many, block, "find_many and scan disagree on {id}");
    }
    for id in ids {
        let found =
            engine.find_into(id, &mut scratch).expect("find").map(|block| Block::of(&block));
        assert_eq!(found.as_ref(), shown.blocks.get(id), "find and scan disagree on {id}");
        assert_eq!(engine.contains(id).expect("contains"), found.is_some());
        assert_eq!(engine.version(id).expect("version"), found.map(|block| block.version));
        for direction in Direction::BOTH {
            let mut edges =
                engine.reader_through(&mut scratch).edges(id, direction, None).expect("edges");
            let mut of_node = BTreeSet::new();
            while let Some(edge) = edges.next().expect("edges") {
                assert!(of_node.insert(edge), "edges show {edge:?} twice");
            }
            let edge = of_node.first().copied();
            shown.edges.extend(of_node);
            if let Some(edge) = edge {
                let has_edge = engine.reader_through(&mut scratch).has_edge(&edge);
                assert_eq!(has_edge.as_ref().ok(), Some(&true), "{edge:?} is shown: {has_edge:?}");
            }
        }
    }
    let count = engine.count_edges().expect("edges");
    assert_eq!((count.edges as usize, count.lists_unreadable), (shown.edges.len(), 0));
    shown
}

/// Checks that each direction shows the same edges.
pub fn check_directions<S: Storage>(engine: &mut StorageEngine<'_, S>, ids: &[BlockId]) {
    let mut scratch = vec![0; 1 << 16];
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for (direction, seen) in Direction::BOTH.into_iter().zip(&mut seen) {
        for id in ids {
            let mut edges =
                engine.reader_through(&mut scratch).edges(id, direction, None).expect("edges");
            while let Some(edge) = edges.next().expect("edges") {
                seen.insert(edge);
            }
        }
    }
    assert_eq!(seen[0], seen[1], "out and in disagree");
}

/// Every id that a mix can draw.
pub fn all_ids(mix: &Mix) -> Vec<BlockId> {
    (0..mix.ids).map(|n| BlockId::from_u128(u128::from(n) * 0x1_0000_0001_0000_0001 + 1)).collect()
}

/// Compares everything that the store shows with the model.
pub fn check<S: Storage>(engine: &mut StorageEngine<'_, S>, model: &Model, mix: &Mix, what: &str) {
    let ids = all_ids(mix);
    let shown = read_all(engine, &ids);
    assert!(shown.blocks == model.blocks, "{what}: blocks differ");
    if shown.edges != model.edges {
        let missing: Vec<_> = model.edges.difference(&shown.edges).take(3).collect();
        let extra: Vec<_> = shown.edges.difference(&model.edges).take(3).collect();
        panic!("{what}: edges differ: missing {missing:?}, extra {extra:?}");
    }
    check_directions(engine, &ids);
}

/// Runs `verify` and panics on any finding.
pub fn verify<S: Storage>(engine: &mut StorageEngine<'_, S>, what: &str) {
    let mut findings = Vec::new();
    let sum = engine.verify(|finding| findings.push(finding)).expect("verify");
    assert!(findings.is_empty(), "{what}: {findings:?} in {sum:?}");
}
