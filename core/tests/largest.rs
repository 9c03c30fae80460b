//! The largest medium: locations of 32 bits reach all of its 64 GiB.
#![cfg(test)]

use crate::common::{Mix, Model, Op, Random, check, open, verify};
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb::{Capacity, Config, Durability, FormatOptions, OpenError, StoreId, format};
use std::collections::HashMap;

const PAGE: u64 = 4096;
const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 64 << 30,
    erase_bytes: 16 << 20,
    write_bytes: 16,
    erased: Erased::Unknown,
    keeps_write_order: true,
};
const SEGMENT: u32 = 1 << 30;
const CAPACITY: Capacity =
    Capacity { segments: 64, segment_bytes: SEGMENT, ..Capacity::host(256, 64) };

/// A medium of which only the pages that were written take memory.
#[derive(Default)]
struct Sparse {
    pages: HashMap<u64, Vec<u8>>,
    /// The highest byte that was written.
    highest: u64,
}

/// Bytes beyond the medium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Beyond;

impl Storage for Sparse {
    type Error = Beyond;

    fn geometry(&self) -> Geometry {
        GEOMETRY
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Beyond> {
        if at + into.len() as u64 > GEOMETRY.capacity_bytes {
            return Err(Beyond);
        }
        let (mut at, mut rest) = (at, into);
        while !rest.is_empty() {
            let offset = (at % PAGE) as usize;
            let (piece, behind) = rest.split_at_mut(rest.len().min(PAGE as usize - offset));
            match self.pages.get(&(at / PAGE)) {
                Some(page) => piece.copy_from_slice(&page[offset..offset + piece.len()]),
                None => piece.fill(0),
            }
            at += piece.len() as u64;
            rest = behind;
        }
        Ok(())
    }

    fn is_lost(&self, _: &Beyond) -> bool {
        false
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Beyond> {
        if at + bytes.len() as u64 > GEOMETRY.capacity_bytes {
            return Err(Beyond);
        }
        for (at, byte) in (at..).zip(bytes) {
            let page = self.pages.entry(at / PAGE).or_insert_with(|| vec![0; PAGE as usize]);
            page[(at % PAGE) as usize] = *byte;
            self.highest = self.highest.max(at);
        }
        Ok(())
    }

    fn erase(&mut self, _: u32) -> Result<(), Beyond> {
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Beyond> {
        Ok(())
    }
}

#[test]
fn a_store_reaches_beyond_32_gib() {
    let mut storage = Sparse::default();
    let options = FormatOptions { store: StoreId::from_u128(64), segment_bytes: SEGMENT };
    format(&mut storage, &options).expect("format");
    let config = Config { durability: Durability::OnSync, ..Config::default() };
    let mix = Mix { hubs: true, links: 45, puts: 40, ..Mix::default() };
    let (mut random, mut version, mut model) = (Random::new(64), 0, Model::default());
    // Each opening writes to the next slot of the ring.
    for opening in 0..36 {
        let opened = open(storage, CAPACITY, config);
        let mut engine = opened.unwrap_or_else(|error: OpenError<Beyond>| panic!("{error}"));
        check(&mut engine, &model, &mix, &format!("opening {opening}"));
        for _ in 0..20 {
            let ops = mix.batch(&mut random, &mut version);
            let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
            let mut next = model.clone();
            if next.apply(&ops) {
                engine.write(&operations).expect("write");
                model = next;
            }
        }
        if opening % 10 == 0 {
            engine.compact(1 << 20).expect("compact");
        }
        verify(&mut engine, &format!("opening {opening}"));
        let (closed, result) = engine.close();
        result.expect("close");
        storage = closed;
    }
    assert!(storage.highest >= 33 << 30, "at most byte {} was written", storage.highest);
}
