//! What the index promises, piece by piece, on the faults that its checks must find, and against a model.

use super::*;
use core::mem::{MaybeUninit, swap};
use proptest::prelude::*;
use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::vec::Vec;
use std::{format, vec};

/// Runs the test with an index for so many nodes, in a region of exactly the size that the footprint says.
fn with_index<R>(nodes: u32, test: impl FnOnce(&mut BlockIndex<'_>) -> R) -> R {
    let bytes = BlockIndex::footprint(Footprint::new(), nodes).region_bytes();
    let mut region = vec![MaybeUninit::uninit(); bytes];
    let mut memory = StorageCoordinator::new(&mut region);
    test(&mut BlockIndex::new(&mut memory, nodes, [1, 2]).unwrap())
}

fn number(value: u32) -> NodeNumber {
    NodeNumber::new(value)
}

fn at(units: u32) -> Location {
    Location::new(units)
}

/// Takes the number and inserts its entry, at location number + 1.
fn add(index: &mut BlockIndex<'_>, hash: Hash, value: u32) {
    assert_eq!(index.take(number(value)), Ok(true));
    index.insert(hash, number(value), at(value + 1)).unwrap();
}

fn found(index: &BlockIndex<'_>, hash: Hash) -> Vec<(u32, u32)> {
    index.candidates(hash).map(|found| (found.number.get(), found.location.get())).collect()
}

/// All free numbers, in order.
fn free(index: &BlockIndex<'_>) -> Vec<u32> {
    let mut cursor = index.peek_free();
    core::iter::from_fn(|| cursor.next(index)).map(NodeNumber::get).collect()
}

/// A hash that lives in the bucket that is this fraction (of 2^32) along the table.
fn hash(home: u32, fingerprint: u32) -> Hash {
    Hash::from_halves(home, fingerprint)
}

/// Numbers shuffled by a fixed linear congruence.
fn shuffled(count: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count).collect();
    numbers.sort_by_key(|value| value.wrapping_mul(0x9e37_79b1).rotate_left(7));
    numbers
}

#[test]
fn from_100_nodes_on_a_node_takes_at_most_28_bytes() {
    for nodes in (100..5000).chain([16_384, 1_000_000, 100_000_000]) {
        let bytes = BlockIndex::footprint(Footprint::new(), nodes).region_bytes();
        assert!(bytes <= nodes as usize * 28 + 63, "{nodes} nodes take {bytes} bytes");
    }
    let bytes = BlockIndex::footprint(Footprint::new(), 1_000_000).region_bytes();
    assert!((26_550_000..26_650_000).contains(&bytes), "{bytes}");
}

#[test]
fn the_footprint_is_what_the_index_takes() {
    for nodes in [0, 1, 4, 5, 33, 1000] {
        let before = Footprint::new().slice::<u8>(3);
        let bytes = BlockIndex::footprint(before, nodes).region_bytes();
        for (missing, fits) in [(0, true), (64, false)] {
            let mut region = vec![MaybeUninit::uninit(); bytes - missing];
            let mut memory = StorageCoordinator::new(&mut region);
            memory.slice_of::<u8>(3).unwrap();
            let index = BlockIndex::new(&mut memory, nodes, [0, 0]);
            assert_eq!(index.is_ok(), fits, "{nodes} nodes, {missing} bytes missing");
        }
    }
}

#[test]
fn at_most_nine_tenths_of_the_places_are_taken() {
    for nodes in (0..10_000).chain([u32::MAX - 1, u32::MAX]) {
        let places = u64::from(buckets(nodes)) * 5;
        assert!(places * 9 >= u64::from(nodes) * 10 && places > 0);
    }
}

#[test]
fn an_entry_is_found_moved_and_removed() {
    with_index(10, |index| {
        let id = BlockId::from_u128(7);
        let hash = index.hash(&id);
        index.prefetch(hash);
        assert_eq!(found(index, hash), []);
        add(index, hash, 3);
        assert_eq!(found(index, hash), [(3, 4)]);
        assert_eq!(index.home(number(3)), at(4));
        assert!(index.relocate(hash, number(3), at(90)));
        assert_eq!(found(index, hash), [(3, 90)]);
        assert_eq!(index.home(number(3)), at(90));
        assert!(index.remove(hash, number(3)));
        assert_eq!(found(index, hash), []);
        assert!(index.is_used(number(3)));
        assert_eq!(index.home(number(3)), at(90));
        assert!(!index.remove(hash, number(3)));
        assert!(!index.relocate(hash, number(3), at(5)));
        assert_eq!((index.entries(), index.used(), index.check()), (0, 1, true));
    });
}

