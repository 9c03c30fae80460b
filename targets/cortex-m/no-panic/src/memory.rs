//! Calls of `memory`.

use crate::any::{any, call_each, drain, keep, show};
use kausaldb::memory::owned::{Caller, Owned};
use kausaldb::memory::{
    Arena, Footprint, Handle, Link, Name, Pool, PoolError, RegionTooSmall, Scratch,
    StorageCoordinator, atomic_bytes, prefetch,
};

/// An object of a pool.
type Object = u32;

pub(crate) fn call_all() {
    call_each![
        Arena::new,
        Arena::over,
        Arena::slice_of::<Object>,
        Arena::pool_of::<Object>,
        Arena::remaining,
        StorageCoordinator::new,
        StorageCoordinator::slice_of::<Object>,
        StorageCoordinator::duplicate::<Object>,
        StorageCoordinator::pool_of::<Object>,
        StorageCoordinator::remaining,
        Footprint::new,
        Footprint::default,
        Footprint::slice::<Object>,
        Footprint::pool::<Object>,
        Footprint::region_bytes,
        Owned::<Object, Caller>::new,
        Owned::<Object, Caller>::get,
        Owned::<Object, Caller>::get_mut,
        Owned::<Object, Caller>::transfer::<Caller>,
        Owned::<Object, Caller>::hand_over::<Caller>,
        atomic_bytes,
        prefetch::<Object>,
    ];
    Arena::scope(any(), |scratch: &mut Scratch<'_>| {
        keep(scratch.slice_of::<Object>(any()));
        keep(scratch.pool_of::<Object>(any()));
        keep(scratch.remaining());
    });
    pools();
    show::<RegionTooSmall>();
    show::<PoolError>();
}

fn pools() {
    call_each![
        Handle::<Object>::from_raw,
        Handle::<Object>::to_raw,
        Handle::<Object>::link,
        Link::<Object>::from_raw,
        Link::<Object>::to_raw,
        Link::<Object>::is_none,
        <Handle<Object> as Name<Object>>::index_in,
        <Handle<Object> as Name<Object>>::is_of,
        <Link<Object> as Name<Object>>::index_in,
        <Link<Object> as Name<Object>>::is_of,
        Pool::<Object>::acquire,
        Pool::<Object>::capacity,
        Pool::<Object>::in_use,
        Pool::<Object>::high_water,
        Pool::<Object>::clear,
        Pool::<Object>::at,
        Pool::<Object>::is_sound,
    ];
    keep(Pool::<Object>::release(any(), any::<Handle<_>>()));
    keep(Pool::<Object>::release(any(), any::<Link<_>>()));
    keep(Pool::<Object>::get(any(), any::<Handle<_>>()));
    keep(Pool::<Object>::get(any(), any::<Link<_>>()));
    keep(Pool::<Object>::get_mut(any(), any::<Handle<_>>()));
    keep(Pool::<Object>::get_mut(any(), any::<Link<_>>()));
    keep(Pool::<Object>::index_of(any(), any::<Handle<_>>()));
    keep(Pool::<Object>::index_of(any(), any::<Link<_>>()));
    drain(Pool::<Object>::iter(any()));
}
