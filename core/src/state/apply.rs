//! The one door: what each record does to the state.

use super::{Adjacency, Charge, Doubt, State};
use crate::edges::{HubError, PendingEdge};
use crate::format::{EdgeChange, Header, Record};
use crate::log::{Log, LogError, ReadLog};
use crate::planted::{self, Fault};
use crate::storage::Storage;
use crate::types::{BlockId, Direction, KeyRange, Location, NodeNumber};

/// Why a record could not be applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ApplyError<E> {
    /// The log could not be read.
    Log(LogError<E>),
    /// More of something than the capacity allows.
    TooMany {
        /// What there is too much of.
        what: Limit,
        /// How many there are, at least.
        needed: u32,
        /// How many fit.
        capacity: u32,
    },
}

/// What a capacity limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Limit {
    /// `Capacity::nodes`.
    Nodes,
    /// `Capacity::pending_edges`.
    PendingEdges,
    /// `Capacity::hub_pages`.
    HubPages,
    /// `Capacity::intents`.
    Intents,
    /// `Capacity::segments`.
    Segments,
    /// `Capacity::segment_bytes`.
    SegmentBytes,
    /// `Capacity::block_bytes`.
    BlockBytes,
    /// `Capacity::batch_operations`.
    BatchOperations,
    /// `Capacity::batch_bytes`.
    BatchBytes,
    /// `Capacity::buffer_bytes`.
    BufferBytes,
}

impl Limit {
    /// The field of `Capacity` that sets it.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::PendingEdges => "pending_edges",
            Self::HubPages => "hub_pages",
            Self::Intents => "intents",
            Self::Segments => "segments",
            Self::SegmentBytes => "segment_bytes",
            Self::BlockBytes => "block_bytes",
            Self::BatchOperations => "batch_operations",
            Self::BatchBytes => "batch_bytes",
            Self::BufferBytes => "buffer_bytes",
        }
    }
}

impl<E> From<LogError<E>> for ApplyError<E> {
    fn from(error: LogError<E>) -> Self {
        Self::Log(error)
    }
}

