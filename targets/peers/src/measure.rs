//! The work that every store is given, and what it asked of the chip for it.
//!
//! The same keys, values and order for all, from one seed. Whatever is measured, every key is read at the
//! end, also after a restart, and must have the value that was put last.

use crate::flash::{Chip, Traffic};
use crate::store::{Contender, Full, Key, Store, VALUE_BYTES_MAX};
use std::collections::HashMap;

/// How many random updates are measured at a time.
pub(crate) const UPDATES: u64 = 5_000;
/// How many updates are tried in a full store.
pub(crate) const FULL_UPDATES: u64 = 100;
/// How many keys that are not there are asked for.
const MISSES: u64 = 200;

/// Some keys with values of one length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How many.
    pub(crate) keys: u64,
    /// Of a value, in bytes.
    pub(crate) value_bytes: usize,
}

impl Load {
    /// Key and value, in bytes.
    pub(crate) fn given_bytes(&self) -> u64 {
        (size_of::<Key>() + self.value_bytes) as u64
    }
}

/// What operations of one kind asked of the chip.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// How many there were.
    pub(crate) count: u64,
    /// All of them.
    pub(crate) sum: Traffic,
    /// The most that any took, of each.
    pub(crate) worst: Traffic,
}

impl Cost {
    fn take(&mut self, one: Traffic) {
        let (sum, worst) = (&mut self.sum, &mut self.worst);
        let both = |sum: &mut u64, worst: &mut u64, one: u64| {
            *sum += one;
            *worst = one.max(*worst);
        };
        self.count += 1;
        both(&mut sum.reads, &mut worst.reads, one.reads);
        both(&mut sum.bytes_read, &mut worst.bytes_read, one.bytes_read);
        both(&mut sum.bytes_written, &mut worst.bytes_written, one.bytes_written);
        both(&mut sum.erases, &mut worst.erases, one.erases);
        both(&mut sum.time_ns, &mut worst.time_ns, one.time_ns);
    }
}

/// What a store cost under a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs {
    /// The first updates, right after the load: much of the chip was never written.
    pub(crate) first: Cost,
    /// As many more: what goes on for ever.
    pub(crate) later: Cost,
    /// Reads of keys that are there.
    pub(crate) hits: Cost,
    /// Reads of keys that are not.
    pub(crate) misses: Cost,
    /// Opening the store again.
    pub(crate) mount: Traffic,
    /// The first hit after that.
    pub(crate) first_hit: Traffic,
    /// How often the least and the most often erased sector was.
    pub(crate) erases: (u32, u32),
}

/// Keys with the values that they should have, and a source of chance.
struct Model {
    load: Load,
    versions: HashMap<Key, u64>,
    random: u64,
}

/// The finalizer of SplitMix64: each value has one image, and images look random.
fn mix(value: u64) -> u64 {
    let mixed = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn key(n: u64) -> Key {
    (u128::from(mix(n)) << 64 | u128::from(mix(!n))).to_be_bytes()
}

impl Model {
    fn new(load: Load) -> Self {
        Self { load, versions: HashMap::new(), random: 7 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random += 1;
        mix(self.random) % bound
    }

    /// The value that a key has after so many writes of it.
    fn value(&self, key: &Key, version: u64) -> Vec<u8> {
        let seed = u64::from_le_bytes(key[..8].try_into().expect("eight bytes"));
        let bytes = (0..).flat_map(|word| mix(seed ^ version.rotate_left(32) ^ word).to_le_bytes());
        bytes.take(self.load.value_bytes).collect()
    }

    fn put(&mut self, store: &mut dyn Store, n: u64) -> Result<(), Full> {
        let key = key(n);
        let version = self.versions.get(&key).map_or(1, |version| version + 1);
        store.put(&key, version, &self.value(&key, version))?;
        self.versions.insert(key, version);
        Ok(())
    }

    /// Ends the run if the key has another value than the one that was put last, or one without having been
    /// put.
    fn get(&self, store: &mut dyn Store, n: u64) {
        let (key, mut into) = (key(n), [0; VALUE_BYTES_MAX]);
        let expected = self.versions.get(&key).map(|version| self.value(&key, *version));
        assert_eq!(store.get(&key, &mut into), expected.as_deref(), "the last value of key {n}");
    }

    fn check(&self, store: &mut dyn Store) {
        let keys = self.versions.len() as u64;
        (0..keys).for_each(|n| self.get(store, n));
    }
}

/// What `work` asks of the chip.
fn costs(chip: &Chip, work: impl FnOnce()) -> Traffic {
    let before = chip.traffic();
    work();
    chip.traffic() - before
}

/// Loads the store, updates it, reads it, and opens it again. `None` if the load does not fit.
pub(crate) fn costs_of(contender: &dyn Contender, load: Load) -> Option<Costs> {
    let (chip, mut model) = (Chip::blank(), Model::new(load));
    let mut found = Costs::default();
    contender.format(&chip);
    let mut fits = false;
    contender.open(&chip, &mut |store| {
        let loaded = (0..load.keys).try_for_each(|n| model.put(store, n));
        let updated = loaded.and_then(|()| updates(&chip, &mut model, store, &mut found));
        fits = updated.is_ok();
        if fits {
            reads(&chip, &mut model, store, &mut found);
            model.check(store);
        }
    });
    let before = chip.traffic();
    contender.open(&chip, &mut |store| {
        found.mount = chip.traffic() - before;
        let n = model.below(load.keys);
        found.first_hit = costs(&chip, || model.get(store, n));
        model.check(store);
    });
    let erases = chip.erases();
    found.erases = (*erases.iter().min()?, *erases.iter().max()?);
    fits.then_some(found)
}

fn updates(
    chip: &Chip,
    model: &mut Model,
    store: &mut dyn Store,
    found: &mut Costs,
) -> Result<(), Full> {
    for cost in [&mut found.first, &mut found.later] {
        for _ in 0..UPDATES {
            let n = model.below(model.load.keys);
            let mut put = Ok(());
            cost.take(costs(chip, || put = model.put(store, n)));
            put?;
        }
    }
    Ok(())
}

fn reads(chip: &Chip, model: &mut Model, store: &mut dyn Store, found: &mut Costs) {
    let keys = model.load.keys;
    for _ in 0..keys {
        let n = model.below(keys);
        found.hits.take(costs(chip, || model.get(store, n)));
    }
    for n in keys..keys + MISSES {
        found.misses.take(costs(chip, || model.get(store, n)));
    }
}

/// What a store holds before it refuses, and what it does then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fullness {
    /// Key and value bytes of the keys that it took.
    pub(crate) given_bytes: u64,
    /// Of [`FULL_UPDATES`] random ones in that state, how many it took.
    pub(crate) updates: u64,
}

/// Fills the store with values of one length until it refuses one.
pub(crate) fn fullness_of(contender: &dyn Contender, value_bytes: usize) -> Fullness {
    let load = Load { keys: 0, value_bytes };
    let (chip, mut model) = (Chip::blank(), Model::new(load));
    contender.format(&chip);
    let (mut keys, mut updates) = (0, 0);
    contender.open(&chip, &mut |store| {
        keys = (0..).find(|n| model.put(store, *n).is_err()).unwrap_or(0);
        model.check(store);
        for _ in 0..FULL_UPDATES {
            let n = model.below(keys);
            updates += u64::from(model.put(store, n).is_ok());
        }
        model.check(store);
    });
    contender.open(&chip, &mut |store| model.check(store));
    Fullness { given_bytes: keys * load.given_bytes(), updates }
}
