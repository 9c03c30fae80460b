//! The image with thousands of blocks on SPI flash: what it prints is what a command finds in its dump.

use super::machine::Machine;
use super::{Board, numbers_in, size};
use crate::steps::Line;
use crate::{Failure, House};

/// The board that has it, and the image's name.
pub(super) const BOARD: &str = "ast1030-evb";
const IMAGE: &str = "ast1030-evb-large";

/// Blocks that the image has at least.
const BLOCKS_MIN: u64 = 10_000;
/// Code, static RAM and stack, in bytes: as a board's budget.
const BYTES_MAX: [usize; 3] = [168_500, 305_000, 8_600];
/// Instructions of its calls, in the order in which the image makes them, and how many each may take. The put
/// is one that looks at what lives in each of 1,024 segments, as it does after each segment that is opened.
const CALLS: &[(&str, u64)] = &[
    ("open", 286_000_000),
    ("find, hit, through the driver", 1_700),
    ("find, miss", 2_400),
    ("put", 153_000),
    ("link", 67_000),
    ("neighbours", 12_400),
    ("open, in memory", 282_000_000),
    ("find, hit, in memory", 850),
    ("find, miss", 920),
    ("neighbours, in memory", 10_200),
];

/// Runs the image, reads its dump on the host, and holds it to its budget.
///
/// # Errors
/// It does not run to its end, the dump holds something else, or it takes more than it may.
pub(super) fn check(house: &House, board: &Board) -> Result<(), Failure> {
    eprintln!("    {IMAGE}");
    // As anyone would run it.
    let run = format!("run --quiet --release --locked --bin {IMAGE}");
    Line::cargo(&run).within(board.folder()).run(house)?;
    let machine = Machine::with(house, board, IMAGE)?;
    size::check_bytes(&machine, BYTES_MAX)?;
    let printed = size::check_calls(&machine, &["dump=dump.bin"], CALLS)?;
    dump_opens_on_the_host(&machine, &printed)
}

/// What the image has printed of its blocks and edges is what the command counts, and all of it is sound.
fn dump_opens_on_the_host(machine: &Machine<'_>, printed: &str) -> Result<(), Failure> {
    let line = |start: &str| printed.lines().find_map(|line| line.strip_prefix(start));
    // "through the driver: 10000 blocks, 19996 edges", "in memory: 10001 blocks, none copied"
    let [read, mapped] = ["through the driver: ", "in memory: "]
        .map(|start| line(start).map(numbers_in).unwrap_or_default());
    let ([blocks, edges], [mapped]) = (read.as_slice(), mapped.as_slice()) else {
        return Err(Failure::Failed(format!("the image does not say what it read: {printed}")));
    };
    let dump = machine.work.join("dump.bin");
    let stats = machine.kausaldb(&dump, "--json stats")?;
    // One more was written with one of its edges, when calls were measured.
    let expected = [format!("\"blocks\":{}", blocks + 1), format!("\"edges\":{}", edges + 1)];
    if *blocks < BLOCKS_MIN
        || *mapped != blocks + 1
        || !expected.iter().all(|part| stats.contains(part))
    {
        return Err(Failure::Failed(format!(
            "the image prints {printed}, and its dump holds {stats}"
        )));
    }
    machine.kausaldb(&dump, "verify")?;
    eprintln!("    {blocks} blocks and {edges} edges read both ways; the dump is sound");
    Ok(())
}
