//! The daemon behind the routes, for tests of what is before them.

use std::sync::Mutex;

use mesh_model::MemberId;
use mesh_model::api::v1::*;
use tokio::sync::Notify;

use crate::api::operations::{Answer, Operations};

/// A daemon that writes down what it is asked, and refuses all but a few things.
#[derive(Default)]
pub(super) struct Fake {
    calls: Mutex<Vec<String>>,
    /// `supervisor`, `leave` and `wait` say here that they have begun ...
    pub(super) begun: Notify,
    /// ... and end when told so here.
    pub(super) go_on: Notify,
    pub(super) left: Notify,
}

impl Fake {
    fn note<T>(&self, call: impl Into<String>, code: ErrorCode) -> Answer<T> {
        let call = call.into();
        let error = ErrorBody {
            code,
            message: format!("{call} refused"),
            hint: "a hint".into(),
            missing: Vec::new(),
        };
        self.calls.lock().expect("not poisoned").push(call);
        Err(error)
    }

    /// What it was asked, in order.
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("not poisoned").clone()
    }
}

impl Operations for Fake {
    async fn as_of(&self, consistent: bool) -> Answer<Option<AsOf>> {
        if consistent {
            return self.note("as_of", ErrorCode::NoQuorum);
        }
        Ok(Some(AsOf { applied: 7, age_ms: Some(40), consistent }))
    }

    async fn status(&self) -> Answer<Status> {
        self.note("status", ErrorCode::Internal)
    }

    async fn peers(&self) -> Answer<Peers> {
        Ok(Peers { peers: Vec::new() })
    }

    async fn tags(&self) -> Answer<Tags> {
        self.note("tags", ErrorCode::NotJoined)
    }

    async fn tag(&self, _: TagRequest) -> Answer<TagReply> {
        self.note("tag", ErrorCode::NoQuorum)
    }

    async fn policy(&self) -> Answer<Policy> {
        self.note("policy", ErrorCode::NotJoined)
    }

    async fn policy_history(&self) -> Answer<PolicyHistory> {
        self.note("policy_history", ErrorCode::NotJoined)
    }

    async fn set_policy(&self, _: PolicyRequest) -> Answer<PolicyReply> {
        self.note("set_policy", ErrorCode::NoQuorum)
    }

    async fn preview_policy(&self, _: PolicyPreviewRequest) -> Answer<PolicyPreview> {
        self.note("preview_policy", ErrorCode::BadRequest)
    }

    async fn test_policy(&self, _: PolicyTestRequest) -> Answer<PolicyTest> {
        self.note("test_policy", ErrorCode::UnknownMember)
    }

    async fn tunnel_keys(&self) -> Answer<TunnelKeys> {
        self.note("tunnel_keys", ErrorCode::NotJoined)
    }

    async fn rotate_keys(&self, _: RotateKeysRequest) -> Answer<KeysRotated> {
        self.note("rotate_keys", ErrorCode::NoQuorum)
    }

    async fn tunnels(&self) -> Answer<Tunnels> {
        self.note("tunnels", ErrorCode::NotJoined)
    }

    async fn supervisor(&self) -> Answer<Supervisor> {
        self.begun.notify_one();
        self.go_on.notified().await;
        Ok(Supervisor {
            term: 3,
            leader: Some(MemberId(1)),
            name: None,
            is_self: false,
            voters: Vec::new(),
            last: None,
            transfers_refused: 0,
        })
    }

    async fn audit(&self) -> Answer<Audit> {
        self.note("audit", ErrorCode::NotJoined)
    }

    async fn supervisor_history(&self) -> Answer<SupervisorHistory> {
        self.note("supervisor_history", ErrorCode::NotJoined)
    }

    async fn sync(&self) -> Answer<SyncStatus> {
        self.note("sync", ErrorCode::NotJoined)
    }

    async fn resync(&self, request: ResyncRequest) -> Answer<SyncReply> {
        self.note(format!("resync {:?}", request.from_index), ErrorCode::Refused)
    }

    async fn sync_fast(&self) -> Answer<SyncReply> {
        self.note("sync_fast", ErrorCode::NotJoined)
    }

    async fn sync_from(&self, request: SyncFromRequest) -> Answer<SyncReply> {
        self.note(format!("sync from {:?}", request.members), ErrorCode::UnknownMember)
    }

    async fn voters(&self) -> Answer<Voters> {
        self.note("voters", ErrorCode::NotJoined)
    }

