//! The storage between engine and simulator: it shows each call to the model, and sets aside the device at
//! steps where power may be cut, with what the model keeps of it.

use super::common::Random;
use super::common::power::Scenario;
use super::decode::Format;
use super::model::{Ring, Synced};
use super::rules::{Broken, Kept};
use super::survey::Reading;
use kausaldb::StoreId;
use kausaldb::storage::{Erased, Geometry, Storage};
use kausaldb_sim::{Aftermath, SimError, SimNor, TornErase, TornWrite, UnderWay};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// A span that does not read as it was written: the ways in which it may.
#[derive(Clone)]
pub struct Spot {
    span: Range<usize>,
    ways: Vec<Vec<u8>>,
}

/// A device, and what the model keeps of it between two sessions.
#[derive(Clone)]
pub struct Device {
    pub nor: SimNor,
    pub synced: Synced,
    spots: Vec<Spot>,
}

/// A device of which power was cut.
pub struct Cut {
    device: Device,
    /// What was being written or erased, and what it was to hold.
    torn: Range<usize>,
    new: Vec<u8>,
}

/// A byte that is taken for one that cannot be read.
const UNREADABLE: u8 = 0xA5;
/// Bytes of a header: of a sector that is half erased, it may be all that reads as before.
const HEADER: usize = 256;
const READINGS_MAX: usize = 12;

impl Device {
    pub fn new(nor: SimNor) -> Self {
        Self { nor, synced: Synced::default(), spots: Vec::new() }
    }

    /// The ways in which the medium may read.
    fn readings(&self) -> Vec<Reading> {
        let shaky = self.spots.iter().filter(|spot| spot.ways.len() > 1);
        let shaky = shaky.map(|spot| spot.span.clone()).collect();
        let mut readings = vec![Reading { image: self.nor.image().to_vec(), shaky }];
        for spot in &self.spots {
            let each = |reading: &Reading| {
                let mut reading = reading.clone();
                let with = |way: &Vec<u8>| {
                    reading.image[spot.span.clone()].copy_from_slice(way);
                    reading.clone()
                };
                spot.ways.iter().map(with).collect::<Vec<_>>()
            };
            readings = readings.iter().flat_map(each).collect();
        }
        readings
    }

    /// How the medium reads, if it reads in one way only.
    pub fn one_reading(&self) -> Option<Reading> {
        let mut readings = self.readings();
        readings.pop().filter(|_| readings.is_empty())
    }

    /// Whether so many spans are unstable that the model would have to follow too many readings.
    pub fn has_too_many_readings(&self) -> bool {
        self.spots.iter().map(|spot| spot.ways.len()).product::<usize>() > READINGS_MAX
    }

    pub fn format(&self, scenario: &Scenario) -> Format {
        let store = *StoreId::from_u128(7).bytes();
        Format::new(store, &scenario.geometry(), scenario.segment_bytes)
    }
}

impl Cut {
    pub fn under_way(&self) -> &SimNor {
        &self.device.nor
    }

    /// Restores power.
    pub fn power_on(&self, aftermath: Aftermath) -> Device {
        let mut device = self.device.clone();
        let old = device.nor.image()[self.torn.clone()].to_vec();
        device.nor.power_on_with(aftermath);
        let (is_unstable, is_unreadable) = match self.under_way().under_way() {
            Some(UnderWay::Write) => {
                (aftermath.write == TornWrite::Unstable, aftermath.write == TornWrite::Unreadable)
            }
            Some(UnderWay::Erase) => {
                (aftermath.erase == TornErase::Unstable, aftermath.erase == TornErase::Unreadable)
            }
            _ => (false, false),
        };
        let mut ways = Vec::new();
        if is_unreadable {
            ways.push(vec![UNREADABLE; old.len()]);
        } else if is_unstable {
            let mut header_only = self.new.clone();
            let header = header_only.len().min(HEADER);
            header_only[..header].copy_from_slice(&old[..header]);
            if header < old.len() {
                ways.push(header_only);
            }
            ways.extend([old, self.new.clone()]);
        }
        if !ways.is_empty() {
            device.spots.push(Spot { span: self.torn.clone(), ways });
        }
        device
    }
}

/// What is shared by the storage, which the engine owns, and the test.
pub struct Shared {
    pub ring: Ring,
    pub cuts: Vec<Cut>,
}

