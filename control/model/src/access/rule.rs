//! One rule of a policy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::MemberId;
use crate::trust::Tag;
use crate::view::MemberView;

/// Whom a rule means. New kinds go to the end.
///
/// There is none for those who vote or lead: the mesh changes that by itself whenever a host is lost, and no port shall
/// open or close without anybody having said so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Selector {
    /// Every member.
    Any,
    /// One member. It matches nobody once that one is gone: ids are never given again.
    Member(MemberId),
    /// Every member with this tag.
    Tag(Tag),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str(Self::ANY),
            Self::Member(member) => write!(f, "{member}"),
            Self::Tag(tag) => write!(f, "{tag}"),
        }
    }
}

impl Selector {
    /// What people write for every member.
    pub const ANY: &str = "any";

    /// Whether `member` is meant.
    pub fn matches(&self, member: &MemberView) -> bool {
        match self {
            Self::Any => true,
            Self::Member(id) => member.id == *id,
            Self::Tag(tag) => member.tags.contains(tag),
        }
    }
}

/// What a rule allows. New kinds go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Everything there is over IP.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
}

impl Protocol {
    /// Whether a rule for it can name ports.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Any => "any",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        })
    }
}

/// Ports, first to last. Written `22` or `8000-8999`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Not a range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a port or range of ports: write 22 or 8000-8999, from 1 to 65535")]
pub struct PortRangeError;

impl PortRange {
    /// All of them.
    pub const ALL: Self = Self { first: 1, last: u16::MAX };

    /// From `first` to `last`, both included.
    pub fn new(first: u16, last: u16) -> Result<Self, PortRangeError> {
        if first == 0 || first > last { Err(PortRangeError) } else { Ok(Self { first, last }) }
    }

    /// The first.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` is among them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl TryFrom<(u16, u16)> for PortRange {
    type Error = PortRangeError;

    fn try_from((first, last): (u16, u16)) -> Result<Self, PortRangeError> {
        Self::new(first, last)
    }
}

impl From<PortRange> for (u16, u16) {
    fn from(range: PortRange) -> Self {
        (range.first, range.last)
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        // `u16` would take a sign.
        let port = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse().map_err(|_| PortRangeError),
            false => Err(PortRangeError),
        };
        match text.split_once('-') {
            Some((first, last)) => Self::new(port(first)?, port(last)?),
            None => port(text).and_then(|port| Self::new(port, port)),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// What a packet that answers nothing is, as far as rules tell packets apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Traffic {
    /// TCP to this port.
    Tcp(u16),
    /// UDP to this port.
    Udp(u16),
    /// ICMP or ICMPv6.
    Icmp,
    /// Any other protocol.
    Other,
}

/// One thing that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Who may begin.
    pub from: Vec<Selector>,
    /// With whom.
    pub to: Vec<Selector>,
    /// What.
    pub protocol: Protocol,
    /// To which ports; all of them when empty. Only TCP and UDP have ports.
    pub ports: Vec<PortRange>,
}

impl Rule {
    /// How many selectors and ranges of ports it has.
    pub fn terms(&self) -> usize {
        self.from.len() + self.to.len() + self.ports.len()
    }

    /// Whether it leads from `from` to `to`.
    pub fn is_between(&self, from: &MemberView, to: &MemberView) -> bool {
        self.is_from(from) && self.is_to(to)
    }

    /// Whether `member` may begin.
    pub fn is_from(&self, member: &MemberView) -> bool {
        self.from.iter().any(|selector| selector.matches(member))
    }

    /// Whether it leads to `member`.
    pub fn is_to(&self, member: &MemberView) -> bool {
        self.to.iter().any(|selector| selector.matches(member))
    }

    /// Whether it allows `traffic` between those it is about.
    pub fn carries(&self, traffic: Traffic) -> bool {
        let among =
            |port| self.ports.is_empty() || self.ports.iter().any(|range| range.contains(port));
        match (self.protocol, traffic) {
            (Protocol::Any, _) | (Protocol::Icmp, Traffic::Icmp) => true,
            (Protocol::Tcp, Traffic::Tcp(port)) | (Protocol::Udp, Traffic::Udp(port)) => {
                among(port)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written() {
        for text in ["1", "22", "8000-8999", "1-65535", "65535"] {
            assert_eq!(
                text.parse::<PortRange>().map(|range| range.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!("7-7".parse::<PortRange>(), PortRange::new(7, 7));
        for bad in ["", "0", "-", "1-", "-1", "0-5", "9-8", "65536", "+1", "1-2-3", " 1", "http"] {
            assert_eq!(bad.parse::<PortRange>(), Err(PortRangeError), "{bad:?}");
        }
    }
}
