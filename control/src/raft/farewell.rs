//! Members that are about to go have no vote.
//!
//! A member that votes gives up its vote before its departure is agreed. The other way round its tunnels would be gone before the
//! change of voters that needs its answer, and a sole voter that left would take the mesh's ability to agree with it. It does not
//! get the vote back while its goodbye is under way, and none is given to one whose departure is in the log and not agreed yet:
//! who proposed it may have stopped waiting, or have led before this host, and it is agreed all the same.
//!
//! ```text
//! goodbye ──> the step under way ends ──> no step gives it a vote ──> it has none ──> its departure is in the log ──> agreed
//!             └───────────── while somebody waits for the answer ─────────────┘      └── as long as it is there ──┘
//! ```
//!
//! The same goes for those that are banned, removed or excluded. The last member may leave, but a leader does not have it banned or removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_model::MemberId;
use openraft::type_config::TypeConfigExt as _;

use super::group::{Inner, leadership};
use super::propose::ProposeError;
use super::status::Role;
use super::steward::{LOOK_AGAIN, Looked};
use super::store::{LogStore, StoreError};
use super::types::{Payload, Types};
use crate::command::Command;

/// Who is saying goodbye, and how many times: one that is said twice is not over with the first.
#[derive(Default)]
pub(super) struct Farewells(Mutex<BTreeMap<MemberId, usize>>);

/// Keeps a member out of the vote until dropped.
pub(super) struct Leaving<'a> {
    farewells: &'a Farewells,
    member: MemberId,
}

impl Farewells {
    /// Those that are saying goodbye.
    pub(super) fn members(&self) -> BTreeSet<MemberId> {
        self.lock().keys().copied().collect()
    }

    fn begin(&self, member: MemberId) -> Leaving<'_> {
        *self.lock().entry(member).or_default() += 1;
        Leaving { farewells: self, member }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MemberId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut leaving = self.farewells.lock();
        if let Some(goodbyes) = leaving.get_mut(&self.member) {
            *goodbyes -= 1;
            if *goodbyes == 0 {
                leaving.remove(&self.member);
            }
        }
    }
}

impl Inner {
    /// Takes away the vote of `member`, if it has one, before `goodbye` is agreed. It does not get it back while the returned guard
    /// lives. Fails when nobody else can have it.
    pub(super) async fn retire(
        &self,
        member: MemberId,
        goodbye: &Command,
    ) -> Result<Leaving<'_>, ProposeError> {
        let leaving = self.stewardship.farewells.begin(member);
        // The step under way was chosen without this goodbye, and may give it a vote.
        drop(self.stewardship.step_by_step().await);
        loop {
            if !self.view().members.keys().any(|id| *id != member) {
                return match goodbye {
                    // There is nobody to keep agreeing.
                    Command::Depart { .. } => Ok(leaving),
                    // One that is banned or removed stays where it is, with the only vote: whoever it let in would not speak with it.
                    _ => Err(ProposeError::LastMember(member)),
                };
            }
            let leads = member == self.me && leadership(&self.raft).role == Role::Leader;
            if !leads && !self.membership().voters.contains(&member) {
                return Ok(leaving);
            }
            match self.step().await {
                Looked::Stepped => {}
                Looked::AtRest(_) => return Err(ProposeError::NoSuccessor(member)),
                Looked::Waiting(_) => Types::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Members whose departure, or ban, is in the log and not applied.
    pub(super) fn going(&self) -> Result<BTreeSet<MemberId>, StoreError> {
        let applied = self.replica.lock().index();
        let entries = LogStore::new(Arc::clone(&self.db)).entries(applied + 1..)?;
        let proposals = entries.iter().filter_map(|entry| match &entry.payload {
            Payload::Normal(proposal) => Some(proposal),
            _ => None,
        });
        let state = &self.replica.lock().state;
        Ok(proposals.filter_map(|proposal| state.would_lose(proposal)).collect())
    }
}

#[cfg(test)]
mod tests {
    use openraft::async_runtime::watch::WatchReceiver as _;
    use openraft::raft::AppendEntriesRequest;

    use super::*;
    use crate::raft::fixture::{self, GUEST, goodbye, leads, log_id};
    use crate::raft::rpc::{Append, Request};
    use crate::raft::types::Entry;

    #[test]
    fn one_whose_departure_is_in_the_log_is_going_until_it_has_gone() {
        Types::run(async {
            let guest = fixture::guest().await;
            let entry = Entry { log_id: log_id(1, 4), payload: Payload::Normal(goodbye().1) };
            let agreed_after = [None, Some(log_id(1, 4))];
            for (leader_commit, going) in agreed_after.into_iter().zip([vec![GUEST], vec![]]) {
                let append = AppendEntriesRequest {
                    vote: leads(MemberId::FOUNDER, 1),
                    prev_log_id: Some(log_id(1, 3)),
                    entries: vec![entry.clone()],
                    leader_commit,
                };
                let said = Request::Append(Append::from(append)).ask_in(fixture::epoch());
                guest.handle_rpc(MemberId::FOUNDER, &said).await.expect("the leader's");
                let applied = leader_commit.map_or(3, |agreed| agreed.index);
                let mut views = guest.inner().views.clone();
                views.wait_until(|view| view.applied == applied).await.expect("applied");
                let going = going.into_iter().collect();
                assert_eq!(guest.inner().going(), Ok(going));
            }
            guest.shutdown().await;
        });
    }

    #[test]
    fn one_that_says_goodbye_twice_is_leaving_until_both_are_answered() {
        let farewells = Farewells::default();
        let member = MemberId(4);
        let (first, second) = (farewells.begin(member), farewells.begin(member));
        drop(first);
        assert!(farewells.members().contains(&member));
        drop(second);
        assert!(farewells.members().is_empty());
    }
}
