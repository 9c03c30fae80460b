//! JSON lines: the form in which stores are exported and imported, one operation a line.
//!
//! ```text
//! {"put":{"id":"<32 hex>","version":1,"source_uri":"…","metadata":{…},"content":"…"}}
//! {"delete":{"id":"…"}}
//! {"link":{"source":"…","kind":"calls","target":"…"}}
//! {"unlink":{"source":"…","kind":12,"target":"…"}}
//! ```
//!
//! Every field must be there, once, and no other. Bytes survive the way out and in again:
//!
//! - `content` is a string where the content is UTF-8, otherwise there is `content_base64` in its place
//!   (standard alphabet, padded);
//! - `metadata` is kept as it is written, each byte of the value, spaces included. Metadata that is not one
//!   JSON value on one line (the library takes any bytes) is `metadata_base64` in its place, and `""` if
//!   empty;
//! - a kind is its name, or a number from 0 to 65535, and written by name where it has one.
//!
//! This room knows nothing of stores: it turns lines into [`Operation`](crate::operation::Operation)s and
//! blocks and edges into lines.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use read::{LineError, Lines, parse};
pub(crate) use write::{block_object, link_line, put_line};
