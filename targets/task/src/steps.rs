//! Steps: named commands and checks that run one after another until the first fails.
//!
//! A step's output goes straight to the terminal. Its input is closed, so that nothing can wait for an
//! answer. What is printed when a step fails replays it, from anywhere in the repository.

use crate::{Failure, House};
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A command line, kept as what it takes to print it as well as to run it.
pub(crate) struct Line {
    program: &'static str,
    arguments: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
    folder: PathBuf,
}

impl Line {
    /// `program` with `arguments`, which are separated by spaces.
    pub(crate) fn new(program: &'static str, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(String::from).collect();
        Self { program, arguments, variables: Vec::new(), folder: PathBuf::new() }
    }

    /// `cargo` with `arguments`, which are separated by spaces.
    pub(crate) fn cargo(arguments: &str) -> Self {
        Self::new("cargo", arguments)
    }

    /// The same with one more environment variable set.
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// The same in `folder`, counted from the repository's root: cargo looks for its configuration there.
    pub(crate) fn within(self, folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ..self }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It could not be started, or did not exit with 0.
    pub(crate) fn run(&self, house: &House) -> Result<(), Failure> {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        command.current_dir(house.root.join(&self.folder)).envs(self.variables.iter().copied());
        inherit_no_package(&mut command);
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::Failed(format!("{}: {status}", self.program))),
            Err(error) => Err(Failure::Failed(format!("{} does not start: {error}", self.program))),
        }
    }
}

/// Takes away what `cargo run` told this program of its own package, lest a build script mistake it for its
/// own.
pub(crate) fn inherit_no_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let is_ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if is_ours {
            command.env_remove(name);
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.folder != Path::new("") {
            write!(f, "cd {} && ", quoted(&self.folder.to_string_lossy()))?;
        }
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What a step does.
enum Work {
    Line(Line),
    /// A check inside this program, and the command that runs it alone.
    Check(fn(&House) -> Result<(), Failure>, &'static str),
}

/// A named piece of work that succeeds or fails.
pub(crate) struct Step {
    name: &'static str,
    work: Work,
}

impl Step {
    /// A step that runs a command line.
    pub(crate) fn line(name: &'static str, line: Line) -> Self {
        Self { name, work: Work::Line(line) }
    }

    /// A step that runs a check of this program, which `replay` runs alone.
    pub(crate) fn check(
        name: &'static str,
        replay: &'static str,
        check: fn(&House) -> Result<(), Failure>,
    ) -> Self {
        Self { name, work: Work::Check(check, replay) }
    }

    fn run(&self, house: &House) -> Result<(), Failure> {
        match &self.work {
            Work::Line(line) => line.run(house),
            Work::Check(check, _) => check(house),
        }
    }

    fn replay(&self) -> String {
        match &self.work {
            Work::Line(line) => line.to_string(),
            Work::Check(_, replay) => (*replay).into(),
        }
    }
}

/// Runs the steps in order, up to the first that fails, and says how many passed.
///
/// # Errors
/// A step failed; the message counts the steps and tells how to replay that one.
pub(crate) fn run_all(house: &House, steps: &[Step]) -> Result<(), Failure> {
    let whole = Instant::now();
    for (passed, step) in steps.iter().enumerate() {
        eprintln!("\n=== {}/{} {}\n    {}", passed + 1, steps.len(), step.name, step.replay());
        let start = Instant::now();
        if let Err(failure) = step.run(house) {
            let (name, replay) = (step.name, step.replay());
            return Err(Failure::Failed(format!(
                "\nFAILED: {name}: {failure}\nreplay: {replay}\n{passed} passed, 1 failed"
            )));
        }
        eprintln!("    ok, {:.1} s", start.elapsed().as_secs_f64());
    }
    eprintln!("\n{:.0} s", whole.elapsed().as_secs_f64());
    println!("{} passed, 0 failed", steps.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_prints_as_a_shell_would_take_it() {
        let line = Line::cargo("doc --no-deps").with("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(line.to_string(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
        let line = Line::cargo("build --release").within("targets/host");
        assert_eq!(line.to_string(), "cd targets/host && cargo build --release");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_first_failure_ends_the_run_and_names_its_replay() {
        fn fails(_: &House) -> Result<(), Failure> {
            Err(Failure::Failed("planted".into()))
        }
        let steps = [
            Step::check("good", "true", |_| Ok(())),
            Step::line("a program that is not there", Line::new("no-such-program", "")),
            Step::check("never reached", "false", fails),
        ];
        let Err(Failure::Failed(message)) = run_all(&House::locate(), &steps) else {
            panic!("the planted failure passed");
        };
        assert!(message.contains("a program that is not there"), "{message}");
        assert!(message.contains("replay: no-such-program"), "{message}");
        assert!(message.ends_with("1 passed, 1 failed"), "{message}");
        assert!(run_all(&House::locate(), &steps[..1]).is_ok());
    }
}
