//! The host behind the debugger: the arguments that it gives, and the file that it takes.

use alloc::borrow::ToOwned;
use alloc::ffi::CString;
use alloc::string::String;
use kausaldb::Storage;
use semihosting::experimental::env;
use semihosting::fs::File;
use semihosting::io::Write;

/// Bytes that all arguments together may have.
const ARGUMENT_BYTES_MAX: usize = 128;
/// Bytes of a storage that are written to a file at once.
const PIECE_BYTES: usize = 64;

/// What the image was started with.
#[derive(Default)]
pub struct Arguments {
    /// What to do; empty where nothing is said.
    pub command: String,
    /// The file to which the partition is written at the end.
    pub dump: Option<String>,
}

impl Arguments {
    /// Asks the host for them; `None` if they are too long, or no text.
    #[inline(never)]
    pub fn ask() -> Option<Self> {
        let given = env::args::<ARGUMENT_BYTES_MAX>().ok()?;
        let mut arguments = Self::default();
        // The first is the image's name.
        for argument in (&given).skip(1) {
            let argument = argument.ok()?;
            match argument.strip_prefix("dump=") {
                Some(path) => arguments.dump = Some(path.to_owned()),
                None => arguments.command = argument.to_owned(),
            }
        }
        Some(arguments)
    }
}

/// Writes all of the storage to a file of the host; whether that succeeded.
#[inline(never)]
pub fn dump(storage: &mut impl Storage, path: &str) -> bool {
    let Some(mut file) = CString::new(path).ok().and_then(|path| File::create(&path).ok()) else {
        return false;
    };
    let mut piece = [0; PIECE_BYTES];
    (0..storage.geometry().capacity_bytes)
        .step_by(PIECE_BYTES)
        .all(|at| storage.read(at, &mut piece).is_ok() && file.write_all(&piece).is_ok())
}
