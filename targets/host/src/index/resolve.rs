//! From a name to what it means: a definition in the same file, else the only one in the tree, else nothing.
//!
//! Names do not cross from one family of languages into another. A declaration without a body (a prototype)
//! counts only where no definition has the name: so a call resolves to the function, not to its header.
//! Among twins in the same file, one that lies in the same type as the caller comes first, then the first
//! in the file.

use crate::extract::Family;
use kausaldb::{BlockId, EdgeKind};
use std::collections::HashMap;

/// A definition, as far as resolving needs to know it.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) id: BlockId,
    pub(super) file: usize,
    pub(super) family: Family,
    pub(super) sort: Sort,
    pub(super) parent: Option<BlockId>,
}

/// What a definition can be used as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Callable,
    Type,
    Module,
    Value,
    Declaration,
}

impl Sort {
    /// The sort of definitions whose tag has this word.
    pub(super) fn of(kind: &str) -> Self {
        match kind {
            "class" | "type" | "interface" => Self::Type,
            "module" => Self::Module,
            "constant" | "variable" => Self::Value,
            "declaration" => Self::Declaration,
            _ => Self::Callable,
        }
    }

    /// Whether an edge of this kind can mean it. Types can be called: that makes one of them.
    fn serves(self, kind: EdgeKind) -> bool {
        match kind {
            EdgeKind::IMPLEMENTS | EdgeKind::EXTENDS => self == Self::Type,
            EdgeKind::CALLS => self != Self::Module,
            _ => true,
        }
    }
}

/// Where a name is used, and as what.
pub(super) struct Use<'a> {
    pub(super) name: &'a str,
    pub(super) kind: EdgeKind,
    pub(super) file: usize,
    pub(super) family: Family,
    /// What the using definition lies in.
    pub(super) parent: Option<BlockId>,
}

/// All definitions of a tree by name, in the order of files and within them.
#[derive(Default)]
pub(super) struct Catalog {
    by_name: HashMap<String, Vec<Candidate>>,
}

impl Catalog {
    /// Adds the next definition.
    pub(super) fn add(&mut self, name: &str, candidate: Candidate) {
        match self.by_name.get_mut(name) {
            Some(candidates) => candidates.push(candidate),
            None => drop(self.by_name.insert(name.to_owned(), vec![candidate])),
        }
    }

    /// The definition that is meant. Costs one look at each definition of that name.
    pub(super) fn resolve(&self, used: &Use<'_>) -> Option<BlockId> {
        let named = self.by_name.get(used.name).map_or(&[][..], Vec::as_slice);
        let fits = |c: &&Candidate| c.family == used.family && c.sort.serves(used.kind);
        let defined = |c: &&Candidate| c.sort != Sort::Declaration;
        let mut definitions = named.iter().filter(fits).filter(defined).peekable();
        if definitions.peek().is_some() {
            return pick(definitions, used);
        }
        pick(named.iter().filter(fits), used)
    }
}

fn pick<'a>(
    candidates: impl Iterator<Item = &'a Candidate> + Clone,
    used: &Use<'_>,
) -> Option<BlockId> {
    let here = candidates.clone().filter(|c| c.file == used.file);
    let beside = here.clone().find(|c| c.parent.is_some() && c.parent == used.parent);
    if let Some(found) = beside.or_else(|| here.clone().next()) {
        return Some(found.id);
    }
    let mut candidates = candidates;
    let only = candidates.next()?;
    candidates.next().is_none().then_some(only.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> BlockId {
        BlockId::from_u128(number)
    }

    fn candidate(number: u128, file: usize, sort: Sort) -> Candidate {
        Candidate { id: id(number), file, family: Family::C, sort, parent: None }
    }

    fn call(name: &str, file: usize) -> Use<'_> {
        Use { name, kind: EdgeKind::CALLS, file, family: Family::C, parent: None }
    }

    #[test]
    fn the_same_file_comes_before_the_tree_and_two_elsewhere_are_none() {
        let mut catalog = Catalog::default();
        catalog.add("f", candidate(1, 0, Sort::Callable));
        assert_eq!(catalog.resolve(&call("f", 5)), Some(id(1)));
        catalog.add("f", candidate(2, 1, Sort::Callable));
        assert_eq!(catalog.resolve(&call("f", 0)), Some(id(1)));
        assert_eq!(catalog.resolve(&call("f", 1)), Some(id(2)));
        assert_eq!(catalog.resolve(&call("f", 2)), None);
        assert_eq!(catalog.resolve(&call("g", 0)), None);
    }

    #[test]
    fn a_prototype_gives_way_to_the_function() {
        let mut catalog = Catalog::default();
        catalog.add("f", candidate(1, 0, Sort::Declaration));
        assert_eq!(catalog.resolve(&call("f", 3)), Some(id(1)));
        catalog.add("f", candidate(2, 1, Sort::Callable));
        assert_eq!(catalog.resolve(&call("f", 0)), Some(id(2)));
        assert_eq!(catalog.resolve(&call("f", 3)), Some(id(2)));
    }

    #[test]
    fn a_twin_in_the_same_type_comes_first_and_families_do_not_mix() {
        let mut catalog = Catalog::default();
        catalog.add("f", Candidate { parent: Some(id(10)), ..candidate(1, 0, Sort::Callable) });
        catalog.add("f", Candidate { parent: Some(id(20)), ..candidate(2, 0, Sort::Callable) });
        assert_eq!(catalog.resolve(&Use { parent: Some(id(20)), ..call("f", 0) }), Some(id(2)));
        assert_eq!(catalog.resolve(&call("f", 0)), Some(id(1)));
        assert_eq!(catalog.resolve(&Use { family: Family::Rust, ..call("f", 0) }), None);
    }
}
