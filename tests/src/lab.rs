//! A lab: a few hosts and what connects them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_model::api::v1::Supervisor;
use mesh_model::id::MemberId;

use crate::binaries::Binaries;
use crate::error::{Context as _, Error, Result};
use crate::fabric::Fabric;
use crate::host::{Host, Place, name_of};
use crate::loopback::Claim;
use crate::netns::Netns;
use crate::wait::eventually;
use crate::wire::Wire;

/// How long a cluster may take to agree on something after whatever happened to it: elections end in
/// a few seconds, gossip gives up on a member in about ten.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Hosts and their fabric. Dropped, everything it made is gone.
#[derive(Debug)]
pub struct Lab {
    // Before the directory and the fabric, so that daemons end before what they stand on.
    hosts: Vec<Host>,
    fabric: Option<Fabric>,
    dir: PathBuf,
    binaries: Binaries,
    errors_expected: bool,
    logs_judged: bool,
    claims: Vec<Claim>,
    _owned_dir: Option<tempfile::TempDir>,
}

impl Lab {
    /// `hosts` hosts on a kernel bridge, none a member of anything.
    pub fn bridged(hosts: usize) -> Result<Self> {
        Self::in_namespaces(hosts, Fabric::bridge(Netns::anonymous("hub")?)?)
    }

    /// `hosts` hosts on a kernel bridge or, where the kernel has none, on our own wire.
    pub fn switched(hosts: usize) -> Result<Self> {
        let fabric = Fabric::bridge(Netns::anonymous("hub")?);
        Self::in_namespaces(hosts, fabric.or_else(|_| Wire::new(0).map(Fabric::Wire))?)
    }

    /// `hosts` hosts on our own wire, none a member of anything. `seed` decides its losses.
    pub fn wired(hosts: usize, seed: u64) -> Result<Self> {
        Self::in_namespaces(hosts, Fabric::Wire(Wire::new(seed)?))
    }

    /// `hosts` hosts on loopback, none a member of anything. Needs no rights.
    pub fn rootless(hosts: usize) -> Result<Self> {
        let mut lab = Self::empty(None)?;
        for _ in 0..hosts {
            lab.add_loopback_host(Ipv4Addr::LOCALHOST)?;
        }
        Ok(lab)
    }

    /// Two hosts on loopback: the first votes and leads, the second follows.
    pub fn pair() -> Result<Self> {
        let mut lab = Self::rootless(2)?;
        lab.found()?;
        let token = lab.host(1).invite(1)?.token;
        lab.host(2).join(&token)?;
        lab.wait_equal_state(2)?;
        Ok(lab)
    }

    /// `hosts` hosts on loopback, each with an address of its own, as hosts of different places have: what is limited
    /// per source is not shared between them. Needs no rights.
    pub fn scattered(hosts: usize) -> Result<Self> {
        let mut lab = Self::empty(None)?;
        for _ in 0..hosts {
            lab.add_scattered_host()?;
        }
        Ok(lab)
    }

    fn in_namespaces(hosts: usize, fabric: Fabric) -> Result<Self> {
        let mut lab = Self::empty(Some(fabric))?;
        for _ in 0..hosts {
            lab.add_namespace_host()?;
        }
        Ok(lab)
    }

    fn empty(fabric: Option<Fabric>) -> Result<Self> {
        // Short, because the path of a unix socket has at most 107 bytes.
        let dir = tempfile::Builder::new().prefix("mesh-").tempdir().context("make a directory")?;
        Ok(Self {
            hosts: Vec::new(),
            fabric,
            dir: dir.path().to_owned(),
            binaries: Binaries::find()?,
            errors_expected: false,
            logs_judged: false,
            claims: Vec::new(),
            _owned_dir: Some(dir),
        })
    }

