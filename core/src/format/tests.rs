//! The drawing against the code: golden bytes, and no bytes that make the decoder fail otherwise
//! than by `None`.

use super::*;
use crate::storage::{Erased, Geometry};
use crate::types::{BlockId, Direction, EdgeKey, EdgeKind, KeyRange, NodeNumber, StoreId};
use proptest::prelude::*;
use std::vec::Vec;

fn seed() -> Crc {
    Salt::of(StoreId::from_u128(1)).at(2, 128)
}

fn key() -> impl Strategy<Value = EdgeKey> {
    (any::<u16>(), any::<u32>())
        .prop_map(|(kind, number)| EdgeKey { kind, number: NodeNumber::new(number) })
}

fn repair() -> impl Strategy<Value = Repair> {
    prop_oneof![Just(Repair::Began), Just(Repair::Ended), Just(Repair::Knows)]
}

fn record() -> impl Strategy<Value = Record> {
    let n = || any::<u32>().prop_map(NodeNumber::new);
    let id = || any::<u128>().prop_map(BlockId::from_u128);
    let direction = prop_oneof![Just(Direction::Out), Just(Direction::In)];
    // A page that covers no key is none.
    let range = (key(), proptest::option::of(key()))
        .prop_map(|(low, high)| KeyRange { low, high: high.filter(|high| low < *high) });
    prop_oneof![
        (n(), id(), any::<u64>(), any::<[u32; 3]>())
            .prop_map(|(number, id, version, lens)| Record::Block { number, id, version, lens }),
        (n(), id()).prop_map(|(number, id)| Record::Node { number, id }),
        (n(), id()).prop_map(|(number, id)| Record::Tombstone { number, id }),
        (n(), id()).prop_map(|(number, id)| Record::Intent { number, id }),
        (n(), any::<u16>(), n(), any::<bool>()).prop_map(|(source, kind, target, add)| {
            Record::Edge(EdgeChange { source, kind: EdgeKind(kind), target, add })
        }),
        (n(), direction, any::<u32>(), proptest::option::of(range)).prop_map(
            |(number, direction, entries, range)| Record::Adjacency {
                number,
                direction,
                entries,
                range
            }
        ),
        any::<[u32; 2]>().prop_map(|[segment, slot]| Record::Retire { segment, slot }),
        any::<bool>().prop_map(|closes| Record::Mark { closes }),
        (repair(), any::<u32>(), any::<u32>()).prop_map(|(says, segment, detail)| Record::Damage {
            says,
            segment,
            detail
        }),
        any::<u32>().prop_map(|records| Record::BatchEnd { records }),
    ]
}

