//! The door: a stranger with a token asks, the mesh decides.
//!
//! This member only carries: the proposal goes to the supervisor, every member checks its signatures when
//! it applies it, and the answer is the mesh's. Then the newcomer gets the agreed state and word of where
//! everyone is.

use std::net::SocketAddr;

use mesh_control::command::{Command, Outcome, Proposal, Refusal};
use mesh_control::raft::Group;
use mesh_control::refusals::Refused;
use mesh_model::trust::Genesis;
use mesh_model::wire::join::{JoinRefusal, JoinReply, JoinRequest, PeerHint, Welcome};
use mesh_model::{LogIndex, MemberId, Signed};
use tokio::sync::{mpsc, oneshot};

use super::driver::Question;
use super::mesh::APPLY_LIMIT;
use super::remembering::Saver;
use crate::io::clock;
use crate::io::join::Doorkeeper;

/// Decides about joiners by asking the mesh.
#[derive(Clone)]
pub(super) struct Door {
    me: MemberId,
    genesis: Signed<Genesis>,
    group: Group,
    questions: mpsc::Sender<Question>,
    saver: Saver,
}

impl Door {
    pub(super) fn new(
        me: MemberId,
        genesis: Signed<Genesis>,
        group: Group,
        questions: mpsc::Sender<Question>,
        saver: Saver,
    ) -> Self {
        Self { me, genesis, group, questions, saver }
    }

    /// What an admitted host starts from; `None` when this member cannot catch up.
    async fn welcome(
        &self,
        member: MemberId,
        index: LogIndex,
        from: SocketAddr,
    ) -> Option<Welcome> {
        let snapshot = self.group.snapshot_at_least(index, APPLY_LIMIT).await?;
        // The newcomer's tunnel will come from the port it asked from.
        self.questions.send(Question::Seen(member, from)).await.ok()?;
        // From its welcome on the newcomer counts on being found, also by a member that crashes now.
        self.saver.save_now().await;
        Some(Welcome {
            member,
            genesis: self.genesis.clone(),
            snapshot,
            peers: self.hints(member).await,
            answered_by: self.me,
        })
    }

    async fn hints(&self, newcomer: MemberId) -> Vec<PeerHint> {
        let (reply, hints) = oneshot::channel();
        if self.questions.send(Question::Hints(reply)).await.is_err() {
            return Vec::new();
        }
        let mut hints = hints.await.unwrap_or_default();
        hints.retain(|hint| hint.member != newcomer);
        hints
    }
}

impl Doorkeeper for Door {
    async fn admit(&self, from: SocketAddr, request: JoinRequest) -> JoinReply {
        let reply = self.decide(from, request).await;
        if let Some(reason) = Refused::of_join(&reply) {
            self.group.refusals().count(reason);
        }
        reply
    }

    fn turned_away(&self, reason: Refused) {
        self.group.refusals().count(reason);
    }
}

