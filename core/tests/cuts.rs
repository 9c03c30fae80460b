//! Power is cut at every step of stores that do all that a store can do, on flash of every size.
//!
//! A step is a unit that is written, a sector that is erased, or a sync. Each is cut in every way in which
//! it may tear; a fresh engine opens what is left, and shows what was acknowledged, and the batch in flight
//! whole or not at all. The store has to have been cut in everything that it does, on each kind of flash.
//!
//! `KAUSAL_SWEEP=full` (`cargo task sweep cuts`) cuts at all steps, on flash with sectors of 128 KiB at one
//! in sixteen; the ordinary run at some dozens on each kind of flash. `KAUSAL_FLASH=16x4096` runs one kind
//! alone: the write size and the erase size.
#![cfg(test)]

use crate::common::lives::{lives, matrix, single_cuts};
use crate::common::moment::Counts;
use crate::common::power::{Bench, Scenario, Thinning, Units, sweep};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;

const WRITE_BYTES: [u32; 6] = [1, 4, 8, 16, 32, 256];
const ERASE_BYTES: [u32; 4] = [512, 1024, 4096, 128 << 10];

/// Units of a call that are all cut, on flash with sectors of more than 1 KiB: there most calls carry on
/// with a long record, and one cut in the middle of it is like the next.
const UNITS_MAX: u64 = 16;

fn thinning(write_bytes: u32, erase_bytes: u32) -> Thinning {
    let is_large = erase_bytes > 4096;
    let of_call = if erase_bytes > 1024 { Units::Ends(UNITS_MAX) } else { Units::All };
    let units = u64::from((64 / write_bytes).max(1));
    let (one_in, first) = if is_large { (1000 * units, 1) } else { (60 * units, 3) };
    Thinning { one_in: sweep(one_in, if is_large { 16 } else { 1 }), first, units: of_call }
}

#[test]
fn a_cut_at_any_step_on_any_flash_loses_nothing() {
    let all = WRITE_BYTES.into_iter().flat_map(|write| ERASE_BYTES.map(|erase| (write, erase)));
    let asked = std::env::var("KAUSAL_FLASH").ok();
    let is_asked = |(write, erase): &(u32, u32)| {
        asked.as_ref().is_none_or(|asked| *asked == format!("{write}x{erase}"))
    };
    let queue = Mutex::new(all.filter(is_asked).collect::<Vec<_>>());
    let results = Mutex::new(BTreeMap::new());
    let next = || queue.lock().expect("a worker failed").pop();
    let work = || {
        while let Some((write, erase)) = next() {
            let (bench, counts) = single_cuts(matrix(write, erase), thinning(write, erase));
            println!(
                "write {write}, erase {erase}: {} cuts, {} boots;{counts}",
                bench.cuts, bench.boots
            );
            results
                .lock()
                .expect("a worker failed")
                .insert((write, erase), (bench.cuts, bench.boots, counts));
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        (0..workers).for_each(|_| {
            scope.spawn(work);
        });
    });
    let results = results.into_inner().expect("a worker failed");
    let (mut cuts, mut boots, mut counts) = (0, 0, Counts::default());
    for (more_cuts, more_boots, more) in results.values() {
        cuts += more_cuts;
        boots += more_boots;
        counts += *more;
    }
    println!("{} kinds of flash: {cuts} cuts, {boots} boots;{counts}", results.len());
}

/// Bug: an opening took a free slot where four were left before the batch that was cut, and one after it;
/// then the tail could not be moved any more, since that takes a slot before it frees one, and the last two
/// are kept for recoveries: nothing could ever be written again. Fix: where slots are scarce, the fresh
/// segment takes the newest one over whenever there is room, and costs none.
#[test]
fn after_a_cut_anywhere_a_store_with_little_room_can_still_be_written() {
    // A segment has 16 units, two of which hold no record, and the marks of an opening take three.
    let scenario = Scenario { batches: 120, segment_bytes: 16 * 256, ..matrix(256, 512) };
    let mut bench = Bench::new(scenario);
    let thinning = Thinning::one_in(1);
    lives(scenario, thinning, |cut, states| {
        let mut device = cut.device.clone();
        device.power_on();
        let booted = bench.boot(device, states, Thinning::NONE);
        bench.go_on(booted.device, &states[booted.state], 4);
    });
    bench.report("little room");
}