/// A device under the model's eyes.
pub struct Watched {
    nor: SimNor,
    spots: Vec<Spot>,
    shared: Rc<RefCell<Shared>>,
    /// One step in so many is set aside; none if it is 0.
    one_in: u64,
    random: Random,
}

/// Ends the test if a rule was broken.
pub fn must(kept: Kept) {
    if let Err(broken) = kept {
        panic!("{broken}");
    }
}

impl Watched {
    /// Watches an opening, and what follows.
    pub fn new(
        scenario: &Scenario,
        device: Device,
        one_in: u64,
    ) -> Result<(Self, Rc<RefCell<Shared>>), Broken> {
        let ring = Ring::new(device.format(scenario), &device.readings(), device.synced)?;
        let shared = Rc::new(RefCell::new(Shared { ring, cuts: Vec::new() }));
        let Device { nor, spots, .. } = device;
        let random = Random::new(nor.steps() + 1);
        Ok((Self { nor, spots, shared: shared.clone(), one_in, random }, shared))
    }

    /// The device as the session leaves it, for the next one.
    pub fn device(&self) -> Device {
        let mut nor = self.nor.clone();
        nor.reopen();
        Device { nor, synced: self.shared.borrow().ring.synced, spots: self.spots.clone() }
    }

    fn is_wanted(&mut self) -> bool {
        self.one_in > 0 && self.random.one_in(self.one_in)
    }

    fn set_aside(
        &mut self,
        torn: Range<usize>,
        new: &[u8],
        cut: impl Fn(&mut SimNor) -> Result<(), SimError>,
    ) {
        let (nor, spots) = (self.nor.clone(), self.spots.clone());
        let mut device = Device { nor, synced: self.shared.borrow().ring.synced, spots };
        assert_eq!(cut(&mut device.nor), Err(SimError::PowerCut));
        self.shared.borrow_mut().cuts.push(Cut { device, torn, new: new.to_vec() });
    }

    fn tell(&self, what: impl FnOnce(&mut Ring) -> Kept) {
        let kept = what(&mut self.shared.borrow_mut().ring);
        must(kept);
    }
}

impl Storage for Watched {
    type Error = SimError;

    fn geometry(&self) -> Geometry {
        self.nor.geometry()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), SimError> {
        self.shared.borrow_mut().ring.read(at, into.len());
        self.nor.read(at, into)
    }

    fn is_lost(&self, error: &SimError) -> bool {
        self.nor.is_lost(error)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), SimError> {
        let unit = self.geometry().write_bytes as usize;
        let units = bytes.len() / unit;
        if self.geometry().keeps_write_order {
            for step in (0..units).filter(|_| self.is_wanted()).collect::<Vec<_>>() {
                let start = at as usize + step * unit;
                self.set_aside(start..start + unit, &bytes[step * unit..][..unit], |nor| {
                    nor.cut_at(step as u64);
                    nor.write(at, bytes)
                });
            }
        } else if self.is_wanted() {
            let part = self.random.below(units.max(1) as u64);
            for written in [part, units as u64] {
                self.set_aside(0..0, &[], |nor| {
                    nor.cut_at(written);
                    nor.write(at, bytes)?;
                    nor.sync()
                });
            }
        }
        self.tell(|ring| ring.write(at, bytes));
        self.nor.write(at, bytes)
    }

    fn erase(&mut self, sector: u32) -> Result<(), SimError> {
        self.tell(|ring| ring.erase(sector));
        let bytes = self.geometry().erase_bytes as usize;
        let span = sector as usize * bytes..(sector as usize + 1) * bytes;
        if self.is_wanted() {
            let blank = match self.geometry().erased {
                Erased::Zeros => 0,
                Erased::Ones | Erased::Unknown => 0xFF,
            };
            self.set_aside(span.clone(), &vec![blank; bytes], |nor| {
                nor.cut_at(0);
                nor.erase(sector)
            });
        }
        self.nor.erase(sector)?;
        self.spots.retain(|spot| !span.contains(&spot.span.start));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SimError> {
        if self.is_wanted() {
            self.set_aside(0..0, &[], |nor| {
                nor.cut_at(0);
                nor.sync()
            });
        }
        self.nor.sync()?;
        self.tell(Ring::sync);
        Ok(())
    }
}
