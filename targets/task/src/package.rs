//! `cargo task package`: packs the library crates with one command, and builds what was packed.
//!
//! The packages are built against each other, outside this workspace, so that a file, a feature or a version
//! that only the workspace supplies is missed. `cargo package` alone does that as well, but once for each
//! version: what it unpacked of a package that another one needs, it keeps, however the package changes.

use crate::steps::Line;
use crate::{Failure, House, takes_nothing};
use std::path::Path;
use std::{env, fs, io};

/// The library crates.
const LIBRARIES: &[&str] = &["kausaldb", "kausaldb-file", "kausaldb-flash", "kausaldb-sim"];

/// The version that all packages of the workspace share.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The task: packs and builds.
///
/// # Errors
/// A crate cannot be packed, or does not build from its package.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Failure> {
    takes_nothing("package", arguments)?;
    check(house)
}

/// The same as a step of a longer run.
pub(crate) fn check(house: &House) -> Result<(), Failure> {
    let named = LIBRARIES.join(" -p ");
    // Offline, since the registry would be asked for crates that are not published.
    Line::cargo(&format!("package --offline --allow-dirty --no-verify -p {named}")).run(house)?;
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into());
    let folder = house.root.join(target).join("packages");
    prepare(&house.root, &folder).map_err(|error| {
        Failure::Failed(format!(
            "the packages cannot be unpacked into {}: {error}",
            folder.display()
        ))
    })?;
    for name in LIBRARIES {
        Line::new("tar", &format!("-xmf ../package/{name}-{VERSION}.crate"))
            .within(&folder)
            .run(house)?;
    }
    Line::cargo("build --workspace --offline").within(&folder).run(house)
}

/// Makes `folder` a workspace of the packages, without any that an earlier run left there.
fn prepare(root: &Path, folder: &Path) -> io::Result<()> {
    for name in LIBRARIES {
        match fs::remove_dir_all(folder.join(format!("{name}-{VERSION}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::create_dir_all(folder)?;
    // The versions of everything else are those that the tests ran with.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::write(folder.join("Cargo.toml"), manifest())
}

/// The manifest of a workspace of the packages, which find each other there instead of in the registry.
fn manifest() -> String {
    let mut text = String::from("[workspace]\nresolver = \"3\"\nmembers = [\"*-*.*.*\"]\n\n");
    text.push_str("[patch.crates-io]\n");
    for name in LIBRARIES {
        text.push_str(&format!("{name} = {{ path = \"{name}-{VERSION}\" }}\n"));
    }
    text
}
