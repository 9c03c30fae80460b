//! What a file's page cache does to writes: until the next sync, any subset of them may be lost.
//!
//! Invariant: taking the pieces back in reverse order gives the bytes as of the last sync.

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
        self.pieces.clear();
    }

    /// Leaves in `bytes` what was on the disk, and those unsynced pieces that survive.
    pub(crate) fn lose(&mut self, bytes: &mut [u8], survivors: Survivors, random: &mut Random) {
        for piece in self.pieces.iter().rev() {
            put(bytes, piece.at, &piece.old);
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
