//! TCP by iperf3: a server that serves once at the far end, a client at the near end.

mod report;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bench::ground::Ground;
use crate::bench::{interrupt, programs};
use crate::daemon::{Daemon, read_log};
use crate::error::{Context as _, Error, Result};
use crate::wait::eventually;
pub use report::TcpResult;

/// The program.
pub const PROGRAM: &str = "iperf3";

/// The port iperf3 listens on unless told otherwise.
const PORT: u16 = 5201;

/// The congestion control of the senders: every kernel has it, and it is the one most hosts use.
const CONGESTION_CONTROL: &str = "cubic";

/// How long the server may take to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(5);

/// How long a client may take beyond the time it was given: connecting through a path that is full.
const GRACE: Duration = Duration::from_secs(20);

/// How often the client is looked at, and whoever watches is told.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Iperf {
    /// How long.
    pub span: Duration,
    /// How many streams at once.
    pub streams: u8,
    /// From the far end to the near one.
    pub reverse: bool,
}

impl Iperf {
    /// One stream for `span`.
    pub fn single(span: Duration) -> Self {
        Self { span, streams: 1, reverse: false }
    }

    /// Runs it towards `far`, an address of the far end. `watch` is called all along.
    pub fn run(
        &self,
        ground: &Ground,
        far: Ipv4Addr,
        dir: &Path,
        mut watch: impl FnMut(),
    ) -> Result<TcpResult> {
        let mut server = Command::new(programs::find(PROGRAM)?);
        server.args(["--server", "--one-off", "--bind", &far.to_string()]);
        let server = Daemon::start_tied(server, ground.far(), &dir.join("iperf3-server.log"))?;
        eventually(LISTEN_LIMIT, "iperf3 listens", || listens(&server).then_some(()))?;

        let output = dir.join("iperf3-client.json");
        // The log of a daemon is appended to; this document stands alone.
        let _ = fs::remove_file(&output);
        let mut client = Daemon::start_tied(self.client(far)?, ground.near(), &output)?;
        let deadline = Instant::now() + self.span + GRACE;
        while client.poll_exit().is_none() {
            interrupt::check()?;
            if Instant::now() >= deadline {
                return Err(Error::Failed(format!(
                    "iperf3 did not end within {GRACE:?} of its time"
                )));
            }
            watch();
            std::thread::sleep(POLL_EVERY);
        }
        report::parse(&read_log(&output))
    }

    fn client(&self, far: Ipv4Addr) -> Result<Command> {
        let mut client = Command::new(programs::find(PROGRAM)?);
        client
            .args(["--json", "--interval", "0", "--connect-timeout", "3000"])
            .args(["--congestion", CONGESTION_CONTROL])
            .args(["--client", &far.to_string()])
            .args(["--time", &self.span.as_secs_f64().ceil().to_string()])
            .args(["--parallel", &self.streams.to_string()]);
        if self.reverse {
            client.arg("--reverse");
        }
        Ok(client)
    }
}

/// Whether the server's namespace has a listener on iperf3's port.
fn listens(server: &Daemon) -> bool {
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", server.pid()));
    table.context("read the TCP table").is_ok_and(|table| has_listener(&table, PORT))
}

/// Whether a table in the form of /proc/net/tcp (proc(5)) has a listener on `port`.
fn has_listener(table: &str, port: u16) -> bool {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _remote, state) = (fields.next(), fields.next(), fields.next());
        local.is_some_and(|local| local.ends_with(&suffix)) && state == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_told_from_a_connection() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n";
        let listening =
            format!("{head}   0: 024E000A:1451 00000000:0000 0A 00000000:00000000 00:0\n");
        let connected =
            format!("{head}   0: 024E000A:1451 014E000A:9C40 01 00000000:00000000 00:0\n");
        assert!(has_listener(&listening, 5201));
        assert!(!has_listener(&listening, 5202));
        assert!(!has_listener(&connected, 5201));
        assert!(!has_listener(head, 5201));
    }
}
