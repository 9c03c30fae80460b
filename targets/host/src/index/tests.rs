//! Trees that change between two runs, over a store in memory.

use super::*;
use crate::graph::stand_in::Memory;
use std::fs;
use tempfile::TempDir;

#[derive(Default)]
struct Watcher {
    skipped: Vec<String>,
}

impl Watch for Watcher {
    fn begin(&mut self, _: u64) {}
    fn file_done(&mut self, _: &str) {}
    fn resolving(&mut self) {}
    fn skipped(&mut self, line: &str) {
        self.skipped.push(line.to_owned());
    }
}

fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(&root, name, text);
    }
    root
}

fn write(root: &TempDir, name: &str, text: &str) {
    let path = root.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn run(store: &mut Memory, root: &TempDir) -> Report {
    store.written.clear();
    index(store, root.path(), &mut Watcher::default()).unwrap().report
}

fn edge(source: &str, kind: EdgeKind, target: &str) -> GraphEdge {
    GraphEdge { source: identity::of_uri(source), kind, target: identity::of_uri(target) }
}

const MAIN: (&str, &str) = ("src/main.rs", "fn main() { helper(); println!(); }\n");
const HELP: (&str, &str) =
    ("src/help.rs", "/// Helps.\npub fn helper() {}\nstruct S;\nimpl S { fn m(&self) {} }\n");

#[test]
fn a_tree_becomes_blocks_and_edges() {
    let root = tree(&[MAIN, HELP]);
    let mut store = Memory::default();
    let report = run(&mut store, &root);
    assert_eq!((report.files, report.definitions, report.skipped), (2, 4, 0));
    let helper = &store.blocks[&identity::of_uri("src/help.rs#function:helper")];
    assert_eq!(helper.version, 1);
    assert_eq!(helper.content, b"pub fn helper() {}");
    assert_eq!(
        str::from_utf8(&helper.metadata).unwrap(),
        r#"{"language":"rust","kind":"function","name":"helper","lines":[2,2],"documentation":"Helps."}"#
    );
    assert_eq!(store.blocks[&identity::of_uri("src/main.rs")].content, MAIN.1.as_bytes());
    for expected in [
        edge("src/main.rs#function:main", EdgeKind::CALLS, "src/help.rs#function:helper"),
        edge("src/main.rs#function:main", EdgeKind::DEFINED_IN, "src/main.rs"),
        edge("src/main.rs", EdgeKind::CONTAINS, "src/main.rs#function:main"),
        edge("src/help.rs#class:S", EdgeKind::CONTAINS, "src/help.rs#method:S.m"),
    ] {
        assert!(store.edges.contains(&expected), "{expected:?}");
    }
    let println = GraphEdge {
        target: identity::of_name("println"),
        ..edge("src/main.rs#function:main", EdgeKind::CALLS, "")
    };
    assert!(store.edges.contains(&println));
    assert_eq!(report.edges, store.edges.len() as u64);
}

#[test]
fn indexing_twice_writes_nothing() {
    let root = tree(&[MAIN, HELP]);
    let mut store = Memory::default();
    run(&mut store, &root);
    let report = run(&mut store, &root);
    assert_eq!(store.written, []);
    assert_eq!((report.written, report.removed), (0, 0));
}

#[test]
fn after_an_edit_only_what_changed_is_written() {
    let root = tree(&[MAIN, HELP]);
    let mut store = Memory::default();
    run(&mut store, &root);
    write(&root, "src/help.rs", &HELP.1.replace("helper() {}", "helper() { main() }"));
    run(&mut store, &root);
    let mut put = Vec::new();
    let mut other = Vec::new();
    for operation in &store.written {
        match operation {
            Operation::Put(block) => put.push((block.source_uri.as_str(), block.version)),
            operation => other.push(operation.clone()),
        }
    }
    assert_eq!(put, [("src/help.rs", 2), ("src/help.rs#function:helper", 2)]);
    let call = edge("src/help.rs#function:helper", EdgeKind::CALLS, "src/main.rs#function:main");
    assert_eq!(other, [Operation::Link(call)]);
}

#[test]
fn what_vanished_is_removed_and_what_others_put_stays() {
    let root = tree(&[MAIN, HELP]);
    let mut store = Memory::default();
    run(&mut store, &root);
    let note = Block {
        id: BlockId::from_u128(7),
        version: 1,
        source_uri: "src/help.rs".to_owned(),
        metadata: b"null".to_vec(),
        content: Vec::new(),
    };
    let opinion = edge("src/main.rs#function:main", EdgeKind::DEPENDS_ON, "src/main.rs");
    store.write(&[Operation::Put(note.clone()), Operation::Link(opinion)]).unwrap();
    fs::remove_file(root.path().join("src/help.rs")).unwrap();
    run(&mut store, &root);
    let left: Vec<_> = store.blocks.values().map(|block| block.source_uri.as_str()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(store.blocks[&note.id], note);
    assert!(store.edges.contains(&opinion));
    let unresolved = GraphEdge {
        target: identity::of_name("helper"),
        ..edge("src/main.rs#function:main", EdgeKind::CALLS, "")
    };
    assert!(store.edges.contains(&unresolved));
    let mut fresh = Memory::default();
    run(&mut fresh, &root);
    fresh.write(&[Operation::Put(note), Operation::Link(opinion)]).unwrap();
    assert_eq!(store.edges, fresh.edges);
}

#[test]
fn a_file_larger_than_a_block_is_named_and_skipped() {
    let root = tree(&[MAIN, ("big.py", &"#".repeat(BLOCK_BYTES_MAX + 1))]);
    let mut watcher = Watcher::default();
    let report = index(&mut Memory::default(), root.path(), &mut watcher).unwrap().report;
    assert_eq!((report.files, report.skipped), (1, 1));
    assert!(watcher.skipped[0].contains("big.py"), "{:?}", watcher.skipped);
}

/// What could not be read counted as vanished, and was deleted with all its edges.
#[test]
fn what_is_skipped_stays_as_it_was() {
    let root = tree(&[MAIN, HELP]);
    let mut store = Memory::default();
    run(&mut store, &root);
    let before = store.clone();
    write(&root, HELP.0, &format!("// {}\n", "x".repeat(BLOCK_BYTES_MAX)));
    let report = run(&mut store, &root);
    assert_eq!((report.files, report.skipped), (1, 1));
    assert!(before.blocks.keys().all(|id| store.blocks.contains_key(id)));
    // Also the calls into what was skipped.
    assert_eq!((report.written, report.removed, &store.edges), (0, 0, &before.edges));
    write(&root, HELP.0, HELP.1);
    run(&mut store, &root);
    assert_eq!((&store.blocks, &store.edges), (&before.blocks, &before.edges));
}

#[test]
fn what_lies_in_a_skipped_folder_or_file_lies_below_it_and_nothing_else_does() {
    let skipped = HashSet::from(["a/b".to_owned(), "c.rs".to_owned()]);
    for uri in ["a/b", "a/b/c/d.rs", "a/b/c.rs#function:f", "c.rs", "c.rs#module:m"] {
        assert!(lies_below(uri, &skipped), "{uri}");
    }
    for uri in ["a", "a/bc.rs", "a/c/b", "c.rst", "b/c.rs"] {
        assert!(!lies_below(uri, &skipped), "{uri}");
    }
}

#[test]
fn a_damaged_block_is_written_anew_with_the_next_version() {
    let root = tree(&[MAIN, HELP]);
    let mut store = Memory::default();
    run(&mut store, &root);
    let main = identity::of_uri(MAIN.0);
    store.hurt_blocks.insert(main);
    assert_eq!((run(&mut store, &root).written, store.blocks[&main].version), (1, 2));
    assert!(store.hurt_blocks.is_empty());
    assert_eq!(run(&mut store, &root).written, 0);
}
