//! The memory room against plain models: arithmetic for what is carved, a vector for what a pool holds.

use super::owned::{Engine, Owned, Table};
use super::*;
use core::mem::{self, MaybeUninit};
use core::sync::atomic::{AtomicU8, Ordering};
use proptest::prelude::*;
use std::boxed::Box;
use std::vec::Vec;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// As many cases as the machine can bear: Miri runs a thousand times slower.
fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 4 } else { 512 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// A type aligned as far as any may be.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A record as the subsystems have them.
#[derive(Clone, Copy, PartialEq, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Row {
    version: u64,
    number: u32,
    kind: u16,
    flags: [u8; 2],
}

const REGION_BYTES: usize = 8192;

/// Memory with a known start, to cut regions of any alignment and size out of.
#[repr(align(64))]
struct Backing([MaybeUninit<u8>; REGION_BYTES]);

impl Backing {
    fn new() -> Box<Self> {
        Box::new(Self([MaybeUninit::uninit(); REGION_BYTES]))
    }

    fn region(&mut self, offset: usize, len: usize) -> &mut [MaybeUninit<u8>] {
        &mut self.0[offset..offset + len]
    }
}

/// One step of a subsystem at open: the types differ in size and in alignment.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Bytes(usize),
    Atomics(usize),
    Halves(usize),
    Words(usize),
    Triples(usize),
    Longs(usize),
    Wides(usize),
    Lines(usize),
    Rows(usize),
    Nothings(usize),
    LongPool(usize),
    LinePool(usize),
    BytePool(usize),
}

fn any_ask() -> impl Strategy<Value = Ask> {
    (0..13u8, 0..12usize).prop_map(|(kind, count)| match kind {
        0 => Ask::Bytes(count),
        1 => Ask::Atomics(count),
        2 => Ask::Halves(count),
        3 => Ask::Words(count),
        4 => Ask::Triples(count),
        5 => Ask::Longs(count),
        6 => Ask::Wides(count),
        7 => Ask::Lines(count),
        8 => Ask::Rows(count),
        9 => Ask::Nothings(count),
        10 => Ask::LongPool(count),
        11 => Ask::LinePool(count),
        _ => Ask::BytePool(count),
    })
}

impl Ask {
    fn add_to(self, footprint: Footprint) -> Footprint {
        match self {
            Self::Bytes(count) => footprint.slice::<u8>(count),
            Self::Atomics(count) => footprint.slice::<AtomicU8>(count),
            Self::Halves(count) => footprint.slice::<u16>(count),
            Self::Words(count) => footprint.slice::<u32>(count),
            Self::Triples(count) => footprint.slice::<[u32; 3]>(count),
            Self::Longs(count) => footprint.slice::<u64>(count),
            Self::Wides(count) => footprint.slice::<u128>(count),
            Self::Lines(count) => footprint.slice::<Line>(count),
            Self::Rows(count) => footprint.slice::<Row>(count),
            Self::Nothings(count) => footprint.slice::<[u64; 0]>(count),
            Self::LongPool(count) => footprint.pool::<u64>(count),
            Self::LinePool(count) => footprint.pool::<Line>(count),
            Self::BytePool(count) => footprint.pool::<[u8; 5]>(count),
        }
    }

    fn take(self, from: &mut StorageCoordinator<'_>) -> Result<(), RegionTooSmall> {
        match self {
            Self::Bytes(count) => from.slice_of::<u8>(count).map(drop),
            Self::Atomics(count) => from.slice_of::<AtomicU8>(count).map(drop),
            Self::Halves(count) => from.duplicate(&std::vec![1u16; count]).map(drop),
            Self::Words(count) => from.slice_of::<u32>(count).map(drop),
            Self::Triples(count) => from.slice_of::<[u32; 3]>(count).map(drop),
            Self::Longs(count) => from.slice_of::<u64>(count).map(drop),
            Self::Wides(count) => from.slice_of::<u128>(count).map(drop),
            Self::Lines(count) => from.slice_of::<Line>(count).map(drop),
            Self::Rows(count) => from.slice_of::<Row>(count).map(drop),
            Self::Nothings(count) => from.slice_of::<[u64; 0]>(count).map(drop),
            Self::LongPool(count) => from.pool_of::<u64>(count).map(drop),
            Self::LinePool(count) => from.pool_of::<Line>(count).map(drop),
            Self::BytePool(count) => from.pool_of::<[u8; 5]>(count).map(drop),
        }
    }
}

