//! The cross-platform configuration socket of a user-space WireGuard, as much of it as two ends that
//! know each other need: one `set=1` each.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_model::key::{TunnelKey, TunnelSecret};

use crate::error::{Context as _, Error, Result};

/// Where daemons put the sockets of their interfaces.
const DIR: &str = "/var/run/wireguard";

/// How long a daemon may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// One end of a tunnel with one peer.
pub struct Device<'a> {
    /// Its private key.
    pub secret: &'a TunnelSecret,
    /// The port it listens on.
    pub port: u16,
    /// Its peer's public key.
    pub peer: TunnelKey,
    /// Where its peer is.
    pub endpoint: SocketAddr,
    /// What it may send to and receive from that peer.
    pub allowed: Ipv4Addr,
}

impl Device<'_> {
    /// Tells the daemon of `interface`.
    pub fn configure(&self, interface: &str) -> Result<()> {
        let what = format!("configure {interface}");
        let mut stream = UnixStream::connect(socket_of(interface)).context(&*what)?;
        stream.set_read_timeout(Some(LIMIT)).context("set a timeout")?;
        stream.write_all(self.request().as_bytes()).context(&*what)?;
        let mut answer = String::new();
        let mut part = [0; 256];
        while !answer.ends_with("\n\n") {
            let len = stream.read(&mut part).context(&*what)?;
            if len == 0 {
                break;
            }
            answer.push_str(&String::from_utf8_lossy(&part[..len]));
        }
        match errno_in(&answer) {
            Some(0) => Ok(()),
            _ => Err(Error::Failed(format!("{what}: the daemon answered {:?}", answer.trim()))),
        }
    }

    fn request(&self) -> String {
        let mut text = String::from("set=1\n");
        let mut say = |key: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key}={value}");
        };
        say("private_key", &hex(&self.secret.to_bytes()[..]));
        say("listen_port", &self.port);
        say("replace_peers", &true);
        say("public_key", &hex(self.peer.as_bytes()));
        say("endpoint", &self.endpoint);
        say("replace_allowed_ips", &true);
        say("allowed_ip", &format_args!("{}/32", self.allowed));
        text.push('\n');
        text
    }
}

/// Where the daemon of `interface` listens.
pub fn socket_of(interface: &str) -> PathBuf {
    Path::new(DIR).join(format!("{interface}.sock"))
}

/// Whether it does.
pub fn listens(interface: &str) -> bool {
    UnixStream::connect(socket_of(interface)).is_ok()
}

/// Removes the socket that a daemon left behind.
pub fn remove_stale(interface: &str) {
    if !listens(interface) {
        // Nothing to remove is how it should be.
        let _ = std::fs::remove_file(socket_of(interface));
    }
}

fn errno_in(answer: &str) -> Option<i32> {
    answer.lines().find_map(|line| line.strip_prefix("errno=")?.parse().ok())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_ends_with_an_empty_line_and_names_each_key_once() {
        let secret = TunnelSecret::from_bytes([7; 32]);
        let device = Device {
            secret: &secret,
            port: 51820,
            peer: TunnelSecret::from_bytes([9; 32]).public(),
            endpoint: "192.0.2.1:51820".parse().unwrap(),
            allowed: "10.78.0.2".parse().unwrap(),
        };
        let request = device.request();
        assert!(request.starts_with("set=1\nprivate_key="));
        assert!(request.ends_with("allowed_ip=10.78.0.2/32\n\n"));
        assert_eq!(request.matches("\n\n").count(), 1);
        let key = request.lines().find_map(|line| line.strip_prefix("public_key=")).unwrap();
        assert_eq!(key.len(), 64);
    }

    #[test]
    fn only_errno_zero_is_success() {
        assert_eq!(errno_in("errno=0\n\n"), Some(0));
        assert_eq!(errno_in("errno=-22\n\n"), Some(-22));
        assert_eq!(errno_in("errno=\n\n"), None);
        assert_eq!(errno_in(""), None);
    }
}
