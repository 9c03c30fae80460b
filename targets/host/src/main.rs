//! The command `kausaldb`.

mod extract;

fn main() {}
