//! Lines out: the one form in which each block and edge is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kausaldb::{ContextBlock, EdgeKind, GraphEdge};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The line that puts this block, without a line break.
///
/// # Errors
/// None that depends on the block.
pub(crate) fn put_line(block: &ContextBlock<'_>) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Line<'a> {
        put: Object<'a>,
    }
    serde_json::to_string(&Line { put: Object::of(block) })
}

/// The object inside `put`.
///
/// # Errors
/// None that depends on the block.
pub(crate) fn block_object(block: &ContextBlock<'_>) -> serde_json::Result<String> {
    serde_json::to_string(&Object::of(block))
}

/// The line that adds this edge, without a line break.
///
/// # Errors
/// None that depends on the edge.
pub(crate) fn link_line(edge: &GraphEdge) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Line {
        link: Edge,
    }
    let link = Edge {
        source: edge.source.to_string(),
        kind: Kind(edge.kind),
        target: edge.target.to_string(),
    };
    serde_json::to_string(&Line { link })
}

/// Metadata as one JSON value on one line, if that is what it is, byte for byte.
pub(crate) fn metadata_as_json(metadata: &[u8]) -> Option<&RawValue> {
    if metadata.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return None;
    }
    let raw: &RawValue = serde_json::from_slice(metadata).ok()?;
    (raw.get().len() == metadata.len()).then_some(raw)
}

#[derive(Serialize)]
struct Object<'a> {
    id: String,
    version: u64,
    source_uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_base64: Option<String>,
}

impl<'a> Object<'a> {
    fn of(block: &ContextBlock<'a>) -> Self {
        let metadata = metadata_as_json(block.metadata);
        let content = str::from_utf8(block.content).ok();
        Self {
            id: block.id.to_string(),
            version: block.version,
            source_uri: block.source_uri,
            metadata,
            metadata_base64: metadata.is_none().then(|| STANDARD.encode(block.metadata)),
            content,
            content_base64: content.is_none().then(|| STANDARD.encode(block.content)),
        }
    }
}

#[derive(Serialize)]
struct Edge {
    source: String,
    kind: Kind,
    target: String,
}

/// A kind by its name, or by its number if it has none.
pub(crate) struct Kind(pub(crate) EdgeKind);

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_u16(self.0.0),
        }
    }
}
