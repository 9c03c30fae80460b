//! Memory for an engine on a host: pages of its own from the operating system.
//!
//! A region that grew too small goes back whole when it is dropped. An allocator would keep what it leaves,
//! and both would stay resident: 23 MB of a million blocks' import, before this.
//!
//! Invariant: the pages are held by pointer and length. Whoever borrows them may leave bytes
//! uninitialised, so no `&[u8]` is ever made of them.

use memmap2::{MmapMut, MmapRaw};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;

/// A region for [`StorageEngine::open`](kausaldb::StorageEngine::open); the default is an empty one.
///
/// ```
/// use kausaldb::Capacity;
/// use kausaldb_file::Region;
///
/// let mut region = Region::new(Capacity::HOST.region_bytes())?;
/// assert_eq!(region.bytes().len(), Capacity::HOST.region_bytes());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct Region(Option<MmapRaw>);

impl Region {
    /// A region of so many bytes, which are zeroed when they are first touched.
    ///
    /// # Errors
    /// The operating system has no such memory, or none was asked for.
    pub fn new(bytes: usize) -> io::Result<Self> {
        MmapMut::map_anon(bytes).map(|map| Self(Some(map.into())))
    }

    /// Its bytes.
    pub fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        let Some(map) = &mut self.0 else { return &mut [] };
        let (first, len) = (map.as_mut_ptr().cast::<MaybeUninit<u8>>(), map.len());
        // SAFETY:
        // - first and length are those of one mapping, readable and writable, which lives as long as `self`;
        // - the mapping is private to this type, and `self` is borrowed alone for as long as the result
        // is: no
        //   other reference to its bytes exists meanwhile;
        // - `MaybeUninit<u8>` has no invalid values and no alignment: neither what a caller left
        //   uninitialised before nor what it does now is ever looked at as `u8`;
        // - a mapping is no longer than `isize::MAX`: memmap2 and the address space see to that.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(first, len)
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_ref().map_or(0, MmapRaw::len);
        f.debug_struct("Region").field("bytes", &bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_its_bytes_or_says_so() {
        let mut region = Region::new(12_345).unwrap();
        assert_eq!(region.bytes().len(), 12_345);
        region.bytes().fill(MaybeUninit::new(7));
        assert_eq!(Region::default().bytes().len(), 0);
        assert!(Region::new(usize::MAX / 2).is_err());
    }

    /// `bytes` and `Debug` went by way of a `&[u8]` over bytes that their borrower may have left
    /// uninitialised. They ask for pointer and length only; Miri would tell.
    #[test]
    fn bytes_that_were_left_uninitialised_are_borrowed_again_and_never_read() {
        let mut region = Region::new(4096).unwrap();
        region.bytes().fill(MaybeUninit::uninit());
        assert_eq!(format!("{region:?}"), "Region { bytes: 4096 }");
        region.bytes().fill(MaybeUninit::new(7));
    }
}
