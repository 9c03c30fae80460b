//! A medium in two hands: the engine's, which owns its storage, and the test's.

use crate::error::SimError;
use crate::nor::SimNor;
use kausaldb::storage::{Geometry, Storage};
use std::cell::RefCell;
use std::rc::Rc;

/// A medium that the test still holds while an engine owns it, to plan faults and to look at it; and
/// afterwards.
///
/// A clone is another handle of the same medium (a [`SimNor`]'s is another medium).
#[derive(Clone, Debug)]
pub struct Shared(Rc<RefCell<SimNor>>);

impl Shared {
    /// Takes a medium.
    pub fn new(nor: SimNor) -> Self {
        Self(Rc::new(RefCell::new(nor)))
    }

    /// Does something with the medium between two calls of the engine.
    ///
    /// # Panics
    /// When called within itself.
    pub fn with<T>(&self, act: impl FnOnce(&mut SimNor) -> T) -> T {
        act(&mut self.0.borrow_mut())
    }
}

impl Storage for Shared {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.0.borrow().geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        self.with(|nor| nor.read(at, into))
    }

    fn is_lost(&self, error: &SimError) -> bool {
        self.0.borrow().is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        self.with(|nor| nor.write(at, bytes))
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.with(|nor| nor.erase(sector))
    }

    fn sync(&mut self) -> Result<(), SimError> {
        self.with(|nor| nor.sync())
    }
}