fn take_all(
    region: &mut [MaybeUninit<u8>],
    asks: &[Ask],
) -> Result<usize, (usize, RegionTooSmall)> {
    let mut coordinator = StorageCoordinator::new(region);
    for (step, ask) in asks.iter().enumerate() {
        let before = coordinator.remaining();
        ask.take(&mut coordinator).map_err(|error| {
            assert_eq!(coordinator.remaining(), before, "a refusal takes nothing");
            (step, error)
        })?;
        // Moved between any two steps.
        coordinator = *Box::new(coordinator);
    }
    Ok(coordinator.remaining())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn footprint_and_coordinator_agree_to_the_byte(
        asks in proptest::collection::vec(any_ask(), 0..8),
        offset in 0..64usize,
    ) {
        let region_bytes =
            asks.iter().fold(Footprint::new(), |sum, ask| ask.add_to(sum)).region_bytes();
        let footprint = region_bytes - 63;
        let padding = (64 - offset) % 64;
        let mut backing = Backing::new();

        let left = take_all(backing.region(offset, region_bytes), &asks);
        prop_assert_eq!(left, Ok(63 - padding), "it fits, and takes what was computed");

        let exact = padding + footprint;
        prop_assert_eq!(take_all(backing.region(offset, exact), &asks), Ok(0));

        // An empty sequence, or one of empty slices, takes nothing, and fits into nothing.
        if footprint > 0 {
            let (step, error) = take_all(backing.region(offset, exact - 1), &asks).unwrap_err();
            let so_far = asks[..=step].iter().fold(Footprint::new(), |sum, ask| ask.add_to(sum));
            prop_assert_eq!(error, RegionTooSmall {
                needed_bytes: padding + so_far.region_bytes() - 63,
                given_bytes: exact - 1,
            });
        }
        if region_bytes > 64 {
            prop_assert!(take_all(backing.region(offset, region_bytes - 64), &asks).is_err());
        }
    }
}

#[test]
fn a_footprint_beyond_the_address_space_never_fits() {
    let beyond = Footprint::new().slice::<u64>(usize::MAX / 8).slice::<u64>(2);
    assert_eq!(beyond.region_bytes(), usize::MAX);
    assert_eq!(beyond.slice::<u8>(0).pool::<Line>(1).region_bytes(), usize::MAX);
    assert_eq!(Footprint::new().slice::<u16>(usize::MAX).region_bytes(), usize::MAX);
    assert_eq!(Footprint::new().slice::<u8>(usize::MAX).slice::<u16>(0).region_bytes(), usize::MAX);
    assert_eq!(Footprint::new().slice::<u8>(usize::MAX - 20).region_bytes(), usize::MAX);

    let mut backing = Backing::new();
    let mut arena = Arena::new(backing.region(1, 100));
    let refused = Err(RegionTooSmall { needed_bytes: usize::MAX, given_bytes: 100 });
    assert_eq!(arena.slice_of::<u64>(usize::MAX).map(drop), refused);
    assert_eq!(arena.slice_of::<u64>(usize::MAX / 8).map(drop), refused);
    assert_eq!(arena.pool_of::<u32>(usize::MAX).map(drop), refused);
    assert_eq!(arena.pool_of::<u32>(Pool::<u32>::SLOTS_MAX + 1).map(drop), refused);
    assert_eq!(arena.remaining(), 100);
}

/// Takes three of `T` behind a byte, and checks what can be wrong with them.
fn check_alignment<T: Plain + Immutable>(arena: &mut Arena<'_>) {
    let byte = arena.slice_of::<u8>(1).unwrap();
    let values = arena.slice_of::<T>(3).unwrap();
    assert_eq!(values.as_ptr().addr() % align_of::<T>(), 0);
    assert!(byte.as_ptr().addr() < values.as_ptr().addr());
    assert!(values.as_bytes().iter().all(|byte| *byte == 0), "what is carved is zeroed");
    values.as_mut_bytes().fill(0xFF);
    assert_eq!(byte, [0]);
}

