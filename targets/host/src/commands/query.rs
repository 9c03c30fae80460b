//! Looking: `get`, `find`, `neighbours`, `callers`, `callees`, `scan`.

use crate::error::{Failure, Outcome, one_line};
use crate::graph::{Graph, Order};
use crate::index::identity;
use crate::jsonl;
use crate::summary::{Summary, bare, is_called};
use kausaldb::{BlockId, Direction, EdgeKind, GraphEdge};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::ops::ControlFlow;

/// Prints one block: its fields and its content, or with `json` the object inside `put`.
///
/// # Errors
/// No block has this id, or reading or printing fails.
pub(crate) fn get(store: &impl Graph, id: &BlockId, json: bool, out: &mut impl Write) -> Outcome {
    let Some(block) = store.find(id)? else {
        return Err(Failure::not_found(format_args!(
            "no block has the id {id}; `kausaldb scan` lists all"
        )));
    };
    let block = block.as_block();
    if json {
        writeln!(out, "{}", jsonl::block_object(&block)?)?;
        return Ok(());
    }
    writeln!(out, "id        {id}")?;
    writeln!(out, "version   {}", block.version)?;
    writeln!(out, "uri       {}", one_line(block.source_uri))?;
    writeln!(out, "metadata  {}", one_line(&String::from_utf8_lossy(block.metadata)))?;
    writeln!(out)?;
    out.write_all(block.content)?;
    if block.content.last() != Some(&b'\n') {
        writeln!(out)?;
    }
    Ok(())
}

