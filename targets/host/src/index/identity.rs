//! Ids that follow from identity: the same definition has the same id in every run and on every machine.
//!
//! - A file is its URI: the path below the indexed directory, with forward slashes: `src/store.rs`.
//! - A definition is the file's URI, its kind, and its name behind the names of what it lies in:
//!   `src/store.rs#method:Store.open`. Twins in one file are numbered from the second on, in the order of
//!   the file: `src/store.rs#method:Store.open~2`.
//! - A name that no definition is known for is the name alone.
//!
//! An id is the first 16 bytes of BLAKE3 over the URI, or over the name, each under a key of its own. So a
//! block whose id is that of its URI was made by indexing, and no other is touched by it.

use kausaldb::BlockId;
use std::collections::HashMap;

const URI_CONTEXT: &str = "kausaldb index: a source URI, 1";
const NAME_CONTEXT: &str = "kausaldb index: a name without a definition, 1";

/// The id of the file or definition with this URI.
pub(crate) fn of_uri(uri: &str) -> BlockId {
    derive(URI_CONTEXT, uri)
}

/// The id of the node that stands for a name without a definition.
pub(crate) fn of_name(name: &str) -> BlockId {
    derive(NAME_CONTEXT, name)
}

fn derive(context: &str, text: &str) -> BlockId {
    let mut bytes = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(text.as_bytes()).finalize_xof().fill(&mut bytes);
    BlockId::new(bytes)
}

/// The URIs of the definitions of one file, given in the file's order.
pub(super) struct DefinitionUris<'a> {
    file: &'a str,
    given: HashMap<String, u32>,
}

impl<'a> DefinitionUris<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, given: HashMap::new() }
    }

    /// The URI of the next definition.
    pub(super) fn next(&mut self, kind: &str, path: &str) -> String {
        let mut uri = format!("{}#{kind}:{path}", self.file);
        let twins = self.given.entry(uri.clone()).or_insert(0);
        *twins += 1;
        if *twins > 1 {
            uri.push('~');
            uri.push_str(&twins.to_string());
        }
        uri
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_change() {
        assert_eq!(of_uri("src/a.rs").to_string(), "f7a7170bc698996ee2bea2335fb1b9e4");
        assert_eq!(of_name("src/a.rs").to_string(), "9d230649202e45c652655b2a0582d03d");
    }

    #[test]
    fn twins_are_numbered_in_the_order_of_the_file() {
        let mut uris = DefinitionUris::new("a.py");
        assert_eq!(uris.next("method", "A.f"), "a.py#method:A.f");
        assert_eq!(uris.next("method", "B.f"), "a.py#method:B.f");
        assert_eq!(uris.next("method", "A.f"), "a.py#method:A.f~2");
    }
}
