//! The block index beside the old ways to hold the same entries, behind one narrow trait.
//!
//! `cargo bench -p kausaldb --features std --bench index [NODES...]`; 10 thousand, 100 thousand and 1 million
//! without an argument. Ten million take 3 GiB and some minutes.
//!
//! - `columns`: the shipped index, a table of cache lines and a column for each fact;
//! - `hashbrown`: the same columns, with hashbrown's table of the same three words in the place of ours;
//! - `structs`: an array of structs, and hashbrown's table from an id to a place in it;
//! - `boxes`: hashbrown's table of pointers to boxed nodes, one box for each block. Three orders of the boxes
//!   in memory: that of insertion; shuffled; and that in which the table is walked, the kindest there is.
//!
//! All hash alike, and know an entry by the same 32 bits of the hash: none reads an id or a record. All have
//! room for their nodes from the start. Rounds take turns: each way is built and filled untimed, then timed
//! looking up what is there and what is not, scanning, deleting half of the entries in random order and
//! inserting those again. A figure is the median of the rounds, in nanoseconds for one entry.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a bench may stop")]

mod support;

use hashbrown::HashTable;
use kausaldb::index::{BlockIndex, Hash};
use kausaldb::memory::{Footprint, StorageCoordinator};
use kausaldb::types::{BlockId, Direction, Location, NodeNumber};
use std::mem::MaybeUninit;
use support::{Random, id, median, mix, ns, numbers, timed};

/// Steps that are timed together: short enough that most such spans are not interrupted.
const SPAN: usize = 10_000;
/// Lookups of a round.
const LOOKUPS: usize = 200_000;
/// Scans of each sort in a round.
const SCANS: usize = 5;
const SEED: [u64; 2] = [1, 2];

/// The arithmetic of the shipped index's hash, for the other ways. [`main`] compares the two.
fn hash(id: &BlockId) -> u64 {
    const SPREAD: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0];
    let fold = |one: u64, other: u64| {
        let product = u128::from(one) * u128::from(other);
        product as u64 ^ (product >> 64) as u64
    };
    let id = u128::from_le_bytes(*id.bytes());
    let [first, second] = [SEED[0] ^ SPREAD[0], SEED[1] ^ SPREAD[1]];
    let once = fold(id as u64 ^ first, (id >> 64) as u64 ^ second);
    fold(once ^ first, SPREAD[2] ^ second)
}

type Region<'r> = &'r mut [MaybeUninit<u8>];

/// A way to know where a node's records lie.
trait Way<'r> {
    const NAME: &'static str;

    /// Bytes of the region that it lives in; 0 if it takes what it needs from the heap.
    fn region_bytes(_nodes: u32) -> usize {
        0
    }
    /// Room for so many nodes.
    fn new(region: Region<'r>, nodes: u32) -> Self;
    fn insert(&mut self, id: &BlockId, number: u32, home: u32);
    /// Where the node's record lies; 0 if there is no such node.
    fn home(&self, id: &BlockId) -> u32;
    fn remove(&mut self, id: &BlockId, number: u32);
    /// The sum of one column.
    fn sum_homes(&self) -> u64;
    /// The sum of all that is known of each node.
    fn sum_nodes(&self) -> u64;
    /// Bytes that it takes; of a heap, as the heap rounds them.
    fn bytes(&self) -> usize;
    /// Lays the nodes out as the way's name says. Called once, when it is full.
    fn settle(&mut self) {}
}

/// The shipped index.
struct Columns<'r> {
    index: BlockIndex<'r>,
    bytes: usize,
}

