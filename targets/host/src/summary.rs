//! A block in one line: what lists of blocks and edges show of it.

use crate::error::{Outcome, one_line};
use kausaldb::{BlockId, BlockRef};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What is shown of a block, without its content.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Summary {
    id: String,
    version: u64,
    source_uri: String,
    metadata: Option<Box<RawValue>>,
    content_bytes: usize,
}

/// The fields of metadata that the commands look at; they are there if indexing wrote them.
#[derive(Deserialize, Default, Debug)]
pub(crate) struct Known<'a> {
    #[serde(borrow, default)]
    pub(crate) kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) lines: Option<[u64; 2]>,
}

/// The known fields, each if it is there and of its type.
pub(crate) fn known(metadata: &[u8]) -> Known<'_> {
    serde_json::from_slice(metadata).unwrap_or_default()
}

impl Summary {
    /// The summary of a block.
    pub(crate) fn of(block: &BlockRef<'_>) -> Self {
        Self {
            id: block.id().to_string(),
            version: block.version(),
            source_uri: block.source_uri().to_owned(),
            metadata: serde_json::from_slice(block.metadata()).ok(),
            content_bytes: block.content().len(),
        }
    }

    /// The URI.
    pub(crate) fn source_uri(&self) -> &str {
        &self.source_uri
    }

    /// The name that the metadata gives, if it does.
    pub(crate) fn name(&self) -> Option<String> {
        let metadata = self.metadata.as_ref()?.get();
        known(metadata.as_bytes()).name.map(Cow::into_owned)
    }

    /// One line of JSON, without a line break. Metadata that is not JSON is `null`; `get` shows it.
    pub(crate) fn json(&self) -> Outcome<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// One line of text: id, kind and name, and where it is.
    pub(crate) fn text(&self) -> String {
        let known =
            self.metadata.as_ref().map(|json| known(json.get().as_bytes())).unwrap_or_default();
        let mut line = self.id.clone();
        for word in [&known.kind, &known.name].into_iter().flatten() {
            line.push_str("  ");
            line.push_str(&one_line(word));
        }
        line.push_str("  ");
        line.push_str(&one_line(&place(&self.source_uri, known.lines)));
        line
    }
}

/// Where a definition is, in the form that editors open: the file and the line; otherwise the URI.
fn place(source_uri: &str, lines: Option<[u64; 2]>) -> String {
    match (source_uri.split_once('#'), lines) {
        (Some((file, _)), Some([first, _])) => format!("{file}:{first}"),
        _ => source_uri.to_owned(),
    }
}

/// Whether a block has this name, or a URI that ends so. The end must begin at a word: `in.rs` is none of
/// `main.rs`.
pub(crate) fn is_called(block: &BlockRef<'_>, name: &str) -> bool {
    ends_with_word(block.source_uri(), name) || has_name(block.metadata(), name)
}

fn ends_with_word(uri: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let Some(head) = uri.strip_suffix(name) else { return false };
    let cut =
        head.chars().next_back().is_some_and(is_word) && name.chars().next().is_some_and(is_word);
    !name.is_empty() && !cut
}

fn has_name(metadata: &[u8], name: &str) -> bool {
    // Most blocks are told apart without parsing; only escapes can hide a name from a look at the bytes.
    let plain = !metadata.contains(&b'\\');
    if plain && !contains(metadata, name.as_bytes()) {
        return false;
    }
    known(metadata).name.is_some_and(|known| known == name)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The id, for nodes of which nothing else is known.
pub(crate) fn bare(id: &BlockId, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{id}  {}  (not defined here)", one_line(name)),
        None => format!("{id}  (no block)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kausaldb::ContextBlock;

    fn block<'a>(source_uri: &'a str, metadata: &'a str) -> ContextBlock<'a> {
        let id = BlockId::from_u128(1);
        ContextBlock { id, version: 3, source_uri, metadata: metadata.as_bytes(), content: b"four" }
    }

    #[test]
    fn a_block_is_called_by_its_name_or_the_end_of_its_uri() {
        let block =
            block("src/main.rs#function:remain", r#"{"kind":"function","name":"ma\u0069n"}"#);
        let block = BlockRef::from(&block);
        for name in
            ["main", "remain", "function:remain", "#function:remain", "main.rs#function:remain"]
        {
            assert!(is_called(&block, name), "{name}");
        }
        for name in ["", "ain", "mai", "main.rs"] {
            assert!(!is_called(&block, name), "{name}");
        }
    }

    #[test]
    fn a_summary_says_what_and_where() {
        let stored =
            block("src/a.rs#function:f", r#"{"kind":"function","name":"f","lines":[7,9]}"#);
        let summary = Summary::of(&BlockRef::from(&stored));
        assert_eq!(summary.text(), "00000000000000000000000000000001  function  f  src/a.rs:7");
        assert_eq!(
            summary.json().unwrap(),
            concat!(
                r#"{"id":"00000000000000000000000000000001","version":3,"source_uri":"src/a.rs#function:f","#,
                r#""metadata":{"kind":"function","name":"f","lines":[7,9]},"content_bytes":4}"#
            )
        );
        let odd = block("u", "no json");
        let summary = Summary::of(&BlockRef::from(&odd));
        assert_eq!(summary.text(), "00000000000000000000000000000001  u");
        assert!(summary.json().unwrap().contains(r#""metadata":null"#));
    }
}
