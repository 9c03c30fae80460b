//! What a power cut may leave behind in a file.

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
