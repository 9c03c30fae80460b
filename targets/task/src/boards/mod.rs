//! The firmware images in `targets/boards`, and what they show in QEMU.

mod cuts;
mod elf;
mod large;
mod machine;
mod session;
mod size;
mod stack;

pub(crate) use elf::Elf;
pub(crate) use machine::built;

use crate::steps::Line;
use crate::{Failure, House, setup, takes_nothing};
use machine::Machine;
use size::Budget;
use std::fs;
use std::thread;

/// Where the images are, counted from the repository's root.
pub(crate) const FOLDER: &str = "targets/boards";

/// An image, and the target that its configuration names.
pub(crate) struct Board {
    /// Its folder, its name, and the machine that QEMU runs it on.
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// Where QEMU puts what the store's flash starts with.
    flash: Flash,
    budget: Budget,
}

/// How QEMU is told what a board's flash starts with.
enum Flash {
    /// It lies in memory, from this address on.
    At(u64),
    /// It is a chip of so many bytes, the contents of a file.
    Chip(usize),
}

impl Flash {
    /// The option of QEMU, which runs in `machine`'s folder, for a flash that starts with these bytes.
    fn option(&self, machine: &Machine<'_>, image: &[u8]) -> Result<String, Failure> {
        let (file, path) = ("flash.bin", machine.work.join("flash.bin"));
        let mut bytes = image.to_vec();
        let option = match self {
            Self::At(address) => {
                format!("-device loader,file={file},addr={address:#x},force-raw=on")
            }
            Self::Chip(chip_bytes) => {
                bytes.resize(*chip_bytes, 0xFF);
                format!("-drive if=mtd,format=raw,file={file}")
            }
        };
        let written = fs::write(&path, bytes);
        written.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        Ok(option)
    }
}

/// Every image.
pub(crate) const BOARDS: &[Board] = &[
    Board {
        name: NVMC_BOARD,
        target: "thumbv6m-none-eabi",
        flash: Flash::At(0x3_0000),
        budget: Budget {
            code_bytes: 144_000,
            ram_bytes: 7_900,
            stack_bytes: 5_950,
            instructions: [6_950_000, 2_400, 1_000, 204_000, 53_000, 19_300],
        },
    },
    Board {
        name: "mps2-an386",
        target: "thumbv7em-none-eabihf",
        flash: Flash::At(0x2020_0000),
        budget: Budget {
            code_bytes: 140_000,
            ram_bytes: 7_900,
            stack_bytes: 5_600,
            instructions: [4_220_000, 1_400, 400, 129_000, 28_000, 11_800],
        },
    },
    Board {
        name: "ast1030-evb",
        target: "thumbv7em-none-eabihf",
        flash: Flash::Chip(4 << 20),
        budget: Budget {
            code_bytes: 140_000,
            ram_bytes: 7_900,
            stack_bytes: 5_600,
            instructions: [4_260_000, 1_400, 400, 130_500, 28_200, 12_100],
        },
    },
    Board {
        name: "virt",
        target: "riscv32imac-unknown-none-elf",
        flash: Flash::At(0x8020_0000),
        budget: Budget {
            code_bytes: 164_500,
            ram_bytes: 7_900,
            stack_bytes: 5_450,
            instructions: [7_600_000, 1_470, 415, 188_500, 41_500, 18_200],
        },
    },
];

/// The board whose power is cut: QEMU knows its flash controller's rules.
const NVMC_BOARD: &str = "microbit";

impl Board {
    /// Its folder, counted from the repository's root.
    pub(crate) fn folder(&self) -> String {
        format!("{FOLDER}/{}", self.name)
    }
}

/// The task: everything that the images must show.
///
/// # Errors
/// An image does not build or link, or one of its checks fails.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("boards", arguments)?;
    setup::complete(house)?;
    check(house)
}

/// The same as a step of a longer run.
pub(crate) fn check(house: &House) -> Result<(), Failure> {
    Line::cargo("build --quiet --package kausaldb-cli").run(house)?;
    // Leaves the image of the same run on the host.
    Line::cargo("test --quiet --package flight-recorder --test boards").run(house)?;
    machine::build_plugin(house)?;
    // Images are linked on one processor, as QEMU runs on one: the next is built while one runs.
    thread::scope(|scope| {
        let built = scope.spawn(|| {
            let build = |board: &Board| {
                Line::cargo("build --quiet --release --locked").within(board.folder()).run(house)
            };
            BOARDS.iter().try_for_each(build)
        });
        BOARDS.iter().try_for_each(|board| check_board(house, board))?;
        built.join().map_err(|_| Failure::Failed("the images could not be built".into()))?
    })
}