/// Lists the blocks with this name, ordered by URI.
///
/// # Errors
/// No block is called so, or reading or printing fails.
pub(crate) fn find(store: &impl Graph, name: &str, json: bool, out: &mut impl Write) -> Outcome {
    let mut found: Vec<Summary> = Vec::new();
    store.scan(Order::OldestFirst, &mut |block| {
        if is_called(&block, name) {
            found.push(Summary::of(&block));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if found.is_empty() {
        return Err(nothing_called(name));
    }
    found.sort_by(|a, b| a.source_uri().cmp(b.source_uri()));
    found.iter().try_for_each(|summary| print(summary, json, out))
}

/// Lists blocks in the order in which they were written, without their content.
///
/// # Errors
/// Reading or printing fails.
pub(crate) fn scan(
    store: &impl Graph,
    order: Order,
    limit: Option<u64>,
    json: bool,
    out: &mut impl Write,
) -> Outcome {
    let mut left = limit.unwrap_or(u64::MAX);
    store.scan(order, &mut |block| {
        if left == 0 {
            return Ok(ControlFlow::Break(()));
        }
        left -= 1;
        print(&Summary::of(&block), json, out)?;
        Ok(ControlFlow::Continue(()))
    })
}

/// Which edges are asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) ways: &'a [Direction],
    pub(crate) kind: Option<EdgeKind>,
}

/// Lists the edges of the nodes that `node` names: one id, or all blocks called so and the name without a
/// definition.
///
/// # Errors
/// Nothing is called so, or there are no such edges (where a list cannot be read, nobody knows that); or
/// reading or printing fails.
pub(crate) fn neighbours(
    store: &impl Graph,
    node: &str,
    wanted: &Wanted<'_>,
    json: bool,
    out: &mut impl Write,
) -> Outcome {
    let (mut any, mut all_read) = (false, true);
    for id in named(store, node)? {
        let mut names = Names::of(store, &id);
        for &way in wanted.ways {
            let edges = store.edges(&id, way, wanted.kind)?;
            all_read &= edges.is_whole;
            for edge in edges.found {
                any = true;
                print_edge(store, &id, way, &edge, &mut names, json, out)?;
            }
        }
    }
    if any || !all_read {
        return Ok(());
    }
    let node = one_line(node);
    Err(Failure::not_found(format_args!(
        "'{node}' has no such edges; `kausaldb neighbours` without other options lists all"
    )))
}

/// The nodes that a text names.
fn named(store: &impl Graph, text: &str) -> Outcome<BTreeSet<BlockId>> {
    let mut ids = BTreeSet::new();
    if let Ok(id) = text.parse::<BlockId>()
        && is_node(store, &id)?
    {
        ids.insert(id);
        return Ok(ids);
    }
    store.scan(Order::OldestFirst, &mut |block| {
        if is_called(&block, text) {
            ids.insert(block.id());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let undefined = identity::of_name(text);
    if is_node(store, &undefined)? {
        ids.insert(undefined);
    }
    if ids.is_empty() { Err(nothing_called(text)) } else { Ok(ids) }
}

fn is_node(store: &impl Graph, id: &BlockId) -> Outcome<bool> {
    Ok(store.find(id)?.is_some()
        || !store.edges(id, Direction::Out, None)?.found.is_empty()
        || !store.edges(id, Direction::In, None)?.found.is_empty())
}

fn nothing_called(name: &str) -> Failure {
    let name = one_line(name);
    Failure::not_found(format_args!(
        "nothing is called '{name}'; `kausaldb scan` lists what there is"
    ))
}

fn print(summary: &Summary, json: bool, out: &mut impl Write) -> Outcome {
    let line = if json { summary.json()? } else { summary.text() };
    writeln!(out, "{line}")?;
    Ok(())
}

/// An edge as one line of JSON: the node asked about, and what is known of the one at the other end.
#[derive(Serialize)]
struct EdgeLine<'a> {
    of: String,
    direction: &'a str,
    kind: String,
    id: String,
    name: Option<String>,
    source_uri: Option<&'a str>,
}

fn print_edge(
    store: &impl Graph,
    id: &BlockId,
    way: Direction,
    edge: &GraphEdge,
    names: &mut Names<'_, impl Graph>,
    json: bool,
    out: &mut impl Write,
) -> Outcome {
    let (word, other) = match way {
        Direction::Out => ("out", edge.target),
        Direction::In => ("in", edge.source),
    };
    let summary = store.find(&other)?.map(|block| Summary::of(&block));
    let name = match &summary {
        Some(summary) => summary.name(),
        None => names.name_of(&other)?,
    };
    if json {
        let line = EdgeLine {
            of: id.to_string(),
            direction: word,
            kind: edge.kind.to_string(),
            id: other.to_string(),
            name,
            source_uri: summary.as_ref().map(Summary::source_uri),
        };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    } else {
        let text = summary.map_or_else(|| bare(&other, name.as_deref()), |summary| summary.text());
        writeln!(out, "{word:3}  {:13}  {text}", edge.kind.to_string())?;
    }
    Ok(())
}

/// The names behind ids that have no block: they stand in the content of the block that uses them.
struct Names<'s, S> {
    store: &'s S,
    user: BlockId,
    by_id: Option<HashMap<BlockId, String>>,
}

impl<'s, S: Graph> Names<'s, S> {
    fn of(store: &'s S, user: &BlockId) -> Self {
        Self { store, user: *user, by_id: None }
    }

    fn name_of(&mut self, id: &BlockId) -> Outcome<Option<String>> {
        let by_id = match self.by_id.take() {
            Some(by_id) => by_id,
            None => self.read()?,
        };
        let name = by_id.get(id).cloned();
        self.by_id = Some(by_id);
        Ok(name)
    }

    fn read(&self) -> Outcome<HashMap<BlockId, String>> {
        let Some(block) = self.store.find(&self.user)? else { return Ok(HashMap::new()) };
        let text = String::from_utf8_lossy(block.content());
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '!' | '?');
        let words: BTreeSet<&str> = text
            .split(|c: char| !is_name(c))
            .flat_map(|word| [word, word.trim_end_matches(['!', '?'])])
            .collect();
        Ok(words.into_iter().map(|word| (identity::of_name(word), word.to_owned())).collect())
    }
}
