//! Format, open, recover: finding the ring on media and bringing the state up to its head.

use super::capacity::Capacity;
use super::chain::{Newest, find_newest, link_chain, queue_free_slots, release_protected};
use super::damage::{Damage, OnDamage};
use super::error::{FormatError, OpenError};
use super::fresh::FreshPlan;
use super::plan::Plan;
use super::replay::{Replay, recount};
use super::scrub::ScrubCursor;
use super::survey::{find_layout, read_header};
use super::{Config, Mode, StorageEngine};
use crate::compaction::{Fold, Reserve, TailCursor, Turn};
use crate::format::{FoundHeader, HEADER_BYTES, IndexForm, Layout, Record, SegmentHeader};
use crate::log::{Log, LogError};
use crate::memory::{RegionTooSmall, StorageCoordinator, atomic_bytes};
use crate::planted::{self, Fault};
use crate::state::{Doubt, Limit, State, Store};
use crate::storage::Storage;
use crate::types::{Sequence, StoreId};
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering;

/// A new store takes numbers above those of whatever lies on the medium, unless they are as great as this,
/// which no honest store comes to: their headers are erased.
const NUMBER_MAX_OUTLIVED: u32 = u32::MAX / 2;

/// So far above all numbers that can be read those of a new store begin: where an erase leaves bytes as they
/// are, what lies in a segment that lost its header would count in a new one of its number, in a store of the
/// same name.
const NUMBERS_SKIPPED: u32 = 64;

/// What is chosen at format, once for the life of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FormatOptions {
    /// The store's name. It salts every checksum; two stores that may meet on one medium need two.
    pub store: StoreId,
    /// Size of a segment in bytes: a multiple of the erase size, at least 16 times the write size.
    pub segment_bytes: u32,
}

/// Makes an empty store on the medium, in place of whatever is there.
///
/// Writes one segment header and two marks; nothing else is erased (but for headers with absurd
/// numbers), and nothing of an earlier store counts any more. Until it returns, a power cut may
/// leave the earlier store, damaged or not, no store at all, or the new one. The header comes last:
/// where [`probe`](super::probe) finds one of the new store, all of it is there.
///
/// # Errors
/// A size is out of its bounds, or the storage refused.
pub fn format<S: Storage>(
    storage: &mut S,
    options: &FormatOptions,
) -> Result<(), FormatError<S::Error>> {
    let layout = Layout::new(options.store, storage.geometry(), options.segment_bytes)
        .map_err(FormatError::Layout)?;
    let min = Reserve::segments_min();
    if layout.segments() < min {
        return Err(FormatError::TooFewSegments { given: layout.segments(), min });
    }
    let (mut number_max, mut erase_count) = (0, 0);
    for sector in 0..storage.geometry().sectors() {
        let mut bytes = [0; HEADER_BYTES as usize];
        let at = sector * u64::from(storage.geometry().erase_bytes);
        if storage.read(at, &mut bytes).is_err() {
            continue;
        }
        let found = FoundHeader::parse(&bytes).ok();
        if let Some(found) = found.or_else(|| FoundHeader::mend(&bytes, None)) {
            if sector == 0 {
                erase_count = found.segment.erase_count;
            }
            if found.segment.number > NUMBER_MAX_OUTLIVED {
                // Sectors are counted in 32 bits.
                storage.erase(sector as u32).map_err(FormatError::Storage)?;
                continue;
            }
            number_max = number_max.max(found.segment.number);
        }
    }
    let skipped = if number_max > 0 { NUMBERS_SKIPPED } else { 0 };
    let header = SegmentHeader {
        slot: 0,
        number: number_max + skipped + 1,
        retired: number_max + skipped,
        predecessor: None,
        erase_count: erase_count.saturating_add(1),
        next_node: 0,
        recovery: false,
        continues_batch: false,
    };
    write_first_segment(storage, &layout, &header).map_err(FormatError::Storage)
}

