//! The memory room against plain models.
