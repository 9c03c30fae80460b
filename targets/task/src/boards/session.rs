//! A machine under the plugin's control: it stops at exact stores to flash, is looked at, and goes on or is
//! switched off.

use super::machine::Machine;
use crate::Failure;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

/// How long a machine may take from one stop to the next.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running machine. It is switched off when this goes.
pub(super) struct Session<'m> {
    machine: &'m Machine<'m>,
    child: Child,
    control: UnixStream,
    monitor: BufReader<UnixStream>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Whatever it says: there is nothing else to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'m> Session<'m> {
    /// Starts the image with this command and these options of QEMU, and stops it at its first store to
    /// `stores`, as the plugin takes them.
    ///
    /// # Errors
    /// The machine does not start, or never stores anything there.
    pub(super) fn start(
        machine: &'m Machine<'m>,
        command: &str,
        stores: &str,
        options: &str,
    ) -> Result<Self, Failure> {
        Self::try_start(machine, command, stores, options).map_err(|error| {
            Failure::Failed(format!("the image {command:?} under the plugin: {error}"))
        })
    }

    fn try_start(
        machine: &'m Machine<'m>,
        command: &str,
        stores: &str,
        options: &str,
    ) -> io::Result<Self> {
        // Short names: a socket's is at most 107 bytes long.
        let socket = |name| env::temp_dir().join(format!("kausaldb-{}.{name}", process::id()));
        let [control, monitor]: [PathBuf; 2] = [socket("control"), socket("monitor")];
        for path in [&control, &monitor] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let listener = UnixListener::bind(&control)?;
        let plugin = machine.plugin().display().to_string();
        let options = format!(
            "{options} -qmp unix:{},server=on,wait=off -plugin {plugin},stores={stores},control={}",
            monitor.display(),
            control.display()
        );
        let mut child = machine.command(&[command], &options);
        let mut child =
            child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        listener.set_nonblocking(true)?;
        let end = Instant::now() + PATIENCE;
        let control = loop {
            match listener.accept() {
                Ok((control, _)) => break control,
                Err(_) if Instant::now() < end && child.try_wait()?.is_none() => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => {
                    child.kill()?;
                    child.wait()?;
                    return Err(error);
                }
            }
        };
        control.set_nonblocking(false)?;
        control.set_read_timeout(Some(PATIENCE))?;
        let monitor = UnixStream::connect(&monitor)?;
        monitor.set_read_timeout(Some(PATIENCE))?;
        let monitor = BufReader::new(monitor);
        let mut session = Self { machine, child, control, monitor };
        session.answer()?;
        session.ask("{\"execute\":\"qmp_capabilities\"}")?;
        session.stopped()?;
        Ok(session)
    }

    /// Goes on up to the store with this number, counted from 1; it is behind the one that was stopped at.
    ///
    /// # Errors
    /// The machine ends before.
    pub(super) fn go_on(&mut self, store: u64) -> Result<(), Failure> {
        let went = self.control.write_all(&store.to_le_bytes()).and_then(|()| self.stopped());
        went.map_err(|error| Failure::Failed(format!("no store {store} comes: {error}")))
    }

    fn stopped(&mut self) -> io::Result<()> {
        self.control.read_exact(&mut [0; 8])
    }

    /// These bytes of the machine's memory.
    ///
    /// # Errors
    /// QEMU does not hand them out.
    pub(super) fn memory(&mut self, address: u64, bytes: usize) -> Result<Vec<u8>, Failure> {
        let file = "memory.bin";
        let order = format!(
            "{{\"execute\":\"memsave\",\"arguments\":{{\"val\":{address},\"size\":{bytes},\
             \"filename\":\"{file}\"}}}}"
        );
        let read = self.ask(&order).and_then(|()| fs::read(self.machine.work.join(file)));
        read.map_err(|error| Failure::Failed(format!("the machine's memory: {error}")))
    }

    fn ask(&mut self, order: &str) -> io::Result<()> {
        writeln!(self.monitor.get_mut(), "{order}")?;
        self.answer()
    }

    /// Waits for an answer; what happened meanwhile is said on lines of its own.
    fn answer(&mut self) -> io::Result<()> {
        loop {
            let mut line = String::new();
            self.monitor.read_line(&mut line)?;
            match line.as_str() {
                line if line.contains("\"return\"") || line.contains("\"QMP\"") => return Ok(()),
                line if line.contains("\"event\"") => {}
                _ => return Err(io::Error::other(line)),
            }
        }
    }
}
