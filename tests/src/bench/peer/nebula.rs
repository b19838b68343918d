//! Nebula: certificates from an authority of our own, one file of configuration each.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::{Peer, Program};
use crate::bench::ground::{Ground, OVERLAY_PREFIX, Side};
use crate::bench::programs;
use crate::bench::tunnel::{self, Tunnel};
use crate::error::{Context as _, Result};

/// Nebula's usual port.
const PORT: u16 = 4242;

/// The programs.
#[derive(Debug)]
pub(super) struct Nebula {
    daemon: Program,
    certifier: Program,
}

impl Nebula {
    pub(super) fn find() -> Self {
        let find = |name| programs::find(name).map_err(|error| error.to_string());
        Self { daemon: find("nebula"), certifier: find("nebula-cert") }
    }

    fn certify(&self, dir: &Path, words: &[&str]) -> Result<()> {
        super::run(Command::new(super::path(&self.certifier)?).args(words).current_dir(dir))
    }
}

impl Peer for Nebula {
    fn name(&self) -> &str {
        "nebula"
    }

    fn version(&self) -> Option<String> {
        programs::version(self.daemon.as_deref().ok()?, "-version")
    }

    fn available(&self) -> Result<()> {
        super::available(&self.daemon)?;
        super::available(&self.certifier)
    }

    fn start(&self, ground: &Ground, dir: &Path) -> Result<Tunnel> {
        self.certify(dir, &["ca", "-name", "bench"])?;
        for side in Side::BOTH {
            let address = format!("{}/{OVERLAY_PREFIX}", side.overlay());
            self.certify(dir, &["sign", "-name", side.name(), "-ip", &address])?;
            let path = dir.join(format!("{}.yml", side.name()));
            fs::write(&path, configuration(dir, side))
                .context(format!("write {}", path.display()))?;
        }
        let configured = Instant::now();
        // The far end first: whoever starts knocks once and then waits.
        let mut daemons = Vec::new();
        for side in [Side::Far, Side::Near] {
            let mut command = Command::new(super::path(&self.daemon)?);
            command.arg("-config").arg(dir.join(format!("{}.yml", side.name())));
            daemons.push(tunnel::start(ground, side, command, dir)?);
        }
        Ok(Tunnel::new(daemons, Side::Far.overlay(), configured))
    }
}

fn configuration(dir: &Path, side: Side) -> String {
    let (dir, name, across) = (dir.display(), side.name(), side.across());
    format!(
        "pki: {{ca: {dir}/ca.crt, cert: {dir}/{name}.crt, key: {dir}/{name}.key}}
static_host_map: {{\"{}\": [\"{}:{PORT}\"]}}
lighthouse: {{am_lighthouse: false, hosts: []}}
listen: {{host: 0.0.0.0, port: {PORT}}}
tun: {{dev: mb{name}}}
logging: {{level: warning}}
firewall:
  outbound: [{{port: any, proto: any, host: any}}]
  inbound: [{{port: any, proto: any, host: any}}]
",
        across.overlay(),
        across.underlay(),
    )
}
