//! What one peer may begin with this host.

use std::sync::Arc;

use super::rule::{PortRange, Protocol, Rule, Traffic};

/// What comes in from a peer that answers nothing of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Inbound {
    /// All of it: there is no policy, or its rules leave nothing out.
    #[default]
    Everything,
    /// This only. Peers under the same rules share it.
    Only(Arc<Openings>),
}

impl Inbound {
    /// What `rules`, all of which lead from the peer to this host, allow.
    pub fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let openings = Openings::of(rules);
        if openings.other { Self::Everything } else { Self::Only(Arc::new(openings)) }
    }

    /// Whether `traffic` is let in.
    pub fn permits(&self, traffic: Traffic) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(openings) => openings.permits(traffic),
        }
    }
}

/// The union of some rules, laid out for a look-up per packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Openings {
    tcp: Ports,
    udp: Ports,
    icmp: bool,
    /// Other protocols. Only a rule for everything allows them, so it stands for that too.
    other: bool,
}

impl Openings {
    fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let (mut tcp, mut udp) = (Vec::new(), Vec::new());
        let mut openings = Self::default();
        for rule in rules {
            let ports = match rule.ports.as_slice() {
                [] => &[PortRange::ALL],
                ports => ports,
            };
            match rule.protocol {
                Protocol::Tcp => tcp.extend(ports),
                Protocol::Udp => udp.extend(ports),
                Protocol::Icmp => openings.icmp = true,
                Protocol::Any => openings.other = true,
            }
        }
        Self { tcp: Ports::of(tcp), udp: Ports::of(udp), ..openings }
    }

    /// Whether `traffic` is let in.
    #[inline]
    pub fn permits(&self, traffic: Traffic) -> bool {
        self.other
            || match traffic {
                Traffic::Tcp(port) => self.tcp.contain(port),
                Traffic::Udp(port) => self.udp.contain(port),
                Traffic::Icmp => self.icmp,
                Traffic::Other => false,
            }
    }
}

/// Ranges in order, none touching the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ports(Vec<PortRange>);

impl Ports {
    fn of(mut ranges: Vec<PortRange>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut().filter(|last| range.first() <= last.last().saturating_add(1)) {
                Some(last) => {
                    let end = last.last().max(range.last());
                    *last = PortRange::new(last.first(), end).unwrap_or(*last);
                }
                None => merged.push(range),
            }
        }
        merged.shrink_to_fit();
        Self(merged)
    }

    #[inline]
    fn contain(&self, port: u16) -> bool {
        let next = self.0.partition_point(|range| range.first() <= port);
        next.checked_sub(1).is_some_and(|at| self.0[at].contains(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> PortRange {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_that_meet_become_one() {
        let ports =
            Ports::of(["80", "8000-8999", "22", "81-90", "8500-9100", "65535"].map(range).to_vec());
        assert_eq!(ports.0, ["22", "80-90", "8000-9100", "65535"].map(range));
        for (port, inside) in [
            (21, false),
            (22, true),
            (90, true),
            (91, false),
            (9100, true),
            (65534, false),
            (65535, true),
        ] {
            assert_eq!(ports.contain(port), inside, "{port}");
        }
    }

    #[test]
    fn a_rule_for_everything_leaves_nothing_to_check() {
        let rule = |protocol| Rule { from: vec![], to: vec![], protocol, ports: vec![] };
        assert_eq!(
            Inbound::of([rule(Protocol::Any), rule(Protocol::Tcp)].iter()),
            Inbound::Everything
        );
        let all_but_others = [Protocol::Tcp, Protocol::Udp, Protocol::Icmp].map(rule);
        let only = Inbound::of(all_but_others.iter());
        assert!(matches!(only, Inbound::Only(_)) && !only.permits(Traffic::Other));
        assert!(only.permits(Traffic::Tcp(u16::MAX)) && only.permits(Traffic::Icmp));
        assert!(!Inbound::of([].iter()).permits(Traffic::Icmp));
    }
}
