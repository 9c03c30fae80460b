//! From arguments to a command on a store: which commands write, what they print, and in which words they
//! end.

use crate::args::{Arguments, Command, Create, Import, Index, Neighbours};
use crate::commands::progress::Progress;
use crate::commands::query::{self, Wanted};
use crate::commands::{export, import, salvage};
use crate::error::{Failure, Outcome, one_line};
use crate::graph::Order;
use crate::index;
use crate::store::{self, Store};
use kausaldb::{Direction, EdgeKind};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Does what the arguments say.
///
/// # Errors
/// One line for the user, with its exit code.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let result = command(arguments, &mut out);
    let flushed = out.flush();
    result?;
    Ok(flushed?)
}

fn command(arguments: &Arguments, out: &mut impl Write) -> Outcome {
    let (path, json) = (arguments.store.as_path(), arguments.json);
    match &arguments.command {
        Command::Create(create) => create_store(path, create, json, out),
        Command::Index(options) => index_tree(path, options, json, out),
        Command::Import(options) => import_lines(path, options, json, out),
        Command::Export => read(path, |store| export::export(store, out)),
        Command::Get { id } => read(path, |store| query::get(store, id, json, out)),
        Command::Find { name } => read(path, |store| query::find(store, name, json, out)),
        Command::Neighbours(options) => {
            let wanted = Wanted { ways: ways(options), kind: options.kind };
            read(path, |store| query::neighbours(store, &options.node, &wanted, json, out))
        }
        Command::Callers { name } => {
            let wanted = Wanted { ways: &[Direction::In], kind: Some(EdgeKind::CALLS) };
            read(path, |store| query::neighbours(store, name, &wanted, json, out))
        }
        Command::Callees { name } => {
            let wanted = Wanted { ways: &[Direction::Out], kind: Some(EdgeKind::CALLS) };
            read(path, |store| query::neighbours(store, name, &wanted, json, out))
        }
        Command::Scan(options) => {
            let order = if options.reverse { Order::NewestFirst } else { Order::OldestFirst };
            read(path, |store| query::scan(store, order, options.limit, json, out))
        }
        Command::Stats { capacity } => {
            let mut store = Store::open_read_only(path)?;
            store.stats(*capacity)?.print(json, out)?;
            store.damage().map_or(Ok(()), Err)
        }
        Command::Verify => {
            let (figures, lost) = Store::open_read_only(path)?.verify()?;
            figures.print(json, out)?;
            lost.map_or(Ok(()), Err)
        }
        Command::Repair => Store::repair(path)?.print(json, out),
        Command::Salvage { new } => {
            let salvaged = store::salvage(path, new)?;
            salvage::print(&salvaged, new, json, out)?;
            salvage::losses(&salvaged, path, new).map_or(Ok(()), Err)
        }
        Command::Scrub => {
            let (figures, damaged) = Store::open(path)?.scrub()?;
            figures.print(json, out)?;
            damaged.map_or(Ok(()), Err)
        }
        Command::Compact => Store::open(path)?.compact()?.print(json, out),
        Command::Grow { size } => Store::open(path)?.grow(*size)?.print(json, out),
    }
}

/// Asks a store; what was damaged on the way is said after what was found, and instead of that nothing was.
fn read(path: &Path, ask: impl FnOnce(&Store) -> Outcome) -> Outcome {
    let store = Store::open_read_only(path)?;
    let asked = ask(&store);
    match store.damage() {
        Some(damage) if asked.as_ref().err().is_none_or(Failure::is_not_found) => Err(damage),
        _ => asked,
    }
}

fn ways(options: &Neighbours) -> &'static [Direction] {
    match (options.out, options.r#in) {
        (true, false) => &[Direction::Out],
        (false, true) => &[Direction::In],
        _ => &Direction::BOTH,
    }
}

fn create_store(path: &Path, options: &Create, json: bool, out: &mut impl Write) -> Outcome {
    let geometry = store::Shape::of_create(options);
    store::create(path, &geometry)?;
    Store::open_read_only(path)?.stats(true)?.print(json, out)
}

