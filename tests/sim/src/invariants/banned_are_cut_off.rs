//! A host that knows a member to be banned has nothing to do with it: no tunnel to it, no packet, gossip or
//! question of it taken.
//!
//! The receiver's own view is what counts. A ban takes its time to reach everyone, and a host that starts
//! again may know less than it did; but whoever has applied it, and has not applied its end, is held to it
//! from that moment on. What is sent once all that are up have applied a ban thus gets through to nobody. It
//! may get through later: a banned host keeps trying, and its packet waits with it for the pardon.

use mesh_model::MemberId;
use mesh_model::plan::Plan;
use mesh_model::view::ClusterView;

use super::Violation;

const NAME: &str = "banned_are_cut_off";

/// `by` has `view` and these tunnels.
pub(crate) fn check_plan(by: MemberId, view: &ClusterView, plan: &Plan) -> Result<(), Violation> {
    match plan.peers.values().find(|peer| view.banned.contains_key(&peer.member)) {
        None => Ok(()),
        Some(peer) => {
            let message = format!("{by} has a tunnel to {}, which it knows is banned", peer.member);
            Err(Violation::new(NAME, message))
        }
    }
}

/// `by` has `view` and took `what` from `sender`.
pub(crate) fn check_taken(
    by: MemberId,
    view: &ClusterView,
    (sender, what): (MemberId, &str),
) -> Result<(), Violation> {
    if !view.banned.contains_key(&sender) {
        return Ok(());
    }
    let message = format!("{by} took {what} from {sender}, which it knows is banned");
    Err(Violation::new(NAME, message))
}

/// `by` answered a question that `sender` asked when `by` knew whether that is `banned`.
pub(crate) fn check_answer(by: MemberId, sender: MemberId, banned: bool) -> Result<(), Violation> {
    if !banned {
        return Ok(());
    }
    Err(Violation::new(NAME, format!("{by} answered {sender}, which it knew is banned")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mesh_control::planner;

    use super::*;
    use crate::invariants::sample::{ban, view};

    const ME: MemberId = MemberId(1);
    const OTHER: MemberId = MemberId(3);

    #[test]
    fn a_tunnel_to_one_that_is_banned_is_seen() {
        let before = view(4, 1, &[(1, [0, 1]), (3, [0, 2])]);
        let after = ban(before.clone(), OTHER);
        let plan = |view| planner::plan(view, ME, &BTreeMap::new());
        check_plan(ME, &before, &plan(&before)).unwrap();
        check_plan(ME, &after, &plan(&after)).unwrap();
        assert!(check_plan(ME, &after, &plan(&before)).is_err());
    }

    #[test]
    fn an_answer_to_one_that_is_banned_is_seen() {
        check_answer(ME, OTHER, false).unwrap();
        assert!(check_answer(ME, OTHER, true).is_err());
    }

    #[test]
    fn a_packet_of_one_that_is_banned_is_seen() {
        let before = view(4, 1, &[(1, [0, 1]), (3, [0, 2])]);
        check_taken(ME, &before, (OTHER, "a packet")).unwrap();
        let after = ban(before, OTHER);
        check_taken(ME, &after, (ME, "a packet")).unwrap();
        assert!(check_taken(ME, &after, (OTHER, "a packet")).is_err());
    }
}
