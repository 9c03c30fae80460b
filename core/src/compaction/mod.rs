//! Making room: moving the tail, folding pending edges, cleaning up after deleted nodes; a bounded
//! step at a time.
//!
//! Space comes back only at the tail, where the oldest segment's live records are appended again at
//! the head. Every step here writes records outside of any batch, each of which leaves the store
//! whole, so that a power cut between any two of them costs nothing. Nothing here decides what a
//! caller may do; the engine asks for room and gets it.
//!
//! Invariants:
//!
//! - A segment is retired only when everything in it is dead, and what was moved out of it is durable.
//! - An edge change is never moved: it is folded. Tombstones are never moved: nothing older exists
//!   at the tail.
//! - A tombstone that ends an intent is written only when no list and no pending change mentions the node.

mod fold;
mod pacing;
mod purge;
mod sort;
mod tail;

pub use fold::{Fold, adjacency_entries_max, check_part, free_if_orphan};
pub use pacing::{Left, Pace, Reserve, Turn};
pub use purge::purge_step;
pub use tail::{TailCursor, TailStep, carry_named, move_record};
