//! Names that live inside the store only: node numbers, locations on media, and keys of edge lists.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The dense number of a node: its name inside the store.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct NodeNumber(u32);

impl NodeNumber {
    /// The node with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Where a record lies on media: slot and offset together, in units of the record alignment.
///
/// Zero is no record's location, since every segment starts with its header.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct Location(u32);

impl Location {
    /// No record.
    pub const NONE: Self = Self(0);

    /// The location that many alignment units from the start of the media.
    pub const fn new(units: u32) -> Self {
        Self(units)
    }

    /// Alignment units from the start of the media.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether this is no record's location.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}
