//! What the file storages promise, on the file system of the temporary directory.

use crate::{Access, FileError, MappedFile, OpenedFile, PositionedFile, Step};
use kausaldb::storage::{Erased, Geometry, GeometryError, MappedStorage, Storage};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

const GEOMETRY: Geometry = Geometry {
    capacity_bytes: 1 << 16,
    erase_bytes: 1 << 12,
    write_bytes: 16,
    erased: Erased::Unknown,
    keeps_write_order: false,
};

/// A folder of its own for each test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("kausaldb-file-{}-{number}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> PathBuf {
        self.0.join("store.kdb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn open(path: &Path, access: Access) -> Result<PositionedFile, FileError> {
    OpenedFile::open(path, access)?.with_geometry(GEOMETRY)
}

#[allow(unsafe_code)]
fn mapped(file: PositionedFile) -> MappedFile {
    // SAFETY:
    // - the file lies in a folder of this test alone, which neither shortens nor writes it meanwhile.
    unsafe { MappedFile::new(file) }.unwrap()
}

#[test]
fn a_new_file_has_every_byte_written() {
    for (erased, filler) in [(Erased::Unknown, 0xFF), (Erased::Ones, 0xFF), (Erased::Zeros, 0x00)] {
        let folder = Folder::new();
        // Neither a multiple of the piece that is written at once nor smaller than it.
        let capacity_bytes = (2 << 20) + (1 << 12);
        let geometry = Geometry { capacity_bytes, erased, ..GEOMETRY };
        let mut file = PositionedFile::create(folder.store(), geometry).unwrap();
        let mut bytes = vec![0x55; capacity_bytes as usize];
        file.read(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == filler), "{erased:?}");
        let found = fs::metadata(folder.store()).unwrap();
        assert_eq!(found.len(), capacity_bytes);
        assert!(found.blocks() * 512 >= capacity_bytes, "{erased:?}: the file is sparse");
    }
}

#[test]
fn what_exists_is_neither_replaced_nor_changed() {
    let folder = Folder::new();
    fs::write(folder.store(), b"someone's letter").unwrap();
    let error = PositionedFile::create(folder.store(), GEOMETRY).unwrap_err();
    assert!(matches!(error, FileError::Exists));
    assert_eq!(fs::read(folder.store()).unwrap(), b"someone's letter");
}

