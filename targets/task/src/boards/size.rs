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

/// The calls whose instructions are counted, in the order in which a recorder's image makes them.
const CALLS: [&str; 6] = ["open", "find, hit", "find, miss", "put", "link", "neighbours"];

/// Measures the image while it does all that it does without a power cut, prints rows of the table, and holds
/// it to its budget.
///
/// # Errors
/// It takes more than it may.
pub(super) fn check(board: &Board, machine: &Machine<'_>) -> Result<(), Failure> {
    let Budget { code_bytes, ram_bytes, stack_bytes, instructions } = board.budget;
    check_bytes(machine, [code_bytes, ram_bytes, stack_bytes])?;
    let calls = CALLS.into_iter().zip(instructions).collect::<Vec<_>>();
    check_calls(machine, &["cost"], &calls).map(|_| ())
}

/// Measures what the image takes while it does its work: its code, its static RAM and its stack.
///
/// # Errors
/// One of them is more than it may be.
pub(super) fn check_bytes(machine: &Machine<'_>, budgets: [usize; 3]) -> Result<(), Failure> {
    let elf = Elf::read(&machine.image)?;
    let bytes = |sections: &[&str]| sections.iter().map(|name| elf.section_bytes(name)).sum();
    // Where the stack lies below what is static, the image says where it ends.
    let low = elf.address("_stack_end").or_else(|_| elf.address("_sheap"))?;
    let high = elf.address("_stack_start")?;
    let (_, said) = machine.measure(&[], &format!("stack={low:x}:{high:x}"))?;
    let lowest = said.lines().find_map(|line| line.strip_prefix("stack "));
    let lowest = lowest.and_then(|lowest| u64::from_str_radix(lowest, 16).ok());
    let stack = lowest.map_or(0, |lowest| high.saturating_sub(lowest)) as usize;
    let taken = [
        ("code", bytes(&[".text", ".rodata"])),
        ("static RAM", bytes(&[".data", ".bss"])),
        ("stack", stack),
    ];
    let row = taken.map(|(what, bytes)| format!("{what} {bytes}")).join(", ");
    eprintln!("    bytes: {row}");
    match taken.iter().zip(budgets).find(|((_, bytes), budget)| bytes > budget) {
        Some(((what, bytes), budget)) => Err(Failure::Failed(format!(
            "{}: {what} takes {bytes} bytes of {budget}",
            machine.image.display()
        ))),
        None => Ok(()),
    }
}

/// Counts the instructions of these calls, which may take so many; returns what the image printed. The counts
/// are exact, and the same in each run; what an instruction costs, they do not say.
///
/// # Errors
/// A call takes more, or the image makes others.
pub(super) fn check_calls(
    machine: &Machine<'_>,
    arguments: &[&str],
    calls: &[(&str, u64)],
) -> Result<String, Failure> {
    let elf = Elf::read(&machine.image)?;
    let (begin, end) = (elf.address("begin_section")?, elf.address("end_section")?);
    let (printed, said) = machine.measure(arguments, &format!("sections={begin:x}:{end:x}"))?;
    let sections =
        said.lines().filter_map(|line| line.strip_prefix("section ")?.parse::<u64>().ok());
    let counts: Vec<u64> = sections.collect();
    let image = machine.image.display();
    // The first section holds nothing but the marks themselves.
    let Some((nothing, counts)) =
        counts.split_first().filter(|(_, rest)| rest.len() == calls.len())
    else {
        return Err(Failure::Failed(format!("{image}: the counts are missing: {said}")));
    };
    let counts = counts.iter().map(|count| count.saturating_sub(*nothing));
    let counted: Vec<_> = calls.iter().zip(counts).collect();
    let row = counted.iter().map(|((call, _), count)| format!("{call} {count}"));
    eprintln!("    instructions: {}", row.collect::<Vec<_>>().join("; "));
    match counted.iter().find(|((_, budget), count)| count > budget) {
        Some(((call, budget), count)) => {
            Err(Failure::Failed(format!("{image}: {call} takes {count} instructions of {budget}")))
        }
        None => Ok(printed),
    }
}
