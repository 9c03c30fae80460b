//! The program that every image runs: the flight recorder on the board's flash.
//!
//! What it does, its arguments say:
//!
//! | arguments | |
//! | --- | --- |
//! | none | records until the oldest events are gone, starts again, checks all, tells what led to the last |
//! | `record` | records until power is cut |
//! | `cost` | records as with none; then makes one call of each kind, for a count of instructions |
//! | `early` | a planted fault: as `record`, but acknowledges each event before it is recorded |
//! | `allocate` | a planted fault: uses the application's heap where the store is at work |
//! | `check` | opens what is there, and checks all of it |
//!
//! and behind each of them `dump=PATH` writes the partition to a file of the host at the end.
//!
//! It ends the machine with exit code 0 where everything was as it should be, and with 1 and a line that says
//! why where it was not. Printing, files, arguments and the exit code come through semihosting.
#![no_std]

extern crate alloc;

mod console;
mod cost;
mod heap;
mod program;
mod ram_flash;

pub use console::{Arguments, dump};
pub use cost::section;
pub use heap::{Watch, watch};
pub use program::{Board, Fault, end, no_flash, run, stop};
pub use ram_flash::{RamFlash, RamFlashError};
