//! Where a peer may be.

use std::net::{IpAddr, SocketAddr};

use mesh_model::plan::MAX_CANDIDATES;

use crate::endpoint::{Endpoint, Way};

/// Where a peer was last heard, and where the plan supposes it.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    heard: Option<Endpoint>,
    /// The way on which it is heard, while what leaves along it takes another interface: the address it
    /// speaks to is not answered from until routes change again.
    astray: Option<Endpoint>,
    candidates: Vec<SocketAddr>,
    tried: usize,
}

impl Endpoints {
    /// Takes the plan's candidates, best first; `true` when they differ from before.
    pub(crate) fn set_candidates(&mut self, candidates: &[SocketAddr]) -> bool {
        let kept = &candidates[..candidates.len().min(MAX_CANDIDATES)];
        let changed = self.candidates != kept;
        if changed {
            self.candidates = kept.to_vec();
            self.tried = 0;
        }
        changed
    }

    /// Where packets go: where the peer was last heard, else the best candidate.
    pub(crate) fn current(&self) -> Option<Endpoint> {
        self.heard.or_else(|| self.candidates.first().copied().map(Endpoint::from))
    }

    /// The operator says that the peer is at `endpoint`.
    pub(crate) fn move_to(&mut self, endpoint: SocketAddr) {
        self.tried = 0;
        self.heard = Some(endpoint.into());
        self.astray = None;
    }

    /// The peer's packet came from `from` and was authentic; `true` when it is elsewhere now.
    pub(crate) fn heard_from(&mut self, from: Endpoint) -> bool {
        self.tried = 0;
        let astray = self.astray.filter(|astray| same_way(astray, &from));
        self.astray = astray;
        let heard = if astray.is_some() { from.remote.into() } else { from };
        self.heard.replace(heard).map(|before| before.remote) != Some(from.remote)
    }

    /// Nothing can be sent from `local` any more.
    pub(crate) fn forget_local(&mut self, local: IpAddr) {
        if let Some(heard) = self.heard.as_mut().filter(|heard| heard.local == Some(local)) {
            *heard = heard.remote.into();
        }
        self.astray = self.astray.filter(|astray| astray.local != Some(local));
    }

    /// The way on which the peer is answered from the address it spoke to, or would be if routes did not
    /// lead elsewhere. A link-local address names its link, whatever the routes say.
    pub(crate) fn way(&self) -> Option<Way> {
        let heard = self.astray.or(self.heard)?;
        let (remote, local) = (heard.remote.ip(), heard.local?);
        let routed = !matches!(remote, IpAddr::V6(v6) if v6.is_unicast_link_local());
        (routed && heard.interface.is_some()).then_some(Way { remote, local })
    }

    /// What is sent on the way leaves by `interface` now.
    pub(crate) fn leaves_by(&mut self, interface: u32) {
        if let Some(astray) = self.astray {
            self.astray = Some(astray).filter(|it| it.interface != Some(interface));
        } else if let Some(heard) = &mut self.heard
            && heard.interface != Some(interface)
        {
            self.astray = Some(*heard);
            *heard = heard.remote.into();
        }
    }

    /// Where the next initiation goes: first to the current endpoint, and while nothing answers, on
    /// through all candidates and round again.
    pub(crate) fn next_try(&mut self) -> Option<Endpoint> {
        let heard = self.heard;
        let others = self.candidates.iter().copied();
        let others = others.filter(|it| heard.is_none_or(|heard| heard.remote != *it));
        let all = heard.into_iter().chain(others.map(Endpoint::from));
        let count = all.clone().count();
        let pick = self.tried.checked_rem(count)?;
        self.tried = pick + 1;
        all.clone().nth(pick)
    }
}

