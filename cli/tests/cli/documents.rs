//! What a small mesh would say: n1 supervises, n2 is reached directly, n3 has gone silent.

use mesh_model::addr::DEFAULT_IPV4_PREFIX;
use mesh_model::api::v1::{
    AppliedBy, Audit, AuditContent, AuditEntry, AuditSaid, BackupFile, Backups, Ban, BanKind,
    BanReply, Bans, DaemonState, DropCount, ErrorBody, ErrorCode, GossipMember, GossipState,
    InviteInfo, InviteReply, InviteState, Invites, JoinedReply, KeyBefore, KeysRotated, LeaveReply,
    LogComparison, LogDifference, LogEntryHash, MemberKey, MemberName, Offload, OwnReport, Path,
    Peer, Peers, PingReply, RaftRole, RaftStatus, RemoveReply, ReportCase, ReportReply,
    ReportTally, Reports, RevokeReply, Role, SnapshotInfo, Snapshots, Status, Supervisor,
    SupervisorHistory, SyncReply, SyncSource, SyncState, SyncStatus, TransferReply, Transition,
    TransitionCause, Tunnel, TunnelKeys, Tunnels, UnbanReply, VoteReason, Voter, VoterWish, Voters,
    WaitReply,
};
use mesh_model::audit::{Actor, Beginning, Entry, Event, Link};
use mesh_model::facts::Capability;
use mesh_model::trust::{
    AdminsHead, Bootstrap, Genesis, Invite, MemberRecord, MeshRoot, Misconduct, Name, Token,
};
use mesh_model::view::StateHash;
use mesh_model::{
    Edition, IdentityKey, IdentitySecret, InviteId, MemberId, MeshId, OverlayAddrs, Prefixes,
    Signed, TunnelKey,
};

const MESH: MeshId = MeshId([0xfe; 16]);

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn prefixes() -> Prefixes {
    Prefixes::for_mesh(MESH, DEFAULT_IPV4_PREFIX).expect("prefixes")
}

fn addrs(member: u8) -> OverlayAddrs {
    OverlayAddrs {
        v4: [100, 88, 0, member].into(),
        v6: prefixes().ipv6_of(MemberId(member.into())),
    }
}

fn n2() -> Peer {
    Peer {
        member: MemberId(2),
        name: name("n2"),
        addrs: addrs(2),
        role: Role::Voter,
        state: GossipState::Alive,
        path: Path::Direct,
        post_quantum: false,
        endpoint: Some("192.0.2.2:51820".parse().expect("an address")),
        last_handshake_ms: Some(12_300),
        rx_bytes: 104_857_600,
        tx_bytes: 1536,
        rtt_us: Some(421),
        version: Some("0.1.0".to_owned()),
        reads: None,
        capabilities: vec![Capability::KernelTun],
        applied: Some(42),
        last_seen_ms: Some(300),
    }
}

fn n3() -> Peer {
    Peer {
        member: MemberId(13),
        name: name("database-3"),
        addrs: addrs(13),
        role: Role::Learner,
        state: GossipState::Dead,
        path: Path::None,
        post_quantum: false,
        endpoint: None,
        last_handshake_ms: None,
        rx_bytes: 0,
        tx_bytes: 148,
        rtt_us: None,
        version: None,
        reads: None,
        capabilities: Vec::new(),
        applied: None,
        last_seen_ms: None,
    }
}

pub(crate) fn peers() -> Peers {
    Peers { peers: vec![n2(), n3()] }
}

