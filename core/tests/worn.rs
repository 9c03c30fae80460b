//! Full stores of which some sectors no longer erase, and whose power is cut at nearly every boot: they go on
//! taking updates.
//!
//! Openings reckoned with slots that are free as if all could be erased, and took one where there was none to
//! spare; then none was left to move the tail to: seed 37577 of the swarm.
#![cfg(test)]

use crate::common::power::{Replay, SMALL, Scenario, sweep};
use crate::common::{Mix, Random, region};
use kausaldb::{BlockId, Capacity, ContextBlock, Sequence, StorageEngine, WriteError};
use kausaldb_sim::{Shared, SimError, SimNor};

const MIX: Mix = Mix { ids: 1, operations: 1, content_max: 1, puts: 1, links: 0, hubs: false };

type Engine<'r> = StorageEngine<'r, Shared>;

/// Puts a block of `len` bytes; each version has as many bytes as any other.
fn put(
    engine: &mut Engine<'_>,
    block: u64,
    version: u64,
    len: usize,
) -> Result<Sequence, WriteError<SimError>> {
    let (id, version) = (BlockId::from_u128(u128::from(block) + 1), (1 << 40) + version);
    let (source_uri, metadata, content) = ("", &[][..], &vec![7; len][..]);
    engine.put(&ContextBlock { id, version, source_uri, metadata, content })
}

/// Fills a store on a medium with so many worn sectors, then boots it 120 times, and updates it until power
/// is cut or 40 blocks are put; at each sixth boot power stays on. Returns how many updates were taken.
fn live(seed: u64, worn: u32) -> u32 {
    let segments = 16 + (seed % 8) as u32;
    let scenario = Scenario {
        segments,
        segment_bytes: 4096,
        erase_bytes: 4096,
        write_bytes: 256,
        mix: MIX,
        seed,
        ..SMALL
    };
    let _replay = Replay(format!("seed {seed}, {worn} of {segments} worn"));
    let (held, mut random) = (Shared::new(scenario.device()), Random::new(seed));
    for _ in 0..worn {
        let sector = 1 + random.below(u64::from(segments) - 1) as u32;
        held.with(|nor| nor.wear_out(sector));
    }
    let capacity = Capacity { nodes: 1024, ..scenario.capacity() };
    let (config, len) = (scenario.config(), 100 + random.below(900) as usize);
    let mut memory = region(&capacity);
    let opened = StorageEngine::open(held.clone(), &mut memory, capacity, config);
    let mut engine = opened.expect("opens");
    // Around the ring, so that each sector was tried.
    for version in 0..u64::from(segments) * 40 {
        put(&mut engine, version % 4, version, len).expect("four blocks fit");
    }
    let mut blocks = 4;
    while put(&mut engine, blocks, 0, len).is_ok() {
        blocks += 1;
    }
    drop(engine);
    let mut taken = 0;
    for boot in 0..120 {
        let after = if boot % 6 == 5 { u64::MAX } else { random.below(120) };
        held.with(|nor| {
            nor.power_on();
            nor.reopen();
            nor.cancel_cut();
            if after < u64::MAX {
                nor.cut_at(after);
            }
        });
        let opened = StorageEngine::open(held.clone(), &mut memory, capacity, config);
        let has_power = || held.with(|nor| nor.has_power());
        let mut engine = match opened {
            Ok(engine) => engine,
            Err(error) => {
                assert!(!has_power(), "boot {boot} does not open: {error}");
                continue;
            }
        };
        for _ in 0..40 {
            match put(&mut engine, random.below(blocks), 1 + boot, len) {
                Ok(_) => taken += 1,
                Err(error) => {
                    assert!(!has_power(), "boot {boot}: {error}; {:?}", engine.stats());
                    break;
                }
            }
        }
    }
    assert_eq!(held.with(|nor: &mut SimNor| nor.violations().len()), 0);
    taken
}

#[test]
fn a_full_store_with_worn_sectors_takes_updates_however_often_power_is_cut() {
    let mut taken = 0;
    for worn in 0..=3 {
        for seed in 0..sweep(30, 1000) {
            taken += live(seed, worn);
        }
    }
    println!("{taken} updates");
    assert!(taken > 10_000, "{taken} updates");
}
