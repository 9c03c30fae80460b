//! Repair: after damage, making what is left one store again.
//!
//! What a lost record held is lost. But it leaves traces that contradict each other: a list of edges that
//! cannot be read, an edge that one end knows of and the other does not, a number in a list whose node is
//! gone. Repair goes over all lists: it empties those that cannot be read, drops what leads to nodes that are
//! gone, and lets both ends know of each edge that one of them knows. Then a record says that what is left
//! counts.
//!
//! What repair writes lies behind the damage, and may be the past itself: a tail that moves on takes old
//! versions with it. So the first record says that a repair began, lives until its end, and makes all that
//! the log says uncertain; and one for each segment that is hurt says what the repair knows of, since its end
//! makes no other damage count. Cut short, or failed, it leaves the store degraded, and is called again.

use super::StorageEngine;
use super::damage::{Damage, OnDamage};
use super::error::{OpenError, WriteError};
use super::verify::lists;
use crate::compaction::{check_part, free_if_orphan};
use crate::format::{EdgeChange, Record, Repair};
use crate::log::LogError;
use crate::state::{Adjacency, List, Store};
use crate::storage::Storage;
use crate::types::{BlockId, Direction, EdgeKey, EdgeKind, NodeNumber};

/// What a repair has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Repaired {
    /// Lists of edges, or parts of long ones, that could not be read.
    pub lists_emptied: u64,
    /// Nodes that lists and changes of edges spoke of, and whose own record is lost: they are gone.
    pub nodes_dropped: u64,
    /// Edges of which one end did not know any more, and knows again.
    pub edges_restored: u64,
    /// Edges for which the other end has no room any more: they are gone at both.
    pub edges_dropped: u64,
}

