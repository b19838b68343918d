//! Where each member may be reached.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mesh_model::MemberId;
use mesh_model::plan::MAX_CANDIDATES;

/// What is known of one member's whereabouts.
#[derive(Debug, Default)]
struct Whereabouts {
    observed: Option<SocketAddr>,
    announced: Vec<SocketAddr>,
    hinted: Option<SocketAddr>,
}

/// Candidate endpoints of the other members: at most one entry per member, be it banned or not.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    known: BTreeMap<MemberId, Whereabouts>,
    candidates: BTreeMap<MemberId, Vec<SocketAddr>>,
}

impl Endpoints {
    /// An authenticated packet of `member` came from `endpoint`. Says whether that changes anything,
    /// as do the others below.
    pub(super) fn observe(&mut self, member: MemberId, endpoint: SocketAddr) -> bool {
        self.known.entry(member).or_default().observed = Some(endpoint);
        self.rank(member)
    }

    /// `member` says it may be reached at `endpoints`.
    pub(super) fn announce(&mut self, member: MemberId, endpoints: &[SocketAddr]) -> bool {
        self.known.entry(member).or_default().announced = endpoints.to_vec();
        self.rank(member)
    }

    /// Someone, perhaps we in an earlier life, reached `member` at `endpoint`.
    pub(super) fn hint(&mut self, member: MemberId, endpoint: SocketAddr) -> bool {
        self.known.entry(member).or_default().hinted = Some(endpoint);
        self.rank(member)
    }

    /// Forgets all but `members`.
    pub(super) fn keep(&mut self, members: impl Iterator<Item = MemberId>) {
        let mut before = std::mem::take(&mut self.known);
        self.known = members.filter_map(|member| before.remove_entry(&member)).collect();
        self.candidates.retain(|member, _| self.known.contains_key(member));
    }

    /// Candidates of each member, best first: where it was seen, where it says it is, where it was.
    pub(super) fn candidates(&self) -> &BTreeMap<MemberId, Vec<SocketAddr>> {
        &self.candidates
    }

    /// Where `member` was seen last, now or before the start.
    pub(super) fn last_seen(&self, member: MemberId) -> Option<SocketAddr> {
        let known = self.known.get(&member)?;
        known.observed.or(known.hinted)
    }

    fn rank(&mut self, member: MemberId) -> bool {
        let Some(known) = self.known.get(&member) else {
            return false;
        };
        let in_order = known.observed.iter().chain(&known.announced).chain(&known.hinted);
        let mut ranked: Vec<SocketAddr> = Vec::new();
        for endpoint in in_order {
            if ranked.len() < MAX_CANDIDATES && !ranked.contains(endpoint) {
                ranked.push(*endpoint);
            }
        }
        let changed = self.candidates.get(&member) != Some(&ranked);
        self.candidates.insert(member, ranked);
        changed
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::facts::MAX_ENDPOINTS;

    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn seen_comes_before_said_and_said_before_remembered() {
        let mut endpoints = Endpoints::default();
        let member = MemberId(2);
        assert!(endpoints.hint(member, at(3)));
        assert!(endpoints.announce(member, &[at(2), at(1)]));
        assert!(endpoints.observe(member, at(1)));
        assert!(!endpoints.observe(member, at(1)));
        assert_eq!(endpoints.candidates()[&member], [at(1), at(2), at(3)]);
        assert_eq!(endpoints.last_seen(member), Some(at(1)));
    }

    #[test]
    fn candidates_are_bounded_and_go_with_their_member() {
        let mut endpoints = Endpoints::default();
        let many: Vec<_> = (1..50).map(at).collect();
        endpoints.announce(MemberId(2), &many);
        endpoints.hint(MemberId(3), at(1));
        assert_eq!(endpoints.candidates()[&MemberId(2)].len(), MAX_CANDIDATES);
        endpoints.keep([MemberId(3)].into_iter());
        assert_eq!(endpoints.candidates().len(), 1);
    }
    #[test]
    fn where_it_was_seen_costs_none_of_what_it_announces() {
        let mut endpoints = Endpoints::default();
        let announced: Vec<_> = (1..=MAX_ENDPOINTS as u16).map(at).collect();
        endpoints.hint(MemberId(2), at(99));
        endpoints.announce(MemberId(2), &announced);
        endpoints.observe(MemberId(2), at(50));
        let expected = [vec![at(50)], announced].concat();
        assert_eq!(endpoints.candidates()[&MemberId(2)], expected);
    }
}
