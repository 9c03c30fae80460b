//! The one door: what each record does to the state.

use super::{Adjacency, Doubt, Living, Share, State};
use crate::edges::{HubError, PendingEdge};
use crate::format::{EdgeChange, Outline, Record, Repair, Subject};
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
    /// Applies the record at `at`, of which the outline is given. The later record of a key wins.
    ///
    /// O(1) expected, but for records that end something: those of hubs take O(pages), of nodes
    /// with pending edges O(their pending edges). Reads the header of each record that is
    /// superseded and not remembered, unless the state [does not count](Self::stop_counting).
    ///
    /// # Errors
    /// The log could not be read, or more of something than the capacity allows (which the running
    /// engine sees to beforehand, so that it means a store that was written with a larger
    /// capacity).
    pub fn apply<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        outline: &Outline,
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        match &outline.subject {
            Subject::Block { number, id, .. } | Subject::Node { number, id } => {
                self.apply_home(storage, log, (*number, id), outline, at)
            }
            Subject::Edge(change) => self.apply_edge(log, change, outline, at),
            Subject::List { number, direction, range, is_empty } => {
                let list = (*number, *direction);
                match range {
                    None => self.apply_list(storage, log, (list, *is_empty), outline, at),
                    Some(range) => self.apply_page(storage, log, (list, *range), outline, at),
                }
            }
            Subject::Intent { number, id } => {
                self.apply_intent(storage, log, (*number, id), outline, at)
            }
            Subject::Tombstone { number, id } => self.apply_tombstone(storage, log, *number, id),
            Subject::BatchEnd { .. } | Subject::Log => Ok(()),
            Subject::Damage { .. } => {
                self.apply_damage(log, outline, at);
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
        outline: &Outline,
        at: Location,
    ) -> Result<bool, ApplyError<S::Error>> {
        match outline.subject {
            Subject::Edge(_) => {
                let dropped = self.pending.drop_oldest(|change| log.position_of(change));
                if let Some(change) = dropped {
                    self.live.subtract(log.layout(), pending_share(log, &change), change.location);
                }
                Ok(dropped.is_some())
            }
            Subject::List { number, direction, range: Some(_), .. } => {
                // A record that does not cover all of its list is refused by all who read the list.
                self.drop_list(storage, log, (number, direction))?;
                self.set_adjacency(number, direction, Adjacency::Record(at));
                self.count_one(log, outline, at);
                Ok(true)
            }
            Subject::Intent { id, .. } => {
                let Some(oldest) = self.intents.first() else { return Ok(false) };
                self.close_intent(log, oldest.number, id);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Counts the changes that are pending, where the others of all that lives are [counted](Self::count)
    /// one by one: asking of each change in the log whether it is still pending would miss the cache each
    /// time.
    pub fn count_pending(&mut self, log: &Log<'r>) {
        for change in self.pending.changes() {
            self.live.add(log.layout(), pending_share(log, &change), change.location);
        }
    }

    fn count_one(&mut self, log: &Log<'r>, outline: &Outline, at: Location) {
        self.live.add(log.layout(), Share::of_outline(log.layout(), outline), at);
    }

    /// Takes off the charge of the record that is superseded. Returns whether it was a block; nothing is
    /// read, and it is none, where the state does not count.
    fn supersede<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        at: Location,
    ) -> Result<bool, LogError<S::Error>> {
        if !self.counts {
            return Ok(false);
        }
        let old = log.on(storage).recent_outline(at)?;
        self.live.subtract_outline(log.layout(), &old, at);
        Ok(old.subject.is_block())
    }

    /// Takes off the charge of a home record that is superseded, and counts a block less if it was one. (An
    /// index page that lies may have said that it was none.)
    fn supersede_home<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        home: Location,
    ) -> Result<(), LogError<S::Error>> {
        let was_block = self.supersede(storage, log, home)?;
        self.blocks = self.blocks.saturating_sub(was_block.into());
        Ok(())
    }

    /// Takes the home record off the node with this id: charge, count of blocks, and the id's entry.
    fn leave_home<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        number: NodeNumber,
        id: &BlockId,
    ) -> Result<(), LogError<S::Error>> {
        let home = self.index.home(number);
        if home.is_none() {
            return Ok(());
        }
        self.supersede_home(storage, log, home)?;
        if !self.index.remove(self.index.hash(id), number) {
            self.remove_other(storage, log, number, home)?;
        }
        self.index.set_home(number, Location::NONE);
        Ok(())
    }

    /// Removes the entry of a number whose home record names another id than a later record does. Only the
    /// log of a store that was damaged says so: the number went to another id unnoticed.
    fn remove_other<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        number: NodeNumber,
        home: Location,
    ) -> Result<(), LogError<S::Error>> {
        let other = log.on(storage).known_outline(home)?;
        if let Some(id) = other.subject.id() {
            self.index.remove(self.index.hash(id), number);
        }
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
        outline: &Outline,
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        let hash = self.index.hash(id);
        let home = self.index.home(number);
        let mut renamed = home.is_none();
        if !home.is_none() {
            self.supersede_home(storage, log, home)?;
            let to = if planted::is(Fault::OlderWins) { home } else { at };
            if !self.index.relocate(hash, number, to) {
                self.remove_other(storage, log, number, home)?;
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
        }
        self.blocks += u32::from(outline.subject.is_block());
        self.count_one(log, outline, at);
        Ok(())
    }

    /// A repair knows of damage; or it began, or the record that says so was moved; or it ended. Then nothing
    /// is pending, whatever the log before says: what an opening gave up for want of room, a later one that
    /// need not would take up again, and hold places on which the engine did not count.
    fn apply_damage(&mut self, log: &mut Log<'r>, outline: &Outline, at: Location) {
        let Subject::Damage { says, segment, detail } = outline.subject else { return };
        if says == Repair::Knows {
            return log.ring.knew_damage((segment, detail), log.retired);
        }
        if let Some(Doubt { segment, offset, location }) = self.doubt.take() {
            let began = Record::Damage { says: Repair::Began, segment, detail: offset };
            self.live.subtract(log.layout(), Share::of(log.layout(), &began), location);
        }
        if says == Repair::Ended && !self.pending.is_empty() {
            for change in self.pending.changes() {
                self.live.subtract(log.layout(), pending_share(log, &change), change.location);
            }
            self.pending.clear();
        }
        if says == Repair::Began {
            self.doubt = Some(Doubt { location: at, segment, offset: detail });
            self.count_one(log, outline, at);
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
            match reader.known_outline(candidate.location) {
                Ok(known) if known.subject.id() == Some(id) => older = Some(candidate.number),
                Ok(_) | Err(LogError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match older.filter(|older| *older != number) {
            Some(older) => self.leave_home(storage, log, older, id),
            None => Ok(()),
        }
    }

    fn apply_edge<E>(
        &mut self,
        log: &Log<'r>,
        change: &EdgeChange,
        outline: &Outline,
        at: Location,
    ) -> Result<(), ApplyError<E>> {
        self.take_number(change.source)?;
        self.take_number(change.target)?;
        let charge = Share::of_outline(log.layout(), outline);
        // A change record is at most 18 bytes before padding, so that this fits at every alignment.
        let units = u8::try_from(log.layout().units(charge.bytes)).unwrap_or(u8::MAX);
        let EdgeChange { source, kind, target, add } = *change;
        let pending = PendingEdge { source, kind, target, add, location: at, units };
        let replaced = self.pending.insert(pending).map_err(|full| ApplyError::TooMany {
            what: Limit::PendingEdges,
            needed: full.needed,
            capacity: full.capacity,
        })?;
        self.live.add(log.layout(), charge, at);
        if let Some(old) = replaced {
            self.live.subtract(log.layout(), pending_share(log, &old), old.location);
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
            live.subtract(log.layout(), pending_share(log, &freed), freed.location);
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
                let mut discount = Discount::of(storage, log, &mut self.live, self.counts);
                self.hubs.drop_chain(chain, |dead| discount.take_off(dead));
                discount.end()?;
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
        (list, is_empty): ((NodeNumber, Direction), bool),
        outline: &Outline,
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        self.take_number(list.0)?;
        self.drop_list(storage, log, list)?;
        self.clear_halves(log, list, KeyRange::ALL);
        if !is_empty {
            self.set_adjacency(list.0, list.1, Adjacency::Record(at));
            self.count_one(log, outline, at);
        }
        Ok(())
    }

    /// One page of a list: it covers its range, whatever lay there before.
    fn apply_page<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        (list, range): ((NodeNumber, Direction), KeyRange),
        outline: &Outline,
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
        let mut discount = Discount::of(storage, log, &mut self.live, self.counts);
        let placed = self.hubs.place(chain, range, at, |dead| discount.take_off(dead));
        let discounted = discount.end();
        placed.map_err(|error| hub_error(error, log, at))?;
        discounted?;
        self.count_one(log, outline, at);
        self.clear_halves(log, list, range);
        Ok(())
    }

    fn apply_intent<S: Storage>(
        &mut self,
        storage: &mut S,
        log: &mut Log<'r>,
        (number, id): (NodeNumber, &BlockId),
        outline: &Outline,
        at: Location,
    ) -> Result<(), ApplyError<S::Error>> {
        self.take_number(number)?;
        self.leave_home(storage, log, number, id)?;
        // The home record may lie before the tail already; the id's entry is then that of a later
        // node, or none.
        self.index.remove(self.index.hash(id), number);
        if let Some(moved) = self.intents.get(number) {
            self.live.subtract_outline(log.layout(), outline, moved.location);
        }
        let capacity = self.intents.capacity();
        if !self.intents.open_at(number, at) {
            let needed = capacity + 1;
            return Err(ApplyError::TooMany { what: Limit::Intents, needed, capacity });
        }
        self.count_one(log, outline, at);
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
        self.leave_home(storage, log, number, id)?;
        for direction in Direction::BOTH {
            self.drop_list(storage, log, (number, direction))?;
        }
        let live = &mut self.live;
        self.pending.remove_node(number, |freed| {
            live.subtract(log.layout(), pending_share(log, &freed), freed.location);
        });
        self.close_intent(log, number, *id);
        self.index.release(number);
        Ok(())
    }

    /// The node's neighbours are clean, if they were not before.
    fn close_intent(&mut self, log: &Log<'r>, number: NodeNumber, id: BlockId) {
        if let Some(open) = self.intents.get(number) {
            let share = Share::of(log.layout(), &Record::Intent { number, id });
            self.live.subtract(log.layout(), share, open.location);
            self.intents.close(number);
        }
    }
}

/// Takes off what pages of a list were charged that are dead, if the state counts.
struct Discount<'a, 'r, S: Storage> {
    storage: &'a mut S,
    log: &'a mut Log<'r>,
    live: &'a mut Living<'r>,
    counts: bool,
    failed: Option<LogError<S::Error>>,
}

impl<'a, 'r, S: Storage> Discount<'a, 'r, S> {
    fn of(
        storage: &'a mut S,
        log: &'a mut Log<'r>,
        live: &'a mut Living<'r>,
        counts: bool,
    ) -> Self {
        Self { storage, log, live, counts, failed: None }
    }

    fn take_off(&mut self, dead: Location) {
        if !self.counts {
            return;
        }
        match self.log.on(self.storage).known_outline(dead) {
            Ok(old) => self.live.subtract_outline(self.log.layout(), &old, dead),
            Err(error) => self.failed = Some(error),
        }
    }

    fn end(self) -> Result<(), LogError<S::Error>> {
        self.failed.map_or(Ok(()), Err)
    }
}

fn pending_share(log: &Log<'_>, change: &PendingEdge) -> Share {
    let PendingEdge { source, kind, target, add, .. } = *change;
    Share::of(log.layout(), &Record::Edge(EdgeChange { source, kind, target, add }))
}

fn hub_error<E>(error: HubError, log: &Log<'_>, at: Location) -> ApplyError<E> {
    match error {
        HubError::Full { needed, capacity } => {
            ApplyError::TooMany { what: Limit::HubPages, needed, capacity }
        }
        _ => ApplyError::Log(log.corrupt(log.layout().place(at))),
    }
}
