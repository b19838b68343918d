//! One host of a lab: a directory, a place in the network, and a daemon that comes and goes.

mod handed;
mod verbs;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use crate::binaries::Binaries;
use crate::daemon::{self, Daemon};
use crate::error::{Context as _, Error, Result};
use crate::fabric::{underlay_v4, underlay_v6};
use crate::netns::Netns;
use crate::wait::eventually;

/// The UDP port of daemons that have a namespace to themselves.
pub const PORT: u16 = 51820;

/// The mesh interface of daemons that have a namespace to themselves.
pub const INTERFACE: &str = "mesh0";

/// How long a daemon may take to open its socket: it is there in a tenth of a second, unless the
/// machine is building something beside it.
const START_LIMIT: Duration = Duration::from_secs(15);

/// Where a host's packets are.
#[derive(Debug)]
pub enum Place {
    /// A network of its own, with a TUN device.
    Namespace(Arc<Netns>),
    /// A port of this machine's loopback, without a TUN device.
    Loopback(SocketAddrV4),
}

/// A host.
#[derive(Debug)]
pub struct Host {
    number: usize,
    dir: PathBuf,
    place: Place,
    binaries: Binaries,
    interface: String,
    extra_args: Vec<String>,
    extra_env: Vec<(String, String)>,
    handed: Option<UnixListener>,
    outlives_us: bool,
    daemon: Option<Daemon>,
}

impl Host {
    /// A host that keeps its things in `dir`. Its daemon is not started.
    pub fn new(number: usize, dir: &Path, place: Place, binaries: &Binaries) -> Result<Self> {
        std::fs::create_dir_all(dir).context(format!("make {}", dir.display()))?;
        Ok(Self {
            number,
            dir: dir.to_owned(),
            place,
            binaries: binaries.clone(),
            interface: INTERFACE.to_owned(),
            extra_args: Vec::new(),
            extra_env: Vec::new(),
            handed: None,
            outlives_us: false,
            daemon: None,
        })
    }

    /// Its number, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its name in the mesh.
    pub fn name(&self) -> String {
        name_of(self.number)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where its daemon keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Its daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("meshd.sock")
    }

