//! The bodies of the fuzz targets, which the ordinary tests run as well (`core/tests/hostile`).

#[path = "../../tests/common/mod.rs"]
pub mod common;
#[path = "../../tests/hostile/shared/mod.rs"]
pub mod shared;
