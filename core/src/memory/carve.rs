//! The one cast that turns raw bytes of a region into typed slices.
//!
//! It knows nothing of who asks and what for. What it returns is zeroed, aligned, and borrowed for as
//! long as the region is, so the caller of [`carve`] can do nothing wrong with it.
#![allow(unsafe_code)]

use super::{Plain, REGION_ALIGN};
use core::mem::{self, MaybeUninit};
use core::slice;

/// Takes `count` zeroed values from the front of `rest`, and the bytes before them that align them.
///
/// O(bytes taken): they are zeroed.
///
/// # Errors
/// How many bytes `rest` would have to have (`usize::MAX` if that is no number); it is as it was.
pub(super) fn carve<'r, T: Plain>(
    rest: &mut &'r mut [MaybeUninit<u8>],
    count: usize,
) -> Result<&'r mut [T], usize> {
    const {
        assert!(!mem::needs_drop::<T>(), "a type with a destructor cannot live in the region");
        assert!(align_of::<T>() <= REGION_ALIGN, "no type in the region is aligned above 64 bytes");
    }
    let bytes = take(rest, align_of::<T>(), size_of::<T>(), count)?;
    debug_assert_eq!(bytes.len(), size_of::<T>() * count);

    // SAFETY:
    // - The pointer is not null: it comes from a reference.
    // - It is aligned for `T`: `take` was asked for `T`'s alignment.
    // - The memory is one allocation, `size_of::<T>() * count` bytes long: `bytes` is a slice of that
    //   length, and a slice is at most `isize::MAX` bytes.
    // - It holds `count` initialised, valid values: all bytes were zeroed, and `T: FromBytes` takes any
    //   bytes.
    // - Nothing else reaches it during `'r`: `bytes` is an exclusive borrow for `'r`, split from `rest`,
    //   and ends here. Whoever borrows the region afterwards sees initialised bytes, since `T: IntoBytes`
    //   has no padding.
    // - No value of `T` is dropped or forgotten by the cast: zeroed bytes were no `T`, and `T` needs no drop.
    Ok(unsafe { slice::from_raw_parts_mut(bytes.as_mut_ptr().cast::<T>(), count) })
}

/// Takes zeroed bytes for `count` values of this size and alignment (a power of two) from the front of
/// `rest`.
///
/// # Errors
/// As [`carve`].
// Not a part of `carve`, so that it is there once and not once for each type.
#[inline(never)]
fn take<'r>(
    rest: &mut &'r mut [MaybeUninit<u8>],
    align: usize,
    size: usize,
    count: usize,
) -> Result<&'r mut [MaybeUninit<u8>], usize> {
    let padding = padding(rest.as_ptr().addr(), align);
    let length = size.checked_mul(count).ok_or(usize::MAX)?;
    let needed = length.checked_add(padding).ok_or(usize::MAX)?;
    if needed > rest.len() {
        return Err(needed);
    }
    let (taken, behind) = mem::take(rest).split_at_mut(needed);
    *rest = behind;
    taken.fill(MaybeUninit::new(0));
    let (_, bytes) = taken.split_at_mut(padding);
    Ok(bytes)
}

/// Bytes that hold something, as bytes that may hold nothing: how an arena sees a caller's scratch.
///
/// For this room only: whoever has the result must not make any of it uninitialised. An arena does not: it
/// writes zeros, poison, and values of types without padding.
pub(super) fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    let (start, count) = (bytes.as_mut_ptr().cast::<MaybeUninit<u8>>(), bytes.len());
    // SAFETY:
    // - The pointer is not null, is aligned and spans `count` elements of one allocation, as `bytes` did:
    //   `MaybeUninit<u8>` has the size and the alignment of `u8`.
    // - Each element is a valid value: any byte is a `MaybeUninit<u8>`.
    // - Nothing else reaches the memory meanwhile: the result has the lifetime of the exclusive borrow it
    //   consumes.
    // - All bytes are initialised when that borrow ends: they are now, and this room's arenas, which alone
    //   call this, write initialised bytes only.
    unsafe { slice::from_raw_parts_mut(start, count) }
}

/// How many bytes lie between `address` and the next multiple of `align`, a power of two.
pub(super) const fn padding(address: usize, align: usize) -> usize {
    address.wrapping_neg() & (align - 1)
}
