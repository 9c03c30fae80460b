//! What the tasks need beside a Rust toolchain, and how it gets onto a machine.
//!
//! Three lists hold all of it: [`COMPONENTS`] and [`TARGETS`] of the toolchain, which rustup adds, and
//! [`PROGRAMS`] of the system, which apt adds on Debian as root. Anywhere else one line says what to do. What
//! is there already is neither fetched nor asked for over a network.

use crate::steps::Line;
use crate::{Failure, House};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// Parts of the toolchain, each with the program that shows that it is there.
const COMPONENTS: &[(&str, &str)] = &[("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")];

/// The targets for which the core is built; some of them also for the boards' images and the examples.
pub(crate) const TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
    "riscv32imac-unknown-none-elf",
    "aarch64-unknown-none",
    "wasm32-unknown-unknown",
];

/// The targets whose tests run in QEMU's user mode, the variable that says by what, and what it says. The
/// first is big-endian, and the second, too, and of 32 bits.
pub(crate) const FOREIGN: &[(&str, &str, &str)] = &[
    (
        "s390x-unknown-linux-gnu",
        "CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER",
        "qemu-s390x -L /usr/s390x-linux-gnu",
    ),
    (
        "powerpc-unknown-linux-gnu",
        "CARGO_TARGET_POWERPC_UNKNOWN_LINUX_GNU_RUNNER",
        "qemu-ppc -L /usr/powerpc-linux-gnu",
    ),
];

/// Programs of the system, each with the Debian packages that bring it.
const PROGRAMS: &[(&str, &str)] = &[
    ("cc", "gcc libc6-dev"),
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-system-riscv32", "qemu-system-misc"),
    ("qemu-s390x", "qemu-user"),
    ("qemu-ppc", "qemu-user"),
    ("s390x-linux-gnu-gcc", "gcc-s390x-linux-gnu libc6-dev-s390x-cross"),
    ("powerpc-linux-gnu-gcc", "gcc-powerpc-linux-gnu libc6-dev-powerpc-cross"),
];

/// Sees to it that the toolchain has its components and targets and the system its programs.
///
/// # Errors
/// Something is missing and could not be added; the message says what to install.
pub(crate) fn complete(house: &House) -> Result<(), Failure> {
    programs(house)?;
    let sysroot = sysroot(house)?;
    let components = COMPONENTS.iter().filter(|(_, program)| !has_program(&sysroot, program));
    add(house, "component", &components.map(|(name, _)| *name).collect::<Vec<_>>())?;
    let has_target = |target: &&str| sysroot.join("lib/rustlib").join(target).is_dir();
    let foreign = FOREIGN.iter().map(|(target, ..)| *target);
    let targets = TARGETS.iter().copied().chain(foreign).filter(|target| !has_target(target));
    add(house, "target", &targets.collect::<Vec<_>>())
}

/// Where the toolchain that this repository asks for is installed.
fn sysroot(house: &House) -> Result<PathBuf, Failure> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(&house.root).stdin(Stdio::null());
    let output = rustc.output().map_err(|error| {
        Failure::Failed(format!("rustc does not start ({error}); install Rust with rustup"))
    })?;
    if !output.status.success() {
        return Err(Failure::Failed(String::from_utf8_lossy(&output.stderr).trim().into()));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Whether the toolchain has `program`.
fn has_program(sysroot: &Path, program: &str) -> bool {
    sysroot.join("bin").join(program).with_extension(env::consts::EXE_EXTENSION).is_file()
}

/// Adds components or targets to the toolchain.
fn add(house: &House, what: &str, names: &[&str]) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let line = Line::new("rustup", &format!("{what} add {}", names.join(" ")));
    eprintln!("    {line}");
    line.run(house).map_err(|cause| {
        let names = names.join(" and ");
        Failure::Failed(format!(
            "this Rust lacks the {what} {names}, and \"{line}\" failed: {cause}"
        ))
    })
}

/// Adds what the system lacks.
fn programs(house: &House) -> Result<(), Failure> {
    let missing = PROGRAMS.iter().filter(|(program, _)| !on_path(program));
    let (names, packages): (Vec<_>, Vec<_>) = missing.copied().unzip();
    if names.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !Path::new("/etc/debian_version").exists() || !is_root() {
        let names = names.join(" and ");
        return Err(Failure::Failed(format!(
            "{names} is missing: install it (on Debian, as root: {install})"
        )));
    }
    let apt =
        |arguments: &str| Line::new("apt-get", arguments).with("DEBIAN_FRONTEND", "noninteractive");
    let install = apt(install.trim_start_matches("apt-get "));
    eprintln!("    {install}");
    // The lists of a fresh image are empty or old; installing from those that are there costs no network.
    install.run(house).or_else(|_| apt("update").run(house).and_then(|()| install.run(house)))
}

/// Whether a program of this name lies in a folder of `PATH`.
fn on_path(program: &str) -> bool {
    let name = Path::new(program).with_extension(env::consts::EXE_EXTENSION);
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(&name).is_file())
}

/// Whether the user may install packages: the owner of this process is number 0.
fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    user.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_these_tests_is_found_and_what_is_nowhere_is_not() {
        let Ok(sysroot) = sysroot(&House::locate()) else { panic!("no sysroot") };
        assert!(has_program(&sysroot, "rustc"));
        assert!(!has_program(&sysroot, "no-such-program"));
        assert!(!on_path("no-such-program"));
    }

    #[test]
    fn no_list_names_a_thing_twice() {
        for (at, target) in TARGETS.iter().enumerate() {
            assert!(!TARGETS[..at].contains(target));
        }
        for (at, (program, packages)) in PROGRAMS.iter().enumerate() {
            assert!(PROGRAMS[..at].iter().all(|(other, _)| other != program));
            assert!(!packages.is_empty());
        }
    }
}
