//! The configuration socket all userspace WireGuard implementations share: lines of `key=value` each
//! way, an empty line at the end (<https://www.wireguard.com/xplatform/#configuration-protocol>).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::key::{PresharedKey, PublicKey, SecretKey};
use crate::error::{Context as _, Error, Result};

/// The longest a device may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// The client's end.
#[derive(Debug, Clone)]
pub struct Socket {
    path: PathBuf,
}

impl Socket {
    /// The socket of interface `interface`.
    pub fn of(interface: &str) -> Self {
        Self { path: Path::new("/var/run/wireguard").join(format!("{interface}.sock")) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether somebody listens.
    pub fn answers(&self) -> bool {
        UnixStream::connect(&self.path).is_ok()
    }

    /// Removes what a device left behind that did not end well.
    pub fn remove_stale(&self) {
        if !self.answers() {
            // Nothing to remove is how it should be.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Sends `lines` and the empty line that ends them; the lines of the answer.
    pub fn request(&self, lines: &str) -> Result<Vec<String>> {
        let what = || format!("talk to {}", self.path.display());
        let mut stream = UnixStream::connect(&self.path).context(what())?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).context(what())?;
        stream.set_write_timeout(Some(ANSWER_LIMIT)).context(what())?;
        // In one piece: some answer as soon as they know what is asked, and hang up.
        stream.write_all(format!("{lines}\n").as_bytes()).context(what())?;
        let mut answer = Vec::new();
        for line in BufReader::new(stream).lines() {
            match line.context(what())? {
                end if end.is_empty() => break,
                line => answer.push(line),
            }
        }
        Ok(answer)
    }

    /// The error number that answers `lines`, without a sign: implementations differ in it. 0 is success.
    pub fn set_lines(&self, lines: &str) -> Result<i32> {
        let answer = self.request(&format!("set=1\n{lines}"))?;
        let number =
            answer.iter().find_map(|line| line.strip_prefix("errno=")?.parse::<i32>().ok());
        let number =
            number.ok_or_else(|| Error::Failed(format!("an answer without errno: {answer:?}")))?;
        Ok(number.abs())
    }

    /// Changes what `changes` names, and nothing else.
    pub fn set(&self, changes: &Changes) -> Result<()> {
        match self.set_lines(&changes.lines)? {
            0 => Ok(()),
            number => Err(Error::Failed(format!("errno {number} answers\n{}", changes.lines))),
        }
    }

    /// How the device is configured, and what it has counted.
    pub fn get(&self) -> Result<State> {
        State::parse(&self.request("get=1\n")?)
    }
}

/// What to change, in the order of the calls: lines after [`Changes::peer`] are about that peer.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    lines: String,
}

impl Changes {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn line(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        // Writing to a string cannot fail.
        let _ = writeln!(self.lines, "{key}={value}");
        self
    }

    /// The device's own key.
    pub fn private_key(self, key: &SecretKey) -> Self {
        self.line("private_key", key.to_hex())
    }

    /// The UDP port; 0 lets the device choose.
    pub fn listen_port(self, port: u16) -> Self {
        self.line("listen_port", port)
    }

    /// The mark of everything it sends; 0 is none.
    pub fn fwmark(self, mark: u32) -> Self {
        self.line("fwmark", mark)
    }

    /// Forgets all peers.
    pub fn replace_peers(self) -> Self {
        self.line("replace_peers", true)
    }

    /// What follows is about this peer, added if need be.
    pub fn peer(self, key: PublicKey) -> Self {
        self.line("public_key", key)
    }

    /// The peer is forgotten.
    pub fn remove(self) -> Self {
        self.line("remove", true)
    }

    /// The peer is not added if it is unknown.
    pub fn update_only(self) -> Self {
        self.line("update_only", true)
    }

    /// The peer's preshared key.
    pub fn preshared_key(self, key: PresharedKey) -> Self {
        self.line("preshared_key", key)
    }

    /// Where the peer is.
    pub fn endpoint(self, endpoint: SocketAddr) -> Self {
        self.line("endpoint", endpoint)
    }

    /// Seconds between keepalives; 0 is never.
    pub fn keepalive(self, seconds: u16) -> Self {
        self.line("persistent_keepalive_interval", seconds)
    }

    /// Forgets the peer's allowed IPs.
    pub fn replace_allowed_ips(self) -> Self {
        self.line("replace_allowed_ips", true)
    }

    /// Allows the peer a prefix, and takes it from every other.
    pub fn allowed_ip(self, prefix: &str) -> Self {
        self.line("allowed_ip", prefix)
    }
}

/// What a device says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Its own key; `None` when it has none, or does not say.
    pub private_key: Option<SecretKey>,
    /// Its UDP port.
    pub listen_port: u16,
    /// Its mark; 0 is none.
    pub fwmark: u32,
    /// Its peers.
    pub peers: BTreeMap<PublicKey, Peer>,
}

/// What a device says of a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The preshared key; none when all zeroes.
    pub preshared_key: Option<PresharedKey>,
    /// Where it was last heard of.
    pub endpoint: Option<SocketAddr>,
    /// Its prefixes.
    pub allowed_ips: BTreeSet<String>,
    /// Seconds between keepalives; 0 is never.
    pub keepalive: u16,
    /// When the last handshake was done, since 1970; zero for never.
    pub last_handshake: Duration,
    /// Bytes received from it.
    pub rx_bytes: u64,
    /// Bytes sent to it.
    pub tx_bytes: u64,
}

