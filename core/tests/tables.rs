//! Sealed tables of large segments: an opening reads their index pages and nothing else of them, and where
//! the header of a record is hurt, the page that describes it names what it was about.
#![cfg(test)]

use crate::common::power::{Replay, sweep};
use crate::common::{Mix, Model, Op, Random, all_ids, check, open, region, verify};
use kausaldb::format::{FoundHeader, Header, Kind, Layout, Record, Salt, SegmentHeader, Subject};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{
    BlockId, Capacity, Config, ContextBlock, Direction, Finding, FormatOptions, GraphEdge,
    OnDamage, ReadError, StorageEngine, StoreId, Verify, format,
};
use kausaldb_sim::SimNor;
use std::collections::BTreeMap;

const SEGMENT: u32 = 256 * 1024;
const SEGMENTS: u32 = 16;
const GEOMETRY: Geometry = Geometry {
    capacity_bytes: SEGMENTS as u64 * SEGMENT as u64,
    erase_bytes: 4096,
    write_bytes: 16,
    erased: Erased::Ones,
    keeps_write_order: true,
};
const CAPACITY: Capacity = Capacity {
    nodes: 160,
    pending_edges: 160,
    hub_pages: 32,
    intents: 8,
    segments: SEGMENTS,
    segment_bytes: SEGMENT,
    block_bytes: 8192,
    batch_operations: 16,
    batch_bytes: 1 << 16,
    buffer_bytes: 4096,
};
const CONFIG: Config = Config {
    verify: Verify::EveryRead,
    durability: kausaldb::Durability::OnSync,
    on_damage: OnDamage::Say,
    seed: [0; 2],
};
const MIX: Mix =
    Mix { ids: 70, operations: 6, content_max: 2500, puts: 50, links: 32, hubs: false };

/// A closed store of several segments, and what it holds.
fn filled(seed: u64, batches: u32) -> (SimNor, Model) {
    let mut device = SimNor::new(GEOMETRY, seed).expect("geometry");
    let options = FormatOptions { store: StoreId::from_u128(11), segment_bytes: SEGMENT };
    format(&mut device, &options).expect("format");
    let mut memory = region(&CAPACITY);
    let mut engine = StorageEngine::open(device, &mut memory, CAPACITY, CONFIG).expect("open");
    let (mut random, mut version, mut model) = (Random::new(seed), 0, Model::default());
    for _ in 0..batches {
        let ops = MIX.batch(&mut random, &mut version);
        let operations: Vec<_> = ops.iter().map(Op::borrow).collect();
        let mut next = model.clone();
        if next.apply(&ops) {
            engine.write(&operations).expect("write");
            model = next;
        }
    }
    let (device, closed) = engine.close();
    closed.expect("close");
    (device, model)
}

/// A record on media.
#[derive(Clone, Copy, Debug)]
struct Lying {
    segment: SegmentHeader,
    at: usize,
    header: Header,
    offset: u32,
}

/// The layout and the newest segment's number, and every record in the ring.
fn records(image: &[u8]) -> (Layout, u32, Vec<Lying>) {
    let slots = (0..SEGMENTS as usize).map(|slot| slot * SEGMENT as usize);
    let found: Vec<_> = slots
        .filter_map(|start| Some((start, FoundHeader::parse(&image[start..]).ok()?)))
        .collect();
    let layout = found[0].1.layout;
    let newest = found.iter().map(|(_, found)| found.segment.number).max().unwrap_or(0);
    let mut retired = found.iter().map(|(_, found)| found.segment.retired).max().unwrap_or(0);
    let salt = Salt::of(layout.store());
    let mut all = Vec::new();
    for (start, FoundHeader { segment, .. }) in found {
        let mut offset = layout.first_offset();
        while offset < SEGMENT {
            let at = start + offset as usize;
            let end = (at + 56).min(image.len());
            let Some(header) = Header::parse(&image[at..end], salt.at(segment.number, offset))
            else {
                break;
            };
            if let Record::Retire { segment, .. } = header.record {
                retired = retired.max(segment);
            }
            all.push(Lying { segment, at, header, offset });
            offset += layout.padded(header.record_bytes(layout.index_form()) as u32);
        }
    }
    all.retain(|lying| lying.segment.number > retired);
    (layout, newest, all)
}

/// Whether a page describes the record, and tells all that recovery needs of it.
fn is_outlined(lying: &Lying, layout: &Layout, all: &[Lying]) -> bool {
    let is_described = all.iter().any(|page| {
        let Record::Index(index) = page.header.record else { return false };
        let there = page.segment.slot == lying.segment.slot;
        there && index.first <= lying.offset && lying.offset < page.offset
    });
    let len = layout.padded(lying.header.record_bytes(layout.index_form()) as u32);
    match lying.header.tag.kind() {
        Kind::PageOut | Kind::PageIn | Kind::Damage | Kind::Index => false,
        // An empty list is shorter than any other; one of one edge may be as short as a record can be.
        Kind::AdjacencyOut | Kind::AdjacencyIn => {
            is_described && (len < 17 || len > layout.align())
        }
        _ => is_described,
    }
}

