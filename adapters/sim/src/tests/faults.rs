//! What goes wrong with power on: each fault does what it says, when it was told to.

use super::*;
use crate::{Fault, Shared, When, at_every_call, at_every_step};

fn struck(fault: Fault) -> Result<(), SimError> {
    Err(SimError::Fault(fault))
}

/// A medium with sectors 0 and 1 erased, and threes in sector 2.
fn ready(geometry: Geometry) -> SimNor {
    let mut nor = nor(geometry);
    (0..3).for_each(|sector| nor.erase(sector).unwrap());
    nor.write(2 << 10, &[3; 1 << 10]).unwrap();
    nor.sync().unwrap();
    nor
}

#[test]
fn a_fault_strikes_at_the_call_that_it_was_planned_for() {
    let reads = |when| {
        let mut nor = ready(GEOMETRY);
        nor.inject(Fault::FailedRead, when);
        (0..200).map(|_| nor.read(0, &mut [0; 8]).is_err()).collect::<Vec<_>>()
    };
    assert!(!reads(When::Never).contains(&true));
    assert_eq!(reads(When::Call(3)).iter().position(|&failed| failed), Some(3));
    assert_eq!(reads(When::Call(3)).iter().filter(|&&failed| failed).count(), 1);
    assert_eq!(reads(When::From(3)).iter().filter(|&&failed| failed).count(), 197);
    let times = reads(When::OneIn(10)).iter().filter(|&&failed| failed).count();
    assert!((5..40).contains(&times), "{times} of 200");
    let mut nor = ready(GEOMETRY);
    nor.inject(Fault::FailedRead, When::From(0));
    assert_eq!(nor.read(0, &mut [0; 8]), struck(Fault::FailedRead));
    nor.mend();
    nor.read(0, &mut [0; 8]).unwrap();
    assert_eq!((nor.struck(Fault::FailedRead), nor.calls_for(Fault::FailedRead)), (1, 2));
}

#[test]
fn a_failed_write_leaves_whole_units_and_a_full_storage_none() {
    let mut parts = Vec::new();
    for seed in 0..40 {
        let mut nor = SimNor::new(GEOMETRY, seed).unwrap();
        nor.erase(0).unwrap();
        nor.inject(Fault::FailedWrite, When::Call(0));
        assert_eq!(nor.write(0, &[0; 32]), struck(Fault::FailedWrite));
        let written = nor.image().iter().filter(|&&byte| byte == 0).count();
        parts.push(written);
        nor.write(32, &[0; 8]).unwrap();
        assert_eq!(nor.write(0, &[0; 8]).is_err(), written > 0, "what is written is written");
    }
    assert!([0, 8, 16, 24, 32].iter().all(|part| parts.contains(part)), "{parts:?}");
    let mut nor = ready(GEOMETRY);
    nor.inject(Fault::Full, When::From(1));
    nor.write(0, &[0; 8]).unwrap();
    assert_eq!(nor.write(8, &[0; 8]), struck(Fault::Full));
    assert_eq!(nor.write(8, &[0; 8]), struck(Fault::Full));
    assert_eq!(read(&mut nor, 8), [0xFF; 8]);
    nor.mend();
    nor.write(8, &[0; 8]).unwrap();
}

#[test]
fn a_sector_whose_erase_failed_has_to_be_erased_again_and_a_stuck_one_never_can_be() {
    let mut nor = ready(GEOMETRY);
    nor.inject(Fault::FailedErase, When::Call(0));
    assert_eq!(nor.erase(0), struck(Fault::FailedErase));
    assert!(matches!(nor.clone().write(0, &[0; 8]), Err(SimError::Violation(_))));
    nor.erase(0).unwrap();
    nor.write(0, &[0; 8]).unwrap();
    nor.inject(Fault::StuckSector, When::Call(0));
    assert_eq!(nor.erase(2), struck(Fault::StuckSector));
    nor.mend();
    assert_eq!(nor.erase(2), struck(Fault::StuckSector), "mending does not heal");
    assert_eq!(read(&mut nor, 2 << 10), [3; 8]);
    nor.wear_out(1);
    assert_eq!(nor.erase(1), struck(Fault::StuckSector));
    nor.erase(3).unwrap();
}

#[test]
fn a_failed_sync_is_believed_by_the_cache_and_forgotten_by_the_disk() {
    let mut file = ready(FILE);
    file.write(0, &[1; 8]).unwrap();
    file.inject(Fault::FailedSync, When::Call(0));
    assert_eq!(file.sync(), struck(Fault::FailedSync));
    assert_eq!(read(&mut file, 0), [1; 8]);
    assert_eq!(file.unsynced(), 0);
    file.write(8, &[2; 8]).unwrap();
    file.sync().unwrap();
    file.write(16, &[4; 8]).unwrap();
    file.cut_at(0);
    file.sync().unwrap_err();
    let all = Aftermath { unsynced: Survivors::All, ..Aftermath::default() };
    file.power_on_with(all);
    assert_eq!(read(&mut file, 0), [0xFF; 8], "lost");
    assert_eq!(read(&mut file, 8), [2; 8], "synced later");
    assert_eq!(read(&mut file, 16), [4; 8], "unsynced, and survived");

    let mut file = ready(FILE);
    file.write(0, &[1; 8]).unwrap();
    file.inject(Fault::DroppedSync, When::Call(0));
    assert_eq!(file.sync(), struck(Fault::DroppedSync));
    assert_eq!(read(&mut file, 0), [0xFF; 8], "gone at once");
}

