//! `index`: a source tree as blocks and edges, of which only what changed is written.
//!
//! Two passes. The first reads each file once, puts its blocks where they differ from what is stored, and
//! remembers definitions and uses by name. The second, when every definition is known, resolves names and
//! makes each node's edges what they should be. What the tree no longer holds is deleted in between.
//!
//! A store holds one tree: what an earlier run made and this one does not find again, is removed; but not
//! what it could not read, which stays as it was. A block that is damaged is written anew if the tree holds
//! it; else it stays damaged, since whose it was is not known, and names do not mean it. Blocks that were
//! not made by indexing stay (see [`identity`]), and so do edges of other kinds than those below. The edges
//! of these kinds that start at a file or definition belong to indexing:
//!
//! | edge | from | to |
//! | --- | --- | --- |
//! | `defined_in` | definition | its file |
//! | `contains` | file, or outer definition | what lies directly in it |
//! | `calls`, `references` | the innermost definition around the name, or the file | what the name means |
//! | `implements`, `extends` | the type that does, or the file | the trait, interface or class |

pub(crate) mod identity;
mod resolve;
#[cfg(test)]
mod tests;
mod walk;

use crate::error::{Failure, Outcome};
use crate::extract::{Extract, Extractor, Language, Reference, Source};
use crate::graph::{GraphMut, Order};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, BLOCK_BYTES_MAX};
use crate::operation::{Batch, Block, Operation};
use crate::summary::{Known, known};
use kausaldb::{BlockId, Direction, EdgeKind, GraphEdge};
use resolve::{Candidate, Catalog, Sort, Use};
use serde::Serialize;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use walk::{Skipped, SourceFile};

pub(crate) use walk::check;

/// Edges of these kinds that start at a file or a definition are made, and removed, by indexing.
const KINDS: [EdgeKind; 6] = [
    EdgeKind::DEFINED_IN,
    EdgeKind::CONTAINS,
    EdgeKind::CALLS,
    EdgeKind::REFERENCES,
    EdgeKind::IMPLEMENTS,
    EdgeKind::EXTENDS,
];

/// What indexing came to.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Report {
    /// Files indexed.
    pub(crate) files: u64,
    /// Definitions in them.
    pub(crate) definitions: u64,
    /// Edges between all these.
    pub(crate) edges: u64,
    /// Files and entries that could not be indexed; each was named.
    pub(crate) skipped: u64,
    /// Blocks and edges written, because they were new or had changed.
    pub(crate) written: u64,
    /// Blocks and edges removed, because the tree no longer has them.
    pub(crate) removed: u64,
}

/// What indexing came to, and names worth asking for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Done {
    /// The figures.
    pub(crate) report: Report,
    /// The name of what most calls go to, and of what makes most calls; empty in a tree without calls.
    pub(crate) examples: [String; 2],
}

/// Whoever watches.
pub(crate) trait Watch {
    /// There are so many files.
    fn begin(&mut self, files: u64);
    /// The next file is done.
    fn file_done(&mut self, uri: &str);
    /// All files are done; edges follow.
    fn resolving(&mut self);
    /// Something was left out, and why.
    fn skipped(&mut self, line: &str);
}

/// The metadata of a file or definition.
#[derive(Serialize)]
struct Metadata<'a> {
    language: &'a str,
    kind: &'a str,
    name: &'a str,
    lines: [usize; 2],
    documentation: &'a str,
}

/// A file after the first pass: what is needed to make its edges.
struct Indexed {
    file: BlockId,
    /// Ids of the definitions, with the parent of each.
    definitions: Vec<(BlockId, Option<BlockId>)>,
    references: Vec<Reference>,
    family: crate::extract::Family,
}

/// Makes the store hold the tree below `directory`.
///
/// # Errors
/// The directory is missing, or the store fails; running it again mends what an interruption left half done.
pub(crate) fn index(
    store: &mut impl GraphMut,
    directory: &Path,
    watch: &mut impl Watch,
) -> Outcome<Done> {
    let (files, skipped) = walk::files(directory)?;
    let mut run = Run {
        store,
        watch,
        batch: Batch::default(),
        seen: HashSet::new(),
        skipped: HashSet::new(),
        report: Report::default(),
    };
    run.watch.begin(files.len() as u64);
    for Skipped { line, uri } in skipped {
        run.skip(&line, uri);
    }
    let (mut extractor, mut catalog, mut indexed) =
        (Extractor::new(), Catalog::default(), Vec::new());
    for file in &files {
        if let Some(text) = run.read(file) {
            indexed.push(run.blocks(file, &text, &mut extractor, &mut catalog, indexed.len())?);
        }
        run.watch.file_done(&file.uri);
    }
    run.watch.resolving();
    run.flush()?;
    run.remove_vanished(&mut catalog, indexed.len())?;
    let examples = run.edges(&indexed, &catalog)?;
    run.flush()?;
    run.store.sync()?;
    Ok(Done { report: run.report, examples })
}

