//! What the simulator enforces, and what its power cuts may leave behind.

use crate::{Aftermath, SetupError, SimError, SimNor, Survivors, TornErase, TornWrite, Violation};
use kausaldb::storage::{Erased, Geometry, GeometryError, MappedStorage, Storage};

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 4 << 10,
    erase_bytes: 1 << 10,
    write_bytes: 8,
    erased: Erased::Ones,
    keeps_write_order: true,
};

const FILE: Geometry = Geometry { keeps_write_order: false, ..GEOMETRY };

fn nor(geometry: Geometry) -> SimNor {
    SimNor::new(geometry, 7).unwrap()
}

fn read<const N: usize>(nor: &mut SimNor, at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    nor.read(at, &mut bytes).unwrap();
    bytes
}

/// A medium with sector 0 written full of threes, synced.
fn written(geometry: Geometry) -> SimNor {
    let mut nor = nor(geometry);
    nor.erase(0).unwrap();
    nor.write(0, &[3; 1 << 10]).unwrap();
    nor.sync().unwrap();
    nor
}

mod rules {
    use super::*;

    #[track_caller]
    fn violates(nor: &mut SimNor, result: Result<(), SimError>, expected: Violation) {
        assert_eq!(result, Err(SimError::Violation(expected)));
        assert_eq!(nor.violations().last(), Some(&expected), "every violation is recorded");
    }

    #[test]
    fn a_unit_is_written_once_per_erase() {
        let mut nor = nor(GEOMETRY);
        nor.erase(0).unwrap();
        nor.write(16, &[1; 8]).unwrap();
        let result = nor.write(0, &[2; 32]);
        violates(&mut nor, result, Violation::WrittenTwice { at: 16 });
        assert_eq!(read(&mut nor, 0), [0xFF; 16], "a refused write does nothing");
        nor.erase(0).unwrap();
        nor.write(0, &[2; 32]).unwrap();
        assert_eq!(read(&mut nor, 0), [2; 32]);
        assert_eq!(nor.violations().len(), 1);
    }

    #[test]
    fn only_sectors_erased_in_this_session_are_written() {
        let mut nor = nor(GEOMETRY);
        let result = nor.write(0, &[1; 8]);
        violates(&mut nor, result, Violation::NotErased { at: 0, sector: 0 });
        nor.erase(0).unwrap();
        let result = nor.write((1 << 10) - 8, &[1; 16]);
        violates(&mut nor, result, Violation::NotErased { at: (1 << 10) - 8, sector: 1 });
        nor.write(0, &[1; 8]).unwrap();
        nor.reopen();
        let result = nor.write(8, &[1; 8]);
        violates(&mut nor, result, Violation::NotErased { at: 8, sector: 0 });
        nor.erase(0).unwrap();
        nor.cut_at(0);
        assert_eq!(nor.sync(), Err(SimError::PowerCut));
        nor.power_on();
        let result = nor.write(0, &[1; 8]);
        violates(&mut nor, result, Violation::NotErased { at: 0, sector: 0 });
    }

    #[test]
    fn accesses_stay_in_bounds_and_writes_are_aligned() {
        let mut nor = nor(GEOMETRY);
        nor.erase(3).unwrap();
        for at in [(4 << 10) - 8, 4 << 10, u64::MAX - 8, u64::MAX] {
            let result = nor.read(at, &mut [0; 9]);
            violates(&mut nor, result, Violation::OutOfBounds { at, len: 9 });
        }
        let result = nor.write((4 << 10) - 8, &[0; 16]);
        violates(&mut nor, result, Violation::OutOfBounds { at: (4 << 10) - 8, len: 16 });
        for (at, len) in [(3076, 8), (3072, 4), (3073, 7)] {
            let result = nor.write(at, &vec![0; len]);
            violates(&mut nor, result, Violation::Unaligned { at, len });
        }
        for sector in [4, u32::MAX] {
            let result = nor.erase(sector);
            violates(&mut nor, result, Violation::NoSuchSector { sector });
        }
        nor.write(4 << 10, &[]).unwrap();
        nor.write(3 << 10, &[1; 1 << 10]).unwrap();
        assert_eq!(read(&mut nor, (3 << 10) + 1), [1; 1023]);
    }

    #[test]
    fn a_medium_has_a_sound_geometry_and_an_image_of_its_length() {
        let bad = Geometry { write_bytes: 3, ..GEOMETRY };
        let error = SetupError::Geometry(GeometryError::WriteSize { given: 3 });
        assert_eq!(SimNor::new(bad, 0).unwrap_err(), error);
        let error = SetupError::ImageLength { len: 5, capacity_bytes: 4 << 10 };
        assert_eq!(SimNor::from_image(GEOMETRY, vec![0; 5], 0).unwrap_err(), error);
        let image: Vec<u8> = (0..4 << 10).map(|at| (at % 251) as u8).collect();
        let nor = SimNor::from_image(GEOMETRY, image.clone(), 0).unwrap();
        assert_eq!((nor.image(), nor.bytes()), (&image[..], &image[..]));
    }

