//! The JSON of the local API: what programs rely on.

mod sample;

use std::fmt::Debug;

use mesh_model::access::Protocol;
use mesh_model::api::v1::{
    AppliedBy, Ban, BanKind, BanReply, BanRequest, Bans, DaemonState, Document, DraftRequest,
    DropCount, ErrorBody, ErrorCode, ErrorDocument, Family, GossipMember, GossipState, InitRequest,
    InviteInfo, InviteReply, InviteRequest, InviteState, Invites, JoinRequest, JoinedReply,
    LeaveReply, LeaveRequest, LogComparison, LogDifference, LogEntryHash, MemberName, Offload,
    OwnReport, Path, Peer, Peers, PingReply, PingRequest, PolicyPreviewRequest, PolicyRequest,
    PolicyRule, PolicyTestRequest, RaftRole, RaftStatus, RemoveReply, RemoveRequest, ReportCase,
    ReportReply, ReportRequest, ReportTally, Reports, ResyncRequest, RevokeReply, RevokeRequest,
    Role, Schema, Status, Supervisor, SupervisorHistory, SyncFromRequest, SyncReply, SyncSource,
    SyncState, SyncStatus, TagRequest, TokenParts, TokenRequest, TransferReply, TransferRequest,
    Transition, TransitionCause, Tunnel, Tunnels, UnbanReply, UnbanRequest, VersionReply,
    VoteReason, Voter, VoterTargetRequest, VoterWish, VoterWishRequest, Voters, WaitFor, WaitReply,
    WaitRequest, Wanted,
};
use mesh_model::facts::Capability;
use mesh_model::trust::{AdminsHead, Misconduct};
use mesh_model::view::StateHash;
use mesh_model::{Edition, MemberId, OverlayAddrs, Prefixes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Larger than any float holds exactly: an id or index must not pass through one.
const BIG: u64 = u64::MAX;

/// Sends `body` through its document and back.
#[track_caller]
fn document<T>(body: T) -> Value
where
    T: Schema + Serialize + DeserializeOwned + Clone + PartialEq + Debug,
{
    let document = Document::from(body.clone());
    let text = serde_json::to_string(&document).expect("plain data");
    let read: Document<T> = serde_json::from_str(&text).expect("its own text");
    assert_eq!(read, document);
    assert_eq!(read.body, body);
    // A newer daemon may add fields; an older program reads on.
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    value["a_field_of_the_future"] = json!([1]);
    let read: Document<T> = serde_json::from_value(value.clone()).expect("more fields are fine");
    assert_eq!(read.body, body);
    assert_eq!(value["schema"], T::SCHEMA);
    value
}

#[track_caller]
fn request<T>(body: &T) -> Value
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let value = serde_json::to_value(body).expect("plain data");
    assert_eq!(&serde_json::from_value::<T>(value.clone()).expect("its own JSON"), body);
    let mut typo = value.clone();
    typo["naem"] = json!(1);
    let error = serde_json::from_value::<T>(typo).expect_err("an unknown field").to_string();
    assert!(error.contains("naem"), "{error}");
    value
}

fn addrs() -> OverlayAddrs {
    OverlayAddrs { v4: [100, 88, 0, 1].into(), v6: "fd00::1".parse().expect("an address") }
}

fn hash() -> StateHash {
    StateHash([0xab; 32])
}

fn peer() -> Peer {
    Peer {
        member: MemberId(BIG),
        name: sample::name("h1"),
        addrs: addrs(),
        role: Role::Voter,
        state: GossipState::Suspect,
        path: Path::Direct,
        post_quantum: true,
        endpoint: Some(sample::endpoint("[2001:db8::1]:51820")),
        last_handshake_ms: Some(BIG),
        rx_bytes: BIG,
        tx_bytes: 0,
        rtt_us: None,
        version: Some("0.1.0".to_owned()),
        reads: Some(Edition(2)),
        capabilities: vec![Capability::KernelTun, Capability::Admin],
        applied: Some(BIG),
        last_seen_ms: None,
    }
}

fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        state: DaemonState::Member,
        degraded: None,
        divergences: Vec::new(),
        far_stamp: None,
        key: None,
        epoch: None,
        mesh: Some(sample::mesh()),
        mesh_name: Some(sample::name("office")),
        prefixes: Some(sample::genesis().prefixes),
        member: Some(MemberId(1)),
        name: Some(sample::name("h0")),
        addrs: Some(addrs()),
        role: Some(Role::Supervisor),
        interface: Some("mesh0".to_owned()),
        listen_port: 51820,
        uptime_s: BIG,
        members: 2,
        raft: Some(RaftStatus {
            role: RaftRole::Leader,
            term: BIG,
            leader: Some(MemberId(1)),
            commit: BIG,
            applied: BIG,
            voters: vec![MemberId(1), MemberId(BIG)],
            learners: vec![],
            state_hash: hash(),
            edition: Edition::FIRST,
            reads: Edition(2),
        }),
        peers: vec![peer()],
        gossip: vec![GossipMember {
            member: MemberId(1),
            state: GossipState::Alive,
            incarnation: BIG,
        }],
        drops: vec![DropCount { reason: "no_route".to_owned(), packets: BIG }],
        workers: 2,
        offloads: vec![Offload { name: "udp_gso".to_owned(), active: true }],
    }
}

#[test]
fn status_survives_and_reads_as_documented() {
    let value = document(status());
    assert_eq!(value["schema"], "mesh.status/v1");
    assert_eq!(value["state"], "member");
    assert_eq!(value["role"], "supervisor");
    assert_eq!(value["raft"]["role"], "leader");
    assert_eq!(value["raft"]["term"], BIG);
    assert_eq!((&value["raft"]["edition"], &value["raft"]["reads"]), (&json!(1), &json!(2)));
    assert_eq!(value["raft"]["state_hash"], "ab".repeat(32));
    assert_eq!(value["raft"]["voters"], json!([1, BIG]));
    assert_eq!(value["mesh"], sample::mesh().to_string());
    assert_eq!(value["addrs"], json!({"v4": "100.88.0.1", "v6": "fd00::1"}));
    assert_eq!(value["prefixes"]["v4"], "100.88.0.0/16");
    assert_eq!(value["peers"][0]["endpoint"], "[2001:db8::1]:51820");
    assert_eq!(value["peers"][0]["capabilities"], json!(["kernel_tun", "admin"]));
    assert_eq!(value["gossip"][0]["state"], "alive");
}

#[test]
fn status_of_a_host_whose_disk_failed_survives_and_older_daemons_say_nothing_of_it() {
    let degraded = ErrorBody {
        code: ErrorCode::Disk,
        message: "no space left".to_owned(),
        hint: "make room".to_owned(),
        missing: Vec::new(),
    };
    let mut value = document(Status { degraded: Some(degraded), role: None, ..status() });
    assert_eq!(value["degraded"]["code"], "disk");
    assert_eq!(value["state"], "member");
    value.as_object_mut().expect("an object").remove("degraded");
    let read: Document<Status> = serde_json::from_value(value).expect("an older document");
    assert_eq!(read.body.degraded, None);
}

#[test]
fn status_of_a_daemon_without_a_mesh_survives() {
    let value = document(Status {
        state: DaemonState::NotJoined,
        mesh: None,
        mesh_name: None,
        prefixes: None::<Prefixes>,
        member: None,
        name: None,
        addrs: None,
        role: None,
        interface: None,
        raft: None,
        peers: vec![],
        gossip: vec![],
        drops: vec![],
        offloads: vec![],
        ..status()
    });
    assert_eq!(value["state"], "not_joined");
    assert_eq!(value["mesh"], Value::Null);
}

#[test]
fn peers_and_tunnels_survive() {
    document(Peers { peers: vec![peer(), peer()] });
    let value = document(Tunnels {
        public_key: sample::record().tunnel,
        listen_port: 51820,
        tunnels: vec![Tunnel {
            member: MemberId(BIG),
            name: sample::name("h1"),
            public_key: sample::record().tunnel,
            endpoint: None,
            allowed_ips: addrs().host_prefixes().to_vec(),
            established: true,
            post_quantum: true,
            last_handshake_ms: None,
            rx_bytes: BIG,
            tx_bytes: BIG,
            keepalive_s: Some(25),
        }],
    });
    assert_eq!(value["tunnels"][0]["allowed_ips"], json!(["100.88.0.1/32", "fd00::1/128"]));
    assert_eq!(value["public_key"], sample::record().tunnel.to_string());
}

