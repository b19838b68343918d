//! What `up` made, written down before it is made, so that `down` finds it whatever happened between.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use mesh_tests::binaries::Binaries;
use mesh_tests::error::Context as _;
use mesh_tests::host::{Host, Place, name_of};
use mesh_tests::process::{Found, daemons_inside};
use mesh_tests::{Error, Netns, Result};
use serde::{Deserialize, Serialize};

/// The file that makes a directory a lab's.
const FILE: &str = "lab.json";

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registry {
    /// The loopback port of each host without a namespace, in order; empty when all have one.
    pub(crate) ports: Vec<u16>,
    /// How many hosts.
    pub(crate) nodes: usize,
    /// Whether nobody had named a network namespace on this machine before.
    pub(crate) first_names: bool,
    /// The directory; not part of the file.
    #[serde(skip)]
    pub(crate) dir: PathBuf,
}

/// Names another directory than the user's own, for a second cluster beside the first (without
/// namespaces: their names are taken).
const DIR: &str = "MESH_LAB_DIR";

/// Where this user's cluster keeps its things.
pub(crate) fn lab_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os(DIR) {
        return Ok(dir.into());
    }
    if nix::unistd::geteuid().is_root() {
        return Ok("/run/mesh-lab".into());
    }
    if let Some(dir) = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| Path::new(dir).is_dir()) {
        return Ok(Path::new(&dir).join("mesh-lab"));
    }
    let exe = std::env::current_exe().context("find the running program")?;
    let target = exe.ancestors().nth(2).ok_or("the running program has no directory")?;
    Ok(target.join("lab"))
}

impl Registry {
    /// The cluster that is up, if one is.
    pub(crate) fn load() -> Result<Option<Self>> {
        let dir = lab_dir()?;
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).context(format!("read {}", path.display()))?;
        let registry: Self = serde_json::from_str(&text).map_err(|error| {
            Error::Failed(format!("{} is not understood: {error}", path.display()))
        })?;
        Ok(Some(Self { dir, ..registry }))
    }

    /// The cluster that is up.
    pub(crate) fn require() -> Result<Self> {
        Self::load()?.ok_or_else(|| "no cluster is up; start one with `scripts/cluster up`".into())
    }

    /// Writes down what is about to be made.
    pub(crate) fn save(&self) -> Result<()> {
        fs::create_dir_all(&self.dir).context(format!("make {}", self.dir.display()))?;
        let path = self.dir.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        fs::write(&path, text + "\n").context(format!("write {}", path.display()))
    }

    /// Whether the hosts have namespaces.
    pub(crate) fn has_namespaces(&self) -> bool {
        self.ports.is_empty()
    }

    /// The name of the namespace between the hosts.
    pub(crate) fn hub_netns(&self) -> String {
        "mesh-lab-hub".to_owned()
    }

    /// The name of a host's namespace.
    pub(crate) fn netns_of(&self, number: usize) -> String {
        format!("mesh-lab-{}", name_of(number))
    }

    /// All names of namespaces the cluster uses.
    pub(crate) fn netns_names(&self) -> Vec<String> {
        if !self.has_namespaces() {
            return Vec::new();
        }
        let hosts = (1..=self.nodes).map(|number| self.netns_of(number));
        hosts.chain([self.hub_netns()]).collect()
    }

    /// The host called `name`.
    pub(crate) fn number(&self, name: &str) -> Result<usize> {
        (1..=self.nodes).find(|&number| name_of(number) == name).ok_or_else(|| {
            Error::Failed(format!("no host `{name}`; there are n1 to n{}", self.nodes))
        })
    }

    /// A host, to drive it. Its namespace must exist.
    pub(crate) fn host(&self, number: usize) -> Result<Host> {
        let place = match self.ports.get(number - 1) {
            Some(port) => Place::Loopback(SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port)),
            None => Place::Namespace(Netns::open(&self.netns_of(number))?.into()),
        };
        let dir = self.dir.join(name_of(number));
        Host::new(number, &dir, place, &Binaries::find()?)
    }

    /// The running daemons of the cluster.
    pub(crate) fn daemons(&self) -> Result<Vec<Found>> {
        daemons_inside(&self.dir)
    }

    /// The running daemon of one host.
    pub(crate) fn daemon_of(&self, host: &Host) -> Result<Option<Found>> {
        let mut daemons = self.daemons()?.into_iter();
        Ok(daemons.find(|daemon| daemon.state_dir == host.state_dir()))
    }
}
