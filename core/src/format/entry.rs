//! One entry of an adjacency record: kind and number, six bytes.

use super::record::ENTRY_BYTES;
use crate::types::{EdgeKey, NodeNumber};

/// The key in an entry's bytes.
pub fn entry_key(bytes: &[u8; ENTRY_BYTES as usize]) -> EdgeKey {
    let [k0, k1, n0, n1, n2, n3] = *bytes;
    let number = NodeNumber::new(u32::from_le_bytes([n0, n1, n2, n3]));
    EdgeKey { kind: u16::from_le_bytes([k0, k1]), number }
}

/// The bytes of an entry.
pub fn entry_bytes(key: EdgeKey) -> [u8; ENTRY_BYTES as usize] {
    let [k0, k1] = key.kind.to_le_bytes();
    let [n0, n1, n2, n3] = key.number.get().to_le_bytes();
    [k0, k1, n0, n1, n2, n3]
}
