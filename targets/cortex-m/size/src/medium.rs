//! A medium of which the compiler knows nothing: what it says and does comes from nowhere.

use core::hint::black_box;
use kausaldb::storage::{Erased, Geometry, Storage};

/// Where a driver would be.
pub(crate) struct Medium(());

/// What the driver says of a part that failed.
#[derive(Debug)]
pub(crate) struct Failed;

impl Medium {
    /// The one medium.
    pub(crate) fn new() -> Self {
        Self(())
    }

    #[inline(never)]
    fn done(&mut self) -> Result<(), Failed> {
        if black_box(true) { Ok(()) } else { Err(Failed) }
    }
}

impl Storage for Medium {
    type Error = Failed;

    fn geometry(&self) -> Geometry {
        black_box(Geometry {
            capacity_bytes: 0x1_0000,
            erase_bytes: 1024,
            write_bytes: 4,
            erased: Erased::Ones,
            keeps_write_order: true,
        })
    }

    #[inline(never)]
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Failed> {
        black_box((at, into));
        self.done()
    }

    #[inline(never)]
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failed> {
        black_box((at, bytes));
        self.done()
    }

    #[inline(never)]
    fn erase(&mut self, sector: u32) -> Result<(), Failed> {
        black_box(sector);
        self.done()
    }

    #[inline(never)]
    fn sync(&mut self) -> Result<(), Failed> {
        self.done()
    }

    fn is_lost(&self, _: &Failed) -> bool {
        black_box(false)
    }
}
