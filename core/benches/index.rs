//! Lookups in the block index at full capacity, beside the standard library's map (which is `hashbrown`).
//!
//! `cargo bench -p kausaldb --bench index`. Both use a folded multiplication as their hash. The map holds
//! each id in its table; the index finds a location and compares the id in the record there, as the engine
//! does, and the map's caller reads the same record. Each figure is the median, in nanoseconds a lookup, of
//! rounds that take turns.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a bench may stop")]

use kausaldb::index::{BlockIndex, Hash};
use kausaldb::memory::{Footprint, StorageCoordinator};
use kausaldb::types::{BlockId, Location, NodeNumber};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::Instant;

const ROUNDS: usize = 15;
const LOOKUPS: usize = 100_000;
/// Lookups in flight together, where they are pipelined.
const BATCH: usize = 16;

/// The same arithmetic as the index's, for the map.
#[derive(Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let Ok(bytes) = <[u8; 16]>::try_from(bytes) else { return };
        let id = u128::from_le_bytes(bytes);
        let fold = |one: u64, other: u64| {
            let product = u128::from(one) * u128::from(other);
            product as u64 ^ (product >> 64) as u64
        };
        let once =
            fold(id as u64 ^ 0x243f_6a88_85a3_08d3, (id >> 64) as u64 ^ 0x1319_8a2e_0370_7344);
        self.0 = fold(once, 0xa409_3822_299f_31d0);
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a lookup ends at: one cache line that starts with the id.
#[repr(C, align(64))]
struct Record {
    id: BlockId,
    version: u64,
}

fn mix(value: u64) -> u64 {
    let mixed = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

fn id(value: u64) -> BlockId {
    BlockId::from_u128(u128::from(mix(value)) << 64 | u128::from(mix(!value)))
}

/// Nanoseconds a lookup.
fn timed(lookups: &[BlockId], mut find: impl FnMut(&[BlockId]) -> u64) -> f64 {
    let start = Instant::now();
    black_box(find(black_box(lookups)));
    start.elapsed().as_nanos() as f64 / lookups.len() as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn in_index(index: &BlockIndex<'_>, records: &[Record], hash: Hash, id: &BlockId) -> u64 {
    let mut candidates = index.candidates(hash);
    let records = candidates.find_map(|found| {
        records.get(found.location.get() as usize).filter(|record| record.id == *id)
    });
    records.map_or(0, |record| record.version)
}

fn in_map(
    map: &HashMap<BlockId, (u32, u32), BuildHasherDefault<Folded>>,
    records: &[Record],
    id: &BlockId,
) -> u64 {
    let found = map.get(id).and_then(|(_, location)| records.get(*location as usize));
    found.map_or(0, |record| record.version)
}

fn pipelined(index: &BlockIndex<'_>, records: &[Record], ids: &[BlockId]) -> u64 {
    ids.chunks(BATCH).fold(0, |sum, ids| {
        let mut hashes = [None; BATCH];
        for (hash, id) in hashes.iter_mut().zip(ids) {
            let made = index.hash(id);
            index.prefetch(made);
            *hash = Some(made);
        }
        let found = hashes.iter().flatten().zip(ids);
        found.fold(sum, |sum, (hash, id)| sum.wrapping_add(in_index(index, records, *hash, id)))
    })
}

fn main() {
    println!("{:>9} {:>5} {:>8} {:>8} {:>10}", "nodes", "", "index", "map", "pipelined");
    for nodes in [10_000_u32, 100_000, 1_000_000] {
        let bytes = BlockIndex::footprint(Footprint::new(), nodes).region_bytes();
        let mut region = vec![MaybeUninit::uninit(); bytes];
        let mut memory = StorageCoordinator::new(&mut region);
        let mut index = BlockIndex::new(&mut memory, nodes, [1, 2]).expect("the footprint's size");
        let mut map =
            HashMap::with_capacity_and_hasher(nodes as usize, BuildHasherDefault::default());
        let mut records = vec![Record { id: id(u64::MAX), version: 0 }];
        for number in 0..nodes {
            let id = id(u64::from(number));
            records.push(Record { id, version: u64::from(number) });
            index.take(NodeNumber::new(number)).expect("within the capacity");
            let location = Location::new(number + 1);
            index.insert(index.hash(&id), NodeNumber::new(number), location).expect("has room");
            map.insert(id, (number, number + 1));
        }
        for (name, offset) in [("hit", 0), ("miss", u64::from(nodes))] {
            let any = |lookup: u64| id(offset + mix(lookup) % u64::from(nodes));
            let ids: Vec<BlockId> = (0..LOOKUPS as u64).map(any).collect();
            let mut figures = [const { Vec::new() }; 3];
            for _ in 0..ROUNDS {
                figures[0].push(timed(&ids, |ids| {
                    ids.iter().fold(0_u64, |sum, id| {
                        sum.wrapping_add(in_index(&index, &records, index.hash(id), id))
                    })
                }));
                figures[1].push(timed(&ids, |ids| {
                    ids.iter().fold(0_u64, |sum, id| sum.wrapping_add(in_map(&map, &records, id)))
                }));
                figures[2].push(timed(&ids, |ids| pipelined(&index, &records, ids)));
            }
            let [index, map, pipelined] = figures.map(median);
            println!("{nodes:>9} {name:>5} {index:>8.1} {map:>8.1} {pipelined:>10.1}");
        }
    }
}