impl<'r> State<'r> {
    /// Applies the record that was appended at `at`. The later record of a key wins.
    ///
    /// O(1) expected, but for records that end something: those of hubs take O(pages), of nodes
    /// with pending edges O(their pending edges). Reads the header of each record that is
    /// superseded.
    ///
    /// # Errors
    /// The log could not be read, or more of something than the capacity allows (which the running
    /// engine sees to beforehand, so that it means a store that was written with a larger
    /// capacity).
    pub fn apply<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        record: &Record,
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        match record {
            Record::Block { number, id, .. } | Record::Node { number, id } => {
                self.apply_home(storage, log, (*number, id), record, at)
            }
            Record::Edge(change) => self.apply_edge(log, change, record, at),
            Record::Adjacency { number, direction, range, .. } => {
                let list = (*number, *direction);
                match range {
                    None => self.apply_list(storage, log, list, record, at),
                    Some(range) => self.apply_page(storage, log, list, (*range, record), at),
                }
            }
            Record::Intent { number, id } => {
                self.apply_intent(storage, log, (*number, id), record, at)
            }
            Record::Tombstone { number, id } => self.apply_tombstone(storage, log, *number, id),
            Record::Retire { .. } | Record::Mark | Record::BatchEnd { .. } | Record::Index(_) => {
                Ok(())
            }
            Record::Damage { .. } => {
                self.apply_damage(log, record, at);
                Ok(())
            }
        }
    }

    /// Makes room for a record that did not fit because damage took what would have made room for it:
    /// drops one pending change, leaves a list of pages unreadable, or lets a node stay deleted whose
    /// neighbours are not cleaned. What that leaves behind, a repair finds. False where that is no help.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn give_way<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        record: &Record,
        at: Location,
    ) -> Result<bool, ApplyError<S::Error>> {
        match *record {
            Record::Edge(_) => {
                let dropped = self.pending.drop_oldest(|change| log.position_of(change));
                if let Some(change) = dropped {
                    self.live.subtract(pending_charge(log, &change));
                }
                Ok(dropped.is_some())
            }
            Record::Adjacency { number, direction, range: Some(_), .. } => {
                // A record that does not cover all of its list is refused by all who read the list.
                self.drop_list(storage, log, (number, direction))?;
                self.set_adjacency(number, direction, Adjacency::Record(at));
                self.live.add(Self::charge_of(log, record));
                Ok(true)
            }
            Record::Intent { id, .. } => {
                let Some(oldest) = self.intents.first() else { return Ok(false) };
                self.close_intent(log, oldest.number, id);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn charge_of(log: &Log<'r>, record: &Record) -> Charge {
        Charge::of(log.layout(), record)
    }

    /// What the record that is superseded was, and takes its charge off.
    fn supersede<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        at: Location,
    ) -> Result<Header, LogError<S::Error>> {
        let header = log.on(storage).known_header(at)?;
        self.live.subtract(Charge::of_header(log.layout(), &header));
        Ok(header)
    }

    /// Takes the home record off a node: charge, count of blocks, and the id's entry.
    fn leave_home<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        number: NodeNumber,
    ) -> Result<(), LogError<S::Error>> {
        let home = self.index.home(number);
        if home.is_none() {
            return Ok(());
        }
        let old = self.supersede(storage, log, home)?;
        self.blocks -= u32::from(matches!(old.record, Record::Block { .. }));
        if let Some(id) = old.record.id() {
            self.index.remove(self.index.hash(id), number);
        }
        self.index.set_home(number, Location::NONE);
        Ok(())
    }

    fn take_number<E>(&mut self, number: NodeNumber) -> Result<(), ApplyError<E>> {
        let capacity = self.index.capacity();
        let needed = number.get().saturating_add(1);
        let full = ApplyError::TooMany { what: Limit::Nodes, needed, capacity };
        self.index.take(number).map(|_| ()).map_err(|_| full)
    }

    fn apply_home<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        (number, id): (NodeNumber, &BlockId),
        record: &Record,
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        let hash = self.index.hash(id);
        let home = self.index.home(number);
        let mut renamed = home.is_none();
        if !home.is_none() {
            let old = self.supersede(storage, log, home)?;
            self.blocks -= u32::from(matches!(old.record, Record::Block { .. }));
            if let Some(old_id) = old.record.id().filter(|old_id| *old_id != id) {
                // Only the log of a store that was damaged says so: the number went to another id unnoticed.
                self.index.remove(self.index.hash(old_id), number);
                renamed = true;
            }
        }
        if renamed {
            // A number that is given anew was freed before; only damage can have cost the record that said
            // so.
            self.close_intent(log, number, *id);
            self.end_namesake(storage, log, number, id)?;
            self.take_number(number)?;
            let capacity = self.index.capacity();
            let full = ApplyError::TooMany { what: Limit::Nodes, needed: capacity + 1, capacity };
            self.index.insert(hash, number, at).map_err(|_| full)?;
        } else if !planted::is(Fault::OlderWins) {
            self.index.relocate(hash, number, at);
        }
        self.blocks += u32::from(matches!(record, Record::Block { .. }));
        self.live.add(Self::charge_of(log, record));
        Ok(())
    }

    /// A repair began, or the record that says so was moved; or it ended.
    fn apply_damage(&mut self, log: &Log<'r>, record: &Record, at: Location) {
        let Record::Damage { repaired, segment, offset } = *record else { return };
        if let Some(Doubt { segment, offset, .. }) = self.doubt.take() {
            let began = Record::Damage { repaired: false, segment, offset };
            self.live.subtract(Self::charge_of(log, &began));
        }
        if !repaired {
            self.doubt = Some(Doubt { location: at, segment, offset });
            self.live.add(Self::charge_of(log, record));
        }
    }

    /// An id that comes back under another number was deleted before; only damage can have cost the record
    /// that said so. The older node has no home from here on; a repair finds what still speaks of it.
    fn end_namesake<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        number: NodeNumber,
        id: &BlockId,
    ) -> Result<(), LogError<S::Error>> {
        let reader = &mut log.on(storage);
        let mut older = None;
        for candidate in self.index.candidates(self.index.hash(id)) {
            match reader.known_header(candidate.location) {
                Ok(header) if header.record.id() == Some(id) => older = Some(candidate.number),
                Ok(_) | Err(LogError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match older.filter(|older| *older != number) {
            Some(older) => self.leave_home(storage, log, older),
            None => Ok(()),
        }
    }

    fn apply_edge<E>(
        &mut self,
        log: &Log<'r>,
        change: &EdgeChange,
        record: &Record,
        at: Location,
    ) -> Result<(), ApplyError<E>> {
        self.take_number(change.source)?;
        self.take_number(change.target)?;
        let charge = Self::charge_of(log, record);
        let align = u64::from(log.layout().align());
        // A change record is at most 17 bytes before padding, so that this fits at every alignment.
        let units = u8::try_from(charge.bytes / align).unwrap_or(u8::MAX);
        let EdgeChange { source, kind, target, add } = *change;
        let pending = PendingEdge { source, kind, target, add, location: at, units };
        let replaced = self.pending.insert(pending).map_err(|full| ApplyError::TooMany {
            what: Limit::PendingEdges,
            needed: full.needed,
            capacity: full.capacity,
        })?;
        self.live.add(charge);
        if let Some(old) = replaced {
            self.live.subtract(pending_charge(log, &old));
        }
        Ok(())
    }

    fn clear_halves(
        &mut self,
        log: &Log<'r>,
        (number, direction): (NodeNumber, Direction),
        range: KeyRange,
    ) {
        let live = &mut self.live;
        self.pending.clear_halves(number, direction, range, |freed| {
            live.subtract(pending_charge(log, &freed));
        });
    }

    /// Forgets where the list lies, and takes off the charges of its records.
    fn drop_list<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        (number, direction): (NodeNumber, Direction),
    ) -> Result<(), LogError<S::Error>> {
        match self.adjacency(number, direction) {
            Adjacency::None => {}
            Adjacency::Record(location) => {
                self.supersede(storage, log, location)?;
            }
            Adjacency::Pages(chain) => {
                let mut failed = None;
                let live = &mut self.live;
                self.hubs.drop_chain(chain, |dead| match log.on(storage).known_header(dead) {
                    Ok(header) => live.subtract(Charge::of_header(log.layout(), &header)),
                    Err(error) => failed = Some(error),
                });
                failed.map_or(Ok(()), Err)?;
            }
        }
        self.set_adjacency(number, direction, Adjacency::None);
        Ok(())
    }

    /// One record is the whole list; an empty one is no record at all.
    fn apply_list<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        list: (NodeNumber, Direction),
        record: &Record,
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        self.take_number(list.0)?;
        self.drop_list(storage, log, list)?;
        self.clear_halves(log, list, KeyRange::ALL);
        if !matches!(record, Record::Adjacency { entries: 0, .. }) {
            self.set_adjacency(list.0, list.1, Adjacency::Record(at));
            self.live.add(Self::charge_of(log, record));
        }
        Ok(())
    }

    /// One page of a list: it covers its range, whatever lay there before.
    fn apply_page<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        list: (NodeNumber, Direction),
        (range, record): (KeyRange, &Record),
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        self.take_number(list.0)?;
        let chain = match self.adjacency(list.0, list.1) {
            Adjacency::Pages(chain) => chain,
            Adjacency::Record(location) => {
                self.hubs.begin(location).map_err(|error| hub_error(error, log, at))?
            }
            Adjacency::None => {
                self.hubs.begin(Location::NONE).map_err(|error| hub_error(error, log, at))?
            }
        };
        self.set_adjacency(list.0, list.1, Adjacency::Pages(chain));
        let mut failed = None;
        let live = &mut self.live;
        let placed =
            self.hubs.place(chain, range, at, |dead| match log.on(storage).known_header(dead) {
                Ok(header) => live.subtract(Charge::of_header(log.layout(), &header)),
                Err(error) => failed = Some(error),
            });
        placed.map_err(|error| hub_error(error, log, at))?;
        failed.map_or(Ok(()), Err)?;
        self.live.add(Self::charge_of(log, record));
        self.clear_halves(log, list, range);
        Ok(())
    }

    fn apply_intent<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        (number, id): (NodeNumber, &BlockId),
        record: &Record,
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        self.take_number(number)?;
        self.leave_home(storage, log, number)?;
        // The home record may lie before the tail already; the id's entry is then that of a later
        // node, or none.
        self.index.remove(self.index.hash(id), number);
        let charge = Self::charge_of(log, record);
        if self.intents.contains(number) {
            self.live.subtract(charge);
        }
        let capacity = self.intents.capacity();
        if !self.intents.open_at(number, at) {
            let needed = capacity + 1;
            return Err(ApplyError::TooMany { what: Limit::Intents, needed, capacity });
        }
        self.live.add(charge);
        if planted::is(Fault::NumberFreedTooEarly) {
            self.index.release(number);
        }
        Ok(())
    }

    fn apply_tombstone<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        number: NodeNumber,
        id: &BlockId,
    ) -> Result<(), ApplyError<S::Error>> {
        self.take_number(number)?;
        self.leave_home(storage, log, number)?;
        for direction in Direction::BOTH {
            self.drop_list(storage, log, (number, direction))?;
        }
        let live = &mut self.live;
        self.pending.remove_node(number, |freed| live.subtract(pending_charge(log, &freed)));
        self.close_intent(log, number, *id);
        self.index.release(number);
        Ok(())
    }

    /// The node's neighbours are clean, if they were not before.
    fn close_intent(&mut self, log: &Log<'r>, number: NodeNumber, id: BlockId) {
        if self.intents.contains(number) {
            self.live.subtract(Self::charge_of(log, &Record::Intent { number, id }));
            self.intents.close(number);
        }
    }
}

fn pending_charge(log: &Log<'_>, change: &PendingEdge) -> Charge {
    let PendingEdge { source, kind, target, add, .. } = *change;
    Charge::of(log.layout(), &Record::Edge(EdgeChange { source, kind, target, add }))
}

fn hub_error<E>(error: HubError, log: &Log<'_>, at: Location) -> ApplyError<E> {
    match error {
        HubError::Full { needed, capacity } => {
            ApplyError::TooMany { what: Limit::HubPages, needed, capacity }
        }
        _ => ApplyError::Log(log.corrupt(log.layout().place(at))),
    }
}
