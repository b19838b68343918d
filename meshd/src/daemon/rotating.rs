//! `mesh keys rotate`: another WireGuard key in place of this host's. What stands is shown in [`keys`](super::keys).
//!
//! ```text
//! new key on disk ──> packet threads answer to it ──> the mesh agrees ──> they go by it ──> the old one ends
//! ```
//!
//! After a crash anywhere on the way the next start finds both keys, and what is agreed says which counts
//! ([`mesh_control::rotation`]).

use std::sync::{PoisonError, Weak};
use std::time::Duration;

use mesh_control::command::{Command, Outcome, Refusal, RekeyRefusal};
use mesh_control::raft::Applied;
use mesh_control::rotation::{KeyMissing, MAX_ASIDE, Stage, is_over, taken_by, waited_for};
use mesh_dataplane::{OtherKey, OwnKeys};
use mesh_model::api::v1::{ErrorBody, ErrorCode, KeysRotated, MemberName, RotateKeysRequest};
use mesh_model::trust::Rekey;
use mesh_model::view::{ClusterView, KeyChange, MemberView};
use mesh_model::{LogIndex, MemberId, Signed, TunnelKey, TunnelSecret};
use tokio::time::sleep;

use super::keys::names;
use super::mesh::APPLY_LIMIT;
use super::refusal::{Answer, ending, failed, internal, not_done, refusal};
use super::{Daemon, Mesh};
use crate::io::clock;
use crate::io::entropy::Entropy;
use crate::io::failpoint::{Failpoint, reached};
use crate::state_dir::{Identity, StateDir, StateDirError};

/// How often to look whether a change has come further by itself: members tell how far they are once a second at most, and
/// nothing waits for this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The most members an error names.
const NAMED: usize = 10;

impl Daemon {
    /// Has another key for this host agreed.
    pub(crate) async fn rotate_keys(&self, request: RotateKeysRequest) -> Answer<KeysRotated> {
        let mesh = self.mesh()?;
        let key = self.unless_stopping(self.prepare_key(request.force)).await??;
        reached(Failpoint::KeyPrepared).map_err(internal)?;
        let (serial, index) = self.unless_stopping(mesh.rekey(key)).await??;
        reached(Failpoint::KeyAgreed).map_err(internal)?;
        self.settle_keys().await.map_err(Unsettled::told)?;
        let heard = mesh.applied_by_all_within(index, request.wait_ms);
        let applied_by = self.unless_stopping(heard).await??;
        self.settle_keys().await.map_err(Unsettled::told)?;
        let keeps_before = matches!(mesh.keys().other, Some(OtherKey::Before(_)));
        let (member, name) = (mesh.me, mesh.own.name.clone());
        Ok(KeysRotated { member, name, key, serial, index, applied_by, keeps_before })
    }

    /// Has a new key on disk, and answered to: its public half. One that an earlier attempt left is used up first, for it
    /// may be agreed any moment, unless somebody else has it by now.
    async fn prepare_key(&self, force: bool) -> Answer<TunnelKey> {
        let mut state_dir = self.state_dir.lock().await;
        let mesh = self.mesh()?;
        let view = mesh.newest_view();
        let own = view.members.get(&mesh.me).ok_or_else(not_a_member)?;
        let mut keys = cast(state_dir.identity(), own).map_err(internal)?;
        let mut aside = state_dir.identity().aside.clone();
        let key = match &keys.other {
            Some(OtherKey::Next(next)) => {
                let next = mesh.untaken(&view, next.clone(), &mut aside)?;
                let key = next.public();
                keys.other = Some(OtherKey::Next(next));
                key
            }
            before => {
                if let (Some(_), Some(change), false) = (before, own.change, force) {
                    mesh.check_over(&view, &change).await?;
                }
                // Of the two keys the one that is agreed has to stay, as far as this host knows at its next start.
                if !mesh.group.keep().await {
                    return Err(nothing_kept());
                }
                let next = TunnelSecret::from_bytes(Entropy.fresh());
                let key = next.public();
                keys.other = Some(OtherKey::Next(next));
                key
            }
        };
        mesh.take_keys(&mut state_dir, keys, aside).await.map_err(failed)?;
        mesh.path.carried_out().await;
        Ok(key)
    }

    /// Brings disk and packet threads up to what is agreed.
    async fn settle_keys(&self) -> Result<(), Unsettled> {
        let mut state_dir = self.state_dir.lock().await;
        let Some(mesh) = self.mesh.load_full() else { return Ok(()) };
        if let Some(keys) = mesh.settled_keys(state_dir.identity()).await? {
            let aside = state_dir.identity().aside.clone();
            mesh.take_keys(&mut state_dir, keys, aside).await?;
        }
        Ok(())
    }
}

