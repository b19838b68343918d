//! Version 1 of the local API: one type per document, one constant per route.

mod admin;
mod audit;
mod backup;
mod ban;
mod document;
mod error;
mod invite;
mod keys;
mod mesh;
mod peer;
mod policy;
mod recovery;
mod report;
mod snapshot;
mod status;
mod supervision;
mod sync;
mod tags;
mod voters;

pub use admin::{Admin, AdminName, Admins, Draft, DraftRequest, SubmitRequest, Submitted, Wanted};
pub use audit::{Audit, AuditContent, AuditEntry, AuditSaid, MemberWish};
pub use backup::{BackupFile, BackupRequest, BackupRestored, Backups, MAX_RECIPIENTS};
pub use ban::{
    AppliedBy, Ban, BanKind, BanReply, BanRequest, Bans, RemoveReply, RemoveRequest, UnbanReply,
    UnbanRequest,
};
pub use document::{AsOf, CONSISTENT, Document, Schema};
pub use error::{ErrorBody, ErrorCode, ErrorDocument};
pub use invite::{
    InviteInfo, InviteState, Invites, MemberName, RevokeReply, RevokeRequest, TokenParts,
    TokenRequest,
};
pub use keys::{
    KeyBefore, KeysRotated, MemberKey, RootRestored, RootSecret, RotateKeysRequest, TunnelKeys,
};
pub use mesh::{
    DEFAULT_INVITE_LIFETIME_S, InitRequest, InviteReply, InviteRequest, JoinRequest, JoinedReply,
    LeaveReply, LeaveRequest, Supervisor, VersionReply, WaitFor, WaitReply, WaitRequest,
};
pub use peer::{Family, GossipState, Path, Peer, Peers, PingReply, PingRequest, Tunnel, Tunnels};
pub use policy::{
    Policy, PolicyHistory, PolicyPreview, PolicyPreviewRequest, PolicyReply, PolicyRequest,
    PolicyRule, PolicyTest, PolicyTestRequest,
};
pub use recovery::{EpochInfo, Recovered, Recovery, SetAside};
pub use report::{OwnReport, ReportCase, ReportReply, ReportRequest, ReportTally, Reports};
pub use snapshot::{SnapshotApplied, SnapshotDownload, SnapshotInfo, SnapshotVerdict, Snapshots};
pub use status::{
    DaemonState, Divergence, DivergentState, DropCount, FarStamp, GossipMember, KeyStage,
    KeyStatus, Offload, RaftRole, RaftStatus, Role, Status,
};
pub use supervision::{
    SupervisorHistory, TransferReply, TransferRequest, Transition, TransitionCause, VoteReason,
};
pub use sync::{
    LogComparison, LogDifference, LogEntryHash, ResyncRequest, SyncFromRequest, SyncReply,
    SyncSource, SyncState, SyncStatus,
};
pub use tags::{MemberTags, TagReply, TagRequest, Tags};
pub use voters::{Voter, VoterTargetRequest, VoterWish, VoterWishRequest, Voters};

