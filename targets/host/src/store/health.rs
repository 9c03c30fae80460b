//! How the store is: what is in it, whether it is sound, and the work that can be done ahead.

use super::{Store, closed, explain};
use crate::commands::report::{Figure, Figures};
use crate::error::{Failure, Outcome};
use kausaldb::{Capacity, Direction, Finding, Order, ReadError, Stats, StorageEngine, Workspace};
use kausaldb_file::{FileError, MappedFile};
use std::io::Write;

/// So many findings are named; the rest are counted.
const FINDINGS_SHOWN: u64 = 20;

/// What a capacity has beyond what was used, in percent.
const SPARE_PERCENT: u32 = 25;

impl Store {
    /// Counts, sizes, wear and high-water marks; with `capacity` also the limits that follow from them.
    ///
    /// Reads every list of edges, to count them; those that cannot be read are counted, too.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn stats(&mut self, capacity: bool) -> Outcome<Figures> {
        let path = &self.path;
        let (stats, count, longest) = self.opened.with_dependent_mut(|_, engine| {
            let engine = engine.0.as_mut().ok_or_else(closed)?;
            let count = engine.count_edges().map_err(|error| explain::read(path, &error))?;
            let longest = if capacity { longest_block(engine) } else { Ok(0) };
            let longest = longest.map_err(|error| explain::read(path, &error))?;
            Outcome::Ok((engine.stats(), count, longest))
        })?;
        self.lists_unreadable = count.lists_unreadable;
        let mut figures = of_stats(&stats, count.edges, count.lists_unreadable);
        if capacity {
            let limits = capacity_for(&stats, longest);
            for (name, limit) in [
                ("capacity_nodes", limits.nodes),
                ("capacity_pending_edges", limits.pending_edges),
                ("capacity_hub_pages", limits.hub_pages),
                ("capacity_intents", limits.intents),
                ("capacity_segments", limits.segments),
                ("capacity_batch_operations", limits.batch_operations),
            ] {
                figures.push(name, Figure::Count(limit.into()));
            }
            for (name, limit) in [
                ("capacity_segment_bytes", limits.segment_bytes),
                ("capacity_block_bytes", limits.block_bytes),
                ("capacity_batch_bytes", limits.batch_bytes),
                ("capacity_buffer_bytes", limits.buffer_bytes),
            ] {
                figures.push(name, Figure::Bytes(limit.into()));
            }
            figures.push("capacity_region_bytes", Figure::Bytes(limits.region_bytes() as u64));
        }
        Ok(figures)
    }

    /// Checks everything. The second result says that the store is degraded, or what is lost first, if
    /// anything is; other findings are named on standard error.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn verify(&mut self) -> Outcome<(Figures, Option<Failure>)> {
        let path = &self.path;
        let degraded = self
            .engine()?
            .damage()
            .map(|damage| explain::degraded(path, damage.segment, damage.offset));
        let (mut shown, mut first_lost) = (0, None);
        let sum = self.opened.with_dependent_mut(|_, engine| {
            let engine = engine.0.as_mut().ok_or_else(closed)?;
            let named = |finding: Finding| {
                shown += 1;
                if finding.is_loss() && first_lost.is_none() && degraded.is_none() {
                    first_lost = Some(describe(&finding));
                } else if shown <= FINDINGS_SHOWN {
                    let what = describe(&finding);
                    let _ = writeln!(std::io::stderr(), "kausaldb: {}: {what}", path.display());
                }
            };
            engine.verify(named).map_err(|error| explain::read(path, &error))
        })?;
        let mut figures = Figures::default();
        figures.push("records", Figure::Count(sum.records));
        figures.push("blocks", Figure::Count(sum.blocks));
        figures.push("edges", Figure::Count(sum.edges));
        figures.push("lost", Figure::Count(sum.lost));
        figures.push("harmless", Figure::Count(sum.harmless));
        let first_lost = first_lost.map(|what| explain::lost(path, &what));
        Ok((figures, degraded.or(first_lost)))
    }
}

