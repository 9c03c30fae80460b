//! `export`: the whole store as JSON lines, in an order that depends on nothing but what is stored.

use crate::error::Outcome;
use crate::graph::Graph;
use crate::jsonl;
use kausaldb::Direction;
use std::io::Write;

/// Writes a line for each block, ordered by id, then one for each edge, ordered by source, kind and target.
///
/// Takes 16 bytes of memory for each node.
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
    for id in &nodes {
        let mut edges = store.edges(id, Direction::Out, None)?;
        edges.sort_unstable();
        for edge in &edges {
            writeln!(out, "{}", jsonl::link_line(edge)?)?;
        }
    }
    Ok(())
}
