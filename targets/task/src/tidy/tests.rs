//! The checker bites: each rule finds the fault that is planted for it, and leaves its neighbours alone.

use super::source::{LITERAL, Source, without_tests};
use super::*;

const STORY: &str = "//! A story.\n";

/// What the rules say of one file of code, in one line each.
fn faults(path: &str, code: &str) -> Vec<String> {
    let source = Source::new(path, format!("{STORY}{code}"));
    check(&[source]).into_iter().map(|fault| format!("{}: {}", fault.line, fault.what)).collect()
}

/// The code is without fault at this path.
#[track_caller]
fn clean(path: &str, code: &str) {
    assert_eq!(faults(path, code), [""; 0], "{path}: {code}");
}

/// The code has exactly one fault at this path, in this line, and its text holds `what`.
#[track_caller]
fn caught(path: &str, code: &str, line: usize, what: &str) {
    let found = faults(path, code);
    let matches = |fault: &String| fault.starts_with(&format!("{line}: ")) && fault.contains(what);
    assert!(found.len() == 1 && found.iter().all(matches), "{path}: {code}\nfound {found:?}");
}

#[test]
fn this_repository_is_tidy() {
    let found = gather(&House::locate().root).map(|sources| {
        assert!(sources.iter().any(|source| source.path == file!()), "the checker sees itself");
        let faults = check(&sources).into_iter().chain(calls::check(&sources));
        faults.map(|fault| fault.to_string()).collect::<Vec<_>>()
    });
    assert_eq!(found.ok(), Some(Vec::new()));
}

#[test]
fn a_room_that_imports_one_below_it_is_caught() {
    let log = "core/src/log/append.rs";
    caught(log, "use crate::engine::Engine;\n", 2, "log imports engine");
    caught(log, "use crate::{format::Record, types::{BlockId, EdgeKind}, index::A};\n", 2, "index");
    caught(log, "use crate::{\n    types,\n    query::{A, B},\n};\n", 4, "log imports query");
    caught(log, "use super::super::index::Reader;\n", 2, "log imports index");
    caught(log, "use self::super::super::index;\n", 2, "log imports index");
    caught(log, "fn f(x: &crate::index::BlockIndex) {}\n", 2, "log imports index");
    caught(log, "type A = Vec<super::super::edges::Pending>;\n", 2, "log imports edges");
    caught(log, "macro_rules! m { () => { $crate::engine::E } }\n", 2, "log imports engine");
    caught("core/src/log/mod.rs", "use super::index::Reader;\n", 2, "log imports index");
    caught(
        "core/src/log/mod.rs",
        "mod a { use super::super::index::R; }\n",
        2,
        "log imports index",
    );
    caught("core/src/log/a/b.rs", "use super::super::super::index;\n", 2, "log imports index");
    caught("core/src/types/id.rs", "use crate::memory::Arena;\n", 2, "types imports memory");
    caught("core/src/engine/mod.rs", "use crate::sync::SharedEngine;\n", 2, "engine imports sync");
}

#[test]
fn an_import_from_above_from_the_own_room_and_in_tests_is_fine() {
    let log = "core/src/log/append.rs";
    clean(log, "use crate::format::{self, Record};\nuse crate::{log::Head, types::*};\n");
    clean(
        log,
        "use super::index;\nuse self::index::A;\npub(crate) fn f() {}\npub(super) fn g() {}\n",
    );
    clean(log, "// use crate::engine::E;\nconst A: &str = \"crate::engine::E\";\n");
    clean(log, "#[cfg(test)]\nmod tests {\n    use crate::engine::E;\n}\n");
    clean(
        log,
        "#[cfg(all(test, not(miri)))]\n#[path = \"x.rs\"]\nmod tests {\n    use crate::engine::E;\n}\n",
    );
    clean("core/src/log/model.rs", "#![cfg(test)]\nuse crate::engine::E;\n");
    clean("core/src/log/tests.rs", "use crate::engine::E;\n");
    clean("core/src/lib.rs", "pub use crate::engine::E;\n");
    clean("core/src/sync.rs", "use super::engine::E;\nuse crate::query::Q;\n");
    clean("core/src/log/mod.rs", "mod a { use super::index::R; }\n");
}

#[test]
fn code_after_test_code_is_judged_again() {
    let code =
        "#[cfg(test)]\nuse crate::engine::{A, B};\n#[cfg(test)]\nfn f() {}\nuse crate::query::Q;\n";
    caught("core/src/log/append.rs", code, 6, "log imports query");
    caught(
        "core/src/log/a.rs",
        "#[cfg(not(test))]\nuse crate::query::Q;\n",
        3,
        "log imports query",
    );
}

