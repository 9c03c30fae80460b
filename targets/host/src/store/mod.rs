//! The store in a file: every touch of the engine lies here.
//!
//! A [`Store`] owns the engine's region and the mapped file. What does not fit makes it close, take a
//! larger region or grow the file, and open again; the batch that was refused for that reason is then
//! written. Commands that only read open the file for reading, beside others, and never write a byte; they
//! go on behind what is damaged, and [`Store::damage`] tells of it afterwards. A store in which records
//! are lost of which nobody knows what they held answers what is certain, and is not written before it is
//! repaired.
//!
//! Memory beyond the region and the map does not depend on how much is stored.

mod create;
mod explain;
mod health;
mod mend;
mod salvage;
mod shape;

pub(crate) use create::create;
pub(crate) use salvage::{Lost, Salvaged, salvage};
pub(crate) use shape::Shape;

use crate::args::Sizes;
use crate::commands::report::Figures;
use crate::error::{Failure, Outcome};
use crate::graph::{Edges, Graph, GraphMut, Visit};
use crate::operation::Operation;
use kausaldb::state::Limit;
use kausaldb::{
    BlockId, BlockRef, Capacity, Config, Direction, Durability, EdgeKind, OnDamage, OpenError,
    Order, ReadError, Sequence, StorageEngine, StoreId, Workspace, WriteError,
};
use kausaldb_file::{Access, FileError, MappedFile, OpenedFile, Region};
use self_cell::{MutBorrow, self_cell};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// An import makes the file larger when more than this part of it lives: at half, moving what lives
/// costs a third of what is written; at four fifths, three times as much.
const LIVE_PART_MAX: u64 = 2;

/// Places that a scan from the newest block on keeps at once.
const SCAN_WINDOW: usize = 1024;

/// How often limits may be raised before one call gives up: each time at least doubles one of them.
const RAISES_MAX: u32 = 64;

/// Empty only while, or after a failure between, closing and opening again.
struct Engine<'r>(Option<StorageEngine<'r, MappedFile>>);

self_cell!(
    struct Opened {
        owner: MutBorrow<Region>,
        #[not_covariant]
        dependent: Engine,
    }
);

/// A store that is open.
pub(crate) struct Store {
    path: PathBuf,
    shape: Shape,
    capacity: Capacity,
    access: Access,
    grows_ahead: bool,
    opened: Opened,
    /// What reading has passed over: segment and offset of each record.
    passed_over: RefCell<BTreeSet<(u32, u32)>>,
    /// Lists of edges that counting has passed over.
    lists_unreadable: u64,
    written: Written,
}

/// What engines that were closed since have written, in bytes: on media, and for callers.
#[derive(Clone, Copy, Default)]
struct Written {
    media_bytes: u64,
    given_bytes: u64,
}

