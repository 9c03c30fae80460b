//! What `salvage` prints: a line for each loss, and what was saved.

use crate::error::{Failure, Outcome};
use crate::store::{Lost, Salvaged};
use kausaldb::Direction;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// The last line in JSON.
#[derive(Serialize)]
struct Summary {
    blocks: u64,
    edges: u64,
    losses: usize,
}

/// Prints a line for each loss, and then what was saved.
///
/// # Errors
/// Printing fails.
pub(crate) fn print(salvaged: &Salvaged, new: &Path, json: bool, out: &mut impl Write) -> Outcome {
    let Salvaged { blocks, edges, lost } = salvaged;
    for loss in lost {
        if json {
            writeln!(out, "{}", value(loss))?;
        } else {
            writeln!(out, "lost: {}", text(loss))?;
        }
    }
    if json {
        let summary = Summary { blocks: *blocks, edges: *edges, losses: lost.len() };
        writeln!(out, "{}", serde_json::to_string(&summary)?)?;
    } else {
        writeln!(out, "{blocks} blocks and {edges} edges saved to {}", new.display())?;
    }
    Ok(())
}

/// That something is lost, if it is.
pub(crate) fn losses(salvaged: &Salvaged, path: &Path, new: &Path) -> Option<Failure> {
    let losses = match salvaged.lost.len() {
        0 => return None,
        1 => "one thing".to_owned(),
        more => format!("{more} things"),
    };
    let (old, new) = (path.display(), new.display());
    Some(Failure::store(format_args!(
        "{old}: {losses} could not be saved, as listed; go on with {new}, which holds the rest"
    )))
}

fn text(loss: &Lost) -> String {
    match loss {
        Lost::Records { segment, offset } => format!("records in segment {segment} at {offset}"),
        Lost::Node { number } => format!("node {number}"),
        Lost::Block { id } => format!("block {id}"),
        Lost::Edges { id, direction: Direction::Out } => {
            format!("edges out of {id} that no other end knows")
        }
        Lost::Edges { id, direction: Direction::In } => {
            format!("edges into {id} that no other end knows")
        }
    }
}

fn value(loss: &Lost) -> Value {
    match loss {
        Lost::Records { segment, offset } => {
            json!({ "lost": "records", "segment": segment, "offset": offset })
        }
        Lost::Node { number } => json!({ "lost": "node", "number": number }),
        Lost::Block { id } => json!({ "lost": "block", "id": id.to_string() }),
        Lost::Edges { id, direction: Direction::Out } => {
            json!({ "lost": "edges out of", "id": id.to_string() })
        }
        Lost::Edges { id, direction: Direction::In } => {
            json!({ "lost": "edges into", "id": id.to_string() })
        }
    }
}
