//! Pools against a vector of what is in them.

use super::handle::INDEX_BITS;
use super::*;
use crate::memory::StorageCoordinator;
use core::mem::{self, MaybeUninit};
use proptest::prelude::*;
use std::boxed::Box;
use std::vec::Vec;

type Region = [MaybeUninit<u8>; 1024];

fn region() -> Box<Region> {
    Box::new([MaybeUninit::uninit(); 1024])
}

/// What may happen to a pool. Numbers choose among the live, or the dead, handles.
#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(u64),
    Release(usize),
    Change(usize, u64),
    ReleaseDead(usize),
    Clear,
    Move,
    Forged([u32; 2]),
}

fn any_step() -> impl Strategy<Value = Step> {
    // Words near those of real handles; others are foreign at once.
    let forged = (0..3u32, 0..12u32, 0..6u32)
        .prop_map(|(tag, index, generation)| [tag << INDEX_BITS | index, generation]);
    prop_oneof![
        8 => any::<u64>().prop_map(Step::Acquire),
        5 => any::<usize>().prop_map(Step::Release),
        2 => (any::<usize>(), any::<u64>()).prop_map(|(which, value)| Step::Change(which, value)),
        2 => any::<usize>().prop_map(Step::ReleaseDead),
        1 => Just(Step::Clear),
        2 => Just(Step::Move),
        2 => forged.prop_map(Step::Forged),
        1 => any::<[u32; 2]>().prop_map(Step::Forged),
    ]
}

/// What a pool should be.
#[derive(Default)]
struct Model {
    live: Vec<(Handle<u64>, u64)>,
    dead: Vec<Handle<u64>>,
    high_water: usize,
}

impl Model {
    fn check(&self, pool: &Pool<'_, u64>) {
        assert!(pool.is_sound());
        assert_eq!(pool.in_use(), self.live.len());
        assert_eq!(pool.high_water(), self.high_water);
        for (handle, value) in &self.live {
            assert_eq!(pool.get(*handle), Ok(value));
        }
        for handle in &self.dead {
            assert_eq!(pool.get(*handle), Err(PoolError::Stale));
        }
    }

