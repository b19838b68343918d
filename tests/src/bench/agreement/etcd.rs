//! Their side: etcd, on hosts and cables like ours.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::unistd::Pid;
use serde_json::Value;

use super::client::{Door, Post, post_once};
use super::cluster::{Cluster, Standing, settled};
use super::meshd::ANSWER_LIMIT;
use crate::bench::programs;
use crate::daemon::{Daemon, read_log, tail};
use crate::error::{Context as _, Error, Result};
use crate::fabric::{Fabric, underlay_v4};
use crate::http::Reply;
use crate::netns::Netns;

/// What has to be installed.
pub const PROGRAM: &str = "etcd";

const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

/// The value of a record: 258 bytes, as long as what we put into the log for an invite, in base64.
const VALUE_LETTERS: usize = 344;

/// The value of a small command: 129 bytes, as long as a signed revocation.
const COMMAND_LETTERS: usize = 172;

/// The keys it goes to by turns.
const COMMAND_KEYS: u64 = 1000;

/// How etcd is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// As it comes: nothing is encrypted; a heartbeat each 100 ms, an election after 1 to 2 s of silence.
    Default,
    /// It gives a leader up about as fast as we do: a heartbeat each 100 ms, an election after 500 to 1000 ms.
    Fast,
    /// What members say to each other is encrypted, as ours is. Each has a certificate of its own making, which nobody checks.
    Tls,
}

impl Setup {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Default => &[],
            Self::Fast => &["--heartbeat-interval", "100", "--election-timeout", "500"],
            Self::Tls => &["--peer-auto-tls"],
        }
    }

    /// How members speak to each other.
    fn scheme(self) -> &'static str {
        match self {
            Self::Default | Self::Fast => "http",
            Self::Tls => "https",
        }
    }
}

/// An etcd cluster.
pub struct Etcd {
    // Before the directory and the fabric, so that they end before what they stand on.
    running: Vec<Option<Daemon>>,
    hosts: Vec<Arc<Netns>>,
    fabric: Fabric,
    program: PathBuf,
    setup: Setup,
    dir: tempfile::TempDir,
}

impl Etcd {
    /// `size` members on a bridge, ready to be written to.
    pub fn start(size: usize, setup: Setup) -> Result<Self> {
        let program = programs::find(PROGRAM)?;
        let fabric = Fabric::bridge(Netns::anonymous("etcd hub")?)?;
        let dir = tempfile::Builder::new().prefix("etcd-").tempdir().context("make a directory")?;
        let mut hosts = Vec::new();
        for number in 1..=size {
            let netns = Netns::anonymous(&format!("e{number}"))?;
            fabric.attach(number, &netns)?;
            hosts.push(Arc::new(netns));
        }
        let running = (0..size).map(|_| None).collect();
        let mut etcd = Self { running, hosts, fabric, program, setup, dir };
        for number in 1..=size {
            etcd.start(number)?;
        }
        settled(&etcd)?;
        Ok(etcd)
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("e{number}.log"))
    }

    fn command(&self, number: usize) -> Command {
        let scheme = self.setup.scheme();
        let peer = |number| format!("{scheme}://{}:{PEER_PORT}", underlay_v4(number));
        let clients = format!("http://{}:{CLIENT_PORT}", underlay_v4(number));
        let all: Vec<String> =
            (1..=self.hosts.len()).map(|number| format!("e{number}={}", peer(number))).collect();
        let mut command = Command::new(&self.program);
        command
            .args(["--name", &format!("e{number}")])
            .arg("--data-dir")
            .arg(self.dir.path().join(format!("e{number}")))
            .args(["--listen-peer-urls", &peer(number)])
            .args(["--initial-advertise-peer-urls", &peer(number)])
            .args(["--listen-client-urls", &clients])
            .args(["--advertise-client-urls", &clients])
            .args(["--initial-cluster", &all.join(",")])
            .args(["--log-level", "warn", "--logger", "zap", "--log-outputs", "stderr"])
            .args(self.setup.arguments())
            .env_clear();
        command
    }

    fn ask(&self, number: usize, path: &'static str, body: &str) -> Result<Value> {
        let post = Post { path, body: body.to_owned() };
        let door = self.door(number);
        let reply = self.hosts[number - 1].run(|| post_once(&door, &post, ANSWER_LIMIT))??;
        serde_json::from_str(&reply.body)
            .map_err(|error| Error::Failed(format!("{path}: {error}: {}", reply.body)))
    }

    /// Whom member `number` follows, who it is, and how far it has come.
    fn standing_of(&self, number: usize) -> Option<(String, String, u64)> {
        let status = self.ask(number, "/v3/maintenance/status", "{}").ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let leader = text(&status["leader"]).filter(|leader| leader != "0")?;
        let own = text(&status["header"]["member_id"])?;
        Some((leader, own, text(&status["raftAppliedIndex"])?.parse().ok()?))
    }
}

