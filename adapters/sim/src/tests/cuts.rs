//! What a power cut may leave behind on flash.

use super::*;
use crate::Fault;

/// Runs up to a cut inside of a write of four units, behind the second.
fn cut_in_write() -> SimNor {
    let mut nor = nor(GEOMETRY);
    nor.erase(0).unwrap();
    nor.cut_at(2);
    assert_eq!(nor.write(0, &[0x0F; 32]), Err(SimError::PowerCut));
    nor
}

fn cut_in_erase(geometry: Geometry) -> SimNor {
    let mut nor = written(geometry);
    nor.cut_at(0);
    assert_eq!(nor.erase(0), Err(SimError::PowerCut));
    nor
}

#[test]
fn without_power_nothing_works() {
    let mut nor = cut_in_write();
    assert!(!nor.has_power());
    assert_eq!(nor.read(0, &mut [0; 8]), Err(SimError::PowerCut));
    assert_eq!(nor.write(0, &[0; 8]), Err(SimError::PowerCut));
    assert_eq!(nor.erase(0), Err(SimError::PowerCut));
    assert_eq!(nor.sync(), Err(SimError::PowerCut));
    assert_eq!(nor.violations(), []);
    nor.power_on();
    assert!(nor.has_power());
    read::<8>(&mut nor, 0);
}

#[test]
fn a_torn_write_keeps_units_before_it_and_behind_it() {
    let torn = |write| {
        let mut nor = cut_in_write();
        nor.power_on_with(Aftermath { write, ..Aftermath::default() });
        assert_eq!(read(&mut nor, 0), [0x0F; 16]);
        assert_eq!(read(&mut nor, 24), [0xFF; 8]);
        read::<8>(&mut nor, 16)
    };
    assert_eq!(torn(TornWrite::Old), [0xFF; 8]);
    assert_eq!(torn(TornWrite::New), [0x0F; 8]);
    let mixed = torn(TornWrite::Mixed);
    assert!(mixed.iter().all(|byte| byte & 0x0F == 0x0F) && mixed != [0xFF; 8]);
    let random = torn(TornWrite::Random);
    assert!(random.iter().any(|byte| byte & 0x0F != 0x0F));
}

#[test]
fn an_unstable_unit_reads_differently_until_its_sector_is_erased() {
    let mut nor = cut_in_write();
    nor.power_on_with(Aftermath { write: TornWrite::Unstable, ..Aftermath::default() });
    let mapped = nor.bytes().to_vec();
    let readings: Vec<[u8; 8]> = (0..50).map(|_| read(&mut nor, 16)).collect();
    assert_eq!(nor.bytes(), mapped, "a map is settled");
    assert!(readings.contains(&[0xFF; 8]) && readings.contains(&[0x0F; 8]));
    assert!(readings.iter().any(|r| *r != [0xFF; 8] && *r != [0x0F; 8]));
    let part: Vec<[u8; 3]> = (0..50).map(|_| read(&mut nor, 15)).collect();
    assert!(part.contains(&[0x0F, 0xFF, 0xFF]) && part.contains(&[0x0F; 3]));
    nor.erase(0).unwrap();
    assert!((0..50).all(|_| read(&mut nor, 16) == [0xFF; 8]));
}

#[test]
fn a_map_of_an_unstable_unit_may_show_another_reading_after_each_cut() {
    let mut nor = cut_in_write();
    nor.power_on_with(Aftermath { write: TornWrite::Unstable, ..Aftermath::default() });
    let mut seen = vec![nor.bytes()[16..24].to_vec()];
    for _ in 0..20 {
        nor.cut_at(0);
        nor.sync().unwrap_err();
        nor.power_on();
        seen.push(nor.bytes()[16..24].to_vec());
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 2, "{nor}");
}

#[test]
fn a_torn_erase_leaves_what_it_is_told() {
    let torn = |erase| {
        let mut nor = cut_in_erase(Geometry { erased: Erased::Zeros, ..GEOMETRY });
        nor.power_on_with(Aftermath { erase, ..Aftermath::default() });
        assert_eq!(read(&mut nor, 1 << 10), [0; 1 << 10], "other sectors keep their bytes");
        let first: [u8; 1 << 10] = read(&mut nor, 0);
        (first, read(&mut nor, 0))
    };
    assert_eq!(torn(TornErase::Old).0, [3; 1 << 10]);
    assert_eq!(torn(TornErase::Ones).0, [0xFF; 1 << 10]);
    assert_eq!(torn(TornErase::Zeros).0, [0; 1 << 10]);
    let (mixed, again) = torn(TornErase::Mixed);
    assert_eq!(mixed, again);
    assert!(mixed.chunks(8).all(|unit| unit == [0; 8] || unit == [3; 8]));
    assert!(mixed.contains(&0) && mixed.contains(&3));
    let (random, again) = torn(TornErase::Random);
    assert_eq!(random, again);
    assert!(random.iter().any(|&byte| byte != 0 && byte != 3));
    let mut nor = cut_in_erase(GEOMETRY);
    nor.power_on_with(Aftermath { erase: TornErase::Unstable, ..Aftermath::default() });
    let readings: Vec<[u8; 8]> = (0..50).map(|_| read(&mut nor, 80)).collect();
    assert!(readings.contains(&[0xFF; 8]) && readings.contains(&[3; 8]));
}

