//! The RAM side of edges: changes that are not folded yet, and where the pages of long lists lie.
//!
//! An edge is linked or unlinked by a small change record in the log. Each change has two halves: it belongs
//! to the list of its source's outgoing edges, and to that of its target's incoming ones. When a list is
//! written anew as an adjacency record, the halves that it includes are done with.
//!
//! - [`PendingEdges`]: the changes of which a half is not folded yet. What a reader sees of a node is its
//!   adjacency record with these applied.
//! - [`HubPages`]: for nodes whose list exceeds one record, which record holds which stretch of keys.
//! - [`KeyChange`]: a change as seen from one end, with which a list is merged.
//!
//! This room knows neither media nor the log, neither ids nor what a node is: numbers, locations and keys are
//! all it sees. It takes its memory at open and none later. Every operation ends within the bound that it
//! states, whatever is in the pools, and leaves them sound or as they were.

mod change;
mod hubs;
mod pending;
mod scramble;

pub use change::KeyChange;
pub use hubs::{HubChain, HubError, HubFault, HubPages};
pub use pending::{Half, HalfCursor, PendingEdge, PendingEdges, PendingFault, PendingFull};