#[test]
fn a_creation_that_fails_leaves_nothing_behind() {
    let folder = Folder::new();
    // No file system has files of this size, and no system call takes it.
    let capacity_bytes = 1 << 63;
    let geometry = Geometry { capacity_bytes, ..GEOMETRY };
    let error = PositionedFile::create(folder.store(), geometry).unwrap_err();
    assert!(matches!(error, FileError::Io { step: Step::Prefill, .. }), "{error:?}");
    let geometry = Geometry { write_bytes: 3, ..GEOMETRY };
    let error = PositionedFile::create(folder.store(), geometry).unwrap_err();
    assert!(matches!(error, FileError::Geometry(GeometryError::WriteSize { given: 3 })));
    let error = PositionedFile::create(folder.0.join("no/such"), GEOMETRY).unwrap_err();
    assert!(matches!(error, FileError::Io { step: Step::Create, .. }));
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn one_writes_alone_or_many_read() {
    let folder = Folder::new();
    let path = folder.store();
    let locked = |access| matches!(OpenedFile::open(&path, access), Err(FileError::Locked));
    let writer = PositionedFile::create(&path, GEOMETRY).unwrap();
    assert!(locked(Access::ReadOnly));
    assert!(locked(Access::ReadWrite));
    writer.close();
    let first = open(&path, Access::ReadOnly).unwrap();
    let second = mapped(open(&path, Access::ReadOnly).unwrap());
    assert!(locked(Access::ReadWrite));
    first.close();
    assert!(locked(Access::ReadWrite));
    second.close();
    let writer = mapped(open(&path, Access::ReadWrite).unwrap());
    assert!(locked(Access::ReadOnly));
    drop(writer.unmap());
    assert!(!locked(Access::ReadOnly));
}

/// Names the file that the child of the next test is to open.
const CHILD_PATH: &str = "KAUSALDB_FILE_TEST_CHILD_PATH";

#[test]
fn another_process_is_refused_at_once() {
    if let Some(path) = env::var_os(CHILD_PATH) {
        let error = OpenedFile::open(path, Access::ReadWrite).unwrap_err();
        assert!(matches!(error, FileError::Locked), "{error:?}");
        return;
    }
    let folder = Folder::new();
    let _writer = PositionedFile::create(folder.store(), GEOMETRY).unwrap();
    let mut child = process::Command::new(env::current_exe().unwrap());
    child.args(["--exact", "tests::another_process_is_refused_at_once"]);
    let output = child.env(CHILD_PATH, folder.store()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

#[test]
fn a_file_without_permission_to_write_opens_for_reading_only() {
    let folder = Folder::new();
    PositionedFile::create(folder.store(), GEOMETRY).unwrap();
    fs::set_permissions(folder.store(), fs::Permissions::from_mode(0o444)).unwrap();
    let mut file = mapped(open(&folder.store(), Access::ReadOnly).unwrap());
    assert_eq!(file.access(), Access::ReadOnly);
    let mut bytes = [0; 100];
    file.read(5, &mut bytes).unwrap();
    assert_eq!(bytes, [0xFF; 100]);
    assert!(matches!(file.write(0, &[0; 16]), Err(FileError::ReadOnly)));
    assert!(matches!(file.erase(0), Err(FileError::ReadOnly)));
    assert!(matches!(file.grow(1 << 17), Err(FileError::ReadOnly)));
    file.sync().unwrap();
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = Folder::new();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let error = OpenedFile::open(&folder.0, access).unwrap_err();
        assert!(matches!(error, FileError::NotAFile));
        let error = OpenedFile::open("/dev/null", access).unwrap_err();
        assert!(matches!(error, FileError::NotAFile));
        let error = OpenedFile::open(folder.store(), access).unwrap_err();
        assert!(matches!(error, FileError::Io { step: Step::Open, .. }));
    }
}

#[test]
fn a_probe_reads_up_to_the_end_and_not_beyond() {
    let folder = Folder::new();
    fs::write(folder.store(), [7; 100]).unwrap();
    let opened = OpenedFile::open(folder.store(), Access::ReadOnly).unwrap();
    assert_eq!((opened.len_bytes(), opened.access()), (100, Access::ReadOnly));
    let mut bytes = [0; 60];
    opened.read_at(40, &mut bytes).unwrap();
    assert_eq!(bytes, [7; 60]);
    for at in [41, 101, u64::MAX] {
        let error = opened.read_at(at, &mut bytes).unwrap_err();
        assert!(matches!(error, FileError::Access { len: 60, end: 100, .. }), "{error:?}");
    }
}

#[test]
fn a_file_shorter_than_the_store_is_truncated_and_a_longer_one_opens() {
    let folder = Folder::new();
    fs::write(folder.store(), vec![1; (1 << 16) - 1]).unwrap();
    let error = open(&folder.store(), Access::ReadOnly).unwrap_err();
    let FileError::Truncated { len_bytes, capacity_bytes } = error else { panic!("{error:?}") };
    assert_eq!((len_bytes, capacity_bytes), ((1 << 16) - 1, 1 << 16));
    fs::write(folder.store(), vec![1; (1 << 16) + 1]).unwrap();
    let file = mapped(open(&folder.store(), Access::ReadOnly).unwrap());
    assert_eq!(file.bytes().len(), 1 << 16);
}

#[test]
fn what_is_written_and_synced_is_there_when_the_file_is_opened_again() {
    let folder = Folder::new();
    let mut file = PositionedFile::create(folder.store(), GEOMETRY).unwrap();
    file.erase(3).unwrap();
    file.write(3 << 12, &[1; 32]).unwrap();
    file.sync().unwrap();
    file.close();
    let mut file = mapped(open(&folder.store(), Access::ReadWrite).unwrap());
    assert_eq!(file.bytes()[3 << 12..][..33], [vec![1; 32], vec![0xFF]].concat());
    file.write((3 << 12) + 32, &[2; 16]).unwrap();
    assert_eq!(file.bytes()[(3 << 12) + 32..][..16], [2; 16], "the map shows a write at once");
    let mut read = [0; 16];
    file.read((3 << 12) + 32, &mut read).unwrap();
    assert_eq!(read, [2; 16]);
    file.sync().unwrap();
}

#[test]
fn an_erase_fills_only_where_the_geometry_promises_a_pattern() {
    for (erased, expected) in [(Erased::Unknown, 0x33), (Erased::Ones, 0xFF), (Erased::Zeros, 0x00)]
    {
        let folder = Folder::new();
        let geometry = Geometry { erased, ..GEOMETRY };
        let file = PositionedFile::create(folder.store(), geometry).unwrap();
        let mut file = mapped(file);
        for sector in 0..3 {
            file.write(sector << 12, &[0x33; 1 << 12]).unwrap();
        }
        file.erase(1).unwrap();
        assert_eq!(file.bytes()[1 << 12..][..1 << 12], [expected; 1 << 12], "{erased:?}");
        assert_eq!(file.bytes()[..1 << 12], [0x33; 1 << 12]);
        assert_eq!(file.bytes()[2 << 12..][..1 << 12], [0x33; 1 << 12]);
    }
}

#[test]
fn a_file_that_is_written_never_claims_to_keep_write_order() {
    let folder = Folder::new();
    let dump = Geometry { keeps_write_order: true, ..GEOMETRY };
    let file = PositionedFile::create(folder.store(), dump).unwrap();
    assert!(!file.geometry().keeps_write_order);
    file.close();
    let opened = OpenedFile::open(folder.store(), Access::ReadOnly).unwrap();
    assert!(opened.with_geometry(dump).unwrap().geometry().keeps_write_order);
}

#[test]
fn accesses_out_of_bounds_or_unaligned_are_refused() {
    fn check(file: &mut impl Storage<Error = FileError>) {
        let refused = |result| matches!(result, Err(FileError::Access { .. }));
        let mut bytes = [0; 32];
        for at in [(1 << 16) - 31, 1 << 16, u64::MAX, u64::MAX - 31] {
            assert!(refused(file.read(at, &mut bytes)), "read at {at}");
        }
        for (at, len) in [(8, 16), (0, 8), ((1 << 16) - 16, 32), (u64::MAX - 15, 16)] {
            assert!(refused(file.write(at, &vec![0; len])), "write {len} at {at}");
        }
        assert!(refused(file.erase(16)));
        assert!(refused(file.erase(u32::MAX)));
        file.read((1 << 16) - 32, &mut bytes).unwrap();
        assert_eq!(bytes, [0xFF; 32], "what is refused changes nothing");
    }
    let folder = Folder::new();
    let mut file = PositionedFile::create(folder.store(), GEOMETRY).unwrap();
    check(&mut file);
    check(&mut mapped(file));
}

#[test]
fn a_file_grows_in_place_and_keeps_its_bytes() {
    let folder = Folder::new();
    let geometry = Geometry { erased: Erased::Zeros, ..GEOMETRY };
    let mut file = mapped(PositionedFile::create(folder.store(), geometry).unwrap());
    file.write((1 << 16) - 16, &[9; 16]).unwrap();
    // What a growth that was cut short may have left.
    fs::OpenOptions::new().write(true).open(folder.store()).unwrap().set_len(1 << 20).unwrap();
    file.grow(3 << 16).unwrap();
    assert_eq!(file.geometry(), Geometry { capacity_bytes: 3 << 16, ..geometry });
    assert_eq!(file.bytes().len(), 3 << 16);
    assert_eq!(file.bytes()[(1 << 16) - 16..][..16], [9; 16]);
    assert!(file.bytes()[1 << 16..].iter().all(|&byte| byte == 0));
    let found = fs::metadata(folder.store()).unwrap();
    assert_eq!(found.len(), 3 << 16);
    assert!(found.blocks() * 512 >= 3 << 16, "the file is sparse");
    file.write((3 << 16) - 16, &[8; 16]).unwrap();
    assert_eq!(file.bytes()[(3 << 16) - 16..], [8; 16]);
}

#[test]
fn a_growth_that_is_refused_changes_nothing() {
    let folder = Folder::new();
    let mut file = PositionedFile::create(folder.store(), GEOMETRY).unwrap();
    let error = file.grow(1 << 15).unwrap_err();
    let FileError::Shrink { capacity_bytes, wanted_bytes } = error else { panic!("{error:?}") };
    assert_eq!((capacity_bytes, wanted_bytes), (1 << 16, 1 << 15));
    let error = file.grow((1 << 16) + 1).unwrap_err();
    assert!(matches!(error, FileError::Geometry(GeometryError::Capacity { .. })));
    let error = file.grow(1 << 63).unwrap_err();
    assert!(matches!(error, FileError::Io { step: Step::Prefill, .. }));
    file.grow(1 << 16).unwrap();
    assert_eq!(file.geometry(), GEOMETRY);
    assert_eq!(fs::metadata(folder.store()).unwrap().len(), 1 << 16);
}

#[test]
fn errors_say_both_numbers_and_the_step() {
    let truncated = FileError::Truncated { len_bytes: 10, capacity_bytes: 512 };
    assert_eq!(truncated.to_string(), "the file is truncated: it has 10 bytes of the store's 512");
    let error = OpenedFile::open("no/such/file", Access::ReadOnly).unwrap_err();
    assert!(error.to_string().starts_with("opening the file: "), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn both_storages_keep_what_they_are_given() {
    for (seed, erased) in [(1, Erased::Unknown), (2, Erased::Ones), (3, Erased::Zeros)] {
        let folder = Folder::new();
        let geometry = Geometry { erased, ..GEOMETRY };
        let mut file = PositionedFile::create(folder.store(), geometry).unwrap();
        kausaldb_sim::check_storage(&mut file, seed, 500);
        kausaldb_sim::check_mapped_storage(&mut mapped(file), seed, 500);
    }
}

/// Address 0 of this process, which no disk can deliver either.
#[cfg(target_os = "linux")]
#[test]
fn what_the_disk_cannot_deliver_is_lost_and_other_errors_are_not() {
    let unmapped = fs::File::open("/proc/self/mem").unwrap();
    let error = crate::os::read_at(&unmapped, 0, &mut [0; 16]).unwrap_err();
    let folder = Folder::new();
    let storage = PositionedFile::create(folder.store(), GEOMETRY).unwrap();
    assert!(storage.is_lost(&FileError::Io { step: Step::Read, error }));
    let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    assert!(!storage.is_lost(&FileError::Io { step: Step::Read, error }));
    assert!(!storage.is_lost(&FileError::Locked));
}
