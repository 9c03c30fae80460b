//! Storage, log and state together: appending a record that counts at once.

use super::{ApplyError, Charge, State};
use crate::format::Record;
use crate::log::{Appended, Log};
use crate::storage::Storage;

/// What everything that writes works on.
pub struct Store<'r, S> {
    /// The media.
    pub storage: S,
    /// The ring on it.
    pub log: Log<'r>,
    /// What the ring's records mean.
    pub state: State<'r>,
}

impl<S: Storage> Store<'_, S> {
    /// Appends a record outside of any batch and applies it.
    ///
    /// # Errors
    /// As [`Log::append`] and [`State::apply`].
    pub fn record(
        &mut self,
        record: &Record,
        body: &[&[u8]],
    ) -> Result<Appended, ApplyError<S::Error>> {
        let appended = self.log.append(&mut self.storage, record, false, body)?;
        // What the state rests on is on media.
        self.log.flush(&mut self.storage)?;
        self.state.apply(&mut self.storage, &mut self.log, record, appended.location)?;
        Ok(appended)
    }

    /// What a record will be charged.
    pub fn charge(&self, record: &Record) -> Charge {
        Charge::of(self.log.layout(), record)
    }
}
