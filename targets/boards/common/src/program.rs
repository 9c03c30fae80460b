//! What a board does with its recorder.

use crate::console::{self, Arguments};
use crate::{cost, heap};

use alloc::vec::Vec;
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use flight_recorder::scenario::{self, CAPACITY, EVENTS, FORMAT};
use flight_recorder::{Number, Recorder};
use kausaldb::{Config, OpenError, Storage};
use semihosting::println;
use semihosting::process::ExitCode;

/// Events that were acknowledged, for whoever looks into the board's memory after a power cut.
static ACKNOWLEDGED: AtomicU32 = AtomicU32::new(0);

/// What a board has for the program.
pub struct Board<'b, S> {
    /// Its flash, or the part of it that the store has.
    pub storage: S,
    /// The store's region: as much as the capacity takes.
    pub region: &'b mut [MaybeUninit<u8>],
}

/// Why a board stops with exit code 1.
pub type Fault = &'static str;

/// Does what the arguments say with the recorder, and ends the machine.
pub fn run<S: Storage>(mut board: Board<'_, S>) -> ! {
    end(|arguments| obey(&mut board, arguments))
}

/// Does some work with what the image was told, and ends the machine. Called once, before anything else.
pub fn end(work: impl FnOnce(&Arguments) -> Result<(), Fault>) -> ! {
    heap::begin();
    let arguments = Arguments::ask().ok_or("the arguments are not understood");
    match arguments.and_then(|arguments| work(&arguments)) {
        Ok(()) => ExitCode::SUCCESS.exit_process(),
        Err(fault) => stop(fault),
    }
}

/// Ends a machine whose flash is not as its image expects it.
pub fn no_flash() -> ! {
    stop("the partition is none of this flash")
}

/// Ends a machine on which something was not as it should be.
pub fn stop(fault: Fault) -> ! {
    println!("FAULT: {fault}");
    ExitCode::FAILURE.exit_process()
}

fn obey<S: Storage>(board: &mut Board<'_, S>, arguments: &Arguments) -> Result<(), Fault> {
    let Arguments { command, dump } = arguments;
    let watch = heap::watch();
    format_if_blank(&mut board.storage)?;
    watch.end()?;
    match command.as_str() {
        "" => {
            boot(board, Work::Record(EVENTS))?;
            // As after a power cut: nothing was closed.
            boot(board, Work::Check)?;
        }
        "cost" => {
            boot(board, Work::Record(EVENTS))?;
            let watch = heap::watch();
            cost::measure(board)?;
            watch.end()?;
        }
        "record" => boot(board, Work::Record(Number::MAX))?,
        "early" => boot(board, Work::AcknowledgeEarly)?,
        "allocate" => {
            let watch = heap::watch();
            black_box(causes_of(1));
            watch.end()?;
        }
        "check" => boot(board, Work::Check)?,
        _ => return Err("there is no such command"),
    }
    match dump {
        Some(path) if !console::dump(&mut board.storage, path) => Err("no dump can be written"),
        _ => Ok(()),
    }
}

/// Makes an empty store where there is none.
#[inline(never)]
fn format_if_blank(storage: &mut impl Storage) -> Result<(), Fault> {
    let geometry = storage.geometry();
    match kausaldb::probe(geometry.capacity_bytes, |at, into| storage.read(at, into)) {
        Err(OpenError::NoStore) => {
            kausaldb::format(storage, &FORMAT).map_err(|_| "the flash cannot be formatted")
        }
        _ => Ok(()),
    }
}

/// What a running program does.
#[derive(Clone, Copy)]
enum Work {
    /// Records until there have been so many events.
    Record(Number),
    /// Records for ever, and acknowledges each event before it is recorded. A planted fault, which whoever
    /// cuts the power must notice.
    AcknowledgeEarly,
    /// Checks what is there.
    Check,
}

/// Opens the store as after a power cut, and has the recorder do something.
#[inline(never)]
fn boot<S: Storage>(board: &mut Board<'_, S>, work: Work) -> Result<(), Fault> {
    let watch = heap::watch();
    let Board { storage, region } = board;
    let mut prepared = Recorder::prepare(storage, region, CAPACITY, Config::default());
    // Opened and used where it lies: moved out of a result, it would take twice its size of the stack.
    let Ok(recorder) = &mut prepared else { return Err("no store, or not one for this board") };
    recorder.recover().map_err(|_| "the store does not open")?;
    watch.end()?;
    let mut program = Program(recorder);
    match work {
        Work::Record(end) => program.record(end, false),
        Work::AcknowledgeEarly => program.record(Number::MAX, true),
        Work::Check => program.check(),
    }
}

/// What caused an event, on the application's heap.
#[inline(never)]
fn causes_of(number: Number) -> Vec<Number> {
    scenario::causes(number).collect()
}

/// The running program.
struct Program<'p, 'r, S>(&'p mut Recorder<'r, S>);

impl<S: Storage> Program<'_, '_, S> {
    /// Records until there have been so many events; and acknowledges each when it is recorded, or too early.
    #[inline(never)]
    fn record(&mut self, end: Number, early: bool) -> Result<(), Fault> {
        while self.0.next() < end {
            let number = self.0.next();
            let event = scenario::event(number);
            let causes = causes_of(number);
            if early {
                ACKNOWLEDGED.store(number as u32 + 1, Ordering::Relaxed);
            }
            let watch = heap::watch();
            self.0.record(&event, &causes).map_err(|_| "an event was not recorded")?;
            watch.end()?;
            ACKNOWLEDGED.store(number as u32 + 1, Ordering::Relaxed);
        }
        println!("{} events recorded", ACKNOWLEDGED.load(Ordering::Relaxed));
        Ok(())
    }

    /// Checks every event that is kept, and tells what led to the last one.
    #[inline(never)]
    fn check(&mut self) -> Result<(), Fault> {
        let watch = heap::watch();
        let (oldest, next) = (self.0.oldest(), self.0.next());
        let mut expected = (oldest..next).rev();
        let mut sound = true;
        self.0.newest_first(|number, event| {
            let as_recorded = event.is_ok_and(|event| *event == scenario::event(number));
            sound &= expected.next() == Some(number) && as_recorded;
            sound
        });
        if !sound || expected.next().is_some() {
            return Err("an event is not as it was recorded");
        }
        let mut edges = 0;
        for number in oldest..next {
            let mut causes = self.0.causes(number).map_err(|_| "causes cannot be read")?;
            let kept = scenario::causes(number).filter(|cause| *cause >= oldest);
            causes.sort_unstable();
            edges += causes.len();
            if !kept.eq(causes.iter().rev().copied()) {
                return Err("a cause is not as it was recorded");
            }
        }
        println!("events {oldest} to {next}, {edges} causes");
        if let Some(last) = next.checked_sub(1) {
            println!("what led to {last}:");
            let mut sound = true;
            sound &= self.0.led_to(last, |number, event| {
                let Ok(event) = event else { return sound = false };
                if number + 6 > last {
                    let text = core::str::from_utf8(&event.payload).unwrap_or_default();
                    println!("{number:6}  {} ms  {text}", event.time_ms);
                }
            });
            if !sound {
                return Err("what led to it cannot be read");
            }
        }
        let findings = self.0.verify().map_err(|_| "verify fails")?;
        if findings.lost != 0 || findings.harmless != 0 {
            return Err("verify finds damage");
        }
        watch.end()
    }
}
