//! What the simulator refuses.

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
fn only_sectors_known_to_be_erased_are_written() {
    let mut nor = nor(GEOMETRY);
    let result = nor.write(0, &[1; 8]);
    violates(&mut nor, result, Violation::NotErased { at: 0, sector: 0 });
    nor.erase(0).unwrap();
    let result = nor.write((1 << 10) - 8, &[1; 16]);
    violates(&mut nor, result, Violation::NotErased { at: (1 << 10) - 8, sector: 1 });
    nor.erase(1).unwrap();
    nor.write(0, &[1; 8]).unwrap();
    nor.write(16, &[1; 8]).unwrap();
    nor.reopen();
    // What was written on both sides shows that the erase before it completed. Blank bytes show nothing.
    nor.write(8, &[1; 8]).unwrap();
    let result = nor.write(24, &[1; 8]);
    violates(&mut nor, result, Violation::NotErased { at: 24, sector: 0 });
    let result = nor.write(1 << 10, &[1; 8]);
    violates(&mut nor, result, Violation::NotErased { at: 1 << 10, sector: 1 });
    nor.cut_at(0);
    assert_eq!(nor.erase(0), Err(SimError::PowerCut));
    nor.power_on();
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
            let mut nor = nor(Geometry { capacity_bytes, erase_bytes, write_bytes, ..GEOMETRY });
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
