//! The engine's region: pages of its own from the operating system, given back as soon as it goes.
//!
//! The allocator would keep what a smaller region leaves when a larger one takes its place, and both would
//! stay resident.

use memmap2::MmapMut;
use std::io;
use std::mem::MaybeUninit;

/// Memory for an engine, zeroed when first touched; or none.
#[derive(Default)]
pub(super) struct Region(Option<MmapMut>);

impl Region {
    /// A region of so many bytes.
    ///
    /// # Errors
    /// The operating system has no such memory.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        MmapMut::map_anon(bytes).map(|map| Self(Some(map)))
    }

    /// Its bytes.
    pub(super) fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        let bytes: &mut [u8] = self.0.as_deref_mut().unwrap_or_default();
        let (first, len) = (bytes.as_mut_ptr().cast::<MaybeUninit<u8>>(), bytes.len());
        // SAFETY:
        // - first and length are those of a slice that is borrowed for as long, and alone, as the result is;
        // - `MaybeUninit<u8>` is laid out like `u8`;
        // - bytes that are made uninitialised through the result are read by nobody: the map is private to this
        //   type, which never reads it.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(first, len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_its_bytes_or_says_so() {
        assert_eq!(Region::new(12_345).unwrap().bytes().len(), 12_345);
        assert_eq!(Region::default().bytes().len(), 0);
        assert!(Region::new(usize::MAX / 2).is_err());
    }
}
