//! Calls of `engine`, but for its readers.

use crate::any::{any, call_each, keep, show};
use crate::storage::Ram;
use kausaldb::engine::{
    Capacity, Finding, FormatError, OpenError, Operation, Preview, PutError, ReadError, Stats,
    StorageEngine, StoreInfo, Workspace, WriteError, format, probe,
};
use kausaldb::storage::RamError;

pub(crate) fn call_all() {
    writing();
    call_each![
        Capacity::host,
        Capacity::region_bytes,
        Operation::put,
        Preview::<Ram>::find,
        Preview::<Ram>::has_edge,
        Stats::write_amplification,
        Stats::capacity,
        StoreInfo::nodes_max,
        Finding::is_loss,
        Workspace::scratch_bytes,
        Workspace::over,
        format::<Ram>,
    ];
    keep(probe(any(), |at, into: &mut [u8]| {
        keep((at, into));
        any::<Result<(), RamError>>()
    }));
    show::<FormatError<RamError>>();
    show::<OpenError<RamError>>();
    show::<ReadError<RamError>>();
    show::<WriteError<RamError>>();
    show::<PutError<RamError, RamError>>();
}

fn writing() {
    call_each![
        StorageEngine::<Ram>::open,
        StorageEngine::<Ram>::open_read_only,
        StorageEngine::<Ram>::prepare,
        StorageEngine::<Ram>::recover,
        StorageEngine::<Ram>::sequence,
        StorageEngine::<Ram>::capacity,
        StorageEngine::<Ram>::damage,
        StorageEngine::<Ram>::storage,
        StorageEngine::<Ram>::put,
        StorageEngine::<Ram>::put_if,
        StorageEngine::<Ram>::delete,
        StorageEngine::<Ram>::link,
        StorageEngine::<Ram>::unlink,
        StorageEngine::<Ram>::write,
        StorageEngine::<Ram>::sync,
        StorageEngine::<Ram>::close,
        StorageEngine::<Ram>::compact,
        StorageEngine::<Ram>::repair,
        StorageEngine::<Ram>::scrub,
        StorageEngine::<Ram>::stats,
        StorageEngine::<Ram>::count_edges,
        StorageEngine::<Ram>::preview,
        StorageEngine::<Ram>::reader_through,
        StorageEngine::<Ram>::find_into,
        StorageEngine::<Ram>::contains,
        StorageEngine::<Ram>::version,
        StorageEngine::<Ram>::reader,
        StorageEngine::<Ram>::find,
    ];
    keep(StorageEngine::<Ram>::verify(any(), keep));
    keep(StorageEngine::<Ram>::put_from(any(), any(), any(), |room| {
        keep(room);
        any::<Result<usize, RamError>>()
    }));
}
