//! Programs that behave like wireguard-go: started with the name of an interface, they make it and are
//! configured over its socket.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Peer, Program};
use crate::bench::ground::{Ground, OVERLAY_PREFIX, Side};
use crate::bench::programs;
use crate::bench::tunnel::{self, Tunnel};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::link;
use crate::wait::eventually;
use crate::wireguard::key::SecretKey;
use crate::wireguard::uapi::{Changes, Socket};

/// The interface's MTU, as wg-quick chooses it for a path of 1500.
const MTU: u32 = 1420;

/// The port of both ends; each has a namespace to itself.
const PORT: u16 = 51820;

/// How long a daemon may take to make its interface and open its socket.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Stands for the interface's name among the arguments.
pub(super) const INTERFACE: &str = "{if}";

/// Stands for a directory that goes away with the tunnel.
pub(super) const DIRECTORY: &str = "{dir}";

/// Such a program.
#[derive(Debug)]
pub(super) struct WireGuard {
    pub(super) name: String,
    pub(super) program: Program,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(&'static str, &'static str)>,
    /// What makes it say its version.
    pub(super) version: &'static str,
}

impl WireGuard {
    /// `program`, started with `args`, in which [`INTERFACE`] and [`DIRECTORY`] are replaced.
    pub(super) fn new(name: &str, program: Program, args: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            program,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: Vec::new(),
            version: "--version",
        }
    }

    fn command(&self, interface: &str, dir: &Path) -> Result<Command> {
        let mut command = Command::new(super::path(&self.program)?);
        let dir = dir.to_string_lossy();
        let filled = |arg: &String| arg.replace(INTERFACE, interface).replace(DIRECTORY, &dir);
        command.args(self.args.iter().map(filled));
        command.envs(self.env.iter().copied());
        Ok(command)
    }
}

impl Peer for WireGuard {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> Option<String> {
        programs::version(self.program.as_deref().ok()?, self.version)
    }

    fn available(&self) -> Result<()> {
        super::available(&self.program)
    }

    fn start(&self, ground: &Ground, dir: &Path) -> Result<Tunnel> {
        let mut daemons = Vec::new();
        for side in Side::BOTH {
            let interface = interface_of(side);
            let socket = Socket::of(&interface);
            if socket.answers() {
                return Err(Error::Failed(format!(
                    "a daemon serves {interface} already; another benchmark is running"
                )));
            }
            socket.remove_stale();
            daemons.push(tunnel::start(ground, side, self.command(&interface, dir)?, dir)?);
        }
        for (side, daemon) in Side::BOTH.into_iter().zip(&mut daemons) {
            raise(ground, side, daemon)?;
        }
        let configured = Instant::now();
        configure()?;
        let sockets = Side::BOTH.map(|side| Socket::of(&interface_of(side)).path().to_owned());
        Ok(Tunnel::new(daemons, Side::Far.overlay(), configured).leaving(sockets.to_vec()))
    }
}

/// Waits for an interface, gives it its address and switches it on.
fn raise(ground: &Ground, side: Side, daemon: &mut Daemon) -> Result<()> {
    let (netns, interface) = (ground.end(side), interface_of(side));
    let socket = Socket::of(&interface);
    eventually(START_LIMIT, &format!("{interface} can be configured"), || {
        let is_up = socket.answers() && link::exists(netns, &interface).unwrap_or(false);
        (is_up || daemon.poll_exit().is_some()).then_some(())
    })?;
    if let Some(status) = daemon.poll_exit() {
        return Err(Error::Failed(format!("the {} daemon ended at once: {status}", side.name())));
    }
    link::set_mtu(netns, &interface, MTU)?;
    link::add_address(netns, &interface, side.overlay().into(), OVERLAY_PREFIX)?;
    link::up(netns, &interface)
}

fn configure() -> Result<()> {
    // Known to everybody: the tunnel carries zeroes.
    let secret = |side: Side| SecretKey::numbered(side.number());
    for side in Side::BOTH {
        let across = side.across();
        let changes = Changes::new()
            .private_key(&secret(side))
            .listen_port(PORT)
            .replace_peers()
            .peer(secret(across).public())
            .endpoint(SocketAddr::from((across.underlay(), PORT)))
            .replace_allowed_ips()
            .allowed_ip(&format!("{}/32", across.overlay()));
        Socket::of(&interface_of(side)).set(&changes)?;
    }
    Ok(())
}

/// Sockets of all namespaces lie in one directory: the ends need different names.
fn interface_of(side: Side) -> String {
    format!("mb{}", side.name())
}
