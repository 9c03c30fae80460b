//! Indexing an edited tree writes what changed, and nothing else.
#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use common::Case;
use std::collections::BTreeSet;
use std::fs;

/// What an index run reports under this key.
fn figure(report: &str, key: &str) -> u64 {
    let (_, rest) = report.split_once(&format!("\"{key}\":")).unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn lines(export: &str) -> BTreeSet<String> {
    export.lines().map(str::to_owned).collect()
}

/// Forty files of five functions, each of which calls one of the next file.
fn write_tree(case: &Case) {
    for file in 0..40 {
        let function = |n| {
            let next = (file + 1) % 40;
            format!("/// Does {n}.\npub fn f{file}_{n}() {{\n    f{next}_{n}();\n}}\n\n")
        };
        case.write(&format!("tree/m{file}.rs"), &(0..5).map(function).collect::<String>());
    }
}

#[test]
fn indexing_an_edited_tree_writes_only_what_changed() {
    let case = Case::new();
    write_tree(&case);
    let first = case.run("index tree --json");
    assert_eq!((figure(&first, "files"), figure(&first, "definitions")), (40, 200));
    let before = case.run("export");
    assert_eq!(figure(&first, "written"), before.lines().count() as u64);

    let again = case.run("index tree --json");
    assert_eq!((figure(&again, "written"), figure(&again, "removed")), (0, 0));
    assert!(case.run("export") == before);

    // A body, a callee; then one file goes, and one comes.
    let edited = fs::read_to_string(case.path("tree/m7.rs")).unwrap();
    case.write("tree/m7.rs", &edited.replace("    f8_2();", "    f20_0();"));
    fs::remove_file(case.path("tree/m30.rs")).unwrap();
    case.write("tree/new.rs", "pub fn added() {\n    f7_2();\n}\n");
    let report = case.run("index tree --json");
    let (old, new) = (lines(&before), lines(&case.run("export")));
    // Put again: the file and the function that were edited. New: the file, its function, three edges; the
    // call.
    // The callers of what is gone call a name without a definition from now on.
    let came: Vec<&String> = new.difference(&old).collect();
    assert_eq!(figure(&report, "written"), came.len() as u64, "{came:#?}");
    assert_eq!(came.len(), 2 + 2 + 3 + 1 + 5, "{came:#?}");
    let puts = came.iter().filter(|line| line.starts_with("{\"put\"")).count();
    assert_eq!(puts, 4, "{came:#?}");
    let versions = came.iter().filter(|line| line.contains("\"version\":2")).count();
    assert_eq!(versions, 2, "{came:#?}");

    // From scratch, the same tree gives the same store, but for versions.
    case.run("index tree --store scratch.kdb");
    let scratch = lines(&case.run("export --store scratch.kdb"));
    let plain: BTreeSet<String> =
        new.iter().map(|line| line.replace("\"version\":2", "\"version\":1")).collect();
    assert!(plain == scratch);
    case.run("verify");
}

/// Runs the command as somebody whom permissions bind: the superuser reads everything.
#[cfg(unix)]
fn run_bound(case: &Case, arguments: &str) -> (i32, String, String) {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kausaldb"));
    command.args(arguments.split_whitespace()).current_dir(case.folder.path()).env_remove("CARGO");
    if fs::metadata(case.folder.path()).unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), out, err)
}

/// A folder that could not be listed counted as empty, and all that was known of it was deleted.
#[cfg(unix)]
#[test]
fn what_cannot_be_listed_is_kept_and_named_once() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::new();
    let allow = |name: &str, mode| {
        fs::set_permissions(case.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    case.write("tree/a.rs", "fn a() {}\n");
    case.write("tree/sub/b.rs", "fn b() {}\n");
    allow("", 0o777);
    assert_eq!(run_bound(&case, "index tree").0, 0);
    let whole = run_bound(&case, "export").1;
    allow("tree/sub", 0);
    let (code, said, skipped) = run_bound(&case, "index tree --json");
    allow("tree/sub", 0o755);
    assert_eq!((code, figure(&said, "skipped"), figure(&said, "removed")), (0, 1, 0), "{skipped}");
    assert_eq!(skipped, "kausaldb: tree/sub: Permission denied (os error 13); skipped\n");
    assert_eq!(run_bound(&case, "export").1, whole);
    allow("tree", 0);
    for store in ["kausal.kdb", "other.kdb"] {
        let (code, _, said) = run_bound(&case, &format!("index tree --store {store}"));
        assert_eq!(code, 2, "{said}");
        assert!(said.starts_with("kausaldb: tree: Permission denied"), "{said}");
    }
    allow("tree", 0o755);
    assert_eq!(run_bound(&case, "export").1, whole);
    assert!(!case.path("other.kdb").exists());
}

/// Overwrites the file's content, wherever it lies in the store.
fn hurt(case: &Case, file: &str) {
    let (path, text) = (case.path("kausal.kdb"), fs::read(case.path(file)).unwrap());
    let mut image = fs::read(&path).unwrap();
    let bodies: Vec<_> =
        (0..image.len() - text.len()).filter(|at| image[*at..].starts_with(&text[..])).collect();
    assert!(!bodies.is_empty());
    bodies.iter().for_each(|at| image[at + 10..at + 30].fill(0xEE));
    fs::write(path, image).unwrap();
}

/// The id of the block of a file.
fn id_of(case: &Case, uri: &str) -> String {
    let (export, uri) = (case.run("export"), format!("\"source_uri\":\"{uri}\""));
    let line = export.lines().find(|line| line.contains(&uri)).unwrap();
    let (_, rest) = line.split_once("\"id\":\"").unwrap();
    rest[..32].to_owned()
}

/// Indexing stopped at a block that was damaged, and nothing helped but to salvage the store.
#[test]
fn indexing_writes_a_damaged_block_anew() {
    let case = Case::new();
    write_tree(&case);
    case.run("index tree");
    let before = lines(&case.run("export"));
    let get = format!("get {}", id_of(&case, "m7.rs"));
    hurt(&case, "tree/m7.rs");
    case.fails(3, &get, &["damaged record in segment", "kausaldb index", "kausaldb salvage"]);
    let report = case.run("index tree --json");
    assert_eq!((figure(&report, "written"), figure(&report, "removed")), (1, 0));
    let after = lines(&case.run("export"));
    let changed: Vec<_> = before.symmetric_difference(&after).collect();
    assert_eq!(changed.len(), 2, "{changed:#?}");
    assert!(changed.iter().all(|line| line.contains("m7.rs")), "{changed:#?}");
    assert!(changed.iter().any(|line| line.contains("\"version\":2")), "{changed:#?}");
    case.run("verify");
}

/// What is damaged and gone from the tree may be anybody's: it stays, and is told of, until it is deleted.
#[test]
fn indexing_leaves_a_damaged_block_that_the_tree_does_not_hold() {
    let case = Case::new();
    write_tree(&case);
    case.run("index tree");
    let id = &id_of(&case, "m7.rs");
    hurt(&case, "tree/m7.rs");
    fs::remove_file(case.path("tree/m7.rs")).unwrap();
    case.fails(3, "index tree", &["damaged record in segment", "left out", "import"]);
    case.fails(3, "verify", &[id]);
    case.feed("import -", &format!("{{\"delete\":{{\"id\":\"{id}\"}}}}\n"));
    case.run("verify");
    case.run("index tree");
}
