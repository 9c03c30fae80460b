//! `cargo task test`: everything that must hold, cheap checks first, so that a slip is named within seconds.
//!
//! The list below is the whole of it. It needs a network only to fetch what is missing.

use crate::steps::{self, Line, Step};
use crate::{Failure, House, boards, package, setup, size, takes_nothing, tidy};

/// Images outside the workspace that must link: the folder, and the target for which its configuration
/// builds.
///
/// The first has no global allocator: that it links shows that the core needs none.
const IMAGES: &[(&str, &str)] = &[("targets/cortex-m/no-alloc", "thumbv6m-none-eabi")];

/// Runs every step.
///
/// # Errors
/// A step failed; the later ones did not run.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("test", arguments)?;
    steps::run_all(house, &steps(house))
}

fn steps(house: &House) -> Vec<Step> {
    let mut steps = vec![
        Step::check("toolchain, targets, system packages", "cargo task test", setup::complete),
        cargo("formatting", "fmt --all --check"),
        Step::check("tidy", "cargo task tidy", tidy::check_house),
        cargo("dependencies as locked", "fetch --locked"),
    ];
    steps.extend(lints());
    let docs = Line::cargo("doc --workspace --no-deps").with("RUSTDOCFLAGS", "-D warnings");
    steps.push(Step::line("docs", docs));
    steps.extend([
        cargo("host tests", "test --workspace"),
        cargo("core tests without std", "test -p kausaldb"),
        cargo("core for Cortex-M4", &build("thumbv7em-none-eabihf", "")),
        cargo(
            "core for Cortex-M4, with defmt",
            &build("thumbv7em-none-eabihf", "--features kausaldb/defmt"),
        ),
        cargo("core for Cortex-M0", &build("thumbv6m-none-eabi", "")),
    ]);
    for (folder, target) in IMAGES.iter().filter(|(folder, _)| house.root.join(folder).is_dir()) {
        let format = Line::cargo("fmt --check").within(folder);
        steps.push(Step::line("formatting of the image", format));
        let build = Line::cargo(&format!("build --release --locked --target {target}"));
        steps.push(Step::line("image without an allocator links", build.within(folder)));
    }
    let format = Line::cargo("fmt --check").within(size::FOLDER);
    steps.push(Step::line("formatting of the images that are measured", format));
    steps.push(Step::check("size of the store's code", "cargo task size", size::check));
    let format = Line::cargo("fmt --all --check").within(boards::FOLDER);
    steps.push(Step::line("formatting of the boards' images", format));
    for board in boards::BOARDS {
        let clippy = Line::cargo("clippy --release --locked -- -D warnings").within(board.folder());
        steps.push(Step::line("clippy, a board's image", clippy));
    }
    steps.push(Step::check("boards in QEMU", "cargo task boards", boards::check));
    steps.push(Step::check("packages of the libraries", "cargo task package", package::check));
    steps
}

/// Clippy for everything, then for what the workspace's own choice of features and target hides.
///
/// `incompatible_msrv` (among the warnings) holds each package to the standard library of its `rust-version`.
fn lints() -> [Step; 4] {
    let deny = "-- -D warnings -D clippy::incompatible_msrv";
    let small = "--no-default-features --target thumbv6m-none-eabi";
    [
        cargo("clippy", &format!("clippy --workspace --all-targets {deny}")),
        cargo("clippy, core without std", &format!("clippy -p kausaldb --all-targets {deny}")),
        cargo(
            "clippy, core with defmt",
            &format!("clippy -p kausaldb --features std,defmt {deny}"),
        ),
        cargo(
            "clippy, core and flight recorder for Cortex-M0",
            &format!("clippy -p kausaldb -p kausaldb-flash -p flight-recorder {small} {deny}"),
        ),
    ]
}

/// A build of the core and the flash adapter for `target`.
fn build(target: &str, features: &str) -> String {
    format!(
        "build -p kausaldb -p kausaldb-flash --no-default-features {features} --target {target}"
    )
}

fn cargo(name: &'static str, arguments: &str) -> Step {
    Step::line(name, Line::cargo(arguments))
}
