//! The command as a user meets it: what it prints, what it leaves behind, and how it ends.
#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use common::Case;
use kausaldb::{Capacity, Config, StorageEngine};
use kausaldb_file::{Access, OpenedFile};
use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Command, Stdio};

const ID: &str = "0123456789abcdef0123456789abcdef";

fn put(id: &str, name: &str, content: &str) -> String {
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

fn id(number: u32) -> String {
    format!("{number:032x}")
}

fn link(source: &str, target: &str) -> String {
    format!(r#"{{"link":{{"source":"{source}","kind":"calls","target":"{target}"}}}}"#) + "\n"
}

#[test]
fn a_tree_is_indexed_queried_and_indexed_again() {
    let case = Case::new();
    case.write("tree/src/main.rs", "fn main() { helper(); }\n");
    case.write("tree/src/help.rs", "/// Helps.\npub fn helper() { println!(); }\n");
    let said = case.run("index tree");
    assert!(said.starts_with("2 files, 2 definitions, "), "{said}");
    assert!(said.contains("kausaldb callers helper\n"), "{said}");
    let callers = case.run("callers helper");
    assert!(callers.contains("function  main  src/main.rs:1"), "{callers}");
    assert!(case.run("callees helper").contains("println  (not defined here)"));
    assert!(case.run("callers println --json").contains(r#""name":"helper""#));
    let found = case.run("find help.rs --json");
    assert!(found.contains(r#""source_uri":"src/help.rs""#), "{found}");
    let before = case.run("export");
    assert!(case.run("index tree --json").contains(r#""written":0,"removed":0"#));
    assert_eq!(case.run("export"), before);
    fs::remove_file(case.path("tree/src/help.rs")).unwrap();
    case.run("index tree");
    case.fails(1, "find help.rs", &["help.rs"]);
    assert!(case.run("callees main").contains("helper  (not defined here)"));
    case.run("verify");
    fs::create_dir(case.path("empty")).unwrap();
    let said = case.run("index empty --store other.kdb");
    assert!(said.starts_with("0 files, ") && !said.contains("try:"), "{said}");
}

#[test]
fn an_export_of_an_import_of_an_export_is_the_same() {
    let case = Case::new();
    let lines = link(&id(9), &id(1))
        + &put(&id(2), "b", "\\u0000\\n\u{e9}")
        + &put(&id(1), "a", "")
        + &link(&id(1), &id(1));
    case.feed("import -", &lines);
    let first = case.run("export");
    assert_eq!(first.lines().count(), 4);
    assert!(first.starts_with(&put(&id(1), "a", "")), "{first}");
    case.write("first.jsonl", &first);
    case.run("--store copy.kdb import first.jsonl --batch 1");
    assert_eq!(case.run("export --store copy.kdb"), first);
    assert_eq!(case.run("get --json 00000000000000000000000000000001"), {
        let line = put(&id(1), "a", "");
        line.trim_end().strip_prefix("{\"put\":").unwrap().strip_suffix('}').unwrap().to_owned()
            + "\n"
    });
}

#[test]
fn operations_of_a_batch_act_one_after_another() {
    let case = Case::new();
    let delete = format!("{{\"delete\":{{\"id\":\"{}\"}}}}\n", id(1));
    let unlink = link(&id(7), &id(8)).replace("link", "unlink");
    let lines = put(&id(1), "old", "")
        + &link(&id(1), &id(2))
        + &link(&id(3), &id(1))
        + &delete
        + &put(&id(1), "new", "")
        + &link(&id(1), &id(4))
        + &link(&id(1), &id(4))
        + &unlink;
    case.feed("import -", &lines);
    assert_eq!(case.run("export"), put(&id(1), "new", "") + &link(&id(1), &id(4)));
    case.feed("import -", &(put(&id(1), "newer", "") + &delete + &delete));
    assert_eq!(case.run("export"), "");
}

#[test]
fn batches_are_acknowledged_and_a_bad_line_stops() {
    let case = Case::new();
    let lines: String = (1..=5).map(|number| put(&id(number), "a", "")).collect();
    let acks = case.feed("import - --batch 2 --acks", &lines);
    let summary = case.feed("import - --batch 2 --json --store other.kdb", &lines);
    assert!(
        summary.contains(r#""write_amplification":"#) && !summary.contains("null"),
        "{summary}"
    );
    let counts: Vec<_> = acks.lines().map(|line| line.split(' ').collect::<Vec<_>>()).collect();
    assert_eq!(counts.iter().map(|words| words[2]).collect::<Vec<_>>(), ["2", "4", "5"], "{acks}");
    assert!(counts.iter().all(|words| words[0] == "committed" && words[1].parse::<u64>().is_ok()));
    let bad: String = (6..=8).map(|number| put(&id(number), "b", "")).collect::<String>() + "{}\n";
    case.fails_with(2, "import - --batch 2", &bad, &["line 4", "lines 1 to 2"]);
    case.fails_with(2, "import -", "{}\n", &["line 1", "nothing of it is stored"]);
    assert_eq!(case.run("export").lines().count(), 7);
}

#[test]
fn a_store_grows_while_it_is_filled() {
    let case = Case::new();
    let content = "x".repeat(20_000);
    let lines: String = (1..=300).map(|number| put(&id(number), "a", &content)).collect();
    case.feed("import - --size 2M --segment-size 64K", &lines);
    assert!(fs::metadata(case.path("kausal.kdb")).unwrap().len() > 6 << 20);
    assert_eq!(case.run("scan").lines().count(), 300);
    case.run("verify");
    case.run("compact");
    case.run("grow");
    assert_eq!(case.run("scan --reverse --limit 3").lines().count(), 3);
}

#[test]
fn wrong_usage_ends_with_2() {
    let case = Case::new();
    case.fails(2, "", &["subcommand"]);
    case.fails(2, "fly", &["fly"]);
    case.fails(2, "get 12", &["32 hexadecimal digits"]);
    case.fails(2, "stats", &["kausal.kdb", "no such store"]);
    case.fails(2, "index nowhere", &["nowhere"]);
    case.fails(2, "import nowhere.jsonl", &["nowhere.jsonl"]);
    assert!(!case.path("kausal.kdb").exists());
    case.run("create");
    case.fails(2, "create", &["exists already"]);
    case.fails(2, "create --store x.kdb --write-size 3", &["write size"]);
    assert!(!case.path("x.kdb").exists());
    case.fails(2, "grow --size 1M", &["more than that"]);
}

#[test]
fn what_is_not_there_ends_with_1() {
    let case = Case::new();
    case.run("create --size 1M --segment-size 4K");
    case.fails(1, &format!("get {ID}"), &[ID]);
    case.fails(1, "find nobody", &["nobody"]);
    case.fails(1, "callers nobody", &["nobody"]);
    case.fails(1, &format!("neighbours {ID}"), &[ID]);
    case.feed("import -", &(put(&id(1), "a", "") + &link(&id(1), &id(2))));
    case.run("callees a");
    case.fails(1, "callers a", &["'a' has no such edges"]);
    case.fails(1, "neighbours a --out --kind imports --json", &["'a' has no such edges"]);
}

#[test]
fn what_is_no_whole_store_ends_with_3() {
    let case = Case::new();
    case.write("empty.kdb", "");
    case.fails(3, "stats --store empty.kdb", &["empty"]);
    case.write("text.kdb", &"not a store".repeat(100_000));
    case.fails(3, "stats --store text.kdb", &["not a store"]);
    case.run("create --store cut.kdb --size 1M --segment-size 16K");
    let file = fs::File::options().write(true).open(case.path("cut.kdb")).unwrap();
    file.set_len(700_000).unwrap();
    case.fails(3, "export --store cut.kdb", &["truncated"]);
    case.fails(3, "stats --store .", &["not a file"]);
}

/// CRC-32 as segment headers have it, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn a_store_of_another_format_version_ends_with_3() {
    let case = Case::new();
    case.run("create --size 1M --segment-size 64K");
    let mut image = fs::read(case.path("kausal.kdb")).unwrap();
    // The header as `core/src/format/segment.rs` draws it: 80 bytes, version at 8, check at 76.
    for header in image.chunks_mut(64 << 10).filter(|segment| segment.starts_with(b"KAUSALDB")) {
        assert_eq!(header[76..80], crc32(&header[..76]).to_le_bytes());
        header[8] = 77;
        let check = crc32(&header[..76]).to_le_bytes();
        header[76..80].copy_from_slice(&check);
    }
    fs::write(case.path("kausal.kdb"), &image).unwrap();
    for command in ["stats", "export", "verify", "compact", "grow", "import -", "index ."] {
        case.fails(3, command, &["kausal.kdb", "version 77", "version 4;", "export"]);
    }
    assert!(fs::read(case.path("kausal.kdb")).unwrap() == image, "the store was written to");
}

#[test]
fn what_damage_leaves_is_shown_and_ends_with_3() {
    let case = Case::new();
    let long = "x".repeat(20_000);
    let text = |n| put(&id(n), "a", &format!("text {n} of nine {long}"));
    let lines: String = (1..=9).map(text).collect::<String>() + &link(&id(4), &id(5));
    case.feed("import - --batch 1 --size 1M --segment-size 64K", &(lines + &link(&id(5), &id(6))));
    let whole = case.run("export");
    let path = case.path("kausal.kdb");
    let mut image = fs::read(&path).unwrap();
    let places: Vec<usize> = (0..image.len() - 11)
        .filter(|at| image.get(*at..at + 11) == Some(b"text 5 of n"))
        .collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| image[*at] ^= 0x66);
    fs::write(&path, image).unwrap();
    let left: String =
        whole.lines().filter(|line| !line.contains("text 5")).map(|l| format!("{l}\n")).collect();
    for (command, shows) in [("export", Some(left.as_str())), ("scan", None), ("find a", None)] {
        case.fails(3, command, &["kausal.kdb", "damaged record in segment", "restore a copy"]);
        let shown = String::from_utf8(case.run_with(command, "").stdout).unwrap();
        assert!(shows.is_none_or(|shows| shows == shown), "{shown}");
        assert!(shown.lines().count() >= 8, "{shown}");
    }
    case.fails(3, &format!("get {}", id(5)), &["damaged record"]);
    case.run(&format!("get {}", id(6)));
    case.fails(3, "verify", &[&id(5), "salvage NEW_STORE"]);
    case.write("left.jsonl", &left);
    case.run("import left.jsonl --store new.kdb");
    assert_eq!(case.run("export --store new.kdb"), left);
}

#[test]
fn what_is_in_the_way_is_named() {
    let case = Case::new();
    case.fails(2, "create --store no/where.kdb", &["no/where.kdb", "folder does not exist"]);
    case.fails(2, "import - --store no/where.kdb", &["folder does not exist"]);
    case.fails(2, "create --size 1000000T", &["kausal.kdb", "--size"]);
    assert!(!case.path("kausal.kdb").exists());
    case.fails(2, "import .", &["is a directory"]);
    case.run("create --size 1M --segment-size 16K");
    let long = put(&id(1), "a", &"x".repeat(100_000));
    case.fails_with(2, "import -", &long, &["kausal.kdb", "bytes", "segment"]);
    assert_eq!(case.run("export"), "");
}

#[test]
fn a_locked_store_ends_with_3_and_readers_share_it() {
    let case = Case::new();
    case.run("create");
    let file = fs::File::open(case.path("kausal.kdb")).unwrap();
    file.lock_shared().unwrap();
    case.run("stats");
    case.fails_with(3, "import -", &put(ID, "a", ""), &["locked"]);
    file.unlock().unwrap();
    file.lock().unwrap();
    case.fails(3, "stats", &["locked"]);
}

#[test]
fn reading_writes_nothing_and_needs_no_permission_to() {
    let case = Case::new();
    case.feed("import -", &put(ID, "a", "text"));
    let path = case.path("kausal.kdb");
    let before = fs::read(&path).unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    for command in ["export", "scan", "stats --capacity", "stats --json", "verify --json", "find a"]
    {
        case.run(command);
    }
    case.run(&format!("get {ID}"));
    assert!(fs::read(&path).unwrap() == before, "reading changed the file");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let case = Case::new();
    let lines: String = (1..=5000).map(|number| put(&id(number), "a", "some text")).collect();
    case.feed("import -", &lines);
    let mut child = Command::new(env!("CARGO_BIN_EXE_kausaldb"))
        .arg("export")
        .current_dir(case.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_image_for_a_board_has_its_geometry() {
    let case = Case::new();
    let sizes = "--size 256K --segment-size 4096 --erase-size 4096 --write-size 8 --erased ff";
    case.run(&format!("create --store board.kdb {sizes}"));
    assert_eq!(fs::metadata(case.path("board.kdb")).unwrap().len(), 256 << 10);
    let stats = case.run("stats --json --store board.kdb");
    assert!(stats.contains(r#""blocks":0"#), "{stats}");
    assert!(Path::new(&case.path("board.kdb")).exists());
}

#[test]
fn the_capacity_that_stats_shows_opens_the_store_in_the_memory_that_it_names() {
    let board = "--size 256K --segment-size 4096 --erase-size 4096 --write-size 8 --erased ff";
    for sizes in [board, "--size 32M --segment-size 1M"] {
        let case = Case::new();
        case.run(&format!("create {sizes}"));
        let long = "x".repeat(300);
        let lines: String = (1..=150).map(|number| put(&id(number), "a", &long)).collect();
        case.feed("import -", &lines);
        case.feed("import -", &lines.replace("xxx", "yyy"));
        let shown: serde_json::Value =
            serde_json::from_str(&case.run("stats --capacity --json")).unwrap();
        let field = |name: &str| {
            u32::try_from(shown[format!("capacity_{name}")].as_u64().unwrap()).unwrap()
        };
        let capacity = Capacity {
            nodes: field("nodes"),
            pending_edges: field("pending_edges"),
            hub_pages: field("hub_pages"),
            intents: field("intents"),
            segments: field("segments"),
            segment_bytes: field("segment_bytes"),
            block_bytes: field("block_bytes"),
            batch_operations: field("batch_operations"),
            batch_bytes: field("batch_bytes"),
            buffer_bytes: field("buffer_bytes"),
        };
        assert_eq!(capacity.nodes, 188, "150, and a quarter more");
        assert_eq!(capacity.region_bytes(), field("region_bytes") as usize);
        assert!(u64::from(field("region_bytes")) < shown["region_bytes"].as_u64().unwrap());

        let file = OpenedFile::open(case.path("kausal.kdb"), Access::ReadWrite).unwrap();
        let info = kausaldb::probe(file.len_bytes(), |at, into| file.read_at(at, into)).unwrap();
        let file = file.with_geometry(*info.layout.geometry()).unwrap();
        let mut region = vec![MaybeUninit::uninit(); capacity.region_bytes()];
        let engine = StorageEngine::open(file, &mut region, capacity, Config::default());
        assert_eq!(engine.unwrap().stats().blocks, 150);
    }
}

/// `grow` filled what no layout reaches, and from then on nothing opened the store. The layout is checked
/// before a byte is written.
#[test]
fn a_store_beyond_the_formats_limit_is_refused_before_a_byte_is_written() {
    let case = Case::new();
    case.fails(2, "create --size 65G", &["kausal.kdb", "69793218560", "68719476736", "--size"]);
    case.fails(2, "create --size 1M --segment-size 256K", &["4 segments", "--segment-size"]);
    assert_eq!(fs::read_dir(case.folder.path()).unwrap().count(), 0, "something was left behind");
    case.run("create --size 32M");
    case.fails(2, "grow --size 68G", &["kausal.kdb", "73014444032", "68719476736"]);
    assert_eq!(fs::metadata(case.path("kausal.kdb")).unwrap().len(), 32 << 20);
    case.run("stats");
}

/// A growth that is killed leaves a longer file, all of which was written: it is capacity, also where it
/// is no whole doubling.
#[test]
fn what_a_killed_growth_has_written_is_capacity() {
    let case = Case::new();
    case.feed("import - --size 1M --segment-size 64K", &put(&id(1), "a", "text"));
    let mut image = fs::read(case.path("kausal.kdb")).unwrap();
    image.resize((1 << 20) + 3 * (64 << 10) + 777, 0xFF);
    fs::write(case.path("kausal.kdb"), image).unwrap();
    assert!(case.run("stats --json").contains(r#""file_bytes":1245184,"#));
    let content = "x".repeat(20_000);
    let lines: String = (2..=60).map(|number| put(&id(number), "a", &content)).collect();
    case.feed("import - --batch 1", &lines);
    case.run("grow");
    assert_eq!(case.run("scan").lines().count(), 60);
    case.run("verify");
}