proptest! {
    #[test]
    fn every_record_is_read_as_it_was_written(record in record(), in_batch: bool, marked: bool) {
        let bytes = record.encode(in_batch, marked, seed());
        prop_assert_eq!(bytes.as_slice().len() as u32, record.header_bytes());
        let header = Header::parse(bytes.as_slice(), seed()).unwrap();
        prop_assert_eq!(header.record, record);
        prop_assert_eq!(header.tag.in_batch(), in_batch);
        prop_assert_eq!(header.tag.marked(), marked);
        prop_assert_eq!(header.tag.kind(), record.kind());
    }

    #[test]
    fn one_or_two_flipped_bits_in_a_header_are_noticed(
        record in record(), one in 0usize..448, two in 0usize..448,
    ) {
        let bytes = record.encode(false, false, seed());
        let mut hurt = bytes.as_slice().to_vec();
        let bits = hurt.len() * 8;
        hurt[one % bits / 8] ^= 1 << (one % 8);
        hurt[two % bits / 8] ^= 1 << (two % 8);
        if hurt != bytes.as_slice() {
            // A flip may change the length; what follows in the log could then complete it only by
            // a chance of 2^-32.
            prop_assert_eq!(Header::parse(&hurt, seed()), None);
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_without_failure(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        prop_assert_eq!(Header::parse(&bytes, seed()), None);
        prop_assert_eq!(FoundHeader::parse(&bytes), Err(NotAHeader::Absent));
    }
}

#[test]
fn a_link_is_these_bytes() {
    let record = Record::Edge(EdgeChange {
        source: NodeNumber::new(1),
        kind: EdgeKind::CALLS,
        target: NodeNumber::new(300),
        add: true,
    });
    let bytes = record.encode(true, false, Crc::new());
    let expected: Vec<u8> = [0x14, 1, 7, 0xAC, 0x02].to_vec();
    assert_eq!(bytes.as_slice()[..5], expected);
    assert_eq!(bytes.as_slice()[5..], Crc::new().and(&expected).get().to_le_bytes());
}

#[test]
fn the_longest_header_fits() {
    let max = NodeNumber::new(u32::MAX);
    let key = EdgeKey { kind: u16::MAX, number: max };
    let block = Record::Block {
        number: max,
        id: BlockId::default(),
        version: u64::MAX,
        lens: [u32::MAX; 3],
    };
    let page = Record::Adjacency {
        number: max,
        direction: Direction::In,
        entries: u32::MAX,
        range: Some(KeyRange { low: key, high: Some(key) }),
    };
    for record in [block, page] {
        assert!(record.header_bytes() as usize <= HEADER_BYTES_MAX);
        assert_eq!(
            record.encode(true, true, seed()).as_slice().len() as u32,
            record.header_bytes()
        );
    }
}

fn layout() -> Layout {
    let geometry = Geometry {
        capacity_bytes: 64 << 10,
        erase_bytes: 4096,
        write_bytes: 4,
        erased: Erased::Ones,
        keeps_write_order: true,
    };
    Layout::new(StoreId::from_u128(0xABCD), geometry, 4096).unwrap()
}

#[test]
fn a_segment_header_is_read_as_it_was_written_and_every_flipped_bit_is_noticed() {
    let segment = SegmentHeader {
        slot: 3,
        number: 17,
        retired: 9,
        predecessor: Some(Predecessor {
            slot: 2,
            number: 16,
            end: 4000,
            index: 3900,
            sealed: true,
        }),
        erase_count: 5,
        next_node: 200,
        recovery: true,
        continues_batch: false,
    };
    let bytes = segment.encode(&layout());
    assert_eq!(FoundHeader::parse(&bytes), Ok(FoundHeader { layout: layout(), segment }));
    for bit in 0..bytes.len() * 8 {
        let mut hurt = bytes;
        hurt[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(FoundHeader::parse(&hurt), Err(NotAHeader::Absent), "bit {bit}");
    }
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    let segment = SegmentHeader {
        slot: 0,
        number: 1,
        retired: 0,
        predecessor: None,
        erase_count: 1,
        next_node: 0,
        recovery: false,
        continues_batch: false,
    };
    let mut bytes = segment.encode(&layout());
    let other = FORMAT_VERSION + 1;
    bytes[8..10].copy_from_slice(&other.to_le_bytes());
    // It may be torn.
    assert_eq!(FoundHeader::parse(&bytes), Err(NotAHeader::Absent));
    let check = Crc::new().and(&bytes[..76]).get();
    bytes[76..].copy_from_slice(&check.to_le_bytes());
    assert_eq!(FoundHeader::parse(&bytes), Err(NotAHeader::Version(other)));
    // Up to version 3 a header was longer.
    let mut longer = [bytes.as_slice(), &[0; 4]].concat();
    longer[8..10].copy_from_slice(&3u16.to_le_bytes());
    assert_eq!(FoundHeader::parse(&longer), Err(NotAHeader::Absent));
    let check = Crc::new().and(&longer[..80]).get();
    longer[80..].copy_from_slice(&check.to_le_bytes());
    assert_eq!(FoundHeader::parse(&longer), Err(NotAHeader::Version(3)));
}

#[test]
fn places_and_locations_are_each_others_inverse() {
    let layout = layout();
    for slot in 0..layout.segments() {
        for offset in (0..layout.segment_bytes()).step_by(4) {
            assert_eq!(layout.place(layout.location(slot, offset)), Place { slot, offset });
        }
    }
    assert!(layout.location(0, 0).is_none());
}

#[test]
fn locations_of_32_bits_reach_all_of_64_gib() {
    let geometry = Geometry {
        capacity_bytes: 64 << 30,
        erase_bytes: 1 << 20,
        write_bytes: 16,
        erased: Erased::Unknown,
        keeps_write_order: false,
    };
    let segment_bytes = 4 << 20;
    let layout = Layout::new(StoreId::from_u128(1), geometry, segment_bytes).expect("fits");
    for slot in [0, 8191, 8192, layout.segments() - 1] {
        for offset in [96, segment_bytes - 16] {
            let location = layout.location(slot, offset);
            assert_eq!(layout.place(location), Place { slot, offset });
            let start = layout.slot_start(slot) + u64::from(offset);
            assert_eq!(layout.start(location), start);
        }
    }
}

proptest! {
    #[test]
    fn what_a_segment_says_of_the_next_is_read_as_it_was_written(
        slot in 0u32..1 << 24,
        before in 1u32..1000,
        further in 1u32..1000,
        bit in 0usize..64,
    ) {
        let successor = Successor::new(slot, before + further, before).expect("a slot like that");
        prop_assert_eq!(u32::from(successor.distance), further.min(255));
        let mut bytes = successor.encode(seed());
        prop_assert_eq!(Successor::parse(&bytes, seed()), Some(successor));
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(Successor::parse(&bytes, seed()), None);
        prop_assert_eq!(Successor::new(slot + (1 << 24), 2, 1), None);
    }
}
