//! A medium in RAM that suspects its engine: it panics where it is asked for what it does not have, for more
//! reads than are bounded, or to write what the contract of [`Storage`] forbids.

use kausaldb::format::{HEADER_BYTES, MAGIC};
use kausaldb::storage::{Erased, Geometry, MappedStorage, Storage};
use std::collections::BTreeSet;
use std::convert::Infallible;

/// Bytes, and what may be done to them.
#[derive(Clone)]
pub struct Medium {
    geometry: Geometry,
    bytes: Vec<u8>,
    /// For each unit, whether it was erased since the medium was opened, and not written since.
    clean: Vec<bool>,
    /// Reads that are left, and bytes that they may take.
    reads_left: u64,
    reads: u64,
    /// Where something was written between what earlier sessions wrote, since that was erased.
    late: BTreeSet<usize>,
}

impl Medium {
    /// A medium on which nothing was erased yet.
    pub fn new(geometry: Geometry, mut bytes: Vec<u8>) -> Self {
        geometry.check().expect("a geometry that can be");
        bytes.resize(geometry.capacity_bytes as usize, geometry.erased.filler());
        let clean = vec![false; bytes.len() / geometry.write_bytes as usize];
        Self { geometry, bytes, clean, reads_left: u64::MAX, reads: 0, late: BTreeSet::new() }
    }

    /// From here on so many reads are bearable.
    pub fn allow(&mut self, reads: u64) {
        (self.reads_left, self.reads) = (reads, 0);
    }

    /// Reads since they were bounded.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// A new session with the same bytes.
    pub fn reopened(mut self) -> Self {
        self.clean.fill(false);
        self.reads_left = u64::MAX;
        self
    }

    /// Whether the header of a segment that was begun in an earlier session lies right before this place, be
    /// a bit of it flipped, and nothing is seen to be written here.
    fn is_behind_header(&self, at: usize, len: usize) -> bool {
        let header = HEADER_BYTES.next_multiple_of(self.geometry.write_bytes) as usize;
        let magic = at.checked_sub(header).map(|at| self.bytes[at..].iter().zip(MAGIC));
        let has_header = magic.is_some_and(|magic| {
            magic.map(|(found, byte)| (found ^ byte).count_ones()).sum::<u32>() <= 1
        });
        let here = &self.bytes[at..at + len];
        let is_known = self.geometry.erased != Erased::Unknown;
        has_header && (!is_known || here.iter().all(|byte| *byte == self.geometry.erased.filler()))
    }

    fn units(&self, at: u64, len: usize) -> std::ops::Range<usize> {
        let unit = u64::from(self.geometry.write_bytes);
        assert!(at.is_multiple_of(unit) && (len as u64).is_multiple_of(unit), "not aligned");
        (at / unit) as usize..((at + len as u64) / unit) as usize
    }
}

impl Storage for Medium {
    type Error = Infallible;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Infallible> {
        assert!(self.reads_left > 0, "more than {} reads", self.reads);
        self.reads_left -= 1;
        self.reads += 1;
        let end = at.checked_add(into.len() as u64).expect("a read that ends");
        assert!(end <= self.geometry.capacity_bytes, "reads {} bytes at {at}", into.len());
        into.copy_from_slice(&self.bytes[at as usize..end as usize]);
        Ok(())
    }

    fn is_lost(&self, never: &Infallible) -> bool {
        match *never {}
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Infallible> {
        let units = self.units(at, bytes.len());
        let is_known_blank = self.is_behind_header(at as usize, bytes.len());
        let is_late = is_known_blank && self.late.insert(at as usize);
        let clean = self.clean.get_mut(units).expect("a write within the medium");
        let is_clean = clean.iter().all(|clean| *clean);
        assert!(is_clean || is_late, "{} bytes at {at} are not erased", bytes.len());
        clean.fill(false);
        self.bytes[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn erase(&mut self, sector: u32) -> Result<(), Infallible> {
        let len = self.geometry.erase_bytes as usize;
        let at = sector as usize * len;
        self.bytes.get_mut(at..at + len).expect("a sector of the medium").fill(0xFF);
        self.late.retain(|late| !(at..at + len).contains(late));
        let units = self.units(at as u64, len);
        self.clean[units].fill(true);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl MappedStorage for Medium {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
