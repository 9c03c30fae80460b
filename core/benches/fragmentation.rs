//! One recorded churn, replayed over pools and arenas and over a general heap of the same size.
//!
//! `cargo bench -p kausaldb --features std --bench fragmentation [OPERATIONS]`; a million without an
//! argument.
//!
//! The churn is that of a small store that would keep its staged blocks, nodes, edge changes and queries in
//! such memory: puts, updates, deletes, links, queries, and flushes whenever the staging space is full. It is
//! recorded once, from a seed, so that both replay the same requests. The heap is `linked_list_allocator`,
//! first fit.
//!
//! - External fragmentation is 1 - largest free piece / free bytes, sampled. For pools and arenas it is
//!   measured for what each serves: the share of a pool's free slots that could not be taken, and of an
//!   arena's rest that could not be taken as one piece. The samples take all of it, and give it back.
//! - Internal waste is what is taken beyond what was asked for and is still wanted, in percent of that:
//!   rounding in the heap; links, and staged blocks that were superseded before the flush, in pools and
//!   arenas.
//! - The times are of single requests; each is the least of five replays, so that an interrupt does not
//!   count.
//!   An arena zeroes what it lends, the heap does not.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a bench may stop")]
#![allow(unsafe_code, reason = "the heap takes pieces back unchecked")]

mod support;

use kausaldb::memory::{Arena, Footprint, Handle, Pool};
use linked_list_allocator::Heap;
use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Instant;
use support::{Random, numbers};

const NODES: usize = 4096;
const EDGES: usize = 4096;
const QUERIES: usize = 4;
const STAGED_BYTES: usize = 256 << 10;
const RESULT_BYTES: usize = 8 << 10;
const REPLAYS: usize = 5;
const SAMPLE_EVERY: usize = 20_000;

type Node = [u64; 4];
type Edge = [u64; 3];
type Cursor = [u64; 12];

/// All that the pools and arenas take; the heap gets as much.
const REGION_BYTES: usize = Footprint::new()
    .pool::<Node>(NODES)
    .pool::<Edge>(EDGES)
    .pool::<Cursor>(QUERIES)
    .slice::<u8>(STAGED_BYTES)
    .slice::<u8>(RESULT_BYTES * QUERIES)
    .region_bytes();

/// One request of the recorded churn.
#[derive(Clone, Copy)]
enum Request {
    Node(usize),
    DropNode(usize),
    Stage(usize, usize),
    /// The staged block was replaced or deleted.
    Unstage(usize),
    Edge(usize),
    DropEdge(usize),
    Query(usize, usize),
    EndQuery(usize),
    /// All staged blocks are on media.
    Flush,
}

/// Writes the churn down.
#[derive(Default)]
struct Recorder {
    requests: Vec<Request>,
    live: Vec<usize>,
    free: Vec<usize>,
    staged: Vec<bool>,
    staged_bytes: usize,
    edges: usize,
    open: [bool; QUERIES],
    flushes: usize,
}

impl Recorder {
    fn record(operations: u64, seed: u64) -> Self {
        let mut recorder = Self {
            free: (0..NODES * 9 / 10).rev().collect(),
            staged: vec![false; NODES],
            ..Self::default()
        };
        let mut random = Random::new(seed);
        (0..operations).for_each(|_| recorder.operation(&mut random));
        recorder
    }

    fn operation(&mut self, random: &mut Random) {
        match random.below(100) {
            0..35 => self.put(random),
            35..60 => self.update(random),
            60..70 => self.delete(random),
            70..85 => self.link(random),
            _ => self.query(random),
        }
    }

    /// From 32 bytes to 8 KiB, each power of two as likely as any other.
    fn size(random: &mut Random) -> usize {
        let power = random.below(8);
        ((32 << power) + random.below(32 << power)) as usize
    }

    fn stage(&mut self, node: usize, random: &mut Random) {
        let bytes = Self::size(random);
        if self.staged_bytes + bytes > STAGED_BYTES {
            self.requests.push(Request::Flush);
            self.staged.fill(false);
            (self.staged_bytes, self.flushes) = (0, self.flushes + 1);
        }
        self.unstage(node);
        self.requests.push(Request::Stage(node, bytes));
        self.staged[node] = true;
        self.staged_bytes += bytes;
    }

