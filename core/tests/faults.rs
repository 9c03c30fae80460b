//! What may happen to a store: power cuts, calls that fail, damage, and what comes after these. One crate, as
//! `behaviour.rs` is.
#![cfg(test)]

mod common;

mod cuts;
mod damage;
mod damaged_lists;
mod format_cuts;
mod hurt_again;
mod mending;
mod newest_hurt;
mod power;
mod power_errors;
mod power_file;
mod repairs;
mod scarce;
mod swarm;
