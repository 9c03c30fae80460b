//! The pool against a map from every key to its location, over so few keys that all cuts happen.

use super::*;
use core::mem::MaybeUninit;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::vec;
use std::vec::Vec;

/// Keys there are in the model, as indices; kinds of three numbers each.
const KEYS: u32 = 12;

/// The key at this index.
fn key(index: u32) -> EdgeKey {
    EdgeKey { kind: (index / 3) as u16, number: NodeNumber::new(index % 3) }
}

/// From the key at `low` up to the one at `high`, or to the end for the last index and above.
fn range(low: u32, high: u32) -> KeyRange {
    KeyRange { low: key(low), high: (high < KEYS).then(|| key(high)) }
}

fn at(units: u32) -> Location {
    Location::new(units)
}

fn with_pool(capacity: u32, run: impl FnOnce(&mut HubPages<'_>)) {
    let bytes = HubPages::footprint(Footprint::new(), capacity).region_bytes();
    let mut region = vec![MaybeUninit::uninit(); bytes];
    let mut memory = StorageCoordinator::new(&mut region);
    run(&mut HubPages::new(&mut memory, capacity).unwrap());
}

/// For each key where it lies, and where pages start: a page may end where the next one's record is the same.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    places: Vec<Location>,
    starts: BTreeSet<u32>,
}

impl Model {
    fn new(location: Location) -> Self {
        Self { places: vec![location; KEYS as usize], starts: BTreeSet::from([0]) }
    }

    fn records(&self) -> BTreeSet<Location> {
        self.places.iter().copied().filter(|location| !location.is_none()).collect()
    }

    fn placed(&self, low: u32, high: u32, location: Location) -> Self {
        let mut after = self.clone();
        after.places[low as usize..high as usize].fill(location);
        after.starts.retain(|start| *start <= low || *start >= high);
        after.starts.extend([low, high].iter().filter(|start| **start < KEYS));
        after
    }

    fn pages(&self) -> Vec<(KeyRange, Location)> {
        let ends = self.starts.iter().copied().skip(1).chain([KEYS]);
        let pages = self.starts.iter().zip(ends);
        pages.map(|(low, high)| (range(*low, high), self.places[*low as usize])).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Place(usize, u32, u32),
    Again(usize),
    Collapse(usize),
    Drop(usize),
    Clear,
}

fn steps() -> impl Strategy<Value = Step> {
    let chain = 0..3_usize;
    prop_oneof![
        3 => Just(Step::Begin),
        20 => (chain.clone(), 0..KEYS, 0..=KEYS).prop_map(|(chain, low, high)| Step::Place(chain, low, high)),
        2 => chain.clone().prop_map(Step::Again),
        4 => chain.clone().prop_map(Step::Collapse),
        1 => chain.prop_map(Step::Drop),
        1 => prop::sample::select(vec![Step::Clear, Step::Begin, Step::Begin]),
    ]
}

/// The pool, the chains that it should hold, those that are gone, and each chain's newest record.
struct Trial<'p, 'r> {
    pool: &'p mut HubPages<'r>,
    chains: Vec<(HubChain, Model)>,
    newest: BTreeMap<u32, (u32, u32, Location)>,
    gone: Vec<HubChain>,
    most: u32,
}

impl Trial<'_, '_> {
    fn pages(&self) -> u32 {
        self.chains.iter().map(|(_, model)| model.starts.len() as u32).sum()
    }

    fn take_step(&mut self, step: Step, location: Location) {
        let capacity = self.pool.capacity();
        match step {
            Step::Begin => {
                let full = HubError::Full { needed: self.pages() + 1, capacity };
                let begun = self.pool.begin(location);
                assert_eq!(begun.err(), (self.pages() == capacity).then_some(full));
                let chain = begun.ok().map(|chain| (chain, Model::new(location)));
                assert!(chain.iter().all(|(chain, _)| (1..1 << 31).contains(&chain.get())));
                self.chains.extend(chain);
            }
            Step::Place(which, low, high) => self.place(which, low, high, location),
            Step::Again(which) => {
                let Some((chain, _)) = self.chains.get(which) else { return };
                if let Some((low, high, location)) = self.newest.get(&chain.get()).copied() {
                    self.place(which, low, high, location);
                }
            }
            Step::Collapse(which) => {
                let Some((chain, model)) = self.chains.get(which) else { return };
                let sole = (model.starts.len() == 1).then(|| model.places[0]);
                assert_eq!(self.pool.collapse(*chain), sole);
                if sole.is_some() {
                    self.gone.push(self.chains.remove(which).0);
                }
            }
            Step::Drop(which) => {
                if which >= self.chains.len() {
                    return;
                }
                let (chain, model) = self.chains.remove(which);
                let mut dead = Vec::new();
                self.pool.drop_chain(chain, |location| dead.push(location));
                dead.sort();
                assert_eq!(dead, model.records().into_iter().collect::<Vec<_>>());
                self.gone.push(chain);
            }
            Step::Clear => {
                self.pool.clear();
                self.gone.extend(self.chains.drain(..).map(|(chain, _)| chain));
            }
        }
    }