struct Run<'a, S, W> {
    store: &'a mut S,
    watch: &'a mut W,
    batch: Batch,
    seen: HashSet<BlockId>,
    /// URIs of files and folders of which nothing is known.
    skipped: HashSet<String>,
    report: Report,
}

impl<S: GraphMut, W: Watch> Run<'_, S, W> {
    fn skip(&mut self, line: &str, uri: String) {
        self.report.skipped += 1;
        self.skipped.insert(uri);
        self.watch.skipped(line);
    }

    fn push(&mut self, operation: Operation) -> Outcome {
        if self.batch.len() >= BATCH_OPERATIONS_MAX
            || self.batch.would_exceed(&operation, BATCH_BYTES_MAX)
        {
            self.flush()?;
        }
        match operation {
            Operation::Put(_) | Operation::Link(_) => self.report.written += 1,
            Operation::Delete(_) | Operation::Unlink(_) => self.report.removed += 1,
        }
        self.batch.push(operation);
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        if self.batch.len() > 0 {
            self.store.write(self.batch.operations())?;
            self.batch.clear();
        }
        Ok(())
    }

    /// The file's text, unless it is too large or cannot be read.
    fn read(&mut self, file: &SourceFile) -> Option<Vec<u8>> {
        match std::fs::read(&file.path) {
            Ok(text) if text.len() > BLOCK_BYTES_MAX - 64 * 1024 => {
                let bytes = text.len();
                let path = file.path.display();
                let line = format!(
                    "{path}: {bytes} bytes do not fit into a block of {BLOCK_BYTES_MAX}; skipped"
                );
                self.skip(&line, file.uri.clone());
                None
            }
            Ok(text) => Some(text),
            Err(error) => {
                let line = format!("{}: {error}; skipped", file.path.display());
                self.skip(&line, file.uri.clone());
                None
            }
        }
    }

    /// Puts the blocks of one file, and enters its definitions into the catalog.
    fn blocks(
        &mut self,
        file: &SourceFile,
        text: &[u8],
        extractor: &mut Extractor,
        catalog: &mut Catalog,
        number: usize,
    ) -> Outcome<Indexed> {
        let language = file.language;
        let extract = extractor.extract(language, text).map_err(|error| {
            Failure::usage(format_args!("{}: cannot be parsed: {error}", file.path.display()))
        })?;
        let name = file.uri.rsplit('/').next().unwrap_or(&file.uri);
        let lines = [1.min(extract.lines), extract.lines];
        let documentation = &extract.documentation;
        let metadata =
            Metadata { language: language.name, kind: "file", name, lines, documentation };
        let file_id = self.put(&file.uri, &metadata, text)?;
        let ids = self.definitions(file, text, &extract)?;
        let mut definitions = Vec::with_capacity(ids.len());
        for (definition, &id) in extract.definitions.iter().zip(&ids) {
            let parent = definition.parent.and_then(|parent| ids.get(parent)).copied();
            let sort = Sort::of(&definition.kind);
            catalog.add(
                &definition.name,
                Candidate { id, file: number, family: language.family, sort, parent },
            );
            definitions.push((id, parent));
        }
        self.report.files += 1;
        self.report.definitions += ids.len() as u64;
        Ok(Indexed {
            file: file_id,
            definitions,
            references: extract.references,
            family: language.family,
        })
    }

    /// Puts a block for each definition of a file.
    fn definitions(
        &mut self,
        file: &SourceFile,
        text: &[u8],
        extract: &Extract,
    ) -> Outcome<Vec<BlockId>> {
        let mut uris = identity::DefinitionUris::new(&file.uri);
        let mut ids = Vec::with_capacity(extract.definitions.len());
        for definition in &extract.definitions {
            let metadata = Metadata {
                language: file.language.name,
                kind: &definition.kind,
                name: &definition.name,
                lines: definition.lines,
                documentation: &definition.documentation,
            };
            let uri = uris.next(&definition.kind, &definition.path);
            let content = text.get(definition.range.clone()).unwrap_or_default();
            ids.push(self.put(&uri, &metadata, content)?);
        }
        Ok(ids)
    }

    /// Puts a block if what is stored differs, or is damaged; its version is one more than before.
    fn put(&mut self, uri: &str, metadata: &Metadata<'_>, content: &[u8]) -> Outcome<BlockId> {
        let id = identity::of_uri(uri);
        self.seen.insert(id);
        let metadata = serde_json::to_vec(metadata)?;
        if let Some(stored) = self.store.find(&id)?
            && stored.metadata() == metadata
            && stored.content() == content
        {
            return Ok(id);
        }
        let version = self.store.version(&id)?.map_or(1, |version| version.saturating_add(1));
        let content = content.to_vec();
        self.push(Operation::Put(Block {
            id,
            version,
            source_uri: uri.to_owned(),
            metadata,
            content,
        }))?;
        Ok(id)
    }

    /// Deletes what an earlier run put and this one did not see, though it could have. What it could not
    /// see is entered into the catalog, as a file behind those `files` that were read: names still mean
    /// it.
    fn remove_vanished(&mut self, catalog: &mut Catalog, files: usize) -> Outcome {
        let (seen, skipped, mut vanished) = (&self.seen, &self.skipped, Vec::new());
        self.store.scan(Order::OldestFirst, &mut |block| {
            let (id, uri) = (block.id(), block.source_uri());
            if seen.contains(&id) || identity::of_uri(uri) != id {
                return Ok(ControlFlow::Continue(()));
            }
            if lies_below(uri, skipped) {
                keep(uri, id, &known(block.metadata()), files, catalog);
            } else {
                vanished.push(id);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for id in vanished {
            self.push(Operation::Delete(id))?;
        }
        self.flush()
    }

    /// Makes the edges of every file and definition what they should be.
    fn edges(&mut self, indexed: &[Indexed], catalog: &Catalog) -> Outcome<[String; 2]> {
        let mut wanted: Vec<GraphEdge> = Vec::new();
        for (number, file) in indexed.iter().enumerate() {
            edges_of_file(number, file, catalog, &mut wanted);
        }
        wanted.sort_unstable();
        wanted.dedup();
        self.report.edges = wanted.len() as u64;
        let examples = [self.busiest(&wanted, |e| e.target)?, self.busiest(&wanted, |e| e.source)?];
        let mut rest = wanted.as_slice();
        let sources: BTreeSet<BlockId> = self.seen.iter().copied().collect();
        for source in sources {
            let (own, others) = rest.split_at(rest.partition_point(|edge| edge.source <= source));
            rest = others;
            let stored: BTreeSet<GraphEdge> =
                self.store.edges(&source, Direction::Out, None)?.found.into_iter().collect();
            for edge in own.iter().filter(|edge| !stored.contains(edge)) {
                self.push(Operation::Link(*edge))?;
            }
            let ours = stored.into_iter().filter(|edge| KINDS.contains(&edge.kind));
            for edge in ours.filter(|edge| own.binary_search(edge).is_err()) {
                self.push(Operation::Unlink(edge))?;
            }
        }
        Ok(examples)
    }

    /// The name of the definition that is most often this end of a call; of several, the one whose id is
    /// least.
    fn busiest(&self, edges: &[GraphEdge], end: fn(&GraphEdge) -> BlockId) -> Outcome<String> {
        let mut counts: BTreeMap<BlockId, u64> = BTreeMap::new();
        for edge in edges.iter().filter(|edge| edge.kind == EdgeKind::CALLS) {
            *counts.entry(end(edge)).or_insert(0) += 1;
        }
        let own = counts.into_iter().filter(|(id, _)| self.seen.contains(id));
        let Some((id, _)) = own.max_by_key(|&(id, count)| (count, Reverse(id))) else {
            return Ok(String::new());
        };
        let block = self.store.find(&id)?;
        let name = block.and_then(|block| known(block.metadata()).name.map(Cow::into_owned));
        Ok(name.unwrap_or_default())
    }
}

/// Enters a definition of an earlier run into the catalog, as far as its block tells.
fn keep(uri: &str, id: BlockId, block: &Known<'_>, file: usize, catalog: &mut Catalog) {
    let Some((path, _)) = uri.split_once('#') else { return };
    let (Some(language), Some(name)) = (Language::of(path), &block.name) else { return };
    let sort = Sort::of(block.kind.as_deref().unwrap_or_default());
    catalog.add(name, Candidate { id, file, family: language.family, sort, parent: None });
}

/// Whether the file of this URI, or a folder above it, is one of these.
fn lies_below(uri: &str, skipped: &HashSet<String>) -> bool {
    let file = uri.split_once('#').map_or(uri, |(file, _)| file);
    let ends = file.match_indices('/').map(|(at, _)| at).chain([file.len()]);
    !skipped.is_empty() && ends.filter_map(|end| file.get(..end)).any(|part| skipped.contains(part))
}

/// The edges that start in one file. An outer definition contains what lies in it; the file contains the
/// rest.
fn edges_of_file(number: usize, file: &Indexed, catalog: &Catalog, edges: &mut Vec<GraphEdge>) {
    for &(id, parent) in &file.definitions {
        edges.push(GraphEdge { source: id, kind: EdgeKind::DEFINED_IN, target: file.file });
        let outer = parent.unwrap_or(file.file);
        edges.push(GraphEdge { source: outer, kind: EdgeKind::CONTAINS, target: id });
    }
    for reference in &file.references {
        let Reference { kind, name, source } = reference;
        let used = Use { name, kind: *kind, file: number, family: file.family, parent: None };
        let (source, parent) = match source {
            Source::File => (file.file, None),
            Source::Definition(index) => {
                file.definitions.get(*index).copied().unwrap_or((file.file, None))
            }
            Source::Named(name) => {
                (catalog.resolve(&Use { name, ..used }).unwrap_or(file.file), None)
            }
        };
        let target =
            catalog.resolve(&Use { parent, ..used }).unwrap_or_else(|| identity::of_name(name));
        edges.push(GraphEdge { source, kind: *kind, target });
    }
}
