//! Where a peer may be.

use std::net::SocketAddr;

use mesh_model::plan::MAX_CANDIDATES;

/// Where a peer was last heard, and where the plan supposes it.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    heard: Option<SocketAddr>,
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
    pub(crate) fn current(&self) -> Option<SocketAddr> {
        self.heard.or(self.candidates.first().copied())
    }

    /// The operator says that the peer is at `endpoint`.
    pub(crate) fn move_to(&mut self, endpoint: SocketAddr) {
        self.tried = 0;
        self.heard = Some(endpoint);
    }

    /// The peer's packet came from `from` and was authentic; `true` when that is news.
    pub(crate) fn heard_from(&mut self, from: SocketAddr) -> bool {
        self.tried = 0;
        self.heard.replace(from) != Some(from)
    }

    /// Where the next initiation goes: first to the current endpoint, and while nothing answers, on
    /// through all candidates and round again.
    pub(crate) fn next_try(&mut self) -> Option<SocketAddr> {
        let others =
            self.candidates.iter().copied().filter(|candidate| Some(*candidate) != self.heard);
        let all = self.heard.into_iter().chain(others);
        let count = all.clone().count();
        let pick = self.tried.checked_rem(count)?;
        self.tried = pick + 1;
        all.clone().nth(pick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn tries(endpoints: &mut Endpoints, n: usize) -> Vec<u16> {
        (0..n).filter_map(|_| endpoints.next_try()).map(|endpoint| endpoint.port()).collect()
    }

    #[test]
    fn tries_go_round() {
        let mut endpoints = Endpoints::default();
        assert_eq!(endpoints.next_try(), None);
        endpoints.set_candidates(&[at(1), at(2)]);
        assert_eq!(tries(&mut endpoints, 3), [1, 2, 1]);
        endpoints.heard_from(at(3));
        assert_eq!(tries(&mut endpoints, 4), [3, 1, 2, 3]);
        endpoints.heard_from(at(2));
        assert_eq!(tries(&mut endpoints, 3), [2, 1, 2]);
    }

    #[test]
    fn what_was_heard_outranks_the_plan() {
        let mut endpoints = Endpoints::default();
        endpoints.set_candidates(&[at(1)]);
        assert_eq!(endpoints.current(), Some(at(1)));
        assert!(endpoints.heard_from(at(9)));
        assert!(!endpoints.heard_from(at(9)));
        assert!(endpoints.set_candidates(&[at(2)]));
        assert_eq!(endpoints.current(), Some(at(9)));
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