fn transition() -> Transition {
    Transition {
        at_ms: BIG,
        term: BIG,
        leader: None,
        role: RaftRole::Follower,
        cause: TransitionCause::FellSilent,
        of: Some(MemberId(BIG)),
        reason: Some(VoteReason::InPlaceOf { member: MemberId(BIG) }),
    }
}

fn named() -> MemberName {
    MemberName { member: MemberId(BIG), name: sample::name("h1") }
}

#[test]
fn how_a_host_follows_survives_and_so_does_a_state_of_a_newer_daemon() {
    let sync = SyncStatus {
        state: SyncState::Follows,
        asks: true,
        source: Some(named()),
        index: BIG,
        target: BIG,
        behind: 0,
        proven: BIG,
        rate: 0.1,
        left_ms: Some(BIG),
        depth: None,
        places: 8,
        served: vec![named()],
        turned_away: BIG,
        preferred: vec![named()],
        sources: vec![SyncSource {
            member: MemberId(BIG),
            name: sample::name("h1"),
            reliability: 50,
            rtt_us: Some(BIG),
            applied: BIG,
            wrong: BIG,
        }],
        divergences: Vec::new(),
    };
    let mut value = document(sync);
    assert_eq!(value["source"], json!({"member": BIG, "name": "h1"}));
    assert_eq!((&value["rate"], &value["depth"]), (&json!(0.1), &Value::Null));
    value["state"] = json!("asleep");
    let read: Document<SyncStatus> = serde_json::from_value(value).expect("still a document");
    assert_eq!(read.body.state, SyncState::Unknown);
}

#[test]
fn a_comparison_of_logs_survives_and_is_there_only_when_asked_for() {
    let entry = LogEntryHash { term: BIG, hash: "ab".repeat(32) };
    let difference = LogDifference { index: BIG, here: entry.clone(), there: None, upheld: true };
    let compared =
        LogComparison { source: named(), from: 1, upto: BIG, difference: Some(difference) };
    let reply = SyncReply {
        state: SyncState::Leads,
        asks: false,
        preferred: vec![named()],
        comparison: Some(compared),
    };
    let value = document(reply.clone());
    assert_eq!(value["comparison"]["difference"]["here"]["term"], BIG);
    let value = document(SyncReply { comparison: None, ..reply });
    assert_eq!(value.get("comparison"), None);
}

#[test]
fn a_cause_of_a_newer_daemon_is_read_as_unknown() {
    let mut value = serde_json::to_value(transition()).expect("plain data");
    value["cause"] = json!("abdicated");
    let read: Transition = serde_json::from_value(value).expect("still a transition");
    assert_eq!(read.cause, TransitionCause::Unknown);
    let mut value = serde_json::to_value(transition()).expect("plain data");
    assert_eq!(value["reason"], json!({"kind": "in_place_of", "member": BIG}));
    value["reason"] = json!({"kind": "drawn", "lot": 3});
    let read: Transition = serde_json::from_value(value.clone()).expect("still a transition");
    assert_eq!(read.reason, Some(VoteReason::Unknown));
    // An older daemon says nothing of votes.
    value.as_object_mut().expect("an object").remove("reason");
    let read: Transition = serde_json::from_value(value).expect("still a transition");
    assert_eq!(read.reason, None);
}

#[test]
fn a_supervisor_of_an_older_daemon_is_read() {
    let old = json!({"term": 1, "leader": null, "name": null, "is_self": false, "voters": []});
    let read: Supervisor = serde_json::from_value(old).expect("what it said before");
    assert_eq!((read.last, read.transfers_refused), (None, 0));
}