    fn unstage(&mut self, node: usize) {
        if std::mem::take(&mut self.staged[node]) {
            self.requests.push(Request::Unstage(node));
        }
    }

    fn put(&mut self, random: &mut Random) {
        let Some(node) = self.free.pop() else { return self.update(random) };
        self.live.push(node);
        self.requests.push(Request::Node(node));
        self.stage(node, random);
    }

    fn update(&mut self, random: &mut Random) {
        let at = random.below(self.live.len() as u64) as usize;
        if let Some(node) = self.live.get(at).copied() {
            self.stage(node, random);
        }
    }

    fn delete(&mut self, random: &mut Random) {
        if self.live.is_empty() {
            return;
        }
        let at = random.below(self.live.len() as u64) as usize;
        let node = self.live.swap_remove(at);
        self.unstage(node);
        self.requests.push(Request::DropNode(node));
        self.free.push(node);
    }

    /// When all places are taken, all changes are folded away.
    fn link(&mut self, _: &mut Random) {
        if self.edges == EDGES {
            self.requests.extend((0..EDGES).map(Request::DropEdge));
            self.edges = 0;
        }
        self.requests.push(Request::Edge(self.edges));
        self.edges += 1;
    }

    fn query(&mut self, random: &mut Random) {
        let query = random.below(QUERIES as u64) as usize;
        if std::mem::replace(&mut self.open[query], true) {
            self.requests.push(Request::EndQuery(query));
        }
        self.requests.push(Request::Query(query, Self::size(random).min(RESULT_BYTES)));
    }
}

/// What one way made of the churn.
#[derive(Default)]
struct Report {
    external: Vec<f64>,
    waste: Vec<f64>,
    failed: u64,
    /// The time of each request for memory, in nanoseconds, in their order.
    times: Vec<f32>,
}

impl Report {
    fn request<T, E>(&mut self, take: impl FnOnce() -> Result<T, E>) -> Option<T> {
        let start = Instant::now();
        let taken = take();
        self.times.push(start.elapsed().as_nanos() as f32);
        self.failed += u64::from(taken.is_err());
        taken.ok()
    }

    /// Keeps the lesser time of each request.
    fn merge(self, again: Self) -> Self {
        let times = self.times.iter().zip(&again.times).map(|(one, other)| one.min(*other));
        Self { times: times.collect(), ..again }
    }

    fn print(&mut self, name: &str) {
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len().max(1) as f64;
        let most = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
        self.times.sort_by(f32::total_cmp);
        let at = |part: f64| {
            let last = self.times.len().saturating_sub(1);
            self.times.get((last as f64 * part) as usize).copied().unwrap_or_default()
        };
        println!(
            "{name:<18}{:>8.1} %{:>8.1} %{:>9}{:>8.1} %{:>8.0} ns{:>8.0} ns{:>8.0} ns",
            100.0 * mean(&self.external),
            100.0 * most(&self.external),
            self.failed,
            100.0 * mean(&self.waste),
            at(0.5),
            at(0.999),
            at(1.0),
        );
    }
}

/// The pools and arenas, and what they lent.
struct Fixed<'r> {
    nodes: Pool<'r, Node>,
    edges: Pool<'r, Edge>,
    cursors: Pool<'r, Cursor>,
    node: Vec<Option<Handle<Node>>>,
    edge: Vec<Option<Handle<Edge>>>,
    cursor: [Option<Handle<Cursor>>; QUERIES],
    results: [Arena<'r>; QUERIES],
    /// What of the staged is still wanted, in bytes, by node.
    wanted: Vec<usize>,
    report: Report,
}