/// An id that no other store has: from the operating system's randomness, by way of the standard library's
/// hash keys.
fn new_store_id() -> StoreId {
    StoreId::from_u128(u128::from(random()) << 64 | u128::from(random()))
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

impl Store {
    /// Opens a store for reading.
    ///
    /// # Errors
    /// It is missing, locked, or no store.
    pub(crate) fn open_read_only(path: &Path) -> Outcome<Self> {
        Self::open_as(path, Access::ReadOnly, OnDamage::Say)
    }

    /// Opens a store for writing. Nothing is written to one that is degraded.
    ///
    /// # Errors
    /// It is missing, locked, no store, or degraded.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        Self::open_as(path, Access::ReadWrite, OnDamage::Refuse)
    }

    /// Opens a store for writing, also one that must be repaired first.
    ///
    /// # Errors
    /// It is missing, locked, or no store.
    fn open_hurt(path: &Path) -> Outcome<Self> {
        Self::open_as(path, Access::ReadWrite, OnDamage::Say)
    }

    /// Opens a store for writing, and makes it first if it is missing.
    ///
    /// # Errors
    /// It is locked, no store, or cannot be made.
    pub(crate) fn open_or_create(path: &Path, sizes: &Sizes) -> Outcome<Self> {
        if !path.exists() {
            create(path, &Shape::of_sizes(sizes))?;
        }
        Self::open(path)
    }

    fn open_as(path: &Path, access: Access, on_damage: OnDamage) -> Outcome<Self> {
        let mut raised: Option<Capacity> = None;
        for _ in 0..RAISES_MAX {
            let (storage, shape, nodes) = open_file(path, access)?;
            let capacity = raised.unwrap_or_else(|| capacity_for(&shape, nodes));
            let region = Region::new(capacity.region_bytes()).map_err(|_| no_memory(path))?;
            match open_engine(storage, region, &capacity, on_damage) {
                Ok(opened) => {
                    return Ok(Self {
                        path: path.to_owned(),
                        shape,
                        capacity,
                        access,
                        grows_ahead: true,
                        opened,
                        passed_over: RefCell::default(),
                        lists_unreadable: 0,
                        written: Written::default(),
                    });
                }
                Err(OpenError::TooMany { what, needed, .. }) => {
                    raised = Some(raise(&capacity, what, needed).ok_or_else(|| no_memory(path))?);
                }
                Err(error) => return Err(explain::open(path, &error)),
            }
        }
        Err(no_memory(path))
    }

    fn engine(&self) -> Outcome<&StorageEngine<'_, MappedFile>> {
        self.opened.with_dependent(|_, engine| engine.0.as_ref()).ok_or_else(closed)
    }

    /// Closes the engine, grows the file if it is to be larger, and opens the engine with this capacity;
    /// as it was, if the file cannot grow.
    fn reopen(&mut self, file_bytes: Option<u64>, capacity: Capacity) -> Outcome {
        let mut storage = self.take_storage()?;
        let grown = file_bytes.map_or(Ok(()), |bytes| storage.grow(bytes));
        if grown.is_ok() {
            self.shape.geometry.capacity_bytes =
                file_bytes.unwrap_or(self.shape.geometry.capacity_bytes);
            self.capacity = capacity;
        }
        // The old region goes before the new one comes.
        self.opened = nothing_open();
        let bytes = self.capacity.region_bytes();
        let region = Region::new(bytes).map_err(|_| no_memory(&self.path))?;
        self.opened = open_engine(storage, region, &self.capacity, OnDamage::Say)
            .map_err(|error| explain::open(&self.path, &error))?;
        grown.map_err(|error| explain::file(&self.path, &error))
    }

    fn take_storage(&mut self) -> Outcome<MappedFile> {
        self.written = self.written()?;
        let path = &self.path;
        self.opened.with_dependent_mut(|_, engine| {
            let engine = engine.0.take().ok_or_else(closed)?;
            let (storage, closing) = engine.close();
            closing.map(|()| storage).map_err(|error| explain::write(path, &error))
        })
    }

    fn written(&self) -> Outcome<Written> {
        let stats = self.engine()?.stats();
        let Written { media_bytes, given_bytes } = self.written;
        Ok(Written {
            media_bytes: media_bytes + stats.traffic.bytes_written,
            given_bytes: given_bytes + stats.given_bytes,
        })
    }

    /// Bytes written for each byte given to be stored, since the store was opened; nothing if none was given.
    ///
    /// # Errors
    /// The store is closed.
    pub(crate) fn write_amplification(&self) -> Outcome<Option<f64>> {
        let Written { media_bytes, given_bytes } = self.written()?;
        Ok((given_bytes > 0).then(|| media_bytes as f64 / given_bytes as f64))
    }

    /// Size of the region that the engine's memory comes from, as its capacity says, in bytes.
    pub(crate) fn region_bytes(&self) -> usize {
        self.capacity.region_bytes()
    }

    /// Makes everything durable and closes the store.
    ///
    /// # Errors
    /// The storage fails.
    pub(crate) fn close(mut self) -> Outcome {
        self.take_storage().map(MappedFile::close)
    }

    /// Makes the file larger: to `size` bytes, or to twice what it has.
    ///
    /// # Errors
    /// The size does not work, or the disk is full.
    pub(crate) fn grow(mut self, size: Option<u64>) -> Outcome<Figures> {
        let bytes = self.shape.grown(size, self.path.display())?;
        self.grow_file(bytes)?;
        self.close_with_stats()
    }

    /// What the store holds, once it is closed: what counting meets is no reason not to close.
    fn close_with_stats(mut self) -> Outcome<Figures> {
        let figures = self.stats(false);
        self.close()?;
        figures
    }

    fn grow_file(&mut self, bytes: u64) -> Outcome {
        let mut grown = self.shape;
        grown.geometry.capacity_bytes = bytes;
        let capacity = Capacity { segments: grown.segments(), ..self.capacity };
        self.reopen(Some(bytes), capacity)
    }

    /// Makes the file larger before it is so full that moving what lives would take most of the time.
    fn grow_ahead(&mut self) -> Outcome {
        let stats = self.engine()?.stats();
        if !self.grows_ahead || stats.live_bytes <= stats.capacity_bytes / LIVE_PART_MAX {
            return Ok(());
        }
        let grown = self.shape.grown(None, self.path.display());
        let grown = grown.and_then(|bytes| self.grow_file(bytes));
        // There is room left without it, as long as the store is open again.
        self.grows_ahead = grown.is_ok();
        if self.engine().is_ok() { Ok(()) } else { grown }
    }

    /// Moves live records until no dead space is left to win.
    ///
    /// # Errors
    /// The storage fails.
    pub(crate) fn compact(mut self) -> Outcome<Figures> {
        let path = self.path.clone();
        self.opened.with_dependent_mut(|_, engine| {
            let engine = engine.0.as_mut().ok_or_else(closed)?;
            engine.compact(u64::MAX).map_err(|error| explain::write(&path, &error))
        })?;
        self.close_with_stats()
    }
}

