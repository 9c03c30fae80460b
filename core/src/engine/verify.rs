//! Verify: every check on media, and every invariant between media and RAM.

use super::error::ReadError;
use super::survey::{header_is_whole, read_header};
use super::{Mode, StorageEngine};
use crate::format::{Layout, Outline, Place, Subject};
use crate::log::{BodyState, Log, LogBytes, LogError, ReadLog, Step, Walk};
use crate::state::{Charge, List, Share, State, Store};
use crate::storage::Storage;
use crate::types::{BlockId, Direction, EdgeKey, Location, NodeNumber};

/// Something that `verify` found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Finding {
    /// Bytes that are no valid record, where there should be one; or, at 0, no valid header of the segment.
    NoRecord {
        /// Number of the segment.
        segment: u32,
        /// Where they start, in bytes.
        offset: u32,
    },
    /// The same, or a segment's header that is lost, where a repair has made count what is left: it stays
    /// until the tail has passed it. (What was hurt in the same segment since the store was opened, and is
    /// not needed, is told from that by the next opening.)
    Repaired {
        /// Number of the segment.
        segment: u32,
        /// Where they start, in bytes.
        offset: u32,
    },
    /// A record whose body does not validate.
    Body {
        /// Number of the segment.
        segment: u32,
        /// Where the record starts, in bytes.
        offset: u32,
        /// The id that it holds, if it holds one.
        id: Option<BlockId>,
        /// Whether it is needed; a superseded one is not.
        live: bool,
    },
    /// A record whose header does not validate; its index page says what it was about.
    Header {
        /// Number of the segment.
        segment: u32,
        /// Where the record starts, in bytes.
        offset: u32,
        /// The id that it holds, if it holds one.
        id: Option<BlockId>,
        /// Whether something is lost: the content of a block, or a list of edges, that is needed.
        live: bool,
    },
    /// A record in which one bit is flipped: nothing is lost, and moving it writes it right.
    OneBit {
        /// Number of the segment.
        segment: u32,
        /// Where the record starts, in bytes.
        offset: u32,
        /// The id that it holds, if it holds one.
        id: Option<BlockId>,
    },
    /// A node whose record is not there, or is another's.
    Node {
        /// The node's number.
        number: u32,
    },
    /// A list of a node's edges that cannot be read; the other ends of its edges know them.
    List {
        /// The node's number.
        number: u32,
        /// Whether it is the list of the edges out of the node, or into it.
        direction: Direction,
    },
    /// An edge that one of its ends does not know of.
    OneSided {
        /// The node that knows of it.
        number: u32,
        /// The edge's kind.
        kind: u16,
        /// The node that does not.
        other: u32,
    },
    /// The sum of live bytes, or how many records of which length there are, is not what the records are.
    LiveBytes {
        /// The sum that was kept.
        kept: u64,
        /// What the records are.
        found: u64,
    },
    /// A table in RAM breaks its own rules.
    Memory {
        /// Which table.
        table: &'static str,
    },
}

impl Finding {
    /// Whether something is lost by it.
    pub fn is_loss(&self) -> bool {
        !matches!(
            self,
            Self::Body { live: false, .. }
                | Self::Header { live: false, .. }
                | Self::OneBit { .. }
                | Self::Repaired { .. }
        )
    }
}

/// What was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Verification {
    /// Records, dead ones included.
    pub records: u64,
    /// Blocks.
    pub blocks: u64,
    /// Edges.
    pub edges: u64,
    /// Findings by which something is lost.
    pub lost: u64,
    /// Findings by which nothing is lost.
    pub harmless: u64,
}

/// How many edges there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EdgeCount {
    /// Edges in the lists that can be read, up to where one is damaged.
    pub edges: u64,
    /// Lists of the edges out of a node that cannot be read, or not to their end.
    pub lists_unreadable: u64,
}

/// Collects findings.
struct Report<F> {
    sum: Verification,
    on: F,
}

