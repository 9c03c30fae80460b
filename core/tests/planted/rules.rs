//! Checks of single rules: bytes of another store, writes that got lost, the mark of a clean close, work
//! that was cut short, damage that no repair knew of.

use super::{is_honest, small_blocks};
use crate::common::open;
use crate::common::power::{FILE, SMALL, Scenario};
use kausaldb::format::FoundHeader;
use kausaldb::storage::{Geometry, Storage};
use kausaldb::{BlockId, ContextBlock, FormatOptions, StorageEngine, StoreId, format};
use kausaldb_sim::{SimError, SimNor};
use std::cell::Cell;
use std::rc::Rc;

/// Segments of two sectors.
const TWO_SECTORS: Scenario = Scenario { erase_bytes: 512, write_bytes: 4, ..SMALL };

fn block<'c>(n: u128, version: u64, content: &'c [u8]) -> ContextBlock<'c> {
    let id = BlockId::from_u128(n << 64 | 0x1234_5678);
    ContextBlock { id, version, source_uri: "", metadata: &[], content }
}

fn open_small<S: Storage>(storage: S) -> StorageEngine<'static, S> {
    open(storage, TWO_SECTORS.capacity(), TWO_SECTORS.config()).expect("open")
}

/// A closed store with this id that holds some blocks of this content.
fn closed_store(store: u128, content: &[u8]) -> SimNor {
    let mut device = SimNor::new(TWO_SECTORS.geometry(), 1).expect("geometry");
    let (store, segment_bytes) = (StoreId::from_u128(store), TWO_SECTORS.segment_bytes);
    format(&mut device, &FormatOptions { store, segment_bytes }).expect("format");
    device.reopen();
    let mut engine = open_small(device);
    (1..12).for_each(|n| assert!(engine.put(&block(n, 1, content)).is_ok()));
    let (mut device, closed) = engine.close();
    closed.expect("close");
    device.reopen();
    device
}

/// A sector of another store in which all else is the same is no part of this one.
pub(crate) fn a_sector_of_another_store() {
    let (ours, theirs) = (b"what this store holds", b"what the other holds.");
    let (device, other) = (closed_store(3, ours), closed_store(4, theirs));
    let mut moved = 0;
    for sector in (1..2 * TWO_SECTORS.segments as usize).step_by(2) {
        let mut device = device.clone();
        let span = sector * 512..(sector + 1) * 512;
        moved += usize::from(device.image()[span.clone()] != other.image()[span.clone()]);
        device.image_mut()[span.clone()].copy_from_slice(&other.image()[span]);
        let mut engine = open_small(device);
        for n in 1..12 {
            let mut scratch = [0; 64];
            let shown = engine.find_into(&block(n, 1, ours).id, &mut scratch);
            let is_ours = |shown: Option<kausaldb::BlockRef<'_>>| {
                shown.is_none_or(|shown| shown.content() == ours)
            };
            assert!(shown.map(is_ours).unwrap_or(true), "bytes of another store were believed");
        }
    }
    assert!(moved > 0, "the stores look alike");
}

/// What is hurt at the end of a closed store was durable, and is known to have been there.
pub(crate) fn hurt_behind_a_close() {
    let content = b"the same in all blocks";
    let mut device = closed_store(3, content);
    let id = block(11, 1, content).id;
    let at = device.image().windows(16).rposition(|bytes| bytes == id.bytes()).expect("it was put");
    device.image_mut()[at..at + 4].fill(0xEE);
    let mut engine = open_small(device);
    let shown = engine.find_into(&id, &mut [0; 64]).map(|shown| shown.is_some());
    assert!(shown.is_err(), "the end of a closed store was taken for a tear");
}

/// A segment that is lost whole is missed, also the newest.
pub(crate) fn the_newest_segment_is_lost() {
    let mut device = closed_store(3, b"the same in all blocks");
    let segment_bytes = TWO_SECTORS.segment_bytes as usize;
    let number = |bytes: &[u8]| FoundHeader::parse(bytes).map_or(0, |found| found.segment.number);
    let segments = device.image_mut().chunks_mut(segment_bytes);
    segments.max_by_key(|bytes| number(bytes)).expect("a segment").fill(0xFF);
    assert!(open_small(device).damage().is_some(), "the newest segment was not missed");
}

/// Storage that loses the first write with these bytes in it once it is told to, and says nothing.
struct Forgetful {
    device: SimNor,
    of: &'static [u8],
    told: Rc<Cell<bool>>,
}

impl Storage for Forgetful {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.device.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        self.device.read(at, into)
    }

    fn is_lost(&self, error: &SimError) -> bool {
        self.device.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        let is_it = bytes.windows(self.of.len()).any(|bytes| bytes == self.of);
        if is_it && self.told.take() {
            return Ok(());
        }
        self.device.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.device.erase(sector)
    }

    fn sync(&mut self) -> Result<(), SimError> {
        self.device.sync()
    }
}

/// What is moved is read back before the place where it was is given up.
pub(crate) fn a_write_that_got_lost() {
    let of = b"what must not get lost";
    let told = Rc::new(Cell::new(false));
    let storage = Forgetful { device: TWO_SECTORS.device(), of: &of[..8], told: Rc::clone(&told) };
    let mut engine = open_small(storage);
    engine.put(&block(1, 1, of)).expect("put");
    told.set(true);
    for version in 1..600 {
        // The tail moves on, and takes the block with it.
        if engine.put(&block(2, version, b"whatever")).is_err() {
            engine.recover().expect("recovers");
        }
    }
    assert!(!told.get(), "it was not moved");
    let mut scratch = [0; 64];
    let shown = engine.find_into(&block(1, 1, of).id, &mut scratch).expect("find");
    assert_eq!(shown.map(|shown| shown.content().to_vec()).as_deref(), Some(&of[..]));
}

/// Working ahead on a small budget says that it was not all.
pub(crate) fn a_small_budget() {
    let mut engine = open_small(closed_store(3, b"some content"));
    for version in 2..40 {
        engine.put(&block(1, version, b"some content")).expect("put");
    }
    assert!(engine.compact(1).expect("compact").cut_short, "it was cut short, and does not say so");
    assert!(!engine.compact(u64::MAX).expect("compact").cut_short, "it was not cut short");
}

/// What is hurt after a repair was not repaired, be it in one span with what was.
pub(crate) fn hurt_after_a_repair() {
    let (mut device, places) = small_blocks();
    device.image_mut()[places[5]..places[5] + 4].fill(0xEE);
    let mut engine = open(device, FILE.capacity(), FILE.config()).expect("open");
    engine.repair().expect("repair");
    let (mut device, closed) = engine.close();
    closed.expect("close");
    device.image_mut()[places[4]..places[4] + 4].fill(0xEE);
    assert!(is_honest(device, 5), "a repair made count what was hurt after it");
}
