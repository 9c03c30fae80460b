//! Random JSON lines against a plain model: what a store exports is what its operations come to, one after
//! another, and an export survives an import byte for byte.
#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::Case;
use std::collections::{BTreeMap, BTreeSet};

/// A sequence of numbers for a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn bytes(&mut self, len_max: u64) -> Vec<u8> {
        (0..self.below(len_max + 1)).map(|_| self.below(256) as u8).collect()
    }
}

/// Few ids, so that operations meet each other.
const IDS: u64 = 24;
/// Names are exported where kinds have them, and numbers where not.
const KINDS: &[(u16, &str)] =
    &[(0, "0"), (1, "\"imports\""), (7, "\"calls\""), (12, "12"), (65535, "65535")];

#[derive(Default)]
struct Model {
    blocks: BTreeMap<String, String>,
    edges: BTreeSet<(String, u16, String)>,
}

impl Model {
    /// The export, as the contract orders it.
    fn export(&self) -> String {
        let blocks = self.blocks.values().cloned();
        let edges = self.edges.iter().map(|(source, kind, target)| {
            let (_, kind) = KINDS.iter().find(|(number, _)| number == kind).unwrap();
            edge_line("link", source, kind, target)
        });
        blocks.chain(edges).map(|line| line + "\n").collect()
    }

    /// A random operation; it is applied, and its line returned.
    fn step(&mut self, random: &mut Random) -> String {
        let (id, other) = (id(random), id(random));
        let (kind, word) = random.one_of(KINDS);
        match random.below(20) {
            0 => {
                self.blocks.remove(&id);
                self.edges.retain(|(source, _, target)| *source != id && *target != id);
                format!(r#"{{"delete":{{"id":"{id}"}}}}"#)
            }
            1..8 => {
                let line = put_line(&id, random);
                self.blocks.insert(id, line.clone());
                line
            }
            8..16 => {
                // A named kind may also be given by its number.
                let line = match random.below(2) {
                    0 => edge_line("link", &id, word, &other),
                    _ => edge_line("link", &id, &kind.to_string(), &other),
                };
                self.edges.insert((id, kind, other));
                line
            }
            _ => {
                let line = edge_line("unlink", &id, word, &other);
                self.edges.remove(&(id, kind, other));
                line
            }
        }
    }
}

fn id(random: &mut Random) -> String {
    format!("{:032x}", u128::from(random.below(IDS)) * 0x0123_4567_89ab_cdef_0123_4567)
}

fn edge_line(word: &str, source: &str, kind: &str, target: &str) -> String {
    format!(r#"{{"{word}":{{"source":"{source}","kind":{kind},"target":"{target}"}}}}"#)
}

/// A block in the form in which it is exported.
fn put_line(id: &str, random: &mut Random) -> String {
    let metadata = match random.below(4) {
        0 => format!(
            r#""metadata_base64":"{}""#,
            STANDARD.encode([&[0xff], &*random.bytes(20)].concat())
        ),
        1 => r#""metadata_base64":"""#.to_owned(),
        _ => format!(
            r#""metadata":{}"#,
            random.one_of(&["null", "{ \"a\" : 1.000 }", "[1e400]", r#"{"name":"\u00e9"}"#])
        ),
    };
    let content = match random.below(3) {
        0 => format!(
            r#""content_base64":"{}""#,
            STANDARD.encode([&[0xff], &*random.bytes(2000)].concat())
        ),
        1 => r#""content":"""#.to_owned(),
        _ => {
            format!(r#""content":"{}""#, "text é \\n\\\"\\u0000 ".repeat(random.below(99) as usize))
        }
    };
    let version = random.one_of(&[0, 1, u64::MAX]);
    format!(
        r#"{{"put":{{"id":"{id}","version":{version},"source_uri":"a/{}",{metadata},{content}}}}}"#,
        random.below(10)
    )
}

#[test]
fn an_export_is_what_the_operations_come_to_and_survives_an_import() {
    for seed in 0..12 {
        let (case, mut random, mut model) = (Case::new(), Random(seed), Model::default());
        for _ in 0..3 {
            let count = 1 + random.below(400);
            let lines: String = (0..count).map(|_| model.step(&mut random) + "\n").collect();
            let batch = 1 + random.below(70);
            let acks = case.feed(
                &format!("import - --batch {batch} --acks --size 2M --segment-size 64K"),
                &lines,
            );
            let acknowledged = acks.lines().last().unwrap().split(' ').nth(2).unwrap().to_owned();
            assert_eq!(acknowledged, count.to_string(), "seed {seed}");
            assert_eq!(acks.lines().count() as u64, count.div_ceil(batch), "seed {seed}");
            assert!(case.run("export") == model.export(), "seed {seed}");
        }
        let exported = case.run("export");
        case.write("export.jsonl", &exported);
        case.run("import export.jsonl --batch 7 --store copy.kdb --size 2M --segment-size 64K");
        assert!(case.run("export --store copy.kdb") == exported, "seed {seed}: the copy differs");
        case.run("import export.jsonl --store copy.kdb");
        assert!(case.run("export --store copy.kdb") == exported, "seed {seed}: twice differs");
        case.run("verify --store copy.kdb");
    }
}

#[test]
fn a_bad_line_leaves_the_batches_before_it_and_nothing_of_its_own() {
    let bad_lines = [
        "",
        "{",
        "{\"delete\":{}}",
        "{\"put\":{\"id\":\"00\"}}",
        "{\"link\":{\"source\":1,\"kind\":1,\"target\":1}}",
    ];
    for seed in 0..20 {
        let (case, mut random, mut model) = (Case::new(), Random(seed), Model::default());
        let (batch, bad) = (1 + random.below(9), 1 + random.below(60));
        let whole = (bad - 1) / batch * batch;
        let mut lines = String::new();
        (0..whole).for_each(|_| lines += &(model.step(&mut random) + "\n"));
        let expected = model.export();
        (whole..bad - 1).for_each(|_| lines += &(model.step(&mut random) + "\n"));
        lines += random.one_of(&bad_lines);
        lines += "\n";
        (0..20).for_each(|_| lines += &(model.step(&mut random) + "\n"));
        let at = format!("line {bad}: ");
        let stored = match whole {
            0 => "nothing of it is stored".to_owned(),
            1 => "line 1 is stored".to_owned(),
            _ => format!("lines 1 to {whole} are stored"),
        };
        let import = format!("import - --batch {batch} --size 2M --segment-size 64K");
        case.fails_with(2, &import, &lines, &[&at, &stored]);
        assert!(case.run("export") == expected, "seed {seed}");
    }
}
