//! A room of the core imports only rooms listed above it.
//!
//! Paths are followed through `use` groups and through `super`, also within inline modules. Test code may
//! import anything, and so may `lib.rs`. A path through one of the root's re-exports is a fault, too: it
//! would hide the room.

use super::source::{Token, closing, without_tests};
use super::{Fault, Source};
use std::ops::RangeInclusive;

/// The rooms of the core in their order, which the map in `core/src/lib.rs` shows, too.
const ROOMS: &[&str] = &[
    "planted",
    "types",
    "memory",
    "storage",
    "format",
    "log",
    "index",
    "edges",
    "state",
    "compaction",
    "engine",
    "query",
    "sync",
];

/// The words with which a path to another room can start.
const STARTS: &[&str] = &["crate", "$crate", "super"];

pub(super) fn check(source: &Source) -> Vec<Fault> {
    let inside = source.path.strip_prefix("core/src/").filter(|_| source.is_rust());
    let Some(inside) = inside.filter(|_| !source.is_test()) else { return Vec::new() };
    if inside == "lib.rs" {
        return check_map(source);
    }
    let mut names = inside.split('/').map(|part| part.trim_end_matches(".rs"));
    let room = names.next().unwrap_or_default();
    let Some(own) = ROOMS.iter().position(|known| *known == room) else {
        return vec![source.fault(1, format!("{room} is not in the list of rooms"))];
    };
    let depth = 1 + names.filter(|name| *name != "mod").count();
    let tokens = without_tests(&source.tokens());
    let mut faults = Vec::new();
    for (line, name) in root_names(&tokens, depth) {
        match ROOMS.iter().position(|known| *known == name) {
            Some(other) if other <= own => {}
            Some(_) => {
                faults.push(
                    source.fault(line, format!("{room} imports {name}, which lies below it")),
                );
            }
            None => {
                let what = format!("{name} is no room: import it from the room that it lives in");
                faults.push(source.fault(line, what));
            }
        }
    }
    faults
}

/// Checks that the map of the rooms has them in their order.
fn check_map(source: &Source) -> Vec<Fault> {
    let (mut faults, mut last) = (Vec::new(), 0);
    for (line, text) in (1..).zip(source.text.lines()) {
        let entry = text.strip_prefix("//! - [`").and_then(|entry| entry.split('`').next());
        let Some(room) = ROOMS.iter().position(|room| Some(*room) == entry) else { continue };
        if room < last {
            faults.push(source.fault(line, "the map has this room below one that may import it"));
        }
        last = room;
    }
    faults
}

/// What the code takes from the crate's root: each name with its line. `depth` is the file's own distance
/// from it.
fn root_names<'s>(tokens: &[Token<'s>], depth: usize) -> Vec<(usize, &'s str)> {
    let modules = inline_modules(tokens);
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_use = token.text == "use";
        if !is_use && !STARTS.contains(&token.text) {
            at += 1;
            continue;
        }
        let depth = depth + modules.iter().filter(|module| module.contains(&at)).count();
        let end = if is_use { use_end(tokens, at) } else { path_end(tokens, at) };
        let tree = tokens.get(at + usize::from(is_use)..end).unwrap_or_default();
        for path in flatten(tree) {
            names.extend(root_name(&path, depth).map(|name| (name.line, name.text)));
        }
        at = end.max(at + 1);
    }
    // Each name of a group repeats what the group shares.
    names.dedup();
    names
}

/// Where the modules of this file that have a body lie.
fn inline_modules(tokens: &[Token<'_>]) -> Vec<RangeInclusive<usize>> {
    let is_open = |at: usize, text| tokens.get(at).is_some_and(|token| token.text == text);
    let starts = tokens.iter().enumerate().filter(|(_, token)| token.text == "mod");
    let bodies = starts.map(|(at, _)| at + 2).filter(|open| is_open(*open, "{"));
    bodies.map(|open| open..=closing(tokens, open)).collect()
}

/// Where the `use` that starts at `at` ends.
fn use_end(tokens: &[Token<'_>], at: usize) -> usize {
    let rest = tokens.iter().skip(at);
    at + rest.take_while(|token| token.text != ";").count()
}

/// Where the path that starts at `at` ends: names and separators take turns.
fn path_end(tokens: &[Token<'_>], at: usize) -> usize {
    let separators = tokens.iter().skip(at + 1).step_by(2);
    at + 1 + 2 * separators.take_while(|token| token.text == "::").count()
}

/// The paths of a `use` tree, each from its start to its last name.
fn flatten<'s>(tree: &[Token<'s>]) -> Vec<Vec<Token<'s>>> {
    let (mut paths, mut path, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for token in tree {
        match token.text {
            "::" => {}
            "{" => groups.push(path.len()),
            "," | "}" => {
                paths.push(path.clone());
                let shared = groups.last().copied().unwrap_or(0);
                path.truncate(shared);
                if token.text == "}" {
                    groups.pop();
                }
            }
            _ => path.push(*token),
        }
    }
    paths.push(path);
    paths
}

/// The first name behind the crate's root on a path, if it gets there.
fn root_name<'s>(path: &[Token<'s>], depth: usize) -> Option<Token<'s>> {
    let mut rest = path.iter().skip_while(|token| token.text == "self").peekable();
    if rest.next_if(|token| token.text.ends_with("crate")).is_some() {
        return rest.next().copied();
    }
    let mut height = 0;
    while rest.next_if(|token| token.text == "super").is_some() {
        height += 1;
    }
    rest.next().copied().filter(|_| height == depth)
}
