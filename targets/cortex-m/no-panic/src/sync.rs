//! Calls of `sync`.

use crate::any::call_each;
use crate::storage::Ram;
use kausaldb::sync::SharedEngine;

pub(crate) fn call_all() {
    call_each![
        SharedEngine::<Ram>::new,
        SharedEngine::<Ram>::read,
        SharedEngine::<Ram>::try_read,
        SharedEngine::<Ram>::write,
        SharedEngine::<Ram>::try_write,
        SharedEngine::<Ram>::into_inner,
    ];
}
