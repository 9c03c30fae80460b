//! What the memory model promises at compile time, in the compiler's words.
//!
//! Each file in `compile_fail/` breaks one promise, and beside it lies what the compiler says to that.
//! The file in `compile_pass/` keeps them all; because it must run, everything is built and not only
//! checked, which is when the assertions about types fire. The words are those of the toolchain that the
//! repository pins; after a change of it, `TRYBUILD=overwrite cargo test -p kausaldb --test compile_fail`
//! writes them anew.
#![cfg(all(test, not(miri)))]

#[test]
fn broken_promises_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/compile_pass/*.rs");
    cases.compile_fail("tests/compile_fail/*.rs");
}