fn check_board(house: &House, board: &Board) -> Result<(), Failure> {
    eprintln!("    {}", board.name);
    // As anyone would run it.
    Line::cargo("run --quiet --release --locked").within(board.folder()).run(house)?;
    let machine = Machine::of(house, board)?;
    dump_opens_on_the_host(&machine)?;
    images_are_the_same(board, &machine)?;
    size::check(board, &machine)?;
    heap_is_watched(&machine)?;
    if board.name == NVMC_BOARD {
        stack::check(&machine)?;
        cuts::check(&machine)?;
        cuts::notice_what_is_planted(&machine)?;
    }
    if board.name == large::BOARD {
        large::check(house, board)?;
    }
    Ok(())
}

/// Cuts the power of the nRF51 at thousands of stores: takes ten minutes or more.
///
/// # Errors
/// As [`check`].
pub(crate) fn sweep(house: &House) -> Result<(), Failure> {
    setup::complete(house)?;
    let board = BOARDS.iter().find(|board| board.name == NVMC_BOARD);
    let board = board.ok_or_else(|| Failure::Failed(format!("no board {NVMC_BOARD}")))?;
    Line::cargo("build --quiet --release --locked").within(board.folder()).run(house)?;
    let machine = Machine::of(house, board)?;
    machine::build_plugin(house)?;
    cuts::sweep(&machine)
}

/// Every call of the store is watched for use of the application's heap; an image that uses it all the same
/// says so.
fn heap_is_watched(machine: &Machine<'_>) -> Result<(), Failure> {
    match machine.run(&["allocate"]) {
        Err(Failure::Failed(what)) if what.contains("FAULT: the store used the heap") => Ok(()),
        Err(other) => Err(other),
        Ok(_) => Err(Failure::Failed("a planted use of the heap was not noticed".into())),
    }
}

/// What a board has recorded is read by the command, without a step in between.
fn dump_opens_on_the_host(machine: &Machine<'_>) -> Result<(), Failure> {
    let told = machine.run(&["dump=dump.bin"])?;
    let path = machine.work.join("dump.bin");
    let kausaldb = |arguments: &str| machine.kausaldb(&path, arguments);
    // "events 796 to 1000, 590 causes"
    let mut numbers = told.lines().find_map(|line| line.strip_prefix("events ")).map(numbers_in);
    let Some([oldest, next, causes]) = numbers.as_deref_mut() else {
        return Err(Failure::Failed(format!("the image says nothing of its events: {told}")));
    };
    let stats = kausaldb("--json stats")?;
    for expected in [format!("\"blocks\":{}", *next - *oldest), format!("\"edges\":{causes}")] {
        if !stats.contains(&expected) {
            return Err(Failure::Failed(format!("no {expected} in the dump's {stats}")));
        }
    }
    let last = format!("{:032x}", *next - 1);
    kausaldb(&format!("get {last}"))?;
    kausaldb(&format!("neighbours {last}"))?;
    kausaldb("verify")?;
    Ok(())
}

/// The dump is what the same run leaves in a file of the host, to the last byte; and the board starts with
/// that file as its flash.
fn images_are_the_same(board: &Board, machine: &Machine<'_>) -> Result<(), Failure> {
    let path = machine.host_image();
    let [dump, image] = [&machine.work.join("dump.bin"), &path].map(|path| {
        fs::read(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
    });
    let (dump, image) = (dump?, image?);
    if let Some(at) = dump.iter().zip(&image).position(|(dump, image)| dump != image) {
        let name = board.name;
        return Err(Failure::Failed(format!(
            "{name} and the host differ at byte {at} of the image"
        )));
    }
    let option = board.flash.option(machine, &image)?;
    let told = machine.run_with(&["check"], &option)?;
    let events = told.lines().find(|line| line.starts_with("events "));
    eprintln!(
        "    {} bytes as on the host, whose image holds {}",
        dump.len(),
        events.unwrap_or_default()
    );
    match events {
        Some(line) if line.contains(" to 1000, ") && dump.len() == image.len() => Ok(()),
        _ => Err(Failure::Failed(format!("the board reads {told} in the host's image"))),
    }
}

/// The numbers in a text, in their order.
fn numbers_in(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}
