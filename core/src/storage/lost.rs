//! Reading around what a medium has lost.
//!
//! Nobody else asks whether an error says that bytes are lost: the engine reads its log through here, and
//! meets lost bytes as it meets overwritten ones, by the checks that fail. So what is true of damage is true
//! of a span that cannot be read, with no path of its own.

use super::Storage;

/// Stands for a byte that is lost: neither blank nor zero.
const FILLER: u8 = 0xA5;

/// As [`Storage::read`], but bytes in units that are lost come as others, over which no check holds (or they
/// happen to be right).
///
/// One call of the storage; where something is lost, one more for each unit.
///
/// # Errors
/// The storage refused for another reason.
#[cfg_attr(not(target_os = "none"), inline)]
pub(crate) fn read_around<S: Storage>(
    storage: &mut S,
    at: u64,
    into: &mut [u8],
) -> Result<(), S::Error> {
    match storage.read(at, into) {
        Err(error) if storage.is_lost(&error) => read_units(storage, at, into),
        read => read,
    }
}

#[cold]
fn read_units<S: Storage>(storage: &mut S, at: u64, into: &mut [u8]) -> Result<(), S::Error> {
    // A power of two.
    let unit = u64::from(storage.geometry().write_bytes.max(1));
    let mut done = 0;
    while done < into.len() {
        let from = at + done as u64;
        // The unit's rest, which is at most 32 bits.
        let end = into.len().min(done + (unit - (from & (unit - 1))) as usize);
        let Some(piece) = into.get_mut(done..end) else { break };
        match storage.read(from, piece) {
            Err(error) if storage.is_lost(&error) => piece.fill(FILLER),
            read => read?,
        }
        done = end;
    }
    Ok(())
}
