//! Replay: walking over live segments in log order, and applying what counts.
//!
//! The running engine applies its own batches through this as well: what is on media is what counts. It goes
//! by the records' headers. An opening goes by the index pages of sealed segments, where these hold full
//! columns: then replaying costs the pages and the records of the newest segment, and nothing is read of what
//! is superseded; what lives is counted in a second walk over the pages.

use super::damage::Damage;
use crate::format::{Kind, Outline, Place, Repair, Subject};
use crate::log::{Log, LogError, ReadLog, Slot, TableStep, TableWalk};
use crate::planted::{self, Fault};
use crate::state::{ApplyError, Limit, Store};
use crate::storage::Storage;

/// A batch of which the end was not met yet.
#[derive(Clone, Debug)]
struct Run {
    /// A walk that stands at its first record.
    walk: TableWalk,
    records: u32,
    /// Whether something of it is missing, or it is two batches: it began before the tail (what is missing
    /// was dead or moved when its segment was retired), or there is damage before it or in it.
    cut_off: bool,
}

/// A replay, from segment to segment. Batches count only with their end.
#[derive(Clone, Debug, Default)]
pub(super) struct Replay {
    run: Option<Run>,
    /// Whether the next record is the first at the tail.
    at_tail: bool,
    /// Whether the next record is the first behind damage.
    behind_damage: bool,
    /// Spans in which there should have been a record and was none.
    pub(super) damaged: u32,
    /// The last of them, unless a repair ended that knew of all.
    pub(super) lost: Option<Damage>,
    /// The end of the last segment that is hurt otherwise than a repair knew.
    otherwise: Option<Damage>,
    /// Whether the store is to open with the memory that there is, whatever damage has cost.
    gives_way: bool,
    /// Changes, lists and deletions that were given up for that.
    pub(super) given_up: u32,
    /// Where that was, the last time.
    pub(super) gave_way: Option<Damage>,
    /// Where the newest batch or single record ended that was applied.
    pub(super) last: Option<Place>,
}

impl Replay {
    /// A replay that starts at the tail.
    pub(super) fn from_tail(gives_way: bool) -> Self {
        Self { at_tail: true, gives_way, ..Self::default() }
    }

    /// A recovery began a new segment: what came before does not go on in it, unless its header says so.
    pub(super) fn begin_segment(&mut self, recovery: bool, continues_batch: bool) {
        if recovery && !continues_batch {
            self.run = None;
            self.at_tail = false;
            self.behind_damage = false;
        }
    }

    /// The header of a live segment cannot be read: what it said of the batch before it is not known, nor
    /// where the segment before it ends.
    pub(super) fn begin_headless(&mut self, log: &mut Log<'_>, before: Option<u32>, slot: u32) {
        self.damaged += 1;
        self.lost = Some(Damage::new(log.ring.slot(slot).number(), 0));
        log.ring.found_damage(slot, 0, log.layout().first_offset());
        if let Some(before) = before {
            // Up to where it seems to go: what is hurt there later would make it end earlier.
            let end = log.ring.slot(before).end();
            log.ring.found_damage(before, end, end);
        }
        self.run = None;
        self.behind_damage = true;
    }

