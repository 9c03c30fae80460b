//! ekv: a tree of sorted files, with checksums. Each put is a transaction of its own, as it has to be where
//! power may fail behind it.

use crate::flash::{Chip, Driver};
use crate::store::{Contender, Full, Key, Ram, Store, VALUE_BYTES_MAX, finish};
use ekv::{Config, Database, ReadError, WriteError};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;

type Tree<'c> = Database<Driver<'c>, NoopRawMutex>;

/// The store as its features configure it.
pub(crate) struct LogTree;

impl LogTree {
    fn tree<'c>(&self, chip: &'c Chip) -> Tree<'c> {
        Database::new(Driver(chip), Config::default())
    }
}

impl Contender for LogTree {
    fn name(&self) -> String {
        "ekv".into()
    }

    fn ram(&self) -> Ram {
        Ram { kept: size_of::<Tree<'_>>(), lent: VALUE_BYTES_MAX }
    }

    fn format(&self, chip: &Chip) {
        finish(self.tree(chip).format()).expect("an empty store");
    }

    fn open(&self, chip: &Chip, work: &mut dyn FnMut(&mut dyn Store)) {
        let tree = self.tree(chip);
        finish(tree.mount()).expect("a store");
        work(&mut Open(tree));
    }
}

struct Open<'c>(Tree<'c>);

impl Store for Open<'_> {
    fn put(&mut self, key: &Key, _version: u64, value: &[u8]) -> Result<(), Full> {
        let written = finish(async {
            let mut transaction = self.0.write_transaction().await;
            transaction.write(key, value).await?;
            transaction.commit().await.expect("a commit");
            Ok(())
        });
        match written {
            Ok(()) => Ok(()),
            Err(WriteError::Full) => Err(Full),
            Err(error) => panic!("ekv: {error:?}"),
        }
    }

    fn get<'v>(&mut self, key: &Key, into: &'v mut [u8]) -> Option<&'v [u8]> {
        let found = finish(async { self.0.read_transaction().await.read(key, into).await });
        match found {
            Ok(len) => Some(&into[..len]),
            Err(ReadError::KeyNotFound) => None,
            Err(error) => panic!("ekv: {error:?}"),
        }
    }
}