impl<'r> Way<'r> for Columns<'r> {
    const NAME: &'static str = "columns";

    fn region_bytes(nodes: u32) -> usize {
        BlockIndex::footprint(Footprint::new(), nodes).region_bytes()
    }

    fn new(region: Region<'r>, nodes: u32) -> Self {
        let bytes = region.len();
        let mut memory = StorageCoordinator::new(region);
        let index = BlockIndex::new(&mut memory, nodes, SEED).expect("the footprint's size");
        Self { index, bytes }
    }

    fn insert(&mut self, id: &BlockId, number: u32, home: u32) {
        let number = NodeNumber::new(number);
        self.index.take(number).expect("below the capacity");
        let hash = self.index.hash(id);
        self.index.insert(hash, number, Location::new(home)).expect("room");
    }

    fn home(&self, id: &BlockId) -> u32 {
        let mut candidates = self.index.candidates(self.index.hash(id));
        candidates.next().map_or(0, |found| found.location.get())
    }

    fn remove(&mut self, id: &BlockId, number: u32) {
        self.index.remove(self.index.hash(id), NodeNumber::new(number));
        self.index.release(NodeNumber::new(number));
    }

    fn sum_homes(&self) -> u64 {
        self.index.homes().fold(0, |sum, (_, home)| sum + u64::from(home.get()))
    }

    fn sum_nodes(&self) -> u64 {
        self.index.homes().fold(0, |sum, (number, home)| {
            let out = self.index.adjacency(number, Direction::Out);
            let into = self.index.adjacency(number, Direction::In);
            let words = [number.get(), home.get(), out.get(), into.get()];
            words.into_iter().map(u64::from).sum::<u64>() + sum
        })
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What hashbrown asks when it makes room anew: the node's hash, from its id.
fn rehash(number: u32) -> u64 {
    hash(&id(u64::from(number)))
}

/// An entry of the shipped table.
#[derive(Debug)]
struct Entry {
    fingerprint: u32,
    number: u32,
    home: u32,
}

/// hashbrown's table over the shipped table's entries, and the shipped columns.
struct Hashbrown {
    table: HashTable<Entry>,
    columns: [Vec<u32>; 3],
}

impl Way<'_> for Hashbrown {
    const NAME: &'static str = "hashbrown";

    fn new(_: Region<'_>, nodes: u32) -> Self {
        let table = HashTable::with_capacity(nodes as usize);
        Self { table, columns: [(); 3].map(|()| vec![0; nodes as usize]) }
    }

    fn insert(&mut self, id: &BlockId, number: u32, home: u32) {
        let hash = hash(id);
        let entry = Entry { fingerprint: hash as u32, number, home };
        self.table.insert_unique(hash, entry, |entry| rehash(entry.number));
        self.columns[0][number as usize] = home;
    }

    fn home(&self, id: &BlockId) -> u32 {
        let hash = hash(id);
        let found = self.table.find(hash, |entry| entry.fingerprint == hash as u32);
        found.map_or(0, |entry| entry.home)
    }

    fn remove(&mut self, id: &BlockId, number: u32) {
        let entry = self.table.find_entry(hash(id), |entry| entry.number == number);
        entry.expect("was inserted").remove();
        self.columns[0][number as usize] = 0;
    }

    fn sum_homes(&self) -> u64 {
        self.columns[0].iter().map(|home| u64::from(*home)).sum()
    }

    fn sum_nodes(&self) -> u64 {
        let [homes, out, into] = &self.columns;
        let nodes = homes.iter().zip(out).zip(into).zip(0_u64..);
        nodes.fold(0, |sum, (((home, out), into), number)| {
            sum + u64::from(*home) + u64::from(*out) + u64::from(*into) + number
        })
    }

    fn bytes(&self) -> usize {
        self.table.allocation_size() + self.columns[0].len() * 12
    }
}

/// All that is known of a node, in one place. Its home is 0 when it is gone.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    fingerprint: u32,
    number: u32,
    home: u32,
    out: u32,
    into: u32,
}

impl Node {
    fn new(hash: u64, number: u32, home: u32) -> Self {
        Self { fingerprint: hash as u32, number, home, out: 0, into: 0 }
    }

    fn sum(&self) -> u64 {
        [self.number, self.home, self.out, self.into].into_iter().map(u64::from).sum()
    }
}

/// An array of structs, and from an id to a place in it.
struct Structs {
    table: HashTable<u32>,
    nodes: Vec<Node>,
}

