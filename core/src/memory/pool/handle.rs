//! The names of what lies in a pool: handles for everybody, and links for the objects of one pool among
//! themselves.

use core::fmt;
use core::marker::PhantomData;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many bits of a link are its index; eight above it are the stay, and the highest is free.
const LINK_BITS: u32 = 23;

/// The most slots of a pool: a link counts them from 1.
pub(in crate::memory) const SLOTS_MAX: usize = (1 << LINK_BITS) - 1;

/// How many bits of a handle's first word are its index; the tag is above.
pub(super) const INDEX_BITS: u32 = 24;

mod sealed {
    /// Keeps the set of names closed.
    pub trait Sealed {}
    impl<T> Sealed for super::Handle<T> {}
    impl<T> Sealed for super::Link<T> {}
}

/// What names an object in a pool of `T`: [`Handle`] or [`Link`]. The set is closed.
pub trait Name<T>: sealed::Sealed + Copy {
    /// Which slot of a pool with this `tag` is meant, if one.
    #[doc(hidden)]
    fn index_in(self, tag: u8) -> Option<u32>;

    /// Whether the stay that is meant may be the one of this generation.
    #[doc(hidden)]
    fn is_of(self, generation: u32) -> bool;
}

/// Names one stay of one object in one slot of a pool of `T`.
///
/// Two words, and plain itself: a column of the region can hold handles. Made up from other words it
/// names a live object or is refused; it is never undefined.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Handle<T> {
    words: [u32; 2],
    of: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    pub(super) const fn new(tag: u8, index: u32, generation: u32) -> Self {
        Self::from_raw([(tag as u32) << INDEX_BITS | index, generation])
    }

    /// The handle that [`to_raw`](Self::to_raw) took apart.
    pub const fn from_raw(words: [u32; 2]) -> Self {
        Self { words, of: PhantomData }
    }

    /// The pool's tag and the index in one word, and the generation.
    pub const fn to_raw(self) -> [u32; 2] {
        self.words
    }

    /// The same in one word, for another object of the same pool.
    pub const fn link(self) -> Link<T> {
        let [word, generation] = self.words;
        Link::new(word & ((1 << INDEX_BITS) - 1), generation)
    }
}

impl<T> Name<T> for Handle<T> {
    fn index_in(self, tag: u8) -> Option<u32> {
        let [word, _] = self.words;
        if word >> INDEX_BITS == u32::from(tag) {
            Some(word & ((1 << INDEX_BITS) - 1))
        } else {
            None
        }
    }

    fn is_of(self, generation: u32) -> bool {
        let [_, own] = self.words;
        own == generation
    }
}

/// A [`Handle`] in one word, by which the objects of one pool name each other; or no object.
///
/// It does not know its pool, and of the generation it has eight bits: a stale link is told from a live
/// one until its slot was taken 256 times more. Zero is no object, so that zeroed memory holds no links.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Link<T> {
    word: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Link<T> {
    /// No object: every pool refuses it.
    pub const NONE: Self = Self::from_raw(0);

    pub(super) const fn new(index: u32, generation: u32) -> Self {
        // Generations in use are odd, so their lowest bit says nothing.
        Self::from_raw((generation >> 1 & 0xFF) << LINK_BITS | (index + 1))
    }

    /// The link that [`to_raw`](Self::to_raw) gave this number; any other names a live object or none.
    pub const fn from_raw(word: u32) -> Self {
        Self { word, of: PhantomData }
    }

    /// The link as a number below 2^31, which is 0 for no object only.
    pub const fn to_raw(self) -> u32 {
        self.word
    }

    /// Whether it names no object.
    pub const fn is_none(self) -> bool {
        self.word == 0
    }
}

impl<T> Name<T> for Link<T> {
    fn index_in(self, _: u8) -> Option<u32> {
        (self.word & ((1 << LINK_BITS) - 1)).checked_sub(1)
    }

    fn is_of(self, generation: u32) -> bool {
        self.word >> LINK_BITS == (generation >> 1 & 0xFF)
    }
}

/// What a derive would give, without asking the same of `T`.
macro_rules! plain_name {
    ($name:ident, $field:ident) => {
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $name<T> {}

        impl<T> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                self.$field == other.$field
            }
        }

        impl<T> Eq for $name<T> {}
    };
}

plain_name!(Handle, words);
plain_name!(Link, word);

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [word, generation] = self.words;
        write!(f, "Handle({word:#010x}, {generation})")
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({:#010x})", self.word)
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for Handle<T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let [word, generation] = self.words;
        defmt::write!(f, "Handle({=u32:#010x}, {=u32})", word, generation);
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for Link<T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Link({=u32:#010x})", self.word);
    }
}
