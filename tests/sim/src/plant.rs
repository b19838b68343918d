//! Bugs planted on purpose, to show that the invariants notice. They live in what the simulator puts
//! around the cores, never in the cores.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use mesh_control::command::{Command, Outcome, Proposal};
use mesh_control::raft::Applied;
use mesh_model::codec;
use mesh_model::plan::Update;

use crate::net::HostNo;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Every disk acknowledges a sync before it has carried it out.
    AnswerBeforeSync,
    /// Nobody looks at what writing and syncing returned.
    DeafToDisk,
    /// The same, except that other members are not answered any more: as if only they had to be told nothing.
    DeafAtHome,
    /// A door that refused something remembers it, and says so again without asking the others.
    StaleRefusal,
    /// Hosts show what they have, and call it what is agreed now.
    StaleRead,
    /// Every tunnel may carry every source that is no member's.
    AnySource,
    /// Intruders have the invite's secret: as if nobody checked for it.
    StolenSecret,
    /// What the root said earlier can be said again under a later serial: as if nobody looked at serials.
    ForgottenSerial,
    /// Packet cores are not told of peers that go.
    KeptTunnels,
    /// Nobody answers a member that asks for what was agreed: as if the leader fed all of them.
    NoSources,
    /// Nobody shows the way into a later epoch.
    NoPassage,
    /// Every question is taken for one of the epoch in which it is answered: as if nobody looked at epochs.
    AnyEpoch,
    /// A new key is written down once it is agreed, not before.
    ForgottenKey,
    /// Packet cores are not told that a peer has another key.
    DeafToKeys,
}

/// All planted bugs, and their names on the command line.
pub const ALL: [(&str, Plant); 14] = [
    ("answer-before-sync", Plant::AnswerBeforeSync),
    ("deaf-to-disk", Plant::DeafToDisk),
    ("deaf-at-home", Plant::DeafAtHome),
    ("stale-refusal", Plant::StaleRefusal),
    ("stale-read", Plant::StaleRead),
    ("any-source", Plant::AnySource),
    ("stolen-secret", Plant::StolenSecret),
    ("forgotten-serial", Plant::ForgottenSerial),
    ("kept-tunnels", Plant::KeptTunnels),
    ("no-sources", Plant::NoSources),
    ("no-passage", Plant::NoPassage),
    ("any-epoch", Plant::AnyEpoch),
    ("forgotten-key", Plant::ForgottenKey),
    ("deaf-to-keys", Plant::DeafToKeys),
];

/// The planted bug called `name`.
pub fn named(name: &str) -> Option<Plant> {
    ALL.into_iter().find(|(known, _)| *known == name).map(|(_, plant)| plant)
}

/// What each host has refused: the memory of [`Plant::StaleRefusal`].
#[derive(Default)]
pub(crate) struct Refusals {
    known: BTreeMap<(HostNo, Vec<u8>), Applied>,
}

impl Refusals {
    /// `no` answered `command` with `applied`.
    pub(crate) fn learn(&mut self, no: HostNo, command: &Command, applied: &Applied) {
        if matches!(applied.outcome, Outcome::Refused(_)) {
            self.known.insert((no, bytes(command)), applied.clone());
        }
    }

    /// What `no` refused `command` with before.
    pub(crate) fn recall(&self, no: HostNo, command: &Command) -> Option<Applied> {
        self.known.get(&(no, bytes(command))).cloned()
    }
}

/// Something to compare commands by.
fn bytes(command: &Command) -> Vec<u8> {
    codec::encode(&Proposal { at_ms: 0, command: command.clone() })
}

/// Gives each peer a default route besides its own addresses: the last one planned may then speak for
/// every address that is nobody's.
pub(crate) fn any_source(update: Update) -> Option<Update> {
    Some(match update {
        Update::SetPeer(key, mut plan) => {
            let nowhere = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
            plan.allowed_ips.extend(nowhere.map(|addr| IpNet::new_assert(addr, 0)));
            Update::SetPeer(key, plan)
        }
        other => other,
    })
}

/// Leaves out what ends a peer.
pub(crate) fn kept_tunnels(update: Update) -> Option<Update> {
    match update {
        Update::RemovePeer(_) => None,
        other => Some(other),
    }
}

/// Leaves out that a peer has another key.
pub(crate) fn deaf_to_keys(update: Update) -> Option<Update> {
    match update {
        Update::RekeyPeer(..) => None,
        other => Some(other),
    }
}
