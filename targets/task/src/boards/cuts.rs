//! Power cuts on the nRF51: at exact stores to its flash, the board is stopped, its flash is taken out, and
//! a board that starts with it must have every event that was acknowledged.

use super::elf::Elf;
use super::machine::Machine;
use super::session::Session;
use crate::Failure;
use std::fs;

/// The partition, and beside it the register of the controller that erases a page when it is stored to.
const FLASH: u64 = 0x3_0000;
const FLASH_BYTES: usize = 0x1_0000;
const STORES: &str = "30000:40000:4001e508";

/// What is said of a board that does not have what it acknowledged.
const LOST: &str = "events were acknowledged";

/// Cuts of a test run.
const CUTS: u64 = 200;
/// What they are chosen by.
const SEED: u64 = 0x5EED_0F90;
/// Stores from one cut to the next, at most: together they reach past the first turn of the ring.
const GAP_MAX: u64 = 600;
/// After so many places a long run says how far it has come.
const SAID_EACH: usize = 250;
/// Of so many cuts, one is followed by another in the recovery from it.
const AGAIN_EACH: u64 = 4;
/// Stores of an opening up to which that one happens.
const AGAIN_MAX: u64 = 60;
/// Stores up to which `cargo task sweep boards` cuts at each: the format, an opening, the first events.
const SWEEP_EACH: u64 = 1000;
/// From there on it cuts at each of so many, up to the last: some turns of the ring.
const SWEEP_STEP: u64 = 29;
const SWEEP_MAX: u64 = 60_000;

/// Cuts at so many places that follow from a seed; says how many there were.
///
/// # Errors
/// An event was lost, or a board does not start; the message says after which store.
pub(super) fn check(machine: &Machine<'_>) -> Result<(), Failure> {
    cut(machine, "record", places())
}

/// Where the power is cut in a test run.
fn places() -> impl Iterator<Item = u64> {
    let mut random = Random(SEED);
    let mut at = 0;
    (0..CUTS).map(move |_| {
        at += 1 + random.below(GAP_MAX);
        at
    })
}

/// A board that acknowledges each event before it is recorded does not pass: the same cuts notice it.
///
/// # Errors
/// They do not.
pub(super) fn notice_what_is_planted(machine: &Machine<'_>) -> Result<(), Failure> {
    match cut(machine, "early", places()) {
        Err(Failure::Failed(what)) if what.contains(LOST) => {
            let what = what.lines().next().unwrap_or_default();
            eprintln!("    acknowledged too early, and noticed: {what}");
            Ok(())
        }
        Err(other) => Err(other),
        Ok(()) => Err(Failure::Failed("events that were acknowledged too early pass".into())),
    }
}

/// Cuts at every store while the first events are recorded, and at many in the first turns of the ring.
///
/// # Errors
/// As [`check`].
pub(super) fn sweep(machine: &Machine<'_>) -> Result<(), Failure> {
    let later = (SWEEP_EACH + 1..=SWEEP_MAX).step_by(SWEEP_STEP as usize);
    cut(machine, "record", (1..=SWEEP_EACH).chain(later))
}

/// Cuts the power of a board that does what `command` says.
fn cut(
    machine: &Machine<'_>,
    command: &str,
    places: impl Iterator<Item = u64>,
) -> Result<(), Failure> {
    let acknowledged_at = Elf::read(&machine.image)?.address("ACKNOWLEDGED")?;
    write(machine, "new.bin", &[0xFF; FLASH_BYTES])?;
    let mut session = Session::start(machine, command, STORES, &loaded("new.bin"))?;
    let mut random = Random(SEED);
    let (mut cuts, mut acknowledged) = (0, 0);
    for (done, store) in places.enumerate() {
        if done > 0 && done.is_multiple_of(SAID_EACH) {
            eprintln!("    before store {store}: {cuts} power cuts, none lost");
        }
        // It stopped at the first by itself.
        if store > 1 {
            session.go_on(store)?;
        }
        acknowledged = number(&session.memory(acknowledged_at, 4)?);
        let flash = session.memory(FLASH, FLASH_BYTES)?;
        let after = |failure| match failure {
            Failure::Failed(what) => Failure::Failed(format!("power cut at store {store}: {what}")),
            usage @ Failure::Usage(_) => usage,
        };
        restart(machine, &flash, acknowledged).map_err(after)?;
        cuts += 1;
        if random.below(AGAIN_EACH) == 0 {
            let again = 1 + random.below(AGAIN_MAX);
            write(machine, "cut.bin", &flash)?;
            let mut second = Session::start(machine, command, STORES, &loaded("cut.bin"))?;
            if again > 1 {
                second.go_on(again)?;
            }
            // 0 until this start has recorded an event of its own.
            let acknowledged = acknowledged.max(number(&second.memory(acknowledged_at, 4)?));
            let flash = second.memory(FLASH, FLASH_BYTES)?;
            drop(second);
            let again = |failure| match after(failure) {
                Failure::Failed(what) => Failure::Failed(format!(
                    "{what} (cut again at store {again} of the next start)"
                )),
                usage @ Failure::Usage(_) => usage,
            };
            restart(machine, &flash, acknowledged).map_err(again)?;
            cuts += 1;
        }
    }
    eprintln!("    {cuts} power cuts, {acknowledged} events acknowledged, none lost");
    Ok(())
}

/// A board starts with this flash, finds every event as it was recorded, and none fewer than acknowledged.
fn restart(machine: &Machine<'_>, flash: &[u8], acknowledged: u64) -> Result<(), Failure> {
    write(machine, "restart.bin", flash)?;
    let told = machine.run_with(&["check"], &loaded("restart.bin"))?;
    let events = told.lines().find_map(|line| line.strip_prefix("events ")).map(super::numbers_in);
    match events.as_deref() {
        // The event that was at work when the power went may be there, too.
        Some([_, next, _]) if (acknowledged..=acknowledged + 1).contains(next) => Ok(()),
        _ => Err(Failure::Failed(format!("{acknowledged} {LOST}; now: {told}"))),
    }
}

/// The option of QEMU that has the flash start with a file's bytes.
fn loaded(file: &str) -> String {
    format!("-device loader,file={file},addr={FLASH:#x},force-raw=on")
}

fn write(machine: &Machine<'_>, file: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = machine.work.join(file);
    fs::write(&path, bytes).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Numbers that follow from a seed (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