#[test]
fn every_type_is_aligned_at_every_offset_of_an_unaligned_region() {
    let mut backing = Backing::new();
    for offset in (0..64).step_by(if cfg!(miri) { 9 } else { 1 }) {
        let mut arena = Arena::new(backing.region(offset, 1024));
        check_alignment::<u8>(&mut arena);
        check_alignment::<u16>(&mut arena);
        check_alignment::<u32>(&mut arena);
        check_alignment::<[u32; 5]>(&mut arena);
        check_alignment::<u64>(&mut arena);
        check_alignment::<Row>(&mut arena);
        check_alignment::<u128>(&mut arena);
        check_alignment::<Line>(&mut arena);

        let mut coordinator = StorageCoordinator::new(backing.region(offset, 1024));
        let first = coordinator.slice_of::<u8>(1).unwrap();
        assert_eq!(first.as_ptr().addr() % REGION_ALIGN, 0);
    }
}

#[test]
fn a_region_smaller_than_its_padding_is_refused_and_not_overrun() {
    let mut backing = Backing::new();
    for len in 0..=63 {
        let mut coordinator = StorageCoordinator::new(backing.region(1, len));
        assert_eq!(coordinator.remaining(), 0);
        assert_eq!(coordinator.slice_of::<u8>(0).map(|none| none.len()), Ok(0));
        let refused = RegionTooSmall { needed_bytes: len + 1, given_bytes: len };
        assert_eq!(coordinator.slice_of::<u8>(1), Err(refused));
    }
}

#[test]
fn duplicates_hold_the_same_values_and_atomics_are_shared() {
    let mut backing = Backing::new();
    let mut coordinator = StorageCoordinator::new(backing.region(3, 1024));
    let row = Row { version: 9, number: 8, kind: 7, flags: [6, 5] };
    assert_eq!(coordinator.duplicate(&[row; 3]), Ok(&mut [row; 3][..]));

    let shared = &*atomic_bytes(coordinator.slice_of(4).unwrap());
    shared[2].store(1, Ordering::Relaxed);
    let verified = &*coordinator.slice_of::<AtomicU8>(2).unwrap();
    verified[0].store(shared[2].load(Ordering::Relaxed), Ordering::Relaxed);
    assert_eq!(verified.iter().map(|one| one.load(Ordering::Relaxed)).sum::<u8>(), 1);
    prefetch(&shared[2]);
}

/// What a subsystem does with an arena: slices of longs and of bytes, and scopes around them.
#[derive(Clone, Debug)]
enum Step {
    Longs(usize),
    Bytes(usize),
    Scope(Vec<Step>),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let slice = prop_oneof![(0..9usize).prop_map(Step::Longs), (0..30usize).prop_map(Step::Bytes)];
    let step = slice.prop_recursive(4, 40, 6, |step| {
        proptest::collection::vec(step, 0..6).prop_map(Step::Scope)
    });
    proptest::collection::vec(step, 0..12)
}