#[test]
fn answers_survive() {
    let value = document(JoinedReply {
        mesh: sample::mesh(),
        mesh_name: sample::name("office"),
        member: MemberId(BIG),
        name: sample::name("h1"),
        addrs: addrs(),
    });
    assert_eq!(value["member"], BIG);
    document(InviteReply {
        invite: sample::invite().id,
        token: "mesh1-x".to_owned(),
        uses: 1,
        expires_ms: BIG,
    });
    document(LeaveReply { mesh: sample::mesh(), member: MemberId(3), index: None });
    document(Supervisor {
        term: BIG,
        leader: None,
        name: None,
        is_self: false,
        voters: vec![MemberId(BIG)],
        last: Some(transition()),
        transfers_refused: BIG,
    });
    let value = document(SupervisorHistory { forgotten: BIG, transitions: vec![transition()] });
    assert_eq!(value["transitions"][0]["cause"], "fell_silent");
    assert_eq!(value["transitions"][0]["of"], BIG);
    document(TransferReply { term: BIG, leader: MemberId(3), name: Some(sample::name("h1")) });
    let value = document(Voters {
        target: Some(5),
        serial: BIG,
        members: vec![Voter {
            member: MemberId(BIG),
            name: sample::name("h1"),
            vote: true,
            wish: VoterWish::Never,
            without_right: false,
            region: "eu1".parse().ok(),
            ready: Some(false),
            lag: Some(BIG),
            steady_s: Some(BIG),
            rtt_us: Some(BIG),
        }],
    });
    assert_eq!(value["members"][0]["wish"], "never");
    assert_eq!(value["members"][0]["region"], "eu1");
    document(WaitReply { leader: None, applied: BIG, state_hash: hash(), waited_ms: 3 });
    document(VersionReply { version: "0.1.0".to_owned() });
    let value = document(PingReply {
        member: MemberId(2),
        name: sample::name("h1"),
        addr: addrs().v6.into(),
        rtt_us: BIG,
        endpoint: None,
        path: Path::None,
    });
    assert_eq!(value["addr"], "fd00::1");
}

#[test]
fn invites_survive() {
    let members = vec![MemberName { member: MemberId(BIG), name: sample::name("h1") }];
    let info = InviteInfo {
        invite: sample::invite().id,
        state: InviteState::Revoked,
        uses: 3,
        used: 1,
        created_ms: BIG,
        expires_ms: BIG,
        range: None,
        voter: false,
        members: members.clone(),
        tags: sample::tags(),
    };
    let value = document(Invites { invites: vec![info], applied: BIG });
    assert_eq!(value["invites"][0]["state"], "revoked");
    assert_eq!(value["invites"][0]["members"][0]["name"], "h1");
    let invite = sample::invite().id;
    let left_out = members.first().cloned();
    document(RevokeReply { invite, banned: members, left_out, index: BIG, applied_by: None });
    request(&TokenRequest { invite, endpoints: vec![sample::endpoint("192.0.2.7:51820")] });
    let parts = document(TokenParts {
        root: sample::root().key,
        admin: sample::identity().public(),
        admins: AdminsHead([7; 32]),
        invite: "AQ==".to_owned(),
        bootstraps: vec![sample::bootstrap("192.0.2.7:51820")],
    });
    assert_eq!(parts["bootstraps"][0]["endpoint"], "192.0.2.7:51820");
    request(&RevokeRequest { invite: "0505".to_owned(), with_members: true, wait_ms: Some(1) });
}

#[test]
fn who_came_in_by_an_invite_is_banned_for_good_but_for_the_host_that_is_asked() {
    let member = |number| MemberName { member: MemberId(number), name: sample::name("h1") };
    let ban = |number, until_ms, kind| Ban {
        member: MemberId(number),
        name: sample::name("h1"),
        identity: sample::record().identity,
        since_ms: 1,
        until_ms,
        reason: None,
        kind,
        reporters: Vec::new(),
        misconduct: Vec::new(),
    };
    let info = InviteInfo {
        invite: sample::invite().id,
        state: InviteState::Revoked,
        uses: 9,
        used: 5,
        created_ms: 1,
        expires_ms: 2,
        range: None,
        voter: false,
        members: (1..=5).map(member).collect(),
        tags: sample::tags(),
    };
    let held =
        [(2, None, BanKind::Ban), (3, Some(9), BanKind::Ban), (4, Some(9), BanKind::Exclusion)];
    let bans = held.map(|(number, until_ms, kind)| ban(number, until_ms, kind)).into();
    let bans = Bans { bans, applied: 7 };
    let (to_ban, left_out) = info.to_ban(&bans, Some(MemberId(5)));
    assert_eq!((to_ban, left_out), ([1, 3, 4].map(member).into(), Some(member(5))));
    // One that has to be asked no more, and one that did not come in by it.
    for asked in [Some(MemberId(2)), Some(MemberId(6)), None] {
        let (to_ban, left_out) = info.to_ban(&bans, asked);
        assert_eq!((to_ban, left_out), ([1, 3, 4, 5].map(member).into(), None));
    }
}

