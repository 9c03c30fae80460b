//! The commands over a store in memory: what each says, and how it exits.

use super::*;
use crate::error::{Class, Failure, Outcome};
use crate::graph::stand_in::Memory;
use crate::graph::{Graph, Order};
use crate::index::identity;
use import::{Options, Report};
use kausaldb::{BlockId, Direction, EdgeKind};
use query::Wanted;

fn import_text(
    store: &mut Memory,
    text: &str,
    batch: usize,
    acks: bool,
) -> (Outcome<Report>, String) {
    let mut out = Vec::new();
    let options = Options { name: "-", batch, acks };
    let report = import::import(store, text.as_bytes(), &options, &mut out);
    (report, String::from_utf8(out).unwrap())
}

fn failure(result: Outcome<Report>) -> (Class, String) {
    match result.unwrap_err() {
        Failure::Line { class, line } => (class, line),
        Failure::Quiet => panic!("quiet"),
    }
}

fn put(id: u128, name: &str, content: &str) -> String {
    let id = BlockId::from_u128(id);
    format!(
        concat!(
            r#"{{"put":{{"id":"{id}","version":1,"source_uri":"a/{name}.rs","#,
            r#""metadata":{{"name":"{name}"}},"content":"{content}"}}}}"#,
            "\n"
        ),
        id = id,
        name = name,
        content = content
    )
}

