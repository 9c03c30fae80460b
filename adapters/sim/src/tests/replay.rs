//! A line says all that was done to a medium, and does it again.

use super::*;
use crate::{Fault, LineError, When};

/// A test as users have them: it cuts, injects and looks, as the seed has it.
fn lives(nor: &mut SimNor, orders: bool) -> Vec<Result<(), SimError>> {
    let mut results = Vec::new();
    for round in 0..30_u64 {
        if orders {
            match round % 7 {
                0 => nor.cut_at(round % 5),
                1 => nor.inject(Fault::BitFlip, When::OneIn(2 + round)),
                2 => nor.inject(Fault::FailedWrite, When::Call(round % 3)),
                3 => nor.flip_bit(round * 31, round as u8),
                4 => nor.make_unreadable(round * 8, 8),
                5 if round > 20 => nor.wear_out(3),
                5 => nor.mend(),
                _ => nor.cancel_cut(),
            }
        }
        let sector = (round % 4) as u32;
        results.push(nor.erase(sector));
        results.push(nor.write(u64::from(sector) << 10, &[round as u8; 24]));
        results.push(nor.read(u64::from(sector) << 10, &mut [0; 64]));
        results.push(nor.sync());
        let aftermath = Aftermath { write: TornWrite::Mixed, ..Aftermath::default() };
        nor.power_on_with(if orders { aftermath } else { Aftermath::default() });
    }
    results
}

#[test]
fn a_line_replays_everything_that_was_done() {
    for geometry in [GEOMETRY, FILE, Geometry { erased: Erased::Unknown, ..GEOMETRY }] {
        for seed in 0..20 {
            let mut first = SimNor::new(geometry, seed).unwrap();
            let results = lives(&mut first, true);
            assert!(results.iter().any(|result| result.is_err()));
            let line = first.to_string();
            assert!(!line.contains('\n'));
            let mut again: SimNor = line.parse().unwrap();
            assert_eq!(lives(&mut again, false), results, "{line}");
            assert_eq!(again.image(), first.image(), "{line}");
            assert_eq!(again.to_string(), line);
            let mut disobedient: SimNor = line.parse().unwrap();
            assert_eq!(lives(&mut disobedient, true), results, "orders do nothing: {line}");
        }
    }
}

#[test]
fn behind_the_end_of_the_line_orders_count_again() {
    let mut nor: SimNor =
        "seed=7 capacity=4096 erase=1024 write=8 erased=ones ordered=yes; now @1".parse().unwrap();
    nor.cut_at(0);
    nor.erase(0).unwrap();
    nor.erase(1).unwrap();
    nor.cut_at(0);
    assert_eq!(nor.erase(2), Err(SimError::PowerCut));
}

#[test]
fn a_line_that_cannot_be_replayed_says_why() {
    let why = |line: &str| line.parse::<SimNor>().map(|_| ()).unwrap_err();
    let head = "seed=7 capacity=4096 erase=1024 write=8 erased=ones ordered=yes";
    assert!(format!("{head}; now @0").parse::<SimNor>().is_ok());
    assert_eq!(why("seed=7"), LineError::Missing("capacity"));
    assert_eq!(why(&head.replace("ones", "twos")), LineError::Word("twos".into()));
    assert_eq!(why(&format!("{head}; explode @3")), LineError::Word("explode".into()));
    assert!(matches!(why(&head.replace("write=8", "write=9")), LineError::Setup(_)));
    let mut nor = nor(GEOMETRY);
    nor.image_mut()[3] = 1;
    assert_eq!(why(&nor.to_string()), LineError::Altered);
    let made = SimNor::from_image(GEOMETRY, vec![0; 4 << 10], 7).unwrap();
    assert_eq!(why(&made.to_string()), LineError::Altered);
}