#[test]
fn entries_of_one_hash_are_all_candidates_and_removed_by_number() {
    with_index(20, |index| {
        let same = hash(1 << 31, 0);
        (0..12).for_each(|value| add(index, same, value));
        let mut numbers: Vec<u32> = found(index, same).iter().map(|found| found.0).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..12).collect::<Vec<_>>());
        assert!(index.remove(same, number(1)));
        assert!(!found(index, same).contains(&(1, 2)));
        assert_eq!(found(index, same).len(), 11);
        assert_eq!(found(index, hash(1 << 31, 1)), []);
        assert!(index.check() && index.check_hashes(|_| Some(same)));
    });
}

#[test]
fn an_insertion_that_cannot_be_is_refused_and_changes_nothing() {
    with_index(2, |index| {
        let (one, other) = (hash(0, 1), hash(0, 2));
        let refused = |value| Err(IndexFull { number: value, capacity: 2 });
        assert_eq!(index.insert(one, number(0), at(1)), refused(0), "the number was not taken");
        assert_eq!(index.insert(one, number(2), at(1)), refused(2), "beyond the capacity");
        assert_eq!(index.take(number(0)), Ok(true));
        assert_eq!(index.insert(one, number(0), Location::NONE), refused(0), "no location");
        assert_eq!((index.entries(), index.home(number(0))), (0, Location::NONE));
        index.insert(one, number(0), at(1)).unwrap();
        add(index, other, 1);
        assert_eq!(index.insert(one, number(0), at(1)), refused(0), "there are two entries");
        assert!(!index.relocate(one, number(0), Location::NONE));
        assert_eq!(found(index, one), [(0, 1)]);
        assert!(index.check());
    });
}

#[test]
fn an_index_fills_exactly_and_again_after_removals_in_any_order() {
    let sizes: &[u32] = if cfg!(miri) { &[1, 13] } else { &[1, 2, 5, 6, 44, 45, 46, 500] };
    // All at one home (the last, so that the walk wraps), all alike, a few homes, and spread.
    let shapes: [fn(u32) -> Hash; 4] = [
        |value| hash(u32::MAX, value.wrapping_mul(0x9e37_79b1)),
        |_| hash(1 << 31, 5),
        |value| hash((value % 3) << 30, value % 2),
        |value| hash(value.wrapping_mul(0x9e37_79b1), value),
    ];
    for (nodes, shape) in sizes.iter().flat_map(|nodes| shapes.map(|shape| (*nodes, shape))) {
        with_index(nodes, |index| {
            for _ in 0..2 {
                for value in shuffled(nodes) {
                    add(index, shape(value), value);
                }
                assert!(index.check() && index.check_hashes(|found| Some(shape(found.get()))));
                assert_eq!((index.entries(), free(index).len()), (nodes, 0));
                for value in 0..nodes {
                    assert!(found(index, shape(value)).contains(&(value, value + 1)));
                }
                for value in shuffled(nodes).into_iter().rev() {
                    assert!(index.remove(shape(value), number(value)));
                    index.release(number(value));
                    assert!(nodes > 100 || index.check());
                }
                let empty = |bucket: &Bucket| zerocopy::IntoBytes::as_bytes(bucket) == [0; 64];
                assert!(index.table.buckets.iter().all(empty), "a counter was left behind");
                assert!(index.check());
            }
        });
    }
}

#[test]
fn a_lookup_ends_behind_the_first_bucket_that_nothing_passed() {
    with_index(100, |index| {
        let crowded = hash(0, 9);
        (0..5).for_each(|value| add(index, crowded, value));
        let visited = |index: &BlockIndex<'_>| {
            let mut candidates = index.candidates(hash(0, 1));
            assert_eq!(candidates.next(), None);
            assert_eq!(candidates.next(), None, "fused");
            index.table.buckets.iter().take_while(|bucket| bucket.overflow > 0).count() + 1
        };
        assert_eq!(visited(index), 1, "a full home that nothing passed");
        (5..11).for_each(|value| add(index, crowded, value));
        assert_eq!(visited(index), 3);
        assert!(index.remove(crowded, number(10)));
        assert_eq!(visited(index), 2, "what an insertion counted, its removal took back");
    });
}

