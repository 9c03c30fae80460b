//! The command `kausaldb`.

mod args;
mod error;
mod extract;
mod jsonl;
mod size;

fn main() {}
