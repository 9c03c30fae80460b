//! A graph of any size from a seed: prints it as JSON lines, and holds a store that they were
//! imported into against it.
//!
//! ```text
//! million generate BLOCKS SEED | kausaldb import -
//! million check kausal.kdb BLOCKS SEED SAMPLES
//! ```
//!
//! Every block and edge is a function of the seed and the block's number, so neither side remembers
//! anything. A block has 0 to 512 bytes of content, 256 on average, and ten edges, one of each of
//! ten kinds: nine to blocks anywhere in the graph, and one to a block near its beginning, of which
//! the first have thousands. Each block is followed by its edges, so most of them name a block that
//! is still to come.
//!
//! `check` opens the store for reading and compares SAMPLES random blocks, field by field, and
//! their edges in both directions with what was generated; the edges that lead to them come from
//! going through the whole graph again. The checker prints what it compared, or ends with 1 at the
//! first difference.

use kausaldb::{
    BlockId, BlockRef, Capacity, Config, ContextBlock, Direction, EdgeKind, GraphEdge,
    StorageEngine,
};
use kausaldb_file::{Access, OpenedFile, PositionedFile};
use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

const USAGE: &str =
    "usage: million generate BLOCKS SEED, or million check STORE BLOCKS SEED SAMPLES";
/// Edges that start at each block.
const EDGES: u64 = 10;
/// The longest content, in bytes.
const CONTENT_BYTES_MAX: u64 = 512;
/// The longest block, in bytes: its URI, metadata and content together.
const BLOCK_BYTES_MAX: usize = 1024;
/// The most edge changes that an import leaves pending: so many places it has from the start.
const PENDING_EDGES: u32 = 1 << 18;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["generate", blocks, seed] => graph(blocks, seed).and_then(|graph| generate(&graph)),
        ["check", store, blocks, seed, samples] => {
            graph(blocks, seed).and_then(|graph| check(store, &graph, samples.parse()?))
        }
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("million: {error}");
            ExitCode::FAILURE
        }
    }
}

fn graph(blocks: &str, seed: &str) -> Result<Graph, Box<dyn Error>> {
    Ok(Graph { blocks: blocks.parse()?, seed: seed.parse()? })
}

/// The graph: all of it follows from these two.
#[derive(Clone, Copy)]
struct Graph {
    blocks: u64,
    seed: u64,
}

/// What a number is drawn for, so that no two draws depend on each other.
#[derive(Clone, Copy)]
enum Draw {
    IdHigh,
    IdLow,
    ContentLen,
    Content,
    Edge(u64),
    Sample,
}

impl Graph {
    /// A random number that follows from seed, block and purpose.
    fn draw(&self, block: u64, draw: Draw) -> u64 {
        let purpose = match draw {
            Draw::IdHigh => 0,
            Draw::IdLow => 1,
            Draw::ContentLen => 2,
            Draw::Content => 3,
            Draw::Sample => 4,
            Draw::Edge(edge) => 16 + edge,
        };
        mix(mix(mix(self.seed) ^ block) ^ purpose)
    }

    fn id(&self, block: u64) -> BlockId {
        let (high, low) = (self.draw(block, Draw::IdHigh), self.draw(block, Draw::IdLow));
        BlockId::from_u128(u128::from(high) << 64 | u128::from(low))
    }

    fn source_uri(block: u64) -> String {
        format!("generated/{}/{block}", block / 1000)
    }