pub(crate) fn status() -> Status {
    let seen =
        |member, state, incarnation| GossipMember { member: MemberId(member), state, incarnation };
    Status {
        version: "0.1.0".to_owned(),
        state: DaemonState::Member,
        degraded: None,
        divergences: Vec::new(),
        far_stamp: None,
        key: None,
        epoch: None,
        mesh: Some(MESH),
        mesh_name: Some(name("home")),
        prefixes: Some(prefixes()),
        member: Some(MemberId(1)),
        name: Some(name("n1")),
        addrs: Some(addrs(1)),
        role: Some(Role::Supervisor),
        interface: Some("mesh0".to_owned()),
        listen_port: 51820,
        uptime_s: 192,
        members: 3,
        raft: Some(RaftStatus {
            role: RaftRole::Leader,
            term: 3,
            leader: Some(MemberId(1)),
            commit: 43,
            applied: 42,
            voters: vec![MemberId(1), MemberId(2)],
            learners: vec![MemberId(13)],
            state_hash: StateHash([0x3f; 32]),
            edition: Edition::FIRST,
            reads: Edition(2),
        }),
        peers: peers().peers,
        gossip: vec![
            seen(1, GossipState::Alive, 0),
            seen(2, GossipState::Alive, 4),
            seen(13, GossipState::Dead, 1),
        ],
        drops: vec![DropCount { reason: "source_not_allowed".to_owned(), packets: 7 }],
        workers: 2,
        offloads: vec![Offload { name: "udp_gso".to_owned(), active: true }],
    }
}

/// A host whose disk failed while it led.
pub(crate) fn degraded() -> Status {
    let mut status = status();
    status.degraded = Some(ErrorBody {
        code: ErrorCode::Disk,
        message: "the disk failed; this host takes no part in agreement any more".to_owned(),
        hint: "mend the disk, then restart meshd".to_owned(),
        missing: Vec::new(),
    });
    status.role = None;
    if let Some(raft) = &mut status.raft {
        (raft.role, raft.leader) = (RaftRole::Stopped, None);
    }
    status
}

pub(crate) fn not_joined() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        state: DaemonState::NotJoined,
        degraded: None,
        divergences: Vec::new(),
        far_stamp: None,
        key: None,
        epoch: None,
        mesh: None,
        mesh_name: None,
        prefixes: None,
        member: None,
        name: None,
        addrs: None,
        role: None,
        interface: None,
        listen_port: 51820,
        uptime_s: 3,
        members: 0,
        raft: None,
        peers: Vec::new(),
        gossip: Vec::new(),
        drops: Vec::new(),
        workers: 0,
        offloads: Vec::new(),
    }
}

pub(crate) fn tunnels() -> Tunnels {
    let tunnel = |peer: Peer, key| Tunnel {
        member: peer.member,
        name: peer.name,
        public_key: TunnelKey([key; 32]),
        endpoint: peer.endpoint,
        allowed_ips: peer.addrs.host_prefixes().to_vec(),
        established: peer.path != Path::None,
        post_quantum: peer.post_quantum,
        last_handshake_ms: peer.last_handshake_ms,
        rx_bytes: peer.rx_bytes,
        tx_bytes: peer.tx_bytes,
        keepalive_s: peer.endpoint.map(|_| 25),
    };
    Tunnels {
        public_key: TunnelKey([1; 32]),
        listen_port: 51820,
        tunnels: vec![tunnel(n2(), 2), tunnel(n3(), 3)],
    }
}

pub(crate) fn joined() -> JoinedReply {
    JoinedReply {
        mesh: MESH,
        mesh_name: name("home"),
        member: MemberId(2),
        name: name("n2"),
        addrs: addrs(2),
    }
}

pub(crate) fn founded() -> JoinedReply {
    JoinedReply { member: MemberId(1), name: name("n1"), addrs: addrs(1), ..joined() }
}

pub(crate) fn invite(uses: u32) -> InviteReply {
    InviteReply { invite: InviteId([5; 16]), token: token(), uses, expires_ms: 1_767_225_600_000 }
}

pub(crate) fn left(index: Option<u64>) -> LeaveReply {
    LeaveReply { mesh: MESH, member: MemberId(2), index }
}

pub(crate) fn applied_by() -> AppliedBy {
    AppliedBy { members: 3, of: 3, waited_ms: 420 }
}

