//! The documentation of a definition, for the languages whose tag query does not name it.
//!
//! It is the comment that ends on the line above: line by line upwards, past attributes and decorators,
//! without the comment signs. Comments look much the same in all languages here, so a list of signs is all
//! that a language adds.

use super::Language;

/// Comments longer than this are cut, in bytes: metadata is read often.
const BYTES_MAX: usize = 4096;

/// The comment that ends right above the line of this byte.
pub(super) fn above(language: &Language, text: &[u8], at: usize) -> String {
    let line_start = text.iter().take(at).rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let head = text.get(..line_start).unwrap_or_default();
    let head = head.strip_suffix(b"\n").unwrap_or(head);
    let mut lines: Vec<String> = Vec::new();
    let mut bytes = 0;
    for line in head.rsplit(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if lines.is_empty() && is_attribute(line) {
            continue;
        }
        if line.starts_with("#!") || line.starts_with("//!") || bytes > BYTES_MAX {
            break;
        }
        let Some(bare) = strip(language.comments, line) else { break };
        bytes += bare.len();
        lines.push(bare.to_owned());
        if line.starts_with("/*") {
            break;
        }
    }
    lines.reverse();
    join(&lines)
}

/// The comment that the file opens with.
pub(super) fn opening(language: &Language, text: &[u8]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut bytes = 0;
    for line in text.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if lines.is_empty() && (line.starts_with("#!") || line.is_empty()) {
            continue;
        }
        let Some(bare) = strip(language.comments, line) else { break };
        bytes += bare.len();
        lines.push(bare.to_owned());
        if bytes > BYTES_MAX {
            break;
        }
    }
    join(&lines)
}

/// What a tag query took for documentation, without comment signs and indentation.
pub(super) fn tidy(comments: &[&str], docs: &str) -> String {
    let bare = |line: &str| strip(comments, line.trim()).unwrap_or(line.trim()).to_owned();
    join(&docs.lines().map(bare).collect::<Vec<_>>())
}

/// A line without its comment sign, if it has one.
fn strip<'a>(comments: &[&str], line: &'a str) -> Option<&'a str> {
    let rest = comments.iter().find_map(|sign| line.strip_prefix(sign))?;
    Some(rest.trim().trim_end_matches("*/").trim())
}

fn is_attribute(line: &str) -> bool {
    line.starts_with("#[") || line.starts_with('@')
}

fn join(lines: &[String]) -> String {
    let joined = lines.join("\n");
    let mut text = joined.trim().to_owned();
    let end = (0..=BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}
