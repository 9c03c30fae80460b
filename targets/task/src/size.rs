//! `cargo task size`: what the store's code takes in a firmware image, held to a budget.
//!
//! Two images in `targets/cortex-m/size` differ in the store only: one opens and recovers, puts, finds,
//! deletes, links, reads edges and compacts; the other one calls the same medium and nothing else. What the
//! first takes more is the store's.

use crate::boards::{Elf, built};
use crate::steps::Line;
use crate::{Failure, House, setup, takes_nothing};

/// The folder of the images, counted from the repository's root.
pub(crate) const FOLDER: &str = "targets/cortex-m/size";

/// A target, and what the store's code and constants may take on it, in bytes.
const BUDGETS: &[(&str, usize)] =
    &[("thumbv7em-none-eabihf", 94_000), ("thumbv6m-none-eabi", 96_000)];

/// The task.
///
/// # Errors
/// An image does not build, or the store takes more than it may.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("size", arguments)?;
    setup::complete(house)?;
    check(house)
}

/// The same as a step of a longer run.
pub(crate) fn check(house: &House) -> Result<(), Failure> {
    for (target, budget_bytes) in BUDGETS {
        let build = format!("build --quiet --release --locked --target {target}");
        Line::cargo(&build).within(FOLDER).run(house)?;
        let release = built(house, FOLDER, FOLDER).join(target).join("release");
        let [store, bare] = ["store", "bare"].map(|image| {
            let image = Elf::read(&release.join(image))?;
            Ok([".text", ".rodata"]
                .map(|section| image.section_bytes(section))
                .iter()
                .sum::<usize>())
        });
        let (store, bare) = (store?, bare?);
        let bytes = store.saturating_sub(bare);
        eprintln!(
            "    {target}: {bytes} bytes of code and constants are the store's ({store} less {bare})"
        );
        if bytes > *budget_bytes {
            return Err(Failure::Failed(format!(
                "{target}: the store takes {bytes} bytes of {budget_bytes}"
            )));
        }
    }
    Ok(())
}