fn write_first_segment<S: Storage>(
    storage: &mut S,
    layout: &Layout,
    header: &SegmentHeader,
) -> Result<(), S::Error> {
    for sector in 0..layout.sectors_per_segment() {
        storage.erase(sector)?;
    }
    let salt = crate::format::Salt::of(layout.store());
    let mark = layout.padded(Record::Mark { closes: false }.header_bytes());
    for place in 0..2 {
        let at = layout.first_offset() + place * mark;
        let bytes = Record::Mark { closes: false }.encode(false, true, salt.at(header.number, at));
        write_padded(storage, layout, at, bytes.as_slice())?;
        storage.sync()?;
    }
    // Before the marks it would be a store that is found and does not open.
    write_padded(storage, layout, 0, &header.encode(layout))?;
    storage.sync()
}

/// An error of an opening, with what the capacity says of blocks where that is exceeded. (There is room for
/// bodies somewhat longer. What is longer than that in the newest segment is met when it is copied: all of
/// it fitted into a segment.)
fn call_too_long<E>(error: OpenError<E>, capacity: u64) -> OpenError<E> {
    let needed = match error {
        OpenError::TooMany { what: Limit::BlockBytes, needed, .. } => needed,
        OpenError::Log(LogError::RecordTooLarge { len, .. }) => u64::from(len),
        error => return error,
    };
    OpenError::TooMany { what: Limit::BlockBytes, needed, capacity }
}

/// Writes bytes and what is missing to the alignment, in pieces of the write size.
fn write_padded<S: Storage>(
    storage: &mut S,
    layout: &Layout,
    at: u32,
    bytes: &[u8],
) -> Result<(), S::Error> {
    const PIECE: usize = 256;
    let mut at = u64::from(at);
    let align = (layout.align() as usize).max(1);
    for chunk in bytes.chunks(PIECE) {
        let mut piece = [layout.geometry().erased.filler(); PIECE];
        if let Some(into) = piece.get_mut(..chunk.len()) {
            into.copy_from_slice(chunk);
        }
        let padded = chunk.len().next_multiple_of(align).min(PIECE);
        storage.write(at, piece.get(..padded).unwrap_or_default())?;
        at += padded as u64;
    }
    Ok(())
}

impl<'r, S: Storage> StorageEngine<'r, S> {
    /// Opens the store on the medium, recovers it, and makes it ready for writing.
    ///
    /// Takes all memory that it will ever take from `region`, which has at least
    /// `capacity.region_bytes()`. Reads every segment header, the newest segment whole, and of the others the
    /// index pages, or, where segments are small, every record's header once;
    /// writes one segment and syncs it, whether the store was closed or not. About two erases at
    /// most, and one in vain for each slot that no longer erases.
    ///
    /// # Errors
    /// There is no store, or not one for this medium, capacity or version; or the storage refused.
    /// Nothing is lost by an opening that fails, but the storage is dropped: lend it (`&mut S` is one, too)
    /// where it is needed again.
    #[inline]
    pub fn open(
        storage: S,
        region: &'r mut [MaybeUninit<u8>],
        capacity: Capacity,
        config: Config,
    ) -> Result<Self, OpenError<S::Error>> {
        // Mounted where it lies: moved out of the result, it would take twice its size of the stack.
        // Inlined, so that an image whose config is a constant has in it only what that asks for.
        let mut opened = Self::carve(storage, region, capacity, config, Mode::Writing);
        if let Ok(engine) = &mut opened {
            match config.on_damage {
                OnDamage::Say => engine.mount()?,
                OnDamage::Refuse => engine.mount_unless_degraded()?,
                OnDamage::Repair => {
                    engine.mount()?;
                    engine.repair_if_asked()?;
                }
            }
        }
        opened
    }