/// Runs `steps` on an arena whose next byte has this address; `mark` is different in every slice.
fn run_steps(arena: &mut Arena<'_>, steps: &[Step], mut next: usize, mark: &mut u8) {
    let mut longs: Vec<(&mut [u64], u64)> = Vec::new();
    let mut bytes: Vec<(&mut [u8], u8)> = Vec::new();
    for step in steps {
        *mark = mark.wrapping_add(1);
        let left = arena.remaining();
        let padding = if let Step::Longs(_) = step { (8 - next % 8) % 8 } else { 0 };
        let taken = match step {
            Step::Longs(count) => match arena.slice_of::<u64>(*count) {
                Ok(slice) => {
                    assert_eq!(slice.as_ptr().addr(), next + padding);
                    assert!(slice.iter().all(|value| *value == 0));
                    slice.fill(u64::from(*mark));
                    longs.push((slice, u64::from(*mark)));
                    padding + 8 * count
                }
                Err(error) => {
                    assert!(padding + 8 * count > left);
                    assert_eq!(error.needed_bytes - error.given_bytes, padding + 8 * count - left);
                    0
                }
            },
            Step::Bytes(count) => match arena.slice_of::<u8>(*count) {
                Ok(slice) => {
                    assert_eq!(slice.as_ptr().addr(), next);
                    assert!(slice.iter().all(|value| *value == 0));
                    slice.fill(*mark);
                    bytes.push((slice, *mark));
                    *count
                }
                Err(error) => {
                    assert_eq!(error.needed_bytes - error.given_bytes, count - left);
                    0
                }
            },
            Step::Scope(inner) => {
                arena.scope(|scratch| run_steps(scratch, inner, next, mark));
                0
            }
        };
        next += taken;
        assert_eq!(arena.remaining(), left - taken);
        // Moved between any two steps, with slices of it in use.
        let mut moved = Box::new(Arena::new(&mut []));
        mem::swap(&mut *moved, arena);
        mem::swap(arena, &mut *moved);
    }
    for (slice, mark) in longs {
        assert!(slice.iter().all(|value| *value == mark), "nobody wrote into another's slice");
    }
    for (slice, mark) in bytes {
        assert!(slice.iter().all(|value| *value == mark), "nobody wrote into another's slice");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arenas_and_nested_scopes_do_what_a_counter_does(
        steps in any_steps(),
        offset in 0..64usize,
        len in 0..400usize,
    ) {
        let mut backing = Backing::new();
        let region = backing.region(offset, len);
        let start = region.as_ptr().addr();
        run_steps(&mut Arena::new(region), &steps, start, &mut 0);
    }
}

/// The values of `bytes`, all of which were written.
#[cfg(debug_assertions)]
#[allow(unsafe_code)]
fn written(bytes: &[MaybeUninit<u8>]) -> Vec<u8> {
    // SAFETY:
    // - The byte is initialised: callers name only bytes that were carved or poisoned.
    bytes.iter().map(|byte| unsafe { byte.assume_init() }).collect()
}

#[test]
#[cfg(debug_assertions)]
fn what_a_scope_took_is_poisoned_at_its_end_and_nothing_else() {
    let mut backing = Backing::new();
    let mut arena = Arena::new(backing.region(0, 64));
    arena.slice_of::<u8>(8).unwrap().fill(1);
    arena.scope(|scratch| scratch.slice_of::<u8>(24).unwrap().fill(2));
    arena.scope(|scratch| {
        scratch.slice_of::<u8>(8).unwrap().fill(3);
        let inner = scratch.scope(|inner| inner.slice_of::<u64>(1).unwrap()[0]);
        assert_eq!(inner, 0, "poison does not show through");
    });
    assert_eq!(arena.slice_of::<u8>(2), Ok(&mut [0, 0][..]));

    assert_eq!(written(backing.region(0, 8)), [1; 8]);
    assert_eq!(written(backing.region(8, 2)), [0; 2]);
    assert_eq!(written(backing.region(10, 22)), [POISON; 22]);
}

#[test]
fn scratch_that_an_arena_lent_is_the_callers_again_and_holds_bytes() {
    let mut scratch = [7_u8; 100];
    for start in 0..9 {
        let bytes = &mut scratch[start..];
        bytes.fill(7);
        let given = bytes.len();
        let sum = Arena::over(bytes).scope(|scratch| {
            let words = scratch.slice_of::<u64>(4).unwrap();
            assert_eq!(words, [0; 4]);
            words.fill(0x0101_0101_0101_0101);
            assert!(scratch.remaining() < given - 31);
            words.iter().map(|word| word.count_ones()).sum::<u32>()
        });
        assert_eq!(sum, 32);
        let end = if cfg!(debug_assertions) { POISON } else { 1 };
        assert_eq!(bytes.iter().filter(|byte| **byte == 7).count(), given - 32 - padding_of(bytes));
        assert!(bytes.iter().filter(|byte| **byte == end).count() >= 32);
    }
}

/// How many bytes of padding an arena takes before a `u64`, which it fills as well.
fn padding_of(bytes: &[u8]) -> usize {
    bytes.as_ptr().addr().wrapping_neg() % 8
}

#[test]
fn owned_values_pass_from_owner_to_owner_at_no_cost() {
    let (engine, table) = (Engine::token(), Table::token());
    let mut filled = Owned::new([1u8, 2], &engine);
    filled.get_mut(&engine)[1] = 3;
    assert_eq!(filled.get(&engine), &[1, 3]);
    let mut flushed: Owned<_, Table> = filled.transfer(&engine);
    let again: Owned<_, Engine> = flushed.hand_over(&table);
    assert_eq!((again.get(&engine), flushed.get(&table)), (&[1, 3], &[0, 0]));

    assert_eq!(size_of::<Owned<[u8; 2], Engine>>(), 2);
    assert_eq!(size_of::<Owned<Box<u8>, Table>>(), size_of::<Box<u8>>());
    assert_eq!(size_of::<Engine>(), 0);
}

#[test]
fn errors_say_both_numbers() {
    use std::string::ToString;
    let small = RegionTooSmall { needed_bytes: 70, given_bytes: 64 };
    assert_eq!(small.to_string(), "the region has 64 bytes and needs 70");
    let full = PoolError::Exhausted { capacity: 3 };
    assert_eq!(full.to_string(), "all 3 slots of the pool are in use");
}
