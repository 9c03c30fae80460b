//! What lies in what: definitions in definitions, methods in the type that their `impl` block is for.

use super::Definition;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

/// A stretch of the file that owns what is defined in it.
pub(super) struct Scope {
    range: Range<usize>,
    owner: Owner,
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Definition(usize),
    Impl,
}

impl Scope {
    pub(super) fn of_definition(range: Range<usize>, index: usize, name: &str) -> Self {
        Self { range, owner: Owner::Definition(index), name: name.to_owned() }
    }

    pub(super) fn of_impl(range: Range<usize>, name: &str) -> Self {
        Self { range, owner: Owner::Impl, name: name.to_owned() }
    }

    fn holds(&self, range: &Range<usize>) -> bool {
        self.range.start <= range.start && range.end <= self.range.end
    }
}

/// All scopes of a file, sorted so that each comes behind those around it.
pub(super) struct Nest {
    scopes: Vec<Scope>,
    /// The innermost scope that is strictly larger, for each scope.
    around: Vec<Option<usize>>,
}

impl Nest {
    /// Sorts the scopes and finds for each the one around it.
    pub(super) fn new(mut scopes: Vec<Scope>) -> Self {
        scopes.sort_by_key(|scope| (scope.range.start, Reverse(scope.range.end)));
        let mut around: Vec<Option<usize>> = Vec::with_capacity(scopes.len());
        for (index, scope) in scopes.iter().enumerate() {
            let mut candidate = index.checked_sub(1);
            while let Some(outer) = candidate {
                match scopes.get(outer) {
                    Some(o) if o.range != scope.range && o.holds(&scope.range) => break,
                    _ => candidate = around.get(outer).copied().flatten(),
                }
            }
            around.push(candidate);
        }
        Self { scopes, around }
    }

    /// The innermost definition around this range.
    pub(super) fn definition_around(&self, range: &Range<usize>) -> Option<usize> {
        let behind = self.scopes.partition_point(|scope| scope.range.start <= range.start);
        let mut candidate = behind.checked_sub(1);
        while let Some(index) = candidate {
            if let Some(Scope { owner: Owner::Definition(definition), .. }) =
                self.scopes.get(index).filter(|scope| scope.holds(range))
            {
                return Some(*definition);
            }
            candidate = self.around.get(index).copied().flatten();
        }
        None
    }

    /// Gives each definition its parent and its path.
    pub(super) fn settle(&self, definitions: &mut [Definition]) {
        let types = types(definitions);
        let mut paths: Vec<String> = Vec::with_capacity(self.scopes.len());
        for (scope, around) in self.scopes.iter().zip(&self.around) {
            let outer = around.and_then(|index| self.scopes.get(index));
            let path = match around.and_then(|index| paths.get(index)) {
                Some(path) => format!("{path}.{}", scope.name),
                None => scope.name.clone(),
            };
            if let Owner::Definition(index) = scope.owner
                && let Some(definition) = definitions.get_mut(index)
            {
                definition.path.clone_from(&path);
                definition.parent = outer.and_then(|outer| match outer.owner {
                    Owner::Definition(parent) => Some(parent),
                    Owner::Impl => types.get(&outer.name).copied(),
                });
            }
            paths.push(path);
        }
    }
}

/// The first type of each name, for the blocks that are written beside it.
fn types(definitions: &[Definition]) -> BTreeMap<String, usize> {
    let mut types = BTreeMap::new();
    for (index, definition) in definitions.iter().enumerate() {
        if matches!(definition.kind.as_str(), "class" | "type" | "interface") {
            types.entry(definition.name.clone()).or_insert(index);
        }
    }
    types
}
