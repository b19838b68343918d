//! What one peer may begin with this host.

use std::sync::Arc;

use super::rule::{PortRange, Protocol, Rule, Traffic};

/// What comes in from a peer that answers nothing of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Inbound {
    /// All of it, and nobody asks who began what: there is no policy.
    #[default]
    Everything,
    /// What this permits, were it everything: who began what still counts when rules change. Peers under the same rules
    /// share it.
    Only(Arc<Openings>),
}

impl Inbound {
    /// What `rules`, all of which lead from the peer to this host, allow.
    pub fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        Self::Only(Arc::new(Openings::of(rules)))
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

    /// Whether all is let in that `others` let in.
    pub fn include(&self, others: &Self) -> bool {
        self.other
            || !others.other
                && (self.icmp || !others.icmp)
                && self.tcp.include(&others.tcp)
                && self.udp.include(&others.udp)
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
        self.around(port).is_some()
    }

    fn include(&self, others: &Self) -> bool {
        let is_inside = |range: &PortRange| {
            self.around(range.first()).is_some_and(|around| range.last() <= around.last())
        };
        others.0.iter().all(is_inside)
    }

    /// The range that `port` is in.
    #[inline]
    fn around(&self, port: u16) -> Option<&PortRange> {
        let next = self.0.partition_point(|range| range.first() <= port);
        let range = self.0.get(next.checked_sub(1)?)?;
        range.contains(port).then_some(range)
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

    fn only(rules: &[(Protocol, &[&str])]) -> Openings {
        let rules = rules.iter().map(|(protocol, ports)| {
            let ports = ports.iter().map(|text| range(text)).collect();
            Rule { from: vec![], to: vec![], protocol: *protocol, ports }
        });
        Openings::of(rules.collect::<Vec<_>>().iter())
    }

    #[test]
    fn only_a_rule_for_everything_lets_other_protocols_in() {
        let all = [Traffic::Tcp(u16::MAX), Traffic::Udp(1), Traffic::Icmp, Traffic::Other];
        let permitted = |openings: &Openings| all.map(|traffic| openings.permits(traffic));
        assert_eq!(permitted(&only(&[(Protocol::Any, &[]), (Protocol::Tcp, &[])])), [true; 4]);
        let all_but_others = [Protocol::Tcp, Protocol::Udp, Protocol::Icmp].map(|it| (it, &[][..]));
        assert_eq!(permitted(&only(&all_but_others)), [true, true, true, false]);
        assert_eq!(permitted(&only(&[])), [false; 4]);
    }

    #[test]
    fn openings_include_what_they_leave_open() {
        let [few, more] = [&["22", "100-200"][..], &["22-23", "90-300"]];
        let (tcp, udp, icmp, any) = (Protocol::Tcp, Protocol::Udp, Protocol::Icmp, Protocol::Any);
        for (wide, narrow) in [
            (only(&[(tcp, more)]), only(&[(tcp, few)])),
            (only(&[(udp, more), (tcp, few)]), only(&[(udp, few), (tcp, few)])),
            (only(&[(icmp, &[])]), only(&[])),
            (only(&[(any, &[])]), only(&[(icmp, &[]), (tcp, &[])])),
        ] {
            assert!(wide.include(&narrow) && wide.include(&wide), "{wide:?}");
            assert!(!narrow.include(&wide), "{narrow:?}");
        }
        assert!(!only(&[(tcp, more)]).include(&only(&[(udp, few)])));
        assert!(!only(&[(tcp, &["100-150", "160-200"])]).include(&only(&[(tcp, few)])));
    }
}