    /// One more host with a namespace of its own, plugged in, its daemon not started; its number.
    pub fn add_namespace_host(&mut self) -> Result<usize> {
        let number = self.hosts.len() + 1;
        let netns = Netns::anonymous(&name_of(number))?;
        self.fabric()?.attach(number, &netns)?;
        self.add(Place::Namespace(Arc::new(netns)))
    }

    /// One more host with a loopback address of its own, its daemon not started; its number.
    pub fn add_scattered_host(&mut self) -> Result<usize> {
        let [high, low] = (self.hosts.len() as u16 + 1).to_be_bytes();
        self.add_loopback_host(Ipv4Addr::new(127, 77, high, low))
    }

    fn add_loopback_host(&mut self, address: Ipv4Addr) -> Result<usize> {
        let claim = Claim::next(address)?;
        let place = Place::Loopback(claim.at());
        self.claims.push(claim);
        self.add(place)
    }

    fn add(&mut self, place: Place) -> Result<usize> {
        let number = self.hosts.len() + 1;
        let dir = self.dir.join(name_of(number));
        self.hosts.push(Host::new(number, &dir, place, &self.binaries)?);
        Ok(number)
    }

    /// Starts all daemons and makes host 1 the founder.
    pub fn found(&mut self) -> Result<()> {
        for host in &mut self.hosts {
            host.start()?;
        }
        self.host(1).init().map(drop)
    }

    /// The same, lets the others join one by one, and waits until all agree.
    pub fn form(&mut self) -> Result<()> {
        self.found()?;
        if self.hosts.len() > 1 {
            let token = self.host(1).invite(self.hosts.len() as u32 - 1)?.token;
            for host in &self.hosts[1..] {
                host.join(&token)?;
            }
        }
        self.wait_ready()?;
        self.wait_voters()
    }

    /// Waits until as many members vote as will: the largest odd number up to three. Only then does the
    /// mesh survive the loss of its supervisor.
    pub fn wait_voters(&self) -> Result<()> {
        wait_voters(&self.hosts)
    }

    /// The same where only the first `members` hosts are members.
    pub fn wait_voters_among(&self, members: usize) -> Result<()> {
        wait_voters(&self.hosts[..members])
    }

    /// Waits until every running daemon says it is ready.
    pub fn wait_ready(&mut self) -> Result<()> {
        for host in &mut self.hosts {
            if host.is_running() {
                host.wait_for("ready", SETTLE_LIMIT)?;
            }
        }
        Ok(())
    }

