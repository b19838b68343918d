//! Reading a request.

use super::{
    DeviceChange, MAX_ALLOWED_IPS, MAX_LINE, MAX_PEERS, MAX_REQUEST, PeerChange, Problem,
    RequestError, value,
};
use crate::key::{PresharedKey, TunnelKey, TunnelSecret};

/// What the values of each kind must be, for whoever wrote another.
const KEY: &str = "a key of 64 hex digits";
const YES: &str = "`true`";
const SECONDS: &str = "a number of seconds up to 65535";

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Tell how the device is.
    Get,
    /// Change the device.
    Set(DeviceChange),
}

/// The length of the first request in `bytes`, its empty line included; `None` while that has not come. The first
/// `seen` bytes were looked at before.
pub fn frame_len(bytes: &[u8], seen: usize) -> Option<usize> {
    if bytes.first() == Some(&b'\n') {
        return Some(1);
    }
    // The first of the two line ends may have been the last byte seen.
    let from = seen.saturating_sub(1);
    let tail = bytes.get(from..)?;
    tail.windows(2).position(|pair| pair == b"\n\n").map(|at| from + at + 2)
}

impl Request {
    /// Reads one whole request, its empty line included.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let whole = |problem| RequestError { line: 1, problem };
        if bytes.len() > MAX_REQUEST {
            return Err(whole(Problem::RequestTooLong));
        }
        let body = match bytes {
            b"\n" => b"",
            _ => bytes.strip_suffix(b"\n\n").ok_or(whole(Problem::Unterminated))?,
        };
        let mut lines = body.split(|byte| *byte == b'\n').zip(1..);
        match lines.next() {
            Some((b"get=1", _)) => match lines.next() {
                None => Ok(Self::Get),
                Some((_, line)) => Err(RequestError { line, problem: Problem::Extra }),
            },
            Some((b"set=1", _)) => {
                let mut change = DeviceChange::default();
                for (text, line) in lines {
                    change.take(text).map_err(|problem| RequestError { line, problem })?;
                }
                Ok(Self::Set(change))
            }
            _ => Err(whole(Problem::Operation)),
        }
    }
}

impl DeviceChange {
    /// Takes in one line.
    fn take(&mut self, line: &[u8]) -> Result<(), Problem> {
        if line.len() > MAX_LINE {
            return Err(Problem::LineTooLong);
        }
        let at = line.iter().position(|byte| *byte == b'=').ok_or(Problem::NotAPair)?;
        let (key, value) = (&line[..at], &line[at + 1..]);
        if key == b"public_key" {
            return self.begin_peer(value);
        }
        match self.peers.last_mut() {
            Some(peer) => peer.take(key, value),
            None => self.take_own(key, value),
        }
    }

    fn begin_peer(&mut self, value: &[u8]) -> Result<(), Problem> {
        let key = value::key(value).ok_or(Problem::Value("public_key", KEY))?;
        if self.peers.len() >= MAX_PEERS {
            return Err(Problem::Peers);
        }
        self.peers.push(PeerChange::new(TunnelKey(*key)));
        Ok(())
    }

    fn take_own(&mut self, key: &[u8], value: &[u8]) -> Result<(), Problem> {
        match key {
            b"private_key" => {
                let bytes = value::key_or_none(value).ok_or(Problem::Value("private_key", KEY))?;
                self.secret = Some(bytes.map(|mut bytes| {
                    value::clamp(&mut bytes);
                    TunnelSecret::from_bytes(*bytes)
                }));
            }
            b"listen_port" => {
                let port = value::number(value);
                let wrong = Problem::Value("listen_port", "a number up to 65535");
                self.listen_port = Some(port.ok_or(wrong)?);
            }
            b"fwmark" => {
                let mark = value::number(value);
                let wrong = Problem::Value("fwmark", "a decimal number of 32 bits");
                self.fwmark = Some(mark.ok_or(wrong)?);
            }
            b"replace_peers" => {
                value::yes(value).ok_or(Problem::Value("replace_peers", YES))?;
                self.replace_peers = true;
            }
            _ => return Err(Problem::Key),
        }
        Ok(())
    }
}

impl PeerChange {
    /// Takes in one line after the peer's key.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Problem> {
        match key {
            b"remove" => {
                value::yes(value).ok_or(Problem::Value("remove", YES))?;
                self.remove = true;
            }
            b"update_only" => {
                value::yes(value).ok_or(Problem::Value("update_only", YES))?;
                self.update_only = true;
            }
            b"preshared_key" => {
                let bytes = value::key_or_none(value);
                let bytes = bytes.ok_or(Problem::Value("preshared_key", KEY))?;
                self.preshared_key = Some(bytes.map(|bytes| PresharedKey::from_bytes(*bytes)));
            }
            b"endpoint" => {
                let wrong = Problem::Value("endpoint", "an address with a port");
                self.endpoint = Some(value::endpoint(value).ok_or(wrong)?);
            }
            b"persistent_keepalive_interval" => {
                let wrong = Problem::Value("persistent_keepalive_interval", SECONDS);
                self.keepalive = Some(value::interval(value).ok_or(wrong)?);
            }
            b"replace_allowed_ips" => {
                value::yes(value).ok_or(Problem::Value("replace_allowed_ips", YES))?;
                self.replace_allowed_ips = true;
                self.allowed_ips.clear();
            }
            b"allowed_ip" => self.take_allowed_ip(value)?,
            b"protocol_version" if value == b"1" => {}
            b"protocol_version" => return Err(Problem::Value("protocol_version", "1")),
            _ => return Err(Problem::Key),
        }
        Ok(())
    }

    fn take_allowed_ip(&mut self, value: &[u8]) -> Result<(), Problem> {
        let wrong = Problem::Value("allowed_ip", "a prefix such as 10.0.0.0/8");
        let step = value::allowed_ip(value).ok_or(wrong)?;
        if self.allowed_ips.len() >= MAX_ALLOWED_IPS {
            return Err(Problem::AllowedIps);
        }
        self.allowed_ips.push(step);
        Ok(())
    }
}
