//! `cargo task peers`: what KausalDB, sequential-storage and ekv ask of the same flash for the same work.
//!
//! 64 sectors of 4 KiB of serial NOR, keys of 16 bytes, one update at a time, each durable when it returns.
//! All that is counted is the same in every run. Prints one Markdown table; `core/docs/performance.md` holds
//! it, and says what to make of it.
//!
//! - `flash`: the chip, its rules, its counters
//! - `store`: what a store is to the measuring
//! - `kausal`, `sequential`, `log_tree`: the stores
//! - `measure`: the work
//! - `table`: what is printed

mod flash;
mod kausal;
mod log_tree;
mod measure;
mod sequential;
mod store;
mod table;

use kausal::Kausal;
use log_tree::LogTree;
use measure::{Load, costs_of, fullness_of};
use sequential::{Caching, Uncaching};
use store::Contender;
use table::Column;

/// What is updated and read.
const LOADS: [Load; 3] = [
    Load { keys: 500, value_bytes: 64 },
    Load { keys: 2000, value_bytes: 64 },
    Load { keys: 1000, value_bytes: 100 },
];

/// Values of which as many are written as fit, in bytes.
const FILLINGS: [usize; 2] = [64, 1024];

fn main() {
    // Each with whether it is filled: what a cache is there for, it does not change what fits.
    let contenders: [(&dyn Contender, bool); 5] = [
        (&Kausal, true),
        (&Uncaching, false),
        (&Caching::<500>, false),
        (&Caching::<3072>, true),
        (&LogTree, true),
    ];
    let columns = contenders.map(|(contender, is_filled)| {
        eprintln!("measuring {}", contender.name());
        let fillings = FILLINGS.map(|bytes| is_filled.then(|| fullness_of(contender, bytes)));
        let costs = LOADS.map(|load| costs_of(contender, load));
        Column { name: contender.name(), ram: contender.ram(), costs, fillings }
    });
    table::print(&columns);
}
