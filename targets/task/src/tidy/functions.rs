//! How long functions are: new ones fit a screen, and longer ones of old only ever shrink.

use super::source::{Token, closing, find_outside};
use super::{Fault, Source};

/// Longest function, in lines from `fn` to its closing brace.
const LINES_MAX: usize = 70;

/// Places whose longest function exceeds the limit, with its length. An entry only ever gets smaller, and
/// goes.
const LONGER: &[(&str, usize)] = &[];

/// A function: where it starts, and its length in lines.
struct Function<'s> {
    source: &'s Source,
    line: usize,
    name: String,
    lines: usize,
}

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    check_against(sources, LONGER)
}

/// Checks against a table of longer functions.
pub(super) fn check_against(sources: &[Source], longer: &[(&str, usize)]) -> Vec<Fault> {
    let functions: Vec<_> = sources.iter().filter(|s| s.is_rust()).flat_map(functions).collect();
    let limit = |place: &str| {
        let entry = longer.iter().find(|(listed, _)| *listed == place);
        entry.map_or(LINES_MAX, |(_, lines)| *lines)
    };
    let mut faults: Vec<_> = functions
        .iter()
        .filter_map(|function| {
            let place = place(&function.source.path);
            let (name, lines, limit) = (&function.name, function.lines, limit(&place));
            let what = || format!("{name} has {lines} lines; at most {limit} in {place}");
            (lines > limit).then(|| function.source.fault(function.line, what()))
        })
        .collect();
    for (listed, limit) in longer {
        let here = functions.iter().filter(|function| place(&function.source.path) == *listed);
        let longest = here.map(|function| function.lines).max().unwrap_or(0);
        if longest < *limit {
            let remedy = if longest > LINES_MAX { "lower its entry" } else { "remove its entry" };
            let what =
                format!("the longest function of {listed} now has {longest} lines: {remedy}");
            faults.push(Fault { path: file!().into(), line: 1, what });
        }
    }
    faults
}

/// The room or package that a file belongs to: what lies before its own name in `core/src/log/append.rs`,
/// say.
fn place(path: &str) -> String {
    let parts: Vec<_> = path.split('/').collect();
    let depth = if path.starts_with("core/src/") { 3 } else { 2 };
    parts.iter().take(depth).copied().collect::<Vec<_>>().join("/")
}

/// The functions of a file that have a body; one within another counts for itself, too.
fn functions(source: &Source) -> Vec<Function<'_>> {
    let tokens = source.tokens();
    let starts = tokens.iter().enumerate().filter(|(_, token)| token.text == "fn");
    starts.filter_map(|(at, token)| function(source, &tokens, at, token.line)).collect()
}

fn function<'s>(
    source: &'s Source,
    tokens: &[Token<'s>],
    at: usize,
    line: usize,
) -> Option<Function<'s>> {
    // A function's type has a bracket here, not a name.
    let name = tokens.get(at + 1).filter(|name| name.text != "(")?;
    let body = find_outside(tokens, at, &["{", ";"])?;
    let end = tokens.get(closing(tokens, body)).filter(|end| end.text == "}")?;
    Some(Function { source, line, name: name.text.into(), lines: end.line - line + 1 })
}
