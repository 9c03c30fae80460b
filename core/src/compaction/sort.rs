//! Sorting in place; on boards without code that could panic.
//!
//! The standard library's sorts check that the order is one, and panic where it is none. (Ours is one.) The
//! heap only puts a slice into another order then, and is less code; it takes twice as long for the few
//! changes of a small list, and seven times as long for thousands, so hosts keep the standard library's.

/// Sorts the values by their keys. O(n log n) steps whatever the order they come in; values with equal keys
/// may change places.
pub(super) fn sort_by_key<T, K: Ord>(values: &mut [T], key: impl Fn(&T) -> K) {
    #[cfg(feature = "std")]
    values.sort_unstable_by_key(key);
    #[cfg(not(feature = "std"))]
    heap_sort(values, key);
}

#[cfg(any(test, not(feature = "std")))]
fn heap_sort<T, K: Ord>(values: &mut [T], key: impl Fn(&T) -> K) {
    // A heap with the greatest at its root, which then goes behind what is left of the heap.
    for root in (0..values.len() / 2).rev() {
        sift_down(values, root, &key);
    }
    for len in (1..values.len()).rev() {
        if let Ok([root, last]) = values.get_disjoint_mut([0, len]) {
            core::mem::swap(root, last);
        }
        sift_down(values.get_mut(..len).unwrap_or_default(), 0, &key);
    }
}

/// Moves the value at `root` down, until neither of those below it is greater.
#[cfg(any(test, not(feature = "std")))]
fn sift_down<T, K: Ord>(values: &mut [T], mut root: usize, key: &impl Fn(&T) -> K) {
    loop {
        let left = 2 * root + 1;
        let key_at = |at: usize| values.get(at).map(key);
        // There is none where the slice ends, and none is less than any key.
        let greater = if key_at(left + 1) > key_at(left) { left + 1 } else { left };
        if key_at(greater) <= key_at(root) {
            return;
        }
        if let Ok([upper, lower]) = values.get_disjoint_mut([root, greater]) {
            core::mem::swap(upper, lower);
        }
        root = greater;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sorted_is_what_the_standard_library_sorts(
            values in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut sorted = values.clone();
            heap_sort(&mut sorted, |value| *value);
            let mut expected = values;
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }
    }

    #[test]
    fn many_values_sort_in_few_comparisons() {
        let compared = core::cell::Cell::new(0_u64);
        for order in [0, 7919, 10_000 - 1] {
            let mut values: std::vec::Vec<u64> =
                (0..10_000).map(|at| at * order % 10_000).collect();
            heap_sort(&mut values, |value| {
                compared.set(compared.get() + 1);
                *value
            });
            assert!(values.is_sorted());
        }
        // Four keys for each of 2 x 10 000 x log2(10 000) steps down at most.
        assert!(compared.get() < 3 * 8 * 10_000 * 14, "{}", compared.get());
    }
}
