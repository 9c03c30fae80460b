//! `export`: the whole store as JSON lines, in an order that depends on nothing but what is stored.
//!
//! Each edge stands in two lists, that of its source and that of its target. The lists of the sources are
//! what is exported; where one cannot be read, its edges come from the other ends.

use crate::error::Outcome;
use crate::graph::Graph;
use crate::jsonl;
use kausaldb::{BlockId, Direction, EdgeKind, GraphEdge};
use std::collections::BTreeSet;
use std::io::Write;

/// Writes a line for each block, ordered by id, then one for each edge, ordered by source, kind and target.
///
/// Takes 16 bytes of memory for each node, and 40 for each edge of a list that cannot be read. The first such
/// list costs reading all lists twice more.
///
/// # Errors
/// Reading or printing fails.
pub(crate) fn export(store: &impl Graph, out: &mut impl Write) -> Outcome {
    let nodes = store.nodes()?;
    for id in &nodes {
        if let Some(block) = store.find(id)? {
            writeln!(out, "{}", jsonl::put_line(&block.as_block())?)?;
        }
    }
    let mut known_elsewhere: Option<BTreeSet<GraphEdge>> = None;
    for (at, id) in nodes.iter().enumerate() {
        let mut edges = store.edges(id, Direction::Out, None)?;
        if !edges.is_whole {
            let known = match &mut known_elsewhere {
                Some(known) => known,
                empty => empty.insert(other_ends(store, &nodes, nodes.get(at..).unwrap_or(&[]))?),
            };
            let first = GraphEdge { source: *id, kind: EdgeKind(0), target: BlockId::default() };
            edges.found.extend(known.range(first..).take_while(|edge| edge.source == *id));
        }
        edges.found.sort_unstable();
        edges.found.dedup();
        for edge in &edges.found {
            writeln!(out, "{}", jsonl::link_line(edge)?)?;
        }
    }
    Ok(())
}

/// What the lists of the targets know of the edges of those sources whose own lists cannot be read.
fn other_ends(
    store: &impl Graph,
    nodes: &[BlockId],
    sources: &[BlockId],
) -> Outcome<BTreeSet<GraphEdge>> {
    let mut unreadable = BTreeSet::new();
    for id in sources {
        if !store.edges(id, Direction::Out, None)?.is_whole {
            unreadable.insert(*id);
        }
    }
    let mut known = BTreeSet::new();
    for id in nodes {
        let edges = store.edges(id, Direction::In, None)?.found;
        known.extend(edges.into_iter().filter(|edge| unreadable.contains(&edge.source)));
    }
    Ok(known)
}