    #[test]
    fn every_size_that_the_geometry_allows_works() {
        for write_bytes in [1, 2, 4, 8, 16, 32, 256] {
            for erase_bytes in [512, 768, 4096, 128 << 10] {
                let capacity_bytes = 2 * u64::from(erase_bytes);
                let mut nor =
                    nor(Geometry { capacity_bytes, erase_bytes, write_bytes, ..GEOMETRY });
                nor.erase(1).unwrap();
                let unit = vec![5; write_bytes as usize];
                for at in (u64::from(erase_bytes)..capacity_bytes).step_by(unit.len()) {
                    nor.write(at, &unit).unwrap();
                }
                assert_eq!(nor.steps(), 1 + u64::from(erase_bytes / write_bytes));
                assert!(nor.image()[erase_bytes as usize..].iter().all(|&byte| byte == 5));
            }
        }
    }
}

#[test]
fn an_erase_leaves_the_pattern_of_the_geometry() {
    for (erased, byte) in [(Erased::Ones, 0xFF), (Erased::Zeros, 0x00)] {
        let mut nor = written(Geometry { erased, ..GEOMETRY });
        nor.erase(0).unwrap();
        assert_eq!(read(&mut nor, 0), [byte; 1 << 10]);
    }
    let mut nor = written(Geometry { erased: Erased::Unknown, ..GEOMETRY });
    nor.erase(0).unwrap();
    let blank: [u8; 1 << 10] = read(&mut nor, 0);
    assert!((0..=255).filter(|byte| blank.contains(byte)).count() > 200, "bytes look random");
    assert_eq!(read::<1024>(&mut nor, 0), blank, "and are the same at each read");
    let mut file = written(Geometry { erased: Erased::Unknown, ..FILE });
    file.erase(0).unwrap();
    assert_eq!(read(&mut file, 0), [3; 1 << 10], "a file is not filled on erase");
}

#[test]
fn everything_asked_is_counted() {
    let mut nor = nor(GEOMETRY);
    nor.erase(1).unwrap();
    nor.erase(1).unwrap();
    nor.erase(3).unwrap();
    nor.write(1 << 10, &[0; 24]).unwrap();
    nor.sync().unwrap();
    read::<5>(&mut nor, 3);
    let counts = nor.counts();
    assert_eq!((counts.reads, counts.bytes_read), (1, 5));
    assert_eq!((counts.writes, counts.bytes_written), (1, 24));
    assert_eq!((counts.erases, counts.syncs), (3, 1));
    assert_eq!(nor.erases(), [0, 2, 0, 1]);
    assert_eq!(nor.steps(), 3 + 3 + 1, "erases, units and syncs");
}