    fn place(&mut self, which: usize, low: u32, high: u32, location: Location) {
        let pages = self.pages();
        let capacity = self.pool.capacity();
        let Some((chain, model)) = self.chains.get_mut(which) else { return };
        let mut dead = Vec::new();
        let placed = self.pool.place(*chain, range(low, high), location, |gone| dead.push(gone));
        if low >= high {
            assert_eq!((placed, dead), (Err(HubError::EmptyRange), vec![]));
            return;
        }
        let after = model.placed(low, high, location);
        let needed = pages - model.starts.len() as u32 + after.starts.len() as u32;
        if needed > capacity {
            assert_eq!((placed, dead), (Err(HubError::Full { needed, capacity }), vec![]));
            return;
        }
        dead.sort();
        let gone: Vec<Location> = model.records().difference(&after.records()).copied().collect();
        assert_eq!((placed, dead), (Ok(()), gone));
        *model = after;
        self.newest.insert(chain.get(), (low, high, location));
    }

    fn compare(&mut self) {
        assert_eq!(self.pool.check(), Ok(()));
        assert_eq!(self.pool.len(), self.pages());
        assert_eq!(self.pool.free() + self.pool.len(), self.pool.capacity());
        self.most = self.most.max(self.pool.len());
        assert_eq!(self.pool.high_water(), self.most);
        for (chain, model) in &self.chains {
            let pages = model.pages();
            assert_eq!(self.pool.pages(*chain).collect::<Vec<_>>(), pages);
            for index in 0..KEYS {
                let page = pages.iter().find(|(range, _)| range.contains(key(index))).copied();
                assert_eq!(self.pool.page_of(*chain, key(index)), page);
            }
        }
        for chain in &self.gone {
            assert_eq!(self.pool.pages(*chain).count(), 0);
            assert_eq!(self.pool.collapse(*chain), None);
            let placed = self.pool.place(*chain, KeyRange::ALL, at(1), |_| panic!("no chain"));
            assert_eq!(placed, Err(HubError::NoChain));
            self.pool.drop_chain(*chain, |_| panic!("no chain"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 600 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_pages_of_a_chain_are_as_a_map_says(
        capacity in 0..16_u32,
        steps in prop::collection::vec(steps(), 0..if cfg!(miri) { 20 } else { 100 }),
    ) {
        with_pool(capacity, |pool| {
            let (chains, gone) = (Vec::new(), Vec::new());
            let mut trial = Trial { pool, chains, newest: BTreeMap::new(), gone, most: 0 };
            for (step, units) in steps.iter().zip(0..) {
                trial.take_step(*step, at(units)); // the first is `NONE`, a page without a record
                trial.compare();
            }
        });
    }
}

#[test]
fn a_record_cut_in_its_middle_is_dead_with_its_last_part_and_once() {
    with_pool(8, |pool| {
        let chain = pool.begin(at(10)).unwrap();
        let alive = |_| panic!("a part of the record counts");
        pool.place(chain, range(3, 6), at(20), alive).unwrap();
        let cut = [(range(0, 3), at(10)), (range(3, 6), at(20)), (range(6, KEYS), at(10))];
        assert_eq!(pool.pages(chain).collect::<Vec<_>>(), cut);
        pool.place(chain, range(0, 3), at(30), alive).unwrap();
        pool.place(chain, range(6, 9), at(40), alive).unwrap();
        let mut dead = Vec::new();
        pool.place(chain, range(9, KEYS), at(50), |gone| dead.push(gone)).unwrap();
        assert_eq!(dead, [at(10)]);
        pool.place(chain, KeyRange::ALL, at(60), |gone| dead.push(gone)).unwrap();
        dead.sort();
        assert_eq!(dead, [10, 20, 30, 40, 50].map(at));
        assert_eq!(pool.collapse(chain), Some(at(60)));
        assert_eq!(pool.len(), 0);
    });
}

#[test]
fn a_page_that_does_not_fit_changes_nothing_and_says_what_it_needs() {
    with_pool(2, |pool| {
        let chain = pool.begin(at(10)).unwrap();
        let placed = pool.place(chain, range(3, 6), at(20), |_| panic!("nothing changes"));
        assert_eq!(placed, Err(HubError::Full { needed: 3, capacity: 2 }));
        assert_eq!(pool.pages(chain).collect::<Vec<_>>(), [(KeyRange::ALL, at(10))]);
        pool.place(chain, range(3, KEYS), at(20), |_| panic!("part of it counts")).unwrap();
        let mut dead = Vec::new();
        pool.place(chain, range(2, KEYS), at(30), |gone| dead.push(gone)).unwrap();
        assert_eq!(dead, [at(20)], "a full pool takes what makes way for itself");
    });
}

#[test]
fn made_up_handles_are_refused() {
    with_pool(4, |pool| {
        let chain = pool.begin(at(10)).unwrap();
        pool.place(chain, range(3, 6), at(20), |_| ()).unwrap();
        let others =
            (0..10).flat_map(|link| [0, 1, 2, 0xFF].map(|serial: u32| (serial << 23) | link));
        for raw in others.chain([u32::MAX, chain.get() | 1 << 31]).filter(|raw| *raw != chain.get())
        {
            assert_eq!(pool.page_of(HubChain::from_raw(raw), EdgeKey::MIN), None, "{raw:#x}");
        }
        assert!(pool.page_of(HubChain::from_raw(chain.get()), EdgeKey::MIN).is_some());
    });
}

#[test]
fn the_footprint_is_what_the_pool_takes_and_too_many_pages_fit_nowhere() {
    let bytes = HubPages::footprint(Footprint::new(), 100).region_bytes();
    let mut region = vec![MaybeUninit::uninit(); bytes];
    let refused =
        HubPages::new(&mut StorageCoordinator::new(&mut region), HubPages::CAPACITY_MAX + 1);
    assert_eq!(refused.map(|_| ()).unwrap_err().needed_bytes, usize::MAX);
    let pool = HubPages::new(&mut StorageCoordinator::new(&mut region), 100).unwrap();
    assert_eq!(pool.capacity(), 100);
}

/// Two chains of three pages each: in slots 1, 2, 3 and 4, 5, 6, counted from 1; and slot 7, which is free.
fn with_sample(run: impl FnOnce(&mut HubPages<'_>)) {
    with_pool(8, |pool| {
        for location in [10, 20] {
            let chain = pool.begin(at(location)).unwrap();
            pool.place(chain, range(6, KEYS), at(location + 2), |_| ()).unwrap();
            pool.place(chain, range(3, 6), at(location + 1), |_| ()).unwrap();
        }
        let gone = pool.begin(at(30)).unwrap();
        pool.drop_chain(gone, |_| ());
        assert_eq!(pool.check(), Ok(()));
        run(pool);
    });
}

/// Names the page in a slot that is in use, counted from 1, or what was in slot 7.
fn link(pool: &HubPages<'_>, slot: usize) -> Link<Page> {
    pool.pages.at(slot - 1).map_or(Link::from_raw(7), |(link, _)| link)
}

fn page<'a>(pool: &'a mut HubPages<'_>, slot: usize) -> &'a mut Page {
    let link = link(pool, slot);
    pool.pages.get_mut(link).unwrap()
}

#[test]
fn the_check_finds_planted_faults() {
    type Plant = fn(&mut HubPages<'_>);
    let plants: &[(&str, Plant, HubFault)] = &[
        ("slots that do not add up", |pool| pool.pages.plant_fault(), HubFault::Slots),
        ("a chain with a gap at the start", |pool| page(pool, 1).set_low(key(1)), HubFault::Order),
        ("keys that do not ascend", |pool| page(pool, 3).set_low(key(8)), HubFault::Order),
        (
            "a chain that runs in a circle",
            |pool| page(pool, 2).next = link(pool, 1),
            HubFault::Order,
        ),
        (
            "a chain that runs into a free slot",
            |pool| page(pool, 2).next = link(pool, 7),
            HubFault::Order,
        ),
        ("a lost page", |pool| page(pool, 3).next = Link::NONE, HubFault::Reach),
        ("chains that meet", |pool| page(pool, 3).next = link(pool, 5), HubFault::Reach),
        ("a lost chain", |pool| page(pool, 4).flags &= !FIRST, HubFault::Reach),
        (
            "a lost page on a ring",
            |pool| {
                page(pool, 3).next = Link::NONE;
                page(pool, 2).next = link(pool, 2);
            },
            HubFault::Reach,
        ),
        ("a shared record", |pool| page(pool, 2).location = at(10), HubFault::Sharing),
    ];
    for (what, plant, fault) in plants {
        with_sample(|pool| {
            plant(pool);
            assert_eq!(pool.check(), Err(*fault), "{what}");
        });
    }
}