impl<F: FnMut(Finding)> Report<F> {
    fn add(&mut self, finding: Finding) {
        if finding.is_loss() {
            self.sum.lost += 1;
        } else {
            self.sum.harmless += 1;
        }
        (self.on)(finding);
    }
}

/// What lives, as far as was walked: in all, and in the slot that the walk is in.
#[derive(Default)]
struct Lives {
    charge: Charge,
    in_slot: u32,
}

impl Lives {
    fn add(&mut self, layout: &Layout, outline: &Outline, is_live: bool) {
        if !is_live {
            return;
        }
        let share = Share::of_outline(layout, outline);
        self.charge.add(share);
        self.in_slot = self.in_slot.wrapping_add(share.in_place());
    }
}

impl<'r, S: Storage> StorageEngine<'r, S> {
    /// Checks every record on media and every invariant, and hands each thing that is wrong to
    /// `on`. Writes nothing.
    ///
    /// O(media), and for each edge a binary search in the other end's list.
    ///
    /// # Errors
    /// The storage refused.
    pub fn verify(&mut self, on: impl FnMut(Finding)) -> Result<Verification, ReadError<S::Error>> {
        self.check_known()?;
        let mut report = Report { sum: Verification::default(), on };
        let live = self.verify_records(&mut report)?;
        let kept = *self.store.state.live.charge();
        if kept != live {
            report.add(Finding::LiveBytes { kept: kept.bytes, found: live.bytes });
        }
        self.verify_nodes(&mut report)?;
        self.verify_tables(&mut report)?;
        Ok(report.sum)
    }

    /// Counts the edges. O(nodes and edges), reading every list; one that is damaged is passed over and
    /// counted.
    ///
    /// # Errors
    /// The storage refused.
    pub fn count_edges(&mut self) -> Result<EdgeCount, ReadError<S::Error>> {
        self.check_known()?;
        let mut count = EdgeCount::default();
        for number in (0..self.store.state.index.high_water()).map(NodeNumber::new) {
            let listed = self.each_edge((number, Direction::Out), |_, _| {
                count.edges += 1;
                Ok(())
            });
            match listed {
                Err(ReadError::Corrupt { .. }) => count.lists_unreadable += 1,
                listed => listed?,
            }
        }
        Ok(count)
    }

    fn check_known(&self) -> Result<(), ReadError<S::Error>> {
        if self.mode == Mode::Lost { Err(ReadError::NeedsRecovery) } else { Ok(()) }
    }

    /// Walks over all records; returns what the live ones are charged.
    fn verify_records<F: FnMut(Finding)>(
        &mut self,
        report: &mut Report<F>,
    ) -> Result<Charge, ReadError<S::Error>> {
        let Store { storage, log, state } = &mut self.store;
        let mut lives = Lives::default();
        let mut slot = log.ring.tail();
        for _ in 0..log.ring.live() {
            let Some(at) = slot else { break };
            let segment = log.ring.slot(at).number();
            let of_header = check_header(log, storage, at, state).map_err(ReadError::Storage)?;
            of_header.into_iter().for_each(|finding| report.add(finding));
            let mut walk = Walk::new(at, log.layout().first_offset(), log.end_of(at));
            let mut in_damage = false;
            loop {
                match walk.next(log.on(storage).erased())? {
                    Step::End => break,
                    Step::Named { outline, offset } => {
                        in_damage = false;
                        report.sum.records += 1;
                        let location = log.layout().location(at, offset);
                        let is_live = state.is_live(&outline.subject, location);
                        lives.add(log.layout(), &outline, is_live);
                        let id = outline.subject.id().copied();
                        let has_body =
                            matches!(outline.subject, Subject::Block { .. } | Subject::List { .. });
                        let live = is_live && has_body;
                        report.add(Finding::Header { segment, offset, id, live });
                    }
                    Step::Invalid { offset } => {
                        if !in_damage {
                            let span = (Place { slot: at, offset }, walk.end());
                            report.add(hole(log, storage, state, span)?);
                        }
                        in_damage = true;
                        walk.skip_to(offset + log.layout().align());
                    }
                    Step::Record { header, offset, .. } => {
                        in_damage = false;
                        report.sum.records += 1;
                        let place = Place { slot: at, offset };
                        let outline = log.outline_of(&header);
                        let location = log.layout().location(at, offset);
                        let is_live = state.is_live(&outline.subject, location);
                        lives.add(log.layout(), &outline, is_live);
                        let id = header.record.id().copied();
                        let flipped = log.on(storage).header(place)?.is_none();
                        match log.on(storage).body_state(place, &header)? {
                            BodyState::Sound if flipped => {
                                report.add(Finding::OneBit { segment, offset, id })
                            }
                            BodyState::Sound => {}
                            BodyState::OneBit(_) => {
                                report.add(Finding::OneBit { segment, offset, id })
                            }
                            BodyState::Damaged => {
                                report.add(Finding::Body { segment, offset, id, live: is_live });
                            }
                        }
                    }
                }
            }
            let (kept, found) = (state.live.in_slot(at), core::mem::take(&mut lives.in_slot));
            if kept != found {
                report.add(Finding::LiveBytes { kept: kept.into(), found: found.into() });
            }
            slot = log.ring.after(at);
        }
        Ok(lives.charge)
    }

