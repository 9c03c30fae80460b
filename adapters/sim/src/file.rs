//! What a file's page cache does to writes: until the next sync, any subset of them may be lost.
//!
//! Invariant: taking the pieces back in reverse order gives the bytes as of the last sync; where a sync
//! failed since power came back, the disk is known on its own.

use crate::fault::Survivors;
use crate::random::Random;

/// What a disk writes whole.
const PIECE_BYTES: usize = 512;

/// A part of a write that does not cross a multiple of [`PIECE_BYTES`].
#[derive(Clone, Debug)]
struct Piece {
    at: usize,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// The pieces written since the last sync, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageCache {
    pieces: Vec<Piece>,
    /// What is on the disk, once a sync has failed and the cache shows something else.
    disk: Option<Vec<u8>>,
}

impl PageCache {
    /// Number of pieces written since the last sync.
    pub(crate) fn unsynced(&self) -> usize {
        self.pieces.len()
    }

    /// Remembers that `new` is about to be written over the end of `bytes` that starts at `at`.
    pub(crate) fn remember(&mut self, bytes: &[u8], at: usize, new: &[u8]) {
        let (mut at, mut rest) = (at, new);
        while !rest.is_empty() {
            let len = (PIECE_BYTES - at % PIECE_BYTES).min(rest.len());
            let (piece, behind) = rest.split_at(len);
            let old = bytes.get(at..at + len).unwrap_or_default();
            self.pieces.push(Piece { at, old: old.to_vec(), new: piece.to_vec() });
            (at, rest) = (at + len, behind);
        }
    }

    /// Everything written is on the disk.
    pub(crate) fn sync(&mut self) {
        for piece in self.pieces.drain(..) {
            if let Some(disk) = &mut self.disk {
                put(disk, piece.at, &piece.new);
            }
        }
    }

    /// A sync failed: what was unsynced is not on the disk, and the cache takes it for clean.
    pub(crate) fn forget(&mut self, bytes: &[u8]) {
        if self.disk.is_none() {
            let mut disk = bytes.to_vec();
            self.take_back(&mut disk);
            self.disk = Some(disk);
        }
        self.pieces.clear();
    }

    /// A sync failed: what was unsynced is gone from the cache as well.
    pub(crate) fn drop_unsynced(&mut self, bytes: &mut [u8]) {
        self.take_back(bytes);
        self.pieces.clear();
    }

    fn take_back(&self, bytes: &mut [u8]) {
        for piece in self.pieces.iter().rev() {
            put(bytes, piece.at, &piece.old);
        }
    }

    /// Leaves in `bytes` what was on the disk, and those unsynced pieces that survive.
    pub(crate) fn lose(&mut self, bytes: &mut [u8], survivors: Survivors, random: &mut Random) {
        match self.disk.take() {
            Some(disk) => bytes.copy_from_slice(&disk),
            None => self.take_back(bytes),
        }
        let survive = survivors.choose(self.pieces.len(), random);
        for (piece, survives) in self.pieces.drain(..).zip(survive) {
            if survives {
                put(bytes, piece.at, &piece.new);
            }
        }
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(bytes) = bytes.get_mut(at..at + new.len()) {
        bytes.copy_from_slice(new);
    }
}
