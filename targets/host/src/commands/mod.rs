//! The commands, each written against [`Graph`](crate::graph::Graph) and an output.

pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod progress;
pub(crate) mod query;
pub(crate) mod report;
pub(crate) mod salvage;
#[cfg(test)]
mod tests;
