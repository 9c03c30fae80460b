//! Salvage: what a hurt store still holds, written to a new one, and a list of what it does not.
//!
//! The hurt store is only read. Blocks are mended where one bit is flipped. Each edge stands in two
//! lists, and is saved if one of them knows it: an unreadable list costs edges only where the other ends
//! may be lost as well. An older version or a deleted block may come back in place of a record that is
//! lost: such places are listed.

use super::{Store, create, explain};
use crate::error::{Failure, Outcome};
use crate::graph::{Graph, GraphMut};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX};
use crate::operation::{Batch, Block, Operation};
use kausaldb::{
    BlockId, BlockRef, Direction, Finding, GraphEdge, OnDamage, Order, ReadError, Workspace,
};
use kausaldb_file::Access;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Scratch beyond the longest block, in bytes: what reading takes beside it.
const SCRATCH_SPARE: usize = 64 << 10;

/// Something that could not be saved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Lost {
    /// Records of which nobody knows what they held.
    Records { segment: u32, offset: u32 },
    /// A node whose record is not there.
    Node { number: u32 },
    /// The block with this id.
    Block { id: BlockId },
    /// Edges of this node that the other ends do not know, if there were such.
    Edges { id: BlockId, direction: Direction },
}

/// What salvaging came to.
#[derive(Default, Debug)]
pub(crate) struct Salvaged {
    pub(crate) blocks: u64,
    pub(crate) edges: u64,
    pub(crate) lost: BTreeSet<Lost>,
}

/// Writes what can be read of the store at `path` into a new one of the same shape at `new`; on error none is
/// left there.
///
/// Takes 16 bytes of memory for each node, and a batch.
///
/// # Errors
/// There is something at `new`, or the store cannot be opened, or the new one not written.
pub(crate) fn salvage(path: &Path, new: &Path) -> Outcome<Salvaged> {
    if new.exists() {
        // Not to be removed: it may be the damaged store itself.
        let name = new.display();
        return Err(Failure::usage(format_args!("{name}: exists already; name a new file")));
    }
    // Opened so that what is left counts, the engine does not tell any more where records are lost.
    let degraded = Store::open_read_only(path)?.engine()?.damage();
    let mut old = Store::open_as(path, Access::ReadOnly, OnDamage::Repair)?;
    create(new, &old.shape)?;
    let mut salvaged = Salvaged::default();
    if let Some(damage) = degraded {
        let (segment, offset) = (damage.segment, damage.offset);
        salvaged.lost.insert(Lost::Records { segment, offset });
    }
    let copied = Store::open(new).and_then(|store| {
        let mut rescue = Rescue { new: store, batch: Batch::default(), salvaged: &mut salvaged };
        rescue.name_losses(&mut old)?;
        rescue.blocks(&mut old)?;
        rescue.edges(&old)?;
        rescue.new.close()
    });
    copied.inspect_err(|_| {
        // The error is what there is to tell; a store that cannot be removed is half full, and opens.
        let _ = fs::remove_file(new);
    })?;
    Ok(salvaged)
}

struct Rescue<'s> {
    new: Store,
    batch: Batch,
    salvaged: &'s mut Salvaged,
}

impl Rescue<'_> {
    fn name_losses(&mut self, old: &mut Store) -> Outcome {
        let (path, lost) = (&old.path, &mut self.salvaged.lost);
        old.opened.with_dependent_mut(|_, engine| {
            let engine = engine.0.as_mut().ok_or_else(super::closed)?;
            let on = |finding: Finding| match finding {
                Finding::NoRecord { segment, offset } => {
                    lost.insert(Lost::Records { segment, offset });
                }
                Finding::Body { id: Some(id), live: true, .. }
                | Finding::Header { id: Some(id), live: true, .. } => {
                    lost.insert(Lost::Block { id });
                }
                Finding::Node { number } => {
                    lost.insert(Lost::Node { number });
                }
                // Lists are known by what their ends say when they are read; the rest is no loss.
                _ => {}
            };
            engine.verify(on).map(|_| ()).map_err(|error| explain::read(path, &error))
        })
    }

    /// Saves every block that can be read or mended.
    fn blocks(&mut self, old: &mut Store) -> Outcome {
        let path = &old.path;
        let mut scratch = vec![0; old.capacity.block_bytes as usize + SCRATCH_SPARE];
        old.opened.with_dependent_mut(|_, engine| {
            let engine = engine.0.as_mut().ok_or_else(super::closed)?;
            let mut room = [0; Workspace::scratch_bytes(1, 1)];
            let workspace = Workspace::over(&mut room, 1).map_err(Failure::store)?;
            let mut query = engine.reader_through(&mut scratch).query(workspace);
            let scan =
                query.scan(Order::OldestFirst).map_err(|error| explain::read(path, &error))?;
            loop {
                match query.next_block(&scan) {
                    Ok(Some(block)) => {
                        self.push(Operation::Put(owned(&block)))?;
                        self.salvaged.blocks += 1;
                    }
                    Ok(None) => return self.flush(),
                    // It was named before.
                    Err(ReadError::Corrupt { .. }) => {}
                    Err(error) => return Err(explain::read(path, &error)),
                }
            }
        })
    }

    /// Saves every edge that one of its ends knows.
    fn edges(&mut self, old: &Store) -> Outcome {
        let nodes = old.nodes()?;
        let mut unreadable = Vec::new();
        for direction in Direction::BOTH {
            for id in &nodes {
                let edges = old.edges(id, direction, None)?;
                if !edges.is_whole {
                    unreadable.push((*id, direction));
                }
                for edge in edges.found {
                    // What both ends know is there already when the second one tells.
                    if direction == Direction::Out || !self.has(&edge)? {
                        self.push(Operation::Link(edge))?;
                        self.salvaged.edges += 1;
                    }
                }
            }
            self.flush()?;
        }
        let hurt = |way: Direction| unreadable.iter().any(|(_, direction)| *direction == way);
        let both_hurt = hurt(Direction::Out) && hurt(Direction::In);
        if both_hurt || !self.salvaged.lost.is_empty() {
            let lost = unreadable.iter().map(|&(id, direction)| Lost::Edges { id, direction });
            self.salvaged.lost.extend(lost);
        }
        Ok(())
    }

    fn has(&self, edge: &GraphEdge) -> Outcome<bool> {
        let found = self.new.engine()?.reader().has_edge(edge);
        found.map_err(|error| explain::read(&self.new.path, &error))
    }

    fn push(&mut self, operation: Operation) -> Outcome {
        let is_full = self.batch.len() >= BATCH_OPERATIONS_MAX;
        if is_full || self.batch.would_exceed(&operation, BATCH_BYTES_MAX) {
            self.flush()?;
        }
        self.batch.push(operation);
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        if self.batch.len() > 0 {
            self.new.write(self.batch.operations())?;
            self.batch.clear();
        }
        Ok(())
    }
}

fn owned(block: &BlockRef<'_>) -> Block {
    Block {
        id: block.id(),
        version: block.version(),
        source_uri: block.source_uri().to_owned(),
        metadata: block.metadata().to_vec(),
        content: block.content().to_vec(),
    }
}