#[test]
fn an_unknown_room_and_a_detour_through_the_root_are_caught() {
    caught("core/src/helpers/mod.rs", "", 1, "helpers is not in the list of rooms");
    caught("core/src/helpers.rs", "", 1, "helpers is not in the list of rooms");
    caught("core/src/log/a.rs", "use crate::StorageEngine;\n", 2, "StorageEngine is no room");
    caught("core/src/log/a.rs", "use crate::*;\n", 2, "* is no room");
    caught("core/src/log/a.rs", "use super::super::{types::A, Reader};\n", 2, "Reader is no room");
}

#[test]
fn a_map_that_has_rooms_out_of_order_is_caught() {
    let map = "//! - [`types`]: nouns\n//! - [`log`](mod@log): ring\n//! - [`Other`]: no room\n";
    clean("core/src/lib.rs", map);
    caught("core/src/lib.rs", &format!("{map}//! - [`format`]: bytes\n"), 5, "the map");
}

#[test]
fn a_file_without_its_story_is_caught() {
    let opening = |text: &str| check(&[Source::new("adapters/sim/src/x.rs", text)]).len();
    assert_eq!(opening("// A remark.\n"), 1);
    assert_eq!(opening("\n//! Late.\n"), 1);
    assert_eq!(opening(""), 1);
    assert_eq!(opening(STORY), 0);
}

#[test]
fn a_test_that_does_not_say_so_is_caught() {
    let at = |path: &str, text: &str| check(&[Source::new(path, text)]).len();
    assert_eq!(at("adapters/sim/tests/x.rs", STORY), 1);
    assert_eq!(at("core/tests/x.rs", &format!("{STORY}#![cfg(test)]\n")), 0);
    assert_eq!(at("core/tests/x.rs", &format!("{STORY}#![cfg(all(test, not(miri)))]\n")), 0);
    assert_eq!(at("core/tests/common/x.rs", STORY), 0);
    assert_eq!(at("adapters/sim/src/tests/x.rs", STORY), 0);
}

#[test]
fn long_lines_and_long_files_are_caught_at_one_over() {
    let at = |columns: usize| format!("// {}\n", "é".repeat(columns - 3));
    clean("core/tests/common/x.rs", &at(110));
    caught("core/tests/common/x.rs", &at(111), 2, "111 columns");
    clean("core/tests/common/x.rs", &"\n".repeat(699));
    caught("core/tests/common/x.rs", &"\n".repeat(700), 701, "701 lines");
    assert_eq!(check(&[Source::new("README.md", at(200))]), []);
}

#[test]
fn tabs_trailing_blanks_and_a_cut_last_line_are_caught() {
    caught("core/tests/common/x.rs", "\tlet a;\n", 2, "a tab");
    caught("core/tests/common/x.rs", "a \n", 2, "a blank at the end");
    caught("core/tests/common/x.rs", "a\r\n", 2, "a blank at the end");
    caught("core/tests/common/x.rs", "a", 2, "no end");
    assert_eq!(check(&[Source::new("README.md", "a \n\tb\n")]).len(), 2);
}

#[test]
fn paths_of_one_machine_are_caught_wherever_they_stand() {
    for folder in ["work", "root", "tmp"] {
        caught(
            "core/tests/common/x.rs",
            &format!("// see /{folder}/x\n"),
            2,
            "path of one machine",
        );
        caught(
            "core/tests/common/x.rs",
            &format!("const A: &str = \"/{folder}/x\";\n"),
            2,
            "machine",
        );
        clean(
            "core/tests/common/x.rs",
            &format!("// see core/{folder}/x, ../{folder}/x, /{folder}x\n"),
        );
        assert_eq!(check(&[Source::new("README.md", format!("cd /{folder}/x\n"))]).len(), 1);
    }
}

#[test]
fn leftovers_are_caught_in_code_only() {
    let open = "(";
    for leftover in ["todo!", "unimplemented!", "dbg!"] {
        caught("targets/host/src/x.rs", &format!("fn f() {{ {leftover}{open}) }}\n"), 2, leftover);
        clean("targets/host/src/x.rs", &format!("// {leftover}{open})\n"));
    }
    let mark = "#[";
    caught("core/tests/common/x.rs", &format!("{mark}ignore]\nfn f() {{}}\n"), 2, "ignore");
    caught(
        "core/tests/common/x.rs",
        &format!("{mark}ignore = \"slow\"]\nfn f() {{}}\n"),
        2,
        "ignore",
    );
    clean("core/tests/common/x.rs", "#[cfg_attr(miri, ignore)]\nfn f(ignore: u8) {}\n");
}

