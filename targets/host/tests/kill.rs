//! An import that is killed loses nothing that it acknowledged, and leaves no part of a batch behind.
//!
//! `import --acks` is killed with SIGKILL at random points, again and again on the same store, so
//! that recovery also meets what earlier kills left. Each round imports batches that no other round
//! writes, and reads them back through `export` afterwards. What survives a SIGKILL is what the
//! process had written: the page cache stays. Power cuts are the simulator's work.
#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

const ROUNDS: u64 = 100;
/// Lines of a batch: blocks, each followed by an edge.
const BATCH_LINES: u64 = 20;
/// Batches that a round offers: more than it gets to write.
const BATCHES: u64 = 400;
/// Within so many milliseconds of its first acknowledgement, or of its start, an import is killed.
const LIFE_MILLIS: u64 = 60;

/// A sequence of numbers for a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// The id of a block: the round, and the line of its round.
fn id(round: u64, line: u64) -> String {
    format!("{round:016x}{line:016x}")
}

/// All lines of a round. Line n of a batch's even ones puts a block, the odd one behind it links it to the
/// batch's first block.
fn lines(round: u64) -> String {
    let mut text = String::new();
    for line in (0..BATCHES * BATCH_LINES).step_by(2) {
        let (block, first) = (id(round, line), id(round, line - line % BATCH_LINES));
        let content = "x".repeat((line % 97) as usize * 8);
        text += &format!(
            r#"{{"put":{{"id":"{block}","version":1,"source_uri":"u","metadata":1,"content":"{content}"}}}}"#
        );
        text += "\n";
        text += &format!(r#"{{"link":{{"source":"{block}","kind":"calls","target":"{first}"}}}}"#);
        text += "\n";
    }
    text
}

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kausaldb"));
    command.args(arguments.split_whitespace()).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Imports a round's lines and kills the import; returns how many lines it acknowledged.
fn import_and_kill(folder: &Path, round: u64, random: &mut Random) -> u64 {
    let arguments = format!("import - --batch {BATCH_LINES} --acks --size 2M --segment-size 64K");
    let mut child = command(folder, &arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || {
        // Breaks off when the import is killed.
        let _ = input.write_all(lines(round).as_bytes());
        // Held open, so that the import never comes to its own end.
        std::thread::sleep(Duration::from_millis(2 * LIFE_MILLIS));
    });
    let mut acks = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    // One round in four is killed while it opens the store.
    if random.below(4) > 0 {
        acks.read_line(&mut first).unwrap();
    }
    std::thread::sleep(Duration::from_micros(random.below(LIFE_MILLIS * 1000)));
    child.kill().unwrap();
    child.wait().unwrap();
    feeding.join().unwrap();
    // An acknowledgement that the kill cut short is none.
    let whole = std::iter::once(first).chain(std::iter::from_fn(|| {
        let mut line = String::new();
        (acks.read_line(&mut line).unwrap() > 0).then_some(line)
    }));
    let acknowledged = whole.filter(|line| line.ends_with('\n')).last();
    acknowledged.map_or(0, |ack| {
        assert!(ack.starts_with("committed "), "{ack}");
        ack.split_whitespace().last().unwrap().parse().unwrap()
    })
}

/// The lines that the store exports, by round.
fn export(folder: &Path, what: &str) -> BTreeMap<u64, BTreeSet<String>> {
    let output = command(folder, "export").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{what}: {stderr}");
    let mut rounds: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        // The first id of a line begins with its round.
        let start = line.find(":\"").unwrap() + 2;
        let round = u64::from_str_radix(&line[start..start + 16], 16).unwrap();
        assert!(rounds.entry(round).or_default().insert(line.to_owned()), "{what}: twice: {line}");
    }
    rounds
}

#[test]
fn a_killed_import_keeps_what_it_acknowledged_and_no_part_of_a_batch() {
    let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(seed);
    let mut random = Random(seed.into());
    let mut folder = tempfile::tempdir().unwrap();
    let mut kept: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let mut acknowledged_sum = 0;
    for round in 0..ROUNDS {
        let what = format!("SEED={seed} round {round}");
        // A fresh store now and then, so that creating and growing one are killed as well.
        if round % 25 == 0 {
            (folder, kept) = (tempfile::tempdir().unwrap(), BTreeMap::new());
        }
        let acknowledged = import_and_kill(folder.path(), round, &mut random);
        acknowledged_sum += acknowledged;
        if !folder.path().join("kausal.kdb").exists() {
            assert_eq!(acknowledged, 0, "{what}: the store is gone");
            continue;
        }
        let mut stored = export(folder.path(), &what);
        let new = stored.remove(&round).unwrap_or_default();
        assert!(stored == kept, "{what}: an earlier round changed");
        let given = lines(round);
        let given: Vec<&str> = given.lines().collect();
        let count = new.len() as u64;
        assert!(count >= acknowledged, "{what}: {acknowledged} acknowledged, {count} left");
        assert_eq!(count % BATCH_LINES, 0, "{what}: a part of a batch");
        let expected: BTreeSet<String> =
            given[..new.len()].iter().map(|line| (*line).to_owned()).collect();
        assert!(new == expected, "{what}: not the first {count} lines");
        if !new.is_empty() {
            kept.insert(round, new);
        }
    }
    assert!(acknowledged_sum > ROUNDS * BATCH_LINES, "hardly anything was written");
    let verified = command(folder.path(), "verify").output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "SEED={seed}: {verified:?}");
}