fn of_stats(stats: &Stats, edges: u64, lists_unreadable: u64) -> Figures {
    let mut figures = Figures::default();
    figures.push("blocks", Figure::Count(stats.blocks.into()));
    figures.push("edges", Figure::Count(edges));
    figures.push("edge_lists_unreadable", Figure::Count(lists_unreadable));
    figures.push("nodes", Figure::Count(stats.nodes.used.into()));
    figures.push("sequence", Figure::Count(stats.sequence.get()));
    figures.push("file_bytes", Figure::Bytes(stats.capacity_bytes));
    figures.push("live_bytes", Figure::Bytes(stats.live_bytes));
    figures.push("dead_bytes", Figure::Bytes(stats.dead_bytes));
    figures.push("free_bytes", Figure::Bytes(stats.free_bytes));
    figures.push("segment_bytes", Figure::Bytes(stats.segment_bytes.into()));
    figures.push("segments", Figure::Count(stats.segments.into()));
    figures.push("segments_live", Figure::Count(stats.segments_live.into()));
    figures.push("segments_free", Figure::Count(stats.segments_free.into()));
    figures.push("segments_bad", Figure::Count(stats.segments_bad.into()));
    figures.push("erases_min", Figure::Count(stats.erases_min.into()));
    figures.push("erases_mean", Figure::Count(stats.erases_mean.into()));
    figures.push("erases_max", Figure::Count(stats.erases_max.into()));
    for (name, pool) in [
        ("nodes_high_water", stats.nodes),
        ("pending_edges_high_water", stats.pending_edges),
        ("hub_pages_high_water", stats.hub_pages),
        ("intents_high_water", stats.intents),
    ] {
        figures.push(name, Figure::Count(pool.high_water.into()));
    }
    figures.push("damaged", Figure::Count(stats.damaged.into()));
    figures.push("region_bytes", Figure::Bytes(stats.region_bytes as u64));
    figures
}

/// Length of the longest block that can be read, in bytes.
fn longest_block(engine: &StorageEngine<'_, MappedFile>) -> Result<u32, ReadError<FileError>> {
    let mut scratch = [0; Workspace::scratch_bytes(1, 1)];
    let Ok(workspace) = Workspace::over(&mut scratch, 1) else { return Ok(0) };
    let mut query = engine.reader().query(workspace);
    let scan = query.scan(Order::OldestFirst)?;
    let mut longest = 0;
    loop {
        match query.next_info(&scan) {
            Ok(Some(block)) => longest = longest.max(block.lens.iter().sum()),
            Ok(None) => return Ok(longest),
            Err(ReadError::Corrupt { .. } | ReadError::Degraded { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The capacity that the store has needed since it was opened, and that a board that opens it needs, with a
/// quarter on top. What high-water marks say nothing of is as for stores with such segments.
fn capacity_for(stats: &Stats, longest_block: u32) -> Capacity {
    let is_small = stats.segment_bytes <= Capacity::SMALL.segment_bytes;
    let base = if is_small { Capacity::SMALL } else { Capacity::HOST };
    let block_bytes = base.block_bytes.max(longest_block);
    let batch_bytes = base.batch_bytes.max(block_bytes.saturating_mul(2));
    stats.capacity(&Capacity { block_bytes, batch_bytes, ..base }, SPARE_PERCENT)
}

/// A finding in a user's words.
fn describe(finding: &Finding) -> String {
    match finding {
        Finding::NoRecord { segment, offset: 0 } => {
            format!("no valid header of segment {segment}")
        }
        Finding::NoRecord { segment, offset } => {
            format!("no valid record in segment {segment} at {offset}")
        }
        Finding::Repaired { segment, offset } => {
            format!("damage in segment {segment} at {offset}, which a repair has dealt with")
        }
        Finding::Header { segment, offset, id, live } => {
            let what =
                if *live { "damaged record" } else { "damaged header, by which nothing is lost," };
            let of = id.map(|id| format!(" of {id}")).unwrap_or_default();
            format!("{what}{of} in segment {segment} at {offset}")
        }
        Finding::Body { segment, offset, id, live } => {
            let what =
                if *live { "damaged record" } else { "damaged record that nothing needs any more" };
            let of = id.map(|id| format!(" of {id}")).unwrap_or_default();
            format!("{what}{of} in segment {segment} at {offset}")
        }
        Finding::OneBit { segment, offset, .. } => {
            format!(
                "one flipped bit in the record in segment {segment} at {offset}: it is mended when it moves"
            )
        }
        Finding::Node { number } => {
            format!("the record of node {number} is not where it should be")
        }
        Finding::List { number, direction } => {
            let way = if *direction == Direction::Out { "out of" } else { "into" };
            format!("the list of edges {way} node {number} cannot be read")
        }
        Finding::OneSided { number, kind, other } => {
            format!(
                "node {number} has an edge of kind {kind} with node {other}, which does not know of it"
            )
        }
        Finding::LiveBytes { kept, found } => {
            format!("{kept} live bytes were counted, and {found} are there")
        }
        Finding::Memory { table } => format!("the {table} in memory contradict themselves"),
        _ => "something else is wrong".to_owned(),
    }
}
