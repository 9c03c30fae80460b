//! A static region that does not hold its footprint does not compile.
use kausaldb::memory::Footprint;

const NODES: usize = 1000;
const REGION_BYTES: usize = 8 * 1024;

const _: () = assert!(
    REGION_BYTES >= Footprint::new().slice::<u64>(NODES).pool::<u32>(64).region_bytes(),
    "the region is too small for its nodes",
);

fn main() {}
