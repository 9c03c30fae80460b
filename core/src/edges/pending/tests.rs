//! The pool against a map, in pools so small that everything collides and runs full.

use super::entry::ADD;
use super::*;
use crate::types::{EdgeKey, Location};
use core::mem::MaybeUninit;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

type Edge = (u32, u16, u32);

/// What the pool has to hold: each edge's change, and whether its halves are alive, out and in.
#[derive(Default)]
struct Model(BTreeMap<Edge, (PendingEdge, [bool; 2])>);

impl Model {
    fn place(direction: Direction) -> usize {
        direction as usize
    }

    fn halves(&self, number: u32, direction: Direction) -> Vec<Half> {
        let mut halves: Vec<Half> = self
            .0
            .values()
            .filter(|(_, alive)| alive[Self::place(direction)])
            .map(|(change, _)| Entry::new(*change))
            .filter(|entry| entry.node(direction) == node(number))
            .map(|entry| entry.half(direction))
            .collect();
        halves.sort_by_key(|half| half.key);
        halves
    }

    fn clear_halves(
        &mut self,
        number: u32,
        direction: Direction,
        range: KeyRange,
    ) -> Vec<PendingEdge> {
        for (change, alive) in self.0.values_mut() {
            let entry = Entry::new(*change);
            if entry.node(direction) == node(number) && range.contains(entry.half(direction).key) {
                alive[Self::place(direction)] = false;
            }
        }
        self.take_where(|(_, alive)| *alive == [false, false])
    }

    fn remove_node(&mut self, number: u32) -> Vec<PendingEdge> {
        self.take_where(|(change, _)| {
            change.source == node(number) || change.target == node(number)
        })
    }

    fn take_where(&mut self, gone: impl Fn(&(PendingEdge, [bool; 2])) -> bool) -> Vec<PendingEdge> {
        let taken =
            self.0.values().filter(|value| gone(value)).map(|(change, _)| *change).collect();
        self.0.retain(|_, value| !gone(value));
        taken
    }
}

fn node(number: u32) -> NodeNumber {
    NodeNumber::new(number)
}

fn change(edge: Edge, add: bool, units: u32) -> PendingEdge {
    let (source, kind, target) = edge;
    PendingEdge {
        source: node(source),
        kind: EdgeKind(kind),
        target: node(target),
        add,
        location: Location::new(units + 1),
        units: (units % 200) as u8,
    }
}

fn sorted(mut changes: Vec<PendingEdge>) -> Vec<PendingEdge> {
    changes.sort_by_key(|change| (change.source, change.kind, change.target));
    changes
}

fn with_pool(capacity: u32, seed: u64, run: impl FnOnce(&mut PendingEdges<'_>)) {
    let bytes = PendingEdges::footprint(Footprint::new(), capacity).region_bytes();
    let mut region = vec![MaybeUninit::uninit(); bytes];
    let mut memory = StorageCoordinator::new(&mut region);
    run(&mut PendingEdges::new(&mut memory, capacity, seed).unwrap());
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Edge, bool),
    ClearHalves(u32, Direction, Option<(EdgeKey, Option<EdgeKey>)>),
    RemoveNode(u32),
    Fold,
    Clear,
}

const NODES: u32 = 6;
const KINDS: u16 = 3;

fn edges() -> impl Strategy<Value = Edge> {
    (0..NODES, 0..KINDS, 0..NODES)
}

fn keys() -> impl Strategy<Value = EdgeKey> {
    (0..KINDS, 0..NODES).prop_map(|(kind, number)| EdgeKey { kind, number: node(number) })
}

fn steps() -> impl Strategy<Value = Step> {
    let direction = prop::sample::select(Direction::BOTH.to_vec());
    let range = prop::option::of((keys(), prop::option::of(keys())));
    prop_oneof![
        20 => (edges(), any::<bool>()).prop_map(|(edge, add)| Step::Insert(edge, add)),
        6 => (0..NODES, direction, range).prop_map(|(node, way, range)| Step::ClearHalves(node, way, range)),
        1 => (0..NODES).prop_map(Step::RemoveNode),
        3 => Just(Step::Fold),
        1 => Just(Step::Clear),
    ]
}

fn take_step(pool: &mut PendingEdges<'_>, model: &mut Model, step: &Step, at: u32) {
    let mut freed = Vec::new();
    match *step {
        Step::Insert(edge, add) => {
            let new = change(edge, add, at);
            let fits = model.0.contains_key(&edge) || pool.free() > 0;
            let full = PendingFull { needed: pool.capacity() + 1, capacity: pool.capacity() };
            let expected = if fits {
                Ok(model.0.insert(edge, (new, [true, true])).map(|(old, _)| old))
            } else {
                Err(full)
            };
            assert_eq!(pool.insert(new), expected);
        }
        Step::ClearHalves(number, direction, range) => {
            let range = range.map_or(KeyRange::ALL, |(low, high)| KeyRange { low, high });
            pool.clear_halves(node(number), direction, range, |change| freed.push(change));
            assert_eq!(sorted(freed), model.clear_halves(number, direction, range));
        }
        Step::RemoveNode(number) => {
            pool.remove_node(node(number), |change| freed.push(change));
            assert_eq!(sorted(freed), model.remove_node(number));
            assert!(!pool.mentions(node(number)));
        }
        Step::Fold => {
            let Some((full, direction)) = pool.fullest() else {
                assert!(model.0.is_empty());
                return;
            };
            assert!(!model.halves(full.get(), direction).is_empty(), "a fold makes progress");
            pool.clear_halves(full, direction, KeyRange::ALL, |change| freed.push(change));
            assert_eq!(sorted(freed), model.clear_halves(full.get(), direction, KeyRange::ALL));
        }
        Step::Clear => {
            pool.clear();
            model.0.clear();
        }
    }
}