    fn metadata(block: u64) -> String {
        format!(r#"{{"kind":"generated","name":"block_{block}"}}"#)
    }

    fn content(&self, block: u64, into: &mut String) {
        into.clear();
        let mut random = self.draw(block, Draw::Content);
        let len = below(self.draw(block, Draw::ContentLen), CONTENT_BYTES_MAX + 1) as usize;
        while into.len() < len {
            random = mix(random);
            // 13 letters of five bits each: a to z, and space.
            let letter = |at: u64| match random >> (at * 5) & 31 {
                letter @ 0..26 => char::from(b'a' + letter as u8),
                _ => ' ',
            };
            into.extend((0..12).map(letter));
        }
        into.truncate(len);
    }

    /// The block at which an edge ends.
    fn target(&self, block: u64, edge: u64) -> u64 {
        let random = self.draw(block, Draw::Edge(edge));
        if edge > 0 {
            return below(random, self.blocks);
        }
        // The cube of an evenly drawn part: one edge of a hundred ends in the first millionth.
        let part = random as f64 / u64::MAX as f64;
        ((part * part * part * self.blocks as f64) as u64).min(self.blocks - 1)
    }

    fn kind(edge: u64) -> EdgeKind {
        EdgeKind(edge as u16 + 1)
    }

    fn edge(&self, block: u64, edge: u64) -> GraphEdge {
        let target = self.id(self.target(block, edge));
        GraphEdge { source: self.id(block), kind: Self::kind(edge), target }
    }
}

/// The finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `end` from a random one.
fn below(random: u64, end: u64) -> u64 {
    ((u128::from(random) * u128::from(end)) >> 64) as u64
}

fn generate(graph: &Graph) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut content = String::new();
    for block in 0..graph.blocks {
        graph.content(block, &mut content);
        let (id, uri, metadata) =
            (graph.id(block), Graph::source_uri(block), Graph::metadata(block));
        write!(out, r#"{{"put":{{"id":"{id}","version":1,"source_uri":"{uri}","#)?;
        writeln!(out, r#""metadata":{metadata},"content":"{content}"}}}}"#)?;
        for edge in 0..EDGES {
            let GraphEdge { source, kind, target } = graph.edge(block, edge);
            writeln!(
                out,
                r#"{{"link":{{"source":"{source}","kind":"{kind}","target":"{target}"}}}}"#
            )?;
        }
    }
    Ok(out.flush()?)
}

/// The edges of one sampled block.
type Edges = [BTreeSet<GraphEdge>; 2];

/// The sampled blocks, with the edges that the graph has for them, out and in.
fn sampled(graph: &Graph, samples: u64) -> HashMap<u64, Edges> {
    let draw = |sample| below(graph.draw(sample, Draw::Sample), graph.blocks);
    let mut sampled: HashMap<u64, Edges> =
        (0..samples).map(|sample| (draw(sample), Edges::default())).collect();
    for block in 0..graph.blocks {
        for edge in 0..EDGES {
            if let Some([out, _]) = sampled.get_mut(&block) {
                out.insert(graph.edge(block, edge));
            }
            if let Some([_, into]) = sampled.get_mut(&graph.target(block, edge)) {
                into.insert(graph.edge(block, edge));
            }
        }
    }
    sampled
}

fn check(path: &str, graph: &Graph, samples: u64) -> Result<(), Box<dyn Error>> {
    let (file, capacity) = open_file(path)?;
    let mut region = Box::new_uninit_slice(capacity.region_bytes());
    let mut engine = StorageEngine::open_read_only(file, &mut region, capacity, Config::default())
        .map_err(|error| error.to_string())?;
    let sampled = sampled(graph, samples);
    let (mut compared, mut scratch) = ([0; 2], vec![0; BLOCK_BYTES_MAX]);
    for (&block, expected) in &sampled {
        check_block(&mut engine, graph, block, &mut scratch)?;
        let ways = Direction::BOTH.into_iter().zip(expected).zip(&mut compared);
        for ((way, wanted), compared) in ways {
            let stored = edges(&mut engine, &graph.id(block), way)?;
            if stored != *wanted {
                return Err(format!(
                    "block {block}: {} edges {way:?}, not {}",
                    stored.len(),
                    wanted.len()
                )
                .into());
            }
            *compared += stored.len();
        }
    }
    let blocks = engine.stats().blocks;
    if u64::from(blocks) != graph.blocks {
        return Err(format!("{blocks} blocks are stored, not {}", graph.blocks).into());
    }
    let [out, into] = compared;
    println!("{} blocks, {out} edges out and {into} edges in are as generated", sampled.len());
    Ok(())
}

type Engine<'r> = StorageEngine<'r, PositionedFile>;

/// The file, and a capacity for the nodes that its newest header knows of.
fn open_file(path: &str) -> Result<(PositionedFile, Capacity), Box<dyn Error>> {
    let file = OpenedFile::open(path, Access::ReadOnly)?;
    let info = kausaldb::probe(file.len_bytes(), |at, into| file.read_at(at, into))
        .map_err(|error| format!("{path}: {error}"))?;
    let geometry = *info.layout.geometry();
    let host = Capacity::host(info.nodes_max(), info.layout.segments());
    // An import may leave as many changes pending as it has places for.
    let capacity = Capacity { pending_edges: host.pending_edges.max(PENDING_EDGES), ..host };
    Ok((file.with_geometry(geometry)?, capacity))
}

fn check_block(
    engine: &mut Engine<'_>,
    graph: &Graph,
    block: u64,
    scratch: &mut [u8],
) -> Result<(), Box<dyn Error>> {
    let (id, source_uri, metadata) =
        (graph.id(block), Graph::source_uri(block), Graph::metadata(block));
    let mut content = String::new();
    graph.content(block, &mut content);
    let (source_uri, metadata) = (source_uri.as_str(), metadata.as_bytes());
    let wanted = ContextBlock { id, version: 1, source_uri, metadata, content: content.as_bytes() };
    let stored = engine.find_into(&id, scratch).map_err(|error| error.to_string())?;
    match stored.as_ref().map(BlockRef::as_block) {
        Some(stored) if stored == wanted => Ok(()),
        Some(_) => Err(format!("block {block} is not as generated").into()),
        None => Err(format!("block {block} is missing").into()),
    }
}

fn edges(
    engine: &mut Engine<'_>,
    id: &BlockId,
    way: Direction,
) -> Result<BTreeSet<GraphEdge>, Box<dyn Error>> {
    let explain = |error: kausaldb::ReadError<_>| error.to_string();
    let mut scratch = vec![0; 1 << 16];
    let mut neighbours =
        engine.reader_through(&mut scratch).edges(id, way, None).map_err(explain)?;
    let mut edges = BTreeSet::new();
    while let Some(edge) = neighbours.next().map_err(explain)? {
        edges.insert(edge);
    }
    Ok(edges)
}
