//! From a source file to its definitions and references, by the tag queries of `tree-sitter-tags`.
//!
//! This room knows one file at a time: nothing of ids, stores, or of where a name used here is defined.
//! What it returns is in the order of the file, so the same bytes give the same answer.

mod documentation;
mod language;
mod nesting;
mod tags;

#[cfg(test)]
mod labelled;
#[cfg(test)]
mod tests;

pub(crate) use language::{Family, Language};
pub(crate) use tags::Extractor;

use kausaldb::EdgeKind;
use std::ops::Range;

/// Something that a file defines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Definition {
    /// The tag's word for what it is: function, method, class, interface, type, module, macro, constant,
    /// variable, or declaration (one without a body).
    pub(crate) kind: String,
    /// Its name, as it is written.
    pub(crate) name: String,
    /// Its name behind those of everything it lies in, with dots between.
    pub(crate) path: String,
    /// Its source text, as bytes of the file.
    pub(crate) range: Range<usize>,
    /// First and last line, counted from 1.
    pub(crate) lines: [usize; 2],
    /// Its documentation, without comment signs.
    pub(crate) documentation: String,
    /// The innermost definition that it lies in, or that its `impl` block is for.
    pub(crate) parent: Option<usize>,
}

/// A name that a file uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    /// How: calls, references, implements, extends.
    pub(crate) kind: EdgeKind,
    /// The name, as it is written.
    pub(crate) name: String,
    /// Who uses it.
    pub(crate) source: Source,
}

/// Who uses a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Source {
    /// The file itself, outside every definition.
    File,
    /// The innermost definition around the name: its place in [`Extract::definitions`].
    Definition(usize),
    /// A type of this name, which may be defined in another file.
    Named(String),
}

/// What one file defines and uses.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Extract {
    /// In the order in which they begin.
    pub(crate) definitions: Vec<Definition>,
    /// In the order of the file.
    pub(crate) references: Vec<Reference>,
    /// The comment that the file opens with.
    pub(crate) documentation: String,
    /// How many lines the file has.
    pub(crate) lines: usize,
}
