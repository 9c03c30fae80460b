//! The crate behind `cargo task NAME`: every chore of this repository, runnable from any folder of it.
//!
//! It uses the standard library only, so it is ready a second after a fresh clone. To add a task, write one
//! function in a module of its own and one entry in [`TASKS`].
//!
//! Exit codes: 0 done, 1 something failed (and was named), 2 wrong usage.

mod bench;
mod boards;
mod fuzz;
mod million;
mod miri;
mod package;
mod peers;
mod planted;
mod setup;
mod size;
mod steps;
mod swarm;
mod sweep;
mod test;
mod tidy;

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A chore with a name.
struct Task {
    name: &'static str,
    summary: &'static str,
    run: fn(&House, &[String]) -> Result<(), Failure>,
}

/// Every task, in the order in which `help` lists them.
const TASKS: &[Task] = &[
    Task { name: "test", summary: "everything that must hold, cheap checks first", run: test::run },
    Task { name: "tidy", summary: "the house rules that a machine can check", run: tidy::run },
    Task {
        name: "package",
        summary: "the library crates, packed together and built from their packages",
        run: package::run,
    },
    Task {
        name: "boards",
        summary: "the firmware images in QEMU: what they record, dumps, power cuts, sizes",
        run: boards::run,
    },
    Task { name: "size", summary: "what the store's code takes in firmware", run: size::run },
    Task { name: "bench", summary: "the memory model in figures, a few minutes", run: bench::run },
    Task {
        name: "peers",
        summary: "flash traffic beside sequential-storage and ekv, as one table; two minutes",
        run: peers::run,
    },
    Task {
        name: "million",
        summary: "a million blocks and ten million edges: imported, compared, verified, measured",
        run: million::run,
    },
    Task {
        name: "miri",
        summary: "the memory model under Miri, also big-endian (needs a nightly toolchain)",
        run: miri::run,
    },
    Task {
        name: "planted",
        summary: "faults planted in the core, each of which the tests must notice",
        run: planted::run,
    },
    Task {
        name: "sweep",
        summary: "damage to thousands of images, or: cuts, boots, files, boards; their counts",
        run: sweep::run,
    },
    Task {
        name: "fuzz",
        summary: "the fuzz targets, a minute each or so many seconds (needs nightly and cargo-fuzz)",
        run: fuzz::run,
    },
    Task {
        name: "swarm",
        summary: "thirty million random operations under power cuts and faults; their throughput",
        run: swarm::run,
    },
    Task { name: "help", summary: "this list", run: help },
];

/// Why a task did not succeed.
#[derive(Debug)]
enum Failure {
    /// The command line asks for something that does not exist.
    Usage(String),
    /// The task ran and found a fault, or could not run; says so in one line.
    Failed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(what) | Self::Failed(what)) = self;
        f.write_str(what)
    }
}

/// The repository that the tasks work on.
struct House {
    root: PathBuf,
}

impl House {
    /// The repository that holds this crate, wherever the task was called from.
    fn locate() -> Self {
        let built_in = || env!("CARGO_MANIFEST_DIR").into();
        let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(built_in, PathBuf::from);
        let root = here.ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf();
        Self { root }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Err(failure) = dispatch(&arguments) else { return ExitCode::SUCCESS };
    eprintln!("{failure}");
    if let Failure::Failed(_) = failure {
        return ExitCode::from(1);
    }
    eprintln!("\n{List}");
    ExitCode::from(2)
}

fn dispatch(arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Failure::Usage("which task?".into()));
    };
    let name = if matches!(name.as_str(), "-h" | "--help") { "help" } else { name };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        return Err(Failure::Usage(format!("no task is called {name:?}")));
    };
    (task.run)(&House::locate(), rest)
}

fn help(_: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("help", arguments)?;
    println!("{List}");
    Ok(())
}

/// Refuses arguments, for a task that knows none.
fn takes_nothing(task: &str, arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(first) => Err(Failure::Usage(format!("{task} takes no argument, not {first:?}"))),
    }
}

/// The tasks, a line each.
struct List;

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "usage: cargo task NAME")?;
        TASKS.iter().try_for_each(|task| write!(f, "\n  {:<9}{}", task.name, task.summary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[&str]) -> Result<(), Failure> {
        dispatch(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn an_unknown_task_an_absent_one_and_a_surplus_argument_are_wrong_usage() {
        for arguments in
            [&["nothing"][..], &[], &["help", "me"], &["tidy", "--fast"], &["bench", "all"]]
        {
            assert!(matches!(call(arguments), Err(Failure::Usage(_))), "{arguments:?}");
        }
        assert!(call(&["help"]).is_ok());
    }

    #[test]
    fn the_list_names_every_task_once() {
        let list = List.to_string();
        for task in TASKS {
            assert_eq!(list.matches(task.summary).count(), 1, "{}", task.name);
            assert_eq!(TASKS.iter().filter(|other| other.name == task.name).count(), 1);
        }
    }

    #[test]
    fn the_house_is_found() {
        assert!(House::locate().root.join("core/src/lib.rs").is_file());
    }
}
