//! A flight recorder: what happened, and what caused it, for as long as the power lasts.
//!
//! Each event is a block, and each of its causes an edge from it. Events are numbered from 0 on; the number
//! is the block's id. When the store is full, the oldest event goes, with every edge to it. After a restart
//! the recorder goes on behind the last event that was acknowledged, and answers what led to it.
//!
//! The same code runs on a board's flash and on a host's file: it is generic over [`Storage`], and takes no
//! memory but the region that the store is opened with, and a few hundred bytes of stack.
//!
//! Invariant: every event in the store has a number from [`Recorder::oldest`] on, below [`Recorder::next`].
//! They follow each other without a gap, unless damage cost some and the store was repaired or salvaged: so
//! nothing here counts on it, or takes longer for a wide gap than for a narrow one.
#![no_std]

pub mod scenario;

use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Range;
use kausaldb::engine::Through;
use kausaldb::log::LogError;
use kausaldb::state::Limit;
use kausaldb::{
    BlockId, BlockRef, Capacity, Config, ContextBlock, Direction, Durability, EdgeKind, GraphEdge,
    OpenError, Operation, ReadError, Reader, Stats, Storage, StorageEngine, Verification,
    WriteError,
};

/// From an event to one that caused it.
pub const CAUSED_BY: EdgeKind = EdgeKind(0x100);
/// Causes that an event may have.
pub const CAUSES_MAX: usize = 4;
/// The longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64;
/// Events that [`Recorder::led_to`] keeps in mind at once.
const OPEN_MAX: usize = 16;
/// Events that go at most to make room for one. One of the greatest length with all of its causes takes the
/// room of twelve that have neither, in a store full of such
/// (`cargo test -p flight-recorder --test limits largest -- --nocapture` says so).
pub const GO_MAX: u32 = 32;
/// Time and kind, in an event's metadata.
const METADATA_BYTES: usize = 10;

/// The number of an event: greater than those of all before it.
pub type Number = u64;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When, in milliseconds since the device was made.
    pub time_ms: u64,
    /// What kind of thing; the application's numbers.
    pub kind: u16,
    /// What is known of it.
    pub payload: heapless::Vec<u8, PAYLOAD_BYTES_MAX>,
}

impl Event {
    /// An event; what exceeds [`PAYLOAD_BYTES_MAX`] of the payload is left out.
    pub fn new(time_ms: u64, kind: u16, payload: &[u8]) -> Self {
        let payload = payload.get(..PAYLOAD_BYTES_MAX).unwrap_or(payload);
        // It was cut to what fits.
        let payload = heapless::Vec::from_slice(payload).unwrap_or_default();
        Self { time_ms, kind, payload }
    }

    fn metadata(&self) -> [u8; METADATA_BYTES] {
        let mut bytes = [0; METADATA_BYTES];
        let (time, kind) = bytes.split_at_mut(8);
        time.copy_from_slice(&self.time_ms.to_le_bytes());
        kind.copy_from_slice(&self.kind.to_le_bytes());
        bytes
    }

    fn of(block: &BlockRef<'_>) -> Option<Self> {
        let (time, rest) = block.metadata().split_first_chunk()?;
        let kind = rest.first_chunk()?;
        Some(Self::new(u64::from_le_bytes(*time), u16::from_le_bytes(*kind), block.content()))
    }
}

/// Why a recorder could not begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError<E> {
    /// The store does not open.
    Open(OpenError<E>),
    /// What it holds cannot be read to its end: nobody knows which event was the last. `OnDamage::Repair`
    /// has the store decide what counts.
    Read(ReadError<E>),
    /// The store holds an id that no event has: it is somebody else's.
    Foreign(BlockId),
}

impl<E: fmt::Debug> fmt::Display for StartError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
            Self::Foreign(id) => {
                write!(
                    f,
                    "the store is no flight recorder's: it holds the id {id}; give it one of its own"
                )
            }
        }
    }
}

impl<E: fmt::Debug> core::error::Error for StartError<E> {}

/// The recorder, over a store that it alone writes to.
pub struct Recorder<'r, S> {
    engine: StorageEngine<'r, S>,
    oldest: Number,
    next: Number,
    /// Whether numbers between these two may be no event's.
    has_gaps: bool,
    /// Whether all of this is known: not while a recovery has begun and not come to its end.
    known: bool,
}

/// What the numbers of some events say.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// The least of them.
    oldest: Number,
    /// One more than the greatest.
    next: Number,
    /// How many there are.
    events: u64,
}

impl Ends {
    const fn add(&mut self, number: Number) {
        if self.events == 0 || number < self.oldest {
            self.oldest = number;
        }
        if number >= self.next {
            // The greatest that there is has another after it.
            self.next = number + 1;
        }
        self.events += 1;
    }

