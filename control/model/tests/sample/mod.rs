//! One value of every message, made from fixed seeds.
#![allow(dead_code, reason = "each test binary compiles this module and uses a part of it")]

use std::collections::BTreeSet;
use std::net::SocketAddr;

use mesh_model::access::{Protocol, Rule, Selector};
use mesh_model::addr::DEFAULT_IPV4_PREFIX;
use mesh_model::audit::{Actor, Beginning, Entry, Event, Link};
use mesh_model::backup::Backup;
use mesh_model::facts::{Capability, Facts};
use mesh_model::snapshot::{SnapshotHead, SnapshotHeader};
use mesh_model::trust::{
    AccessPolicy, AdminChange, AdminStep, AdminsHead, Admission, Bootstrap, Departure, EPOCH_LEAP,
    Epoch, EpochHead, Genesis, Invite, MemberRecord, MeshRoot, Misconduct, Name, Rekey, Report,
    Revocation, Ruling, Tag, Tagging, Token, Verdict, VoterPolicy, VoterTarget, Wish,
};
use mesh_model::view::StateHash;
use mesh_model::wire::join::{JoinRefusal, JoinReply, JoinRequest, PeerHint, Welcome};
use mesh_model::wire::sync::{Checkpoint, ElectorateHash, Lead, LogHash, Place};
use mesh_model::{
    AdminId, Cosigned, IdentitySecret, InviteId, MemberId, MeshId, Prefixes, Signed, TunnelSecret,
};

pub(crate) const BORN_MS: u64 = 1_800_000_000_000;

pub(crate) fn root_secret() -> IdentitySecret {
    IdentitySecret::from_seed([1; 32])
}

pub(crate) fn identity() -> IdentitySecret {
    IdentitySecret::from_seed([2; 32])
}

pub(crate) fn invite_secret() -> IdentitySecret {
    IdentitySecret::from_seed([3; 32])
}

pub(crate) fn root() -> MeshRoot {
    MeshRoot::of(root_secret().public())
}

