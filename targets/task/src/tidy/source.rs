//! A file and its tokens: as much of Rust's grammar as the rules need.
//!
//! It knows comments, literals, words and brackets, so that no rule takes a word in a comment or a string for
//! code. It does not know types or macros: what a macro makes, no rule sees.

use super::Fault;

/// A text of the repository.
pub(super) struct Source {
    /// Its path from the repository's root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
}

/// A word, a literal or a mark of punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'s> {
    /// Its line, counted from 1.
    pub(super) line: usize,
    /// Its text; every literal in quotes is [`LITERAL`].
    pub(super) text: &'s str,
}

/// What stands for every literal in quotes.
pub(super) const LITERAL: &str = "\"\"";

impl Source {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "benches" | "tests.rs"))
    }

    pub(super) fn fault(&self, line: usize, what: impl Into<String>) -> Fault {
        Fault { path: self.path.clone(), line, what: what.into() }
    }

    /// The tokens of the file, without comments.
    pub(super) fn tokens(&self) -> Vec<Token<'_>> {
        let (mut tokens, mut rest, mut line) = (Vec::new(), self.text.as_str(), 1);
        while let Some(first) = rest.chars().next() {
            let (length, text) = if let Some(length) = comment(rest) {
                (length, None)
            } else if let Some(length) = literal(rest) {
                (length, Some(LITERAL))
            } else {
                let length = word(rest).max(first.len_utf8());
                let length =
                    if rest.starts_with("::") || rest.starts_with("&&") { 2 } else { length };
                (length, rest.get(..length).filter(|_| !first.is_whitespace()))
            };
            tokens.extend(text.map(|text| Token { line, text }));
            let (passed, remaining) = rest.split_at(length);
            line += passed.matches('\n').count();
            rest = remaining;
        }
        tokens
    }
}

/// Length of the comment with which `text` starts, if it does.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let step = match rest {
            _ if rest.starts_with("/*") => {
                depth += 1;
                2
            }
            _ if rest.starts_with("*/") => {
                depth -= 1;
                2
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

/// Length of the string or character with which `text` starts, if it does.
fn literal(text: &str) -> Option<usize> {
    let unprefixed = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - unprefixed.len();
    if prefix > 1 {
        return None;
    }
    let length = match unprefixed.chars().next()? {
        '"' => escaped_end(unprefixed, '"'),
        'r' => raw(unprefixed)?,
        '\'' => character(unprefixed)?,
        _ => return None,
    };
    Some(prefix + length)
}

/// Length of the raw string with which `text` starts, if it does: `r`, marks, quote, and the same at its end.
fn raw(text: &str) -> Option<usize> {
    let body = text.get(1..)?;
    let marks = body.len() - body.trim_start_matches('#').len();
    let open = 1 + marks + 1;
    let content = text.get(open..).filter(|_| text.get(open - 1..open) == Some("\""))?;
    let close = format!("\"{}", "#".repeat(marks));
    Some(content.find(&close).map_or(text.len(), |at| open + at + close.len()))
}

/// Length of the character literal with which `text` starts; none if the quote starts a lifetime.
fn character(text: &str) -> Option<usize> {
    let inner = text.get(1..)?.chars().next()?;
    if inner == '\\' {
        return Some(escaped_end(text, '\''));
    }
    let end = 1 + inner.len_utf8();
    (text.get(end..end + 1) == Some("'")).then_some(end + 1)
}

/// Length of the literal that `text` starts with and that the next `quote` without a backslash ends.
fn escaped_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Length of the word, number or macro variable with which `text` starts; zero if none.
fn word(text: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Where the bracket that opens at `open` closes; the last token if it never does.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len().saturating_sub(1)
}

/// Where, from `start` on and outside all brackets that open after it, the first of `marks` stands.
pub(super) fn find_outside(tokens: &[Token<'_>], start: usize, marks: &[&str]) -> Option<usize> {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        if marks.contains(&token.text) {
            return Some(at);
        }
        at = match token.text {
            "(" | "[" | "{" => closing(tokens, at) + 1,
            ")" | "]" | "}" => return None,
            _ => at + 1,
        };
    }
    None
}

/// Whether the tokens from `at` on have these texts.
pub(super) fn reads(tokens: &[Token<'_>], at: usize, texts: &[&str]) -> bool {
    let found = tokens.iter().skip(at).map(|token| token.text);
    found.take(texts.len()).eq(texts.iter().copied())
}

/// The tokens without the items that only tests have.
pub(super) fn without_tests<'s>(tokens: &[Token<'s>]) -> Vec<Token<'s>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let start = at + usize::from(reads(tokens, at, &["#", "!"]));
        if token.text != "#" || !is_test_attribute(tokens, start + 1) {
            kept.push(*token);
            at += 1;
        } else if start > at {
            // An inner attribute: everything from here on is for tests.
            return kept;
        } else {
            let end = find_outside(tokens, at + 1, &["{", ";"]).unwrap_or(at);
            at = closing(tokens, end) + 1;
        }
    }
    kept
}

/// Whether `[cfg(test)]`, or `[cfg(all(test, ...))]`, starts at `at`.
fn is_test_attribute(tokens: &[Token<'_>], at: usize) -> bool {
    reads(tokens, at, &["[", "cfg", "(", "test", ")", "]"])
        || reads(tokens, at, &["[", "cfg", "(", "all", "(", "test", ","])
}
