//! A firmware's region that does not hold its capacity does not compile.
use core::mem::MaybeUninit;
use kausaldb::Capacity;

const CAPACITY: Capacity = Capacity { nodes: 1000, ..Capacity::SMALL };
const REGION_BYTES: usize = 16 * 1024;
const _: () = assert!(REGION_BYTES >= CAPACITY.region_bytes(), "the region is too small for 1000 nodes");

static mut REGION: [MaybeUninit<u8>; REGION_BYTES] = [MaybeUninit::uninit(); REGION_BYTES];

fn main() {}
