//! A small cache, in the manner of a real one.

use std::collections::HashMap;
use std::fmt;

/// How many entries at most.
pub const LIMIT: usize = 64;
static NAME: &str = "cache";

pub type Key = u32;

macro_rules! trace {
    ($($t:tt)*) => { eprintln!($($t)*) };
}

/// Whoever wants to be asked.
pub trait Source {
    const COST: u32;
    fn load(&self, key: Key) -> Option<String>;
    fn warm(&self) -> bool {
        self.load(0).is_some()
    }
}

#[derive(Debug, Default)]
pub struct Cache<S> {
    entries: HashMap<Key, String>,
    source: S,
}

pub enum Error {
    Full { limit: usize },
    Absent(Key),
}

impl<S: Source> Cache<S> {
    pub fn new(source: S) -> Self {
        let entries = HashMap::with_capacity(LIMIT);
        Self { entries, source }
    }

    pub fn get(&mut self, key: Key) -> Result<&str, Error> {
        if self.entries.len() >= LIMIT {
            return Err(Error::Full { limit: LIMIT });
        }
        let text = self.source.load(key).ok_or(Error::Absent(key))?;
        trace!("loaded {}", describe(&text));
        let stored = self.entries.entry(key).or_insert(text);
        Ok(stored.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { limit } => write!(f, "full at {limit}"),
            Self::Absent(key) => f.write_str(&key.to_string()),
        }
    }
}

fn describe(text: &str) -> String {
    fn shorten(text: &str) -> &str {
        text.get(..8).unwrap_or(text)
    }
    let parts: Vec<_> = text.split(' ').map(shorten).collect::<Vec<_>>();
    parts.join("+")
}

mod checks {
    use super::*;

    pub fn sizes() -> bool {
        let cost = std::mem::size_of::<Error>();
        super::describe(NAME).len() < cost.max(LIMIT)
    }
}
