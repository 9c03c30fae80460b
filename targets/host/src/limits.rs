//! The limits of a host, in one place.

/// The largest block, in bytes: its URI, metadata and content together.
pub(crate) const BLOCK_BYTES_MAX: usize = 3 << 20;

/// The largest batch, in bytes.
pub(crate) const BATCH_BYTES_MAX: usize = 16 << 20;

/// The most operations that `index` puts into one batch.
pub(crate) const BATCH_OPERATIONS_MAX: usize = 4096;
