//! One WireGuard interface and the process behind it.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Pid;
use tempfile::{NamedTempFile, TempDir};

use super::key::PublicKey;
use super::program::Program;
use super::uapi::{Changes, Peer, Socket, State};
use crate::daemon::{self, Daemon};
use crate::error::{Context as _, Error, Result};
use crate::link;
use crate::netns::Netns;
use crate::wait::eventually;

/// How long a program may take to open its socket.
const START_LIMIT: Duration = Duration::from_secs(15);

/// An interface. Dropped, the process behind it is ended, and the interface with it.
#[derive(Debug)]
pub struct Device {
    process: Daemon,
    netns: Arc<Netns>,
    interface: String,
    socket: Socket,
    log: NamedTempFile,
    // What it remembers is nothing to the host, or to another device of that name. After the process, which writes there.
    _memory: TempDir,
}

impl Device {
    /// Starts `program` inside `netns` and waits until it can be configured. The interface is down and
    /// without addresses.
    pub fn start(program: &Program, netns: &Arc<Netns>) -> Result<Self> {
        /// Namespaces are apart, but they share the one directory of sockets.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let interface = format!("wg{}-{number}", std::process::id());
        let socket = Socket::of(&interface);
        let log = NamedTempFile::new().context("make a log file")?;
        let memory = memory().context("make a state directory")?;
        let command = program.command(&interface, memory.path());
        let process = Daemon::start(command, Some(netns), log.path())?;
        let netns = netns.clone();
        let mut device = Self { process, netns, interface, socket, log, _memory: memory };
        let opened = eventually(START_LIMIT, "the configuration socket is there", || {
            let ended = device.process.poll_exit();
            (ended.is_some() || device.socket.answers()).then_some(ended)
        });
        match opened {
            Ok(None) => Ok(device),
            Ok(Some(status)) => {
                Err(Error::Failed(format!("it ended at once: {status}\n{}", device.log())))
            }
            Err(error) => Err(Error::Failed(format!("{error}\n{}", device.log()))),
        }
    }

    /// What the interface is called.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Where it is.
    pub fn netns(&self) -> &Arc<Netns> {
        &self.netns
    }

    /// Its configuration socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The process behind it.
    pub fn process(&mut self) -> &mut Daemon {
        &mut self.process
    }

    /// The id of that process.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// What the process has printed.
    pub fn log(&self) -> String {
        daemon::read_log(self.log.path())
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.poll_exit().is_none()
    }

    /// Changes its configuration.
    pub fn set(&self, changes: &Changes) -> Result<()> {
        self.socket.set(changes)
    }

    /// What it says of itself.
    pub fn get(&self) -> Result<State> {
        self.socket.get()
    }

    /// What it says of one peer.
    pub fn peer(&self, key: PublicKey) -> Result<Peer> {
        let unknown = || Error::Failed(format!("{} knows no peer {key}", self.interface));
        self.get()?.peers.remove(&key).ok_or_else(unknown)
    }

    /// Gives it an address with the neighbours of `prefix` bits behind it.
    pub fn add_address(&self, address: IpAddr, prefix: u8) -> Result<()> {
        link::add_address(&self.netns, &self.interface, address, prefix)
    }

    /// Switches it on.
    pub fn up(&self) -> Result<()> {
        link::up(&self.netns, &self.interface)
    }

    /// Chooses the longest packet it takes.
    pub fn set_mtu(&self, mtu: u32) -> Result<()> {
        link::set_mtu(&self.netns, &self.interface, mtu)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // It may have ended by itself. Killed, it leaves its socket behind.
        let _ = self.process.kill();
        let _ = std::fs::remove_file(self.socket.path());
        if std::thread::panicking() {
            let tail = daemon::tail(&self.log());
            let text = format!("---- the end of {}'s log ----\n{tail}\n", self.interface);
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
    }
}

/// A directory of the program's own, as a service manager makes it.
fn memory() -> io::Result<TempDir> {
    let private = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("mesh-wg-").permissions(private).tempdir()
}
