//! The command line: every subcommand and flag, and nothing of what they do.

use crate::error::{Failure, Outcome};
use crate::size;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use kausaldb::{BlockId, EdgeKind};
use std::path::PathBuf;
use std::process::ExitCode;

/// The store that is used if none is named.
pub(crate) const STORE_DEFAULT: &str = "kausal.kdb";

/// An embedded store for small versioned documents and the typed, directed graph between them.
#[derive(Parser, Debug)]
#[command(name = "kausaldb", version, arg_required_else_help = false)]
#[command(
    after_help = "Exit codes: 0 found or done, 1 not found, 2 wrong usage, missing input or bad line,\n\
    3 damaged, foreign, empty, truncated, locked or other-version store, 4 full."
)]
pub(crate) struct Arguments {
    /// The store's file.
    #[arg(long, global = true, value_name = "PATH", default_value = STORE_DEFAULT)]
    pub(crate) store: PathBuf,
    /// Print JSON instead of text: one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Create an empty store, of the geometry of a board if need be.
    Create(Create),
    /// Turn a source tree into blocks and edges; again, only what changed is written.
    ///
    /// One tree a store: what an earlier run made and the tree does not hold any more is removed, so another
    /// tree takes the place of the first. What could not be read is left as it was.
    Index(Index),
    /// Read JSON lines into the store.
    Import(Import),
    /// Write the whole store as JSON lines: blocks by id, then edges.
    Export,
    /// Show the block with this id.
    Get {
        /// 32 hexadecimal digits.
        id: BlockId,
    },
    /// List the blocks with this name, or whose URI ends so.
    Find {
        /// A name as metadata has it, or the end of a URI.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// List the edges of a node.
    Neighbours(Neighbours),
    /// List who calls what has this name.
    Callers {
        /// A name as metadata has it, or the end of a URI.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// List what is called by what has this name.
    Callees {
        /// A name as metadata has it, or the end of a URI.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// List all blocks in the order in which they were written.
    Scan(Scan),
    /// Show counts, sizes, wear and high-water marks.
    Stats {
        /// Show also a capacity: the high-water marks and a quarter more, and the memory that it takes.
        ///
        /// A board that opens this store, or one that does the same work, can be given it: each line but the
        /// last is a field of `Capacity`.
        #[arg(long)]
        capacity: bool,
    },
    /// Check every record and every invariant.
    ///
    /// Names on standard error what is damaged and where, by segment and offset, and what can still be
    /// mended. Ends with 3 only if something is lost: `salvage` saves what is left, `repair` makes it
    /// count. What one flipped bit has hit is written anew by `scrub`.
    Verify,
    /// Make what damage has left count, so that the store can be written again.
    ///
    /// Edges that one end still knows are restored at the other; lists that cannot be read are emptied,
    /// and what led to lost nodes is dropped. Where records are lost, an older version or a deleted block
    /// may be back.
    Repair,
    /// Write what can be saved of a damaged store to a new one, and list what cannot.
    ///
    /// The damaged store is only read. Prints a line for each loss: an id if it is known, else segment
    /// and offset. Ends with 3 if something is lost.
    Salvage {
        /// The new store's file, which must not exist.
        #[arg(value_name = "NEW_STORE")]
        new: PathBuf,
    },
    /// Read everything, and write anew what one flipped bit has hit.
    Scrub,
    /// Move live records until no dead space is left to win.
    Compact,
    /// Make the store's file larger; nothing is copied.
    Grow {
        /// The new size; twice the present one if not given.
        #[arg(long, value_parser = size::parse)]
        size: Option<u64>,
    },
}

/// How large a store is made, where one is made.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    /// Size of the file, for example 64M.
    #[arg(long, value_parser = size::parse)]
    pub(crate) size: Option<u64>,
    /// Size of a segment, the unit of reuse, for example 4M.
    #[arg(long, value_parser = size::parse_u32)]
    pub(crate) segment_size: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) sizes: Sizes,
    /// What one erase erases, in bytes.
    #[arg(long, value_parser = size::parse_u32)]
    pub(crate) erase_size: Option<u32>,
    /// What is written at once, in bytes: a power of two from 1 to 256.
    #[arg(long, value_parser = size::parse_u32)]
    pub(crate) write_size: Option<u32>,
    /// What bytes are after an erase.
    #[arg(long)]
    pub(crate) erased: Option<ErasedByte>,
}

/// What bytes are after an erase.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ErasedByte {
    /// Nearly every NOR flash.
    #[value(name = "ff")]
    Ones,
    /// STM32 L0 and L1.
    #[value(name = "00")]
    Zeros,
}

#[derive(Args, Debug)]
pub(crate) struct Index {
    /// The root of the source tree.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) sizes: Sizes,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// A file of JSON lines, or - for standard input.
    pub(crate) file: PathBuf,
    /// Operations in a batch: all of them become visible, or none.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: u32,
    /// Make each batch durable, and then print `committed <sequence> <lines so far>`.
    #[arg(long)]
    pub(crate) acks: bool,
    #[command(flatten)]
    pub(crate) sizes: Sizes,
}

