//! Walking over the records of one segment, in log order.

use super::read::read_header;
use super::{LogBytes, LogError};
use crate::format::{Header, Outline, Place};

/// A walk over the records of a segment from one offset up to another. It holds no borrow.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    slot: u32,
    at: u32,
    end: u32,
    bodies: bool,
    /// Whether a header may be mended: not where the log may have ended, nor within damage that goes on.
    mends: bool,
    in_damage: bool,
}

/// What a walk met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A valid record.
    Record {
        /// Its header.
        header: Header,
        /// Where it starts in the segment, in bytes.
        offset: u32,
        /// Its length in bytes, padding included.
        bytes: u32,
    },
    /// A record whose header is damaged beyond mending; its index page says what it was about.
    Named {
        /// What it was about.
        outline: Outline,
        /// Where it starts in the segment, in bytes.
        offset: u32,
    },
    /// Bytes that are no valid record, where there should be one.
    Invalid {
        /// Where they start in the segment, in bytes.
        offset: u32,
    },
    /// The end.
    End,
}

impl Walk {
    /// A walk over the segment in `slot` from offset `from` up to `end`. It looks at headers only.
    pub const fn new(slot: u32, from: u32, end: u32) -> Self {
        Self { slot, at: from, end, bodies: false, mends: true, in_damage: false }
    }

    /// The same walk, that takes a record for valid only if its body is, too.
    #[must_use]
    pub const fn checking_bodies(self) -> Self {
        Self { bodies: true, ..self }
    }

    /// The same walk, over bytes that may never have been records: nothing is mended.
    #[must_use]
    pub const fn unproven(self) -> Self {
        Self { mends: false, ..self }
    }

    /// Offset of the next step, in bytes.
    pub const fn at(&self) -> u32 {
        self.at
    }

    /// Offset at which it ends, in bytes.
    pub const fn end(&self) -> u32 {
        self.end
    }

    /// Goes on from another offset.
    pub const fn skip_to(&mut self, offset: u32) {
        self.at = offset;
    }

    /// The next record. After [`Step::Invalid`] it stays where it is until [`skip_to`](Self::skip_to).
    ///
    /// # Errors
    /// The storage refused.
    pub fn next<L: LogBytes + ?Sized>(&mut self, from: &mut L) -> Result<Step, LogError<L::Error>> {
        if self.at >= self.end {
            return Ok(Step::End);
        }
        let place = Place { slot: self.slot, offset: self.at };
        let invalid = Ok(Step::Invalid { offset: self.at });
        let header = match read_header(from, place)? {
            None if self.mends && !self.in_damage => from.erased().mended_header(place)?,
            header => header,
        };
        if header.is_none() && self.mends && !self.in_damage {
            let named = from.erased().named(place)?;
            let (layout, left) = (from.log().layout(), self.end - self.at);
            let fits = |named: &Outline| {
                named.bytes > 0 && named.bytes <= left && layout.is_aligned(named.bytes)
            };
            if let Some(outline) = named.filter(fits) {
                let offset = self.at;
                self.at += outline.bytes;
                return Ok(Step::Named { outline, offset });
            }
        }
        self.in_damage = header.is_none();
        let Some(header) = header else { return invalid };
        let bytes = from.log().bytes_of(&header);
        if u64::from(self.at) + bytes > u64::from(self.end) {
            return invalid;
        }
        if self.bodies && !from.erased().body_is_valid(place, &header)? {
            return invalid;
        }
        // Below `end`, which is 32 bits.
        let bytes = bytes as u32;
        let offset = self.at;
        self.at += bytes;
        Ok(Step::Record { header, offset, bytes })
    }
}