fn compare(pool: &PendingEdges<'_>, model: &Model) {
    assert_eq!(pool.check(), Ok(()));
    assert_eq!(pool.len() as usize, model.0.len());
    assert_eq!(pool.free() + pool.len(), pool.capacity());
    let held: Vec<PendingEdge> = model.0.values().map(|(change, _)| *change).collect();
    assert_eq!(sorted(pool.changes().collect()), held);
    for number in 0..NODES {
        let mentioned = held.iter().any(|c| c.source == node(number) || c.target == node(number));
        assert_eq!(pool.mentions(node(number)), mentioned);
        for direction in Direction::BOTH {
            let mut halves: Vec<Half> = pool.halves(node(number), direction).collect();
            halves.sort_by_key(|half| half.key);
            assert_eq!(halves, model.halves(number, direction));
        }
        for (kind, other) in (0..KINDS).flat_map(|kind| (0..NODES).map(move |other| (kind, other)))
        {
            let expected = model.0.get(&(number, kind, other)).map(|(change, _)| *change);
            assert_eq!(pool.get(node(number), EdgeKind(kind), node(other)), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 400 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_pool_does_as_a_map_does(
        capacity in 0..24_u32,
        seed in any::<u64>(),
        steps in prop::collection::vec(steps(), 0..if cfg!(miri) { 20 } else { 120 }),
    ) {
        with_pool(capacity, seed, |pool| {
            let mut model = Model::default();
            let mut most = 0;
            for (step, at) in steps.iter().zip(0..) {
                take_step(pool, &mut model, step, at);
                compare(pool, &model);
                most = most.max(pool.len());
                assert_eq!(pool.high_water(), most);
            }
        });
    }
}

#[test]
fn a_newer_change_of_an_edge_replaces_the_older_and_both_halves_live_again() {
    with_pool(1, 7, |pool| {
        let (older, newer) = (change((1, 2, 3), true, 10), change((1, 2, 3), false, 20));
        assert_eq!(pool.insert(older), Ok(None));
        pool.clear_halves(node(1), Direction::Out, KeyRange::ALL, |_| panic!("a half is alive"));
        assert_eq!(pool.halves(node(1), Direction::Out).count(), 0);
        assert_eq!(pool.insert(newer), Ok(Some(older)), "also when the pool is full");
        assert_eq!(pool.halves(node(1), Direction::Out).count(), 1);
        assert_eq!(pool.get(node(1), EdgeKind(2), node(3)), Some(newer));
    });
}

#[test]
fn a_node_is_mentioned_until_both_halves_are_folded() {
    with_pool(4, 7, |pool| {
        let edge = change((1, 2, 3), true, 10);
        pool.insert(edge).unwrap();
        pool.clear_halves(node(1), Direction::Out, KeyRange::ALL, |_| panic!("a half is alive"));
        assert!(pool.mentions(node(1)) && pool.mentions(node(3)) && !pool.mentions(node(2)));
        let mut freed = Vec::new();
        pool.clear_halves(node(3), Direction::In, KeyRange::ALL, |change| freed.push(change));
        assert_eq!(freed, [edge]);
        assert!(!pool.mentions(node(1)) && !pool.mentions(node(3)));
    });
}

#[test]
fn an_edge_to_itself_has_two_halves_of_one_node_and_goes_once() {
    with_pool(4, 7, |pool| {
        let edge = change((5, 1, 5), true, 10);
        pool.insert(edge).unwrap();
        let key = EdgeKey { kind: 1, number: node(5) };
        for direction in Direction::BOTH {
            let half = Half { key, add: true, location: edge.location };
            assert_eq!(pool.halves(node(5), direction).collect::<Vec<_>>(), [half]);
        }
        let mut freed = Vec::new();
        pool.remove_node(node(5), |change| freed.push(change));
        assert_eq!(freed, [edge]);
        assert_eq!((pool.len(), pool.check()), (0, Ok(())));
    });
}

#[test]
fn the_hub_is_folded_first_and_in_the_end_everything_has_its_turn() {
    let spokes = if cfg!(miri) { 20 } else { 200 };
    with_pool(spokes + 6, 7, |pool| {
        for other in 0..6 {
            pool.insert(change((5000 + other, 1, 6000 + other), true, other)).unwrap();
        }
        for spoke in 0..spokes {
            pool.insert(change((1000 + spoke, 1, 7), true, spoke)).unwrap();
        }
        assert_eq!(pool.fullest(), Some((node(7), Direction::In)));
        for _ in 0..1 + spokes + 2 * 6 {
            let (node, direction) = pool.fullest().unwrap();
            pool.clear_halves(node, direction, KeyRange::ALL, |_| ());
        }
        assert_eq!((pool.len(), pool.fullest()), (0, None));
    });
}

#[test]
fn chains_stay_short_for_numbers_in_arithmetic_progression_whatever_the_seed() {
    if cfg!(miri) {
        return;
    }
    for (seed, step) in (0..8).flat_map(|seed| [1, 2, 64, 4096, 1 << 20].map(|step| (seed, step))) {
        with_pool(1024, seed, |pool| {
            for number in 0..1024_u32 {
                let (source, target) = (number.wrapping_mul(step), number.wrapping_mul(step) ^ 1);
                pool.insert(change((source, 1, target), true, number)).unwrap();
            }
            let nodes = (0..1024_u32).map(|number| node(number.wrapping_mul(step)));
            let links: usize = nodes.map(|node| pool.chain(node, Direction::Out).count()).sum();
            assert!(links < 1024 * 8, "seed {seed}, step {step}: {links} links for 1024 nodes");
        });
    }
}

#[test]
fn the_footprint_is_what_the_pool_takes_and_one_byte_less_is_refused() {
    for capacity in [0, 1, 7, 100] {
        let exact = 12 * (capacity as usize / 2 + 1) + 40 * capacity as usize;
        let bytes = PendingEdges::footprint(Footprint::new(), capacity).region_bytes();
        assert!(bytes >= exact);
        let mut region = vec![MaybeUninit::uninit(); bytes + 64];
        let aligned = region.as_ptr().align_offset(64);
        let mut carve = |length: usize| {
            let mut memory = StorageCoordinator::new(&mut region[aligned..aligned + length]);
            PendingEdges::new(&mut memory, capacity, 1).map(|pool| pool.capacity())
        };
        assert_eq!(carve(exact), Ok(capacity));
        assert!(carve(exact - 1).is_err());
    }
}

/// A sound pool with entries in chains of more than one, to plant faults in.
fn with_sample(run: impl FnOnce(&mut PendingEdges<'_>)) {
    with_pool(8, 3, |pool| {
        for target in 0..5 {
            pool.insert(change((1, 1, target), true, target)).unwrap();
        }
        pool.remove_node(node(3), |_| ());
        assert_eq!(pool.check(), Ok(()));
        run(pool);
    });
}

/// Names the entry in a slot, counted from 1.
fn link(pool: &PendingEdges<'_>, slot: usize) -> Link<Entry> {
    pool.entries.at(slot - 1).unwrap().0
}

fn entry<'a>(pool: &'a mut PendingEdges<'_>, slot: usize) -> &'a mut Entry {
    let link = link(pool, slot);
    pool.entries.get_mut(link).unwrap()
}

#[test]
fn the_check_finds_planted_faults() {
    type Plant = fn(&mut PendingEdges<'_>);
    let plants: &[(&str, Plant, PendingFault)] = &[
        ("an entry with no half alive", |pool| entry(pool, 1).flags = ADD, PendingFault::Slots),
        ("slots that do not add up", |pool| pool.entries.plant_fault(), PendingFault::Slots),
        (
            "a bucket that lost its chain by edge",
            |pool| pool.heads.iter_mut().for_each(|heads| heads.edge = Link::NONE),
            PendingFault::EdgeChains,
        ),
        (
            "a chain by edge that runs in a circle",
            |pool| entry(pool, 1).next = link(pool, 1),
            PendingFault::EdgeChains,
        ),
        (
            "an entry that changed its kind",
            |pool| entry(pool, 1).kind = 77,
            PendingFault::EdgeChains,
        ),
        (
            "a bucket that lost its outgoing chain",
            |pool| pool.heads.iter_mut().for_each(|heads| heads.outgoing = Link::NONE),
            PendingFault::NodeChains(Direction::Out),
        ),
        (
            "a link back that leads elsewhere",
            |pool| {
                entry(pool, 1).outgoing.previous = Link::NONE;
            },
            PendingFault::NodeChains(Direction::Out),
        ),
        (
            "a half in the chain of another direction only",
            |pool| pool.heads.iter_mut().for_each(|heads| heads.incoming = heads.outgoing),
            PendingFault::NodeChains(Direction::In),
        ),
    ];
    for (what, plant, fault) in plants {
        with_sample(|pool| {
            plant(pool);
            assert_eq!(pool.check(), Err(*fault), "{what}");
        });
    }
}

#[test]
fn the_check_finds_an_edge_with_two_entries() {
    with_sample(|pool| {
        let twin = Entry::new(change((1, 1, 0), false, 99));
        let link = pool.entries.acquire(twin).unwrap().link();
        pool.link_edge(link);
        Direction::BOTH.into_iter().for_each(|direction| pool.link_half(direction, link));
        assert_eq!(pool.check(), Err(PendingFault::Duplicate));
    });
}
