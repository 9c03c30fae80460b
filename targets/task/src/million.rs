//! `cargo task million`: a million generated blocks with ten million edges, imported, compared with what was
//! generated, and verified; and what that takes.
//!
//! The same is done with a tenth of it first, since the memory beyond the region (and the map of the file,
//! which is no memory of the process) must not grow with the number of blocks. What it takes is sampled from
//! `/proc/PID/status` while the import runs, so that this task needs Linux. It takes minutes, and 3 GB of the
//! folder for temporary files.

use crate::steps::Line;
use crate::{Failure, House, takes_nothing};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SIZES: [u64; 2] = [100_000, 1_000_000];
const SEED: &str = "1";
const SAMPLES: &str = "10000";
/// By so much may the memory beyond the region differ between the sizes, in bytes: the allocator's play.
const GROWTH_BYTES_MAX: u64 = 8 << 20;
/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(10);

/// Imports, compares and verifies both sizes.
///
/// # Errors
/// Something differs or is lost, or memory grew with the number of blocks.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("million", arguments)?;
    Line::cargo("build --release -p kausaldb-cli --bin kausaldb --example million").run(house)?;
    let folder = env::temp_dir().join(format!("kausaldb-million-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| failed(folder.display(), error))?;
    let measured = measure_both(&Tools::locate()?, &folder);
    // What cannot be removed lies in a folder for temporary files.
    let _ = fs::remove_dir_all(&folder);
    let [small, large] = measured?;
    let growth = large.abs_diff(small);
    if growth > GROWTH_BYTES_MAX {
        return Err(Failure::Failed(format!(
            "memory beyond the region is {large} bytes for {} blocks, and {small} for {}",
            SIZES[1], SIZES[0]
        )));
    }
    Ok(())
}

fn failed(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("{what}: {why}"))
}

/// Returns the memory beyond the region, for both sizes.
fn measure_both(tools: &Tools, folder: &Path) -> Result<[u64; 2], Failure> {
    let mut beyond = [0; 2];
    for (beyond, blocks) in beyond.iter_mut().zip(SIZES) {
        *beyond = measure(tools, folder, blocks)?;
    }
    Ok(beyond)
}

/// The programs under test, as cargo has just built them.
struct Tools {
    kausaldb: PathBuf,
    million: PathBuf,
}

impl Tools {
    /// They lie beside this program: `task/kausaldb-task`, `release/kausaldb`, `release/examples/million`.
    fn locate() -> Result<Self, Failure> {
        let this = env::current_exe().map_err(|error| failed("this program", error))?;
        let built = this.ancestors().nth(2).unwrap_or(Path::new(".")).join("release");
        let program = |name: &str| built.join(name).with_extension(env::consts::EXE_EXTENSION);
        Ok(Self { kausaldb: program("kausaldb"), million: program("examples/million") })
    }
}

/// Imports, compares and verifies so many blocks; returns the memory beyond the region, in bytes.
fn measure(tools: &Tools, folder: &Path, blocks: u64) -> Result<u64, Failure> {
    let (store, blocks_text) = (folder.join(format!("{blocks}.kdb")), blocks.to_string());
    println!("{blocks} blocks");
    let mut generate = Command::new(&tools.million);
    generate.args(["generate", &blocks_text, SEED]).stdout(Stdio::piped());
    let mut generating = spawn(&mut generate)?;
    let mut import = Command::new(&tools.kausaldb);
    import.arg("--store").arg(&store).args(["--json", "import", "-"]).stdout(Stdio::piped());
    import.stdin(generating.stdout.take().map_or_else(Stdio::null, Stdio::from));
    let begun = Instant::now();
    let importing = spawn(&mut import)?;
    let (peak, said) = watch(importing)?;
    println!("  import: {:.1} s", begun.elapsed().as_secs_f64());
    generating.wait().map_err(|error| failed("million generate", error))?;
    let region = number_after(&said, "\"region_bytes\":")
        .ok_or_else(|| failed("import", format_args!("says no region: {said}")))?;
    let beyond = peak.saturating_sub(region);
    println!(
        "  region: {region} bytes; anonymous memory at its peak: {peak}, beyond the region: {beyond}"
    );
    timed(
        "compare",
        Command::new(&tools.million).arg("check").arg(&store).args([&blocks_text, SEED, SAMPLES]),
    )?;
    timed("verify", Command::new(&tools.kausaldb).arg("--store").arg(&store).arg("verify"))?;
    timed("stats", Command::new(&tools.kausaldb).arg("--store").arg(&store).arg("stats"))?;
    fs::remove_file(&store).map_err(|error| failed(store.display(), error))?;
    Ok(beyond)
}

fn spawn(command: &mut Command) -> Result<Child, Failure> {
    let program = PathBuf::from(command.get_program());
    command.spawn().map_err(|error| failed(program.display(), error))
}

/// Waits for the import to end; returns the most anonymous memory that it had, in bytes, and what it printed.
fn watch(mut importing: Child) -> Result<(u64, String), Failure> {
    let (status, mut peak) = (format!("/proc/{}/status", importing.id()), 0);
    // Ends with the import.
    while importing.try_wait().map_err(|error| failed("import", error))?.is_none() {
        let now = fs::read_to_string(&status).unwrap_or_default();
        peak = peak.max(number_after(&now, "RssAnon:").unwrap_or(0) * 1024);
        sleep(EVERY);
    }
    let output = importing.wait_with_output().map_err(|error| failed("import", error))?;
    if !output.status.success() {
        return Err(failed("import", output.status));
    }
    Ok((peak, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn timed(what: &str, command: &mut Command) -> Result<(), Failure> {
    let begun = Instant::now();
    let output = command.output().map_err(|error| failed(what, error))?;
    println!("  {what}: {:.1} s", begun.elapsed().as_secs_f64());
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().for_each(|line| println!("    {line}"));
    if output.status.success() {
        return Ok(());
    }
    Err(failed(what, String::from_utf8_lossy(&output.stderr).trim_end()))
}

/// The number behind a word.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let rest = rest.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_their_words() {
        assert_eq!(number_after("VmPeak:\t 9 kB\nRssAnon:\t   1234 kB\n", "RssAnon:"), Some(1234));
        assert_eq!(number_after(r#"{"lines":7,"region_bytes":42}"#, "\"region_bytes\":"), Some(42));
        assert_eq!(number_after("nothing", "RssAnon:"), None);
    }
}
