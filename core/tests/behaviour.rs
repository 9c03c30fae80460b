//! What the store does for its callers, and what it costs: one crate, since each crate of tests compiles the
//! engine for its media anew, which takes longer than most of the tests.
#![cfg(test)]

mod common;

mod calls;
mod checked_once;
mod critic;
mod field_bugs;
mod full;
mod largest;
mod limits;
mod model;
mod prepare;
mod put_from;
mod query;
mod refusals;
mod scratch;
mod seeds;
mod shapes;
mod tables;
mod traffic;
mod wear;
mod worn;
