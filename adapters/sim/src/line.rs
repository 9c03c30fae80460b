//! The line that replays: what was done to a medium from outside, as text, and back.
//!
//! ```text
//! seed=7 capacity=16384 erase=4096 write=8 erased=ones ordered=yes; cut 120 @31; on unstable seeded seeded
//! @40; now @77
//! ```
//!
//! `@` is the number of calls that had been made. `cut` names the step before which power is cut, counted
//! from the start; `on` the aftermath of write, erase and unsynced pieces.

use crate::fault::{Aftermath, Survivors, TornErase, TornWrite};
use crate::plan::{Fault, When};
use core::fmt;
use kausaldb::storage::{Erased, Geometry};

/// What was done to a medium from outside, to replay it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// Power is cut before the step of this number; or never, as far as is known.
    CutAt {
        step: Option<u64>,
    },
    PowerOn {
        aftermath: Aftermath,
    },
    Inject {
        fault: Fault,
        when: When,
    },
    /// No fault is planned any more.
    Mend,
    Flip {
        at: u64,
        bit: u8,
    },
    Hide {
        at: u64,
        len: u64,
    },
    Stick {
        sector: u32,
    },
    /// Bytes came or were changed in a way that no line holds.
    Altered,
    /// The line ends here; from now on the medium does as it is told.
    Now,
}

/// An event, and how many calls had been made.
pub(crate) type Timed = (Event, u64);

/// Why a line cannot be replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LineError {
    /// This word is not understood where it stands.
    Word(String),
    /// This is missing.
    Missing(&'static str),
    /// The medium was made from an image, or its bytes were changed through `image_mut`, which a line does
    /// not hold.
    Altered,
    /// There can be no such medium.
    Setup(crate::SetupError),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{word:?} is not understood there"),
            Self::Missing(what) => write!(f, "{what} is missing"),
            Self::Altered => f.write_str("bytes were given or changed that the line does not hold"),
            Self::Setup(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LineError {}

/// The line's first part.
pub(crate) fn write_head(
    f: &mut fmt::Formatter<'_>,
    seed: u64,
    geometry: &Geometry,
) -> fmt::Result {
    let Geometry { capacity_bytes, erase_bytes, write_bytes, erased, keeps_write_order } = geometry;
    let ordered = if *keeps_write_order { "yes" } else { "no" };
    write!(
        f,
        "seed={seed} capacity={capacity_bytes} erase={erase_bytes} write={write_bytes} \
         erased={} ordered={ordered}",
        name(erased)
    )
}

/// The name of a variant without fields, in small letters.
fn name(variant: &impl fmt::Debug) -> String {
    format!("{variant:?}").to_lowercase()
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutAt { step: Some(step) } => write!(f, "cut {step}"),
            Self::CutAt { step: None } => f.write_str("keep"),
            Self::PowerOn { aftermath: Aftermath { write, erase, unsynced } } => {
                write!(f, "on {} {} ", name(write), name(erase))?;
                match unsynced {
                    Survivors::Mask(mask) => write!(f, "{mask:#x}"),
                    named => f.write_str(&name(named)),
                }
            }
            Self::Inject { fault, when } => {
                write!(f, "fault {} ", name(fault))?;
                match when {
                    When::Never => f.write_str("never"),
                    When::Call(call) => write!(f, "call {call}"),
                    When::From(first) => write!(f, "from {first}"),
                    When::OneIn(calls) => write!(f, "one-in {calls}"),
                }
            }
            Self::Mend => f.write_str("mend"),
            Self::Flip { at, bit } => write!(f, "flip {at} {bit}"),
            Self::Hide { at, len } => write!(f, "hide {at} {len}"),
            Self::Stick { sector } => write!(f, "stick {sector}"),
            Self::Altered => f.write_str("altered"),
            Self::Now => f.write_str("now"),
        }
    }
}

/// A line, read.
pub(crate) struct Line {
    pub(crate) seed: u64,
    pub(crate) geometry: Geometry,
    pub(crate) events: Vec<Timed>,
}

impl Line {
    pub(crate) fn parse(line: &str) -> Result<Self, LineError> {
        let mut parts = line.trim().split(';').map(str::trim);
        let head = parts.next().unwrap_or_default();
        let field = |key: &'static str| {
            let value = head.split_whitespace().filter_map(|word| word.split_once('='));
            let value = value.filter(|(name, _)| *name == key).map(|(_, value)| value).next();
            value.ok_or(LineError::Missing(key))
        };
        let erased = [Erased::Ones, Erased::Zeros, Erased::Unknown];
        let geometry = Geometry {
            capacity_bytes: number(field("capacity")?)?,
            erase_bytes: number(field("erase")?)?,
            write_bytes: number(field("write")?)?,
            erased: named(field("erased")?, &erased)?,
            keeps_write_order: field("ordered")? == "yes",
        };
        let events = parts.filter(|part| !part.is_empty()).map(event);
        Ok(Self {
            seed: number(field("seed")?)?,
            geometry,
            events: events.collect::<Result<_, _>>()?,
        })
    }
}

fn unknown(word: &str) -> LineError {
    LineError::Word(word.into())
}

fn number<N: TryFrom<u64>>(word: &str) -> Result<N, LineError> {
    let number = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    number.ok().and_then(|number| N::try_from(number).ok()).ok_or_else(|| unknown(word))
}

fn named<V: fmt::Debug + Copy>(word: &str, variants: &[V]) -> Result<V, LineError> {
    variants.iter().copied().find(|variant| name(variant) == word).ok_or_else(|| unknown(word))
}

fn event(part: &str) -> Result<Timed, LineError> {
    let (what, calls) = part.rsplit_once('@').ok_or_else(|| unknown(part))?;
    let mut words = what.split_whitespace();
    let mut word = || words.next().ok_or_else(|| unknown(part));
    let event = match word()? {
        "cut" => Event::CutAt { step: Some(number(word()?)?) },
        "keep" => Event::CutAt { step: None },
        "on" => {
            let (write, erase) = (named(word()?, TornWrite::ALL)?, named(word()?, TornErase::ALL)?);
            let unsynced = word()?;
            let unsynced = match unsynced.strip_prefix("0x") {
                Some(_) => Survivors::Mask(number(unsynced)?),
                None => named(unsynced, &[Survivors::Seeded, Survivors::None, Survivors::All])?,
            };
            Event::PowerOn { aftermath: Aftermath { write, erase, unsynced } }
        }
        "fault" => {
            let fault = named(word()?, &Fault::ALL)?;
            let when = match word()? {
                "never" => When::Never,
                "call" => When::Call(number(word()?)?),
                "from" => When::From(number(word()?)?),
                "one-in" => When::OneIn(number(word()?)?),
                other => return Err(unknown(other)),
            };
            Event::Inject { fault, when }
        }
        "mend" => Event::Mend,
        "flip" => Event::Flip { at: number(word()?)?, bit: number(word()?)? },
        "hide" => Event::Hide { at: number(word()?)?, len: number(word()?)? },
        "stick" => Event::Stick { sector: number(word()?)? },
        "altered" => return Err(LineError::Altered),
        "now" => Event::Now,
        other => return Err(unknown(other)),
    };
    Ok((event, number(calls.trim())?))
}