impl Way<'_> for Structs {
    const NAME: &'static str = "structs";

    fn new(_: Region<'_>, nodes: u32) -> Self {
        let table = HashTable::with_capacity(nodes as usize);
        Self { table, nodes: vec![Node::default(); nodes as usize] }
    }

    fn insert(&mut self, id: &BlockId, number: u32, home: u32) {
        let hash = hash(id);
        self.nodes[number as usize] = Node::new(hash, number, home);
        self.table.insert_unique(hash, number, |number| rehash(*number));
    }

    fn home(&self, id: &BlockId) -> u32 {
        let hash = hash(id);
        let is = |number: &u32| self.nodes[*number as usize].fingerprint == hash as u32;
        self.table.find(hash, is).map_or(0, |number| self.nodes[*number as usize].home)
    }

    fn remove(&mut self, id: &BlockId, number: u32) {
        let entry = self.table.find_entry(hash(id), |at| *at == number);
        entry.expect("was inserted").remove();
        self.nodes[number as usize] = Node::default();
    }

    fn sum_homes(&self) -> u64 {
        self.nodes.iter().map(|node| u64::from(node.home)).sum()
    }

    fn sum_nodes(&self) -> u64 {
        self.nodes.iter().map(Node::sum).sum()
    }

    fn bytes(&self) -> usize {
        self.table.allocation_size() + size_of_val(&*self.nodes)
    }
}

/// How boxes lie in memory.
const INSERTED: u8 = 0;
const SHUFFLED: u8 = 1;
const WALKED: u8 = 2;

/// A pointer to each node.
struct Boxes<const ORDER: u8> {
    table: HashTable<Box<Node>>,
}

impl<const ORDER: u8> Way<'_> for Boxes<ORDER> {
    const NAME: &'static str =
        ["boxes, inserted", "boxes, shuffled", "boxes, walked"][ORDER as usize];

    fn new(_: Region<'_>, nodes: u32) -> Self {
        Self { table: HashTable::with_capacity(nodes as usize) }
    }

    fn insert(&mut self, id: &BlockId, number: u32, home: u32) {
        let hash = hash(id);
        let node = Box::new(Node::new(hash, number, home));
        self.table.insert_unique(hash, node, |node| rehash(node.number));
    }

    fn home(&self, id: &BlockId) -> u32 {
        let hash = hash(id);
        let found = self.table.find(hash, |node| node.fingerprint == hash as u32);
        found.map_or(0, |node| node.home)
    }

    fn remove(&mut self, id: &BlockId, number: u32) {
        let entry = self.table.find_entry(hash(id), |node| node.number == number);
        entry.expect("was inserted").remove();
    }

    fn sum_homes(&self) -> u64 {
        self.table.iter().map(|node| u64::from(node.home)).sum()
    }

    fn sum_nodes(&self) -> u64 {
        self.table.iter().map(|node| node.sum()).sum()
    }

    fn bytes(&self) -> usize {
        // 20 bytes and a word of the heap's, rounded up to 16: what glibc takes.
        self.table.allocation_size() + self.table.len() * 32
    }

    fn settle(&mut self) {
        let mut fresh: Vec<_> = self.table.iter().map(|_| Box::new(Node::default())).collect();
        fresh.sort_by_key(|node| std::ptr::from_ref(&**node).addr());
        if ORDER == SHUFFLED {
            Random::new(3).shuffle(&mut fresh);
        }
        let mut fresh: Vec<_> = fresh.into_iter().map(Some).collect();
        for (walked, node) in self.table.iter_mut().enumerate() {
            let at = if ORDER == WALKED { walked } else { node.number as usize };
            let mut moved = fresh[at].take().expect("each box is taken once");
            *moved = **node;
            *node = moved;
        }
    }
}

const OPERATIONS: [&str; 6] = ["hit", "miss", "insert", "delete", "column", "nodes"];

/// What was measured of one way.
#[derive(Default)]
struct Figures {
    name: &'static str,
    times: [Vec<f64>; 6],
    bytes: usize,
}

/// The ids of one size, and the orders in which they are used.
struct Work {
    nodes: u32,
    ids: Vec<BlockId>,
    hits: Vec<BlockId>,
    misses: Vec<BlockId>,
    /// Half of the numbers, shuffled.
    churn: Vec<u32>,
}

impl Work {
    fn new(nodes: u32) -> Self {
        let ids: Vec<BlockId> = (0..u64::from(nodes)).map(id).collect();
        let hit = |n: u64| ids[(mix(n) % u64::from(nodes)) as usize];
        let hits = (0..LOOKUPS as u64).map(hit).collect();
        let misses = (0..LOOKUPS as u64).map(|n| id(u64::from(nodes) + n)).collect();
        let mut churn: Vec<u32> = (0..nodes).collect();
        Random::new(7).shuffle(&mut churn);
        churn.truncate(nodes as usize / 2);
        Self { nodes, ids, hits, misses, churn }
    }