    /// An engine that knows nothing of the store yet: it took its memory, as [`open`](Self::open) says. Until
    /// [`recover`](Self::recover) has opened the store, reads and writes answer `NeedsRecovery`, and what
    /// `stats`, `sequence` and `damage` say is that of an empty store.
    ///
    /// For where the stack is short. An engine takes nearly 1 KB on a 32-bit target, and `open` returns it
    /// in a result: each function that moves it out of that, or hands it on, has it twice, while the opening
    /// goes on below. Prepared first, and used where it lies, it is there once:
    ///
    /// ```
    /// # use kausaldb::storage::RamStorage;
    /// # use kausaldb::{Capacity, Config, FormatOptions, StorageEngine, StoreId, format};
    /// # let mut media = [0; 64 * 4096];
    /// # let mut storage = RamStorage::new(&mut media, 4096, 4)?;
    /// # format(&mut storage, &FormatOptions { store: StoreId::from_u128(1), segment_bytes: 4096 })?;
    /// # const CAPACITY: Capacity = Capacity::SMALL;
    /// # let mut region = [const { core::mem::MaybeUninit::uninit() }; CAPACITY.region_bytes()];
    /// let mut prepared = StorageEngine::prepare(storage, &mut region, CAPACITY, Config::default());
    /// // Not moved out of the result by `?` or `unwrap`.
    /// if let Ok(engine) = &mut prepared {
    ///     engine.recover()?;
    ///     // ...
    /// }
    /// # assert!(prepared.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Where `recover` fails, the engine keeps the storage: `recover` tries again, or
    /// [`close`](Self::close) gives the storage back. An image that calls `recover` has
    /// [`repair`](Self::repair) in it whatever the config says, which one with `open` has only where that
    /// asks for it.
    ///
    /// # Errors
    /// There is no store, or not one for this medium, capacity or version; the region is too small; or the
    /// storage refused. The storage is dropped. Reads the headers that it takes to know the store's layout,
    /// and writes nothing.
    // Inlined, what it takes of the stack would be the caller's for as long as that uses the engine.
    #[inline(never)]
    pub fn prepare(
        storage: S,
        region: &'r mut [MaybeUninit<u8>],
        capacity: Capacity,
        config: Config,
    ) -> Result<Self, OpenError<S::Error>> {
        Self::carve(storage, region, capacity, config, Mode::Lost)
    }

