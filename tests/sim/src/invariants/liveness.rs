//! After a calm period all is well: one leader known to all, equal states everywhere, every pair of
//! members exchanges packets in both families, and gossip holds everyone for alive.
//!
//! Checked once, at the end: the calm period is long enough for everything that is bounded.

use std::collections::{BTreeMap, BTreeSet};

use mesh_control::raft::GroupStatus;
use mesh_model::api::v1::GossipState;
use mesh_model::view::StateHash;
use mesh_model::{LogIndex, MemberId};

use super::Violation;
use crate::net::HostNo;

const NAME: &str = "liveness";

/// How one live host stands at the end.
pub struct Standing {
    /// Which host.
    pub host: HostNo,
    /// Who it is.
    pub member: MemberId,
    /// Agreement as it sees it; `None` when it did not start.
    pub status: Option<GroupStatus>,
    /// What its gossip thinks of the others.
    pub gossip: BTreeMap<MemberId, GossipState>,
}

/// A packet every live member sends every other at the end, in both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// From.
    pub from: MemberId,
    /// To.
    pub to: MemberId,
    /// IPv6, or IPv4.
    pub v6: bool,
    /// After all sessions ended.
    pub afresh: bool,
}

/// See the [module](self).
#[derive(Default)]
pub struct Liveness {
    sent: BTreeSet<Pair>,
    arrived: BTreeSet<Pair>,
}

impl Liveness {
    /// A packet was sent in the calm period that must arrive.
    pub fn sent(&mut self, pair: Pair) {
        self.sent.insert(pair);
    }

    /// It arrived.
    pub fn arrived(&mut self, pair: Pair) {
        self.arrived.insert(pair);
    }

    /// The end of the calm period.
    pub fn check(&self, standings: &[Standing]) -> Result<(), Violation> {
        check_agreement(standings)?;
        if let Some(lost) = self.sent.difference(&self.arrived).next() {
            let family = if lost.v6 { "IPv6" } else { "IPv4" };
            let when = if lost.afresh { " after all sessions ended" } else { "" };
            let message = format!("no {family} packet got from {} to {}{when}", lost.from, lost.to);
            return Err(Violation::new(NAME, message));
        }
        check_gossip(standings)
    }
}

/// What all live members must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Agreed {
    leader: MemberId,
    applied: LogIndex,
    hash: StateHash,
}

fn check_agreement(standings: &[Standing]) -> Result<(), Violation> {
    let mut first: Option<(HostNo, Agreed)> = None;
    for standing in standings {
        let (host, member) = (standing.host, standing.member);
        let Some(status) = &standing.status else {
            return Err(Violation::new(NAME, format!("agreement on {host} did not start")));
        };
        let Some(leader) = status.leadership.leader else {
            let message = format!("{host} ({member}) knows no leader: {status:?}");
            return Err(Violation::new(NAME, message));
        };
        let here = Agreed { leader, applied: status.applied, hash: status.state_hash };
        let (other, there) = *first.get_or_insert((host, here));
        if there != here {
            let message = format!("{other} has {there:?}, {host} ({member}) has {here:?}");
            return Err(Violation::new(NAME, message));
        }
    }
    Ok(())
}

fn check_gossip(standings: &[Standing]) -> Result<(), Violation> {
    for standing in standings {
        for other in standings.iter().filter(|other| other.member != standing.member) {
            let state = standing.gossip.get(&other.member);
            if state != Some(&GossipState::Alive) {
                let (host, member) = (standing.host, other.member);
                let message = format!("{host} takes {member}, which is up, for {state:?}");
                return Err(Violation::new(NAME, message));
            }
        }
    }
    Ok(())
}
