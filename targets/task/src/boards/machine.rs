//! An image in QEMU: started as `cargo run` starts it, with files of its own, and never for longer than it
//! may.

use super::{Board, FOLDER};
use crate::{Failure, House};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// How long a machine may run.
const SECONDS_MAX: u64 = 120;

/// An image and where its files go.
pub(super) struct Machine<'h> {
    house: &'h House,
    /// The image's file.
    pub(super) image: PathBuf,
    /// The folder in which QEMU runs, empty at first: paths that the image is told start here.
    pub(super) work: PathBuf,
}

impl<'h> Machine<'h> {
    /// The machine for a board's image that was built.
    ///
    /// # Errors
    /// There is no place for its files.
    pub(super) fn of(house: &'h House, board: &Board) -> Result<Self, Failure> {
        Self::with(house, board, board.name)
    }

    /// The machine for the board's image of this name, if the board has several.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(super) fn with(house: &'h House, board: &Board, image: &str) -> Result<Self, Failure> {
        let built = built(house, &board.folder(), FOLDER);
        let work = built.join("machines").join(image);
        let image = built.join(board.target).join("release").join(image);
        let emptied = match fs::remove_dir_all(&work) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(&work),
        };
        emptied.map_err(|error| Failure::Failed(format!("{}: {error}", work.display())))?;
        Ok(Self { house, image, work })
    }

    /// The same machine for another image, which is these bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn with_image(&self, bytes: &[u8]) -> Result<Self, Failure> {
        // It is named after the board, too.
        let image = self.work.join(self.image.file_name().unwrap_or_default());
        fs::write(&image, bytes)
            .map_err(|error| Failure::Failed(format!("{}: {error}", image.display())))?;
        Ok(Self { house: self.house, image, work: self.work.clone() })
    }

    /// Runs the image with these arguments to its end, and returns what it printed.
    ///
    /// # Errors
    /// It ended with a fault, or not in time.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String, Failure> {
        self.run_with(arguments, "")
    }

    /// The same with further options for QEMU, separated by spaces.
    pub(super) fn run_with(&self, arguments: &[&str], options: &str) -> Result<String, Failure> {
        succeed(&mut self.command(arguments, options)).map(|(printed, _)| printed)
    }

    /// Runs the image with these arguments, and returns what it printed, and what the plugin says that it
    /// did; that takes `what`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) fn measure(
        &self,
        arguments: &[&str],
        what: &str,
    ) -> Result<(String, String), Failure> {
        let options = format!("-plugin {},{what}", self.plugin().display());
        succeed(&mut self.command(arguments, &options))
    }

    /// What starts the image with these arguments, and QEMU with these options.
    pub(super) fn command(&self, arguments: &[&str], options: &str) -> Command {
        let mut command = Command::new(self.house.root.join(FOLDER).join("qemu"));
        command.arg(&self.image).args(arguments).current_dir(&self.work);
        command.env("QEMU_OPTIONS", options);
        command
    }

    /// The plugin for QEMU, once [`build_plugin`] has built it.
    pub(super) fn plugin(&self) -> PathBuf {
        plugin(self.house)
    }

    /// The flash of the same run on the host, once the test `boards` of the recorder has written it.
    pub(super) fn host_image(&self) -> PathBuf {
        built(self.house, "", "").join("tmp/boards.bin")
    }

    /// Runs the host's command on a store, and returns what it printed.
    ///
    /// # Errors
    /// It did not end with 0.
    pub(super) fn kausaldb(&self, store: &Path, arguments: &str) -> Result<String, Failure> {
        let mut command = Command::new(built(self.house, "", "").join("debug/kausaldb"));
        command.arg("--store").arg(store).args(arguments.split_whitespace());
        succeed(&mut command).map(|(printed, _)| printed)
    }
}

fn plugin(house: &House) -> PathBuf {
    built(house, FOLDER, FOLDER).join("machines/plugin.so")
}

/// Builds the plugin for QEMU that counts and stops, out of its one file of C.
///
/// # Errors
/// There is no C compiler.
pub(super) fn build_plugin(house: &House) -> Result<(), Failure> {
    let path = plugin(house);
    let folder = path.parent().unwrap_or(&path);
    fs::create_dir_all(folder)
        .map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
    let mut cc = Command::new("cc");
    cc.args("-std=gnu11 -O2 -Wall -Wextra -Wno-unused-parameter -shared -fPIC -o".split(' '));
    cc.arg(&path).arg("targets/task/src/boards/plugin.c").current_dir(&house.root);
    succeed(&mut cc).map(|_| ())
}

/// Where cargo, run in `folder`, puts what it builds of the workspace in `workspace`.
pub(crate) fn built(house: &House, folder: &str, workspace: &str) -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(path) => house.root.join(folder).join(path),
        None => house.root.join(workspace).join("target"),
    }
}

/// Runs a command to its end, and returns its standard output and its standard error.
fn succeed(command: &mut Command) -> Result<(String, String), Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.spawn().and_then(wait);
    let failed = |what: String| Err(Failure::Failed(format!("{command:?}: {what}")));
    match output {
        Ok(output) => {
            let [printed, errors] = [&output.stdout, &output.stderr]
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            match output.status.success() {
                true => Ok((printed, errors)),
                false => failed(format!("{}\n{printed}{errors}", output.status)),
            }
        }
        Err(error) => failed(error.to_string()),
    }
}

/// Waits for the end of a child, which is ended itself when its time is over.
fn wait(mut child: Child) -> std::io::Result<Output> {
    let end = Instant::now() + Duration::from_secs(SECONDS_MAX);
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            child.kill()?;
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output()
}
