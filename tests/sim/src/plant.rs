//! Bugs planted on purpose, to show that the invariants notice. They live in what the simulator puts
//! around the cores, never in the cores.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use mesh_model::plan::Update;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Every disk acknowledges a sync before it has carried it out.
    AnswerBeforeSync,
    /// Nobody looks at what writing and syncing returned.
    DeafToDisk,
    /// Every tunnel may carry every source that is no member's.
    AnySource,
    /// Intruders have the invite's secret: as if nobody checked for it.
    StolenSecret,
}

/// All planted bugs, and their names on the command line.
pub const ALL: [(&str, Plant); 4] = [
    ("answer-before-sync", Plant::AnswerBeforeSync),
    ("deaf-to-disk", Plant::DeafToDisk),
    ("any-source", Plant::AnySource),
    ("stolen-secret", Plant::StolenSecret),
];

/// The planted bug called `name`.
pub fn named(name: &str) -> Option<Plant> {
    ALL.into_iter().find(|(known, _)| *known == name).map(|(_, plant)| plant)
}

/// Gives each peer a default route besides its own addresses: the last one planned may then speak for
/// every address that is nobody's.
pub(crate) fn any_source(update: Update) -> Update {
    match update {
        Update::SetPeer(key, mut plan) => {
            let nowhere = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
            plan.allowed_ips.extend(nowhere.map(|addr| IpNet::new_assert(addr, 0)));
            Update::SetPeer(key, plan)
        }
        other => other,
    }
}
