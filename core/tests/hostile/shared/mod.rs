//! What the fuzzer and the ordinary tests run on hostile media: the same bodies on the same bytes.
//!
//! Each body takes bytes and draws its decisions from them ([`script`]): which medium, which lies, which
//! calls. Media are what bytes happen to be, stores forged from nothing, and good stores that were changed
//! ([`draft`], [`forge`]): every check is computed anew behind a lie, so that checksums keep out none.
//! A body fails by a panic: the engine's own, or that of a [`medium`] that is asked for more than it has, for
//! more than is bounded, or to write where nothing was erased.
#![allow(dead_code, unreachable_pub, reason = "a fuzz target and a test each use their part")]

pub mod batches;
pub mod bodies;
pub mod draft;
pub mod forge;
pub mod medium;
pub mod samples;
pub mod script;

/// A body, which draws its decisions from bytes.
pub type Body = fn(&[u8]);

/// Every body, by the name of its fuzz target.
pub const TARGETS: &[(&str, Body)] = &[
    ("open", bodies::open),
    ("verify", bodies::verify),
    ("recovery", bodies::recovery),
    ("records", bodies::records),
    ("indexes", bodies::indexes),
    ("batches", batches::batches),
];