#[test]
fn an_opening_needs_nothing_of_a_sealed_segment_but_its_header_and_its_pages() {
    for seed in 1..=sweep(3, 30) {
        let (device, model) = filled(seed, 900);
        let _replay = Replay(format!("seed {seed}"));
        let mut engine = open(device.clone(), CAPACITY, CONFIG).expect("open");
        check(&mut engine, &model, &MIX, "untouched");
        verify(&mut engine, "untouched");
        let whole = engine.stats();
        let (layout, newest, all) = records(device.image());
        let mut hurt = device.clone();
        let mut wiped = 0;
        for lying in all.iter().filter(|lying| lying.segment.number != newest) {
            if is_outlined(lying, &layout, &all) {
                let len = lying.header.record_bytes(layout.index_form()) as usize;
                hurt.image_mut()[lying.at..lying.at + len].fill(0xA5);
                wiped += 1;
            }
        }
        assert!(wiped > 300, "{wiped} records were wiped out");
        let engine = open(hurt, CAPACITY, CONFIG).expect("opens by its pages");
        let by_pages = engine.stats();
        assert_eq!(engine.damage(), None);
        assert_eq!(by_pages.damaged, 0);
        let shown = |stats: &kausaldb::Stats| {
            let pools = [stats.nodes, stats.pending_edges, stats.hub_pages, stats.intents];
            (stats.blocks, stats.live_bytes, stats.free_bytes, pools.map(|pool| pool.used))
        };
        assert_eq!(shown(&by_pages), shown(&whole));
    }
}

/// What a hurt store shows: all that the model holds but for one place, at which it says that it is hurt.
fn compare(
    engine: &mut StorageEngine<'_, SimNor>,
    model: &Model,
    hurt: (u32, u32),
) -> Vec<BlockId> {
    let mut scratch = vec![0; 1 << 16];
    let mut refused = Vec::new();
    let is_there = |segment, offset| assert_eq!((segment, offset), hurt, "another place is named");
    for id in all_ids(&MIX) {
        match engine.find_into(&id, &mut scratch) {
            Ok(found) => {
                let found = found.map(|block| (block.version(), block.content().to_vec()));
                let held = model.blocks.get(&id).map(|held| (held.version, held.content.clone()));
                assert_eq!(found, held, "{id}");
            }
            Err(ReadError::Corrupt { segment, offset }) => {
                is_there(segment, offset);
                refused.push(id);
            }
            Err(error) => panic!("{id}: {error}"),
        }
        for direction in Direction::BOTH {
            let held = model.edges.iter().filter(|edge| match direction {
                Direction::Out => edge.source == id,
                Direction::In => edge.target == id,
            });
            let mut held: Vec<GraphEdge> = held.copied().collect();
            let shown = edges(engine, &id, direction);
            match shown {
                Ok(mut shown) => {
                    let key = |edge: &GraphEdge| (edge.source, edge.kind.0, edge.target);
                    shown.sort_by_key(key);
                    held.sort_by_key(key);
                    assert_eq!(shown, held, "{id} {direction:?}");
                }
                Err(ReadError::Corrupt { segment, offset }) => is_there(segment, offset),
                Err(error) => panic!("{id}: {error}"),
            }
        }
    }
    refused
}

fn edges(
    engine: &mut StorageEngine<'_, SimNor>,
    id: &BlockId,
    direction: Direction,
) -> Result<Vec<GraphEdge>, ReadError<kausaldb_sim::SimError>> {
    let mut scratch = vec![0; 1 << 16];
    let mut edges = engine.reader_through(&mut scratch).edges(id, direction, None)?;
    let mut shown = Vec::new();
    while let Some(edge) = edges.next()? {
        shown.push(edge);
    }
    Ok(shown)
}

