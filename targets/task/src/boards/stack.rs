//! A stack that lies below what is static: where it is spent the processor faults, and nothing else is hurt.

use super::elf::Elf;
use super::machine::Machine;
use crate::Failure;

/// What is left of the stack for the fault to come, in bytes.
const LEFT_BYTES: u64 = 1024;

/// A copy of the image whose stack starts so low that it cannot hold all of its work does not come to its
/// end, but locks the processor up.
///
/// # Errors
/// It came to its end, or failed for another reason.
pub(super) fn check(machine: &Machine<'_>) -> Result<(), Failure> {
    let elf = Elf::read(&machine.image)?;
    let start = elf.address("_stack_end")? + LEFT_BYTES;
    // The first word that the processor loads.
    let short = elf.with_word(".vector_table", start as u32)?;
    match machine.with_image(&short)?.run(&[]) {
        Err(Failure::Failed(what)) if what.contains("Lockup") => {
            eprintln!(
                "    with a stack of {LEFT_BYTES} bytes the processor locks up, as it should"
            );
            Ok(())
        }
        Err(other) => Err(other),
        Ok(told) => Err(Failure::Failed(format!(
            "a stack of {LEFT_BYTES} bytes was enough, or was outgrown unseen: {told}"
        ))),
    }
}
