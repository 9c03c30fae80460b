//! What `index` shows while it works: a bar where standard error is a terminal, and a line for each file
//! left out.

use crate::error::one_line;
use crate::index::Watch;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;

/// The bar; nothing is drawn where nobody watches.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bar: ProgressBar::no_length() }
    }
}

impl Watch for Progress {
    fn begin(&mut self, files: u64) {
        self.bar.set_length(files);
        let style = "{bar:32} {pos}/{len} files  {wide_msg}";
        self.bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
    }

    fn file_done(&mut self, uri: &str) {
        self.bar.set_message(one_line(uri));
        self.bar.inc(1);
    }

    fn resolving(&mut self) {
        self.bar.set_message("resolving names");
    }

    fn skipped(&mut self, line: &str) {
        let line = one_line(line);
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stderr(), "kausaldb: {line}");
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
