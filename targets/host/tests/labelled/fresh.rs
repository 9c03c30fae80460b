//! Reads a small configuration language: sections, keys, values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::str::FromStr;

const DEFAULT_SECTION: &str = "main";

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
    List(Vec<Value>),
}

pub struct Config {
    sections: BTreeMap<String, Section>,
}

type Section = BTreeMap<String, Value>;

#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    #[error("line {0}: no value")]
    NoValue(usize),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FromStr for Value {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let items = inner.split(',').map(|item| item.trim().parse().unwrap());
            return Ok(Self::List(items.collect()));
        }
        Ok(text.parse::<i64>().map(Self::Number).unwrap_or_else(|_| Self::Text(unquote(text).into_owned())))
    }
}

fn unquote(text: &str) -> Cow<'_, str> {
    match text.strip_prefix('"') {
        Some(rest) if rest.contains("\\") => Cow::Owned(rest.replace("\\n", "\n")),
        Some(rest) => Cow::Borrowed(rest.trim_end_matches('"')),
        None => Cow::Borrowed(text),
    }
}

impl Config {
    pub fn read(input: impl BufRead) -> Result<Config, ParseError> {
        let mut config = Config { sections: Default::default() };
        let mut section = DEFAULT_SECTION.to_string();
        for (number, line) in input.lines().enumerate() {
            let line = line?;
            match classify(&line) {
                Line::Header(name) => section = name.to_owned(),
                Line::Pair(key, value) => config.put(&section, key, value.parse().unwrap()),
                Line::Blank => continue,
                Line::Odd => return Err(ParseError::NoValue(number + 1)),
            }
        }
        debug_assert!(config.sections.values().all(|section| !section.is_empty()));
        Ok(config)
    }

    fn put(&mut self, section: &str, key: &str, value: Value) {
        self.sections.entry(section.into()).or_default().insert(key.into(), value);
    }

    pub const fn limit() -> usize {
        1 << 10
    }
}

enum Line<'a> {
    Header(&'a str),
    Pair(&'a str, &'a str),
    Blank,
    Odd,
}

fn classify(line: &str) -> Line<'_> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') { return Line::Blank }
    if line.starts_with('[') { return Line::Header(line.trim_matches(&['[', ']'][..])) }
    line.split_once('=').map_or(Line::Odd, |(key, value)| Line::Pair(key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_lists() {
        let config = Config::read(&b"[a]\nx = [1, \"b\"]\n"[..]).unwrap();
        assert_eq!(config.sections["a"]["x"], Value::List(vec![Value::Number(1), text("b")]));
        assert!(matches!(Config::read(&b"odd"[..]), Err(ParseError::NoValue(1))));
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }
}