#[derive(Args, Debug)]
pub(crate) struct Neighbours {
    /// 32 hexadecimal digits, a name as metadata has it, or the end of a URI.
    #[arg(value_name = "ID|NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) node: String,
    /// Only edges that start here.
    #[arg(long = "out", conflicts_with = "in")]
    pub(crate) out: bool,
    /// Only edges that end here.
    #[arg(long = "in")]
    pub(crate) r#in: bool,
    /// Only edges of this kind: a name such as calls, or a number.
    #[arg(long, value_parser = parse_kind)]
    pub(crate) kind: Option<EdgeKind>,
}

#[derive(Args, Debug)]
pub(crate) struct Scan {
    /// Newest first.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Stop after so many blocks.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

fn parse_kind(text: &str) -> Result<EdgeKind, String> {
    let names = || EdgeKind::NAMED.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    EdgeKind::parse(text)
        .ok_or_else(|| format!("a kind is a number from 0 to 65535, or one of: {}", names()))
}

/// The arguments, or the exit code once help was printed.
///
/// # Errors
/// Wrong usage, in one line.
pub(crate) fn parse() -> Outcome<Result<Arguments, ExitCode>> {
    match Arguments::try_parse() {
        Ok(arguments) => Ok(Ok(arguments)),
        Err(error) if error.use_stderr() => Err(Failure::usage(in_one_line(&error.to_string()))),
        Err(error) => error.print().map(|()| Err(ExitCode::SUCCESS)).map_err(Failure::from),
    }
}

/// What clap says over several lines, without the usage that `--help` has as well.
fn in_one_line(text: &str) -> String {
    let is_usage = |part: &&str| part.starts_with("Usage:") || part.starts_with("For more");
    let parts = text.split("\n\n").map(str::trim).take_while(|part| !is_usage(part));
    let in_words = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = parts.filter(|part| !part.is_empty()).map(in_words).collect::<Vec<_>>().join("; ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    format!("{said}; see `kausaldb --help`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn arguments(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("kausaldb").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn store_and_json_stand_before_or_after_the_subcommand() {
        for line in [
            "--store s.kdb --json stats",
            "stats --json --store s.kdb",
            "--json stats --store s.kdb",
        ] {
            let arguments = arguments(line).unwrap();
            assert!(arguments.json, "{line}");
            assert_eq!(arguments.store, PathBuf::from("s.kdb"), "{line}");
        }
        assert_eq!(arguments("verify").unwrap().store, PathBuf::from("kausal.kdb"));
    }

    #[test]
    fn every_command_of_the_contract_is_understood() {
        let lines = [
            "create --size 64M --segment-size 4KiB --erase-size 4096 --write-size 8 --erased 00",
            "create --erased ff",
            "index .",
            "import - --batch 10 --acks",
            "import lines.jsonl --size 1G --segment-size 4M",
            "export",
            "get 0123456789abcdef0123456789abcdef",
            "find main",
            "neighbours main --in --kind calls",
            "neighbours 0123456789abcdef0123456789abcdef --out --kind 12",
            "callers main",
            "callees main",
            "scan --json",
            "stats --capacity",
            "verify",
            "compact",
            "grow --size 128M",
            "repair",
            "salvage new.kdb --json",
            "scrub",
        ];
        for line in lines {
            assert!(arguments(line).is_ok(), "{line}: {}", arguments(line).unwrap_err());
        }
    }

    #[test]
    fn a_hint_is_set_off_from_what_is_wrong() {
        let said = in_one_line(&arguments("stat").unwrap_err().to_string());
        assert!(said.starts_with("unrecognized subcommand 'stat'; tip: "), "{said}");
        let said = in_one_line(&arguments("get").unwrap_err().to_string());
        assert!(said.contains("not provided: <ID>; see"), "{said}");
    }

    #[test]
    fn an_empty_name_is_wrong_usage() {
        for command in ["find", "callers", "callees", "neighbours"] {
            assert!(Arguments::try_parse_from(["kausaldb", command, ""]).is_err(), "{command}");
        }
    }

    #[test]
    fn wrong_usage_is_an_error_that_goes_to_standard_error() {
        let lines = [
            "",
            "fly",
            "get 12",
            "index",
            "import - --batch 0",
            "neighbours a --in --out",
            "neighbours a --kind likes",
            "create --erased 7f",
            "create --size lots",
            "get",
        ];
        for line in lines {
            let error = arguments(line).unwrap_err();
            assert!(error.use_stderr(), "{line}");
            let said = in_one_line(&error.to_string());
            assert!(!said.contains('\n') && !said.contains("Usage"), "{said}");
            assert!(!said.starts_with("error"), "{said}");
        }
    }
}
