//! Storage, log and state together: appending a record that counts at once.

use super::{ApplyError, Share, State};
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
        self.apply(record, appended)?;
        Ok(appended)
    }

    /// Appends a record in place of one whose body is damaged, and applies it.
    ///
    /// # Errors
    /// As [`Log::append_damaged`] and [`State::apply`].
    pub fn record_damaged(&mut self, record: &Record) -> Result<(), ApplyError<S::Error>> {
        let appended = self.log.append_damaged(&mut self.storage, record)?;
        self.log.flush(&mut self.storage)?;
        self.apply(record, appended)
    }

    /// Applies a record that was appended outside of any batch, and is on media.
    ///
    /// # Errors
    /// As [`State::apply`].
    pub fn apply(
        &mut self,
        record: &Record,
        appended: Appended,
    ) -> Result<(), ApplyError<S::Error>> {
        let outline = record.outline(appended.bytes);
        self.state.apply(&mut self.storage, &mut self.log, &outline, appended.location)
    }

    /// What a record will be charged.
    pub fn share(&self, record: &Record) -> Share {
        Share::of(self.log.layout(), record)
    }
}
