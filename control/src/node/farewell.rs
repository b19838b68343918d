//! Tunnels that outlive their member's departure for a moment.
//!
//! A member that leaves asks for its departure to be agreed and waits for the answer, and the answer
//! comes through the very tunnels that its departure ends:
//!
//! ```text
//! leaver ── depart ──> leader ── append ──> all: agreed, applied, the leaver is gone
//! leaver <── agreed ── leader      a round trip later, through a tunnel no plan has any more
//! ```
//!
//! Were the tunnel wiped on applying the departure, the leaver would often hear nothing and report
//! that it could not leave. So the packet core keeps its peer, exactly as it was, until [`FAREWELL`]
//! is over. Nobody else has to wait for that: whoever is agreed to have the key or one of the
//! addresses gets it at once, and a host that was itself removed keeps no tunnel at all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use mesh_model::MemberId;
use mesh_model::key::TunnelKey;
use mesh_model::plan::{PeerPlan, Plan};
use mesh_model::view::ClusterView;

/// How long a departed member's tunnel stays.
///
/// The reply to its goodbye is a round trip behind the departure: well below a second on any path,
/// a few when packets are lost and QUIC has to send again. Within it the departed may still send
/// what it could send before; that is harmless from one who left, or was removed. A ban does not wait.
pub const FAREWELL: Duration = Duration::from_secs(5);

/// One departed member's tunnel.
#[derive(Debug)]
struct Kept {
    key: TunnelKey,
    peer: PeerPlan,
    until: Instant,
}

/// The departed whose tunnels stay: at most one entry each, none older than [`FAREWELL`], so never
/// more than left the mesh within that time.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    kept: BTreeMap<MemberId, Kept>,
}

impl Farewells {
    /// `after` was agreed in place of `before`, under which the packet core had `plan`: keeps the
    /// peers of those who left in between, and lets go of all that `after` has another use for.
    pub(super) fn handle_view(
        &mut self,
        me: MemberId,
        plan: &Plan,
        (before, after): (&ClusterView, &ClusterView),
        now: Instant,
    ) {
        if !after.has_place(me) {
            self.kept.clear();
            return;
        }
        for (key, peer) in &plan.peers {
            let member = peer.member;
            // Only who leaves with this very view: a farewell that is over is not said again.
            if before.members.contains_key(&member) && !after.has_place(member) {
                let kept = Kept { key: *key, peer: peer.clone(), until: now + FAREWELL };
                self.kept.insert(member, kept);
            }
        }
        self.kept.retain(|member, kept| !after.has_place(*member) && !kept.taken(after));
        self.handle_timeout(now);
    }

    /// Ends what is due, and says whether anything was.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let before = self.kept.len();
        self.kept.retain(|_, kept| now < kept.until);
        self.kept.len() != before
    }

    /// When the next one is due.
    pub(super) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.kept.values().map(|kept| (kept.until, "farewell")).min()
    }

    /// Adds the tunnels that stay to `plan`, which has none of their keys and addresses.
    pub(super) fn add_to(&self, plan: &mut Plan) {
        plan.peers.extend(self.kept.values().map(|kept| (kept.key, kept.peer.clone())));
    }
}

impl Kept {
    /// Whether somebody present has the key or an address of it.
    fn taken(&self, view: &ClusterView) -> bool {
        let ours = |ip: &IpNet| self.peer.allowed_ips.iter().any(|own| overlap(own, ip));
        view.members.values().any(|member| {
            member.tunnel == self.key || member.addrs.host_prefixes().iter().any(ours)
        })
    }
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
