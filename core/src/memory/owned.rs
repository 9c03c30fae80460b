//! Values that name their owner in their type.
//!
//! [`Owned<T, Engine>`](Owned) is a `T` that the engine owns. To look at it takes a token of the engine,
//! which only the engine has; to hand it on is [`transfer`](Owned::transfer), which consumes it, so the
//! giver has nothing left to use. All of it is checked by the compiler and gone from the program: no
//! state, no cost, no owner that may do everything.
//!
//! Four things pass in the store. The write buffer is the table's (the segment's) when it can be flushed, the
//! engine's while a record is put together, and in between the caller's, where the content comes from a
//! source that fills it; the columns of an index page are the memtable's while records are added, and the
//! table's when the page is sealed and read into the log; a batch is the caller's until its limits were
//! checked, and then the engine's; the workspace of block iterators goes from the caller to a query and back.
//! What is read is borrowed, and lifetimes say for how long.
//!
//! ```
//! use kausaldb::memory::owned::{Memtable, Owned, Table};
//!
//! fn seal(mut page: Owned<[u8; 4], Memtable>, memtable: &Memtable) -> Owned<[u8; 4], Table> {
//!     page.get_mut(memtable).copy_from_slice(b"text");
//!     page.transfer(memtable)
//! }
//! ```
//!
//! ```compile_fail
//! # use kausaldb::memory::owned::{Memtable, Owned, Table};
//! fn seal(page: Owned<[u8; 4], Memtable>, memtable: &Memtable) -> Owned<[u8; 4], Table> {
//!     let sealed = page.transfer(memtable);
//!     page.get(memtable); // moved
//!     sealed
//! }
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
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(());

        impl sealed::Sealed for $name {}
        impl Owner for $name {}

        impl $name {
            /// The token of this owner; nobody outside the store has one.
            pub(crate) const fn token() -> Self {
                Self(())
            }
        }
    };
}

owner!(
    /// The storage engine, which puts records together.
    Engine
);
owner!(
    /// The columns that describe the newest records of the open segment.
    Memtable
);
owner!(
    /// A query while it runs.
    Query
);
owner!(
    /// Whoever calls the store.
    Caller
);
owner!(
    /// The table that a segment becomes: records and index pages that only go to media.
    Table
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

    /// Hands the value on to `P` from where it lies; what is left there is a new one.
    pub fn hand_over<P: Owner>(&mut self, _owner: &O) -> Owned<T, P>
    where
        T: Default,
    {
        Owned { value: core::mem::take(&mut self.value), owner: PhantomData }
    }
}
