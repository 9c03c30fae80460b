//! The region is the engine's until the engine is gone.
use core::mem::MaybeUninit;
use kausaldb::storage::RamStorage;
use kausaldb::{Capacity, Config, StorageEngine};

fn wipe(storage: RamStorage<'_>, region: &mut [MaybeUninit<u8>]) -> u64 {
    let engine = StorageEngine::open(storage, region, Capacity::SMALL, Config::default()).unwrap();
    region[0] = MaybeUninit::new(0);
    engine.sequence().get()
}

fn main() {}
