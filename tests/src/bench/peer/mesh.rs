//! A mesh of two hosts with everything on: agreement, gossip, policy and routing beside the packets.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Peer;
use crate::bench::ground::{Ground, Side};
use crate::bench::programs;
use crate::bench::tunnel::{self, Tunnel};
use crate::binaries::Binaries;
use crate::error::{Error, Result};
use crate::host::{Host, Place};
use crate::wait::eventually;

/// How long a daemon may take to open its socket.
const START_LIMIT: Duration = Duration::from_secs(15);

/// The daemon as its users run it.
#[derive(Debug)]
pub(super) struct TwoHosts {
    pub(super) binaries: Result<Binaries, String>,
}

impl TwoHosts {
    fn binaries(&self) -> Result<&Binaries> {
        self.binaries.as_ref().map_err(|reason| reason.clone().into())
    }
}

impl Peer for TwoHosts {
    fn name(&self) -> &str {
        "meshd-mesh"
    }

    fn version(&self) -> Option<String> {
        programs::version(&self.binaries.as_ref().ok()?.meshd, "--version")
    }

    fn available(&self) -> Result<()> {
        self.binaries().map(drop)
    }

    fn start(&self, ground: &Ground, dir: &Path) -> Result<Tunnel> {
        let mut daemons = Vec::new();
        let mut hosts = Vec::new();
        for side in Side::BOTH {
            let place = Place::Namespace(Arc::clone(ground.end(side)));
            let host = Host::new(side.number(), &dir.join(side.name()), place, self.binaries()?)?;
            daemons.push(tunnel::start(ground, side, host.command(), dir)?);
            hosts.push(host);
        }
        for (host, daemon) in hosts.iter().zip(&mut daemons) {
            eventually(START_LIMIT, &format!("{} opens its socket", host.name()), || {
                let is_open = UnixStream::connect(host.socket()).is_ok();
                (is_open || daemon.poll_exit().is_some()).then_some(())
            })?;
        }
        let [near, far] = hosts.as_slice() else {
            return Err(Error::Failed("a mesh of two hosts has two hosts".to_owned()));
        };
        near.init()?;
        let token = near.invite(1)?.token;
        let configured = Instant::now();
        far.join(&token)?;
        let (_, addresses) = far.membership()?;
        Ok(Tunnel::new(daemons, addresses.v4, configured))
    }
}