/// Where each document lives. Methods: `GET` reads, `POST` acts. What a `GET` shows of the agreed state is what the
/// host has; with [`CONSISTENT`] as its query it is what is agreed now.
pub mod route {
    /// `GET` -> [`super::Status`].
    pub const STATUS: &str = "/v1/status";
    /// `GET` -> [`super::Peers`].
    pub const PEERS: &str = "/v1/peers";
    /// `GET` -> [`super::Tunnels`].
    pub const TUNNELS: &str = "/v1/tunnels";
    /// `GET` -> [`super::Supervisor`].
    pub const SUPERVISOR: &str = "/v1/supervisor";
    /// `GET` -> [`super::Audit`].
    pub const AUDIT: &str = "/v1/audit";
    /// `GET` -> [`super::SupervisorHistory`].
    pub const SUPERVISOR_HISTORY: &str = "/v1/supervisor/history";
    /// `POST` [`super::TransferRequest`] -> [`super::TransferReply`]: answers once it leads.
    pub const SUPERVISOR_TRANSFER: &str = "/v1/supervisor/transfer";
    /// `GET` -> [`super::SyncStatus`].
    pub const SYNC: &str = "/v1/sync";
    /// `POST` [`super::ResyncRequest`] -> [`super::SyncReply`].
    pub const SYNC_RESYNC: &str = "/v1/sync/resync";
    /// `POST` -> [`super::SyncReply`]: asks for the whole state.
    pub const SYNC_FAST: &str = "/v1/sync/fast";
    /// `POST` [`super::SyncFromRequest`] -> [`super::SyncReply`].
    pub const SYNC_FROM: &str = "/v1/sync/from";
    /// `GET` -> [`super::Voters`].
    pub const VOTERS: &str = "/v1/voters";
    /// `POST` [`super::VoterTargetRequest`] -> [`super::Voters`].
    pub const VOTERS_TARGET: &str = "/v1/voters/target";
    /// `POST` [`super::VoterWishRequest`] -> [`super::Voters`].
    pub const VOTERS_WISH: &str = "/v1/voters/wish";
    /// `GET` -> [`super::Snapshots`]; `POST` -> [`super::SnapshotInfo`]: makes one.
    pub const SNAPSHOTS: &str = "/v1/snapshots";
    /// `POST` [`super::SnapshotDownload`] -> the bytes of the file, as `application/octet-stream`.
    pub const SNAPSHOTS_DOWNLOAD: &str = "/v1/snapshots/download";
    /// `GET` -> [`super::Backups`]; `POST` [`super::BackupRequest`] -> an age file, as `application/octet-stream`.
    pub const BACKUPS: &str = "/v1/backups";
    /// `GET` -> [`super::Admins`].
    pub const ADMINS: &str = "/v1/admins";
    /// `POST` [`super::DraftRequest`] -> [`super::Draft`]: nothing is changed.
    pub const REQUESTS: &str = "/v1/requests";
    /// `POST` [`super::SubmitRequest`] -> [`super::Submitted`].
    pub const REQUESTS_SUBMIT: &str = "/v1/requests/submit";
    /// `GET` -> [`super::Tags`]; `POST` [`super::TagRequest`] -> [`super::TagReply`].
    pub const TAGS: &str = "/v1/tags";
    /// `GET` -> [`super::Policy`]; `POST` [`super::PolicyRequest`] -> [`super::PolicyReply`].
    pub const POLICY: &str = "/v1/policy";
    /// `GET` -> [`super::PolicyHistory`].
    pub const POLICY_HISTORY: &str = "/v1/policy/history";
    /// `POST` [`super::PolicyPreviewRequest`] -> [`super::PolicyPreview`]: changes nothing.
    pub const POLICY_PREVIEW: &str = "/v1/policy/preview";
    /// `POST` [`super::PolicyTestRequest`] -> [`super::PolicyTest`]: changes nothing.
    pub const POLICY_TEST: &str = "/v1/policy/test";
    /// `GET` -> [`super::VersionReply`].
    pub const VERSION: &str = "/v1/version";
    /// `POST` [`super::InitRequest`] -> [`super::JoinedReply`].
    pub const INIT: &str = "/v1/init";
    /// `GET` -> [`super::Invites`]; `POST` [`super::InviteRequest`] -> [`super::InviteReply`].
    pub const INVITES: &str = "/v1/invites";
    /// `POST` [`super::RevokeRequest`] -> [`super::RevokeReply`].
    pub const INVITES_REVOKE: &str = "/v1/invites/revoke";
    /// `POST` [`super::TokenRequest`] -> [`super::TokenParts`]: nothing is changed.
    pub const INVITES_TOKEN: &str = "/v1/invites/token";
    /// `POST` [`super::JoinRequest`] -> [`super::JoinedReply`].
    pub const JOIN: &str = "/v1/join";
    /// `POST` [`super::LeaveRequest`] -> [`super::LeaveReply`].
    pub const LEAVE: &str = "/v1/leave";
    /// `GET` -> [`super::Bans`]; `POST` [`super::BanRequest`] -> [`super::BanReply`].
    pub const BANS: &str = "/v1/bans";
    /// `POST` [`super::UnbanRequest`] -> [`super::UnbanReply`].
    pub const UNBAN: &str = "/v1/unban";
    /// `POST` [`super::RemoveRequest`] -> [`super::RemoveReply`].
    pub const REMOVE: &str = "/v1/remove";
    /// `GET` -> [`super::Reports`]; `POST` [`super::ReportRequest`] -> [`super::ReportReply`].
    pub const REPORTS: &str = "/v1/reports";
    /// `GET` -> [`super::TunnelKeys`].
    pub const KEYS: &str = "/v1/keys";
    /// `POST` [`super::RotateKeysRequest`] -> [`super::KeysRotated`].
    pub const KEYS_ROTATE: &str = "/v1/keys/rotate";
    /// `POST` [`super::PingRequest`] -> [`super::PingReply`]: one echo.
    pub const PING: &str = "/v1/ping";
    /// `POST` [`super::WaitRequest`] -> [`super::WaitReply`]: answers when it holds or time is up.
    pub const WAIT: &str = "/v1/wait";
}

/// The most bytes a request body may have: the longest policy, all of whose words are names, takes 45 kB.
pub const MAX_REQUEST: usize = 64 * 1024;
