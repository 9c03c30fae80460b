//! The ordinary half of the [`Storage`] contract, asked of any storage: what was written is what is read.
//!
//! Power loss is the other half; only the simulator can be asked about it.

use crate::random::Random;
use kausaldb::storage::{Erased, MappedStorage, Storage};

/// Makes `calls` calls to a storage, which the seed decides and the contract allows, and checks
/// every byte read.
///
/// Everything the storage held is lost. A sector of unknown content is erased before it is written,
/// and each unit is written once per erase. The storage has to be small enough for twice its
/// capacity to fit into RAM.
///
/// # Panics
/// When the storage fails, or bytes are not what was written; the message has the seed.
pub fn check_storage<S: Storage>(storage: &mut S, seed: u64, calls: u32) {
    run(storage, seed, calls, |_, _| {});
}

/// Does the same as [`check_storage`], and checks after each call that the bytes that can be
/// borrowed are those too.
///
/// # Panics
/// As [`check_storage`] does.
pub fn check_mapped_storage<S: MappedStorage>(storage: &mut S, seed: u64, calls: u32) {
    run(storage, seed, calls, |storage: &S, model| {
        assert!(shows(storage.bytes(), model), "seed {seed}: the map shows other bytes");
    });
}

/// What is known of a byte.
type Known = Option<u8>;

fn run<S: Storage>(storage: &mut S, seed: u64, calls: u32, check: impl Fn(&S, &[Known])) {
    let geometry = storage.geometry();
    let mut random = Random::new(seed);
    let sector_len = geometry.erase_bytes as usize;
    let unit = geometry.write_bytes as usize;
    let blank = (geometry.erased != Erased::Unknown).then_some(geometry.erased.filler());
    let mut model: Vec<Known> = vec![None; geometry.capacity_bytes as usize];
    // For each sector, the first byte behind what was written, if it was erased.
    let mut frontiers: Vec<Option<usize>> = vec![None; model.len() / sector_len];
    for call in 0..calls {
        let sector = random.below(frontiers.len() as u64) as usize;
        let start = sector * sector_len;
        let Some(frontier) = frontiers.get_mut(sector) else { continue };
        let units_left = frontier.map_or(0, |frontier| (start + sector_len - frontier) / unit);
        let result = match (random.below(4), *frontier) {
            (0, _) => storage.sync(),
            (1 | 2, Some(at)) if units_left > 0 => {
                let mut bytes = vec![0; unit * (1 + random.below(units_left as u64) as usize)];
                random.fill(&mut bytes);
                *frontier = Some(at + bytes.len());
                for (known, byte) in model.iter_mut().skip(at).zip(&bytes) {
                    *known = Some(*byte);
                }
                storage.write(at as u64, &bytes)
            }
            (1 | 2, _) => {
                *frontier = Some(start);
                model.iter_mut().skip(start).take(sector_len).for_each(|known| *known = blank);
                storage.erase(sector as u32)
            }
            _ => {
                let at = start + random.below(sector_len as u64) as usize;
                let len = random.below((model.len() - at) as u64 + 1) as usize;
                let mut bytes = vec![0; len];
                let result = storage.read(at as u64, &mut bytes);
                let expected = model.get(at..at + len).unwrap_or_default();
                assert!(
                    result.is_err() || shows(&bytes, expected),
                    "seed {seed}, call {call}: a read of {len} bytes at {at} delivers other bytes"
                );
                result
            }
        };
        assert!(result.is_ok(), "seed {seed}, call {call}: {result:?}");
        check(storage, &model);
    }
}

fn shows(bytes: &[u8], model: &[Known]) -> bool {
    bytes.len() == model.len()
        && bytes.iter().zip(model).all(|(byte, known)| known.is_none_or(|known| known == *byte))
}
