//! What may live in the region.

use zerocopy::{FromBytes, IntoBytes};

/// Types that may live in the region: any bytes are a valid value, every byte of a value is initialised,
/// there is no destructor, and nothing borrows or points.
///
/// It is not implemented by hand: a type is plain when it derives `zerocopy::FromBytes` and
/// `zerocopy::IntoBytes` and borrows nothing. These two exclude pointers, references, `bool`, enums and
/// padding. A destructor is refused when the type is first used with an arena, as is an alignment above
/// [`REGION_ALIGN`](super::REGION_ALIGN).
///
/// `Immutable` is not asked for, so atomics are plain where the target has them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot live in the region: it is not plain data",
    note = "derive `zerocopy::FromBytes` and `zerocopy::IntoBytes`; both refuse pointers and padding"
)]
pub trait Plain: FromBytes + IntoBytes + 'static {}

impl<T: FromBytes + IntoBytes + 'static> Plain for T {}