/// Whether both are the same peer at the same address of ours, by the same interface.
fn same_way(one: &Endpoint, other: &Endpoint) -> bool {
    let ends = |it: &Endpoint| (it.remote.ip(), it.local, it.interface);
    ends(one) == ends(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn tries(endpoints: &mut Endpoints, n: usize) -> Vec<u16> {
        (0..n).filter_map(|_| endpoints.next_try()).map(|endpoint| endpoint.remote.port()).collect()
    }

    #[test]
    fn tries_go_round() {
        let mut endpoints = Endpoints::default();
        assert_eq!(endpoints.next_try(), None);
        endpoints.set_candidates(&[at(1), at(2)]);
        assert_eq!(tries(&mut endpoints, 3), [1, 2, 1]);
        endpoints.heard_from(at(3).into());
        assert_eq!(tries(&mut endpoints, 4), [3, 1, 2, 3]);
        endpoints.heard_from(at(2).into());
        assert_eq!(tries(&mut endpoints, 3), [2, 1, 2]);
    }

    #[test]
    fn a_way_that_leads_elsewhere_is_not_taken_again_until_it_leads_back() {
        let local = Some([192, 0, 2, 9].into());
        let from = Endpoint { remote: at(3), local, interface: Some(7) };
        let answered_from = |endpoints: &Endpoints| endpoints.current().and_then(|it| it.local);
        let mut endpoints = Endpoints::default();
        endpoints.heard_from(from);
        let way = endpoints.way();
        assert!(way.is_some() && answered_from(&endpoints) == local);

        endpoints.leaves_by(8);
        assert_eq!(answered_from(&endpoints), None);
        // What was on its way yet, and all that the peer sends from there on.
        assert!(!endpoints.heard_from(from));
        assert_eq!(answered_from(&endpoints), None);
        assert_eq!(endpoints.way(), way, "it is asked about still");
        endpoints.leaves_by(8);
        assert!(!endpoints.heard_from(from));
        assert_eq!(answered_from(&endpoints), None);

        endpoints.leaves_by(7);
        endpoints.heard_from(from);
        assert_eq!(answered_from(&endpoints), local);

        endpoints.leaves_by(8);
        endpoints.heard_from(Endpoint { interface: Some(8), ..from });
        assert_eq!(answered_from(&endpoints), local, "heard where it is answered now");
    }

    #[test]
    fn what_was_heard_outranks_the_plan() {
        let mut endpoints = Endpoints::default();
        endpoints.set_candidates(&[at(1)]);
        assert_eq!(endpoints.current(), Some(at(1).into()));
        assert!(endpoints.heard_from(at(9).into()));
        assert!(!endpoints.heard_from(at(9).into()));
        assert!(endpoints.set_candidates(&[at(2)]));
        assert_eq!(endpoints.current(), Some(at(9).into()));
    }

    #[test]
    fn answers_come_from_the_address_that_was_spoken_to_while_it_is_there() {
        let own = "192.0.2.7".parse().unwrap();
        let from = |port| Endpoint { local: Some(own), interface: Some(1), ..at(port).into() };
        let mut endpoints = Endpoints::default();
        assert!(endpoints.heard_from(from(1)));
        assert_eq!(endpoints.current(), Some(from(1)));
        assert!(!endpoints.heard_from(at(1).into()), "the peer is where it was");
        endpoints.heard_from(from(1));
        endpoints.forget_local("192.0.2.8".parse().unwrap());
        assert_eq!(endpoints.current(), Some(from(1)));
        endpoints.forget_local(own);
        assert_eq!(endpoints.current(), Some(at(1).into()));
        endpoints.heard_from(from(1));
        endpoints.move_to(at(2));
        assert_eq!(
            endpoints.current(),
            Some(at(2).into()),
            "the operator named no address of ours"
        );
    }

    #[test]
    fn routes_that_lead_elsewhere_leave_the_choice_to_the_kernel() {
        let own = "192.0.2.7".parse().unwrap();
        let mut endpoints = Endpoints::default();
        assert_eq!(endpoints.way(), None);
        endpoints.set_candidates(&[at(1)]);
        assert_eq!(endpoints.way(), None, "it was never heard");
        let from = Endpoint { local: Some(own), interface: Some(3), ..at(1).into() };
        endpoints.heard_from(from);
        assert_eq!(endpoints.way(), Some(Way { remote: at(1).ip(), local: own }));
        endpoints.leaves_by(3);
        assert_eq!(endpoints.current(), Some(from));
        endpoints.leaves_by(4);
        assert_eq!(endpoints.current(), Some(at(1).into()));
        assert!(endpoints.way().is_some(), "it may lead back");
        let neighbour = "[fe80::1%3]:1".parse().unwrap();
        endpoints.heard_from(Endpoint { remote: neighbour, ..from });
        assert_eq!(endpoints.way(), None, "no route leads to another link");
    }

    #[test]
    fn candidates_are_bounded() {
        let mut endpoints = Endpoints::default();
        let many: Vec<_> = (0..100).map(at).collect();
        assert!(endpoints.set_candidates(&many));
        assert!(!endpoints.set_candidates(&many));
        assert_eq!(endpoints.candidates.len(), MAX_CANDIDATES);
    }
}