    /// Host `number`, from 1.
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number - 1]
    }

    /// Host `number`, from 1, to start or stop it.
    pub fn host_mut(&mut self, number: usize) -> &mut Host {
        &mut self.hosts[number - 1]
    }

    /// All hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The wire between the hosts.
    ///
    /// # Panics
    /// When the lab has none.
    pub fn wire(&self) -> &Wire {
        self.fabric.as_ref().expect("a lab with a wire").wire()
    }

    /// What the hosts' cables are plugged into.
    pub fn fabric(&self) -> Result<&Fabric> {
        self.fabric
            .as_ref()
            .ok_or_else(|| Error::Failed("a lab on loopback has no fabric".to_owned()))
    }

    /// Whether the hosts have namespaces and TUN devices.
    pub fn has_namespaces(&self) -> bool {
        self.fabric.is_some()
    }

    /// A directory of the lab's own.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The programs under test.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Daemons of this lab will log errors, and should: do not fail for them.
    pub fn expect_errors(&mut self) {
        self.errors_expected = true;
    }

    /// The number of the host that has member id `member`.
    pub fn number_of(&self, member: MemberId) -> Result<usize> {
        self.hosts
            .iter()
            .find(|host| host.membership().is_ok_and(|(id, _)| id == member))
            .map(Host::number)
            .ok_or_else(|| Error::Failed(format!("no running host is {member}")))
    }

    /// The number of the host that leads, as seen by host `witness`, once it sees one other than
    /// `not`.
    pub fn leader_seen_by(
        &self,
        witness: usize,
        not: Option<MemberId>,
    ) -> Result<(usize, Supervisor)> {
        let seen = eventually(SETTLE_LIMIT, "a supervisor is known", || {
            let seen = self.host(witness).supervisor().ok()?;
            (seen.leader.is_some() && seen.leader != not).then_some(seen)
        })?;
        let leader = seen.leader.ok_or("no supervisor")?;
        Ok((self.number_of(leader)?, seen))
    }

    /// Makes some other host than `number` the supervisor, by restarting the daemon of `number` if it
    /// leads; the supervisor's number.
    pub fn lead_elsewhere(&mut self, number: usize) -> Result<usize> {
        loop {
            let (leader, seen) = self.leader_seen_by(number, None)?;
            if leader != number {
                return Ok(leader);
            }
            self.host_mut(number).terminate()?;
            let witness = 1 + number % self.hosts.len();
            self.leader_seen_by(witness, seen.leader)?;
            self.host_mut(number).start()?;
            self.wait_ready()?;
        }
    }

    /// Waits until all running members show the same state hash at the same applied index and the same
    /// number of members.
    pub fn wait_equal_state(&mut self, members: usize) -> Result<()> {
        let running: Vec<usize> =
            (1..=self.hosts.len()).filter(|&number| self.host_mut(number).is_running()).collect();
        let running: Vec<&Host> = running.into_iter().map(|number| self.host(number)).collect();
        wait_equal_state(&running, members)
    }

    /// An error when a daemon panicked, or logged an error that nobody expects.
    pub fn check_logs(&self) -> Result<()> {
        for host in &self.hosts {
            let log = host.log();
            let wrong = log.lines().find(|line| {
                line.contains("panicked at") || (!self.errors_expected && line.contains(" ERROR "))
            });
            if let Some(line) = wrong {
                return Err(Error::Failed(format!("the daemon of {} logged: {line}", host.name())));
            }
        }
        Ok(())
    }

    /// Copies each daemon's log to `dir`, for whoever must find out what went wrong. The logs count as judged by that.
    pub fn keep_logs(&mut self, dir: &Path) -> Result<()> {
        self.logs_judged = true;
        std::fs::create_dir_all(dir).context(format!("make {}", dir.display()))?;
        for host in &self.hosts {
            let kept = dir.join(format!("{}.log", host.name()));
            std::fs::copy(host.log_path(), &kept).context(format!("write {}", kept.display()))?;
        }
        Ok(())
    }

    /// The last lines of each daemon's log, for whoever must find out what went wrong. The logs count
    /// as judged by that.
    pub fn show_logs(&mut self) -> String {
        self.logs_judged = true;
        self.hosts.iter().map(Host::log_tail).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() || self.logs_judged {
            return;
        }
        if let Err(error) = self.check_logs() {
            panic!("{error}");
        }
    }
}

/// Waits until each of `hosts` sees as many voters as there will be among them.
pub fn wait_voters(hosts: &[Host]) -> Result<()> {
    let members = hosts.len().min(3);
    let wanted = if members.is_multiple_of(2) { members - 1 } else { members };
    for host in hosts {
        eventually(SETTLE_LIMIT, &format!("{} sees {wanted} voters", host.name()), || {
            (host.supervisor().ok()?.voters.len() == wanted).then_some(())
        })?;
    }
    Ok(())
}

/// Waits until all of `hosts` show the same state hash at the same applied index, of `members` members.
pub fn wait_equal_state(hosts: &[&Host], members: usize) -> Result<()> {
    eventually(SETTLE_LIMIT, "all members show the same state", || {
        let states: Option<Vec<_>> = hosts
            .iter()
            .map(|host| {
                let status = host.status().ok()?;
                let raft = status.raft?;
                Some((status.members, raft.applied, raft.state_hash))
            })
            .collect();
        let states = states?;
        let first = states.first()?;
        (first.0 == members && states.iter().all(|state| state == first)).then_some(())
    })
}