pub(crate) fn banned(applied_by: Option<AppliedBy>) -> BanReply {
    BanReply { member: MemberId(2), name: name("n2"), until_ms: None, index: 45, applied_by }
}

pub(crate) fn unbanned() -> UnbanReply {
    UnbanReply { member: MemberId(2), name: name("n2"), index: 46, applied_by: None }
}

pub(crate) fn removed() -> RemoveReply {
    RemoveReply { member: MemberId(2), name: name("n2"), index: 47, applied_by: None }
}

/// The keys of three, of which the first has changed its own twice, and the third has not heard of that.
pub(crate) fn keys() -> TunnelKeys {
    let since_ms = now_ms() - 3 * 3_600_000 - 500;
    let key = |number: u64| MemberKey {
        member: MemberId(number),
        name: name(&format!("n{number}")),
        key: TunnelKey([number as u8; 32]),
        serial: 0,
        index: None,
        since_ms: None,
    };
    let own = MemberKey { serial: 2, index: Some(48), since_ms: Some(since_ms), ..key(1) };
    let until_ms = now_ms() + 29 * 86_400_000 + 21 * 3_600_000 + 30_000;
    let before =
        Some(KeyBefore { key: TunnelKey([9; 32]), until_ms, behind: vec![member(3, "n3")] });
    TunnelKeys { members: vec![own.clone(), key(2), key(3)], own, before, next: None, applied: 48 }
}

pub(crate) fn rotated(applied_by: Option<AppliedBy>) -> KeysRotated {
    let keeps_before = applied_by.is_none();
    let (member, key) = (MemberId(1), TunnelKey([1; 32]));
    KeysRotated { member, name: name("n1"), key, serial: 2, index: 48, applied_by, keeps_before }
}

/// An invite that admits, one that was used, and one that was taken back.
pub(crate) fn invites() -> Invites {
    let now_ms = now_ms();
    let info = |byte: u8, state, used| InviteInfo {
        invite: InviteId([byte; 16]),
        state,
        uses: 1,
        used,
        created_ms: now_ms - 3 * 3_600_000 - 500,
        expires_ms: now_ms + 5_400_000 + 30_000,
        range: None,
        voter: false,
        members: Vec::new(),
        tags: Default::default(),
    };
    let members = vec![MemberName { member: MemberId(2), name: name("n2") }];
    let used = InviteInfo { members, ..info(6, InviteState::Used, 1) };
    let open = InviteInfo {
        range: "100.88.7.0/24".parse().ok(),
        voter: true,
        tags: ["db", "region-eu1"].map(|tag| tag.parse().expect("a tag")).into(),
        ..info(5, InviteState::Open, 0)
    };
    let invites = vec![open, used, info(7, InviteState::Revoked, 0)];
    Invites { invites, applied: 45 }
}

pub(crate) fn revoked() -> RevokeReply {
    let banned = vec![MemberName { member: MemberId(2), name: name("n2") }];
    let applied_by = Some(applied_by());
    let left_out = None;
    RevokeReply { invite: InviteId([6; 16]), banned, left_out, index: 48, applied_by }
}

fn now_ms() -> u64 {
    let since_epoch = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    u64::try_from(since_epoch.as_millis()).expect("before the year 500 million")
}

/// One ban that ends by itself, an hour and a half after it is looked at, and one that does not.
pub(crate) fn bans() -> Bans {
    let now_ms = now_ms();
    let ban = |number: u64, until_ms| Ban {
        member: MemberId(number),
        name: name(&format!("n{number}")),
        identity: IdentityKey([7; 32]),
        since_ms: now_ms - 3 * 3_600_000 - 500,
        until_ms,
        reason: None,
        kind: BanKind::Ban,
        reporters: Vec::new(),
        misconduct: Vec::new(),
    };
    let excluded = Ban {
        kind: BanKind::Exclusion,
        reporters: vec![MemberId(1), MemberId(5), MemberId(9)],
        misconduct: vec![Misconduct::Floods],
        ..ban(4, Some(now_ms + 9 * 3_600_000 + 30_000))
    };
    let reason = "floods its neighbours".parse().expect("a reason");
    let ends = Some(now_ms + 5_400_000 + 30_000);
    let banned = Ban { reason: Some(reason), ..ban(2, ends) };
    Bans { bans: vec![banned, ban(3, None), excluded], applied: 45 }
}