#[test]
fn what_a_cut_made_unreadable_is_lost_until_its_sector_is_erased() {
    let lost = Err(SimError::Fault(Fault::UnreadableSpan));
    let mut nor = cut_in_write();
    nor.power_on_with(Aftermath { write: TornWrite::Unreadable, ..Aftermath::default() });
    assert_eq!(nor.read(16, &mut [0; 8]), lost);
    assert_eq!(nor.read(23, &mut [0; 2]), lost);
    assert!(nor.is_lost(&SimError::Fault(Fault::UnreadableSpan)));
    assert!(!nor.is_lost(&SimError::Fault(Fault::FailedRead)));
    assert_eq!((read(&mut nor, 8), read(&mut nor, 24)), ([0x0F; 8], [0xFF; 8]));
    nor.erase(0).unwrap();
    assert_eq!(read(&mut nor, 16), [0xFF; 8]);

    let mut nor = cut_in_erase(GEOMETRY);
    nor.power_on_with(Aftermath { erase: TornErase::Unreadable, ..Aftermath::default() });
    assert_eq!((nor.read(0, &mut [0; 1]), nor.read(1016, &mut [0; 8])), (lost, lost));
    nor.read(1 << 10, &mut [0; 8]).unwrap();
    nor.erase(0).unwrap();
    assert_eq!(read(&mut nor, 0), [0xFF; 8]);
}

#[test]
fn the_seed_decides_every_aftermath_in_turn() {
    let mut unit = [0; 8];
    let mut units = Vec::new();
    let mut sectors = Vec::new();
    for seed in 0..60 {
        let mut nor = SimNor::new(GEOMETRY, seed).unwrap();
        nor.erase(0).unwrap();
        nor.cut_at(0);
        nor.write(0, &[0; 8]).unwrap_err();
        nor.power_on();
        units.push(nor.read(0, &mut unit).map(|()| unit));
        nor.cut_at(0);
        nor.erase(1).unwrap_err();
        nor.power_on();
        sectors.push(nor.read(1 << 10, &mut unit).map(|()| unit));
    }
    for (found, name) in [(units, "units"), (sectors, "sectors")] {
        let lost = SimError::Fault(Fault::UnreadableSpan);
        for expected in [Ok([0; 8]), Ok([0xFF; 8]), Err(lost)] {
            let times = found.iter().filter(|found| **found == expected).count();
            assert!((5..50).contains(&times), "{name} of {expected:?}: {times} of 60");
        }
    }
}

#[test]
fn a_sweep_tears_each_step_once_and_ends() {
    let run = |nor: &mut SimNor| -> Result<(), SimError> {
        nor.erase(0)?;
        nor.write(0, &[1; 24])?;
        nor.sync()?;
        nor.erase(1)
    };
    let mut whole = nor(GEOMETRY);
    run(&mut whole).unwrap();
    assert_eq!(whole.steps(), 6);
    for step in 0..6 {
        let mut nor = nor(GEOMETRY);
        nor.cut_at(step);
        assert_eq!(run(&mut nor), Err(SimError::PowerCut));
        assert_eq!(nor.steps(), step);
    }
    let mut nor = nor(GEOMETRY);
    nor.cut_at(6);
    run(&mut nor).unwrap();
    assert!(nor.has_power());
    nor.cancel_cut();
    run(&mut nor).unwrap();
}

#[test]
fn the_same_seed_and_calls_give_the_same_bytes() {
    let run = |seed| {
        let geometry = Geometry { erased: Erased::Unknown, ..GEOMETRY };
        let mut nor = SimNor::new(geometry, seed).unwrap();
        for round in 0..20 {
            nor.cut_at(round % 7);
            let _ = nor.erase(0).and_then(|()| nor.write(0, &[round as u8; 64]));
            nor.power_on();
            let _ = nor.read(0, &mut [0; 64]);
        }
        (nor.image().to_vec(), nor.to_string())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn a_clone_is_a_snapshot_of_the_device() {
    let mut one = cut_in_write();
    let mut other = one.clone();
    one.power_on();
    assert!(!other.has_power());
    other.power_on();
    assert_eq!(one.image(), other.image());
}
