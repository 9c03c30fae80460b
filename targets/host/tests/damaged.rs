//! Damaged images: what each command says of them, and what `salvage`, `repair` and `scrub` make of them.
#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use common::Case;
use kausaldb::format::{FoundHeader, Header, Kind, Layout, Record, Salt};
use kausaldb::{BlockId, Direction};
use std::fs;
use std::iter;
use std::ops::Range;

const SEGMENT: usize = 4096;
const BLOCKS: u32 = 40;

/// A record of the image: what it is, and where its header and its body lie.
struct Found {
    segment: u32,
    offset: usize,
    record: Record,
    header: Range<usize>,
    body: Range<usize>,
}

/// A store of blocks that each call the next two, its lists folded; its image, and its export.
struct Sample {
    case: Case,
    image: Vec<u8>,
    whole: String,
}

fn id(number: u32) -> String {
    format!("{number:032x}")
}

impl Sample {
    fn new() -> Self {
        let case = Case::new();
        case.run("create --size 256K --segment-size 4096 --erase-size 4096 --write-size 4");
        let put = |n: u32| {
            let (id, text) = (id(n), format!("text {n} ").repeat(20));
            let names = format!(r#""id":"{id}","version":1,"source_uri":"a/{n}.rs""#);
            format!(r#"{{"put":{{{names},"metadata":null,"content":"{text}"}}}}"#)
        };
        let link = |from: u32, to: u32| {
            let (source, target) = (id(from), id(to));
            format!(r#"{{"link":{{"source":"{source}","kind":"calls","target":"{target}"}}}}"#)
        };
        let puts = (1..=BLOCKS).map(put);
        let links = (1..=BLOCKS).flat_map(|n| [1, 2].map(|next| link(n, (n + next) % BLOCKS + 1)));
        let lines: String = puts.chain(links).map(|line| line + "\n").collect();
        case.feed("import - --batch 3", &lines);
        // Edges are folded into lists when what lies around them moves, which the newest segment never does.
        case.run("compact");
        case.run("compact");
        let whole = case.run("export");
        case.run("verify");
        let image = fs::read(case.path("kausal.kdb")).unwrap();
        Self { case, image, whole }
    }

    /// Every valid record in a segment of the log.
    fn records(&self) -> Vec<Found> {
        let mut records = Vec::new();
        for slot in 0..self.image.len() / SEGMENT {
            let start = slot * SEGMENT;
            let bytes = &self.image[start..start + SEGMENT];
            let Ok(FoundHeader { layout, segment }) = FoundHeader::parse(bytes) else { continue };
            let mut offset = layout.first_offset() as usize;
            while let Some(header) = parse(&layout, bytes, segment.number, offset) {
                let end = offset + header.record_bytes(layout.index_form()) as usize;
                let body = start + offset + header.bytes as usize..start + end;
                let (segment, record) = (segment.number, header.record);
                records.push(Found {
                    segment,
                    offset,
                    record,
                    header: start + offset..body.start,
                    body,
                });
                offset = end.next_multiple_of(layout.align() as usize);
            }
        }
        records
    }

    /// The records of this block.
    fn block(&self, number: u32) -> Vec<Found> {
        let wanted = BlockId::from_u128(number.into());
        let of_it = |record: &Record| matches!(record, Record::Block { id, .. } if *id == wanted);
        self.records().into_iter().filter(|found| of_it(&found.record)).collect()
    }

    /// The newest list of edges in this direction with entries.
    fn list(&self, way: Direction) -> Found {
        let is_one = |record: &Record| match record {
            Record::Adjacency { direction, entries, .. } => *direction == way && *entries == 2,
            _ => false,
        };
        let lists = self.records().into_iter().filter(|found| is_one(&found.record));
        lists.max_by_key(|found| (found.segment, found.offset)).unwrap()
    }

    /// Puts the image with these spans overwritten in the store's place.
    fn hurt(&self, spans: impl IntoIterator<Item = Range<usize>>) {
        let mut image = self.image.clone();
        for span in spans {
            image[span].iter_mut().for_each(|byte| *byte ^= 0x5A);
        }
        fs::write(self.case.path("kausal.kdb"), image).unwrap();
    }

    /// Runs a command that may find damage; its exit code and what it prints.
    fn run(&self, arguments: &str) -> (i32, String) {
        let output = self.case.run_with(arguments, "");
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// The export without the lines that name one of these blocks.
    fn whole_without(&self, words: &[&str]) -> String {
        let kept = self.whole.lines().filter(|line| !words.iter().any(|word| line.contains(word)));
        kept.map(|line| format!("{line}\n")).collect()
    }

    /// What `salvage` saves is what `repair` makes count. Returns what salvage printed, and the export.
    fn salvage_and_repair(&self, code: i32) -> (String, String) {
        let before = fs::read(self.case.path("kausal.kdb")).unwrap();
        let (exit, said) = self.run("salvage new.kdb");
        assert_eq!(exit, code, "{said}");
        assert!(fs::read(self.case.path("kausal.kdb")).unwrap() == before, "salvage wrote");
        let saved = self.case.run("export --store new.kdb");
        self.case.run("verify --store new.kdb");
        self.case.fails(2, "salvage new.kdb", &["new.kdb", "exists already"]);
        self.case.fails(2, "salvage kausal.kdb", &["exists already; name a new file"]);
        self.case.run("repair");
        let (_, repaired) = self.run("export");
        assert_eq!(repaired, saved);
        self.case.feed("import -", &format!("{{\"delete\":{{\"id\":\"{}\"}}}}\n", id(999)));
        (said, saved)
    }
}

fn parse(layout: &Layout, bytes: &[u8], number: u32, offset: usize) -> Option<Header> {
    let seed = Salt::of(layout.store()).at(number, offset as u32);
    Header::parse(bytes.get(offset..)?, seed)
}

/// Every command that reads answers and says what is lost; every one that writes refuses.
fn says_that_it_is_degraded(sample: &Sample) {
    let words =
        ["kausal.kdb", "records in segment", "are lost", "kausaldb repair", "kausaldb salvage"];
    for command in ["export", "scan", "find 1.rs", "neighbours 2.rs", "stats", "stats --json"] {
        sample.case.fails(3, command, &words);
    }
    sample.case.fails(3, &format!("get {}", id(999)), &words);
    assert!(sample.run("stats").1.contains("blocks"));
    let verify = sample.case.run_with("verify", "");
    assert_eq!(verify.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&verify.stderr).contains("are lost"));
    let before = sample.run("export").1;
    let bytes = fs::read(sample.case.path("kausal.kdb")).unwrap();
    for command in ["import -", "index .", "compact", "grow", "scrub"] {
        sample.case.fails(3, command, &words);
    }
    assert_eq!(sample.run("export").1, before);
    let after = fs::read(sample.case.path("kausal.kdb")).unwrap();
    assert!(after == bytes, "a store was written that may not be");
}

/// Says in one line that this file is no store that can be opened, whatever is asked; nothing is written.
fn is_refused(sample: &Sample, bytes: &[u8], what: &str) {
    let path = sample.case.path("kausal.kdb");
    fs::write(&path, bytes).unwrap();
    let commands = ["stats", "verify", "export", "get 1", "salvage new.kdb", "repair", "scrub"];
    for command in commands.iter().chain(&["compact", "grow", "import -", "index ."]) {
        let command =
            if *command == "get 1" { format!("get {}", id(1)) } else { (*command).into() };
        let output = sample.case.run_with(&command, "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{what}, {command}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{what}, {command}: {stderr}");
        assert!(stderr.contains("kausal.kdb: "), "{what}, {command}: {stderr}");
        assert!(!sample.case.path("new.kdb").exists(), "{what}: salvage left a store behind");
        assert!(fs::read(&path).unwrap() == bytes, "{what}, {command} wrote");
    }
}

#[test]
fn a_dump_that_is_cut_short_empty_or_no_stores_is_refused_by_name() {
    let sample = Sample::new();
    let whole = sample.image.len();
    for len in [0, 1, 79, 80, SEGMENT, 5 * SEGMENT, 5 * SEGMENT + 100, whole - SEGMENT, whole - 1] {
        is_refused(&sample, &sample.image[..len], &format!("{len} bytes"));
    }
    is_refused(&sample, &vec![0xFF; whole], "a blank dump");
    is_refused(&sample, &vec![0x00; whole], "zeros");
    let text: Vec<u8> = "somebody else's bytes\n".bytes().cycle().take(whole).collect();
    is_refused(&sample, &text, "text");
}

/// A dump that lacks its end is salvaged once it is as long as it was, whatever stands there.
#[test]
fn a_dump_that_lacks_its_end_is_salvaged_at_its_full_length() {
    let sample = Sample::new();
    let records = sample.records();
    let newest = records.iter().map(|found| found.segment).max().unwrap();
    let of_newest = records.iter().find(|found| found.segment == newest).unwrap();
    let (mut image, last) = (sample.image.clone(), sample.image.len() - SEGMENT);
    // The newest segment is not what is cut off; what is, is named.
    assert!(of_newest.header.start < last);
    image[last..].fill(0xFF);
    fs::write(sample.case.path("kausal.kdb"), &image).unwrap();
    let (code, said) = sample.run("salvage new.kdb");
    let is_needed = records.iter().any(|found| found.header.start >= last);
    assert!(
        code == 0 || code == 3 && is_needed && said.contains("lost: records in segment "),
        "{said}"
    );
    let saved = sample.case.run("export --store new.kdb");
    let whole: Vec<_> = sample.whole.lines().collect();
    assert!(saved.lines().all(|line| whole.contains(&line)), "{saved}");
    sample.case.run("verify --store new.kdb");
}

/// What `verify` says of a hurt store: each place, in the words of segment and offset, until a repair.
#[test]
fn verify_says_what_is_damaged_and_where() {
    let sample = Sample::new();
    let (body, header) = (sample.block(5).pop().unwrap(), sample.block(9).pop().unwrap());
    let segment = sample.block(20).pop().unwrap();
    let start = segment.header.start / SEGMENT * SEGMENT;
    let spans = || [body.body.start + 30..body.body.end, header.header.clone(), start..start + 80];
    sample.hurt(spans());
    let output = sample.case.run_with("verify", "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for words in [
        format!("damaged record of {} in segment {} at {}", id(5), body.segment, body.offset),
        format!("no valid record in segment {} at {}", header.segment, header.offset),
        format!("no valid header of segment {}", segment.segment),
        "degraded: records in segment".to_owned(),
    ] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    sample.case.run("repair");
    let output = sample.case.run_with("verify", "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("which a repair has dealt with"), "{said}");
    assert!(said.contains(&format!("damaged record of {}", id(5))), "{said}");
    assert!(!said.contains("degraded") && !said.contains("no valid"), "{said}");
    // The block whose content is gone is the caller's to delete; then nothing is lost any more.
    let delete = format!("{{\"delete\":{{\"id\":\"{}\"}}}}\n", id(5));
    sample.case.feed("import -", &delete);
    sample.case.run("verify");
}

#[test]
fn an_overwritten_header_costs_its_record_and_what_nobody_else_knows() {
    let sample = Sample::new();
    let hurt = sample.block(5);
    sample.hurt(hurt.iter().map(|found| found.header.clone()));
    says_that_it_is_degraded(&sample);
    sample.hurt(hurt.iter().map(|found| found.header.clone()));
    let (said, saved) = sample.salvage_and_repair(3);
    let found = hurt.last().unwrap();
    assert!(
        said.contains(&format!("lost: records in segment {} at {}", found.segment, found.offset)),
        "{said}"
    );
    assert_eq!(saved, sample.whole_without(&[&id(5)]));
}

#[test]
fn an_overwritten_body_costs_its_block_which_is_named() {
    let sample = Sample::new();
    sample.hurt(sample.block(5).iter().map(|found| found.body.start + 30..found.body.start + 60));
    sample.case.fails(3, "scrub", &["1 record damaged", "salvage"]);
    let (code, scrubbed) = sample.run("scrub --json");
    assert_eq!(code, 3);
    assert!(scrubbed.contains(r#""records_damaged":1"#), "{scrubbed}");
    sample.hurt(sample.block(5).iter().map(|found| found.body.start + 30..found.body.start + 60));
    let (said, saved) = sample.salvage_and_repair(3);
    assert!(said.starts_with(&format!("lost: block {}\n39 blocks and 80 edges", id(5))), "{said}");
    // Its edges are known as before.
    assert_eq!(saved, sample.whole_without(&["text 5 "]));
}

#[test]
fn an_overwritten_list_costs_nothing_since_the_other_ends_know() {
    for way in Direction::BOTH {
        let sample = Sample::new();
        let list = sample.list(way);
        let hurt = || sample.hurt(iter::once(list.body.clone()));
        hurt();
        assert_eq!(sample.run("export").1, sample.whole, "{way:?}");
        let (said, saved) = sample.salvage_and_repair(0);
        assert_eq!(said, "40 blocks and 80 edges saved to new.kdb\n", "{way:?}");
        assert_eq!(saved, sample.whole, "{way:?}");
        sample.case.run("verify");
        hurt();
        assert!(sample.case.run("repair --json").contains(r#""lists_emptied":1,"#), "{way:?}");
    }
}

/// One list that could not be read kept `stats` from printing anything, and `grow` and `compact` from closing
/// the store after their work.
#[test]
fn a_list_that_cannot_be_read_is_counted_and_passed_over() {
    let sample = Sample::new();
    sample.hurt(iter::once(sample.list(Direction::Out).body));
    sample.case.fails(3, "stats", &["1 list of edges cannot be read", "salvage"]);
    let (_, stats) = sample.run("stats --json");
    assert!(stats.contains(r#""edges":78,"edge_lists_unreadable":1,"#), "{stats}");
    for command in ["compact --json", "grow --json"] {
        let done = sample.case.run(command);
        assert!(done.contains(r#""edge_lists_unreadable":1,"#), "{done}");
    }
    assert_eq!(sample.run("export").1, sample.whole);
    let asked = (1..=BLOCKS).map(|n| sample.case.run_with(&format!("neighbours {n}.rs --out"), ""));
    let hurt: Vec<_> = asked.filter(|output| output.status.code() == Some(3)).collect();
    assert_eq!(hurt.len(), 1);
    let stderr = String::from_utf8_lossy(&hurt[0].stderr);
    assert!(hurt[0].stdout.is_empty() && stderr.lines().count() == 1, "{stderr}");
    assert!(stderr.contains("damaged record in segment"), "{stderr}");
}

#[test]
fn a_lost_segment_header_costs_no_record() {
    let sample = Sample::new();
    let start = sample.block(20).last().unwrap().header.start / SEGMENT * SEGMENT;
    sample.hurt(iter::once(start..start + 80));
    says_that_it_is_degraded(&sample);
    sample.hurt(iter::once(start..start + 80));
    let (said, saved) = sample.salvage_and_repair(3);
    assert!(said.starts_with("lost: records in segment "), "{said}");
    assert!(said.contains("40 blocks and 80 edges saved"), "{said}");
    assert_eq!(saved, sample.whole);
}

#[test]
fn a_lost_segment_costs_what_it_held() {
    let sample = Sample::new();
    let start = sample.block(20).last().unwrap().header.start / SEGMENT * SEGMENT;
    sample.hurt(iter::once(start..start + SEGMENT));
    says_that_it_is_degraded(&sample);
    sample.hurt(iter::once(start..start + SEGMENT));
    let (said, saved) = sample.salvage_and_repair(3);
    assert!(said.contains("lost: records in segment "), "{said}");
    let whole: Vec<_> = sample.whole.lines().collect();
    assert!(saved.lines().all(|line| whole.contains(&line)), "{saved}");
    let blocks = |text: &str| text.lines().filter(|line| line.starts_with("{\"put\"")).count();
    assert!((20..40).contains(&blocks(&saved)), "{} blocks left", blocks(&saved));
    let (_, json) = sample.run("salvage --json again.kdb");
    assert!(json.lines().last().unwrap().starts_with(r#"{"blocks":"#), "{json}");
}

#[test]
fn one_flipped_bit_is_written_anew_by_scrub_and_mended_by_salvage() {
    let sample = Sample::new();
    let flip = |bit: u8| {
        let mut image = sample.image.clone();
        sample.block(7).iter().for_each(|found| image[found.body.start + 40] ^= bit);
        fs::write(sample.case.path("kausal.kdb"), image).unwrap();
    };
    flip(8);
    let (code, said) = sample.run("salvage new.kdb");
    assert_eq!((code, said.as_str()), (0, "40 blocks and 80 edges saved to new.kdb\n"));
    assert_eq!(sample.case.run("export --store new.kdb"), sample.whole);
    let scrubbed = sample.case.run("scrub --json");
    assert!(scrubbed.contains(r#""records_damaged":0"#), "{scrubbed}");
    assert!(!scrubbed.contains(r#""records_mended":0"#), "{scrubbed}");
    assert_eq!(sample.case.run("export"), sample.whole);
    assert!(sample.records().iter().any(|found| found.record.kind() == Kind::Mark));
}