    async fn set_voter_target(&self, request: VoterTargetRequest) -> Answer<Voters> {
        self.note(format!("voter target {:?}", request.target), ErrorCode::Refused)
    }

    async fn set_voter_wish(&self, request: VoterWishRequest) -> Answer<Voters> {
        self.note(format!("voter wish {}", request.member), ErrorCode::Refused)
    }

    async fn transfer(&self, request: TransferRequest) -> Answer<TransferReply> {
        self.note(format!("transfer {:?}", request.to), ErrorCode::Refused)
    }

    async fn init(&self, request: InitRequest) -> Answer<JoinedReply> {
        self.note(format!("init {:?}", request.name.map(String::from)), ErrorCode::AlreadyJoined)
    }

    async fn invite(&self, request: InviteRequest) -> Answer<InviteReply> {
        self.note(format!("invite {:?}", request.uses), ErrorCode::NoQuorum)
    }

    async fn join(&self, request: JoinRequest) -> Answer<JoinedReply> {
        self.note(format!("join {}", request.token), ErrorCode::Refused)
    }

    async fn leave(&self, request: LeaveRequest) -> Answer<LeaveReply> {
        self.begun.notify_one();
        self.go_on.notified().await;
        self.left.notify_one();
        self.note(format!("leave {}", request.force), ErrorCode::Disk)
    }

    async fn invites(&self) -> Answer<Invites> {
        Ok(Invites { invites: Vec::new(), applied: 7 })
    }

    async fn token_parts(&self, request: TokenRequest) -> Answer<TokenParts> {
        self.note(format!("token of {}", request.invite), ErrorCode::Refused)
    }

    async fn revoke_invite(&self, request: RevokeRequest) -> Answer<RevokeReply> {
        self.note(format!("revoke {}", request.invite), ErrorCode::Refused)
    }

    async fn bans(&self) -> Answer<Bans> {
        Ok(Bans { bans: Vec::new(), applied: 7 })
    }

    async fn ban(&self, request: BanRequest) -> Answer<BanReply> {
        self.note(format!("ban {} {:?}", request.member, request.for_s), ErrorCode::NoQuorum)
    }

    async fn unban(&self, request: UnbanRequest) -> Answer<UnbanReply> {
        self.note(format!("unban {}", request.member), ErrorCode::Refused)
    }

    async fn remove(&self, request: RemoveRequest) -> Answer<RemoveReply> {
        self.note(format!("remove {}", request.member), ErrorCode::UnknownMember)
    }

    async fn report(&self, request: ReportRequest) -> Answer<ReportReply> {
        self.note(format!("report {} {}", request.member, request.kind), ErrorCode::UnknownMember)
    }

    async fn reports(&self) -> Answer<Reports> {
        self.note("reports", ErrorCode::NotJoined)
    }

    async fn make_snapshot(&self) -> Answer<SnapshotInfo> {
        self.note("make_snapshot", ErrorCode::NotJoined)
    }

    async fn snapshots(&self) -> Answer<Snapshots> {
        Ok(Snapshots { snapshots: Vec::new(), damaged: Vec::new() })
    }

    async fn snapshot_file(&self, request: SnapshotDownload) -> Answer<Vec<u8>> {
        match request.index {
            Some(7) => Ok(vec![0, 0xff, b'\n']),
            _ => self.note("snapshot_file", ErrorCode::Refused),
        }
    }

    async fn make_backup(&self, _: BackupRequest) -> Answer<Vec<u8>> {
        self.note("make_backup", ErrorCode::NotJoined)
    }

    async fn backups(&self) -> Answer<Backups> {
        self.note("backups", ErrorCode::NotJoined)
    }

    async fn admins(&self) -> Answer<Admins> {
        self.note("admins", ErrorCode::NotJoined)
    }

    async fn draft(&self, request: DraftRequest) -> Answer<Draft> {
        self.note(format!("draft {}", request.sign), ErrorCode::Refused)
    }

    async fn submit(&self, request: SubmitRequest) -> Answer<Submitted> {
        self.note(format!("submit {}", request.request), ErrorCode::NoQuorum)
    }

    async fn ping(&self, request: PingRequest) -> Answer<PingReply> {
        self.note(format!("ping {}", request.target), ErrorCode::UnknownMember)
    }

    async fn wait(&self, _: WaitRequest) -> Answer<WaitReply> {
        self.begun.notify_one();
        self.go_on.notified().await;
        self.note("wait", ErrorCode::TimedOut)
    }
}
