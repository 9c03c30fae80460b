//! 128-bit names: of blocks and nodes, and of stores.

use core::fmt;
use core::str::FromStr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

macro_rules! id_128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
        )]
        #[repr(transparent)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes, most significant first as it is printed.
            pub const fn new(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes, in the order in which they are printed.
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The id whose 32 hexadecimal digits are those of `value`.
            pub const fn from_u128(value: u128) -> Self {
                Self(value.swap_bytes().to_le_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=[u8]:02x}", &self.0[..]);
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

id_128! {
    /// The name of a block, and of the node that it is: 128 bits that the caller chooses.
    ///
    /// Random and content-derived ids both work. The store hashes ids with a seed of its own, so
    /// ids chosen by an adversary cannot slow it down.
    BlockId
}

id_128! {
    /// The name of one store, chosen at format. It salts every checksum, so that bytes of another
    /// store, or of an earlier one on the same media, never validate.
    StoreId
}

/// A text that is not 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ParseIdError {
    /// Length of the text, in bytes; 32 if the length is right and a digit is not.
    pub len: usize,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 32 {
            f.write_str("an id has hexadecimal digits only (0-9, a-f)")
        } else {
            write!(f, "an id has 32 hexadecimal digits, this has {} characters", self.len)
        }
    }
}

impl core::error::Error for ParseIdError {}

fn parse_hex(text: &str) -> Result<[u8; 16], ParseIdError> {
    let error = ParseIdError { len: text.len() };
    if text.len() != 32 {
        return Err(error);
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return Err(error) };
        *byte = digit(high).ok_or(error)? << 4 | digit(low).ok_or(error)?;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_parses() {
        let id = BlockId::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let text = std::format!("{id}");
        assert_eq!(text, "0123456789abcdef0123456789abcdef");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn a_bad_id_says_what_is_wrong() {
        assert_eq!("12".parse::<BlockId>(), Err(ParseIdError { len: 2 }));
        let text = "g123456789abcdef0123456789abcdef";
        assert_eq!(text.parse::<BlockId>(), Err(ParseIdError { len: 32 }));
    }
}