#[test]
fn numbers_out_of_range_and_unused_ones_are_harmless() {
    with_index(4, |index| {
        assert_eq!(index.take(number(0)), Ok(true));
        assert_eq!(index.take(number(1)), Ok(true));
        index.release(number(0));
        let before = free(index);
        for value in [0, 3, 4, 31, 32, u32::MAX] {
            index.set_home(number(value), at(9));
            assert_eq!(index.home(number(value)), Location::NONE);
            for direction in Direction::BOTH {
                index.set_adjacency(number(value), direction, at(9), true);
                assert_eq!(index.adjacency(number(value), direction), Location::NONE);
            }
            index.release(number(value));
            assert!(!index.is_used(number(value)));
            assert!(!index.remove(hash(0, 0), number(value)));
            assert!(!index.relocate(hash(0, 0), number(value), at(1)));
        }
        for value in [4, u32::MAX] {
            let refused = NumberError { number: value, capacity: 4 };
            assert_eq!(index.take(number(value)), Err(refused));
            assert_eq!(
                format!("{refused}"),
                format!("node number {value} in an index for 4 nodes")
            );
        }
        assert_eq!(free(index), before);
        assert!(index.check());
    });
}

#[test]
fn an_index_for_no_nodes_answers_everything() {
    with_index(0, |index| {
        assert_eq!(index.take(number(0)), Err(NumberError { number: 0, capacity: 0 }));
        assert_eq!(found(index, hash(u32::MAX, 0)), []);
        assert_eq!(free(index), []);
        index.rebuild_free_list(|_| true);
        index.clear();
        assert!(index.check() && index.check_hashes(|_| None));
    });
}

#[test]
fn columns_belong_to_the_number_until_it_is_released() {
    with_index(3, |index| {
        let [out, into] = Direction::BOTH;
        assert_eq!(index.take(number(1)), Ok(true));
        index.set_home(number(1), at(u32::MAX));
        index.set_adjacency(number(1), out, at(1), false);
        index.set_adjacency(number(1), into, at(2), true);
        assert_eq!(index.take(number(1)), Ok(false));
        assert_eq!(index.home(number(1)), at(u32::MAX));
        assert_eq!(index.adjacency(number(1), out), at(1));
        assert_eq!(index.adjacency(number(1), into), at(2));
        assert_eq!([out, into].map(|way| index.is_paged(number(1), way)), [false, true]);
        index.release(number(1));
        assert_eq!(index.take(number(1)), Ok(true));
        assert_eq!(index.home(number(1)), Location::NONE);
        assert_eq!(index.adjacency(number(1), out), Location::NONE);
        assert_eq!(index.adjacency(number(1), into), Location::NONE);
        assert!(!index.is_paged(number(1), into));
    });
}

#[test]
fn released_numbers_come_first_and_the_last_released_before_them() {
    with_index(8, |index| {
        for value in 0..6 {
            assert_eq!(index.take(number(value)), Ok(true));
        }
        for value in [2, 4, 0, 5] {
            index.release(number(value));
        }
        assert_eq!(free(index), [5, 0, 4, 2, 6, 7]);
        assert_eq!(free(index), [5, 0, 4, 2, 6, 7], "looking changes nothing");
        assert_eq!(index.take(number(4)), Ok(true), "from the middle");
        assert_eq!(free(index), [5, 0, 2, 6, 7]);
        assert_eq!(index.take(number(5)), Ok(true), "the first");
        assert_eq!(index.take(number(2)), Ok(true), "the last");
        assert_eq!(free(index), [0, 6, 7]);
        assert_eq!((index.used(), index.high_water()), (5, 6));
        assert!(index.check());
    });
}

