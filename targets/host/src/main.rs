//! The command `kausaldb`.

mod args;
mod error;
mod extract;
mod graph;
mod index;
mod jsonl;
mod limits;
mod operation;
mod size;

fn main() {}