/// Eight digits, which base64 takes for six bytes.
fn key(nth: u64) -> String {
    format!("{nth:08}")
}

impl Cluster for Etcd {
    fn name(&self) -> &'static str {
        match self.setup {
            Setup::Default => "etcd",
            Setup::Fast => "etcd-fast",
            Setup::Tls => "etcd-tls",
        }
    }

    fn version(&self) -> String {
        programs::version(&self.program, "--version").unwrap_or_default()
    }

    fn size(&self) -> usize {
        self.hosts.len()
    }

    fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    fn netns(&self, number: usize) -> Arc<Netns> {
        Arc::clone(&self.hosts[number - 1])
    }

    fn door(&self, number: usize) -> Door {
        Door::Tcp(SocketAddr::from((underlay_v4(number), CLIENT_PORT)))
    }

    fn processes(&self) -> Vec<Pid> {
        self.running.iter().flatten().map(Daemon::pid).collect()
    }

    fn write(&self, nth: u64, _number: usize) -> Post {
        let value = "A".repeat(VALUE_LETTERS);
        let body = format!("{{\"key\":\"{}\",\"value\":\"{value}\"}}", key(nth));
        Post { path: "/v3/kv/put", body }
    }

    /// A few keys are written again and again, with a value as long as the signed revocation that is ours.
    fn small_command(&self, nth: u64) -> Post {
        let value = "A".repeat(COMMAND_LETTERS);
        let body = format!("{{\"key\":\"{}\",\"value\":\"{value}\"}}", key(nth % COMMAND_KEYS));
        Post { path: "/v3/kv/put", body }
    }

    fn acknowledged(&self, nth: u64, reply: &Reply) -> Option<String> {
        (reply.status == 200).then(|| key(nth))
    }

    fn records(&self, number: usize) -> Result<BTreeSet<String>> {
        // Everything, by what this member knows.
        let all =
            "{\"key\":\"AA==\",\"range_end\":\"AA==\",\"serializable\":true,\"keys_only\":true}";
        let found = self.ask(number, "/v3/kv/range", all)?;
        let records = found["kvs"].as_array().into_iter().flatten();
        Ok(records.filter_map(|record| Some(record["key"].as_str()?.to_owned())).collect())
    }

    fn standing(&self) -> Option<Standing> {
        let standings: Option<Vec<_>> =
            (1..=self.size()).map(|number| self.standing_of(number)).collect();
        let standings = standings?;
        let (leader, _, applied) = standings.first()?;
        let same = |(other, _, index): &(String, String, u64)| other == leader && index == applied;
        let at = standings.iter().position(|(_, own, _)| own == leader)?;
        standings.iter().all(same).then_some(Standing { leader: at + 1, applied: *applied })
    }

    fn kill(&mut self, number: usize) -> Result<()> {
        let daemon = self.running[number - 1].take();
        daemon.ok_or("the member does not run")?.kill()
    }

    fn start(&mut self, number: usize) -> Result<()> {
        let netns = &self.hosts[number - 1];
        let daemon = Daemon::start_tied(self.command(number), netns, &self.log(number))?;
        self.running[number - 1] = Some(daemon);
        Ok(())
    }

    fn last_words(&mut self) -> String {
        let words =
            |number| format!("---- e{number} ----\n{}\n", tail(&read_log(&self.log(number))));
        (1..=self.size()).map(words).collect()
    }
}