/// This host reports n3, and the supervisor has heard of it.
pub(crate) fn reported() -> ReportReply {
    ReportReply {
        member: MemberId(3),
        name: name("n3"),
        kind: Misconduct::Floods,
        expires_ms: now_ms() + 3_630_000,
        told: Some(MemberId(1)),
        tally: Some(TALLY),
    }
}

const TALLY: ReportTally = ReportTally { have: 2, needed: 3, lineages: 5 };

/// The same, as a supervisor sees it to which two more were reported.
pub(crate) fn reports() -> Reports {
    let ReportReply { member, name: called, kind, expires_ms, told, tally } = reported();
    let own = OwnReport {
        member,
        name: called.clone(),
        kind,
        reason: "a gigabit of nothing".parse().ok(),
        made_ms: expires_ms - 3_600_000,
        expires_ms,
        told,
        tally,
        refused: None,
    };
    let case = |number: u64, reporters: &[u64], have| ReportCase {
        member: MemberId(number),
        name: name(&format!("n{number}")),
        reporters: reporters.iter().copied().map(MemberId).collect(),
        kinds: vec![Misconduct::Floods, Misconduct::Other],
        tally: ReportTally { have, ..TALLY },
    };
    Reports { own: vec![own], cases: Some(vec![case(3, &[1, 5], 2), case(4, &[9], 1)]) }
}

/// One that was agreed on three hours ago.
pub(crate) fn snapshot(index: u64) -> SnapshotInfo {
    SnapshotInfo {
        mesh: MESH,
        mesh_name: name("home"),
        index,
        term: 3,
        state_hash: StateHash([0xa5; 32]),
        agreed_ms: now_ms() - 3 * 3_600_000 - 500,
        members: 3,
        voters: vec![MemberId(1), MemberId(2), MemberId(13)],
        signed_by: vec![MemberId(1), MemberId(13)],
        state_bytes: 4096,
        file_bytes: 2150,
    }
}

/// Daily ones, one of which was made.
pub(crate) fn backups() -> Backups {
    let now_ms = now_ms();
    let made = BackupFile {
        name: "001800000000000-fefefefe-m1.age".to_owned(),
        made_ms: now_ms - 3 * 3_600_000 - 500,
        bytes: 2150,
    };
    Backups {
        every_s: Some(86_400),
        keep: Some(7),
        directory: Some("/var/lib/meshd/backups".to_owned()),
        next_ms: Some(now_ms + 5_400_000 + 30_000),
        failure: None,
        backups: vec![made],
    }
}

pub(crate) fn snapshots() -> Snapshots {
    Snapshots { snapshots: vec![snapshot(42), snapshot(1044)], damaged: Vec::new() }
}

pub(crate) fn supervisor(leader: Option<u64>) -> Supervisor {
    Supervisor {
        term: 3,
        leader: leader.map(MemberId),
        name: leader.map(|_| name("n1")),
        is_self: leader.is_some(),
        voters: vec![MemberId(1), MemberId(2)],
        last: history().transitions.pop(),
        transfers_refused: 2,
    }
}

