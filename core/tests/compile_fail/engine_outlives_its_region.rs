//! An engine does not outlive the region in which all of it lies.
use core::mem::MaybeUninit;
use kausaldb::{Capacity, Config, Storage, StorageEngine};

const REGION_BYTES: usize = Capacity::SMALL.region_bytes();

fn open<'r, S: Storage>(storage: S) -> StorageEngine<'r, S> {
    let mut region = [MaybeUninit::uninit(); REGION_BYTES];
    StorageEngine::open(storage, &mut region, Capacity::SMALL, Config::default()).unwrap()
}

fn main() {}
