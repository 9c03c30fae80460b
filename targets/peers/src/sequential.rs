//! sequential-storage's map: without a cache, or with every cache that it has.

use crate::flash::{CHIP_BYTES, Chip, Driver, SECTORS};
use crate::store::{Contender, Full, Key, Ram, Store, VALUE_BYTES_MAX, finish};
use sequential_storage::Error;
use sequential_storage::cache::key_pointers::ArrayKeyPointers;
use sequential_storage::cache::page_pointers::ArrayPagePointers;
use sequential_storage::cache::page_states::ArrayPageStates;
use sequential_storage::cache::{Cache, CacheImpl, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};

type Map<'c, C> = MapStorage<Key, Driver<'c>, C>;
type Nothing = Cache<Uncached, Uncached, Uncached, Key>;
type Everything<const KEYS: usize> =
    Cache<ArrayPageStates<SECTORS>, ArrayPagePointers<SECTORS>, ArrayKeyPointers<Key, KEYS>, Key>;

/// Room for the longest item: key and value.
const BUFFER_BYTES: usize = size_of::<Key>() + VALUE_BYTES_MAX;

/// It keeps nothing in RAM, and searches the flash.
pub(crate) struct Uncaching;

/// It knows the state of each page, where it ends, and where so many keys were seen last.
pub(crate) struct Caching<const KEYS: usize>;

impl Contender for Uncaching {
    fn name(&self) -> String {
        "sequential-storage, no cache".into()
    }

    fn ram(&self) -> Ram {
        Ram { kept: size_of::<Map<'_, Nothing>>(), lent: BUFFER_BYTES }
    }

    fn format(&self, chip: &Chip) {
        erase_all(chip);
    }

    fn open(&self, chip: &Chip, work: &mut dyn FnMut(&mut dyn Store)) {
        work(&mut Open(map(chip, Cache::new_uncached())));
    }
}

impl<const KEYS: usize> Contender for Caching<KEYS> {
    fn name(&self) -> String {
        format!("sequential-storage, {KEYS} key pointers")
    }

    fn ram(&self) -> Ram {
        Ram { kept: size_of::<Map<'_, Everything<KEYS>>>(), lent: BUFFER_BYTES }
    }

    fn format(&self, chip: &Chip) {
        erase_all(chip);
    }

    fn open(&self, chip: &Chip, work: &mut dyn FnMut(&mut dyn Store)) {
        let (states, pages) = (ArrayPageStates::new(), ArrayPagePointers::new());
        let cache: Everything<KEYS> = Cache::new(states, pages, ArrayKeyPointers::new());
        work(&mut Open(map(chip, cache)));
    }
}

fn map<C: CacheImpl<Key>>(chip: &Chip, cache: C) -> Map<'_, C> {
    MapStorage::new(Driver(chip), const { MapConfig::new(0..CHIP_BYTES as u32) }, cache)
}

/// A map that is empty is a flash that is erased.
fn erase_all(chip: &Chip) {
    finish(map(chip, Nothing::new_uncached()).erase_all()).expect("erases");
}

struct Open<'c, C: CacheImpl<Key>>(Map<'c, C>);

impl<C: CacheImpl<Key>> Store for Open<'_, C> {
    fn put(&mut self, key: &Key, _version: u64, value: &[u8]) -> Result<(), Full> {
        let mut buffer = [0; BUFFER_BYTES];
        match finish(self.0.store_item(&mut buffer, key, &value)) {
            Ok(()) => Ok(()),
            Err(Error::FullStorage) => Err(Full),
            Err(error) => panic!("sequential-storage: {error:?}"),
        }
    }

    fn get<'v>(&mut self, key: &Key, into: &'v mut [u8]) -> Option<&'v [u8]> {
        let mut buffer = [0; BUFFER_BYTES];
        let found = finish(self.0.fetch_item::<&[u8]>(&mut buffer, key));
        let value = found.expect("a sound store")?;
        let into = &mut into[..value.len()];
        into.copy_from_slice(value);
        Some(into)
    }
}
