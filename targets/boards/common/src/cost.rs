//! One call of each kind between two marks, for an emulator that counts instructions from one to the other.

use crate::program::{Board, Fault};
use core::hint::black_box;
use flight_recorder::scenario::{CAPACITY, EVENTS};
use kausaldb::{
    BlockId, Config, ContextBlock, Direction, EdgeKind, GraphEdge, Storage, StorageEngine,
};

/// Where a section begins. The emulator knows it by its name.
#[inline(never)]
fn begin_section() {
    black_box(1);
}

/// Where it ends.
#[inline(never)]
fn end_section() {
    black_box(2);
}

/// Does some work between the two marks.
pub fn section<T>(work: impl FnOnce() -> T) -> T {
    begin_section();
    let result = work();
    end_section();
    result
}

/// Nothing; then an opening, a find that hits, one that misses, a put, a link, and the neighbours of a node,
/// in the store of a board that has recorded its events.
#[inline(never)]
pub(crate) fn measure<S: Storage>(board: &mut Board<'_, S>) -> Result<(), Fault> {
    section(|| ());
    let Board { storage, region } = board;
    begin_section();
    let mut prepared = StorageEngine::prepare(storage, region, CAPACITY, Config::default());
    let is_open = prepared.as_mut().is_ok_and(|engine| engine.recover().is_ok());
    end_section();
    // Used where it lies: moved out of the result, it would take twice its size of the stack.
    let Some(engine) = prepared.as_mut().ok().filter(|_| is_open) else {
        return Err("the store does not open");
    };
    let id = |number: u64| BlockId::from_u128(u128::from(number));
    let mut scratch = [0; CAPACITY.block_bytes as usize];
    let last = EVENTS - 1;
    // The first read in a segment checks all of it.
    let _ = engine.find_into(&id(last - 10), &mut scratch);
    let hit = section(|| {
        engine.find_into(&id(last - 10), &mut scratch).is_ok_and(|found| found.is_some())
    });
    let miss =
        section(|| engine.find_into(&id(EVENTS), &mut scratch).is_ok_and(|found| found.is_none()));
    if !hit || !miss {
        return Err("a find does not find what is there");
    }
    // Makes room for another node.
    let oldest = EVENTS - u64::from(CAPACITY.nodes);
    engine.delete(&id(oldest)).map_err(|_| "an event is not deleted")?;
    let (source_uri, metadata, content) = ("", &[0; 10], &[0x5A; 24]);
    let block = ContextBlock { id: id(EVENTS), version: 1, source_uri, metadata, content };
    section(|| engine.put(&block)).map_err(|_| "a block is not written")?;
    let edge = GraphEdge { source: id(EVENTS), kind: EdgeKind(1), target: id(last) };
    section(|| engine.link(&edge)).map_err(|_| "an edge is not written")?;
    let neighbours = section(|| {
        let mut edges =
            engine.reader_through(&mut scratch).edges(&id(last), Direction::Out, None)?;
        let mut count = 0;
        while edges.next()?.is_some() {
            count += 1;
        }
        Ok::<_, kausaldb::ReadError<_>>(count)
    });
    if neighbours.is_ok_and(|count| count == 3) { Ok(()) } else { Err("neighbours are missing") }
}
