//! Running the tag query, and making one tag of the several that a query may give for a name.

use super::nesting::{self, Scope};
use super::{Definition, Extract, Language, Reference, Source, documentation};
use kausaldb::EdgeKind;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use tree_sitter_tags::{Tag, TagsConfiguration, TagsContext};

/// Reads files; it keeps the compiled queries and the parser between them.
pub(crate) struct Extractor {
    context: TagsContext,
    compiled: BTreeMap<&'static str, TagsConfiguration>,
}

/// A tag with its word, and with a name that is text.
struct Named<'a> {
    tag: Tag,
    kind: &'a str,
    name: &'a str,
}

impl Extractor {
    /// An extractor that has compiled nothing yet.
    pub(crate) fn new() -> Self {
        Self { context: TagsContext::new(), compiled: BTreeMap::new() }
    }

    /// What the file with this text defines and uses.
    ///
    /// The text need not be UTF-8; a name that is not is passed over. Costs about two microseconds for ten
    /// bytes.
    ///
    /// # Errors
    /// The language's query does not compile or the parser gives up; neither depends on what the text means.
    pub(crate) fn extract(
        &mut self,
        language: &Language,
        text: &[u8],
    ) -> Result<Extract, tree_sitter_tags::Error> {
        let configuration = match self.compiled.entry(language.name) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(language.compile()?),
        };
        let (tags, _has_error) = self.context.generate_tags(configuration, text, None)?;
        let mut by_name: BTreeMap<(usize, usize), Named<'_>> = BTreeMap::new();
        for tag in tags {
            let tag = tag?;
            let kind = configuration.syntax_type_name(tag.syntax_type_id);
            let Some(name) = text.get(tag.name_range.clone()).and_then(|n| str::from_utf8(n).ok())
            else {
                continue;
            };
            if tag.range.start > tag.range.end || tag.range.end > text.len() || name.is_empty() {
                continue;
            }
            let named = Named { tag, kind, name };
            match by_name.entry((named.tag.name_range.start, named.tag.name_range.end)) {
                Entry::Vacant(entry) => drop(entry.insert(named)),
                Entry::Occupied(mut entry) if rank(&named) > rank(entry.get()) => {
                    entry.insert(named);
                }
                Entry::Occupied(_) => {}
            }
        }
        Ok(assemble(language, text, by_name.into_values().collect()))
    }
}

/// Which of two tags of one name says more: definitions before references, what can be called before
/// constants, the wider, the documented; the earlier if all that is equal.
fn rank(named: &Named<'_>) -> (bool, bool, usize, bool) {
    let Range { start, end } = named.tag.range;
    (
        named.tag.is_definition,
        !matches!(named.kind, "constant" | "variable"),
        end - start,
        named.tag.docs.is_some(),
    )
}

/// Turns the tags of a file, ordered by name, into its extract.
fn assemble(language: &Language, text: &[u8], tags: Vec<Named<'_>>) -> Extract {
    let lines = Lines::of(text);
    let (mut definitions, references): (Vec<_>, Vec<_>) =
        tags.into_iter().partition(|named| named.tag.is_definition);
    definitions.sort_by_key(|d| (d.tag.range.start, std::cmp::Reverse(d.tag.range.end)));
    let mut scopes: Vec<Scope> = Vec::new();
    let mut found: Vec<Definition> = Vec::new();
    for Named { tag, kind, name } in definitions {
        scopes.push(Scope::of_definition(tag.range.clone(), found.len(), name));
        let documentation = match &tag.docs {
            Some(docs) => documentation::tidy(language.comments, docs),
            None => documentation::above(language, text, tag.range.start),
        };
        found.push(Definition {
            kind: kind.to_owned(),
            name: name.to_owned(),
            path: name.to_owned(),
            lines: lines.of_range(&tag.range),
            range: tag.range,
            documentation,
            parent: None,
        });
    }
    let implementors = implementors(&references);
    scopes
        .extend(implementors.iter().map(|(&(start, end), name)| Scope::of_impl(start..end, name)));
    let nest = nesting::Nest::new(scopes);
    nest.settle(&mut found);
    Extract {
        references: references.iter().filter_map(|r| reference(r, &implementors, &nest)).collect(),
        definitions: found,
        documentation: documentation::opening(language, text),
        lines: lines.count(),
    }
}

/// The types that `impl` blocks are for, by the block's range.
fn implementors<'a>(references: &[Named<'a>]) -> BTreeMap<(usize, usize), &'a str> {
    references
        .iter()
        .filter(|named| named.kind == "implementor")
        .map(|named| ((named.tag.range.start, named.tag.range.end), named.name))
        .collect()
}

fn reference(
    named: &Named<'_>,
    implementors: &BTreeMap<(usize, usize), &str>,
    nest: &nesting::Nest,
) -> Option<Reference> {
    let kind = match named.kind {
        "call" => EdgeKind::CALLS,
        "implementation" => EdgeKind::IMPLEMENTS,
        "superclass" => EdgeKind::EXTENDS,
        "implementor" => return None,
        _ => EdgeKind::REFERENCES,
    };
    let block = (named.tag.range.start, named.tag.range.end);
    let source = match implementors.get(&block) {
        Some(implementor) if kind == EdgeKind::IMPLEMENTS => {
            Source::Named((*implementor).to_owned())
        }
        _ => nest.definition_around(&named.tag.name_range).map_or(Source::File, Source::Definition),
    };
    Some(Reference { kind, name: named.name.to_owned(), source })
}

/// Where lines begin.
struct Lines {
    starts: Vec<usize>,
    bytes: usize,
}

impl Lines {
    fn of(text: &[u8]) -> Self {
        let breaks =
            text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        Self { starts: std::iter::once(0).chain(breaks).collect(), bytes: text.len() }
    }

    /// Number of the line that holds this byte, counted from 1.
    fn of_byte(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    fn of_range(&self, range: &Range<usize>) -> [usize; 2] {
        let last = range.end.saturating_sub(1).max(range.start);
        [self.of_byte(range.start), self.of_byte(last)]
    }

    /// How many lines there are; a text that ends with a line break has none behind it.
    fn count(&self) -> usize {
        if self.starts.last() == Some(&self.bytes) {
            self.starts.len() - 1
        } else {
            self.starts.len()
        }
    }
}