    const fn have_gaps(&self) -> bool {
        self.events != self.next - self.oldest
    }
}

impl<'r, S: Storage> Recorder<'r, S> {
    /// Opens the store, and finds the first and the last event. O(events).
    ///
    /// Every event is durable when it is recorded, whatever the config says of durability. Every event fits
    /// into a capacity of `1 + CAUSES_MAX` batch operations and `2 * CAUSES_MAX` pending edges at least.
    ///
    /// Give it `&mut` storage where the storage must not be lost with an opening that fails: the only driver
    /// of a board can then be opened again, or repaired as a [`StorageEngine`].
    ///
    /// # Errors
    /// The store does not open; or it cannot be read to its end, so that nobody knows which event was the
    /// last; or it holds what is no event.
    pub fn open(
        storage: S,
        region: &'r mut [MaybeUninit<u8>],
        capacity: Capacity,
        config: Config,
    ) -> Result<Self, StartError<S::Error>> {
        let config = Config { durability: Durability::EveryBatch, ..config };
        let mut opened = StorageEngine::open(storage, region, capacity, config);
        // Read where it lies: moved out of the result, it would take twice its size of the stack.
        let ends = match &mut opened {
            Ok(engine) => Self::all(engine)?,
            Err(_) => Ends::default(),
        };
        opened.map(|engine| Self::over(engine, ends, true)).map_err(StartError::Open)
    }

    /// A recorder that knows nothing of the store yet, and records nothing, until [`recover`](Self::recover)
    /// has opened it. To be used where it lies, where the stack is short, as [`StorageEngine::prepare`] says.
    ///
    /// # Errors
    /// There is no store, or not one for this capacity; the region is too small; or the storage refused.
    // Inlined, what it takes of the stack would be the caller's for as long as that uses the recorder.
    #[inline(never)]
    pub fn prepare(
        storage: S,
        region: &'r mut [MaybeUninit<u8>],
        capacity: Capacity,
        config: Config,
    ) -> Result<Self, StartError<S::Error>> {
        let config = Config { durability: Durability::EveryBatch, ..config };
        StorageEngine::prepare(storage, region, capacity, config)
            .map(|engine| Self::over(engine, Ends::default(), false))
            .map_err(StartError::Open)
    }

    fn over(engine: StorageEngine<'r, S>, ends: Ends, known: bool) -> Self {
        let (Ends { oldest, next, .. }, has_gaps) = (ends, ends.have_gaps());
        Self { engine, oldest, next, has_gaps, known }
    }

    /// The ends of all events. (A function of its own, so that opening takes less of the stack.)
    #[inline(never)]
    fn all(engine: &mut StorageEngine<'r, S>) -> Result<Ends, StartError<S::Error>> {
        let mut failed = None;
        // A damaged record may be that of the newest event, whose number must not be given again.
        let ends = Self::ends(engine, 0..Number::MAX, &mut failed);
        failed.map_or(Ok(ends), Err)
    }

    /// The ends of the events within a range, those left out that cannot be read; the last of which says why.
    /// O(events).
    #[inline(never)]
    fn ends(
        engine: &mut StorageEngine<'r, S>,
        range: Range<Number>,
        failed: &mut Option<StartError<S::Error>>,
    ) -> Ends {
        let (mut ends, mut scratch) = (Ends::default(), [0; 0]);
        // Every node is an event: with an event go all edges at it.
        let mut numbers = engine.reader_through(&mut scratch).nodes();
        // Ends with the nodes: each turn passes one, unless nothing of them is known.
        loop {
            match numbers.next() {
                Ok(None) => return ends,
                Ok(Some(id)) => match number_of(&id) {
                    Some(number) if range.contains(&number) => ends.add(number),
                    Some(_) => {}
                    None => *failed = Some(StartError::Foreign(id)),
                },
                Err(error) => {
                    let nothing_is_known = matches!(error, ReadError::NeedsRecovery);
                    *failed = Some(StartError::Read(error));
                    if nothing_is_known {
                        return ends;
                    }
                }
            }
        }
    }

    /// Opens the store for a recorder that was prepared; or goes on after an error of the storage: the store
    /// recovers, and which event was the last is found out anew. It may be the one that was not acknowledged.
    /// O(log).
    ///
    /// # Errors
    /// As [`open`](Self::open). Nothing is recorded until it is tried again and succeeds.
    pub fn recover(&mut self) -> Result<(), StartError<S::Error>> {
        self.known = false;
        self.engine.recover().map_err(StartError::Open)?;
        let ends = Self::all(&mut self.engine)?;
        (self.oldest, self.next, self.has_gaps) = (ends.oldest, ends.next, ends.have_gaps());
        self.known = true;
        Ok(())
    }

