//! Precision and recall against the hand-labelled files in `tests/labelled`.
//!
//! The figures asserted here are those that were measured; they may only rise.

use super::{Extractor, Language, Source};
use kausaldb::EdgeKind;
use std::collections::BTreeSet;
use std::path::Path;

/// Found and right, found, labelled.
#[derive(Debug, PartialEq, Eq)]
struct Score {
    right: usize,
    found: usize,
    labelled: usize,
}

impl Score {
    fn of(found: &BTreeSet<String>, labelled: &BTreeSet<String>) -> Self {
        for wrong in found.difference(labelled) {
            println!("    found, not labelled: {wrong}");
        }
        for missed in labelled.difference(found) {
            println!("    labelled, not found: {missed}");
        }
        let right = found.intersection(labelled).count();
        Self { right, found: found.len(), labelled: labelled.len() }
    }

    fn precision(&self) -> f64 {
        self.right as f64 / self.found as f64
    }

    fn recall(&self) -> f64 {
        self.right as f64 / self.labelled as f64
    }
}

fn labels(text: &str, word: &str) -> BTreeSet<String> {
    text.lines().filter(|line| line.split(' ').next() == Some(word)).map(str::to_owned).collect()
}

fn measure(file: &str) -> (Score, Score) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labelled");
    let text = std::fs::read(folder.join(file)).unwrap();
    let labelled = std::fs::read_to_string(folder.join(format!("{file}.labels"))).unwrap();
    let extract = Extractor::new().extract(Language::of(file).unwrap(), &text).unwrap();
    let definitions =
        extract.definitions.iter().map(|d| format!("def {} {} {}", d.lines[0], d.kind, d.path));
    let calls = extract.references.iter().filter(|r| r.kind == EdgeKind::CALLS).map(|r| {
        let caller = match &r.source {
            Source::File => "-",
            Source::Definition(index) => &extract.definitions[*index].path,
            Source::Named(name) => name,
        };
        format!("call {caller} {}", r.name)
    });
    println!("{file}");
    let scores = (
        Score::of(&definitions.collect(), &labels(&labelled, "def")),
        Score::of(&calls.collect(), &labels(&labelled, "call")),
    );
    println!(
        "{file}: definitions: precision {:.2}, recall {:.2}; calls: precision {:.2}, recall {:.2}",
        scores.0.precision(),
        scores.0.recall(),
        scores.1.precision(),
        scores.1.recall()
    );
    scores
}

fn check(measured: &[(&str, Floor, Floor)]) {
    let reaches =
        |score: &Score, floor: Floor| score.precision() >= floor.0 && score.recall() >= floor.1;
    for (file, definitions, calls) in measured {
        let (d, c) = measure(file);
        assert!(reaches(&d, *definitions), "{file}: {d:?}");
        assert!(reaches(&c, *calls), "{file}: {c:?}");
    }
}

/// Precision and recall.
type Floor = (f64, f64);

#[test]
fn precision_and_recall_on_the_tuned_files_do_not_fall() {
    // File, definitions, calls.
    check(&[
        ("sample.rs", (1.0, 1.0), (0.88, 0.92)),
        ("sample.c", (1.0, 1.0), (1.0, 1.0)),
        ("sample.py", (1.0, 1.0), (1.0, 1.0)),
        ("sample.js", (1.0, 1.0), (1.0, 0.95)),
        ("sample.go", (1.0, 1.0), (0.90, 0.95)),
    ]);
}

#[test]
fn precision_and_recall_on_the_fresh_files_do_not_fall() {
    // File, definitions, calls.
    check(&[
        ("fresh.rs", (1.0, 1.0), (0.78, 0.86)),
        ("fresh.c", (1.0, 0.82), (1.0, 1.0)),
        ("fresh.py", (0.77, 0.89), (0.94, 0.97)),
        ("fresh.js", (0.88, 0.88), (0.86, 0.77)),
        ("fresh.go", (0.94, 1.0), (1.0, 1.0)),
    ]);
}
