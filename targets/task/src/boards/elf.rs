//! Images as the linker wrote them: their sections and symbols. Enough of ELF for 32 bits, little-endian.

use crate::Failure;
use std::fs;
use std::path::Path;

/// An image's file.
pub(crate) struct Elf(Vec<u8>);

/// A part of an image.
struct Section {
    name: String,
    kind: u32,
    offset: usize,
    bytes: usize,
    link: usize,
}

const SYMBOLS: u32 = 2;
const SECTION_BYTES: usize = 40;
const SYMBOL_BYTES: usize = 16;

impl Elf {
    /// Reads an image.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        match fs::read(path) {
            Ok(bytes) if bytes.starts_with(b"\x7FELF\x01\x01") => Ok(Self(bytes)),
            Ok(_) => Err(Failure::Failed(format!("{} is no image", path.display()))),
            Err(error) => Err(Failure::Failed(format!("{}: {error}", path.display()))),
        }
    }

    fn number<const BYTES: usize>(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..at + BYTES).unwrap_or_default();
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    fn word(&self, at: usize) -> usize {
        self.number::<4>(at) as usize
    }

    fn text(&self, at: usize) -> String {
        let bytes = self.0.get(at..).unwrap_or_default();
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn sections(&self) -> Vec<Section> {
        let (table, count) = (self.word(32), self.number::<2>(48) as usize);
        let names = self.word(table + SECTION_BYTES * self.number::<2>(50) as usize + 16);
        let section = |at: usize| Section {
            name: self.text(names + self.word(at)),
            kind: self.number::<4>(at + 4),
            offset: self.word(at + 16),
            bytes: self.word(at + 20),
            link: self.word(at + 24),
        };
        (0..count).map(|number| section(table + SECTION_BYTES * number)).collect()
    }

    /// Size of the section with this name, in bytes; 0 if there is none.
    pub(crate) fn section_bytes(&self, name: &str) -> usize {
        self.sections().iter().filter(|section| section.name == name).map(|s| s.bytes).sum()
    }

    /// The file with another first word in the section with this name.
    ///
    /// # Errors
    /// There is no such section.
    pub(super) fn with_word(&self, name: &str, word: u32) -> Result<Vec<u8>, Failure> {
        let mut bytes = self.0.clone();
        let section = self.sections().into_iter().find(|section| section.name == name);
        let place = section.and_then(|section| bytes.get_mut(section.offset..section.offset + 4));
        let place =
            place.ok_or_else(|| Failure::Failed(format!("the image has no section {name}")))?;
        place.copy_from_slice(&word.to_le_bytes());
        Ok(bytes)
    }

    /// The address of the first symbol whose name has `part` in it, without the bit that says Thumb.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn address(&self, part: &str) -> Result<u64, Failure> {
        let sections = self.sections();
        let tables = sections.iter().filter(|section| section.kind == SYMBOLS);
        let mut found = tables.flat_map(|table| {
            let names = sections.get(table.link).map_or(0, |section| section.offset);
            let entries = (table.offset..table.offset + table.bytes).step_by(SYMBOL_BYTES);
            entries.map(move |at| {
                (names + self.word(at), self.number::<4>(at + 4), self.number::<1>(at + 12))
            })
        });
        let function = 2;
        found
            .find(|(name, ..)| self.text(*name).contains(part))
            .map(|(_, value, info)| {
                u64::from(if info & 15 == function { value & !1 } else { value })
            })
            .ok_or_else(|| Failure::Failed(format!("the image has no symbol {part}")))
    }
}