fn closed() -> Failure {
    Failure::store("the store was closed after an earlier error; start again")
}

fn no_memory(path: &Path) -> Failure {
    let name = path.display();
    Failure::full(format_args!(
        "{name}: opening it takes more memory than there is for this program"
    ))
}

/// What stands where no engine does.
fn nothing_open() -> Opened {
    Opened::new(MutBorrow::new(Region::default()), |_| Engine(None))
}

/// Opens and maps the file, by what the store in it says of itself.
fn open_file(path: &Path, access: Access) -> Outcome<(MappedFile, Shape, u32)> {
    let explain = |error: FileError| explain::file(path, &error);
    let file = OpenedFile::open(path, access).map_err(explain)?;
    let len_bytes = file.len_bytes();
    if len_bytes == 0 {
        return Err(explain::empty(path));
    }
    let info = kausaldb::probe(len_bytes, |at, into| file.read_at(at, into))
        .map_err(|error| explain::open(path, &error))?;
    let shape = Shape::of_store(&info, len_bytes);
    let file = file.with_geometry(shape.geometry).map_err(explain)?;
    // SAFETY:
    // - the file is locked for as long as the map lives, so no other kausaldb shortens or writes it;
    // - that no stranger does is what the command's user answers for: README says so.
    #[allow(unsafe_code)]
    let storage = unsafe { MappedFile::new(file) }.map_err(explain)?;
    Ok((storage, shape, info.nodes_max()))
}

/// The host's capacity for this store, with room for as many nodes again.
fn capacity_for(shape: &Shape, nodes: u32) -> Capacity {
    let nodes = nodes.saturating_mul(2).max(Capacity::HOST.nodes);
    let host = Capacity::host(nodes, shape.segments());
    Capacity { segment_bytes: shape.segment_bytes, ..host }
}

/// The capacity with one limit raised to at least twice what it is; nothing if that limit is no question of
/// memory.
fn raise(capacity: &Capacity, what: Limit, needed: u64) -> Option<Capacity> {
    let mut raised = *capacity;
    let field = match what {
        Limit::Nodes => &mut raised.nodes,
        Limit::PendingEdges => &mut raised.pending_edges,
        Limit::HubPages => &mut raised.hub_pages,
        Limit::Intents => &mut raised.intents,
        Limit::Segments => &mut raised.segments,
        Limit::BatchOperations => &mut raised.batch_operations,
        _ => return None,
    };
    let needed = u32::try_from(needed).ok()?;
    *field = field.checked_mul(2)?.max(needed.checked_mul(2)?);
    Some(raised)
}

fn open_engine(
    storage: MappedFile,
    region: Region,
    capacity: &Capacity,
    on_damage: OnDamage,
) -> Result<Opened, OpenError<FileError>> {
    let read_only = storage.access() == Access::ReadOnly;
    let (durability, seed) = (Durability::OnSync, [random(), random()]);
    let config = Config { durability, seed, on_damage, ..Config::default() };
    Opened::try_new(MutBorrow::new(region), |region| {
        let region = region.borrow_mut().bytes();
        let engine = if read_only {
            StorageEngine::open_read_only(storage, region, *capacity, config)
        } else {
            StorageEngine::open(storage, region, *capacity, config)
        };
        engine.map(|engine| Engine(Some(engine)))
    })
}

impl Store {
    /// What there is to say of damage: that the store is degraded, or that reading has passed over records.
    pub(crate) fn damage(&self) -> Option<Failure> {
        if let Some(damage) = self.engine().ok()?.damage() {
            return Some(explain::degraded(&self.path, damage.segment, damage.offset));
        }
        let passed_over = self.passed_over.borrow();
        if let Some(first) = passed_over.first() {
            return Some(explain::damage(&self.path, *first, passed_over.len()));
        }
        let lists = self.lists_unreadable;
        (lists > 0).then(|| explain::lists_unreadable(&self.path, lists))
    }

    fn pass_over(&self, segment: u32, offset: u32) {
        self.passed_over.borrow_mut().insert((segment, offset));
    }

    /// What was read; nothing, and it is noted, where a store that is open for reading is damaged.
    fn undamaged<T>(&self, read: Result<T, ReadError<FileError>>) -> Outcome<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(ReadError::Corrupt { segment, offset }) if self.access == Access::ReadOnly => {
                self.pass_over(segment, offset);
                Ok(None)
            }
            // That the store is degraded is said at the end, whatever was asked.
            Err(ReadError::Degraded { .. }) if self.access == Access::ReadOnly => Ok(None),
            Err(error) => Err(explain::read(&self.path, &error)),
        }
    }
}