    fn step<'r>(&mut self, pool: &mut Pool<'r, u64>, spare: &mut Pool<'r, u64>, step: Step) {
        match step {
            Step::Acquire(value) => match pool.acquire(value) {
                Ok(handle) => {
                    assert!(!self.dead.contains(&handle), "no handle comes twice");
                    self.live.push((handle, value));
                    self.high_water = self.high_water.max(self.live.len());
                }
                Err(error) => {
                    assert_eq!(error, PoolError::Exhausted { capacity: pool.capacity() });
                    assert_eq!(self.live.len(), pool.capacity());
                }
            },
            Step::Release(which) if !self.live.is_empty() => {
                let (handle, value) = self.live.swap_remove(which % self.live.len());
                assert_eq!(pool.release(handle), Ok(value));
                self.dead.push(handle);
            }
            Step::Change(which, value) if !self.live.is_empty() => {
                let which = which % self.live.len();
                *pool.get_mut(self.live[which].0).unwrap() = value;
                self.live[which].1 = value;
            }
            Step::ReleaseDead(which) if !self.dead.is_empty() => {
                let handle = self.dead[which % self.dead.len()];
                assert_eq!(pool.release(handle), Err(PoolError::Stale));
                assert_eq!(pool.get_mut(handle), Err(PoolError::Stale));
            }
            Step::Clear => {
                pool.clear();
                self.dead.extend(self.live.drain(..).map(|(handle, _)| handle));
            }
            Step::Move => {
                mem::swap(pool, spare);
                self.check(spare);
                mem::swap(spare, pool);
            }
            Step::Forged(words) => {
                let forged = Handle::from_raw(words);
                let live = self.live.iter().find(|(handle, _)| *handle == forged);
                match pool.get(forged) {
                    Ok(value) => assert_eq!(live.map(|(_, value)| value), Some(value)),
                    Err(_) => assert!(live.is_none()),
                }
            }
            Step::Release(_) | Step::Change(..) | Step::ReleaseDead(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_pool_does_what_a_vector_does(
        steps in proptest::collection::vec(any_step(), 0..120),
        offset in 0..64usize,
        capacity in 0..9usize,
    ) {
        let mut region = region();
        let mut coordinator = StorageCoordinator::new(&mut region[offset..]);
        let mut pool = coordinator.pool_of::<u64>(capacity).unwrap();
        let mut other = coordinator.pool_of::<u64>(capacity).unwrap();
        let mut model = Model::default();
        for step in steps {
            model.step(&mut pool, &mut other, step);
            let boxed = Box::new(pool);
            model.check(&boxed);
            pool = *boxed;
            for (handle, _) in &model.live {
                prop_assert_eq!(other.release(*handle), Err(PoolError::Foreign));
            }
        }
        prop_assert_eq!(other.in_use(), 0);
    }
}

#[test]
fn a_full_pool_refuses_and_every_slot_is_usable_again() {
    let mut region = region();
    let mut pool = Arena::new(&mut region[..]).pool_of::<u32>(3).unwrap();
    for round in 0..4 {
        let handles: Vec<_> = (0..3).map(|n| pool.acquire(round * 10 + n).unwrap()).collect();
        assert_eq!(pool.acquire(99), Err(PoolError::Exhausted { capacity: 3 }));
        for (handle, n) in handles.iter().zip(0..) {
            assert_eq!(pool.release(*handle), Ok(round * 10 + n));
        }
    }
    assert_eq!((pool.in_use(), pool.high_water(), pool.capacity()), (0, 3, 3));
}

#[test]
fn a_slot_survives_the_end_of_its_generations() {
    let mut region = region();
    let mut pool = Arena::new(&mut region[..]).pool_of::<u32>(1).unwrap();
    pool.generations[0] = u32::MAX - 1;
    let last = pool.acquire(1).unwrap();
    assert_eq!(pool.release(last), Ok(1));
    let first = pool.acquire(2).unwrap();
    assert_eq!(pool.get(last), Err(PoolError::Stale));
    assert_eq!(pool.release(first), Ok(2));
    assert_eq!(pool.get(first), Err(PoolError::Stale));
}

#[test]
fn a_slot_never_used_and_a_slot_beyond_the_end_answer_no_made_up_handle() {
    let mut region = region();
    let pool = Arena::new(&mut region[..]).pool_of::<u32>(2).unwrap();
    assert_eq!(pool.get(Handle::from_raw([0, 0])), Err(PoolError::Stale));
    assert_eq!(pool.get(Handle::from_raw([1, 1])), Err(PoolError::Stale));
    assert_eq!(pool.get(Handle::from_raw([2, 0])), Err(PoolError::Foreign));
    assert_eq!(pool.get(Handle::from_raw([NONE, 1])), Err(PoolError::Foreign));
}

#[test]
fn a_handle_that_left_its_scope_is_foreign_in_the_next() {
    let mut region = region();
    let mut arena = Arena::new(&mut region[..]);
    let kept = arena.scope(|scratch| scratch.pool_of::<u32>(2).unwrap().acquire(1)).unwrap();
    let found = arena.scope(|scratch| {
        let mut pool = scratch.pool_of::<u32>(2).unwrap();
        pool.acquire(2).unwrap();
        pool.get(kept).copied()
    });
    assert_eq!(found, Err(PoolError::Foreign));
}

#[test]
fn handles_live_in_the_region_like_everything_else() {
    let mut region = region();
    let mut arena = Arena::new(&mut region[..]);
    let mut pool = arena.pool_of::<u64>(4).unwrap();
    let column = arena.slice_of::<Handle<u64>>(4).unwrap();
    for (handle, value) in column.iter_mut().zip(0..) {
        *handle = pool.acquire(value).unwrap();
    }
    for (handle, value) in column.iter().zip(0..) {
        assert_eq!(pool.get(*handle), Ok(&value));
        assert_eq!(Handle::from_raw(handle.to_raw()), *handle);
    }
    assert_eq!(size_of::<Handle<[u64; 9]>>(), 8);
}

#[test]
fn a_link_names_what_its_handle_does_and_no_object_after_it() {
    let mut region = region();
    let mut pool = Arena::new(&mut region[..]).pool_of::<u64>(2).unwrap();
    let links: Vec<_> = (0..256)
        .map(|round| {
            let handle = pool.acquire(round).unwrap();
            assert_eq!(pool.get(handle.link()), Ok(&round));
            assert_eq!(pool.at(0), Some((handle.link(), &round)));
            assert_eq!(pool.release(handle.link()), Ok(round));
            assert_eq!(pool.release(handle.link()), Err(PoolError::Stale));
            handle.link()
        })
        .collect();
    assert!(links.iter().all(|link| pool.get(*link) == Err(PoolError::Stale)));
    let [again, other] = [1, 2].map(|value| pool.acquire(value).unwrap().link());
    assert_eq!(links.iter().filter(|link| pool.get(**link).is_ok()).count(), 1, "the 256th before");
    assert_eq!(pool.iter().collect::<Vec<_>>(), [(again, &1), (other, &2)]);
    for raw in [0, 3, u32::MAX, again.to_raw() | 1 << 31] {
        assert!(pool.get(Link::from_raw(raw)).is_err(), "{raw:#x}");
    }
    assert!(Link::<u64>::NONE.is_none() && !again.is_none());
    assert_eq!(Link::from_raw(again.to_raw()), again);
    assert_eq!(size_of::<Link<[u64; 9]>>(), 4);
}

#[test]
fn a_pool_knows_when_its_slots_do_not_add_up() {
    let mut region = region();
    let mut pool = Arena::new(&mut region[..]).pool_of::<u64>(4).unwrap();
    let handles = [1, 2, 3].map(|value| pool.acquire(value).unwrap());
    pool.release(handles[1]).unwrap();
    assert!(pool.is_sound());
    type Plant = fn(&mut Pool<'_, u64>);
    let plants: [(&str, Plant, Plant); 5] = [
        ("a count too high", |pool| pool.in_use += 1, |pool| pool.in_use -= 1),
        ("a free slot in use", |pool| pool.generations[1] += 1, |pool| pool.generations[1] -= 1),
        (
            "a slot in use that is free",
            |pool| pool.generations[0] += 1,
            |pool| pool.generations[0] -= 1,
        ),
        ("a slot never used", |pool| pool.generations[3] = 2, |pool| pool.generations[3] = 0),
        (
            "a circle",
            |pool| set_free(&mut pool.values[1], 1),
            |pool| set_free(&mut pool.values[1], NONE),
        ),
    ];
    for (what, plant, mend) in plants {
        plant(&mut pool);
        assert!(!pool.is_sound(), "{what}");
        mend(&mut pool);
        assert!(pool.is_sound());
    }
}

#[test]
#[cfg(debug_assertions)]
fn what_a_pool_takes_back_is_poisoned() {
    let mut region = region();
    let mut pool = Arena::new(&mut region[..]).pool_of::<[u32; 2]>(3).unwrap();
    let [first, _, _] = [1, 2, 3].map(|value| pool.acquire([value; 2]).unwrap());
    pool.release(first).unwrap();
    // The number of the next free slot lies in the region with its least byte first.
    assert_eq!(pool.values, [[NONE, 0xDDDD_DDDD], [2; 2], [3; 2]]);
    pool.clear();
    assert_eq!(pool.values, [1_u32, 2, NONE].map(|next| [next.to_le(), 0xDDDD_DDDD]));
}
