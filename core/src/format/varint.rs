//! Variable-length numbers: seven bits a byte, least significant first, the top bit set on all but
//! the last (LEB128). Each number has one encoding, the shortest.

/// The most bytes that a number takes.
pub(super) const MAX_BYTES: usize = 10;

/// Takes numbers off the front of a byte slice. Whatever is missing or malformed is `None`.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    #[inline(always)]
    pub(super) fn u64(&mut self) -> Option<u64> {
        // Nearly all numbers take one byte.
        match self.rest.split_first() {
            Some((byte, rest)) if byte & 0x80 == 0 => {
                self.rest = rest;
                Some(u64::from(*byte))
            }
            _ => self.long(),
        }
    }

    #[inline(never)]
    fn long(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..MAX_BYTES as u32 {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            // The tenth byte has room for one bit only, and a last byte of zeros could be left out.
            if place == 9 && bits > 1 || byte == 0 && place > 0 {
                return None;
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    pub(super) fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.u64()?).ok()
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    pub(super) fn u16(&mut self) -> Option<u16> {
        u16::try_from(self.u64()?).ok()
    }
}

/// How many bytes `value` takes.
pub(super) const fn len(value: u64) -> u32 {
    let bits = 64 - value.leading_zeros();
    if bits == 0 { 1 } else { bits.div_ceil(7) }
}

#[cfg(test)]
mod tests {
    use super::super::record::HeaderBytes;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = HeaderBytes::default();
            bytes.number(value);
            prop_assert_eq!(bytes.as_slice().len() as u32, len(value));
            prop_assert_eq!(Reader::new(bytes.as_slice()).u64(), Some(value));
        }

        #[test]
        fn a_number_with_zeros_behind_it_is_refused(value in any::<u64>(), shift in 0u32..64) {
            let mut bytes = HeaderBytes::default();
            bytes.number(value >> shift);
            let mut longer = bytes.as_slice().to_vec();
            if let Some(last) = longer.last_mut() {
                *last |= 0x80;
            }
            longer.push(0);
            prop_assert_eq!(Reader::new(&longer).u64(), None);
        }

        #[test]
        fn no_bytes_make_it_fail_otherwise_than_by_none(
            bytes in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut reader = Reader::new(&bytes);
            while reader.u64().is_some() {}
        }
    }

    #[test]
    fn of_all_three_bytes_those_are_a_number_that_it_would_be_written_as() {
        for word in 0..1_u32 << 24 {
            let bytes = &word.to_le_bytes()[..3];
            let mut reader = Reader::new(bytes);
            let Some(number) = reader.u64() else {
                // It has no end here, or its last byte is one too many.
                let end = bytes.iter().position(|byte| byte & 0x80 == 0);
                assert!(end.is_none_or(|end| end > 0 && bytes[end] == 0), "{bytes:?}");
                continue;
            };
            let mut written = HeaderBytes::default();
            written.number(number);
            assert_eq!(bytes[..3 - reader.remaining()], *written.as_slice(), "{bytes:?}");
        }
    }
}