fn link(source: BlockId, kind: &str, target: BlockId) -> String {
    format!(r#"{{"link":{{"source":"{source}","kind":"{kind}","target":"{target}"}}}}"#) + "\n"
}

fn id(number: u128) -> BlockId {
    BlockId::from_u128(number)
}

#[test]
fn each_acknowledged_batch_is_one_line() {
    let mut store = Memory::default();
    let text = put(3, "c", "") + &put(1, "a", "") + &put(2, "b", "");
    let (report, out) = import_text(&mut store, &text, 2, true);
    assert_eq!(report.unwrap(), Report { lines: 3, batches: 2, sequence: Some(2) });
    assert_eq!(out, "committed 1 2\ncommitted 2 3\n");
}

#[test]
fn a_bad_line_stops_with_its_number_and_nothing_of_its_batch_is_stored() {
    let mut store = Memory::default();
    let text =
        put(1, "a", "") + &put(2, "b", "") + &put(3, "c", "") + "{\"put\":1}\n" + &put(5, "e", "");
    let (report, _) = import_text(&mut store, &text, 2, false);
    let (class, line) = failure(report);
    assert_eq!(class, Class::Usage);
    assert!(line.contains("line 4: ") && line.contains("lines 1 to 2 are stored"), "{line}");
    assert_eq!(store.blocks.len(), 2);
}

#[test]
fn a_block_that_does_not_fit_is_a_bad_line() {
    let mut store = Memory::default();
    let (report, _) = import_text(&mut store, &put(1, "a", &"x".repeat(3 << 20)), 1, false);
    let (class, line) = failure(report);
    assert_eq!(class, Class::Usage);
    assert!(line.contains("line 1: the block has 31457") && line.contains("3145728"), "{line}");
}

#[test]
fn an_export_is_ordered_and_its_import_exports_the_same_bytes() {
    let mut store = Memory::default();
    let text = link(id(2), "calls", id(9))
        + &put(2, "b", "\\u0000\\n")
        + &link(id(2), "60000", id(1))
        + &put(1, "a", "")
        + &link(id(1), "imports", id(1))
        + &link(id(8), "calls", id(1));
    import_text(&mut store, &text, 100, false).0.unwrap();
    let mut first = Vec::new();
    export::export(&store, &mut first).unwrap();
    let first = String::from_utf8(first).unwrap();
    let words: Vec<_> = first.lines().map(|line| &line[2..5]).collect();
    assert_eq!(words, ["put", "put", "lin", "lin", "lin", "lin"]);
    assert!(first.starts_with(&put(1, "a", "")), "{first}");
    let mut copy = Memory::default();
    import_text(&mut copy, &first, 1, false).0.unwrap();
    let mut second = Vec::new();
    export::export(&copy, &mut second).unwrap();
    assert_eq!(String::from_utf8(second).unwrap(), first);
}

fn sample() -> Memory {
    let mut store = Memory::default();
    let undefined = identity::of_name("println");
    let text = put(1, "main", "fn main() { helper(); println!() }")
        + &put(2, "helper", "")
        + &link(id(1), "calls", id(2))
        + &link(id(1), "calls", undefined)
        + &link(id(1), "12", id(2));
    import_text(&mut store, &text, 100, false).0.unwrap();
    store
}

fn shown(run: impl FnOnce(&mut Vec<u8>) -> Outcome) -> String {
    let mut out = Vec::new();
    run(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn get_shows_the_object_inside_put() {
    let store = sample();
    let text = shown(|out| query::get(&store, &id(2), true, out));
    assert_eq!(format!("{{\"put\":{}}}\n", text.trim_end()), put(2, "helper", ""));
    let text = shown(|out| query::get(&store, &id(1), false, out));
    assert!(text.contains("uri       a/main.rs\n") && text.ends_with("println!() }\n"), "{text}");
    assert!(matches!(
        query::get(&store, &id(3), true, &mut Vec::new()),
        Err(Failure::Line { class: Class::NotFound, .. })
    ));
}

#[test]
fn find_looks_for_names_and_uris() {
    let store = sample();
    for name in ["helper", "helper.rs", "a/helper.rs"] {
        let text = shown(|out| query::find(&store, name, false, out));
        assert_eq!(text, format!("{}  helper  a/helper.rs\n", id(2)));
    }
    assert!(query::find(&store, "elper", false, &mut Vec::new()).is_err());
}

#[test]
fn neighbours_are_listed_both_ways_and_names_without_a_block_are_known() {
    let store = sample();
    let calls = Some(EdgeKind::CALLS);
    let out_calls = Wanted { ways: &[Direction::Out], kind: calls };
    let text = shown(|out| query::neighbours(&store, "main", &out_calls, false, out));
    assert!(
        text.contains(&format!("out  calls          {}  helper  a/helper.rs\n", id(2))),
        "{text}"
    );
    assert!(text.contains("println  (not defined here)\n"), "{text}");
    assert_eq!(text.lines().count(), 2);
    let in_calls = Wanted { ways: &[Direction::In], kind: calls };
    let text = shown(|out| query::neighbours(&store, "println", &in_calls, true, out));
    let undefined = identity::of_name("println");
    let main = id(1);
    assert_eq!(
        text,
        format!(
            concat!(
                r#"{{"of":"{undefined}","direction":"in","kind":"calls","id":"{main}","#,
                r#""name":"main","source_uri":"a/main.rs"}}"#,
                "\n"
            ),
            undefined = undefined,
            main = main
        )
    );
    let all = Wanted { ways: &Direction::BOTH, kind: None };
    let text = shown(|out| query::neighbours(&store, &id(2).to_string(), &all, false, out));
    assert_eq!(text.lines().count(), 2);
    assert!(query::neighbours(&store, "nobody", &all, false, &mut Vec::new()).is_err());
}

#[test]
fn scan_stops_at_its_limit() {
    let store = sample();
    let text = shown(|out| query::scan(&store, Order::NewestFirst, Some(1), true, out));
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("a/helper.rs"), "{text}");
    assert_eq!(store.nodes().unwrap().len(), 3);
}

/// An export took the lists of the sources for all there is, and lost the edges of one that is damaged.
#[test]
fn edges_of_a_list_that_cannot_be_read_are_exported_from_their_other_ends() {
    let mut store = sample();
    let mut whole = Vec::new();
    export::export(&store, &mut whole).unwrap();
    store.hurt.insert((id(1), Direction::Out));
    let mut left = Vec::new();
    export::export(&store, &mut left).unwrap();
    assert_eq!(String::from_utf8(left).unwrap(), String::from_utf8(whole).unwrap());
}

#[test]
fn nobody_says_that_there_are_no_edges_where_a_list_cannot_be_read() {
    let mut store = sample();
    let calls = Wanted { ways: &[Direction::In], kind: Some(EdgeKind::CALLS) };
    let none = query::neighbours(&store, "main", &calls, false, &mut Vec::new());
    assert!(matches!(none, Err(Failure::Line { class: Class::NotFound, .. })));
    store.hurt.insert((id(1), Direction::In));
    assert_eq!(shown(|out| query::neighbours(&store, "main", &calls, false, out)), "");
}