impl<S: Storage> StorageEngine<'_, S> {
    /// Makes what damage has left count: from here on the store answers with it, and can be written again.
    /// Edges that one end still knows of are restored at the other. Durable when it returns.
    ///
    /// O(nodes and edges), and for each edge a binary search in the other end's list. Needs no damage to be
    /// called; without any it folds what is pending, and changes nothing else.
    ///
    /// # Errors
    /// As [`write`](Self::write). The store is then as degraded as before, and repair can be called again.
    pub fn repair(&mut self) -> Result<Repaired, WriteError<S::Error>> {
        match self.check_writable() {
            Ok(()) | Err(WriteError::Degraded { .. }) => {}
            refused => refused?,
        }
        let newest = self.store.log.number_max();
        let done = self.repair_all();
        self.forget_checks(newest);
        let done = done.map_err(|error| self.fail(error))?;
        self.sync()?;
        Ok(done)
    }

    /// Repairs the store if it is damaged and the config asks for it.
    #[inline(never)]
    pub(super) fn repair_if_asked(&mut self) -> Result<(), OpenError<S::Error>> {
        if self.config.on_damage != OnDamage::Repair {
            return Ok(());
        }
        // A repair counted without what the opening before it had given up, and this one may have had to
        // give up other things: what no record behind them has mended is damage. Until that is known, too.
        if let (None, Some(_)) = (self.lost, self.gave_way) {
            self.lost = self.gave_way;
            if !self.has_to_mend()? {
                self.lost = None;
            }
        }
        if self.lost.is_none() {
            return Ok(());
        }
        match self.repair() {
            Err(WriteError::Log(LogError::Storage(error))) => Err(LogError::Storage(error).into()),
            // It stays degraded, and says so.
            _ => Ok(()),
        }
    }

    fn repair_all(&mut self) -> Result<Repaired, WriteError<S::Error>> {
        self.begin_repair()?;
        self.fold.keep_orphans(true);
        let done = self.mend_lists();
        self.fold.keep_orphans(false);
        let done = done?;
        for number in (0..self.store.state.index.high_water()).map(NodeNumber::new) {
            self.have_step_room()?;
            free_if_orphan(&mut self.store, number)?;
        }
        if let Some(Damage { segment, offset, .. }) = self.lost {
            // Behind the end of a repair nothing is pending that lies before it.
            self.fold_all()?;
            self.have_step_room()?;
            let ended = Record::Damage { says: Repair::Ended, segment, detail: offset };
            self.store.record(&ended, &[])?;
            let Store { storage, log, .. } = &mut self.store;
            log.sync(storage)?;
            self.lost = None;
        }
        Ok(done)
    }

    /// Says durably that a repair began, before anything else is written behind the damage; once more where
    /// one began before, and this opening had to give up what that one wrote. And of which damage it knows.
    fn begin_repair(&mut self) -> Result<(), WriteError<S::Error>> {
        let Some(Damage { segment, offset, .. }) = self.lost else { return Ok(()) };
        if self.store.state.doubt.is_none() || self.gave_way.is_some() {
            let began = Record::Damage { says: Repair::Began, segment, detail: offset };
            self.store.record(&began, &[])?;
            let Store { storage, log, .. } = &mut self.store;
            log.sync(storage)?;
        }
        self.lost = Some(Damage::in_doubt(segment, offset));
        // Each turn makes known what is hurt in one segment, or retires it.
        while self.store.log.ring.unknown_damage().is_some() {
            self.have_step_room()?;
            let ring = &self.store.log.ring;
            let Some(hurt) = ring.unknown_damage().map(|slot| ring.slot(slot)) else { break };
            let (segment, detail) = (hurt.number(), hurt.damage());
            self.store.record(&Record::Damage { says: Repair::Knows, segment, detail }, &[])?;
        }
        Ok(())
    }

    fn mend_lists(&mut self) -> Result<Repaired, WriteError<S::Error>> {
        let mut done = Repaired::default();
        for number in (0..self.store.state.index.high_water()).map(NodeNumber::new) {
            if self.drop_if_homeless(number)? {
                done.nodes_dropped += 1;
                continue;
            }
            for direction in Direction::BOTH {
                done.lists_emptied += self.empty_damaged((number, direction))?;
            }
        }
        // A change that one end has folded already says nothing of what the other end's list has lost.
        self.fold_all()?;
        for number in (0..self.store.state.index.high_water()).map(NodeNumber::new) {
            for direction in Direction::BOTH {
                self.restore((number, direction), &mut done)?;
            }
        }
        Ok(done)
    }

    /// Folds all changes that are pending.
    fn fold_all(&mut self) -> Result<(), WriteError<S::Error>> {
        while !self.store.state.pending.is_empty() {
            self.have_step_room()?;
            if !self.fold_fullest()? {
                break;
            }
        }
        Ok(())
    }

    /// Whether a list cannot be read, or the own record of a node is lost.
    fn has_to_mend(&mut self) -> Result<bool, LogError<S::Error>> {
        for number in (0..self.store.state.index.high_water()).map(NodeNumber::new) {
            if self.is_homeless(number) {
                return Ok(true);
            }
            for direction in Direction::BOTH {
                let (of, mut key) = ((number, direction), EdgeKey::MIN);
                // Each turn takes a page further.
                for _ in 0..=self.store.state.hubs.len() {
                    let (range, is_damaged) = check_part(&mut self.store, of, key)?;
                    if is_damaged {
                        return Ok(true);
                    }
                    let Some(next) = range.high else { break };
                    key = next;
                }
            }
        }
        Ok(false)
    }

    /// Whether it is the number of a node whose own record is lost.
    fn is_homeless(&self, number: NodeNumber) -> bool {
        let state = &self.store.state;
        let has_home = !state.index.home(number).is_none() || state.intents.contains(number);
        !has_home && (!state.is_bare(number) || state.index.is_used(number))
    }

    /// A node that has edges and whose own record is lost has no id any more: its number is freed.
    fn drop_if_homeless(&mut self, number: NodeNumber) -> Result<bool, WriteError<S::Error>> {
        if !self.is_homeless(number) {
            return Ok(false);
        }
        self.have_step_room()?;
        self.store.record(&Record::Tombstone { number, id: BlockId::default() }, &[])?;
        Ok(true)
    }

    /// Empties what cannot be read of a list; returns how many parts that were.
    fn empty_damaged(&mut self, of: (NodeNumber, Direction)) -> Result<u64, WriteError<S::Error>> {
        let (mut key, mut emptied) = (EdgeKey::MIN, 0);
        // Each turn takes a page further.
        for _ in 0..=self.store.state.hubs.len() {
            if self.store.state.adjacency(of.0, of.1) == Adjacency::None {
                break;
            }
            self.have_step_room()?;
            let (end, was_damaged) = self.fold.empty_if_damaged(&mut self.store, of, key)?;
            emptied += u64::from(was_damaged);
            let Some(next) = end else { break };
            key = next;
        }
        Ok(emptied)
    }

    /// Lets the other ends of a list's edges know of them, and drops those that lead nowhere.
    fn restore(
        &mut self,
        of: (NodeNumber, Direction),
        done: &mut Repaired,
    ) -> Result<(), WriteError<S::Error>> {
        let mut from = EdgeKey::MIN;
        // Each turn takes an edge further, or takes one out of the list.
        while let Some((key, is_homeless)) = self.next_one_sided(of, from)? {
            self.have_step_room()?;
            from = key;
            if is_homeless {
                self.fold.fold(&mut self.store, of, key)?;
                continue;
            }
            while self.store.state.pending.free() == 0 {
                self.have_step_room()?;
                if !self.fold_fullest()? {
                    break;
                }
            }
            let (source, target) = match of.1 {
                Direction::Out => (of.0, key.number),
                Direction::In => (key.number, of.0),
            };
            let back = EdgeKey { kind: key.kind, number: of.0 };
            let add = match self.check_list((key.number, of.1.reverse()), back, 1) {
                Err(WriteError::HubPagesFull { .. } | WriteError::BatchTooLarge { .. }) => false,
                checked => checked.map(|()| true)?,
            };
            let change = EdgeChange { source, kind: EdgeKind(key.kind), target, add };
            self.have_step_room()?;
            self.store.record(&Record::Edge(change), &[])?;
            done.edges_restored += u64::from(add);
            done.edges_dropped += u64::from(!add);
        }
        Ok(())
    }

    /// The next folded edge of the list, from a key on, that its other end does not know of, and whether that
    /// end is gone.
    fn next_one_sided(
        &mut self,
        of: (NodeNumber, Direction),
        from: EdgeKey,
    ) -> Result<Option<(EdgeKey, bool)>, WriteError<S::Error>> {
        let Store { storage, log, state } = &mut self.store;
        if state.intents.contains(of.0) {
            return Ok(None);
        }
        let mut list = List::new(of, None);
        list.start(&mut log.on(storage), state, from)?;
        loop {
            let Store { storage, log, state } = &mut self.store;
            let Some(key) = list.next(&mut log.on(storage), state)? else { return Ok(None) };
            // A pending change decides, for both ends.
            if state.pending_half(of, key).is_some() {
                continue;
            }
            // That end is lost, or it is deleted; the cleaning may not find this edge any more.
            if state.index.home(key.number).is_none() {
                return Ok(Some((key, true)));
            }
            let there = (key.number, of.1.reverse());
            let back = EdgeKey { kind: key.kind, number: of.0 };
            if !lists(&mut self.store, there, back)? {
                return Ok(Some((key, false)));
            }
        }
    }
}
