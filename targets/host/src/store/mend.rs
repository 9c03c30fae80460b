//! Making a hurt store well where it lies: repair, and scrubbing.

use super::{Store, explain};
use crate::commands::report::{Figure, Figures};
use crate::error::{Failure, Outcome};
use std::path::Path;

impl Store {
    /// Makes what damage has left of a store count.
    ///
    /// # Errors
    /// It is missing, locked, or no store; or the storage fails.
    pub(crate) fn repair(path: &Path) -> Outcome<Figures> {
        let mut store = Self::open_hurt(path)?;
        let done = store.with_room(|engine| engine.repair())?;
        store.close()?;
        let mut figures = Figures::default();
        figures.push("lists_emptied", Figure::Count(done.lists_emptied));
        figures.push("nodes_dropped", Figure::Count(done.nodes_dropped));
        figures.push("edges_restored", Figure::Count(done.edges_restored));
        figures.push("edges_dropped", Figure::Count(done.edges_dropped));
        Ok(figures)
    }

    /// Reads everything, and writes anew what one flipped bit has hit. The second result says what cannot be
    /// mended, if there is such.
    ///
    /// # Errors
    /// The storage fails.
    pub(crate) fn scrub(mut self) -> Outcome<(Figures, Option<Failure>)> {
        let done = self.with_room(|engine| engine.scrub(u64::MAX))?;
        let path = self.path.clone();
        self.close()?;
        let mut figures = Figures::default();
        figures.push("read_bytes", Figure::Bytes(done.read_bytes));
        figures.push("records_mended", Figure::Count(done.mended.into()));
        figures.push("records_damaged", Figure::Count(done.damaged.into()));
        let damaged = (done.damaged > 0).then(|| explain::beyond_mending(&path, done.damaged));
        Ok((figures, damaged))
    }
}
