//! Decisions drawn from bytes: those of a fuzzer, or those of a generator. Behind their end every draw is 0.

/// Bytes that decide.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left, as it is.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// So many bytes; zeros behind the end.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    pub fn u32(&mut self) -> u32 {
        (0..4).fold(0, |number, _| number << 8 | u32::from(self.byte()))
    }

    /// A number below a bound; takes a byte where that is enough.
    pub fn below(&mut self, bound: u32) -> u32 {
        let drawn = if bound <= 256 { u32::from(self.byte()) } else { self.u32() };
        drawn % bound.max(1)
    }

    /// Whether one chance in so many came; not behind the end.
    pub fn one_in(&mut self, chances: u32) -> bool {
        self.below(chances) + 1 == chances
    }

    /// A number that a careless reader trips over: small, around a power of two, near the greatest, or any.
    pub fn number(&mut self) -> u32 {
        match self.below(6) {
            0 | 1 => self.below(48),
            2 => (1u32 << self.below(32)).wrapping_add(self.below(3)).wrapping_sub(1),
            3 => u32::MAX - self.below(4),
            4 => self.below(1 << 16),
            _ => self.u32(),
        }
    }
}