pub(crate) fn mesh() -> MeshId {
    root().mesh
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(crate) fn record() -> MemberRecord {
    MemberRecord {
        mesh: mesh(),
        name: name("edge-07"),
        identity: identity().public(),
        tunnel: TunnelSecret::from_bytes([4; 32]).public(),
    }
}

pub(crate) fn invite() -> Invite {
    let key = invite_secret().public();
    Invite {
        mesh: mesh(),
        id: InviteId::of_key(&key),
        key,
        uses: 300,
        created_ms: BORN_MS,
        expires_ms: BORN_MS + 600_000,
        tags: tags(),
        range: None,
        voter: false,
    }
}

/// Two tags.
pub(crate) fn tags() -> BTreeSet<Tag> {
    ["web", "tag:eu"].into_iter().map(|text| text.parse().expect("a tag")).collect()
}

pub(crate) fn tagging() -> Tagging {
    let identity = identity().public();
    Tagging { mesh: mesh(), member: MemberId(70_000), identity, serial: 3, tags: tags() }
}

pub(crate) fn voter_policy() -> VoterPolicy {
    let wishes = [(MemberId(7), Wish::Always), (MemberId(70_000), Wish::Never)].into();
    VoterPolicy { mesh: mesh(), serial: 3, target: Some(VoterTarget::Five), wishes }
}

pub(crate) fn access() -> AccessPolicy {
    let web = Selector::Tag("web".parse().expect("a tag"));
    let ports = ["22", "8000-8999"].map(|text| text.parse().expect("ports")).to_vec();
    let rules = vec![
        Rule {
            from: vec![Selector::Any],
            to: vec![web, Selector::Member(MemberId(300))],
            protocol: Protocol::Tcp,
            ports,
        },
        Rule { from: vec![], to: vec![], protocol: Protocol::Icmp, ports: vec![] },
    ];
    AccessPolicy { mesh: mesh(), serial: 3, rules }
}

pub(crate) fn admission() -> Admission {
    Admission::sign(&record(), invite().id, &invite_secret(), &identity())
}

pub(crate) fn genesis() -> Genesis {
    Genesis {
        root: root(),
        name: name("office"),
        prefixes: Prefixes::for_mesh(mesh(), DEFAULT_IPV4_PREFIX).expect("usable"),
        founder: record(),
        created_ms: BORN_MS,
    }
}

pub(crate) fn departure() -> Departure {
    Departure { mesh: mesh(), member: MemberId(70_000) }
}

pub(crate) fn report() -> Report {
    Report {
        mesh: mesh(),
        reporter: MemberId(7),
        subject: MemberId(70_000),
        identity: identity().public(),
        misconduct: Misconduct::Floods,
        reason: "floods its neighbours".parse().ok(),
        made_ms: BORN_MS,
    }
}

pub(crate) fn rekey() -> Rekey {
    let key = |n| TunnelSecret::from_bytes([n; 32]).public();
    let (before, tunnel) = (record().tunnel, key(9));
    Rekey { mesh: mesh(), member: MemberId(70_000), serial: 3, before, tunnel }
}

pub(crate) fn verdict() -> Verdict {
    let reason = "floods its neighbours".parse().ok();
    Verdict {
        mesh: mesh(),
        member: MemberId(70_000),
        identity: identity().public(),
        serial: BORN_MS,
        ruling: Ruling::Banned { until_ms: Some(BORN_MS + 60_000), reason },
    }
}

pub(crate) fn admin_change() -> AdminChange {
    let step = AdminStep::Add { name: name("alice"), key: identity().public() };
    AdminChange { mesh: mesh(), serial: 3, before: AdminsHead::of_root(&root().key), step }
}

pub(crate) fn revocation() -> Revocation {
    Revocation { mesh: mesh(), invite: invite().id }
}

pub(crate) fn facts() -> Facts {
    Facts {
        mesh: mesh(),
        member: MemberId(7),
        boot_ms: BORN_MS,
        revision: 3,
        version: "0.1.0".to_owned(),
        reads: mesh_model::Edition::FIRST,
        capabilities: vec![Capability::KernelTun, Capability::Admin],
        applied: 251,
        endpoints: vec![endpoint("192.0.2.1:51820"), endpoint("[2001:db8::1]:51820")],
    }
}

pub(crate) fn endpoint(text: &str) -> SocketAddr {
    text.parse().expect("an endpoint")
}

pub(crate) fn join_request() -> JoinRequest {
    JoinRequest { admission: admission() }
}

pub(crate) fn welcome() -> JoinReply {
    JoinReply::Welcome(Box::new(Welcome {
        member: MemberId(9),
        genesis: Signed::seal(&genesis(), &root_secret()),
        snapshot: vec![0xca, 0xfe],
        peers: vec![
            PeerHint {
                member: MemberId(7),
                endpoint: Some(endpoint("192.0.2.1:51820")),
                facts: Some(Signed::seal(&facts(), &identity())),
            },
            PeerHint { member: MemberId(1), endpoint: None, facts: None },
        ],
        answered_by: MemberId(1),
    }))
}

pub(crate) fn refusals() -> [JoinRefusal; 12] {
    [
        JoinRefusal::UnknownInvite,
        JoinRefusal::Used,
        JoinRefusal::Expired,
        JoinRefusal::Revoked,
        JoinRefusal::Chain("why".to_owned()),
        JoinRefusal::NameTaken("h1".to_owned()),
        JoinRefusal::KeyTaken,
        JoinRefusal::Departed,
        JoinRefusal::AddressesExhausted("10.0.0.0/30".to_owned()),
        JoinRefusal::Full(10_000),
        JoinRefusal::AlreadyVotes,
        JoinRefusal::Banned,
    ]
}

pub(crate) fn bootstrap(text: &str) -> Bootstrap {
    Bootstrap { endpoint: endpoint(text), identity: identity().public() }
}

pub(crate) fn token() -> Token {
    Token {
        root: root(),
        admin: root().key,
        admins: AdminsHead::of_root(&root().key),
        invite: Signed::seal(&invite(), &root_secret()),
        secret: invite_secret(),
        bootstraps: vec![bootstrap("192.0.2.1:51820"), bootstrap("[2001:db8::1]:51820")],
    }
}

/// A new epoch, signed by the root and by the member.
pub(crate) fn epoch() -> Cosigned<Epoch> {
    let epoch = Epoch {
        mesh: root().mesh,
        number: 1,
        before: EpochHead::of_genesis(&Signed::seal(&genesis(), &root_secret())),
        from: 300,
        state: StateHash([0xa5; 32]),
        first: 300 + EPOCH_LEAP,
        voter: MemberId(7),
        at_ms: BORN_MS,
        reason: "the other two burnt down".parse().ok(),
    };
    let mut begun = Cosigned::new(&epoch);
    assert!(begun.sign(&root_secret()) && begun.sign(&identity()));
    begun
}

pub(crate) fn beginning() -> Beginning {
    Beginning(Signed::seal(&genesis(), &root_secret()))
}

/// One entry of each kind, chained from the beginning.
pub(crate) fn trail() -> Vec<Link> {
    let member = MemberId(300);
    let Invite { id: invite, uses, expires_ms, .. } = invite();
    let admin = AdminId(3);
    let decisions = [
        (Actor::Root, Event::InviteAdded { invite, uses, expires_ms }),
        (Actor::Joiner { invite, member }, Event::Admitted { member, name: name("edge-07") }),
        (Actor::Member { member }, Event::Departed { member }),
        (
            Actor::Root,
            Event::Banned { member, until_ms: Some(BORN_MS), reason: "why".parse().ok() },
        ),
        (Actor::Root, Event::Pardoned { member }),
        (Actor::Root, Event::Removed { member }),
        (Actor::Time, Event::BanLapsed { member }),
        (Actor::Root, Event::VotersSet { serial: 7 }),
        (Actor::Root, Event::InviteRevoked { invite }),
        (Actor::Root, Event::AdminAdded { admin, name: name("alice"), key: identity().public() }),
        (
            Actor::admins(vec![AdminId::ROOT, admin]),
            Event::AdminRemoved { admin, invites_revoked: true },
        ),
        (Actor::admin(admin), Event::AdminThreshold { threshold: 2 }),
        (Actor::Root, Event::Tagged { member, serial: 2, tags: tags().into_iter().collect() }),
        (Actor::Root, Event::AccessSet { serial: 3, rules: 2 }),
        (
            Actor::admins(vec![AdminId::ROOT, admin]),
            Event::EpochBegan { number: 1, from: 300, voter: member, reason: "why".parse().ok() },
        ),
        (
            Actor::Members { members: vec![MemberId::FOUNDER, MemberId(7)] },
            Event::Excluded {
                member,
                until_ms: BORN_MS,
                lineages: 3,
                misconduct: vec![Misconduct::Floods, Misconduct::Diverges],
            },
        ),
        (Actor::Member { member }, Event::Rekeyed { member, serial: 3, key: rekey().tunnel }),
    ];
    let mut head = beginning().hash();
    let mut link = |(at, (by, event))| {
        let entry = Entry {
            index: [2, 300].get(at).copied().unwrap_or(69_998 + at as u64),
            at_ms: BORN_MS,
            by,
            event,
        };
        let link = Link::new(head, entry);
        head = link.hash;
        link
    };
    decisions.into_iter().enumerate().map(&mut link).collect()
}

pub(crate) fn snapshot_header() -> SnapshotHeader {
    SnapshotHeader {
        root: root(),
        mesh_name: name("home"),
        index: 300,
        term: 7,
        state_hash: StateHash([0xa5; 32]),
        agreed_ms: BORN_MS + 1,
        members: 3,
        voters: [MemberId(1), MemberId(5), MemberId(9)].into(),
        state_len: 70_000,
        payload_len: 3,
    }
}

pub(crate) fn snapshot_head() -> SnapshotHead {
    let words = vec![Signed::seal(&checkpoint(), &identity())];
    SnapshotHead { header: snapshot_header(), words }
}

pub(crate) fn backup() -> Backup {
    Backup {
        made_ms: BORN_MS,
        root: root(),
        member: MemberId(7),
        name: name("edge-07"),
        identity: [5; 32],
        tunnel: [6; 32],
        other_tunnel: Some([7; 32]),
        config: Some("mtu = 1400\n".to_owned()),
        snapshot: b"abc".to_vec(),
    }
}

pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint {
        mesh: mesh(),
        member: MemberId(7),
        at: Place { term: 3, index: 300 },
        log: LogHash([4; 32]),
        state: StateHash([5; 32]),
        electorate: ElectorateHash([6; 32]),
        encoding: 2,
        lead: Lead { term: 4, leader: MemberId(1) },
    }
}