pub(crate) fn history() -> SupervisorHistory {
    let seen = |at_s: u64, term, leader: Option<u64>, role, (cause, of): (_, Option<u64>)| {
        let (leader, of) = (leader.map(MemberId), of.map(MemberId));
        Transition {
            at_ms: (1_767_225_600 + at_s) * 1000,
            term,
            leader,
            role,
            cause,
            of,
            reason: None,
        }
    };
    let vote = |at_s, cause, of, reason| Transition {
        reason: Some(reason),
        ..seen(at_s, 3, Some(1), RaftRole::Leader, (cause, Some(of)))
    };
    use TransitionCause::{FellSilent, Started, Transferred, VoteGiven, VoteTaken, Voted};
    use VoteReason::{InPlaceOf, Silent};
    SupervisorHistory {
        forgotten: 4,
        transitions: vec![
            seen(0, 1, Some(2), RaftRole::Follower, (Started, None)),
            seen(61, 1, None, RaftRole::Follower, (FellSilent, Some(2))),
            seen(62, 2, None, RaftRole::Follower, (Voted, Some(13))),
            vote(121, VoteTaken, 5, Silent { for_s: 61 }),
            vote(121, VoteGiven, 7, InPlaceOf { member: MemberId(5) }),
            seen(183, 3, Some(1), RaftRole::Leader, (Transferred, Some(2))),
        ],
    }
}

pub(crate) fn voters() -> Voters {
    let voter = |member, text: &str, vote, wish, (region, ready, lag): (&str, _, _)| Voter {
        member: MemberId(member),
        name: name(text),
        vote,
        wish,
        without_right: member == 14,
        region: region.parse().ok(),
        ready,
        lag,
        steady_s: (member == 2).then_some(7_500),
        rtt_us: (member == 2).then_some(41_300),
    };
    Voters {
        target: Some(3),
        serial: 2,
        members: vec![
            voter(1, "n1", true, VoterWish::Always, ("eu1", Some(true), Some(0))),
            voter(2, "n2", true, VoterWish::Auto, ("us-2", Some(true), Some(1))),
            voter(13, "database-3", false, VoterWish::Never, ("", None, None)),
            voter(14, "laptop", false, VoterWish::Auto, ("", None, None)),
        ],
    }
}

fn member(member: u64, text: &str) -> MemberName {
    MemberName { member: MemberId(member), name: name(text) }
}

/// A member that follows n2 and is ten seconds from level.
pub(crate) fn sync() -> SyncStatus {
    let source = |number, text: &str, reliability, rtt_us, applied| SyncSource {
        member: MemberId(number),
        name: name(text),
        reliability,
        rtt_us,
        applied,
        wrong: 0,
    };
    SyncStatus {
        state: SyncState::Follows,
        asks: true,
        source: Some(member(2, "n2")),
        index: 800,
        target: 1044,
        behind: 244,
        proven: 800,
        rate: 24.4,
        left_ms: Some(10_000),
        depth: Some(1),
        places: 8,
        served: vec![member(17, "edge-4")],
        turned_away: 3,
        preferred: vec![member(2, "n2")],
        sources: vec![source(1, "n1", 40, None, 1043), source(2, "n2", 85, Some(12_300), 1044)],
        divergences: Vec::new(),
    }
}

/// A member that asks n2 before all others.
pub(crate) fn steered() -> SyncReply {
    let preferred = vec![member(2, "n2")];
    SyncReply { state: SyncState::Seeking, asks: true, preferred, comparison: None }
}

/// The same, its log held against that of n2.
pub(crate) fn compared(difference: Option<LogDifference>) -> SyncReply {
    let (source, from, upto) = (member(2, "n2"), 40, 1044);
    SyncReply { comparison: Some(LogComparison { source, from, upto, difference }), ..steered() }
}

/// At index 207 the other has something else.
pub(crate) fn log_difference(upheld: bool) -> LogDifference {
    let entry = |digits: &str| LogEntryHash { term: 3, hash: digits.repeat(32) };
    LogDifference { index: 207, here: entry("a5"), there: Some(entry("5a")), upheld }
}

pub(crate) fn transferred() -> TransferReply {
    TransferReply { term: 4, leader: MemberId(2), name: Some(name("n2")) }
}

