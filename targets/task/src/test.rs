//! `cargo task test`: everything that must hold, cheap checks first, so that a slip is named within seconds.
//!
//! The list below is the whole of it. It needs a network only to fetch what is missing.

use crate::steps::{self, Line, Step};
use crate::{Failure, House, boards, package, peers, setup, size, takes_nothing, tidy};

/// Images outside the workspace that must link: what that shows, the folder, and the targets.
const IMAGES: &[(&str, &str, &[&str])] = &[
    // Has no global allocator.
    ("image without an allocator links", "targets/cortex-m/no-alloc", &["thumbv6m-none-eabi"]),
    // Has a panic handler that is nowhere; the second target has no compare-and-swap, hence no `sync`.
    (
        "image without panic code links",
        "targets/cortex-m/no-panic",
        &["thumbv7em-none-eabihf", "thumbv6m-none-eabi"],
    ),
];

/// Examples for firmware, a package in a folder each, and the target for which each is built.
///
/// Each is built on its own: they differ in who provides critical sections.
const HAL_EXAMPLES: &[(&str, &str)] = &[
    ("nrf52840", "thumbv7em-none-eabihf"),
    ("rp2040", "thumbv6m-none-eabi"),
    ("shared", "thumbv6m-none-eabi"),
    ("stm32f429", "thumbv7em-none-eabihf"),
];

/// Runs every step.
///
/// # Errors
/// A step failed; the later ones did not run.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("test", arguments)?;
    steps::run_all(house, &steps())
}

fn steps() -> Vec<Step> {
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
        // What is different there are checksums and sorting: most of what may go wrong is tested above.
        cargo(
            "core tests without std",
            "test -p kausaldb --lib --test behaviour --test golden --test hostile --test ring",
        ),
        cargo(
            "repairs without std",
            "test -p kausaldb --test faults -- repairs:: hurt_again:: damaged_lists::",
        ),
        cargo(
            "core for Cortex-M4, with defmt",
            &build("thumbv7em-none-eabihf", "--features kausaldb/defmt"),
        ),
    ]);
    // One command for all targets: cargo builds for two at a time.
    steps.push(cargo("core for every target", &build(&setup::TARGETS.join(" --target "), "")));
    let foreign: Vec<_> = setup::FOREIGN.iter().map(|(target, ..)| *target).collect();
    let tests = "test -p kausaldb -p kausaldb-flash -p kausaldb-sim --lib --test golden";
    let tests = format!("{tests} --target {}", foreign.join(" --target "));
    let tests = setup::FOREIGN
        .iter()
        .fold(Line::cargo(&tests), |line, (_, variable, runner)| line.with(variable, runner));
    steps.push(Step::line("tests on foreign processors", tests));
    for (name, folder, targets) in IMAGES {
        let format = Line::cargo("fmt --check").within(folder);
        steps.push(Step::line("formatting of the image", format));
        for target in *targets {
            let build = Line::cargo(&format!("build --release --locked --target {target}"));
            steps.push(Step::line(name, build.within(folder)));
        }
    }
    let format = Line::cargo("fmt --all --check").within("examples/hal");
    steps.push(Step::line("formatting of the examples for HALs", format));
    for (example, target) in HAL_EXAMPLES {
        let build = Line::cargo(&format!("build --release --locked --target {target}"));
        let build = build.within(format!("examples/hal/{example}"));
        steps.push(Step::line("example for a HAL", build));
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
    let format = Line::cargo("fmt --check").within(peers::FOLDER);
    steps.push(Step::line("formatting of the comparison with peers", format));
    let clippy = Line::cargo("clippy --release --locked -- -D warnings").within(peers::FOLDER);
    steps.push(Step::line("clippy, the comparison with peers", clippy));
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

/// A build of the core and the flash adapter for `target`, which may go on with ` --target another`.
fn build(target: &str, features: &str) -> String {
    format!(
        "build -p kausaldb -p kausaldb-flash --no-default-features {features} --target {target}"
    )
}

fn cargo(name: &'static str, arguments: &str) -> Step {
    Step::line(name, Line::cargo(arguments))
}