    fn home_of(number: u32) -> u32 {
        number + 1
    }

    /// One round of one way.
    fn round<'r, W: Way<'r>>(&self, region: Region<'r>, figures: &mut Figures) {
        let mut way = W::new(region, self.nodes);
        for (number, id) in (0..self.nodes).zip(&self.ids) {
            way.insert(id, number, Self::home_of(number));
        }
        way.settle();
        let [hit, miss, insert, delete, column, nodes] = &mut figures.times;
        for (ids, times) in [(&self.hits, hit), (&self.misses, miss)] {
            for ids in ids.chunks(SPAN) {
                let sum = || ids.iter().fold(0_u64, |sum, id| sum + u64::from(way.home(id)));
                times.push(timed(ids.len(), sum));
            }
        }
        let (count, homes) = (self.nodes as usize, u64::from(self.nodes));
        assert_eq!(way.sum_homes(), homes * (homes + 1) / 2);
        assert_eq!(way.sum_nodes(), homes * homes);
        for _ in 0..SCANS {
            column.push(timed(count, || way.sum_homes()));
            nodes.push(timed(count, || way.sum_nodes()));
        }
        for numbers in self.churn.chunks(SPAN) {
            let remove = |number: &u32| way.remove(&self.ids[*number as usize], *number);
            delete.push(timed(numbers.len(), || numbers.iter().for_each(remove)));
        }
        for numbers in self.churn.chunks(SPAN) {
            let back = |number: &u32| {
                way.insert(&self.ids[*number as usize], *number, Self::home_of(*number));
            };
            insert.push(timed(numbers.len(), || numbers.iter().for_each(back)));
        }
        assert_eq!(way.sum_homes(), homes * (homes + 1) / 2);
        (figures.name, figures.bytes) = (W::NAME, way.bytes());
    }
}

fn compare(nodes: u32) {
    let work = Work::new(nodes);
    let mut region = vec![MaybeUninit::uninit(); Columns::region_bytes(nodes)];
    let mut ways: [Figures; 6] = Default::default();
    let rounds = if nodes > 1_000_000 { 3 } else { 7 };
    for _ in 0..rounds {
        let [columns, hashbrown, structs, inserted, shuffled, walked] = &mut ways;
        work.round::<Columns<'_>>(&mut region, columns);
        work.round::<Hashbrown>(&mut [], hashbrown);
        work.round::<Structs>(&mut [], structs);
        work.round::<Boxes<INSERTED>>(&mut [], inserted);
        work.round::<Boxes<SHUFFLED>>(&mut [], shuffled);
        work.round::<Boxes<WALKED>>(&mut [], walked);
    }
    print(nodes, ways);
}

/// The figures, and beside each how many times the shipped index's it is.
fn print(nodes: u32, ways: [Figures; 6]) {
    println!("\n{nodes} nodes; nanoseconds (and times those of the columns)");
    print!("{:<16}", "");
    OPERATIONS.iter().for_each(|operation| print!("{operation:>16}"));
    println!("{:>8}", "bytes");
    let mut ours: Option<Vec<f64>> = None;
    for way in ways {
        let figures: Vec<f64> = way.times.into_iter().map(median).collect();
        let ours = ours.get_or_insert_with(|| figures.clone());
        print!("{:<16}", way.name);
        for (figure, ours) in figures.iter().zip(ours) {
            print!("{:>8} {:>7}", ns(*figure), format!("({})", ns(figure / *ours)));
        }
        println!("{:>8.1}", way.bytes as f64 / f64::from(nodes));
    }
}

/// That the other ways hash as the shipped index does.
fn check_hash() {
    let mut region = vec![MaybeUninit::uninit(); Columns::region_bytes(1)];
    let index = Columns::new(&mut region, 1).index;
    for id in (0..1000).map(id) {
        let shipped: Hash = index.hash(&id);
        let buckets = u32::MAX;
        let home = ((hash(&id) >> 32) * u64::from(buckets)) >> 32;
        assert_eq!(u64::from(shipped.home(buckets)), home);
    }
}

fn main() {
    check_hash();
    let sizes = numbers();
    let sizes = if sizes.is_empty() { &[10_000, 100_000, 1_000_000][..] } else { &sizes };
    sizes.iter().for_each(|nodes| compare(u32::try_from(*nodes).expect("a number of nodes")));
}
