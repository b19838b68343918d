//! What is decided of one thing that a member would begin with another, and by what.

use mesh_model::access::{Rule, Traffic};
use mesh_model::view::{BannedView, ClusterView, MemberView};

/// Whether a member may begin something with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It may: there is no policy.
    Open,
    /// It may, by the rule at this place of the policy, the first that allows it.
    ByRule(usize, &'a Rule),
    /// It may not, by no rule.
    Denied,
    /// It may not, whatever the policy says: nobody has to do with this one of the two.
    Banned(&'a BannedView),
}

impl<'a> Verdict<'a> {
    /// The verdict on `traffic` that `from` would begin with `to`. If both are banned it names the one that begins.
    pub fn on(view: &'a ClusterView, from: &MemberView, to: &MemberView, traffic: Traffic) -> Self {
        let banned = [from, to].into_iter().find_map(|member| view.banned.get(&member.id));
        match (banned, &view.access) {
            (Some(banned), _) => Self::Banned(banned),
            (None, None) => Self::Open,
            (None, Some(policy)) => match policy.allowing(from, to, traffic) {
                Some(at) => Self::ByRule(at, &policy.rules[at]),
                None => Self::Denied,
            },
        }
    }

    /// Whether it may.
    pub fn allows(&self) -> bool {
        matches!(self, Self::Open | Self::ByRule(..))
    }
}