    /// The number of the oldest event that is kept; [`next`](Self::next) if there is none.
    pub const fn oldest(&self) -> Number {
        self.oldest
    }

    /// The number that the next event will have; 0 before a recorder that was prepared has recovered.
    pub const fn next(&self) -> Number {
        self.next
    }

    /// Records an event with its causes, all of it or nothing; durable when it returns. Where the store is
    /// full, the oldest events go first, [`GO_MAX`] at most. Returns the event's number. Causes that are no
    /// events any more, and those beyond [`CAUSES_MAX`], are left out.
    ///
    /// # Errors
    /// As [`StorageEngine::write`]; and `LogError::NumbersSpent` when no number is left.
    ///
    /// - After an error of the storage, [`recover`](Self::recover) comes first.
    /// - Where [`GO_MAX`] events did not make enough room, or all but the newest, these are gone, and the
    ///   event was not recorded. So it is with a cause that has caused more than the capacity's `hub_pages`
    ///   have room for: without it the event fits.
    /// - What no other event could make room for is refused before any goes.
    pub fn record(
        &mut self,
        event: &Event,
        causes: &[Number],
    ) -> Result<Number, WriteError<S::Error>> {
        if !self.known {
            return Err(WriteError::NeedsRecovery);
        }
        let mut tries = 0..GO_MAX;
        loop {
            match self.write(event, causes) {
                Err(error) if self.may_go(&error) && tries.next().is_some() => {
                    self.forget_oldest()?
                }
                written => return written,
            }
        }
    }

    /// Whether there may be more room without the oldest event. The newest stays: it alone says which number
    /// comes next.
    fn may_go(&self, error: &WriteError<S::Error>) -> bool {
        let may_help = match *error {
            WriteError::Full { .. }
            | WriteError::NodesFull { .. }
            | WriteError::HubPagesFull { .. } => true,
            // A list that would be too long; more causes than a batch may have stay as many.
            WriteError::BatchTooLarge { what: Limit::PendingEdges, len, .. } => {
                len <= u64::from(self.engine.capacity().pending_edges / 2)
            }
            _ => false,
        };
        may_help && self.oldest + 1 < self.next
    }

    fn forget_oldest(&mut self) -> Result<(), WriteError<S::Error>> {
        let (before, oldest, next) = (self.engine.sequence(), self.oldest, self.next);
        self.engine.delete(&id_of(oldest))?;
        self.oldest += 1;
        if self.engine.sequence() == before {
            // It was in a gap, which may be wide. The newest is never forgotten, so that there is one.
            let kept = Self::ends(&mut self.engine, oldest + 1..next, &mut None);
            self.oldest = kept.oldest.max(oldest + 1);
        }
        Ok(())
    }

    fn write(&mut self, event: &Event, causes: &[Number]) -> Result<Number, WriteError<S::Error>> {
        let (oldest, number, metadata) = (self.oldest, self.next, event.metadata());
        let next = number.checked_add(1).ok_or(WriteError::Log(LogError::NumbersSpent))?;
        let (id, source_uri, content) = (id_of(number), "", event.payload.as_slice());
        let block = ContextBlock { id, version: 1, source_uri, metadata: &metadata, content };
        let mut batch = heapless::Vec::<_, { 1 + CAUSES_MAX }>::new();
        // There is room for the event; causes beyond the last place are left out.
        let _ = batch.push(Operation::put(block));
        for cause in causes.iter().filter(|cause| (oldest..number).contains(cause)) {
            // What cannot be read is the write's to tell.
            if !self.has_gaps || !matches!(self.event(*cause), Ok(None)) {
                let edge = GraphEdge { source: id, kind: CAUSED_BY, target: id_of(*cause) };
                let _ = batch.push(Operation::Link(edge));
            }
        }
        self.engine.write(&batch)?;
        self.next = next;
        Ok(number)
    }

    /// An event; `None` if it is none, or not any more.
    ///
    /// # Errors
    /// The storage refused, or the event is damaged.
    pub fn event(&mut self, number: Number) -> Result<Option<Event>, ReadError<S::Error>> {
        let mut scratch = [0; METADATA_BYTES + PAYLOAD_BYTES_MAX];
        let block = self.engine.find_into(&id_of(number), &mut scratch)?;
        Ok(block.as_ref().and_then(Event::of))
    }

