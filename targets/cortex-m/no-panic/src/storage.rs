//! Calls of `storage`, and the storage with which the other rooms are called.

use crate::any::{call_each, show};
use kausaldb::storage::{
    Erased, Geometry, GeometryError, MappedStorage, RamError, RamStorage, Storage,
};

/// A storage that has every face.
pub(crate) type Ram = RamStorage<'static>;

pub(crate) fn call_all() {
    call_each![
        Erased::filler,
        Geometry::sectors,
        Geometry::check,
        RamStorage::new,
        Ram::geometry,
        Ram::read,
        Ram::is_lost,
        Ram::write,
        Ram::erase,
        Ram::sync,
        Ram::bytes,
        <&mut Ram as Storage>::geometry,
        <&mut Ram as Storage>::read,
        <&mut Ram as Storage>::is_lost,
        <&mut Ram as Storage>::write,
        <&mut Ram as Storage>::erase,
        <&mut Ram as Storage>::sync,
        <&mut Ram as MappedStorage>::bytes,
    ];
    show::<GeometryError>();
    show::<RamError>();
}
