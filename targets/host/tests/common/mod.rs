//! A folder with a store in it, and the command run there.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of this")]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// An empty folder for a test.
pub struct Case {
    pub folder: TempDir,
}

impl Case {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    pub fn run_with(&self, arguments: &str, input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kausaldb"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env_remove("CARGO")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that stops early does not read all of its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn run(&self, arguments: &str) -> String {
        self.feed(arguments, "")
    }

    pub fn feed(&self, arguments: &str, input: &str) -> String {
        let output = self.run_with(arguments, input);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail with this code and one line that has these words.
    pub fn fails(&self, code: i32, arguments: &str, words: &[&str]) {
        self.fails_with(code, arguments, "", words);
    }

    pub fn fails_with(&self, code: i32, arguments: &str, input: &str, words: &[&str]) {
        let output = self.run_with(arguments, input);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments}: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "{arguments}: {stderr}");
        }
    }
}
