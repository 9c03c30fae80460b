//! What an image takes: code, static RAM, stack, and instructions for one call of each kind; and how much of
//! each it may take at most.

use super::Board;
use super::elf::Elf;
use super::machine::Machine;
use crate::Failure;

/// Bytes that an image may take. Each is what it took when it was last looked at, rounded up; an entry only
/// ever gets smaller.
pub(crate) struct Budget {
    /// Its code and constants.
    pub(crate) code_bytes: usize,
    /// Its static RAM: the store's region, the heap, and what else has a fixed place.
    pub(crate) ram_bytes: usize,
    /// Its stack at the deepest.
    pub(crate) stack_bytes: usize,
    /// Instructions for one call of each of [`CALLS`].
    pub(crate) instructions: [u64; 6],
}

/// The calls whose instructions are counted, in the order in which the image makes them.
const CALLS: [&str; 6] = ["open", "find, hit", "find, miss", "put", "link", "neighbours"];

/// Measures the image while it does all that it does without a power cut, prints a row of the table, and
/// holds it to its budget.
///
/// # Errors
/// It takes more than it may.
pub(super) fn check(board: &Board, machine: &Machine<'_>) -> Result<(), Failure> {
    let elf = Elf::read(&machine.image)?;
    let bytes = |sections: &[&str]| sections.iter().map(|name| elf.section_bytes(name)).sum();
    let (low, high) = (elf.address("_sheap")?, elf.address("_stack_start")?);
    let said = machine.measure(&[], &format!("stack={low:x}:{high:x}"))?;
    let lowest = said.lines().find_map(|line| line.strip_prefix("stack "));
    let lowest = lowest.and_then(|lowest| u64::from_str_radix(lowest, 16).ok());
    let stack = lowest.map_or(0, |lowest| high.saturating_sub(lowest)) as usize;
    let Budget { code_bytes, ram_bytes, stack_bytes, .. } = board.budget;
    let taken = [
        ("code", bytes(&[".text", ".rodata"]), code_bytes),
        ("static RAM", bytes(&[".data", ".bss"]), ram_bytes),
        ("stack", stack, stack_bytes),
    ];
    let row = taken.map(|(what, bytes, _)| format!("{what} {bytes}")).join(", ");
    eprintln!("    bytes: {row}");
    match taken.iter().find(|(_, bytes, budget)| bytes > budget) {
        Some((what, bytes, budget)) => {
            Err(Failure::Failed(format!("{}: {what} takes {bytes} bytes of {budget}", board.name)))
        }
        None => check_calls(board, machine, &elf),
    }
}

/// Counts instructions. They are exact, and the same in each run; what an instruction costs, they do not say.
fn check_calls(board: &Board, machine: &Machine<'_>, elf: &Elf) -> Result<(), Failure> {
    let (begin, end) = (elf.address("begin_section")?, elf.address("end_section")?);
    let said = machine.measure(&["cost"], &format!("sections={begin:x}:{end:x}"))?;
    let sections =
        said.lines().filter_map(|line| line.strip_prefix("section ")?.parse::<u64>().ok());
    let counts: Vec<u64> = sections.collect();
    // The first section holds nothing but the marks themselves.
    let Some((nothing, counts)) =
        counts.split_first().filter(|(_, rest)| rest.len() == CALLS.len())
    else {
        return Err(Failure::Failed(format!("{}: the counts are missing: {said}", board.name)));
    };
    let counts = counts.iter().map(|count| count.saturating_sub(*nothing));
    let calls: Vec<_> = CALLS.iter().zip(counts).zip(board.budget.instructions).collect();
    let row = calls.iter().map(|((call, count), _)| format!("{call} {count}"));
    eprintln!("    instructions: {}", row.collect::<Vec<_>>().join("; "));
    match calls.iter().find(|((_, count), budget)| count > budget) {
        Some(((call, count), budget)) => Err(Failure::Failed(format!(
            "{}: {call} takes {count} instructions of {budget}",
            board.name
        ))),
        None => Ok(()),
    }
}