impl State {
    fn parse(lines: &[String]) -> Result<Self> {
        let mut state = Self::default();
        let mut peer = None;
        for line in lines {
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| Error::Failed(format!("no key=value: {line}")))?;
            match key {
                "public_key" => {
                    let key = PublicKey::parse(value)?;
                    state.peers.insert(key, Peer::default());
                    peer = Some(key);
                }
                "errno" if value != "0" => {
                    return Err(Error::Failed(format!("get=1 is answered with errno {value}")));
                }
                _ => match peer.and_then(|key| state.peers.get_mut(&key)) {
                    None => state.take(key, value)?,
                    Some(peer) => peer.take(key, value)?,
                },
            }
        }
        Ok(state)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "private_key" => {
                self.private_key =
                    Some(SecretKey::parse(value)?).filter(|key| *key != SecretKey::NONE);
            }
            "listen_port" => self.listen_port = number(key, value)?,
            "fwmark" => self.fwmark = number(key, value)?,
            // What one implementation says beyond the protocol is its own business.
            _ => {}
        }
        Ok(())
    }
}

impl Peer {
    fn take(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "preshared_key" => {
                let secret = Some(PresharedKey::parse(value)?);
                self.preshared_key = secret.filter(|secret| *secret != PresharedKey::NONE);
            }
            "endpoint" => self.endpoint = Some(number(key, value)?),
            "allowed_ip" => {
                self.allowed_ips.insert(value.to_owned());
            }
            "persistent_keepalive_interval" => self.keepalive = number(key, value)?,
            "last_handshake_time_sec" => {
                self.last_handshake += Duration::from_secs(number(key, value)?);
            }
            "last_handshake_time_nsec" => {
                self.last_handshake += Duration::from_nanos(number(key, value)?);
            }
            "rx_bytes" => self.rx_bytes = number(key, value)?,
            "tx_bytes" => self.tx_bytes = number(key, value)?,
            _ => {}
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| Error::Failed(format!("{key} cannot be {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_peer_by_peer() {
        let (one, two) = (SecretKey::numbered(1), SecretKey::numbered(2));
        let text = format!(
            "private_key={}\nlisten_port=7\nfwmark=9\npublic_key={}\nallowed_ip=10.0.0.0/8\n\
             allowed_ip=::/0\nlast_handshake_time_sec=3\nlast_handshake_time_nsec=500000000\n\
             public_key={}\nendpoint=[::1]:5\nerrno=0",
            one.to_hex(),
            two.public(),
            one.public(),
        );
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let state = State::parse(&lines).expect("understood");
        assert_eq!((state.private_key, state.listen_port, state.fwmark), (Some(one.clone()), 7, 9));
        assert_eq!(state.peers[&two.public()].allowed_ips.len(), 2);
        assert_eq!(state.peers[&two.public()].last_handshake, Duration::from_millis(3_500));
        assert_eq!(state.peers[&one.public()].endpoint, "[::1]:5".parse().ok());
        assert!(State::parse(&["errno=22".to_owned()]).is_err());
    }
}
