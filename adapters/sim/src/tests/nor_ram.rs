//! The plain driver.

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