    /// Opens the store for reading, without writing a byte. It answers as [`open`](Self::open) would.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_read_only(
        storage: S,
        region: &'r mut [MaybeUninit<u8>],
        capacity: Capacity,
        config: Config,
    ) -> Result<Self, OpenError<S::Error>> {
        let mut opened = Self::carve(storage, region, capacity, config, Mode::ReadOnly);
        if let Ok(engine) = &mut opened {
            engine.mount()?;
        }
        opened
    }

    #[inline(never)]
    fn carve(
        mut storage: S,
        region: &'r mut [MaybeUninit<u8>],
        capacity: Capacity,
        config: Config,
        mode: Mode,
    ) -> Result<Self, OpenError<S::Error>> {
        let layout = Self::fitting_layout(&mut storage, region.len(), &capacity)?;
        Self::carve_for(storage, layout, region, capacity, config, mode)
    }

    /// The store's layout, if the region and the capacity suffice for it. (A function of its own, as is what
    /// follows, so that neither takes of the stack while the other is at work.)
    #[inline(never)]
    fn fitting_layout(
        storage: &mut S,
        given_bytes: usize,
        capacity: &Capacity,
    ) -> Result<Layout, OpenError<S::Error>> {
        let needed_bytes = capacity.region_bytes();
        if given_bytes < needed_bytes {
            return Err(OpenError::Region { needed_bytes, given_bytes });
        }
        let layout = find_layout(storage)?;
        check_capacity(&layout, capacity)?;
        Ok(layout)
    }

    #[inline(never)]
    fn carve_for(
        storage: S,
        layout: Layout,
        region: &'r mut [MaybeUninit<u8>],
        capacity: Capacity,
        config: Config,
        mode: Mode,
    ) -> Result<Self, OpenError<S::Error>> {
        let (needed_bytes, given_bytes) = (capacity.region_bytes(), region.len());
        let of_region = move |_: RegionTooSmall| OpenError::Region { needed_bytes, given_bytes };
        let memory = &mut StorageCoordinator::new(region);
        // Each part where it stays, in the order of `Capacity::footprint`, which sized the region.
        let body_bytes = capacity.body_bytes_max();
        Ok(Self {
            store: Store {
                state: State::new(memory, &capacity.state(), config.seed).map_err(of_region)?,
                log: Log::new(memory, layout, body_bytes, capacity.buffer_bytes)
                    .map_err(of_region)?,
                storage,
            },
            fold: Fold::new(memory, capacity.pending_edges).map_err(of_region)?,
            plan: Plan::new(memory, capacity.batch_operations).map_err(of_region)?,
            verified: memory
                .slice_of(capacity.segments as usize)
                .map(atomic_bytes)
                .map_err(of_region)?,
            tail: TailCursor::default(),
            turn: Turn::default(),
            turn_of: (0, 0),
            scrub: ScrubCursor::default(),
            mode,
            config,
            capacity,
            sequence: Sequence::default(),
            given_bytes: 0,
            damaged: 0,
            lost: None,
            gave_way: None,
        })
    }

    /// Goes back to what media hold, after a write or a sync failed: voids or writes anew
    /// everything past the last sync that succeeded. Or opens the store for an engine that was
    /// [prepared](Self::prepare). Costs what [`open`](Self::open) costs.
    ///
    /// # Errors
    /// As [`open`](Self::open). What the store holds is then not known: reads are refused like writes,
    /// until `recover` is called again and succeeds. Only where it was the repair that failed, for which
    /// the config asks, the store is open, and degraded: what is certain can be read, and writes need
    /// `recover` again. Where a degraded store is refused, [`damage`](Self::damage) says what is lost.
    pub fn recover(&mut self) -> Result<(), OpenError<S::Error>> {
        if self.mode == Mode::ReadOnly {
            return Ok(());
        }
        self.mode = Mode::Lost;
        self.forget();
        match self.config.on_damage {
            OnDamage::Refuse => self.mount_unless_degraded()?,
            OnDamage::Say | OnDamage::Repair => self.mount()?,
        }
        self.mode = Mode::Writing;
        self.repair_if_asked()
    }

    /// Finds the store on the medium, and makes it ready.
    fn mount(&mut self) -> Result<(), OpenError<S::Error>> {
        self.mount_or_stop(true).map(|_| ())
    }

    /// The same, but for a degraded store, which is refused.
    #[inline(never)]
    fn mount_unless_degraded(&mut self) -> Result<(), OpenError<S::Error>> {
        if !self.mount_or_stop(false)? {
            // A reader sees all that is there, before a byte is written.
            let mode = core::mem::replace(&mut self.mode, Mode::ReadOnly);
            self.forget();
            let looked = self.mount();
            self.mode = mode;
            looked?;
            self.refuse_if_degraded()?;
            self.forget();
            self.mount()?;
        }
        // What could be read may be lost by now. Then a segment was written, and no more is.
        self.refuse_if_degraded()
    }

    fn refuse_if_degraded(&self) -> Result<(), OpenError<S::Error>> {
        match self.lost {
            Some(Damage { segment, offset, .. }) => Err(OpenError::Degraded { segment, offset }),
            None => Ok(()),
        }
    }

    /// Back to what is known of a store that is not mounted.
    fn forget(&mut self) {
        self.store.state.clear();
        self.store.log.forget();
        (self.damaged, self.lost, self.gave_way) = (0, None, None);
    }

    /// Mounts; or stops before a byte is written where the store may be degraded, unless somebody `looked`.
    /// Whether it did not stop.
    #[inline(never)]
    fn mount_or_stop(&mut self, looked: bool) -> Result<bool, OpenError<S::Error>> {
        self.tail = TailCursor::default();
        self.scrub = ScrubCursor::default();
        self.verified.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
        if self.mode != Mode::ReadOnly && !planted::is(Fault::OpensUnsynced) {
            let Store { storage, log, .. } = &mut self.store;
            log.sync_storage(storage)?;
        }
        let Store { storage, log, .. } = &mut self.store;
        let newest = find_newest(log, storage)?;
        self.store.log.retired = newest.retired;
        let Store { storage, log, state } = &mut self.store;
        log.next_node = newest.header.next_node;
        let plan = FreshPlan::of(log, newest.slot, &newest.header, &newest.survey, newest.retired);
        let writes = self.mode != Mode::ReadOnly;
        // A reader takes the newest segment as it is.
        let keeps_newest = !writes || !plan.takes_over;
        let end = if writes { plan.end_of_newest() } else { newest.survey.end };
        link_chain(log, storage, &newest, keeps_newest.then_some(end))?;
        let form = log.layout().index_form();
        let high_water = newest.header.next_node.min(state.index.capacity());
        // Within the capacity, so that it cannot fail.
        let _ = state.index.raise_high_water(high_water);
        // Where pages hold full columns, nothing but these is read of sealed segments.
        let by_pages = form == IndexForm::Columns;
        if by_pages {
            self.store.state.stop_counting();
        }
        let mut replay = Replay::from_tail(self.config.on_damage == OnDamage::Repair);
        let capacity = u64::from(self.capacity.block_bytes);
        self.replay_chain(&mut replay).map_err(|error| call_too_long(error, capacity))?;
        if by_pages {
            recount(&mut self.store)?;
        }
        if writes {
            if !looked && self.may_be_degraded(&replay, &newest) {
                return Ok(false);
            }
            queue_free_slots(&mut self.store.log, newest.slot, replay.lost.is_some());
            let Store { log, state, .. } = &mut self.store;
            let given = log.next_node.min(state.index.capacity());
            log.next_node = state.index.high_water().max(given);
            let written = plan.write(&mut self.store, &mut replay, newest.slot);
            written.map_err(|error| call_too_long(error, capacity))?;
            release_protected(&mut self.store.log);
            self.store.log.end_doubt();
        }
        self.damaged = replay.damaged + replay.given_up + newest.unreadable;
        self.lost = self.doubt(replay.lost);
        self.gave_way = replay.gave_way;
        let Store { log, state, .. } = &mut self.store;
        self.sequence =
            replay.last.map_or(Sequence::default(), |at| log.ring.position(at.slot, at.offset));
        // Every number that the log names was taken on the way.
        state.index.rebuild_free_list(|_| true);
        Ok(true)
    }

    /// What is lost. A repair that was cut short left records behind the damage, of which none is certain.
    fn doubt(&self, lost: Option<Damage>) -> Option<Damage> {
        let Some(Doubt { segment, offset, .. }) = self.store.state.doubt else { return lost };
        let later = lost.filter(|lost| !lost.is_within((segment, offset)));
        let (segment, offset) = later.map_or((segment, offset), |lost| (lost.segment, lost.offset));
        Some(Damage::in_doubt(segment, offset))
    }

    /// Whether it takes a look at all records to tell whether the store is degraded: something is lost or was
    /// repaired, and what is yet to be written again may say more of it.
    fn may_be_degraded(&self, replay: &Replay, newest: &Newest) -> bool {
        let lost = replay.lost.is_some() || self.store.state.doubt.is_some();
        lost || newest.survey.tells_of_repair
    }

    /// Applies every record of the chain.
    #[inline(never)]
    fn replay_chain(&mut self, replay: &mut Replay) -> Result<(), OpenError<S::Error>> {
        let (mut before, mut slot) = (None, self.store.log.ring.tail());
        for _ in 0..self.store.log.ring.live() {
            let Some(at) = slot else { break };
            let Store { storage, log, .. } = &mut self.store;
            let number = log.ring.slot(at).number();
            let mut beginning = log.ring.beginning(at);
            if beginning.is_none() {
                let header = read_header(storage, log.layout(), at).map_err(LogError::Storage)?;
                let header = header.filter(|header| header.number == number);
                beginning = header.map(|header| (header.recovery, header.continues_batch));
            }
            match beginning {
                Some((recovery, continues)) => replay.begin_segment(recovery, continues),
                None => replay.begin_headless(log, before, at),
            }
            log.begin_headers();
            let (first, end) = (log.layout().first_offset(), log.ring.slot(at).end());
            replay.segment(&mut self.store, at, first, end)?;
            (before, slot) = (slot, self.store.log.ring.after(at));
        }
        Ok(())
    }
}

/// A store that is larger than the capacity is refused by name, before anything is carved.
fn check_capacity<E>(layout: &Layout, capacity: &Capacity) -> Result<(), OpenError<E>> {
    let too_many = |what, needed: u32, capacity: u32| {
        let (needed, capacity) = (u64::from(needed), u64::from(capacity));
        Err(OpenError::TooMany { what, needed, capacity })
    };
    if layout.segments() > capacity.segments {
        return too_many(Limit::Segments, layout.segments(), capacity.segments);
    }
    if layout.segment_bytes() > capacity.segment_bytes {
        return too_many(Limit::SegmentBytes, layout.segment_bytes(), capacity.segment_bytes);
    }
    let write_bytes = layout.geometry().write_bytes.max(1);
    if capacity.buffer_bytes < write_bytes || !capacity.buffer_bytes.is_multiple_of(write_bytes) {
        let whole = capacity.buffer_bytes.max(1).next_multiple_of(write_bytes.max(1));
        return too_many(Limit::BufferBytes, whole, capacity.buffer_bytes);
    }
    Ok(())
}