#[test]
fn a_cursor_that_outlived_a_change_still_names_free_numbers_only() {
    with_index(6, |index| {
        (0..3).for_each(|value| assert_eq!(index.take(number(value)), Ok(true)));
        (0..3).for_each(|value| index.release(number(value)));
        let mut cursor = index.peek_free();
        assert_eq!(index.take(number(2)), Ok(true));
        assert_eq!(index.take(number(3)), Ok(true));
        assert_eq!(cursor.next(index), Some(number(4)));
        assert_eq!(cursor.next(index), Some(number(5)));
        assert_eq!(cursor.next(index), None);
        assert_eq!(cursor.next(index), None);
    });
}

#[test]
fn replay_takes_numbers_in_any_order_and_the_list_is_then_rebuilt() {
    with_index(10, |index| {
        for value in [7, 1, 3, 0] {
            assert_eq!(index.take(number(value)), Ok(true));
        }
        index.release(number(1));
        assert_eq!(free(index), [1, 8, 9], "numbers jumped over are in no list yet");
        assert!(index.check());
        assert_eq!(index.take(number(4)), Ok(true), "a loose number can be taken");
        assert_eq!(index.raise_high_water(9), Ok(()));
        assert_eq!(index.raise_high_water(5), Ok(()));
        assert_eq!((index.high_water(), free(index)), (9, vec![1, 9]));
        let refused = NumberError { number: 11, capacity: 10 };
        assert_eq!(index.raise_high_water(11), Err(refused));

        index.rebuild_free_list(|_| true);
        assert_eq!(free(index), [1, 2, 5, 6, 8, 9]);
        index.rebuild_free_list(|value| value.get() % 2 == 0);
        assert_eq!(free(index), [2, 6, 8, 9]);
        index.rebuild_free_list(|_| false);
        assert_eq!(free(index), [9], "a degraded store takes fresh numbers only");
        assert_eq!(index.take(number(5)), Ok(true));
        assert!(index.check());
    });
}

#[test]
fn a_cleared_index_is_a_new_one() {
    with_index(40, |index| {
        (0..40).for_each(|value| add(index, hash(0, value), value));
        (10..20).for_each(|value| index.release(number(value)));
        index.clear();
        assert!(index.check());
        assert_eq!((index.used(), index.entries(), index.high_water()), (0, 0, 0));
        assert_eq!(free(index), (0..40).collect::<Vec<_>>());
        assert_eq!(found(index, hash(0, 3)), []);
        let columns = [&*index.numbers.home, index.numbers.out, index.numbers.into];
        assert!(columns.iter().all(|column| column.iter().all(|place| *place == 0)));
    });
}

#[test]
fn errors_and_debug_output_say_what_counts_and_keep_the_seed() {
    with_index(3, |index| {
        let text = format!("{index:?}");
        assert_eq!(text, "BlockIndex { capacity: 3, used: 0, entries: 0, .. }");
        add(index, hash(0, 0), 1);
        assert!(format!("{:?}", index.candidates(hash(0, 0))).contains("Location(2)"));
        let refused = IndexFull { number: 5, capacity: 3 };
        let text = "an index for 3 nodes has no place for an entry of number 5";
        assert_eq!(format!("{refused}"), text);
    });
}

/// Twelve entries at one home (bucket 0, then 1 and 2), numbers 12 and 13 used, 14 loose, 15 used, 16 and 17
/// listed.
fn furnish(index: &mut BlockIndex<'_>) {
    (0..12).for_each(|value| add(index, furnished(number(value)), value));
    for value in [12, 13, 15, 16, 17] {
        assert_eq!(index.take(number(value)), Ok(true));
    }
    index.release(number(16));
    index.release(number(17));
}

fn furnished(number: NodeNumber) -> Hash {
    hash(0, number.get())
}

