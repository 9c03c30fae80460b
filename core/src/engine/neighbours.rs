//! The edges of a node, as ids: what is folded, with what is pending applied, and without what is deleted.

use super::error::ReadError;
use super::media::Media;
use super::read::Reader;
use crate::edges::HalfCursor;
use crate::log::ReadLog;
use crate::state::List;
use crate::types::{BlockId, Direction, EdgeKey, EdgeKind, GraphEdge, NodeNumber};

/// The edges of one node in one direction. First those that are folded, by kind and node number,
/// then those that are pending. Each call of `next` costs one read of a record's header, beside a
/// share of the list itself.
pub struct Neighbours<'e, 'r, M> {
    reader: Reader<'e, 'r, M>,
    id: BlockId,
    direction: Direction,
    kind: Option<EdgeKind>,
    node: Option<NodeNumber>,
    list: Option<List>,
    /// The pending change that was looked at last.
    pending: Option<HalfCursor>,
}

impl<'e, 'r, M: Media> Neighbours<'e, 'r, M> {
    pub(super) fn new(
        mut reader: Reader<'e, 'r, M>,
        id: &BlockId,
        direction: Direction,
        kind: Option<EdgeKind>,
    ) -> Result<Self, ReadError<M::Error>> {
        let state = reader.state;
        let node = reader.node(id)?;
        let list = node.map(|node| List::new((node, direction), None));
        let mut neighbours = Self { reader, id: *id, direction, kind, node, list, pending: None };
        if let (Some(node), Some(list)) = (node, &mut neighbours.list) {
            neighbours.reader.check_list(node, direction)?;
            let from = EdgeKey { kind: kind.map_or(0, |kind| kind.0), ..EdgeKey::MIN };
            list.start(&mut neighbours.reader.reading(), state, from)?;
        }
        Ok(neighbours)
    }

    /// The next edge.
    ///
    /// # Errors
    /// The storage refused, or a record is damaged.
    // Not an iterator: it reads through scratch where storage is not mapped, and may fail.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<GraphEdge>, ReadError<M::Error>> {
        let Some(node) = self.node else { return Ok(None) };
        let state = self.reader.state;
        while let Some(list) = &mut self.list {
            let key = list.next(&mut self.reader.reading(), state)?;
            let Some(key) = key.filter(|key| self.kind.is_none_or(|kind| kind.0 == key.kind))
            else {
                self.list = None;
                break;
            };
            // A pending change of the same edge decides; it comes later.
            let changed = state.pending_half((node, self.direction), key).is_some();
            if !changed && !self.reader.is_deleted(key.number)? {
                return self.edge(key).map(Some);
            }
        }
        // Ends with the pending changes of the node: every turn passes one.
        while let Some((cursor, half)) = state.pending.next_half(node, self.direction, self.pending)
        {
            self.pending = Some(cursor);
            let of_kind = self.kind.is_none_or(|kind| kind.0 == half.key.kind);
            self.reader.check_newest(half.location)?;
            if half.add && of_kind && !self.reader.is_deleted(half.key.number)? {
                return self.edge(half.key).map(Some);
            }
        }
        self.node = None;
        Ok(None)
    }

    fn edge(&mut self, key: EdgeKey) -> Result<GraphEdge, ReadError<M::Error>> {
        let home = self.reader.state.index.home(key.number);
        self.reader.check_newest(home)?;
        let known = self.reader.reading().known_outline(home)?;
        let place = self.reader.log.layout().place(home);
        let segment = self.reader.log.ring.slot(place.slot).number();
        let corrupt = ReadError::Corrupt { segment, offset: place.offset };
        let other = *known.subject.id().ok_or(corrupt)?;
        let kind = EdgeKind(key.kind);
        Ok(match self.direction {
            Direction::Out => GraphEdge { source: self.id, kind, target: other },
            Direction::In => GraphEdge { source: other, kind, target: self.id },
        })
    }
}
