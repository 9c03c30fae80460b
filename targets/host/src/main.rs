//! The command `kausaldb`.

mod args;
mod commands;
mod error;
mod extract;
mod graph;
mod index;
mod jsonl;
mod limits;
mod operation;
mod size;
mod summary;

fn main() {}