pub(crate) fn pong(rtt_us: u64) -> PingReply {
    let peer = n2();
    PingReply {
        member: peer.member,
        name: peer.name,
        addr: peer.addrs.v6.into(),
        rtt_us,
        endpoint: peer.endpoint,
        path: Path::Direct,
    }
}

pub(crate) fn waited() -> WaitReply {
    WaitReply {
        leader: Some(MemberId(1)),
        applied: 42,
        state_hash: StateHash([0x3f; 32]),
        waited_ms: 1200,
    }
}

/// A token whose signatures hold.
pub(crate) fn token() -> String {
    let root = IdentitySecret::from_seed([1; 32]);
    let secret = IdentitySecret::from_seed([2; 32]);
    let mesh_root = MeshRoot::of(root.public());
    let invite = Invite {
        mesh: mesh_root.mesh,
        id: InviteId::of_key(&secret.public()),
        key: secret.public(),
        uses: 1,
        created_ms: 0,
        expires_ms: 600_000,
        tags: Default::default(),
        range: None,
        voter: false,
    };
    let token = Token {
        root: mesh_root,
        admin: root.public(),
        admins: AdminsHead::of_root(&root.public()),
        invite: Signed::seal(&invite, &root),
        secret,
        bootstraps: vec![Bootstrap {
            endpoint: "192.0.2.1:51820".parse().expect("an address"),
            identity: IdentitySecret::from_seed([3; 32]).public(),
        }],
    };
    token.to_text().to_string()
}

/// When the mesh of [`audit`] began: 2026-01-01T00:00:00Z.
pub(crate) const BORN_MS: u64 = 1_767_225_600_000;

/// What was decided so far: an invite of three uses at index 2, n2 and database-3 under it at 3 and 13, an hour between
/// one and the next, and n2's departure at 44.
pub(crate) fn audit() -> Audit {
    let invite = InviteId([5; 16]);
    let joined = |member, text| {
        let member = MemberId(member);
        (Actor::Joiner { invite, member }, Event::Admitted { member, name: name(text) })
    };
    let member = MemberId(3);
    let trail = audit_of([
        (
            2,
            (Actor::Root, Event::InviteAdded { invite, uses: 3, expires_ms: BORN_MS + 86_400_000 }),
        ),
        (3, joined(3, "n2")),
        (13, joined(13, "database-3")),
        (44, (Actor::Member { member }, Event::Departed { member })),
    ]);
    let tags = ["db".parse().expect("a tag")].into();
    let said = AuditSaid::Invite { range: None, voter: true, tags };
    Audit { contents: vec![AuditContent { index: 2, said }], ..trail }
}

/// A trail of these decisions, one per hour.
pub(crate) fn audit_of(decisions: impl IntoIterator<Item = (u64, (Actor, Event))>) -> Audit {
    let secret = IdentitySecret::from_seed([1; 32]);
    let root = MeshRoot::of(secret.public());
    let founder = MemberRecord {
        mesh: root.mesh,
        name: name("n1"),
        identity: IdentitySecret::from_seed([3; 32]).public(),
        tunnel: TunnelKey([1; 32]),
    };
    let genesis = Genesis {
        root,
        name: name("home"),
        prefixes: Prefixes::for_mesh(root.mesh, DEFAULT_IPV4_PREFIX).expect("prefixes"),
        founder,
        created_ms: BORN_MS,
    };
    let genesis = Beginning(Signed::seal(&genesis, &secret));
    let mut head = genesis.hash();
    let mut at_ms = BORN_MS;
    let entries = decisions.into_iter().map(|(index, (by, event))| {
        at_ms += 3_600_000;
        let link = Link::new(head, Entry { index, at_ms, by, event });
        head = link.hash;
        AuditEntry::from(link)
    });
    let entries = entries.collect();
    let (mesh, root) = (root.mesh, root.key);
    let before_hash = genesis.hash();
    let (contents, members, admins) = Default::default();
    Audit { mesh, root, before_hash, genesis, entries, head_hash: head, contents, members, admins }
}