    /// The causes of an event that are still kept.
    ///
    /// # Errors
    /// The storage refused, or a record is damaged.
    pub fn causes(
        &mut self,
        number: Number,
    ) -> Result<heapless::Vec<Number, CAUSES_MAX>, ReadError<S::Error>> {
        let mut causes = heapless::Vec::new();
        self.find_causes(number, &mut causes).map(|()| causes)
    }

    /// Adds the causes of an event, up to one that cannot be read.
    fn find_causes(
        &mut self,
        number: Number,
        causes: &mut heapless::Vec<Number, CAUSES_MAX>,
    ) -> Result<(), ReadError<S::Error>> {
        let mut scratch = [0; PAYLOAD_BYTES_MAX];
        let reader = self.engine.reader_through(&mut scratch);
        let mut edges = reader.edges(&id_of(number), Direction::Out, Some(CAUSED_BY))?;
        while let Some(edge) = edges.next()? {
            // An event was recorded with so many at most, and all of them are events.
            let _ = number_of(&edge.target).map(|cause| causes.push(cause));
        }
        Ok(())
    }

    /// The last events, the newest first, each handed to `on`, until that says `false`. One that cannot be
    /// read is told as an error, and the others follow. After a recovery that failed there is but that to
    /// tell. (Not in the order of the log: what the ring carries along lies behind what happened later.)
    ///
    /// O(events), and O(events) more for each gap in their numbers.
    pub fn newest_first(
        &mut self,
        mut on: impl FnMut(Number, Result<&Event, ReadError<S::Error>>) -> bool,
    ) {
        let (oldest, next) = (self.oldest, self.next);
        // Nothing says then where the events end.
        if !self.known {
            on(next.saturating_sub(1), Err(ReadError::NeedsRecovery));
            return;
        }
        let mut end = next;
        while let Some(number) = end.checked_sub(1).filter(|number| *number >= oldest) {
            end = number;
            let goes_on = match self.event(number) {
                Ok(Some(event)) => on(number, Ok(&event)),
                Ok(None) => {
                    // A gap, which may be wide.
                    end = Self::ends(&mut self.engine, oldest..number, &mut None).next;
                    true
                }
                Err(error) => on(number, Err(error)),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// What led to an event: it, its causes, and theirs, each once, the newest first, handed to `on`. Returns
    /// whether all were told: a fixed number of events is kept in mind at once. One that cannot be read, or
    /// whose causes cannot, is told as an error (after the event, where it was only the causes), and what
    /// else is known follows.
    ///
    /// A cause is older than what it caused, so that going from the greatest number down meets each once.
    pub fn led_to(
        &mut self,
        number: Number,
        mut on: impl FnMut(Number, Result<&Event, ReadError<S::Error>>),
    ) -> bool {
        let mut open = heapless::Vec::<Number, OPEN_MAX>::new();
        let _ = open.push(number);
        let mut all = true;
        // Ends with the events: each turn takes a smaller number than the one before.
        while let Some((place, number)) = open.iter().copied().enumerate().max_by_key(|open| open.1)
        {
            open.swap_remove(place);
            match self.event(number) {
                Ok(Some(event)) => on(number, Ok(&event)),
                Ok(None) => {}
                Err(error) => on(number, Err(error)),
            }
            let mut causes = heapless::Vec::new();
            if let Err(error) = self.find_causes(number, &mut causes) {
                on(number, Err(error));
                all = false;
            }
            for cause in causes {
                if cause < number && !open.contains(&cause) {
                    all &= open.push(cause).is_ok();
                }
            }
        }
        all
    }

    /// A reader of the store, for questions that the recorder does not ask: what an event has caused, say.
    /// The scratch must hold the longest block that is read; [`StorageEngine::reader_through`] says more.
    pub fn reader<'e>(&'e mut self, scratch: &'e mut [u8]) -> Reader<'e, 'r, Through<'e, S>> {
        self.engine.reader_through(scratch)
    }

    /// What is in the store.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Checks all of the store; see [`StorageEngine::verify`].
    ///
    /// # Errors
    /// The storage refused.
    pub fn verify(&mut self) -> Result<Verification, ReadError<S::Error>> {
        self.engine.verify(|_| ())
    }

    /// Closes the store, and gives the storage back. A recorder need not be closed: power may go at any time.
    pub fn close(self) -> (S, Result<(), WriteError<S::Error>>) {
        self.engine.close()
    }
}

/// The id of an event's block.
pub fn id_of(number: Number) -> BlockId {
    BlockId::from_u128(number.into())
}

/// `None` if it is no event's: of those the first half is 0, and no event has the last number.
fn number_of(id: &BlockId) -> Option<Number> {
    let id = id.bytes().iter().fold(0, |id, byte| id << 8 | u128::from(*byte));
    Number::try_from(id).ok().filter(|number| *number < Number::MAX)
}