fn replay_fixed(requests: &[Request]) -> Report {
    let mut region = vec![MaybeUninit::uninit(); REGION_BYTES];
    let (staged, rest) = region.split_at_mut(STAGED_BYTES);
    let (results, rest) = rest.split_at_mut(RESULT_BYTES * QUERIES);
    let mut results = results.chunks_mut(RESULT_BYTES).map(Arena::new);
    let results = std::array::from_fn(|_| results.next().expect("a piece for each query"));
    let mut arena = Arena::new(rest);
    let mut fixed = Fixed {
        nodes: arena.pool_of(NODES).expect("the footprint's size"),
        edges: arena.pool_of(EDGES).expect("the footprint's size"),
        cursors: arena.pool_of(QUERIES).expect("the footprint's size"),
        node: vec![None; NODES],
        edge: vec![None; EDGES],
        cursor: [None; QUERIES],
        results,
        wanted: vec![0; NODES],
        report: Report::default(),
    };
    let mut memtable = Arena::new(staged);
    let mut requests = requests.iter().enumerate();
    // A scope for each life of the staging space: from one flush to the next.
    while !memtable.scope(|staged| fixed.until_flush(&mut requests, staged)) {}
    fixed.report
}

impl Fixed<'_> {
    /// Whether the churn is at its end.
    fn until_flush<'q>(
        &mut self,
        requests: &mut impl Iterator<Item = (usize, &'q Request)>,
        staged: &mut Arena<'_>,
    ) -> bool {
        self.wanted.fill(0);
        for (at, request) in requests {
            if matches!(request, Request::Flush) {
                return false;
            }
            self.serve(*request, staged);
            if at % SAMPLE_EVERY == 0 {
                self.sample(staged);
            }
        }
        true
    }

    fn serve(&mut self, request: Request, staged: &mut Arena<'_>) {
        let report = &mut self.report;
        match request {
            Request::Node(at) => {
                self.node[at] = report.request(|| self.nodes.acquire([0; 4]));
            }
            Request::DropNode(at) => {
                self.node[at].take().map(|node| self.nodes.release(node));
            }
            Request::Edge(at) => {
                self.edge[at] = report.request(|| self.edges.acquire([0; 3]));
            }
            Request::DropEdge(at) => {
                self.edge[at].take().map(|edge| self.edges.release(edge));
            }
            Request::Stage(at, bytes) => {
                if report.request(|| staged.slice_of::<u8>(bytes)).is_some() {
                    self.wanted[at] = bytes;
                }
            }
            Request::Unstage(at) => self.wanted[at] = 0,
            Request::Query(at, bytes) => {
                self.cursor[at] = report.request(|| self.cursors.acquire([0; 12]));
                let result = &mut self.results[at];
                report.request(|| result.scope(|scope| scope.slice_of::<u8>(bytes).map(|_| ())));
            }
            Request::EndQuery(at) => {
                self.cursor[at].take().map(|cursor| self.cursors.release(cursor));
            }
            Request::Flush => {}
        }
    }

    /// Takes all that is free, to see how much of it can be taken, and gives it back.
    fn sample(&mut self, staged: &mut Arena<'_>) {
        let mut free = self.nodes.capacity() - self.nodes.in_use();
        let mut taken = Vec::new();
        while let Ok(node) = self.nodes.acquire([0; 4]) {
            taken.push(node);
        }
        let mut served = taken.len();
        taken.into_iter().for_each(|node| {
            self.nodes.release(node).expect("just taken");
        });
        let rest = staged.remaining();
        free += rest;
        served +=
            staged.scope(|rest| rest.slice_of::<u8>(rest.remaining()).map_or(0, |all| all.len()));
        self.report.external.push(1.0 - served as f64 / free.max(1) as f64);
        let slots = self.nodes.in_use() + self.edges.in_use() + self.cursors.in_use();
        let wanted: usize = self.wanted.iter().sum();
        let objects = self.nodes.in_use() * size_of::<Node>()
            + self.edges.in_use() * size_of::<Edge>()
            + self.cursors.in_use() * size_of::<Cursor>();
        let superseded = STAGED_BYTES - rest - wanted;
        self.report.waste.push((slots * 8 + superseded) as f64 / (wanted + objects).max(1) as f64);
    }
}

/// A piece of the heap.
type Piece = (NonNull<u8>, Layout);

/// The heap, and what it lent.
struct General {
    heap: Heap,
    nodes: Vec<Option<Piece>>,
    edges: Vec<Option<Piece>>,
    staged: Vec<Option<Piece>>,
    queries: [[Option<Piece>; 2]; QUERIES],
    asked: usize,
    report: Report,
}

