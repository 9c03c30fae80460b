//! The languages: which files are theirs, how they are parsed, and what their tag queries miss.
//!
//! Each grammar brings its own tag query. Some of them leave out what a code graph cannot do without (C has
//! no calls, Rust no constants and no `Type::function()`), so a language may add patterns of its own:
//! `before` wins over the grammar's pattern for the same name, `after` gives way to it. The vocabulary is
//! that of `tree-sitter-tags`, with two words more: `definition.declaration` is one without a body (a
//! prototype, a method of a trait), and `reference.implementor` names the type that a Rust `impl` block is
//! for.

use tree_sitter_tags::TagsConfiguration;

/// What is known of one language before it is compiled.
pub(crate) struct Language {
    /// Its name, as metadata has it.
    pub(crate) name: &'static str,
    /// Names are resolved within a family only.
    pub(crate) family: Family,
    /// Endings of its files, without the dot.
    extensions: &'static [&'static str],
    grammar: tree_sitter_language::LanguageFn,
    tags: &'static [&'static str],
    locals: &'static str,
    before: &'static str,
    after: &'static str,
    /// How a comment line begins, the longest first.
    pub(crate) comments: &'static [&'static str],
}

/// Languages that call each other by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Family {
    C,
    Go,
    Java,
    JavaScript,
    Python,
    Ruby,
    Rust,
}

const C_STYLE: &[&str] = &["///", "//!", "//", "/**", "/*", "*/", "*"];
const HASH_STYLE: &[&str] = &["#"];

/// Every language that `index` reads.
pub(crate) static LANGUAGES: &[Language] = &[
    Language {
        name: "rust",
        family: Family::Rust,
        extensions: &["rs"],
        grammar: tree_sitter_rust::LANGUAGE,
        tags: &[tree_sitter_rust::TAGS_QUERY],
        locals: "",
        before: include_str!("queries/rust_before.scm"),
        after: include_str!("queries/rust_after.scm"),
        comments: C_STYLE,
    },
    Language {
        name: "c",
        family: Family::C,
        extensions: &["c", "h"],
        grammar: tree_sitter_c::LANGUAGE,
        tags: &[tree_sitter_c::TAGS_QUERY],
        locals: "",
        before: include_str!("queries/c_before.scm"),
        after: include_str!("queries/c_after.scm"),
        comments: C_STYLE,
    },
    Language {
        name: "cpp",
        family: Family::C,
        extensions: &["cc", "cpp", "cxx", "hh", "hpp", "hxx"],
        grammar: tree_sitter_cpp::LANGUAGE,
        tags: &[tree_sitter_cpp::TAGS_QUERY],
        locals: "",
        before: concat!(
            include_str!("queries/c_before.scm"),
            include_str!("queries/cpp_before.scm")
        ),
        after: concat!(include_str!("queries/c_after.scm"), include_str!("queries/cpp_after.scm")),
        comments: C_STYLE,
    },
    Language {
        name: "python",
        family: Family::Python,
        extensions: &["py", "pyi"],
        grammar: tree_sitter_python::LANGUAGE,
        tags: &[tree_sitter_python::TAGS_QUERY],
        locals: "",
        before: include_str!("queries/python_before.scm"),
        after: include_str!("queries/python_after.scm"),
        comments: HASH_STYLE,
    },
    Language {
        name: "javascript",
        family: Family::JavaScript,
        extensions: &["js", "mjs", "cjs", "jsx"],
        grammar: tree_sitter_javascript::LANGUAGE,
        tags: &[tree_sitter_javascript::TAGS_QUERY],
        locals: "",
        before: "",
        after: include_str!("queries/javascript_after.scm"),
        comments: C_STYLE,
    },
    Language {
        name: "typescript",
        family: Family::JavaScript,
        extensions: &["ts", "mts", "cts"],
        grammar: tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        tags: &[tree_sitter_javascript::TAGS_QUERY, tree_sitter_typescript::TAGS_QUERY],
        locals: "",
        before: "",
        after: include_str!("queries/typescript_after.scm"),
        comments: C_STYLE,
    },
    Language {
        name: "tsx",
        family: Family::JavaScript,
        extensions: &["tsx"],
        grammar: tree_sitter_typescript::LANGUAGE_TSX,
        tags: &[tree_sitter_javascript::TAGS_QUERY, tree_sitter_typescript::TAGS_QUERY],
        locals: "",
        before: "",
        after: include_str!("queries/typescript_after.scm"),
        comments: C_STYLE,
    },
    Language {
        name: "go",
        family: Family::Go,
        extensions: &["go"],
        grammar: tree_sitter_go::LANGUAGE,
        tags: &[tree_sitter_go::TAGS_QUERY],
        locals: "",
        before: include_str!("queries/go_before.scm"),
        after: include_str!("queries/go_after.scm"),
        comments: C_STYLE,
    },
    Language {
        name: "java",
        family: Family::Java,
        extensions: &["java"],
        grammar: tree_sitter_java::LANGUAGE,
        tags: &[tree_sitter_java::TAGS_QUERY],
        locals: "",
        before: "",
        after: "",
        comments: C_STYLE,
    },
    Language {
        name: "ruby",
        family: Family::Ruby,
        extensions: &["rb"],
        grammar: tree_sitter_ruby::LANGUAGE,
        tags: &[tree_sitter_ruby::TAGS_QUERY],
        locals: tree_sitter_ruby::LOCALS_QUERY,
        before: "",
        after: "",
        comments: HASH_STYLE,
    },
];

impl Language {
    /// The language whose files end like this path.
    pub(crate) fn of(path: &str) -> Option<&'static Self> {
        let (_, extension) = path.rsplit_once('.')?;
        LANGUAGES.iter().find(|language| language.extensions.contains(&extension))
    }

    /// Compiles the grammar's tag query together with the patterns added here.
    pub(crate) fn compile(&self) -> Result<TagsConfiguration, tree_sitter_tags::Error> {
        let query = format!("{}\n{}\n{}", self.before, self.tags.join("\n"), self.after);
        TagsConfiguration::new(self.grammar.into(), &query, self.locals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_compiles() {
        for language in LANGUAGES {
            if let Err(error) = language.compile() {
                panic!("{}: {error}", language.name);
            }
        }
    }

    #[test]
    fn a_file_belongs_to_the_language_of_its_ending() {
        assert_eq!(Language::of("a/b.rs").map(|l| l.name), Some("rust"));
        assert_eq!(Language::of("a/b.d/Makefile").map(|l| l.name), None);
    }
}