#[test]
fn unsafe_code_is_caught_outside_its_places() {
    let code = "fn f() { unsafe { g() } }\n";
    clean("core/src/memory/region.rs", code);
    clean("adapters/file/src/map.rs", code);
    clean("adapters/flash/src/xip.rs", code);
    for path in ["core/src/log/a.rs", "adapters/sim/src/a.rs", "targets/host/src/a.rs"] {
        caught(path, code, 2, "unsafe code is allowed only in");
        clean(path, "#![allow(unsafe_code)]\n// unsafe\n/* unsafe /* unsafe */ unsafe */\n");
        clean(path, "const A: [&str; 2] = [\"unsafe\", r#\"unsafe \"unsafe\" \"#];\n");
    }
}

#[test]
fn conditions_newer_than_the_oldest_compiler_are_caught() {
    for condition in
        ["if let Some(a) = b && c", "if a && let Some(b) = c", "while let A(..) = b && c"]
    {
        let code = format!("fn f() {{ {condition} {{}} }}\n");
        caught("core/src/log/a.rs", &code, 2, "1.87");
        clean("targets/host/src/a.rs", &code);
    }
    clean(
        "core/src/log/a.rs",
        "fn f() { if let Some(&&a) = b.find(|c| c && d) { if e && f {} } }\n",
    );
    clean("core/src/log/a.rs", "fn f() { if let Some(a) = &&b {} }\n");
    clean("core/src/log/a.rs", "fn f() { let a = b && c; if let d = (e && f) {} }\n");
}

/// A function of this many lines.
fn function(lines: usize) -> String {
    format!("fn planted(a: [u8; 4]) -> u8 {{\n{}}}\n", "    a;\n".repeat(lines - 2))
}

#[test]
fn long_functions_are_caught_at_one_over() {
    clean("core/src/log/a.rs", &function(70));
    caught("core/src/log/a.rs", &function(71), 2, "planted has 71 lines");
    caught(
        "core/tests/common/a.rs",
        &format!("mod a {{\n{}}}\n", function(71)),
        3,
        "planted has 71 lines",
    );
    let brackets = "\"{\", '{', b'{', '\\'', r\"{\"";
    caught("targets/host/src/a.rs", &function(71).replace("a;", brackets), 2, "71 lines");
    clean("targets/host/src/a.rs", &format!("type A = fn(u8);\n{}", "\n".repeat(80)));
}

#[test]
fn recorded_functions_may_shrink_but_not_grow() {
    let what = |lines, recorded| {
        let source = Source::new("core/src/log/a.rs", function(lines));
        let faults = functions::check_against(&[source], &[("core/src/log", recorded)]);
        faults.into_iter().map(|fault| fault.what).collect::<String>()
    };
    assert_eq!(what(80, 80), "");
    assert!(what(81, 80).contains("81 lines; at most 80"));
    assert!(what(79, 80).contains("now has 79 lines: lower its entry"));
    assert!(what(70, 80).contains("now has 70 lines: remove its entry"));
}

#[test]
fn the_table_of_longer_functions_covers_its_own_place_only() {
    let source = Source::new("core/src/table/a.rs", function(80));
    assert_eq!(functions::check_against(&[source], &[("core/src/log", 80)]).len(), 2);
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = |code: &str| {
        let source = Source::new("x.rs", code);
        source.tokens().iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(text("a /* /* b */ c */ d // e\nf"), "a d f");
    assert_eq!(
        text(r##"a("\"b", 'c', '\'', b"d", br#"e"f"#, c"g", r"\")"##).matches(LITERAL).count(),
        7
    );
    assert_eq!(text("fn f<'a>(b: &'a str)"), "fn f < ' a > ( b : & ' a str )");
    assert_eq!(text("a::b && c.d"), "a :: b && c . d");
    assert_eq!(text("\"never closed"), LITERAL);
    assert_eq!(text("/* never closed"), "");
}

#[test]
fn lines_are_counted_through_comments_and_literals() {
    let source = Source::new("x.rs", "/* a\nb */ \"c\nd\" e\n// f\ng");
    let lines: Vec<_> = source.tokens().iter().map(|token| (token.text, token.line)).collect();
    assert_eq!(lines, [(LITERAL, 2), ("e", 3), ("g", 5)]);
}

#[test]
fn unbalanced_brackets_end_with_the_file() {
    for code in ["fn f() {", "#[cfg(test)] mod a {", "use a::{", "}}", "mod a {", "if let a", "fn"]
    {
        let source = Source::new("core/src/log/a.rs", format!("{STORY}{code}\n"));
        let tokens = source.tokens();
        assert!(without_tests(&tokens).len() <= tokens.len());
        check(&[source]);
    }
}
