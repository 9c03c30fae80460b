//! Why a simulated medium refuses to be made, or to do what it is asked.

use crate::plan::Fault;
use crate::rules::Violation;
use core::fmt;
use kausaldb::storage::GeometryError;

/// Why a call failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SimError {
    /// Power was cut in this call or before it.
    PowerCut,
    /// The caller broke the contract; nothing was done.
    Violation(Violation),
    /// A fault struck that was planned.
    Fault(Fault),
}

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerCut => f.write_str("power is cut"),
            Self::Violation(violation) => violation.fmt(f),
            Self::Fault(fault) => write!(f, "a planned fault: {fault:?}"),
        }
    }
}

impl core::error::Error for SimError {}

/// Why there can be no such medium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The geometry is out of its bounds.
    Geometry(GeometryError),
    /// The capacity does not fit into this machine's RAM.
    TooLarge {
        /// The capacity, in bytes.
        capacity_bytes: u64,
    },
    /// The image is not as long as the capacity.
    ImageLength {
        /// Length of the image, in bytes.
        len: usize,
        /// The capacity, in bytes.
        capacity_bytes: u64,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry(error) => error.fmt(f),
            Self::TooLarge { capacity_bytes } => {
                write!(f, "{capacity_bytes} bytes do not fit into RAM")
            }
            Self::ImageLength { len, capacity_bytes } => {
                write!(f, "the image has {len} bytes, the medium {capacity_bytes}")
            }
        }
    }
}

impl core::error::Error for SetupError {}

impl From<GeometryError> for SetupError {
    fn from(error: GeometryError) -> Self {
        Self::Geometry(error)
    }
}
