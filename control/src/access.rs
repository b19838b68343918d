//! Who may reach whom: what follows from the agreed policy for one host (`Doorway`), what people's words for it mean
//! ([`read()`], [`write()`]), what it says of one thing ([`Verdict`]), and what another policy would change ([`effect()`]).
//!
//! The rules that do not lead here are left out first, so that a mesh of a thousand members costs its planner a look at
//! each member's tags and little more. Peers under the same rules share what was compiled for them.

mod effect;
mod verdict;
mod words;

use std::collections::BTreeMap;

use mesh_model::MemberId;
use mesh_model::access::{Inbound, Rule};
use mesh_model::view::{ClusterView, MemberView};

pub use effect::{Effect, effect};
pub use verdict::Verdict;
pub use words::{WordError, WordsError, read, write};

/// The policy as one host sees it: what each peer may begin with it.
pub(crate) struct Doorway<'a> {
    /// The rules that lead to this host; `None` while there is no policy.
    rules: Option<Vec<&'a Rule>>,
    /// What was compiled already, by which of `rules` go into it.
    compiled: BTreeMap<Vec<usize>, Inbound>,
}

impl<'a> Doorway<'a> {
    /// The doorway of member `me`.
    pub(crate) fn of(view: &'a ClusterView, me: MemberId) -> Self {
        let leads_here = |rule: &&Rule| view.place_of(me).is_some_and(|own| rule.is_to(own));
        let rules = view.access.as_ref();
        let rules = rules.map(|policy| policy.rules.iter().filter(leads_here).collect());
        Self { rules, compiled: BTreeMap::new() }
    }

    /// What `peer` may begin.
    pub(crate) fn inbound(&mut self, peer: &MemberView) -> Inbound {
        let Some(rules) = &self.rules else { return Inbound::Everything };
        let applies = |at: &usize| rules[*at].is_from(peer);
        let applying: Vec<usize> = (0..rules.len()).filter(applies).collect();
        if let Some(inbound) = self.compiled.get(&applying) {
            return inbound.clone();
        }
        let inbound = Inbound::of(applying.iter().map(|at| rules[*at]));
        self.compiled.insert(applying, inbound.clone());
        inbound
    }
}
