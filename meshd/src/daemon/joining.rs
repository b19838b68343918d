//! `mesh join`: this host asks to be let in.
//!
//! The token names members to ask and the root key to trust. One of them has the request agreed and sends
//! the whole agreed state; the store believes it only after checking every signature from that root key
//! up. Until the state directory has committed, this host is no member and may simply ask again: an
//! identity is admitted once, and hears the same answer each time.

use mesh_control::raft::{Start, Store, StoreError};
use mesh_model::api::v1::{ErrorBody, ErrorCode, JoinRequest, JoinedReply};
use mesh_model::trust::{Admission, Bootstrap, MemberRecord, Token};
use mesh_model::view::ClusterView;
use mesh_model::wire::join::{PeerHint, Welcome};

use super::ground::Ground;
use super::refusal::{Answer, failed, refusal};
use super::{Daemon, remembering};
use crate::exit::{Exit, Reason};
use crate::io::join::{self, JoinError};
use crate::io::{disk, tls::TlsIdentity};
use crate::state_dir::Membership;

impl Daemon {
    /// Joins the mesh the token is for.
    pub(crate) async fn join(&self, request: JoinRequest) -> Answer<JoinedReply> {
        let token: Token = request.token.parse().map_err(|error| {
            refusal(
                ErrorCode::Refused,
                error,
                "make a new one with `mesh invite` on the mesh's first host",
            )
        })?;
        let mut state_dir = self.unjoined().await?;
        let identity = state_dir.identity().clone();
        let invite = token.verified_invite().map_err(|error| {
            refusal(ErrorCode::Refused, error, "make a new token with `mesh invite`")
        })?;
        let record = MemberRecord {
            mesh: token.root.mesh,
            name: self.own_name(request.name)?,
            identity: identity.identity.public(),
            tunnel: identity.tunnel.public(),
        };
        let admission = Admission::sign(&record, invite.id, &token.secret, &identity.identity);
        let tls = TlsIdentity::new(&identity.identity).map_err(failed)?;
        self.check_host().map_err(failed)?;
        let port = self.bind().map_err(failed)?;
        let asking = join::ask(&port, &tls, &token.bootstraps, admission);
        let welcome = self.unless_stopping(asking).await?.map_err(explain)?;

        let Welcome { member, genesis, snapshot, peers, .. } = welcome;
        let membership = Membership { root: token.root, member };
        let store = tokio::task::block_in_place(|| {
            let draft = state_dir.store_draft().map_err(failed)?;
            let file = disk::open_log(&draft).map_err(failed)?;
            let start = Start::Welcome { member, genesis, admins: token.admins, snapshot };
            Store::create(file, &token.root, start).map_err(disbelieve)
        })?;
        let ground = Ground::lay(&self.config, &store, &identity).await.map_err(unfit)?;
        tokio::task::block_in_place(|| state_dir.commit(membership, None)).map_err(failed)?;
        let hints = with_doors(peers, &token.bootstraps, &store.view());
        remembering::save(&state_dir, &hints);
        Ok(self.enter(&state_dir, store, ground, port, hints).await?.joined())
    }
}

/// The hints of a welcome, and the token's doors as hints of the members behind them.
fn with_doors(mut hints: Vec<PeerHint>, doors: &[Bootstrap], view: &ClusterView) -> Vec<PeerHint> {
    for door in doors {
        let Some(member) = view.by_identity(&door.identity) else { continue };
        match hints.iter_mut().find(|hint| hint.member == member.id) {
            Some(hint) => hint.endpoint = hint.endpoint.or(Some(door.endpoint)),
            None => hints.push(PeerHint {
                member: member.id,
                endpoint: Some(door.endpoint),
                facts: None,
            }),
        }
    }
    hints
}

fn explain(error: JoinError) -> ErrorBody {
    match error {
        JoinError::Refused(refused) => refusal(
            ErrorCode::Refused,
            format!("the mesh refused this host: {refused}"),
            "make a new token with `mesh invite` on the mesh's first host",
        ),
        JoinError::NoDoor(doors) if doors.iter().any(|(_, door)| door.is_newer()) => refusal(
            ErrorCode::Outdated,
            JoinError::NoDoor(doors),
            "nothing was changed on this host; install the version of meshd that the mesh's members run",
        ),
        JoinError::NoDoor(_) => refusal(
            ErrorCode::Unreachable,
            error,
            "check that UDP to one of these addresses gets through, and that meshd runs there",
        ),
        JoinError::Endpoint(error) => failed(error),
    }
}

/// This host cannot serve in the mesh it was admitted to; it can try again. Above all, the member that
/// answered may have given it somebody else's id.
fn unfit(exit: Exit) -> ErrorBody {
    match exit.reason {
        Reason::Mismatch => refusal(
            ErrorCode::Refused,
            "the state a member sent does not have this host under the id it was given",
            "nothing was changed on this host; that member is broken or hostile, ask another one",
        ),
        _ => failed(exit),
    }
}

/// A welcome that does not hold is the answering member's fault, not this host's.
fn disbelieve(error: StoreError) -> ErrorBody {
    match error {
        StoreError::Disk(_) => failed(error),
        StoreError::OtherVersion(version) => refusal(
            ErrorCode::Outdated,
            format!("this build does not understand the mesh's state: {version}"),
            "nothing was changed on this host; install the version of meshd that the mesh's members run",
        ),
        _ => refusal(
            ErrorCode::Refused,
            format!("the state a member sent does not hold: {error}"),
            "nothing was changed on this host; that member is broken or hostile, ask another one",
        ),
    }
}
