//! Lines in: bounded reads, strict parsing.

use crate::operation::{Block, Operation};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kausaldb::{BlockId, EdgeKind, GraphEdge};
use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Read};

/// No line is longer than this, in bytes: the largest block with every byte escaped, and room for the rest.
pub(crate) const LINE_BYTES_MAX: u64 = 64 << 20;

/// Why a line cannot be imported.
#[derive(Debug)]
pub(crate) enum LineError {
    /// The input could not be read.
    Read(io::Error),
    /// The line is longer than [`LINE_BYTES_MAX`].
    TooLong,
    /// The line is not one operation; the text says why, and names the column.
    Bad(String),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::TooLong => write!(f, "is longer than {LINE_BYTES_MAX} bytes"),
            Self::Bad(reason) => f.write_str(reason),
        }
    }
}

/// The lines of an input, one at a time in one buffer.
pub(crate) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`.
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// How many lines were read; the number of the line at hand, counted from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its line break, or nothing at the end of the input.
    ///
    /// # Errors
    /// The input fails, or the line is too long; nothing can be read behind either.
    pub(crate) fn next_line(&mut self) -> Result<Option<&[u8]>, LineError> {
        self.line.clear();
        let mut bounded = self.input.by_ref().take(LINE_BYTES_MAX + 1);
        let read = bounded.read_until(b'\n', &mut self.line);
        self.number += 1;
        if read.map_err(LineError::Read)? == 0 {
            self.number -= 1;
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() as u64 > LINE_BYTES_MAX {
            return Err(LineError::TooLong);
        }
        Ok(Some(&self.line))
    }
}

/// What a line says.
///
/// # Errors
/// The line is not exactly one operation with exactly its fields.
pub(crate) fn parse(line: &[u8]) -> Result<Operation, LineError> {
    let bad = |error: serde_json::Error| LineError::Bad(reason(&error));
    let text = str::from_utf8(line).map_err(|error| {
        LineError::Bad(format!(
            "is not UTF-8 behind byte {} (use content_base64)",
            error.valid_up_to()
        ))
    })?;
    if text.trim().is_empty() {
        return Err(LineError::Bad("is empty; a line holds one operation".to_owned()));
    }
    Ok(match serde_json::from_str(text).map_err(bad)? {
        Line::Put(put) => Operation::Put(put.decode()?),
        Line::Delete(delete) => Operation::Delete(delete.id.0),
        Line::Link(edge) => Operation::Link(edge.edge()),
        Line::Unlink(edge) => Operation::Unlink(edge.edge()),
    })
}

/// The parser's reason with the column alone: the line is known better here.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) if error.column() > 0 => format!("{what} (column {})", error.column()),
        _ => text,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    #[serde(borrow)]
    Put(Put<'a>),
    Delete(Delete),
    Link(Edge),
    Unlink(Edge),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put<'a> {
    id: Id,
    version: u64,
    source_uri: String,
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    metadata_base64: Option<String>,
    #[serde(default, deserialize_with = "present")]
    content: Option<String>,
    #[serde(default, deserialize_with = "present")]
    content_base64: Option<String>,
}

/// A field that is there has a value: `null` is one for metadata, and none for the others.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Put<'_> {
    fn decode(self) -> Result<Block, LineError> {
        let metadata = match (self.metadata, self.metadata_base64) {
            (Some(json), None) => json.get().as_bytes().to_vec(),
            (None, Some(text)) => decode_base64("metadata_base64", &text)?,
            (None, None) => return Err(missing("metadata")),
            (Some(_), Some(_)) => return Err(twice("metadata")),
        };
        let content = match (self.content, self.content_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => decode_base64("content_base64", &text)?,
            (None, None) => return Err(missing("content")),
            (Some(_), Some(_)) => return Err(twice("content")),
        };
        Ok(Block {
            id: self.id.0,
            version: self.version,
            source_uri: self.source_uri,
            metadata,
            content,
        })
    }
}

fn missing(field: &str) -> LineError {
    LineError::Bad(format!("missing field `{field}` (or `{field}_base64`)"))
}

fn twice(field: &str) -> LineError {
    LineError::Bad(format!("has both `{field}` and `{field}_base64`; give one"))
}

fn decode_base64(field: &str, text: &str) -> Result<Vec<u8>, LineError> {
    STANDARD
        .decode(text)
        .map_err(|error| LineError::Bad(format!("`{field}` is not base64: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    id: Id,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    source: Id,
    kind: Kind,
    target: Id,
}

impl Edge {
    fn edge(&self) -> GraphEdge {
        GraphEdge { source: self.source.0, kind: self.kind.0, target: self.target.0 }
    }
}

struct Id(BlockId);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Id).map_err(D::Error::custom)
    }
}

struct Kind(EdgeKind);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl Visitor<'_> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an edge kind, or a number from 0 to 65535")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Kind, E> {
        let unexpected = || E::invalid_value(Unexpected::Unsigned(number), &self);
        u16::try_from(number).map(|number| Kind(EdgeKind(number))).map_err(|_| unexpected())
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Kind, E> {
        EdgeKind::parse(name)
            .map(Kind)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(name), &self))
    }
}