    fn verify_nodes<F: FnMut(Finding)>(
        &mut self,
        report: &mut Report<F>,
    ) -> Result<(), ReadError<S::Error>> {
        for number in (0..self.store.state.index.high_water()).map(NodeNumber::new) {
            let state = &self.store.state;
            if !state.index.is_used(number) || state.intents.contains(number) {
                continue;
            }
            let home = state.index.home(number);
            match self.subject_at(home)? {
                Some(Subject::Block { number: found, .. }) if found == number => {
                    report.sum.blocks += 1
                }
                Some(Subject::Node { number: found, .. }) if found == number => {}
                _ => report.add(Finding::Node { number: number.get() }),
            }
            for direction in Direction::BOTH {
                self.verify_list(report, (number, direction))?;
            }
        }
        Ok(())
    }

    fn subject_at(&mut self, at: Location) -> Result<Option<Subject>, ReadError<S::Error>> {
        if at.is_none() {
            return Ok(None);
        }
        let Store { storage, log, .. } = &mut self.store;
        match log.on(storage).known_outline(at) {
            Ok(known) => Ok(Some(known.subject)),
            Err(LogError::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Each edge of the list must be known at its other end.
    fn verify_list<F: FnMut(Finding)>(
        &mut self,
        report: &mut Report<F>,
        of: (NodeNumber, Direction),
    ) -> Result<(), ReadError<S::Error>> {
        let mut edges = 0;
        let mut one_sided = None;
        let listed = self.each_edge(of, |store, key| {
            edges += u64::from(of.1 == Direction::Out);
            let back = EdgeKey { kind: key.kind, number: of.0 };
            let there = (key.number, of.1.reverse());
            let known = match lists(store, there, back) {
                // That list is reported where its own node is.
                Err(LogError::Corrupt { .. }) => true,
                known => known?,
            };
            if !store.state.index.is_used(key.number) || !known {
                one_sided = Some(key);
            }
            Ok(())
        });
        match listed {
            Err(ReadError::Corrupt { .. }) => {
                report.add(Finding::List { number: of.0.get(), direction: of.1 });
            }
            listed => listed?,
        }
        report.sum.edges += edges;
        if let Some(key) = one_sided {
            let (number, other) = (of.0.get(), key.number.get());
            report.add(Finding::OneSided { number, kind: key.kind, other });
        }
        Ok(())
    }

    /// Hands on each edge that a reader sees in this list.
    fn each_edge(
        &mut self,
        of: (NodeNumber, Direction),
        mut on: impl FnMut(&mut Store<'r, S>, EdgeKey) -> Result<(), ReadError<S::Error>>,
    ) -> Result<(), ReadError<S::Error>> {
        let store = &mut self.store;
        if store.state.intents.contains(of.0) {
            return Ok(());
        }
        let Store { storage, log, state } = &mut *store;
        let mut list = List::new(of, None);
        list.start(&mut log.on(storage), state, EdgeKey::MIN)?;
        loop {
            let Store { storage, log, state } = &mut *store;
            let Some(key) = list.next(&mut log.on(storage), state)? else { break };
            if state.pending_half(of, key).is_none() && !state.intents.contains(key.number) {
                on(store, key)?;
            }
        }
        let mut pending = None;
        while let Some((cursor, half)) = store.state.pending.next_half(of.0, of.1, pending) {
            pending = Some(cursor);
            if half.add && !store.state.intents.contains(half.key.number) {
                on(store, half.key)?;
            }
        }
        Ok(())
    }

    fn verify_tables<F: FnMut(Finding)>(
        &mut self,
        report: &mut Report<F>,
    ) -> Result<(), ReadError<S::Error>> {
        let Store { storage, log, state } = &mut self.store;
        let mut failed = None;
        let sound = state.index.check_hashes(|number| {
            let home = state.index.home(number);
            match log.on(storage).known_outline(home) {
                Ok(known) => known.subject.id().map(|id| state.index.hash(id)),
                Err(LogError::Corrupt { .. }) => None,
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        });
        failed.map_or(Ok(()), Err)?;
        let tables = [
            ("block index", sound && state.index.check()),
            ("pending edges", state.pending.check().is_ok()),
            ("hub pages", state.hubs.check().is_ok()),
        ];
        tables.iter().filter(|(_, sound)| !sound).for_each(|(table, _)| {
            report.add(Finding::Memory { table });
        });
        Ok(())
    }
}

/// What there is to say of a segment's header.
fn check_header<S: Storage>(
    log: &Log<'_>,
    storage: &mut S,
    slot: u32,
    state: &State<'_>,
) -> Result<Option<Finding>, S::Error> {
    let segment = log.ring.slot(slot).number();
    let header = read_header(storage, log.layout(), slot)?;
    if header.is_none_or(|header| header.number != segment) {
        // What an opening has read is lost since.
        let was_there = log.ring.beginning(slot).is_some();
        return Ok(Some(name_hole(log, Place { slot, offset: 0 }, state, was_there)));
    }
    let is_whole = header_is_whole(storage, log.layout(), slot)?;
    Ok((!is_whole).then_some(Finding::OneBit { segment, offset: 0, id: None }))
}

/// A span without records, which starts at a place and goes up to some offset.
fn hole<S: Storage>(
    log: &mut Log<'_>,
    storage: &mut S,
    state: &State<'_>,
    (at, end): (Place, u32),
) -> Result<Finding, LogError<S::Error>> {
    // What is needed was there when the store was opened, and is hurt since.
    let (_, is_needed) = state.damaged_span(&mut log.on(storage), at, end)?;
    Ok(name_hole(log, at, state, is_needed))
}

/// Where there should be something valid, and is not: it is lost, unless a repair knew of all that was hurt
/// in that segment when the store was opened, and did not stop half way.
fn name_hole(log: &Log<'_>, at: Place, state: &State<'_>, is_needed: bool) -> Finding {
    let (hurt, offset) = (log.ring.slot(at.slot), at.offset);
    let segment = hurt.number();
    if hurt.is_damage_known() && state.doubt.is_none() && !is_needed {
        Finding::Repaired { segment, offset }
    } else {
        Finding::NoRecord { segment, offset }
    }
}

/// Whether the list has this edge, folded or pending.
pub(super) fn lists<S: Storage>(
    store: &mut Store<'_, S>,
    of: (NodeNumber, Direction),
    key: EdgeKey,
) -> Result<bool, LogError<S::Error>> {
    let Store { storage, log, state } = store;
    if let Some(half) = state.pending_half(of, key) {
        return Ok(half.add);
    }
    let mut list = List::new(of, None);
    list.start(&mut log.on(storage), state, key)?;
    Ok(list.next(&mut log.on(storage), state)? == Some(key))
}
