//! Calls of `compaction`.

use crate::any::call_each;
use crate::storage::Ram;
use kausaldb::compaction::{
    Fold, Left, Reserve, TailCursor, Turn, adjacency_entries_max, carry_named, check_part,
    free_if_orphan, move_record, purge_step,
};

pub(crate) fn call_all() {
    call_each![
        Fold::footprint,
        Fold::new,
        Fold::fold::<Ram>,
        Fold::empty_if_damaged::<Ram>,
        Fold::keep_orphans,
        Reserve::of,
        Reserve::segments_min,
        Reserve::step_slots,
        Reserve::spare_slots,
        Reserve::live_slots,
        Turn::ahead::<core::array::IntoIter<u64, 2>>,
        Turn::pace,
        Left::beyond_any_turn,
        TailCursor::step::<Ram>,
        adjacency_entries_max,
        carry_named::<Ram>,
        check_part::<Ram>,
        free_if_orphan::<Ram>,
        move_record::<Ram>,
        purge_step::<Ram>,
    ];
}