impl Door {
    /// What the mesh says to `request`, and what follows for the one at the door.
    async fn decide(&self, from: SocketAddr, request: JoinRequest) -> JoinReply {
        let command = Command::Admit(request.admission);
        let applied = match self.group.propose(Proposal { at_ms: clock::wall_ms(), command }).await
        {
            Ok(applied) => applied,
            Err(error) => {
                tracing::warn!(%from, %error, "a joiner could not be decided on");
                return JoinReply::Unavailable;
            }
        };
        match applied.outcome {
            Outcome::Admitted { member, .. } if !self.group.may_welcome(member) => {
                tracing::info!(%from, %member, "refused a second start to one that takes part already");
                JoinReply::Refused(JoinRefusal::AlreadyVotes)
            }
            Outcome::Admitted { member, .. } => {
                tracing::info!(%from, %member, "admitted");
                match self.welcome(member, applied.index, from).await {
                    Some(welcome) => JoinReply::Welcome(Box::new(welcome)),
                    None => JoinReply::Unavailable,
                }
            }
            Outcome::Refused(refusal) => {
                tracing::info!(%from, %refusal, "joiner refused");
                JoinReply::Refused(match refusal {
                    Refusal::Join(refusal) => refusal,
                    other => JoinRefusal::Chain(other.to_string()),
                })
            }
            Outcome::InviteAdded(_)
            | Outcome::Departed(_)
            | Outcome::Judged(_)
            | Outcome::Lapsed(_)
            | Outcome::VotersSet(_)
            | Outcome::Excluded(_)
            | Outcome::InviteRevoked(_)
            | Outcome::AdminsChanged(_)
            | Outcome::Tagged(_)
            | Outcome::AccessSet(_)
            | Outcome::Rekeyed(_) => JoinReply::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use bytes::Bytes;
    use mesh_control::ports::{Transport, TransportError};
    use mesh_control::raft::{Applied, MemoryDisk, ProposeError, Start, Store, Timing};
    use mesh_model::InviteId;
    use mesh_model::trust::{Admission, Invite};

    use super::super::remembering::{Requests, saver};
    use super::*;
    use crate::io::entropy::Entropy;
    use crate::io::fixture::{genesis, identity, record, root};

    /// A wire to nobody.
    #[derive(Clone)]
    struct Nobody;

    impl Transport for Nobody {
        async fn call(&self, to: MemberId, _: Bytes, _: Duration) -> Result<Bytes, TransportError> {
            Err(TransportError::Unreachable(to))
        }
    }

    /// An invite whose key is identity 100's.
    fn invite() -> Invite {
        let (key, now) = (identity(100).public(), clock::wall_ms());
        let (id, expires_ms) = (InviteId::of_key(&key), now + 600_000);
        let tags = Default::default();
        Invite {
            mesh: root().mesh,
            id,
            key,
            uses: 2,
            created_ms: now,
            expires_ms,
            tags,
            range: None,
            voter: false,
        }
    }

    /// The founder's door, with its state on `disk`; what it asks about tunnels, and who has the peer cache saved.
    async fn door(disk: &MemoryDisk) -> (Door, mpsc::Receiver<Question>, Requests) {
        let genesis = genesis();
        let start = Start::Genesis(genesis.clone());
        let store = Store::create(disk.attach(), &root(), start).expect("an empty disk");
        let timing = Timing::default();
        let group = Group::start(store, identity(1), Nobody, &Entropy, clock::wall_ms, timing)
            .await
            .expect("starts");
        let (questions, asked) = mpsc::channel(8);
        let (saver, requests) = saver();
        (Door::new(MemberId(1), genesis, group, questions, saver), asked, requests)
    }

    fn from() -> SocketAddr {
        "192.0.2.9:51820".parse().expect("an address")
    }

    /// What host 9 asks with.
    fn request() -> JoinRequest {
        let admission = Admission::sign(&record(9), invite().id, &identity(100), &identity(9));
        JoinRequest { admission }
    }

    async fn add_invite(group: &Group) -> Result<Applied, ProposeError> {
        let command = Command::Invite(Signed::seal(&invite(), &identity(200)));
        group.propose(Proposal { at_ms: clock::wall_ms(), command }).await
    }

    /// Until its first handshakes nobody else has heard where it is, and this host may crash the moment after.
    #[tokio::test]
    async fn a_newcomer_is_welcomed_once_it_is_on_disk_where_it_is() {
        let (door, mut asked, mut requests) = door(&MemoryDisk::new()).await;
        add_invite(&door.group).await.expect("agreed");
        let mut welcome = pin!(door.admit(from(), request()));
        let seen = tokio::select! {
            reply = &mut welcome => panic!("{reply:?}"),
            seen = asked.recv() => seen,
        };
        assert!(matches!(seen, Some(Question::Seen(_, at)) if at == from()));
        let saving = tokio::select! {
            reply = &mut welcome => panic!("welcomed before that: {reply:?}"),
            _ = asked.recv() => panic!("it does not wait"),
            saving = requests.next() => saving,
        };
        drop((saving, asked));
        assert!(matches!(welcome.await, JoinReply::Welcome(_)));
    }

    #[tokio::test]
    async fn a_door_whose_disk_failed_sends_joiners_to_another() {
        let disk = MemoryDisk::new();
        let (door, _, _requests) = door(&disk).await;
        let group = door.group.clone();
        let ask = || door.admit(from(), request());
        assert!(matches!(ask().await, JoinReply::Refused(_)), "nobody was invited");
        assert_eq!(group.refusals().of(Refused::JoinUnknownInvite), 1);

        disk.fail_flushes_after(0);
        assert_eq!(add_invite(&group).await, Err(ProposeError::Stopped));
        // Not "refused": another door may know better.
        assert_eq!(ask().await, JoinReply::Unavailable);
        door.turned_away(Refused::JoinSilent);
        let counted = group.refusals().iter().filter(|(_, count)| *count > 0);
        let counted: Vec<_> = counted.map(|(reason, count)| (reason.name(), count)).collect();
        let wanted = [("join_silent", 1), ("join_undecided", 1), ("join_unknown_invite", 1)];
        assert_eq!(counted, wanted);
    }
}
