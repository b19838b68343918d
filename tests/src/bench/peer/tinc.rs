//! tinc 1.0 in router mode: an RSA key each, the near end connects to the far one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Peer, Program};
use crate::bench::ground::{Ground, OVERLAY_PREFIX, Side};
use crate::bench::programs;
use crate::bench::tunnel::{self, Tunnel};
use crate::error::{Context as _, Result};
use crate::link;
use crate::wait::eventually;

/// How long a daemon may take to make its interface.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The program.
#[derive(Debug)]
pub(super) struct Tinc {
    daemon: Program,
}

impl Tinc {
    pub(super) fn find() -> Self {
        Self { daemon: programs::find("tincd").map_err(|error| error.to_string()) }
    }

    fn command(&self, dir: &Path, side: Side) -> Result<Command> {
        let mut command = Command::new(super::path(&self.daemon)?);
        command.arg("--config").arg(home(dir, side));
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// Writes one end's configuration and makes its key.
    fn prepare(&self, dir: &Path, side: Side) -> Result<()> {
        let home = home(dir, side);
        let (name, across) = (side.name(), side.across().name());
        fs::create_dir_all(home.join("hosts")).context(format!("make {}", home.display()))?;
        let connect = match side {
            Side::Near => format!("ConnectTo = {across}\n"),
            Side::Far => String::new(),
        };
        let own = format!("Name = {name}\nInterface = mb{name}\nAddressFamily = ipv4\n{connect}");
        fs::write(home.join("tinc.conf"), own).context("write tinc.conf")?;
        let public = format!("Address = {}\nSubnet = {}/32\n", side.underlay(), side.overlay());
        fs::write(home.join("hosts").join(name), public).context("write a host file")?;
        super::run(self.command(dir, side)?.arg("--generate-keys=2048"))
    }
}

impl Peer for Tinc {
    fn name(&self) -> &str {
        "tinc"
    }

    fn version(&self) -> Option<String> {
        programs::version(self.daemon.as_deref().ok()?, "--version")
    }

    fn available(&self) -> Result<()> {
        super::available(&self.daemon)
    }

    fn start(&self, ground: &Ground, dir: &Path) -> Result<Tunnel> {
        for side in Side::BOTH {
            self.prepare(dir, side)?;
        }
        for side in Side::BOTH {
            let public = Path::new("hosts").join(side.name());
            fs::copy(home(dir, side).join(&public), home(dir, side.across()).join(&public))
                .context("hand over a host file")?;
        }
        // The near end knocks once and then waits for seconds: the far one must be there.
        let far = self.raise(ground, Side::Far, dir)?;
        let configured = Instant::now();
        let near = self.raise(ground, Side::Near, dir)?;
        Ok(Tunnel::new(vec![near, far], Side::Far.overlay(), configured))
    }
}

impl Tinc {
    /// Starts one end's daemon and gives its interface an address.
    fn raise(&self, ground: &Ground, side: Side, dir: &Path) -> Result<crate::daemon::Daemon> {
        let mut command = self.command(dir, side)?;
        command.arg("--no-detach").arg("--pidfile").arg(home(dir, side).join("pid"));
        let daemon = tunnel::start(ground, side, command, dir)?;
        let (netns, interface) = (ground.end(side), format!("mb{}", side.name()));
        eventually(START_LIMIT, &format!("{interface} is there"), || {
            link::exists(netns, &interface).unwrap_or(false).then_some(())
        })?;
        link::add_address(netns, &interface, side.overlay().into(), OVERLAY_PREFIX)?;
        link::up(netns, &interface)?;
        Ok(daemon)
    }
}

fn home(dir: &Path, side: Side) -> PathBuf {
    dir.join(side.name())
}