#[test]
fn bits_flip_and_spans_hide_until_their_sector_is_erased() {
    let mut nor = ready(GEOMETRY);
    nor.inject(Fault::BitFlip, When::Call(0));
    let before = nor.image().to_vec();
    read::<8>(&mut nor, 0);
    let flipped = |nor: &SimNor| {
        let bits = nor.image().iter().zip(&before).map(|(now, before)| (now ^ before).count_ones());
        bits.sum::<u32>()
    };
    assert_eq!(flipped(&nor), 1);
    nor.flip_bit(5, 3);
    assert_eq!(nor.image()[5], 0xFF ^ 8);
    nor.inject(Fault::UnreadableSpan, When::Call(0));
    assert_eq!(nor.read(2 << 10, &mut [0; 8]), struck(Fault::UnreadableSpan));
    assert_eq!(nor.read(2 << 10, &mut [0; 64]), struck(Fault::UnreadableSpan));
    read::<8>(&mut nor, (2 << 10) + 8);
    nor.erase(2).unwrap();
    read::<64>(&mut nor, 2 << 10);
    nor.make_unreadable(3, 1);
    assert_eq!(nor.read(0, &mut [0; 4]), struck(Fault::UnreadableSpan));
    read::<3>(&mut nor, 0);
    nor.make_unreadable(1020, 8);
    nor.erase(1).unwrap();
    read::<4>(&mut nor, 1024);
    assert_eq!(nor.read(1020, &mut [0; 4]), struck(Fault::UnreadableSpan));
    nor.erase(0).unwrap();
    read::<8>(&mut nor, 1020);
}

#[test]
fn a_misdirected_write_succeeds_elsewhere() {
    for seed in 0..20 {
        let mut nor = SimNor::new(GEOMETRY, seed).unwrap();
        nor.erase(0).unwrap();
        nor.inject(Fault::MisdirectedWrite, When::Call(0));
        nor.write(0, &[seed as u8; 16]).unwrap();
        let found = nor.image().windows(16).filter(|span| *span == [seed as u8; 16]).count();
        assert_eq!(found, 1, "seed {seed}");
        assert!(matches!(nor.write(0, &[0; 8]), Err(SimError::Violation(_))), "as far as is known");
    }
}

#[test]
fn a_stale_read_shows_what_was_there_before() {
    let mut nor = ready(GEOMETRY);
    nor.inject(Fault::StaleRead, When::Never);
    nor.write(0, &[1; 8]).unwrap();
    nor.erase(2).unwrap();
    nor.inject(Fault::StaleRead, When::Call(1));
    assert_eq!(read(&mut nor, 0), [1; 8]);
    assert_eq!(read(&mut nor, 0), [0xFF; 8], "as before it was written");
    assert_eq!(read(&mut nor, 0), [1; 8]);
    nor.inject(Fault::StaleRead, When::From(0));
    assert_eq!(read(&mut nor, 2 << 10), [3; 8], "as before it was erased");
    assert_eq!(nor.image()[2 << 10], 0xFF);
}

#[test]
fn every_step_and_every_call_has_its_turn() {
    let medium = ready(GEOMETRY);
    let (mut cuts, mut failures) = (0, 0);
    let run = |nor: &mut SimNor| {
        nor.erase(3)?;
        nor.write(3 << 10, &[1; 24])?;
        nor.sync()?;
        nor.read(3 << 10, &mut [0; 8])
    };
    let steps = at_every_step(&medium, run, |result, nor| {
        cuts += u32::from(result == Err(SimError::PowerCut));
        assert!(nor.has_power());
    });
    assert_eq!((steps, cuts), (5, 5));
    for fault in Fault::ALL {
        let calls = at_every_call(&medium, fault, run, |_, nor| failures += nor.struck(fault));
        assert_eq!(calls, 1, "{fault:?}");
    }
    assert_eq!(failures, Fault::ALL.len() as u64);
}

#[test]
fn a_shared_medium_is_held_while_an_engine_owns_it() {
    let mut owned = Shared::new(ready(GEOMETRY));
    let held = owned.clone();
    held.with(|nor| nor.inject(Fault::FailedWrite, When::From(0)));
    assert_eq!(owned.write(0, &[0; 8]), struck(Fault::FailedWrite));
    held.with(SimNor::mend);
    owned.erase(0).unwrap();
    owned.write(0, &[0; 8]).unwrap();
    assert_eq!(held.with(|nor| nor.counts().erases), 4);
}
