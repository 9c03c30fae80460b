//! Values that name their owner in their type.
//!
//! [`Owned<T, Engine>`](Owned) is a `T` that the engine owns. To look at it takes a token of the engine,
//! which only the engine has; to hand it on is [`transfer`](Owned::transfer), which consumes it, so the
//! giver has nothing left to use. All of it is checked by the compiler and gone from the program: no
//! state, no cost, no owner that may do everything.
//!
//! ```
//! use kausaldb::memory::owned::{Caller, Engine, Owned};
//!
//! let caller = Caller::token();
//! let mut staged = Owned::new([0u8; 4], &caller);
//! staged.get_mut(&caller).copy_from_slice(b"text");
//! let handed_over: Owned<[u8; 4], Engine> = staged.transfer(&caller);
//! # let _ = handed_over;
//! ```
//!
//! ```compile_fail
//! # use kausaldb::memory::owned::{Caller, Engine, Owned};
//! # let caller = Caller::token();
//! let staged = Owned::new([0u8; 4], &caller);
//! let handed_over: Owned<[u8; 4], Engine> = staged.transfer(&caller);
//! staged.get(&caller); // moved
//! ```

use core::marker::PhantomData;

mod sealed {
    /// Keeps the set of owners closed.
    pub trait Sealed {}
}

/// A subsystem that can own a value. The set is closed.
pub trait Owner: sealed::Sealed {}

/// Declares an owner: a type whose only value is the token that proves to be it.
macro_rules! owner {
    ($(#[$doc:meta])* $name:ident, $visible:vis) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(());

        impl sealed::Sealed for $name {}
        impl Owner for $name {}

        // A room that owns nothing yet mints no token.
        #[allow(dead_code)]
        impl $name {
            /// The token of this owner, minted by this owner's own room only.
            $visible const fn token() -> Self {
                Self(())
            }
        }
    };
}

owner!(
    /// Whoever uses the store.
    Caller,
    pub
);
owner!(
    /// The storage engine.
    Engine,
    pub(crate)
);
owner!(
    /// The columns that describe the open segment.
    Memtable,
    pub(crate)
);
owner!(
    /// A sealed segment.
    Table,
    pub(crate)
);
owner!(
    /// A query.
    Query,
    pub(crate)
);

/// A `T` that belongs to `O`.
#[repr(transparent)]
#[derive(Debug)]
#[must_use]
pub struct Owned<T, O: Owner> {
    value: T,
    owner: PhantomData<O>,
}

impl<T, O: Owner> Owned<T, O> {
    /// Makes `value` belong to `O`.
    pub const fn new(value: T, _owner: &O) -> Self {
        Self { value, owner: PhantomData }
    }

    /// The value, for its owner.
    pub const fn get(&self, _owner: &O) -> &T {
        &self.value
    }

    /// The value, for its owner to change.
    pub const fn get_mut(&mut self, _owner: &O) -> &mut T {
        &mut self.value
    }

    /// Hands the value on to `P`. The giver has it no more.
    pub fn transfer<P: Owner>(self, _owner: &O) -> Owned<T, P> {
        Owned { value: self.value, owner: PhantomData }
    }

    /// Ends the ownership: the value itself, for its owner.
    pub fn into_inner(self, _owner: &O) -> T {
        self.value
    }
}
