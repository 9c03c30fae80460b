//! Typed, directed edges between ids.

use super::BlockId;
use core::fmt;

/// What an edge means: a number from 0 to 65535, the first few of which have names.
///
/// The names are written down here and nowhere else. A kind without a name is as good as one with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EdgeKind(pub u16);

macro_rules! kinds {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $name:literal;)*) => {
        impl EdgeKind {
            $($(#[$doc])* pub const $constant: Self = Self($number);)*

            /// Every kind that has a name, with it.
            pub const NAMED: &'static [(Self, &'static str)] = &[$((Self::$constant, $name)),*];
        }
    };
}

kinds! {
    /// The source file or module imports the target.
    IMPORTS = 1, "imports";
    /// The source is defined in the target.
    DEFINED_IN = 2, "defined_in";
    /// The source mentions the target.
    REFERENCES = 3, "references";
    /// The source contains the target.
    CONTAINS = 4, "contains";
    /// The source extends the target.
    EXTENDS = 5, "extends";
    /// The source implements the target.
    IMPLEMENTS = 6, "implements";
    /// The source calls the target.
    CALLS = 7, "calls";
    /// The source depends on the target.
    DEPENDS_ON = 8, "depends_on";
    /// The source is a method of the target.
    METHOD_OF = 9, "method_of";
    /// The source calls the target, which is a method.
    CALLS_METHOD = 10, "calls_method";
    /// The source calls the target, which is a function.
    CALLS_FUNCTION = 11, "calls_function";
}

impl EdgeKind {
    /// The kind's name, if it has one.
    pub fn name(self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(kind, _)| *kind == self).map(|(_, name)| *name)
    }

    /// The kind with this name, or with this number written in decimal.
    pub fn parse(text: &str) -> Option<Self> {
        let named = Self::NAMED.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind);
        named.or_else(|| text.parse().ok().map(Self))
    }
}

impl fmt::Display for EdgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}

impl fmt::Debug for EdgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A directed edge: `source` has the relation `kind` to `target`.
///
/// An edge is its three parts: two edges with the same parts are the same edge. Its ends need no blocks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GraphEdge {
    /// Where the edge starts.
    pub source: BlockId,
    /// What it means.
    pub kind: EdgeKind,
    /// Where it ends.
    pub target: BlockId,
}

/// Which edges of a node: those that start at it, or those that end at it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// Edges whose source the node is.
    Out,
    /// Edges whose target the node is.
    In,
}

impl Direction {
    /// Both directions, out first.
    pub const BOTH: [Self; 2] = [Self::Out, Self::In];

    /// The other direction.
    pub const fn reverse(self) -> Self {
        match self {
            Self::Out => Self::In,
            Self::In => Self::Out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_kind_and_numbers_do_too() {
        for (kind, name) in EdgeKind::NAMED {
            assert_eq!(EdgeKind::parse(name), Some(*kind));
            assert_eq!(kind.name(), Some(*name));
        }
        assert_eq!(EdgeKind::parse("65535"), Some(EdgeKind(65535)));
        assert_eq!(EdgeKind::parse("65536"), None);
        assert_eq!(EdgeKind::parse("calls "), None);
    }
}