#[test]
fn reports_survive() {
    let (member, name) = (MemberId(BIG), sample::name("h1"));
    let tally = ReportTally { have: 1, needed: 3, lineages: u32::MAX };
    let value = document(ReportReply {
        member,
        name: name.clone(),
        kind: Misconduct::Diverges,
        expires_ms: BIG,
        told: Some(member),
        tally: Some(tally),
    });
    assert_eq!(value["kind"], "diverges");
    assert_eq!(value["tally"], json!({"have": 1, "needed": 3, "lineages": u32::MAX}));
    let own = OwnReport {
        member,
        name: name.clone(),
        kind: Misconduct::Floods,
        reason: "why".parse().ok(),
        made_ms: BIG,
        expires_ms: BIG,
        told: None,
        tally: None,
        refused: Some("why".to_owned()),
    };
    let kinds = Misconduct::ALL.to_vec();
    let case = ReportCase { member, name, reporters: vec![member], kinds, tally };
    let value = document(Reports { own: vec![own], cases: Some(vec![case]) });
    assert_eq!(value["own"][0]["kind"], "floods");
    assert_eq!(value["cases"][0]["kinds"], json!(["forges", "floods", "diverges", "other"]));
    document(Reports { own: Vec::new(), cases: None });
    let member = "h1".to_owned();
    request(&ReportRequest { member, kind: Misconduct::Other, reason: "why".parse().ok() });
}

#[test]
fn rulings_survive() {
    let applied_by = Some(AppliedBy { members: 3, of: 3, waited_ms: BIG });
    let (member, name, reason) = (MemberId(BIG), sample::name("h1"), "why".parse().ok());
    let value = document(BanReply {
        member,
        name: name.clone(),
        until_ms: Some(BIG),
        index: BIG,
        applied_by: applied_by.clone(),
    });
    assert_eq!(value["applied_by"], json!({"members": 3, "of": 3, "waited_ms": BIG}));
    document(UnbanReply { member, name: name.clone(), index: BIG, applied_by: None });
    document(RemoveReply { member, name: name.clone(), index: BIG, applied_by });
    let identity = sample::record().identity;
    let ban = Ban {
        member,
        name,
        identity,
        since_ms: BIG,
        until_ms: None,
        reason,
        kind: BanKind::Exclusion,
        reporters: vec![MemberId(BIG)],
        misconduct: vec![Misconduct::Forges],
    };
    let value = document(Bans { bans: vec![ban], applied: BIG });
    assert_eq!(value["bans"][0]["kind"], "exclusion");
    assert_eq!(value["bans"][0]["misconduct"], json!(["forges"]));
    assert_eq!(value["bans"][0]["identity"], identity.to_string());
    assert_eq!(value["bans"][0]["reason"], "why");

    let member = "h1".to_owned();
    let reason = "why".parse().ok();
    request(&BanRequest { member: member.clone(), for_s: Some(1), reason, wait_ms: Some(1) });
    request(&UnbanRequest { member: member.clone(), wait_ms: None });
    request(&RemoveRequest { member, wait_ms: None });
}

#[test]
fn requests_survive_and_refuse_a_field_nobody_knows() {
    request(&InitRequest {
        mesh_name: Some(sample::name("office")),
        name: None,
        ipv4_prefix: Some("10.0.0.0/24".parse().expect("a prefix")),
    });
    request(&InviteRequest {
        uses: Some(3),
        lifetime_s: Some(BIG),
        range: "100.88.7.0/24".parse().ok(),
        voter: true,
        endpoints: vec![sample::endpoint("192.0.2.1:1")],
        tags: sample::tags(),
    });
    for (wanted, what) in [
        (
            Wanted::Invite {
                key: sample::identity().public(),
                uses: 3,
                lifetime_s: BIG,
                range: "100.88.7.0/24".parse().ok(),
                voter: true,
                tags: sample::tags(),
            },
            "invite",
        ),
        (
            Wanted::Tag {
                member: "h1".to_owned(),
                add: sample::tags(),
                remove: Default::default(),
            },
            "tag",
        ),
        (Wanted::Policy { rules: Vec::new() }, "policy"),
    ] {
        let value = request(&DraftRequest { wanted, sign: false });
        assert_eq!(value["wanted"]["what"], what);
    }
    request(&JoinRequest { token: "mesh1-x".to_owned(), name: Some(sample::name("h1")) });
    request(&LeaveRequest { force: true });
    request(&ResyncRequest { from_index: Some(BIG) });
    request(&SyncFromRequest { members: vec!["h1".to_owned(), "m7".to_owned()] });
    request(&VoterTargetRequest { target: Some(7) });
    request(&VoterWishRequest { member: "h1".to_owned(), wish: VoterWish::Always });
    let rule = PolicyRule {
        from: vec!["any".to_owned()],
        to: vec!["tag:web".to_owned()],
        protocol: Protocol::Tcp,
        ports: vec!["8000-8999".to_owned()],
    };
    request(&PolicyRequest { rules: vec![rule.clone()], wait_ms: Some(BIG) });
    request(&PolicyPreviewRequest { rules: vec![rule] });
    let (from, to) = ("h1".to_owned(), "m7".to_owned());
    request(&PolicyTestRequest { from, to, protocol: Protocol::Udp, port: Some(53) });
    let (add, remove) = (sample::tags(), sample::tags());
    request(&TagRequest { member: "h1".to_owned(), add, remove, wait_ms: None });
    request(&TransferRequest { to: Some("h1".to_owned()) });
    request(&PingRequest { target: "h1".to_owned(), family: Family::V4, timeout_ms: BIG });
    for (wait_for, text) in [
        (WaitFor::Ready, json!("ready")),
        (WaitFor::Leader, json!("leader")),
        (WaitFor::Applied(BIG), json!({"applied": BIG})),
    ] {
        let value = request(&WaitRequest { wait_for, timeout_ms: 30_000 });
        assert_eq!(value["for"], text);
    }
}