mod cuts {
    use super::*;

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
    fn the_seed_decides_every_aftermath_in_turn() {
        let mut units = Vec::new();
        let mut sectors = Vec::new();
        for seed in 0..60 {
            let mut nor = SimNor::new(GEOMETRY, seed).unwrap();
            nor.erase(0).unwrap();
            nor.cut_at(0);
            nor.write(0, &[0; 8]).unwrap_err();
            nor.power_on();
            units.push(read::<8>(&mut nor, 0));
            nor.cut_at(0);
            nor.erase(1).unwrap_err();
            nor.power_on();
            sectors.push(read::<8>(&mut nor, 1 << 10));
        }
        for (found, name) in [(units, "units"), (sectors, "sectors")] {
            for expected in [[0; 8], [0xFF; 8]] {
                let times = found.iter().filter(|bytes| **bytes == expected).count();
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
                read::<64>(&mut nor, 0);
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

    #[test]
    fn one_line_says_how_to_replay() {
        let mut nor = cut_in_write();
        let aftermath = Aftermath { write: TornWrite::Mixed, ..Aftermath::default() };
        nor.power_on_with(aftermath);
        let line = nor.to_string();
        assert!(line.starts_with("seed 7, Geometry { capacity_bytes: 4096,"), "{line}");
        assert!(line.contains("; at step 1: cut_at(2); power_on_with(Aftermath { write: Mixed,"));
        assert!(line.ends_with("; now at step 3, power on"), "{line}");
        assert!(!line.contains('\n'));
    }
}

mod files {
    use super::*;

    /// A synced sector of threes, then three unsynced writes to a second sector, and a cut.
    fn cut_unsynced() -> SimNor {
        let mut file = written(FILE);
        file.erase(1).unwrap();
        file.sync().unwrap();
        file.write(1 << 10, &[1; 8]).unwrap();
        file.write((1 << 10) + 8, &[2; 512]).unwrap();
        assert_eq!(file.unsynced(), 3, "a write across a multiple of 512 is two pieces");
        file.cut_at(0);
        file.sync().unwrap_err();
        file
    }

    #[test]
    fn any_subset_of_the_unsynced_pieces_survives() {
        let cut = cut_unsynced();
        for mask in 0..8 {
            let mut file = cut.clone();
            let unsynced = Survivors::Mask(mask);
            file.power_on_with(Aftermath { unsynced, ..Aftermath::default() });
            let piece = |bit: u64, byte| if mask >> bit & 1 == 1 { byte } else { 0xFF };
            assert_eq!(read(&mut file, 0), [3; 1 << 10], "what was synced is there");
            assert_eq!(read(&mut file, 1 << 10), [piece(0, 1); 8]);
            assert_eq!(read(&mut file, (1 << 10) + 8), [piece(1, 2); 504]);
            assert_eq!(read(&mut file, (1 << 10) + 512), [piece(2, 2); 8]);
            assert_eq!(file.unsynced(), 0);
        }
    }

    #[test]
    fn all_or_nothing_survives_if_told() {
        for (unsynced, byte) in [(Survivors::All, 1), (Survivors::None, 0xFF)] {
            let mut file = cut_unsynced();
            file.power_on_with(Aftermath { unsynced, ..Aftermath::default() });
            assert_eq!(read(&mut file, 1 << 10), [byte; 8]);
        }
    }

    #[test]
    fn the_seed_reaches_every_subset() {
        let mut seen = [0; 8];
        for seed in 0..200 {
            let mut file = SimNor::new(FILE, seed).unwrap();
            file.erase(0).unwrap();
            file.sync().unwrap();
            for piece in 0..3 {
                file.write(piece * 8, &[0; 8]).unwrap();
            }
            file.cut_at(0);
            file.sync().unwrap_err();
            file.power_on();
            let survived = |piece: u64| usize::from(file.image()[piece as usize * 8] == 0);
            seen[survived(0) | survived(1) << 1 | survived(2) << 2] += 1;
        }
        assert!(seen.iter().all(|&times| times > 0), "{seen:?}");
    }

    #[test]
    fn the_fill_of_an_erase_may_be_lost_and_its_sector_rewritten_in_between() {
        let mut file = written(FILE);
        file.erase(0).unwrap();
        file.write(0, &[4; 512]).unwrap();
        assert_eq!(file.unsynced(), 3);
        file.cut_at(0);
        file.write(512, &[5; 8]).unwrap_err();
        let after = |mask| {
            let mut file = file.clone();
            let unsynced = Survivors::Mask(mask);
            file.power_on_with(Aftermath { unsynced, ..Aftermath::default() });
            (read::<512>(&mut file, 0), read::<512>(&mut file, 512))
        };
        assert_eq!(after(0b000), ([3; 512], [3; 512]));
        assert_eq!(after(0b001), ([0xFF; 512], [3; 512]));
        assert_eq!(after(0b110), ([4; 512], [0xFF; 512]));
        assert_eq!(after(0b111), ([4; 512], [0xFF; 512]));
    }

    #[test]
    fn what_is_unsynced_outlives_the_process_but_not_power() {
        let mut file = written(FILE);
        file.erase(1).unwrap();
        file.write(1 << 10, &[1; 8]).unwrap();
        file.reopen();
        assert_eq!(read(&mut file, 1 << 10), [1; 8]);
        assert_eq!(file.unsynced(), 3);
        file.sync().unwrap();
        assert_eq!(file.unsynced(), 0);
        file.cut_at(0);
        file.sync().unwrap_err();
        file.power_on();
        assert_eq!(read(&mut file, 1 << 10), [1; 8]);
    }
}

mod nor_ram {
    use crate::{NorRam, NorRamError};
    use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

    #[test]
    fn the_driver_is_as_strict_as_flash() {
        let mut nor = NorRam::<4, 8, 512>::new(2, 0xFF);
        assert_eq!(nor.capacity(), 1024);
        assert_eq!(nor.read(2, &mut [0; 4]), Err(NorRamError::NotAligned));
        assert_eq!(nor.read(1020, &mut [0; 8]), Err(NorRamError::OutOfBounds));
        assert_eq!(nor.write(4, &[0; 8]), Err(NorRamError::NotAligned));
        assert_eq!(nor.write(1024, &[0; 8]), Err(NorRamError::OutOfBounds));
        assert_eq!(nor.erase(0, 100), Err(NorRamError::NotAligned));
        assert_eq!(nor.erase(512, 1536), Err(NorRamError::OutOfBounds));
        assert_eq!(nor.erase(512, 0), Err(NorRamError::OutOfBounds));
        nor.write(512, &[7; 16]).unwrap();
        assert_eq!(nor.write(520, &[7; 8]), Err(NorRamError::WrittenTwice));
        let mut bytes = [0; 20];
        nor.read(508, &mut bytes).unwrap();
        assert_eq!(bytes[..5], [0xFF, 0xFF, 0xFF, 0xFF, 7]);
        nor.erase(512, 1024).unwrap();
        assert_eq!(nor.bytes(), [0xFF; 1024]);
        nor.write(520, &[7; 8]).unwrap();
    }
}
