//! What the tests share: events of all lengths, with up to all causes, that follow from a seed; and a digest
//! of what the recorder answers.
//!
//! Two that run it from an empty store, with the same geometry, store id and capacity, come to the same
//! [`Summary`], and leave the same bytes on their media. (Whether a medium keeps write order is part of its
//! geometry: flash does, and a file does not.)
#![cfg(test)]
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use core::fmt;
use core::mem::MaybeUninit;
use flight_recorder::{CAUSES_MAX, Event, Number, PAYLOAD_BYTES_MAX, Recorder, StartError};
use kausaldb::storage::{Erased, Geometry};
use kausaldb::{Capacity, Config, FormatOptions, Storage, StoreId, WriteError};

/// Flash that nearly every microcontroller has to spare: 64 KiB.
pub const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 64 * 1024,
    erase_bytes: 1024,
    write_bytes: 4,
    erased: Erased::Ones,
    keeps_write_order: true,
};

/// How that flash is formatted.
pub const FORMAT: FormatOptions =
    FormatOptions { store: StoreId::from_u128(0xF117), segment_bytes: 2048 };

/// What fits into it, in a region of less than 8 KiB.
pub const CAPACITY: Capacity = Capacity {
    nodes: 210,
    pending_edges: 14,
    hub_pages: 2,
    intents: 2,
    segments: 32,
    segment_bytes: FORMAT.segment_bytes,
    block_bytes: 128,
    batch_operations: 5,
    buffer_bytes: 32,
    ..Capacity::SMALL
};

const _: () = assert!(CAPACITY.region_bytes() <= 8 * 1024);

/// An event is caused by some of so many before it: few enough for [`Recorder::led_to`] to keep in mind.
const BACK_MAX: u64 = 12;

/// What is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Everything follows from it.
    pub seed: u64,
    /// How many events happen.
    pub events: Number,
}

/// What the recorder answered at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// The number of the oldest event that is kept.
    pub oldest: Number,
    /// The number that the next event will have.
    pub next: Number,
    /// Events that were told, the newest first.
    pub told: u64,
    /// Causes of events that are kept themselves.
    pub causes: u64,
    /// Events that led to the last one, itself included.
    pub led_to: u64,
    /// Answers that are not as the seed says, or that could not be had.
    pub wrong: u64,
    /// Of all answers in their order (FNV-1a with 64 bits).
    pub checksum: u64,
}

/// Why a scenario did not come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScenarioError<E> {
    /// The recorder could not begin.
    Start(StartError<E>),
    /// An event was not recorded, or the store not closed.
    Write(WriteError<E>),
}

impl<E: fmt::Debug> fmt::Display for ScenarioError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for ScenarioError<E> {}

impl Scenario {
    /// Opens the store, which was formatted before, records what is missing of the events, asks for
    /// everything, and closes the store. Where power was cut it is called again, and goes on.
    ///
    /// # Errors
    /// The store does not open, or an event could not be recorded.
    pub fn run<S: Storage>(
        &self,
        storage: S,
        region: &mut [MaybeUninit<u8>],
        capacity: Capacity,
    ) -> Result<Summary, ScenarioError<S::Error>> {
        let mut recorder = Recorder::open(storage, region, capacity, Config::default())
            .map_err(ScenarioError::Start)?;
        self.record(&mut recorder).map_err(ScenarioError::Write)?;
        let summary = self.ask(&mut recorder);
        recorder.close().1.map_err(ScenarioError::Write)?;
        Ok(summary)
    }

    /// Records what is missing of the events.
    ///
    /// # Errors
    /// As [`Recorder::record`].
    pub fn record<S: Storage>(
        &self,
        recorder: &mut Recorder<'_, S>,
    ) -> Result<(), WriteError<S::Error>> {
        for number in recorder.next()..self.events {
            recorder.record(&self.event(number), &self.causes(number))?;
        }
        Ok(())
    }

    /// Asks for every event, for the causes of each, and for what led to the last one.
    pub fn ask<S: Storage>(&self, recorder: &mut Recorder<'_, S>) -> Summary {
        let (oldest, next) = (recorder.oldest(), recorder.next());
        let mut sum = Summary { oldest, next, ..Summary::default() };
        let mut checksum = Checksum::new();
        recorder.newest_first(|number, event| {
            sum.told += 1;
            sum.wrong += u64::from(!self.is_as_recorded(number, &event));
            if let Ok(event) = event {
                checksum.add_event(number, event);
            }
            true
        });
        for number in oldest..next {
            let known = recorder.causes(number).map(|mut causes| {
                causes.sort_unstable();
                causes
            });
            let mut kept = self.causes(number);
            kept.retain(|cause| *cause >= oldest);
            let causes = known.as_deref().unwrap_or_default();
            sum.wrong += u64::from(known.is_err() || causes != kept.as_slice());
            sum.causes += causes.len() as u64;
            causes.iter().for_each(|cause| checksum.add_number(*cause));
        }
        if let Some(last) = next.checked_sub(1) {
            let all = recorder.led_to(last, |number, event| {
                sum.led_to += 1;
                sum.wrong += u64::from(!self.is_as_recorded(number, &event));
                checksum.add_number(number);
            });
            sum.wrong += u64::from(!all);
        }
        sum.checksum = checksum.0;
        sum
    }

    fn is_as_recorded<E>(&self, number: Number, told: &Result<&Event, E>) -> bool {
        told.as_ref().is_ok_and(|event| **event == self.event(number))
    }

    /// The event with this number.
    pub fn event(&self, number: Number) -> Event {
        let mut random = self.random(number);
        let mut payload = [0; PAYLOAD_BYTES_MAX];
        payload.chunks_mut(8).for_each(|chunk| {
            let bytes = random.next().to_le_bytes();
            chunk.iter_mut().zip(bytes).for_each(|(byte, drawn)| *byte = drawn);
        });
        let len = random.below(PAYLOAD_BYTES_MAX as u64 + 1) as usize;
        let kind = random.below(8) as u16;
        Event::new(number * 250, kind, payload.get(..len).unwrap_or_default())
    }

    /// What caused it, the oldest first: the event before it, and up to three of the eleven before that.
    pub fn causes(&self, number: Number) -> heapless::Vec<Number, CAUSES_MAX> {
        let mut random = self.random(!number);
        let mut causes = heapless::Vec::new();
        let more = random.below(CAUSES_MAX as u64) as usize;
        let earlier = core::iter::repeat_with(|| 2 + random.below(BACK_MAX - 1)).take(more);
        for cause in [1].into_iter().chain(earlier).filter_map(|back| number.checked_sub(back)) {
            if !causes.contains(&cause) {
                // It draws as many as there is room for.
                let _ = causes.push(cause);
            }
        }
        causes.sort_unstable();
        causes
    }

    fn random(&self, salt: u64) -> SplitMix {
        SplitMix(SplitMix(self.seed).next() ^ SplitMix(salt).next())
    }
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Less than `end`; the greatest numbers are a little rarer, which does not matter here.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// FNV-1a: Fowler, Noll, Vo, RFC 9923.
struct Checksum(u64);

impl Checksum {
    const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        }
    }

    fn add_number(&mut self, number: u64) {
        self.add(&number.to_le_bytes());
    }

    fn add_event(&mut self, number: Number, event: &Event) {
        self.add_number(number);
        self.add_number(event.time_ms);
        self.add(&event.kind.to_le_bytes());
        self.add(&[event.payload.len() as u8]);
        self.add(&event.payload);
    }
}