impl Graph for Store {
    fn find(&self, id: &BlockId) -> Outcome<Option<BlockRef<'_>>> {
        match self.engine()?.find(id) {
            // Who may write it anew need not be told.
            Err(ReadError::Corrupt { .. }) if self.access == Access::ReadWrite => Ok(None),
            found => Ok(self.undamaged(found)?.flatten()),
        }
    }

    fn version(&self, id: &BlockId) -> Outcome<Option<u64>> {
        match self.engine()?.reader().version(id) {
            Err(ReadError::Corrupt { .. }) => Ok(None),
            version => Ok(self.undamaged(version)?.flatten()),
        }
    }

    fn edges(&self, id: &BlockId, way: Direction, kind: Option<EdgeKind>) -> Outcome<Edges> {
        let neighbours = self.engine()?.reader().edges(id, way, kind);
        let Some(mut neighbours) = self.undamaged(neighbours)? else { return Ok(Edges::default()) };
        let mut edges = Edges { found: Vec::new(), is_whole: true };
        loop {
            match self.undamaged(neighbours.next())? {
                Some(Some(edge)) => edges.found.push(edge),
                Some(None) => break,
                // The other end cannot be read; the next may.
                None => edges.is_whole = false,
            }
        }
        edges.found.sort_unstable();
        Ok(edges)
    }

    fn scan(&self, order: Order, visit: &mut Visit<'_>) -> Outcome {
        let mut scratch = [0; Workspace::scratch_bytes(1, SCAN_WINDOW)];
        let workspace = Workspace::over(&mut scratch, 1).map_err(Failure::store)?;
        let mut query = self.engine()?.reader().query(workspace);
        let scan = query.scan(order).map_err(|error| explain::read(&self.path, &error))?;
        loop {
            match query.next_block(&scan) {
                Ok(Some(block)) if visit(block)?.is_continue() => {}
                Ok(_) => break,
                // That one cannot be read; the next may.
                Err(ReadError::Corrupt { segment, offset }) => self.pass_over(segment, offset),
                Err(error) => {
                    self.undamaged::<()>(Err(error))?;
                }
            }
        }
        Ok(())
    }

    fn nodes(&self) -> Outcome<Vec<BlockId>> {
        let mut nodes = self.engine()?.reader().nodes();
        let mut ids = Vec::new();
        loop {
            match self.undamaged(nodes.next())? {
                Some(Some(id)) => ids.push(id),
                Some(None) => break,
                None => {}
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }
}

impl GraphMut for Store {
    fn write(&mut self, batch: &[Operation]) -> Outcome<Sequence> {
        let operations: Vec<kausaldb::Operation<'_>> = batch.iter().map(borrowed).collect();
        let sequence = self.with_room(|engine| engine.write(&operations))?;
        self.grow_ahead()?;
        Ok(sequence)
    }

    fn sync(&mut self) -> Outcome {
        let path = &self.path;
        self.opened.with_dependent_mut(|_, engine| {
            let engine = engine.0.as_mut().ok_or_else(closed)?;
            engine.sync().map_err(|error| explain::write(path, &error))
        })
    }
}

impl Store {
    /// Has the engine do something; where it says that there is no room, with more of it.
    fn with_room<T>(
        &mut self,
        mut act: impl FnMut(&mut StorageEngine<'_, MappedFile>) -> Result<T, WriteError<FileError>>,
    ) -> Outcome<T> {
        for _ in 0..RAISES_MAX {
            let acted = self.opened.with_dependent_mut(|_, engine| {
                let engine = engine.0.as_mut().ok_or_else(closed)?;
                Outcome::Ok(act(engine))
            })?;
            let error = match acted {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let (what, needed) = match &error {
                WriteError::Full { .. } => {
                    self.grow_file(self.shape.grown(None, self.path.display())?)?;
                    continue;
                }
                WriteError::NodesFull { needed, .. } => (Limit::Nodes, *needed),
                WriteError::HubPagesFull { needed, .. } => (Limit::HubPages, *needed),
                WriteError::BatchTooLarge { what, len, .. } => (*what, *len),
                _ => return Err(explain::write(&self.path, &error)),
            };
            let raised = raise(&self.capacity, what, needed);
            self.reopen(None, raised.ok_or_else(|| explain::write(&self.path, &error))?)?;
        }
        Err(no_memory(&self.path))
    }
}

fn borrowed(operation: &Operation) -> kausaldb::Operation<'_> {
    match operation {
        Operation::Put(block) => kausaldb::Operation::put(block.as_block()),
        Operation::Delete(id) => kausaldb::Operation::Delete(*id),
        Operation::Link(edge) => kausaldb::Operation::Link(*edge),
        Operation::Unlink(edge) => kausaldb::Operation::Unlink(*edge),
    }
}
