//! Memory for an engine on a host: pages of its own from the operating system.
//!
//! A region that grew too small goes back whole when it is dropped. An allocator would keep what it leaves,
//! and both would stay resident: 23 MB of a million blocks' import, before this.

use memmap2::MmapMut;
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
pub struct Region(Option<MmapMut>);

impl Region {
    /// A region of so many bytes, which are zeroed when they are first touched.
    ///
    /// # Errors
    /// The operating system has no such memory, or none was asked for.
    pub fn new(bytes: usize) -> io::Result<Self> {
        MmapMut::map_anon(bytes).map(|map| Self(Some(map)))
    }

    /// Its bytes.
    pub fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        let bytes: &mut [u8] = self.0.as_deref_mut().unwrap_or_default();
        let (first, len) = (bytes.as_mut_ptr().cast::<MaybeUninit<u8>>(), bytes.len());
        // SAFETY:
        // - first and length are those of a slice that is borrowed for as long, and alone, as the result is;
        // - `MaybeUninit<u8>` is laid out like `u8`;
        // - bytes that are made uninitialised through the result are read by nobody: the map is private to
        //   this type, which never reads it.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(first, len)
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_deref().map_or(0, <[u8]>::len);
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
}