    /// Where its daemon's output goes.
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("meshd.log")
    }

    /// Everything its daemon printed, in all its runs.
    pub fn log(&self) -> String {
        daemon::read_log(&self.log_path())
    }

    /// The last lines of that, under a title.
    pub fn log_tail(&self) -> String {
        let tail = daemon::tail(&self.log());
        format!("---- the end of {}'s log ----\n{tail}\n", self.name())
    }

    /// Its namespace.
    ///
    /// # Panics
    /// When it has none: the test asked for the wrong lab.
    pub fn netns(&self) -> &Netns {
        match &self.place {
            Place::Namespace(netns) => netns,
            Place::Loopback(_) => panic!("{} has no namespace", self.name()),
        }
    }

    /// Its namespace, shared, for work that goes on while the host is started and stopped.
    ///
    /// # Panics
    /// When it has none.
    pub fn netns_handle(&self) -> Arc<Netns> {
        match &self.place {
            Place::Namespace(netns) => Arc::clone(netns),
            Place::Loopback(_) => panic!("{} has no namespace", self.name()),
        }
    }

    /// Where its packets are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where other daemons reach its daemon, best first.
    pub fn endpoints(&self) -> Vec<SocketAddr> {
        match self.place {
            Place::Namespace(_) => {
                [IpAddr::V4(underlay_v4(self.number)), IpAddr::V6(underlay_v6(self.number))]
                    .map(|address| SocketAddr::new(address, PORT))
                    .to_vec()
            }
            Place::Loopback(endpoint) => vec![endpoint.into()],
        }
    }

    /// Runs `binaries` from the next start on, and for what its operator says from now on.
    pub fn install(&mut self, binaries: &Binaries) {
        self.binaries = binaries.clone();
    }

    /// Calls its mesh interface `name` from the next start on: namespaces are apart, but `wg` looks for all their
    /// interfaces in one directory.
    pub fn name_interface(&mut self, name: &str) {
        name.clone_into(&mut self.interface);
    }

    /// More arguments for the daemon's next start.
    pub fn extra_args(&mut self, args: &[&str]) {
        self.extra_args = args.iter().map(|&arg| arg.to_owned()).collect();
    }

    /// The environment of the daemon's next starts has these too, and none of those named before.
    pub fn extra_env(&mut self, variables: &[(&str, &str)]) {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        self.extra_env = variables.iter().map(owned).collect();
    }

    /// Hands `listener` over at each start from the next on, as a service manager does.
    pub fn hand_over(&mut self, listener: UnixListener) {
        self.handed = Some(listener);
    }

    /// The daemon's next start makes it independent of our terminal, so that it can be
    /// [detached](Self::detach).
    pub fn outlive_us(&mut self) {
        self.outlives_us = true;
    }

    /// The daemon's command line.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binaries.meshd);
        command
            .arg("run")
            .arg("--state-dir")
            .arg(self.state_dir())
            .arg("--socket")
            .arg(self.socket())
            .args(["--name", &self.name()]);
        match self.place {
            Place::Namespace(_) => {
                command.args(["--tun", &self.interface, "--listen", &PORT.to_string()]);
            }
            Place::Loopback(endpoint) => {
                command.args(["--tun", "none", "--listen", &endpoint.to_string()]);
            }
        }
        command.args(&self.extra_args);
        if self.outlives_us {
            command.process_group(0);
        }
        // Whatever the machine's own daemon is told is not for this one.
        for variable in [
            "MESHD_CONFIG",
            "MESHD_NAME",
            "MESHD_LOG",
            "MESHD_LOG_FORMAT",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "MESHD_FAILPOINTS",
        ] {
            command.env_remove(variable);
        }
        command.env("CONFIGURATION_DIRECTORY", &self.dir);
        command.envs(self.extra_env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the daemon and waits until its socket answers.
    pub fn start(&mut self) -> Result<()> {
        self.start_unready()?;
        self.wait_started()
    }

    /// Waits until the socket of a daemon answers that was just started.
    pub fn wait_started(&mut self) -> Result<()> {
        let socket = self.socket();
        let name = self.name();
        let daemon = self.running()?;
        let answered = eventually(START_LIMIT, "the daemon opens its socket", || {
            if let Some(status) = daemon.poll_exit() {
                return Some(Err(status));
            }
            UnixStream::connect(&socket).ok().map(|_| Ok(()))
        });
        match answered {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => Err(Error::Failed(format!(
                "the daemon of {name} ended at once: {status}\n{}",
                daemon::tail(&self.log())
            ))),
            Err(error) => {
                Err(Error::Failed(format!("{name}: {error}\n{}", daemon::tail(&self.log()))))
            }
        }
    }

    /// Starts the daemon without waiting for anything.
    pub fn start_unready(&mut self) -> Result<()> {
        if self.daemon.as_mut().is_some_and(|d| d.poll_exit().is_none()) {
            return Err(Error::Failed(format!("{} is running", self.name())));
        }
        let command = match &self.handed {
            Some(listener) => handed::with(&self.command(), listener)?,
            None => self.command(),
        };
        let daemon = self.start_beside(command, &self.log_path())?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Starts another program in this host's network, beside its daemon.
    pub fn start_beside(&self, command: Command, log: &Path) -> Result<Daemon> {
        let netns = match &self.place {
            Place::Namespace(netns) => Some(&**netns),
            Place::Loopback(_) => None,
        };
        Daemon::start(command, netns, log)
    }

    /// The running daemon.
    pub fn running(&mut self) -> Result<&mut Daemon> {
        let name = self.name();
        self.daemon
            .as_mut()
            .ok_or_else(|| Error::Failed(format!("the daemon of {name} was not started")))
    }

    /// The daemon's process id.
    pub fn pid(&self) -> Option<Pid> {
        self.daemon.as_ref().map(Daemon::pid)
    }

    /// Asks the daemon to end and waits for it.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        let status = self.running()?.terminate()?;
        self.daemon = None;
        Ok(status)
    }

    /// Kills the daemon. No power cut: what it wrote to its files is in them.
    pub fn kill(&mut self) -> Result<()> {
        self.running()?.kill()?;
        self.daemon = None;
        Ok(())
    }

    /// Waits for a daemon that ends by itself.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let status = self.running()?.wait_exit(limit)?;
        self.daemon = None;
        Ok(status)
    }

    /// Whether the daemon runs.
    pub fn is_running(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(|d| d.poll_exit().is_none())
    }

    /// Lets the daemon run on when this value is gone.
    pub fn detach(&mut self) -> Option<Pid> {
        self.daemon.take().map(Daemon::detach)
    }
}

/// The name of host `number`.
pub fn name_of(number: usize) -> String {
    format!("n{number}")
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The reader of a failed test needs this more than anything else.
            let _ = std::io::stderr().write_all(self.log_tail().as_bytes());
        }
    }
}
