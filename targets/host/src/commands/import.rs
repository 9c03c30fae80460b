//! `import`: JSON lines into the store, a batch at a time.

use crate::error::{Failure, Outcome};
use crate::graph::GraphMut;
use crate::jsonl::{self, LineError, Lines};
use crate::limits::{BATCH_BYTES_MAX, BLOCK_BYTES_MAX};
use crate::operation::{Batch, Operation};
use kausaldb::Sequence;
use serde::Serialize;
use std::io::{BufRead, Write};

/// What importing came to.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Report {
    /// Lines read and stored.
    pub(crate) lines: u64,
    /// Batches they were stored in.
    pub(crate) batches: u64,
    /// Where in the log the last batch ended.
    pub(crate) sequence: Option<u64>,
}

/// How to import.
pub(crate) struct Options<'a> {
    /// The input's name, for errors.
    pub(crate) name: &'a str,
    /// Operations in a batch, at most; a batch also ends before it would be larger than the store takes.
    pub(crate) batch: usize,
    /// Whether to make each batch durable and say so.
    pub(crate) acks: bool,
}

/// Reads every line of `input` into the store. When it returns, everything it stored is durable.
///
/// # Errors
/// A bad line, with its number and reason: earlier batches stay, and nothing of its own batch is stored.
/// Or the store, the input or the output fails.
pub(crate) fn import(
    store: &mut impl GraphMut,
    input: impl BufRead,
    options: &Options<'_>,
    out: &mut impl Write,
) -> Outcome<Report> {
    let mut lines = Lines::new(input);
    let mut importer =
        Importer { store, options, out, batch: Batch::default(), report: Report::default() };
    let result = importer.lines(&mut lines);
    // Also what came before a bad line stays.
    importer.store.sync()?;
    result.map(|()| importer.report)
}

struct Importer<'a, S, W> {
    store: &'a mut S,
    options: &'a Options<'a>,
    out: &'a mut W,
    batch: Batch,
    report: Report,
}

impl<S: GraphMut, W: Write> Importer<'_, S, W> {
    fn lines(&mut self, lines: &mut Lines<impl BufRead>) -> Outcome {
        loop {
            let number = lines.number() + 1;
            let line = lines.next_line().map_err(|error| self.bad(number, &error))?;
            let Some(line) = line else { break };
            let operation = parse(line).map_err(|error| self.bad(number, &error))?;
            if self.batch.would_exceed(&operation, BATCH_BYTES_MAX) {
                self.flush(number - 1)?;
            }
            self.batch.push(operation);
            if self.batch.len() >= self.options.batch {
                self.flush(number)?;
            }
        }
        self.flush(lines.number())
    }

    /// Writes the batch, which ends with line `lines`.
    fn flush(&mut self, lines: u64) -> Outcome {
        if self.batch.len() == 0 {
            return Ok(());
        }
        let sequence: Sequence = self.store.write(self.batch.operations())?;
        self.batch.clear();
        self.report =
            Report { lines, batches: self.report.batches + 1, sequence: Some(sequence.get()) };
        if self.options.acks {
            self.store.sync()?;
            writeln!(self.out, "committed {sequence} {lines}")?;
            self.out.flush()?;
        }
        Ok(())
    }

    fn bad(&self, number: u64, error: &LineError) -> Failure {
        let name = self.options.name;
        let stored = match self.report.lines {
            0 => "nothing of it is stored".to_owned(),
            1 => "line 1 is stored".to_owned(),
            lines => format!("lines 1 to {lines} are stored"),
        };
        Failure::usage(format_args!(
            "{name}: line {number}: {error}; {stored}: correct the line and import again"
        ))
    }
}

/// What a line says, if a store can take it.
fn parse(line: &[u8]) -> Result<Operation, LineError> {
    let operation = jsonl::parse(line)?;
    if let Operation::Put(block) = &operation {
        let bytes = block.source_uri.len() + block.metadata.len() + block.content.len();
        if bytes > BLOCK_BYTES_MAX {
            return Err(LineError::Bad(format!(
                "the block has {bytes} bytes, more than the {BLOCK_BYTES_MAX} that fit"
            )));
        }
    }
    Ok(operation)
}