#[test]
fn what_a_request_leaves_out_has_a_default() {
    let empty = || json!({});
    assert_eq!(serde_json::from_value::<InitRequest>(empty()).ok(), Some(InitRequest::default()));
    assert_eq!(
        serde_json::from_value::<InviteRequest>(empty()).ok(),
        Some(InviteRequest::default())
    );
    assert_eq!(serde_json::from_value::<LeaveRequest>(empty()).ok(), Some(LeaveRequest::default()));
    let ping: PingRequest =
        serde_json::from_value(json!({"target": "h1", "timeout_ms": 5})).expect("enough");
    assert_eq!(ping.family, Family::V6);
}

#[test]
fn a_request_with_a_bad_value_names_it() {
    let error = |value| serde_json::from_value::<InitRequest>(value).expect_err("bad").to_string();
    assert!(error(json!({"name": "No Name"})).contains("`No Name` cannot be a name"));
    assert!(error(json!({"ipv4_prefix": "10.0.0.0/33"})).contains("invalid"));
}

#[test]
fn errors_have_stable_codes_and_hide_an_empty_hint() {
    let document = |hint: &str| ErrorDocument {
        error: ErrorBody {
            code: ErrorCode::NoQuorum,
            message: "no supervisor".to_owned(),
            hint: hint.to_owned(),
            missing: Vec::new(),
        },
    };
    let bare = serde_json::to_value(document("")).expect("plain data");
    assert_eq!(bare, json!({"error": {"code": "no_quorum", "message": "no supervisor"}}));
    for hint in ["", "wait"] {
        let value = serde_json::to_value(document(hint)).expect("plain data");
        assert_eq!(serde_json::from_value::<ErrorDocument>(value).ok(), Some(document(hint)));
    }
    let codes = [
        (ErrorCode::BadRequest, "bad_request"),
        (ErrorCode::NotPermitted, "not_permitted"),
        (ErrorCode::NotJoined, "not_joined"),
        (ErrorCode::AlreadyJoined, "already_joined"),
        (ErrorCode::UnknownMember, "unknown_member"),
        (ErrorCode::Refused, "refused"),
        (ErrorCode::NotAdmin, "not_admin"),
        (ErrorCode::NoQuorum, "no_quorum"),
        (ErrorCode::TimedOut, "timed_out"),
        (ErrorCode::Unreachable, "unreachable"),
        (ErrorCode::Disk, "disk"),
        (ErrorCode::Internal, "internal"),
    ];
    for (code, text) in codes {
        assert_eq!(serde_json::to_value(code).ok(), Some(json!(text)));
    }
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let request = JoinRequest { token: "mesh1-secret".to_owned(), name: None };
    let reply = InviteReply {
        invite: sample::invite().id,
        token: "mesh1-secret".to_owned(),
        uses: 1,
        expires_ms: 1,
    };
    assert!(!format!("{request:?} {reply:?}").contains("secret"));
}
