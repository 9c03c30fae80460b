//! Reports of a few numbers: as aligned text, or as one JSON object.

use crate::error::Outcome;
use crate::size;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::io::Write;

/// One line of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Figure {
    /// So many.
    Count(u64),
    /// So many bytes; people are shown a unit as well.
    Bytes(u64),
}

/// Names and figures, in the order in which they are shown.
#[derive(Default, Debug)]
pub(crate) struct Figures(Vec<(&'static str, Figure)>);

impl Figures {
    /// Adds a line. The name is the key in JSON, so it is in snake case.
    pub(crate) fn push(&mut self, name: &'static str, figure: Figure) {
        self.0.push((name, figure));
    }

    /// Prints all lines.
    ///
    /// # Errors
    /// Printing fails.
    pub(crate) fn print(&self, json: bool, out: &mut impl Write) -> Outcome {
        if json {
            writeln!(out, "{}", serde_json::to_string(self)?)?;
            return Ok(());
        }
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, figure) in &self.0 {
            writeln!(out, "{:width$}  {}", name.replace('_', " "), figure.text())?;
        }
        Ok(())
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, figure)| (name, figure.value())))
    }
}

impl Figure {
    fn value(self) -> Value {
        match self {
            Self::Count(number) | Self::Bytes(number) => Value::from(number),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Count(number) => number.to_string(),
            Self::Bytes(bytes) if bytes < 1024 => format!("{bytes} B"),
            Self::Bytes(bytes) => format!("{bytes} ({})", size::show(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_as_text_and_as_json() {
        let mut figures = Figures::default();
        figures.push("blocks", Figure::Count(3));
        figures.push("live_bytes", Figure::Bytes(4096));
        let (mut text, mut json) = (Vec::new(), Vec::new());
        figures.print(false, &mut text).unwrap();
        figures.print(true, &mut json).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "blocks      3\nlive bytes  4096 (4 KiB)\n");
        assert_eq!(String::from_utf8(json).unwrap(), "{\"blocks\":3,\"live_bytes\":4096}\n");
    }
}