impl Mesh {
    /// The keys that the packet threads have.
    pub(super) fn keys(&self) -> OwnKeys {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The view as agreement has it, which may be ahead of what the driver has heard.
    pub(super) fn newest_view(&self) -> std::sync::Arc<ClusterView> {
        self.group.views().borrow().clone()
    }

    /// Has it agreed that this host has the key `key`, which is on disk: the how-manieth change that is, and where it
    /// stands in the log.
    async fn rekey(&self, key: TunnelKey) -> Answer<(u64, LogIndex)> {
        let said = self.group.read(|state, _| match state.keys().get(self.me) {
            Some(last) if last.said().tunnel == key => Ok((last.said().serial, last.at())),
            _ => Err(state.next_rekey(self.me, key)),
        });
        let rekey: Rekey = match said {
            Ok(agreed) => return Ok(agreed),
            Err(next) => next.ok_or_else(not_a_member)?,
        };
        let serial = rekey.serial;
        let command = Command::Rekey(Signed::seal(&rekey, &self.identity));
        let what = "a change of this host's key";
        let Applied { index, outcome } = self.propose(command.clone(), what).await?;
        self.group.applied_at_least(index, APPLY_LIMIT).await;
        match outcome {
            Outcome::Rekeyed(_) => {
                let agreed_at = self.group.read(|state, _| state.agreed_at(&command));
                Ok((serial, agreed_at.unwrap_or(index)))
            }
            Outcome::Refused(Refusal::Rekey(RekeyRefusal::KeyUsed)) => {
                Err(taken(&self.newest_view(), taken_by(&self.newest_view(), self.me, key)))
            }
            other => {
                let hint = "see what stands with `mesh keys`, and try again";
                Err(not_done(what, &other, hint))
            }
        }
    }

    /// The key to propose: `next`, unless somebody else has it. Then it is put `aside`, and another one takes its place: one that
    /// was put aside and is free again, or a new one.
    fn untaken(
        &self,
        view: &ClusterView,
        next: TunnelSecret,
        aside: &mut Vec<TunnelSecret>,
    ) -> Answer<TunnelSecret> {
        let taker = |key: &TunnelSecret| taken_by(view, self.me, key.public());
        let Some(by) = taker(&next) else { return Ok(next) };
        if let Some(free) = aside.iter_mut().find(|key| taker(key).is_none()) {
            return Ok(std::mem::replace(free, next));
        }
        if aside.len() >= MAX_ASIDE {
            return Err(all_taken(view, by));
        }
        aside.push(next);
        Ok(TunnelSecret::from_bytes(Entropy.fresh()))
    }

    /// Who is waited for after the change at `index`; `None`: this host is ending.
    pub(super) async fn waited_for(&self, index: LogIndex) -> Option<Vec<MemberId>> {
        let behind = self.behind(index).await?;
        Some(waited_for(&self.newest_view(), behind))
    }

    /// Refuses while members are waited for after `change`.
    async fn check_over(&self, view: &ClusterView, change: &KeyChange) -> Answer<()> {
        let behind = self.waited_for(change.at).await.ok_or_else(ending)?;
        match is_over(change, &behind, clock::wall_ms()) {
            true => Ok(()),
            false => Err(unfinished(&names(view, &behind))),
        }
    }

    /// The keys that this host is to have now, of those in `identity`; `None` if it has them, or is no member.
    async fn settled_keys(&self, identity: &Identity) -> Result<Option<OwnKeys>, KeyMissing> {
        let view = self.newest_view();
        let Some(own) = view.place_of(self.me) else { return Ok(None) };
        let mut keys = cast(identity, own)?;
        if let (Some(OtherKey::Before(_)), Some(change)) = (&keys.other, own.change)
            && let Some(behind) = self.waited_for(change.at).await
            && is_over(&change, &behind, clock::wall_ms())
            // At the next start the key has to be the one that is agreed, as far as this host knows then.
            && self.group.keep().await
        {
            keys.other = None;
        }
        Ok((keys != self.keys()).then_some(keys))
    }

    /// Takes `keys`, on disk first, with those that were put `aside` as long as none is agreed in their place: once one is,
    /// what was signed about them is void.
    async fn take_keys(
        &self,
        state_dir: &mut StateDir,
        keys: OwnKeys,
        mut aside: Vec<TunnelSecret>,
    ) -> Result<(), StateDirError> {
        if !matches!(keys.other, Some(OtherKey::Next(_))) {
            aside.clear();
        }
        let other = keys.other.as_ref().map(|other| match other {
            OtherKey::Next(secret) | OtherKey::Before(secret) => secret.clone(),
        });
        tokio::task::block_in_place(|| {
            state_dir.keep_tunnel_keys(keys.current.clone(), other, aside)
        })?;
        self.path.set_keys(&keys).await;
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Whether a change of this host's key may come further without anybody's asking.
    fn is_rotating(&self) -> bool {
        let keys = self.keys();
        keys.other.is_some()
            || self
                .newest_view()
                .place_of(self.me)
                .is_some_and(|own| own.tunnel != keys.current.public())
    }
}

/// Why this host does not have the keys it should.
#[derive(Debug, thiserror::Error)]
enum Unsettled {
    /// Another host has the same identity, and has changed the key of both.
    #[error("{0}; another host speaks for this one, from a copy of its state directory")]
    Missing(#[from] KeyMissing),
    #[error("the keys of this host are not written down, and it goes on with those it has: {0}")]
    Disk(#[from] StateDirError),
}

impl Unsettled {
    fn told(self) -> ErrorBody {
        match self {
            Self::Missing(_) => internal(self),
            Self::Disk(error) => failed(error),
        }
    }
}

/// The keys in `identity`, each in the part that what is agreed of this host gives it.
pub(super) fn cast(identity: &Identity, own: &MemberView) -> Result<OwnKeys, KeyMissing> {
    let held: Vec<_> = identity.tunnels().map(TunnelSecret::public).collect();
    let stage = Stage::of(&held, own)?;
    let secret = |key| identity.tunnels().find(|secret| secret.public() == key).cloned();
    let current = secret(own.tunnel).ok_or(KeyMissing(own.tunnel))?;
    let other = match stage {
        Stage::Settled => None,
        Stage::Prepared(next) => secret(next).map(OtherKey::Next),
        Stage::Agreed(change) => secret(change.before).map(OtherKey::Before),
    };
    Ok(OwnKeys { current, other })
}

fn nothing_kept() -> ErrorBody {
    refusal(
        ErrorCode::Unreachable,
        "agreement on this host has ended, and its keys stay as they are",
        "`mesh status` says why; restart the daemon when its disk is mended",
    )
}

pub(super) fn not_a_member() -> ErrorBody {
    refusal(
        ErrorCode::Refused,
        "this host is banned or removed, and nobody agrees to a key of it",
        "`mesh status` shows how it stands with the mesh",
    )
}

/// The new key is another member's, who cannot use it.
fn taken(view: &ClusterView, by: Option<MemberId>) -> ErrorBody {
    refusal(
        ErrorCode::Refused,
        format!(
            "the new key was agreed to be that of {} before it was agreed to be this host's: somebody saw the proposal and took it",
            named(view, by)
        ),
        "this host goes on with the key it has, and `mesh keys rotate` takes yet another one; `mesh audit` tells who took it and \
         `mesh supervisor history` who led: ban who cheats with `mesh ban`",
    )
}

/// So is each that was put aside.
fn all_taken(view: &ClusterView, by: MemberId) -> ErrorBody {
    refusal(
        ErrorCode::Refused,
        format!(
            "each of the {} new keys that this host made is another member's by now, the last that of {}: members work together to take them",
            MAX_ASIDE + 1,
            named(view, Some(by))
        ),
        "`mesh audit` tells who took them; once an admin has removed one of those members with `mesh remove` its keys are free again, and \
         `mesh keys rotate` goes on",
    )
}

fn named(view: &ClusterView, member: Option<MemberId>) -> String {
    let known = names(view, member.as_slice()).pop();
    known.map_or("another member".to_owned(), |who| format!("{} ({})", who.name, who.member))
}

fn unfinished(behind: &[MemberName]) -> ErrorBody {
    let named: Vec<_> =
        behind.iter().take(NAMED).map(|who| format!("{} ({})", who.name, who.member)).collect();
    let more = behind.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    refusal(
        ErrorCode::Refused,
        format!(
            "the last change is not over: {}{more} may know this host by the key before it only, which would end",
            named.join(", ")
        ),
        "wait until they are back (`mesh keys` shows who is missing), or go on without them with `--force`: \
         they find this host again once they have reached any other member",
    )
}

/// Brings changes of the key further as members hear of them, as long as `daemon` lives.
pub(super) async fn run(daemon: Weak<Daemon>) {
    let mut complaint = None;
    loop {
        sleep(LOOK_AGAIN).await;
        let Some(daemon) = daemon.upgrade() else { return };
        if !daemon.mesh.load_full().is_some_and(|mesh| mesh.is_rotating()) {
            continue;
        }
        let again = daemon.settle_keys().await.err().map(|error| error.to_string());
        if let Some(error) = again.as_ref().filter(|_| again != complaint) {
            tracing::error!(error, "the change of this host's key is held up");
        }
        complaint = again;
    }
}
