//! Rules on single words of code: leftovers, unsafe code, and language newer than a package's oldest
//! compiler.

use super::source::{Token, find_outside, reads};
use super::{Fault, Source};

/// What is never committed: code that is not there, and tests that never run.
const LEFTOVERS: &[&[&str]] =
    &[&["todo", "!"], &["unimplemented", "!"], &["dbg", "!"], &["#", "[", "ignore"]];

/// The only places of unsafe code. Behind those of libraries: the hardware of boards; an
/// allocator that counts, and a map of a file, for which only a program can answer; and a heap to compare
/// with.
const UNSAFE_PLACES: &[&str] = &[
    "core/src/memory/",
    "adapters/file/",
    "adapters/flash/",
    "targets/boards/common/src/heap.rs",
    "targets/boards/ast1030-evb/src/",
    "targets/boards/microbit/src/",
    "targets/boards/mps2-an386/src/",
    "targets/boards/virt/src/",
    "targets/cortex-m/no-panic/src/",
    "examples/hal/nrf52840/src/",
    "core/benches/fragmentation.rs",
    "core/benches/zero_copy.rs",
    "targets/host/src/store/mod.rs",
];

/// Packages that also compile with Rust 1.87, which knows no `if let … && …` (clippy's `incompatible_msrv`
/// sees to the standard library, not to the language).
const OLD_LANGUAGE: &[&str] = &["core/src/", "adapters/sim/src/", "adapters/flash/src/"];

pub(super) fn check(source: &Source) -> Vec<Fault> {
    if !source.is_rust() {
        return Vec::new();
    }
    let tokens = source.tokens();
    let lies_in = |places: &[&str]| places.iter().any(|place| source.path.starts_with(place));
    let (may_be_unsafe, is_old) = (lies_in(UNSAFE_PLACES), lies_in(OLD_LANGUAGE));
    let mut faults = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if let Some(leftover) = LEFTOVERS.iter().find(|leftover| reads(&tokens, at, leftover)) {
            faults.push(source.fault(token.line, format!("{} is a leftover", leftover.concat())));
        }
        if token.text == "unsafe" && !may_be_unsafe {
            let places = UNSAFE_PLACES.join(", ");
            faults
                .push(source.fault(token.line, format!("unsafe code is allowed only in {places}")));
        }
        if is_old && is_chained(&tokens, at) {
            faults.push(source.fault(token.line, "Rust 1.87 knows no && beside let"));
        }
    }
    faults
}

/// Whether a condition starts at `at` that joins a `let` with something else.
fn is_chained(tokens: &[Token<'_>], at: usize) -> bool {
    if reads(tokens, at, &["&&", "let"]) {
        return true;
    }
    if !reads(tokens, at, &["if", "let"]) && !reads(tokens, at, &["while", "let"]) {
        return false;
    }
    let Some(equals) = find_outside(tokens, at, &["="]) else { return false };
    // Two ampersands right behind the sign are a double reference; further on they are the operator.
    let value = equals + 1 + usize::from(reads(tokens, equals + 1, &["&&"]));
    find_outside(tokens, value, &["{", "&&"]).is_some_and(|end| reads(tokens, end, &["&&"]))
}
