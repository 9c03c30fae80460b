//! KausalDB through its flash adapter: a key is a block's id, a value its content.

use crate::flash::{CHIP_BYTES, Chip, Driver, SECTOR_BYTES, SECTORS};
use crate::store::{Contender, Full, Key, Ram, Store, VALUE_BYTES_MAX};
use kausaldb::storage::Erased;
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, FormatOptions, StorageEngine, StoreId, Verify,
    WriteError,
};
use kausaldb_flash::{FlashStorage, Partition};
use std::mem::MaybeUninit;

const PARTITION: Partition = Partition { offset_bytes: 0, len_bytes: CHIP_BYTES as u32 };

/// A segment for each sector, so that opening one takes one erase.
const SEGMENT_BYTES: u32 = SECTOR_BYTES as u32;

/// Room for as many keys as fit onto the chip; nothing for edges, of which there are none.
const CAPACITY: Capacity = Capacity {
    nodes: 2560,
    pending_edges: 2,
    hub_pages: 1,
    intents: 1,
    segments: SECTORS as u32,
    segment_bytes: SEGMENT_BYTES,
    block_bytes: VALUE_BYTES_MAX as u32,
    batch_operations: 1,
    ..Capacity::SMALL
};

/// Room for the longest value, and for its check, which is read with it.
const SCRATCH_BYTES: usize = VALUE_BYTES_MAX + 4;

/// The store as it is configured here, the same for every row.
pub(crate) struct Kausal;

type Engine<'a> = StorageEngine<'a, FlashStorage<Driver<'a>>>;

fn storage(chip: &Chip) -> FlashStorage<Driver<'_>> {
    FlashStorage::new(Driver(chip), PARTITION, Erased::Ones).expect("the partition is the chip")
}

impl Contender for Kausal {
    fn name(&self) -> String {
        "KausalDB".into()
    }

    fn ram(&self) -> Ram {
        let kept = CAPACITY.region_bytes() + size_of::<Engine<'_>>();
        Ram { kept, lent: SCRATCH_BYTES }
    }

    fn format(&self, chip: &Chip) {
        let options = FormatOptions { store: StoreId::from_u128(1), segment_bytes: SEGMENT_BYTES };
        kausaldb::format(&mut storage(chip), &options).expect("an empty store");
    }

    fn open(&self, chip: &Chip, work: &mut dyn FnMut(&mut dyn Store)) {
        let mut region = vec![MaybeUninit::uninit(); CAPACITY.region_bytes()];
        // With every read checked, none reads more than its record, whichever came before.
        let config = Config { verify: Verify::EveryRead, ..Config::default() };
        let engine = StorageEngine::open(storage(chip), &mut region, CAPACITY, config);
        work(&mut Open { engine: engine.expect("a store") });
    }
}

struct Open<'a> {
    engine: Engine<'a>,
}

impl Store for Open<'_> {
    fn put(&mut self, key: &Key, version: u64, value: &[u8]) -> Result<(), Full> {
        let block = ContextBlock {
            id: BlockId::new(*key),
            version,
            source_uri: "",
            metadata: b"",
            content: value,
        };
        match self.engine.put(&block) {
            Ok(_) => Ok(()),
            Err(WriteError::Full { .. }) => Err(Full),
            Err(error) => panic!("KausalDB: {error}"),
        }
    }

    fn get<'v>(&mut self, key: &Key, into: &'v mut [u8]) -> Option<&'v [u8]> {
        let mut scratch = [0; SCRATCH_BYTES];
        let found = self.engine.find_into(&BlockId::new(*key), &mut scratch);
        let content = found.expect("a sound store")?.content();
        let into = &mut into[..content.len()];
        into.copy_from_slice(content);
        Some(into)
    }
}
