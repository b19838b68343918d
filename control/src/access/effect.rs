//! What a policy would change: how many pairs of members lose all reach, and how many gain some.
//!
//! Members to whom the rules of both policies say the same are counted together, so that a mesh of thousands is no more work
//! than the kinds of members in it.

use std::collections::BTreeMap;

use mesh_model::access::Rule;
use mesh_model::trust::MAX_RULES;
use mesh_model::view::{ClusterView, MemberView};

/// Rules as bits: the one at place n is bit n.
type Rules = u128;

const _: () = assert!(MAX_RULES <= Rules::BITS as usize);

/// What becomes of who may reach whom. A pair is a member and another one that it may begin something with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// All pairs of present members, each way counted.
    pub pairs: u64,
    /// Pairs in which something is allowed now.
    pub before: u64,
    /// Pairs in which something is allowed then.
    pub after: u64,
    /// Pairs in which something is allowed now, and nothing then.
    pub lost: u64,
}

/// The rules of a policy that lead from a member, and those that lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sides {
    from: Rules,
    to: Rules,
}

impl Sides {
    fn of(rules: &[Rule], member: &MemberView) -> Self {
        let bits = |is: &dyn Fn(&Rule) -> bool| {
            let set = rules.iter().take(MAX_RULES).enumerate().filter(|(_, rule)| is(rule));
            set.fold(0, |bits, (at, _)| bits | 1 << at)
        };
        Self { from: bits(&|rule| rule.is_from(member)), to: bits(&|rule| rule.is_to(member)) }
    }

    /// A member that everybody may reach and that may reach everybody.
    const OPEN: Self = Self { from: 1, to: 1 };

    fn reaches(self, other: Self) -> bool {
        self.from & other.to != 0
    }
}

/// What it would change if `rules`, of which there are at most [`MAX_RULES`], were the policy of the mesh.
pub fn effect(view: &ClusterView, rules: &[Rule]) -> Effect {
    let mut kinds: BTreeMap<(Sides, Sides), u64> = BTreeMap::new();
    for member in view.members.values() {
        let now = match &view.access {
            None => Sides::OPEN,
            Some(policy) => Sides::of(&policy.rules, member),
        };
        *kinds.entry((now, Sides::of(rules, member))).or_default() += 1;
    }
    let mut effect = Effect::default();
    for ((from_now, from_then), froms) in &kinds {
        for ((to_now, to_then), tos) in &kinds {
            // Nobody is a pair with itself.
            let is_same = (from_now, from_then) == (to_now, to_then);
            let pairs = froms * (tos - u64::from(is_same));
            let (now, then) = (from_now.reaches(*to_now), from_then.reaches(*to_then));
            effect.pairs += pairs;
            effect.before += pairs * u64::from(now);
            effect.after += pairs * u64::from(then);
            effect.lost += pairs * u64::from(now && !then);
        }
    }
    effect
}