fn replay_heap(requests: &[Request], memory: &'static mut [MaybeUninit<u8>]) -> Report {
    let mut general = General {
        heap: Heap::from_slice(memory),
        nodes: vec![None; NODES],
        edges: vec![None; EDGES],
        staged: vec![None; NODES],
        queries: [[None; 2]; QUERIES],
        asked: 0,
        report: Report::default(),
    };
    for (at, request) in requests.iter().enumerate() {
        general.serve(*request);
        if at % SAMPLE_EVERY == 0 {
            general.sample();
        }
    }
    general.report
}

impl General {
    fn take(&mut self, bytes: usize, align: usize) -> Option<Piece> {
        let layout = Layout::from_size_align(bytes, align).expect("a small layout");
        let piece = self.report.request(|| self.heap.allocate_first_fit(layout))?;
        self.asked += bytes;
        Some((piece, layout))
    }

    fn give(&mut self, piece: Option<Piece>) {
        let Some((piece, layout)) = piece else { return };
        self.asked -= layout.size();
        // SAFETY: `take` made the piece with this layout, and it is given back once: it was taken out of
        // its place.
        unsafe { self.heap.deallocate(piece, layout) }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Node(at) => self.nodes[at] = self.take(size_of::<Node>(), 8),
            Request::Edge(at) => self.edges[at] = self.take(size_of::<Edge>(), 8),
            Request::Stage(at, bytes) => self.staged[at] = self.take(bytes, 1),
            Request::Query(at, bytes) => {
                self.queries[at] = [self.take(size_of::<Cursor>(), 8), self.take(bytes, 1)];
            }
            Request::DropNode(at) => {
                let piece = self.nodes[at].take();
                self.give(piece);
            }
            Request::DropEdge(at) => {
                let piece = self.edges[at].take();
                self.give(piece);
            }
            Request::Unstage(at) => {
                let piece = self.staged[at].take();
                self.give(piece);
            }
            Request::EndQuery(at) => {
                let pieces = std::mem::take(&mut self.queries[at]);
                pieces.into_iter().for_each(|piece| self.give(piece));
            }
            Request::Flush => {
                for at in 0..self.staged.len() {
                    let piece = self.staged[at].take();
                    self.give(piece);
                }
            }
        }
    }

    /// Finds the largest piece that can be taken, by halving.
    fn sample(&mut self) {
        let (mut fits, mut fails) = (0, self.heap.free() + 1);
        while fails - fits > 8 {
            let bytes = (fits + fails) / 2;
            let layout = Layout::from_size_align(bytes, 1).expect("a small layout");
            match self.heap.allocate_first_fit(layout) {
                Ok(piece) => {
                    // SAFETY: just made, with this layout.
                    unsafe { self.heap.deallocate(piece, layout) };
                    fits = bytes;
                }
                Err(()) => fails = bytes,
            }
        }
        let free = self.heap.free().max(1) as f64;
        self.report.external.push((1.0 - fits as f64 / free).max(0.0));
        let waste = self.heap.used() - self.asked;
        self.report.waste.push(waste as f64 / self.asked.max(1) as f64);
    }
}

fn main() {
    let operations = numbers().first().copied().unwrap_or(1_000_000);
    let churn = Recorder::record(operations, 42);
    println!(
        "{operations} operations, {} requests, {} flushes; {} KiB of memory\n",
        churn.requests.len(),
        churn.flushes,
        REGION_BYTES >> 10
    );
    println!(
        "{:<18}{:>20}{:>9}{:>10}{:>33}",
        "", "external: mean, most", "failed", "waste", "a request: median, 99.9 %, worst"
    );
    let (mut fixed, mut general): (Option<Report>, Option<Report>) = (None, None);
    for _ in 0..REPLAYS {
        let again = replay_fixed(&churn.requests);
        fixed = Some(match fixed.take() {
            Some(report) => report.merge(again),
            None => again,
        });
        // The heap asks for memory that lives on.
        let memory = vec![MaybeUninit::uninit(); REGION_BYTES].into_boxed_slice();
        let again = replay_heap(&churn.requests, Box::leak(memory));
        general = Some(match general.take() {
            Some(report) => report.merge(again),
            None => again,
        });
    }
    fixed.unwrap_or_default().print("pools and arenas");
    general.unwrap_or_default().print("general heap");
}
