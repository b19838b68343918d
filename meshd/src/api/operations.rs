//! What the API asks of the daemon.

use std::future::Future;

use mesh_model::api::v1::{
    Admins, AsOf, Audit, BackupRequest, Backups, BanReply, BanRequest, Bans, Draft, DraftRequest,
    ErrorBody, InitRequest, InviteReply, InviteRequest, Invites, JoinRequest, JoinedReply,
    KeysRotated, LeaveReply, LeaveRequest, Peers, PingReply, PingRequest, Policy, PolicyHistory,
    PolicyPreview, PolicyPreviewRequest, PolicyReply, PolicyRequest, PolicyTest, PolicyTestRequest,
    RemoveReply, RemoveRequest, ReportReply, ReportRequest, Reports, ResyncRequest, RevokeReply,
    RevokeRequest, RotateKeysRequest, SnapshotDownload, SnapshotInfo, Snapshots, Status,
    SubmitRequest, Submitted, Supervisor, SupervisorHistory, SyncFromRequest, SyncReply,
    SyncStatus, TagReply, TagRequest, Tags, TokenParts, TokenRequest, TransferReply,
    TransferRequest, TunnelKeys, Tunnels, UnbanReply, UnbanRequest, VoterTargetRequest,
    VoterWishRequest, Voters, WaitReply, WaitRequest,
};

use crate::daemon::Daemon;

/// What every operation answers.
pub(crate) type Answer<T> = Result<T, ErrorBody>;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($($request:ty)?) -> $reply:ty;)*) => {
        /// The operations behind the routes: one method each. Rights and bodies were checked before.
        pub(crate) trait Operations: Send + Sync + 'static {
            $(
                $(#[$doc])*
                fn $name(&self $(, request: $request)?) -> impl Future<Output = Answer<$reply>> + Send;
            )*
        }

        impl Operations for Daemon {
            $(operations!(@delegate $name($($request)?) -> $reply);)*
        }
    };
    (@delegate $name:ident() -> $reply:ty) => {
        async fn $name(&self) -> Answer<$reply> {
            Daemon::$name(self).await
        }
    };
    (@delegate $name:ident($request:ty) -> $reply:ty) => {
        async fn $name(&self, request: $request) -> Answer<$reply> {
            Daemon::$name(self, request).await
        }
    };
}

operations! {
    /// How new that is which is read from now on, made consistent first if that is wanted.
    as_of(bool) -> Option<AsOf>;
    /// Everything at one glance.
    status() -> Status;
    /// The other members.
    peers() -> Peers;
    /// The WireGuard tunnels.
    tunnels() -> Tunnels;
    /// Who leads.
    supervisor() -> Supervisor;
    /// Who decided what.
    audit() -> Audit;
    /// Who led.
    supervisor_history() -> SupervisorHistory;
    /// Have another member lead.
    transfer(TransferRequest) -> TransferReply;
    /// How this host follows.
    sync() -> SyncStatus;
    /// Look for a source anew.
    resync(ResyncRequest) -> SyncReply;
    /// Ask for the whole state.
    sync_fast() -> SyncReply;
    /// Ask some members before all others.
    sync_from(SyncFromRequest) -> SyncReply;
    /// Who votes.
    voters() -> Voters;
    /// Say how many shall vote.
    set_voter_target(VoterTargetRequest) -> Voters;
    /// Say what is wanted of one member.
    set_voter_wish(VoterWishRequest) -> Voters;
    /// How members are labelled.
    tags() -> Tags;
    /// Label a member.
    tag(TagRequest) -> TagReply;
    /// Who may reach whom.
    policy() -> Policy;
    /// Who might before.
    policy_history() -> PolicyHistory;
    /// Say who may reach whom.
    set_policy(PolicyRequest) -> PolicyReply;
    /// What that would change.
    preview_policy(PolicyPreviewRequest) -> PolicyPreview;
    /// Whether one thing is allowed.
    test_policy(PolicyTestRequest) -> PolicyTest;
    /// Start a mesh.
    init(InitRequest) -> JoinedReply;
    /// Make an invite.
    invite(InviteRequest) -> InviteReply;
    /// The invites the mesh remembers.
    invites() -> Invites;
    /// Take an invite back.
    revoke_invite(RevokeRequest) -> RevokeReply;
    /// What a token for an agreed invite says but for its secret.
    token_parts(TokenRequest) -> TokenParts;
    /// Join a mesh.
    join(JoinRequest) -> JoinedReply;
    /// Leave the mesh.
    leave(LeaveRequest) -> LeaveReply;
    /// The bans that hold.
    bans() -> Bans;
    /// Ban a member.
    ban(BanRequest) -> BanReply;
    /// End a ban.
    unban(UnbanRequest) -> UnbanReply;
    /// Remove a member for good.
    remove(RemoveRequest) -> RemoveReply;
    /// Report a member.
    report(ReportRequest) -> ReportReply;
    /// The reports that are pending.
    reports() -> Reports;
    /// The WireGuard keys.
    tunnel_keys() -> TunnelKeys;
    /// Have another WireGuard key for this host.
    rotate_keys(RotateKeysRequest) -> KeysRotated;
    /// Make a snapshot.
    make_snapshot() -> SnapshotInfo;
    /// The snapshots that are kept.
    snapshots() -> Snapshots;
    /// The file of a snapshot.
    snapshot_file(SnapshotDownload) -> Vec<u8>;
    /// A backup, encrypted.
    make_backup(BackupRequest) -> Vec<u8>;
    /// The backups that are made by themselves.
    backups() -> Backups;
    /// Who the admins are.
    admins() -> Admins;
    /// Put something into words that can be signed.
    draft(DraftRequest) -> Draft;
    /// Propose a statement that has its signatures.
    submit(SubmitRequest) -> Submitted;
    /// One echo over the overlay.
    ping(PingRequest) -> PingReply;
    /// Answer when something holds.
    wait(WaitRequest) -> WaitReply;
}
