//! What the commands ask of a store: the narrow face behind which the engine stands.
//!
//! Commands are written against these two traits, so that each can be tested on a stand-in, and so that every
//! touch of the engine lies in one module ([`store`](crate::store)).

use crate::error::Outcome;
use crate::operation::Operation;
use kausaldb::{BlockId, BlockRef, Direction, EdgeKind, GraphEdge, Sequence};

pub(crate) use kausaldb::Order;
use std::ops::ControlFlow;

/// What is done with each block of a scan.
pub(crate) type Visit<'v> = dyn FnMut(BlockRef<'_>) -> Outcome<ControlFlow<()>> + 'v;

/// Edges of a node: those that can be read.
#[derive(Default, Debug)]
pub(crate) struct Edges {
    /// Ordered by kind and then by the other end.
    pub(crate) found: Vec<GraphEdge>,
    /// Whether they are all.
    pub(crate) is_whole: bool,
}

/// A store that can be read.
pub(crate) trait Graph {
    /// The block with this id. One that is damaged is as good as none.
    ///
    /// # Errors
    /// What is stored cannot be read.
    fn find(&self, id: &BlockId) -> Outcome<Option<BlockRef<'_>>>;

    /// The version of the block with this id, of a damaged one as well, as far as its header or an index page
    /// tells.
    ///
    /// # Errors
    /// What is stored cannot be read.
    fn version(&self, id: &BlockId) -> Outcome<Option<u64>>;

    /// The edges of a node in one direction, of one kind or of all.
    ///
    /// # Errors
    /// What is stored is damaged or cannot be read.
    fn edges(&self, id: &BlockId, way: Direction, kind: Option<EdgeKind>) -> Outcome<Edges>;

    /// Shows every block in the order in which they were written, but for damaged ones.
    ///
    /// # Errors
    /// What is stored cannot be read, or what `visit` returns.
    fn scan(&self, order: Order, visit: &mut Visit<'_>) -> Outcome;

    /// The ids of all nodes, in order: those with a block, and those that only edges name.
    ///
    /// # Errors
    /// What is stored is damaged or cannot be read.
    fn nodes(&self) -> Outcome<Vec<BlockId>>;
}

/// A store that can be written, and grows as it needs to.
pub(crate) trait GraphMut: Graph {
    /// Writes a batch: all of it becomes visible, or nothing.
    ///
    /// # Errors
    /// The batch is refused or the store fails; nothing of it is visible.
    fn write(&mut self, batch: &[Operation]) -> Outcome<Sequence>;

    /// Makes everything durable that was written before.
    ///
    /// # Errors
    /// The store fails.
    fn sync(&mut self) -> Outcome;
}

#[cfg(test)]
pub(crate) mod stand_in {
    //! A store in ordered maps, for tests of what stands above the store.

    use super::*;
    use crate::operation::Block;
    use std::collections::{BTreeMap, BTreeSet};

    #[derive(Default, Clone)]
    pub(crate) struct Memory {
        pub(crate) blocks: BTreeMap<BlockId, Block>,
        pub(crate) edges: BTreeSet<GraphEdge>,
        pub(crate) written: Vec<Operation>,
        pub(crate) batches: u64,
        /// Lists that cannot be read.
        pub(crate) hurt: BTreeSet<(BlockId, Direction)>,
        /// Blocks of which only the version can be read.
        pub(crate) hurt_blocks: BTreeSet<BlockId>,
    }

    impl Graph for Memory {
        fn find(&self, id: &BlockId) -> Outcome<Option<BlockRef<'_>>> {
            let whole = self.blocks.get(id).filter(|block| !self.hurt_blocks.contains(&block.id));
            Ok(whole.map(|block| BlockRef::from(&block.as_block())))
        }

        fn version(&self, id: &BlockId) -> Outcome<Option<u64>> {
            Ok(self.blocks.get(id).map(|block| block.version))
        }

        fn edges(&self, id: &BlockId, way: Direction, kind: Option<EdgeKind>) -> Outcome<Edges> {
            if self.hurt.contains(&(*id, way)) {
                return Ok(Edges::default());
            }
            let end =
                |edge: &GraphEdge| if way == Direction::Out { edge.source } else { edge.target };
            let edges = self.edges.iter().filter(|edge| end(edge) == *id);
            let found = edges.filter(|edge| kind.is_none_or(|kind| kind == edge.kind)).copied();
            Ok(Edges { found: found.collect(), is_whole: true })
        }

        fn scan(&self, order: Order, visit: &mut Visit<'_>) -> Outcome {
            let is_whole = |block: &&Block| !self.hurt_blocks.contains(&block.id);
            let mut blocks: Vec<_> = self.blocks.values().filter(is_whole).collect();
            if order == Order::NewestFirst {
                blocks.reverse();
            }
            for block in blocks {
                if visit(BlockRef::from(&block.as_block()))?.is_break() {
                    break;
                }
            }
            Ok(())
        }

        fn nodes(&self) -> Outcome<Vec<BlockId>> {
            let ends = self.edges.iter().flat_map(|edge| [edge.source, edge.target]);
            let nodes: BTreeSet<_> = self.blocks.keys().copied().chain(ends).collect();
            Ok(nodes.into_iter().collect())
        }
    }

    impl GraphMut for Memory {
        fn write(&mut self, batch: &[Operation]) -> Outcome<Sequence> {
            for operation in batch {
                match operation {
                    Operation::Put(block) => {
                        self.hurt_blocks.remove(&block.id);
                        self.blocks.insert(block.id, block.clone());
                    }
                    Operation::Delete(id) => {
                        self.blocks.remove(id);
                        self.edges.retain(|edge| edge.source != *id && edge.target != *id);
                    }
                    Operation::Link(edge) => drop(self.edges.insert(*edge)),
                    Operation::Unlink(edge) => drop(self.edges.remove(edge)),
                }
            }
            self.written.extend_from_slice(batch);
            self.batches += 1;
            Ok(Sequence::new(self.batches))
        }

        fn sync(&mut self) -> Outcome {
            Ok(())
        }
    }
}