    /// Applies the records of one live segment, from one offset up to another.
    pub(super) fn segment<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        slot: u32,
        from: u32,
        end: u32,
    ) -> Result<(), ApplyError<S::Error>> {
        let mut walk = TableWalk::by_pages(&store.log, slot, from, end);
        // Where the span starts that holds no record.
        let mut hole = None;
        // Ends with the segment: every turn moves on by the alignment at least.
        loop {
            match walk.next(&mut store.log, &mut store.storage)? {
                TableStep::End => {
                    end_hole(&mut store.log, slot, hole.take(), end);
                    return Ok(());
                }
                TableStep::Invalid { offset } if planted::is(Fault::DamageRefusesTheStore) => {
                    return Err(store.log.corrupt(Place { slot, offset }).into());
                }
                TableStep::Invalid { offset } => {
                    if hole.is_none() {
                        self.damaged += 1;
                        let segment = store.log.ring.slot(slot).number();
                        self.lost = Some(Damage::new(segment, offset));
                        hole = Some(offset);
                    }
                    // A batch costs the record that is damaged, not the others.
                    self.run.iter_mut().for_each(|run| run.cut_off = true);
                    self.behind_damage = true;
                    walk.skip_to(offset + store.log.layout().align());
                }
                TableStep::Record { outline, offset } => {
                    end_hole(&mut store.log, slot, hole.take(), offset);
                    let place = Place { slot, offset };
                    self.record(store, &outline, place, &walk)?;
                }
            }
        }
    }

    fn record<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        outline: &Outline,
        at: Place,
        walk: &TableWalk,
    ) -> Result<(), ApplyError<S::Error>> {
        check_body(store, outline, at)?;
        let cut_off = self.at_tail || self.behind_damage;
        let kind = outline.tag.kind();
        self.at_tail &= kind == Kind::Index;
        self.behind_damage &= kind == Kind::Index;
        match (outline.subject, outline.tag.in_batch()) {
            // Index pages may stand inside a batch and are no part of it.
            _ if kind == Kind::Index => Ok(()),
            (Subject::BatchEnd { records }, _) => self.end_run(store, records, at),
            (_, true) if planted::is(Fault::BatchNeedsNoEnd) => self.apply(store, outline, at),
            (_, true) => {
                self.count_in_run(walk, outline, at, cut_off);
                // If its end is written again, these are given, and no header said so yet.
                store.log.saw_node(outline.subject.number());
                Ok(())
            }
            (_, false) => {
                // The engine appends nothing behind half a batch but in the segment of a recovery: it is
                // the end of the batch that is damaged.
                self.end_half_run(store, at)?;
                self.last = Some(at);
                self.apply(store, outline, at)?;
                if let Subject::Damage { says, segment, .. } = outline.subject {
                    self.note_repair(&store.log, says, segment);
                }
                Ok(())
            }
        }
    }

    /// What a repair said was applied. Where it ended, what is left counts, unless something is hurt of which
    /// it did not know. That was hurt later; or, in a segment that it knew otherwise, what was lost is back,
    /// wherever in it that lies.
    fn note_repair(&mut self, log: &Log<'_>, says: Repair, number: u32) {
        let unknown = log.ring.unknown_damage();
        match says {
            Repair::Began => {}
            Repair::Knows => {
                // The segment itself, or the one that lacks it.
                let mut slots = log.ring.chain().map(|slot| log.ring.slot(slot));
                let told_of = slots.find(|slot| slot.number() >= number);
                let is_there = |slot: &Slot| slot.number() == number || number > log.retired;
                let is_other =
                    |slot: &Slot| is_there(slot) && slot.damage() != 0 && !slot.is_damage_known();
                if let Some(slot) = told_of.filter(is_other) {
                    let up_to = Damage::new(slot.number(), slot.end());
                    self.otherwise = later(self.otherwise, up_to);
                }
            }
            Repair::Ended if unknown.is_none() || planted::is(Fault::RepairEndsAll) => {
                (self.lost, self.otherwise) = (None, None);
            }
            Repair::Ended => {
                self.lost =
                    self.otherwise.map_or(self.lost, |otherwise| later(self.lost, otherwise));
            }
        }
    }

    /// Counts a record of a batch, which may be its first.
    // A walk is large: nobody who goes on from here has room for another one on the stack.
    #[inline(never)]
    fn count_in_run(&mut self, walk: &TableWalk, outline: &Outline, at: Place, cut_off: bool) {
        let new = || Run { walk: walk.back_at(outline, at.offset), records: 0, cut_off };
        self.run.get_or_insert_with(new).records += 1;
    }

    /// Applies what is there of a batch whose end is damaged.
    #[inline(never)]
    fn end_half_run<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        at: Place,
    ) -> Result<(), ApplyError<S::Error>> {
        match self.run.take() {
            Some(run) if run.cut_off => self.apply_run(store, run.walk, at),
            _ => Ok(()),
        }
    }

    /// The batch is whole: walks over it once more, applying.
    #[inline(never)]
    fn end_run<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        records: u32,
        at: Place,
    ) -> Result<(), ApplyError<S::Error>> {
        let Some(run) = self.run.take() else { return Ok(()) };
        // An end without records voids what lies before it.
        let is_counted = !planted::is(Fault::BatchEndUncounted);
        if is_counted && run.records != records && !(run.cut_off && records > 0) {
            return Ok(());
        }
        self.apply_run(store, run.walk, at)
    }

    /// Applies the records of a batch up to a place.
    fn apply_run<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        mut walk: TableWalk,
        at: Place,
    ) -> Result<(), ApplyError<S::Error>> {
        for _ in 0..store.log.ring.live() {
            let is_last = walk.slot() == at.slot;
            self.apply_batch_records(
                store,
                &mut walk,
                if is_last { Some(at.offset) } else { None },
            )?;
            if is_last {
                break;
            }
            let Some(next) = store.log.ring.after(walk.slot()) else { break };
            let (first, end) = (store.log.layout().first_offset(), store.log.end_of(next));
            walk = TableWalk::by_pages(&store.log, next, first, end);
        }
        self.last = Some(at);
        Ok(())
    }

    fn apply_batch_records<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        walk: &mut TableWalk,
        until: Option<u32>,
    ) -> Result<(), ApplyError<S::Error>> {
        while until.is_none_or(|until| walk.at() < until) {
            match walk.next(&mut store.log, &mut store.storage)? {
                TableStep::End => break,
                // Damage that was counted on the way here.
                TableStep::Invalid { offset } => {
                    walk.skip_to(offset + store.log.layout().align());
                }
                TableStep::Record { outline, offset } => {
                    if outline.tag.in_batch() {
                        self.apply(store, &outline, Place { slot: walk.slot(), offset })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies a record. Whatever the engine wrote fits again, in the same memory; but what damage took may
    /// have been what made room. Then a larger capacity is asked for, or something is given up.
    ///
    /// Behind damage, be it repaired or not, and while a repair goes on: it counts without what the opening
    /// before it had given up, and is replayed with that where the damage is gone with its segment. (What was
    /// given up lies before the record that says that it began.)
    fn apply<S: Storage>(
        &mut self,
        store: &mut Store<'_, S>,
        outline: &Outline,
        at: Place,
    ) -> Result<(), ApplyError<S::Error>> {
        let Store { storage, log, state } = store;
        let location = log.layout().location(at.slot, at.offset);
        let applied = state.apply(storage, log, outline, location);
        let is_full = matches!(
            applied,
            Err(ApplyError::TooMany {
                what: Limit::PendingEdges | Limit::HubPages | Limit::Intents,
                ..
            })
        );
        let gives_way = self.gives_way && (self.damaged > 0 || state.doubt.is_some());
        if !(is_full && gives_way && state.give_way(storage, log, outline, location)?) {
            return applied;
        }
        self.given_up += 1;
        self.gave_way = Some(Damage::new(log.ring.slot(at.slot).number(), at.offset));
        match outline.subject {
            Subject::List { .. } => Ok(()),
            _ => state.apply(storage, log, outline, location),
        }
    }
}

/// A span without records ends here, if one began.
fn end_hole(log: &mut Log<'_>, slot: u32, start: Option<u32>, end: u32) {
    if let Some(start) = start {
        log.ring.found_damage(slot, start, end);
    }
}

/// The later one of two places in the log.
fn later(one: Option<Damage>, other: Damage) -> Option<Damage> {
    one.filter(|one| !one.is_within((other.segment, other.offset))).or(Some(other))
}

/// A block that this capacity could not move is refused when it is met, not when the tail reaches it.
fn check_body<S: Storage>(
    store: &mut Store<'_, S>,
    outline: &Outline,
    at: Place,
) -> Result<(), ApplyError<S::Error>> {
    let Store { storage, log, .. } = store;
    let capacity = log.body_bytes_max();
    if outline.bytes <= capacity {
        return Ok(());
    }
    // How long the body is stands in the header only. One that is hurt is written anew without a body.
    let header = log.on(storage).mended_header(at)?;
    let body = header.map_or(0, |header| header.record.body_bytes(log.layout().index_form()));
    match u32::try_from(body) {
        Ok(needed) if needed > capacity => {
            Err(ApplyError::TooMany { what: Limit::BlockBytes, needed, capacity })
        }
        _ => Ok(()),
    }
}

/// Counts what lives in the segments of the ring, which were replayed without counting.
pub(super) fn recount<S: Storage>(store: &mut Store<'_, S>) -> Result<(), LogError<S::Error>> {
    store.state.restart_counting();
    store.state.count_pending(&store.log);
    let mut slot = store.log.ring.tail();
    for _ in 0..store.log.ring.live() {
        let Some(at) = slot else { break };
        let (first, end) = (store.log.layout().first_offset(), store.log.end_of(at));
        let mut walk = TableWalk::by_pages(&store.log, at, first, end);
        // Ends with the segment: every turn moves on by the alignment at least.
        loop {
            match walk.next(&mut store.log, &mut store.storage)? {
                TableStep::End => break,
                TableStep::Invalid { offset } => walk.skip_to(offset + store.log.layout().align()),
                TableStep::Record { outline, offset } => {
                    let location = store.log.layout().location(at, offset);
                    let is_change = matches!(outline.subject, Subject::Edge(_));
                    if !is_change && store.state.is_live(&outline.subject, location) {
                        store.state.count(store.log.layout(), &outline, location);
                    }
                }
            }
        }
        slot = store.log.ring.after(at);
    }
    Ok(())
}

impl<S: Storage> super::StorageEngine<'_, S> {
    /// Applies what was appended since `from`, all of it in live segments.
    pub(super) fn replay_from(&mut self, from: Place) -> Result<(), ApplyError<S::Error>> {
        let store = &mut self.store;
        let mut replay = Replay::default();
        let (mut slot, mut offset) = (from.slot, from.offset);
        for _ in 0..store.log.ring.live() {
            let end = store.log.end_of(slot);
            replay.segment(store, slot, offset, end)?;
            let Some(next) = store.log.ring.after(slot) else { break };
            (slot, offset) = (next, store.log.layout().first_offset());
        }
        let Some(last) = replay.last.filter(|_| replay.damaged == 0) else {
            return Err(ApplyError::Log(LogError::Corrupt {
                segment: store.log.ring.slot(from.slot).number(),
                offset: from.offset,
            }));
        };
        self.sequence = store.log.ring.position(last.slot, last.offset);
        Ok(())
    }
}