fn index_tree(path: &Path, options: &Index, json: bool, out: &mut impl Write) -> Outcome {
    #[derive(Serialize)]
    struct Summary {
        #[serde(flatten)]
        report: index::Report,
        seconds: f64,
        write_amplification: Option<f64>,
    }
    let begun = Instant::now();
    index::check(&options.directory)?;
    let mut store = Store::open_or_create(path, &options.sizes)?;
    let done = index::index(&mut store, &options.directory, &mut Progress::new())?;
    let write_amplification = store.write_amplification()?;
    // Of what is damaged and not in the tree nobody knows whose it is.
    let damage = store.damage().map_or(Ok(()), Err);
    store.close()?;
    let (report, seconds) =
        (done.report, (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
    if json {
        writeln!(
            out,
            "{}",
            serde_json::to_string(&Summary { report, seconds, write_amplification })?
        )?;
        return damage;
    }
    let index::Report { files, definitions, edges, skipped, written, removed } = report;
    writeln!(
        out,
        "{files} files, {definitions} definitions, {edges} edges, {skipped} skipped, {seconds:.1} seconds \
         ({written} written, {removed} removed{})",
        amplified(write_amplification)
    )?;
    let examples = ["callers", "callees"].into_iter().zip(&done.examples);
    for (at, (command, name)) in examples.filter(|(_, name)| !name.is_empty()).enumerate() {
        if at == 0 {
            writeln!(out, "try:")?;
        }
        writeln!(out, "  {} {command} {}", this_command(path), one_line(name))?;
    }
    damage
}

/// What a summary says of write amplification, where something was written.
fn amplified(ratio: Option<f64>) -> String {
    ratio
        .map(|ratio| format!(", {ratio:.2} bytes on media for each byte given"))
        .unwrap_or_default()
}

/// How the user can run this program again on the same store, the way it was run now.
fn this_command(store: &Path) -> String {
    let program = match std::env::var_os("CARGO") {
        Some(_) if cfg!(debug_assertions) => "cargo run --",
        Some(_) => "cargo run --release --",
        None => "kausaldb",
    };
    if store == Path::new(crate::args::STORE_DEFAULT) {
        program.to_owned()
    } else {
        format!("{program} --store {}", store.display())
    }
}

fn import_lines(path: &Path, options: &Import, json: bool, out: &mut impl Write) -> Outcome {
    #[derive(Serialize)]
    struct Summary {
        #[serde(flatten)]
        report: import::Report,
        region_bytes: usize,
        write_amplification: Option<f64>,
    }
    let name = options.file.display().to_string();
    let input = input(&options.file)?;
    let mut store = Store::open_or_create(path, &options.sizes)?;
    let batch = usize::try_from(options.batch).unwrap_or(usize::MAX);
    let how = import::Options { name: &name, batch, acks: options.acks };
    let report = import::import(&mut store, input, &how, out)?;
    let (region_bytes, write_amplification) = (store.region_bytes(), store.write_amplification()?);
    store.close()?;
    if json {
        let summary = Summary { report, region_bytes, write_amplification };
        writeln!(out, "{}", serde_json::to_string(&summary)?)?;
    } else if !options.acks {
        let (lines, batches) = (report.lines, report.batches);
        let amplified = amplified(write_amplification);
        writeln!(out, "{lines} lines imported in {batches} batches{amplified}")?;
    }
    Ok(())
}

/// The input of `import`: a file, or standard input.
fn input(file: &Path) -> Outcome<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::with_capacity(1 << 16, io::stdin())));
    }
    let refuse = |reason: &dyn std::fmt::Display| {
        Failure::usage(format_args!(
            "{}: {reason}; name a file of JSON lines, or -",
            file.display()
        ))
    };
    let opened = File::open(file).map_err(|error| refuse(&error))?;
    if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(refuse(&"is a directory"));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, opened)))
}