#[test]
fn check_finds_every_planted_fault() {
    type Fault = fn(&mut BlockIndex<'_>);
    let faults: &[(&str, Fault)] = &[
        ("a counter too high", |index| index.table.buckets[2].overflow += 11),
        ("a counter beyond the entries", |index| index.table.buckets[0].overflow = 1000),
        ("an entry lost", |index| {
            index.table.buckets[2] = zerocopy::FromZeros::new_zeroed();
        }),
        ("an entry counted twice", |index| {
            let entry = Candidate { number: number(12), location: at(13) };
            index.numbers.set_home(number(12), at(13));
            index.table.insert(hash(0, 12), entry);
            index.table.remove(hash(0, 12), number(12));
            index.table.buckets[3] = zerocopy::transmute!([1_u32; 16]);
        }),
        ("a home that differs", |index| index.set_home(number(0), at(99))),
        ("an entry of a released number", |index| index.release(number(0))),
        ("a number used but not counted", |index| index.numbers.used_bits[0] ^= 1 << 14),
        ("a number counted but not used", |index| index.numbers.used_bits[0] ^= 1 << 12),
        ("one bit for another", |index| index.numbers.used_bits[0] ^= 1 << 0 | 1 << 14),
        ("a used number beyond high water", |index| {
            index.numbers.used_bits[0] ^= 1 << 12 | 1 << 18;
        }),
        ("a loose number that is not blank", |index| index.numbers.home[14] = 5),
        ("a fresh number that is not blank", |index| index.numbers.into[19] = 5),
        ("a fresh number that is listed", |index| index.numbers.out[19] = 1),
        ("a listed number out of the list", |index| index.numbers.out[14] = 1),
        ("a loose number in the list", |index| index.numbers.out[16] = 0),
        ("a loose number whose list is paged", |index| index.numbers.paged_bits[0] ^= 1 << 28),
        ("a listed number whose list is paged", |index| index.numbers.paged_bits[1] ^= 1 << 1),
        ("a forward link to nowhere", |index| index.numbers.home[17] = 0),
        ("a forward link in a circle", |index| index.numbers.home[16] = 18),
        ("a forward link to a used number", |index| index.numbers.home[17] = 13),
        ("a forward link beyond the capacity", |index| index.numbers.home[16] = u32::MAX),
        ("a backward link that disagrees", |index| index.numbers.into[16] = 0),
        ("a backward link of the first", |index| index.numbers.into[17] = 17),
    ];
    for (fault, plant) in faults {
        with_index(20, |index| {
            furnish(index);
            assert!(index.check() && index.check_hashes(|number| Some(furnished(number))));
            plant(index);
            assert!(!index.check(), "{fault} was not found");
        });
    }
}

#[test]
fn check_hashes_finds_every_planted_fault() {
    type Fault = fn(&mut BlockIndex<'_>);
    let faults: &[(&str, Fault)] = &[
        ("a counter too high", |index| index.table.buckets[1].overflow += 1),
        ("a counter too low", |index| index.table.buckets[0].overflow -= 1),
        ("counters whose faults cancel out", |index| {
            index.table.buckets[0].overflow -= 1;
            index.table.buckets[1].overflow += 1;
        }),
        ("a counter of 0 that hides entries", |index| index.table.buckets[0].overflow = 0),
        ("a number with two entries", |index| {
            index.insert(furnished(number(3)), number(3), at(4)).unwrap();
        }),
        ("an entry under another hash", |index| {
            assert!(index.remove(furnished(number(3)), number(3)));
            index.insert(hash(0, 99), number(3), at(4)).unwrap();
        }),
        ("an entry far from home", |index| {
            assert!(index.remove(furnished(number(3)), number(3)));
            index.insert(hash(u32::MAX, 3), number(3), at(4)).unwrap();
        }),
    ];
    for (fault, plant) in faults {
        with_index(20, |index| {
            furnish(index);
            plant(index);
            let right = index.check_hashes(|number| Some(furnished(number)));
            assert!(!right, "{fault} was not found");
        });
    }
}

#[test]
fn an_entry_without_a_hash_does_not_fail_the_check_of_the_others() {
    with_index(20, |index| {
        furnish(index);
        let readable =
            |bad: u32| move |number: NodeNumber| (number.get() != bad).then(|| furnished(number));
        assert!(index.check_hashes(readable(3)));
        assert!(index.remove(furnished(number(4)), number(4)));
        index.insert(hash(0, 99), number(4), at(5)).unwrap();
        assert!(!index.check_hashes(readable(3)));
        assert!(index.check_hashes(readable(4)));
    });
}

/// What the index should hold, in the plainest of ways.
#[derive(Default)]
struct Model {
    entries: HashMap<u32, (Hash, Location)>,
    /// Used numbers: home, out, in.
    used: BTreeMap<u32, [Location; 3]>,
    /// Listed numbers, the next to be taken last.
    listed: Vec<u32>,
    high_water: u32,
}

#[derive(Clone, Debug)]
enum Step {
    /// Takes the next free number and gives it an entry.
    Add {
        home: u32,
        fingerprint: u32,
        location: u32,
    },
    Take {
        number: u32,
    },
    Relocate {
        number: u32,
        location: u32,
    },
    Remove {
        number: u32,
    },
    /// Removes the entry, if there is one, and releases the number.
    Release {
        number: u32,
    },
    SetHome {
        number: u32,
        location: u32,
    },
    SetAdjacency {
        number: u32,
        out: bool,
        location: u32,
    },
    Rebuild {
        keep_modulo: u32,
    },
    RaiseHighWater {
        to: u32,
    },
    Clear,
}

const NODES: u32 = 24;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few homes and fewer fingerprints; the numbers reach past the capacity.
    let home = prop_oneof![4 => Just(0), 4 => Just(u32::MAX), 1 => any::<u32>()];
    let (number, location) = (0..NODES + 2, 1_u32..100);
    let step = prop_oneof![
        30 => (home, 0_u32..3, location.clone())
            .prop_map(|(home, fingerprint, location)| Step::Add { home, fingerprint, location }),
        3 => number.clone().prop_map(|number| Step::Take { number }),
        8 => (number.clone(), 0_u32..100)
            .prop_map(|(number, location)| Step::Relocate { number, location }),
        5 => number.clone().prop_map(|number| Step::Remove { number }),
        12 => number.clone().prop_map(|number| Step::Release { number }),
        3 => (number.clone(), location.clone())
            .prop_map(|(number, location)| Step::SetHome { number, location }),
        5 => (number, any::<bool>(), location)
            .prop_map(|(number, out, location)| Step::SetAdjacency { number, out, location }),
        1 => (1_u32..4).prop_map(|keep_modulo| Step::Rebuild { keep_modulo }),
        1 => (0..NODES + 2).prop_map(|to| Step::RaiseHighWater { to }),
        1 => Just(Step::Clear),
    ];
    let count = if cfg!(miri) { 1..20 } else { 1..150 };
    proptest::collection::vec(step, count)
}

impl Model {
    fn next_free(&self) -> Option<u32> {
        let fresh = (self.high_water < NODES).then_some(self.high_water);
        self.listed.last().copied().or(fresh)
    }

    fn take(&mut self, value: u32) -> Result<bool, NumberError> {
        if value >= NODES {
            return Err(NumberError { number: value, capacity: NODES });
        }
        self.listed.retain(|listed| *listed != value);
        self.high_water = self.high_water.max(value + 1);
        let was_free = !self.used.contains_key(&value);
        self.used.entry(value).or_default();
        Ok(was_free)
    }

    /// Does the step on both, and compares what the index returns.
    fn step(&mut self, index: &mut BlockIndex<'_>, step: &Step) {
        match *step {
            Step::Add { home, fingerprint, location } => {
                let next = index.peek_free().next(index).map(NodeNumber::get);
                assert_eq!(next, self.next_free());
                let Some(value) = next else { return };
                assert_eq!(index.take(number(value)), self.take(value));
                let hash = hash(home, fingerprint);
                index.insert(hash, number(value), at(location)).unwrap();
                self.entries.insert(value, (hash, at(location)));
                self.used.get_mut(&value).unwrap()[0] = at(location);
            }
            Step::Take { number: value } => {
                assert_eq!(index.take(number(value)), self.take(value));
            }
            Step::Relocate { number: value, location } => {
                let Some((hash, old)) = self.entries.get_mut(&value) else { return };
                let moved = index.relocate(*hash, number(value), at(location));
                assert_eq!(moved, location != 0);
                if moved {
                    *old = at(location);
                    self.used.get_mut(&value).unwrap()[0] = at(location);
                }
            }
            Step::Remove { number: value } => {
                let Some((hash, _)) = self.entries.remove(&value) else { return };
                assert!(index.remove(hash, number(value)));
            }
            Step::Release { number: value } => {
                if let Some((hash, _)) = self.entries.remove(&value) {
                    assert!(index.remove(hash, number(value)));
                }
                index.release(number(value));
                if self.used.remove(&value).is_some() {
                    self.listed.push(value);
                }
            }
            Step::SetHome { number: value, location } => {
                if !self.entries.contains_key(&value) {
                    self.set(value, 0, location);
                    index.set_home(number(value), at(location));
                }
            }
            Step::SetAdjacency { number: value, out, location } => {
                let direction = if out { Direction::Out } else { Direction::In };
                self.set(value, if out { 1 } else { 2 }, location);
                let paged = location % 2 == 1;
                index.set_adjacency(number(value), direction, at(location), paged);
            }
            Step::Rebuild { keep_modulo } => {
                index.rebuild_free_list(|value| value.get() % keep_modulo == 0);
                let free = (0..self.high_water).filter(|value| !self.used.contains_key(value));
                self.listed = free.filter(|value| value % keep_modulo == 0).rev().collect();
            }
            Step::RaiseHighWater { to } => {
                assert_eq!(index.raise_high_water(to).is_ok(), to <= NODES);
                let to = if to <= NODES { to } else { 0 };
                self.high_water = self.high_water.max(to);
            }
            Step::Clear => {
                index.clear();
                *self = Self::default();
            }
        }
    }

    fn set(&mut self, value: u32, column: usize, location: u32) {
        if let Some(columns) = self.used.get_mut(&value) {
            columns[column] = at(location);
        }
    }

    fn compare(&self, index: &BlockIndex<'_>) {
        assert!(index.check());
        assert!(index.check_hashes(|number| Some(self.entries[&number.get()].0)));
        assert_eq!(index.entries() as usize, self.entries.len());
        assert_eq!(index.used() as usize, self.used.len());
        assert_eq!(index.high_water(), self.high_water);
        let free: Vec<u32> = free(index);
        let listed = self.listed.iter().rev().copied();
        assert_eq!(free, listed.chain(self.high_water..NODES).collect::<Vec<_>>());
        for value in 0..NODES + 2 {
            let [home, out, into] = self.used.get(&value).copied().unwrap_or_default();
            let value = number(value);
            assert_eq!(index.is_used(value), self.used.contains_key(&value.get()));
            assert_eq!(index.home(value), home);
            assert_eq!(index.adjacency(value, Direction::Out), out);
            assert_eq!(index.adjacency(value, Direction::In), into);
            let paged = Direction::BOTH.map(|way| index.is_paged(value, way));
            assert_eq!(paged, [out, into].map(|location| location.get() % 2 == 1));
        }
        let hashes = self.entries.values().map(|(hash, _)| *hash);
        for hash in hashes.chain([hash(0, 0), hash(u32::MAX, 2), hash(7, 7)]) {
            self.compare_candidates(index, hash);
        }
    }

    /// Every entry of the hash is a candidate, and every candidate an entry with its fingerprint.
    fn compare_candidates(&self, index: &BlockIndex<'_>, hash: Hash) {
        let found: BTreeSet<_> = index.candidates(hash).map(|found| found.number.get()).collect();
        assert_eq!(found.len(), index.candidates(hash).count(), "none is given twice");
        for candidate in index.candidates(hash) {
            let (entry, location) = self.entries[&candidate.number.get()];
            assert_eq!((entry.fingerprint(), location), (hash.fingerprint(), candidate.location));
        }
        let mut same = self.entries.iter().filter(|(_, (entry, _))| *entry == hash);
        assert!(same.all(|(value, _)| found.contains(value)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_index_does_what_a_plain_map_does(steps in steps()) {
        let footprint = BlockIndex::footprint(BlockIndex::footprint(Footprint::new(), NODES), NODES);
        let mut region = vec![MaybeUninit::uninit(); footprint.region_bytes()];
        let mut memory = StorageCoordinator::new(&mut region);
        let mut index = BlockIndex::new(&mut memory, NODES, [1, 2]).unwrap();
        let mut other = BlockIndex::new(&mut memory, NODES, [3, 4]).unwrap();
        let mut model = Model::default();
        for step in &steps {
            model.step(&mut index, step);
            // Moved between any two steps: out of a box, and to and from where another one was.
            index = *Box::new(index);
            swap(&mut index, &mut other);
            model.compare(&other);
            swap(&mut index, &mut other);
        }
    }
}