#[test]
fn a_hurt_header_costs_what_its_record_held_and_no_more() {
    let mut tried: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 1..=sweep(2, 12) {
        let (device, model) = filled(seed, 1000);
        let mut random = Random::new(seed);
        let (layout, newest, all) = records(device.image());
        let alive = |device: &SimNor| open(device.clone(), CAPACITY, CONFIG).expect("open");
        let sealed: Vec<_> =
            all.into_iter().filter(|lying| lying.segment.number != newest).collect();
        let one_in = sealed.len() as u64 / sweep(60, 600);
        let chosen = sealed.iter().filter(|lying| {
            let chance = match lying.header.record {
                Record::Block { id, version, .. } => {
                    let lives = model.blocks.get(&id).is_some_and(|held| held.version == version);
                    if lives { 3 } else { one_in }
                }
                Record::Edge(_) | Record::BatchEnd { .. } => one_in,
                _ => one_in.div_ceil(6),
            };
            random.one_in(chance)
        });
        for lying in chosen.collect::<Vec<_>>() {
            let _replay = Replay(format!("seed {seed}, hurt {lying:?}"));
            let mut hurt = device.clone();
            let end = lying.at + lying.header.bytes as usize;
            hurt.image_mut()[lying.at..end].iter_mut().for_each(|byte| *byte ^= 0x5A);
            let mut engine = alive(&hurt);
            let kind = lying.header.tag.kind();
            let place = (lying.segment.number, lying.offset);
            if !is_outlined(lying, &layout, &sealed) {
                // A page of the index is passed by; what only a header tells degrades the store.
                assert_eq!(engine.damage().is_some(), kind != Kind::Index, "{kind:?}");
                *tried.entry(format!("{kind:?}, not outlined")).or_default() += 1;
                continue;
            }
            assert_eq!((engine.damage(), engine.stats().damaged), (None, 0));
            let refused = compare(&mut engine, &model, place);
            assert!(refused.len() <= usize::from(kind == Kind::Block));
            named_by_verify(&mut engine, lying, !refused.is_empty());
            *tried.entry(format!("{kind:?}, refused {}", refused.len())).or_default() += 1;
            go_on(engine, model.clone(), &refused, random.one_in(2));
        }
    }
    println!("{tried:?}");
    for kind in ["Block, refused 0", "Block, refused 1", "Node, refused 0", "Link, refused 0"] {
        assert!(tried.contains_key(kind), "{kind} was not tried: {tried:?}");
    }
}

/// `verify` names the record by its place and its id.
fn named_by_verify(engine: &mut StorageEngine<'_, SimNor>, lying: &Lying, lost: bool) {
    let mut findings = Vec::new();
    engine.verify(|finding| findings.push(finding)).expect("verify");
    let (number, at, subject) = (lying.segment.number, lying.offset, lying.header.record.subject());
    let named = findings.iter().any(|finding| match *finding {
        Finding::Header { segment, offset, id, live } => {
            let is_list = matches!(subject, Subject::List { .. });
            let right = (segment, offset) == (number, at) && id == subject.id().copied();
            right && (is_list || live == lost)
        }
        _ => false,
    });
    assert!(named, "{findings:?}");
}

/// The store is written, turned once around the ring, opened again, and shows what it should.
fn go_on(
    mut engine: StorageEngine<'_, SimNor>,
    mut model: Model,
    refused: &[BlockId],
    turns_first: bool,
) {
    if turns_first {
        turn(&mut engine);
    }
    for id in refused {
        let found = engine.find_into(id, &mut [0; 4096]).map(|block| block.is_some());
        assert!(found.is_err(), "the key says that it is hurt, wherever it lies");
        let block =
            ContextBlock { id: *id, version: 1, source_uri: "", metadata: b"", content: b"anew" };
        engine.put(&block).expect("put");
        let held = crate::common::Block {
            version: 1,
            source_uri: String::new(),
            metadata: Vec::new(),
            content: b"anew".to_vec(),
        };
        model.blocks.insert(*id, held);
    }
    let scrubbed = engine.scrub(u64::MAX).expect("scrub");
    assert!(!scrubbed.cut_short);
    turn(&mut engine);
    let lists_hurt = engine.count_edges().expect("count").lists_unreadable;
    let (mut device, closed) = engine.close();
    closed.expect("close");
    device.reopen();
    let mut engine = open(device, CAPACITY, CONFIG).expect("open again");
    assert_eq!(engine.damage(), None);
    if lists_hurt > 0 || !edges_all_read(&mut engine) {
        engine.repair().expect("repair");
    }
    check(&mut engine, &model, &MIX, "after a turn");
    // What stood for a damaged list may still lie there, dead and harmless.
    assert_eq!(engine.verify(|_| ()).expect("verify").lost, 0);
}

/// Whether no list of edges is damaged.
fn edges_all_read(engine: &mut StorageEngine<'_, SimNor>) -> bool {
    let ids = all_ids(&MIX);
    let ways = ids.iter().flat_map(|id| Direction::BOTH.map(|direction| (id, direction)));
    ways.into_iter().all(|(id, direction)| edges(engine, id, direction).is_ok())
}

/// Moves all that lives, so that every segment that there is now is retired.
fn turn(engine: &mut StorageEngine<'_, SimNor>) {
    engine.compact(u64::MAX).expect("compact");
}

/// Where bits of a page cannot be read, the records tell what it told.
#[test]
fn a_page_that_cannot_be_read_costs_nothing() {
    let (mut device, model) = filled(1, 900);
    let (_, newest, all) = records(device.image());
    let pages = all.iter().filter(|lying| lying.header.tag.kind() == Kind::Index);
    let sealed: Vec<_> = pages.filter(|page| page.segment.number != newest).collect();
    assert!(sealed.len() > 2);
    for page in sealed {
        let body = (page.at + page.header.bytes as usize).next_multiple_of(16);
        device.make_unreadable(body as u64, 16);
    }
    let mut engine = open(device, CAPACITY, CONFIG).expect("opens by the records");
    assert_eq!((engine.damage(), engine.stats().damaged), (None, 0));
    check(&mut engine, &model, &MIX, "opened by the records");
}
