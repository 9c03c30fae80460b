//! The memory of the engine: one region, made anew when a larger one is needed.

use std::collections::TryReserveError;
use std::mem::MaybeUninit;

/// The bytes from which everything that the engine holds in RAM is carved.
///
/// The allocator may keep what a region that became too small leaves, up to a few tens of megabytes.
#[derive(Default)]
pub(super) struct Region(Vec<u8>);

impl Region {
    /// A region of so many bytes. They are touched, and become resident, as the engine carves them.
    pub(super) fn new(bytes: usize) -> Result<Self, TryReserveError> {
        let mut room = Vec::new();
        room.try_reserve_exact(bytes)?;
        Ok(Self(room))
    }

    /// Its bytes.
    pub(super) fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        self.0.spare_capacity_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_its_bytes_or_says_so() {
        assert!(Region::new(12_345).unwrap().bytes().len() >= 12_345);
        assert_eq!(Region::default().bytes().len(), 0);
        assert!(Region::new(usize::MAX / 2).is_err());
    }
}
