//! Golden vectors of what goes into the log and into snapshots. A test here that fails means that
//! members of this version and the one before would not read each other's logs, or would disagree
//! about the state's hash: a new version number, not a new vector.

mod fixture;

use std::fmt::{Debug, Write as _};

use fixture::{BORN_MS, Host, Log, Mesh, after, ban, rule, tagged};
use mesh_control::command::{
    AdminRefusal, Command, ExclusionRefusal, InviteField, Outcome, Proposal, Refusal, RekeyRefusal,
};
use mesh_control::state::State;
use mesh_model::access::{Protocol, Selector};
use mesh_model::codec::{self, Message};
use mesh_model::trust::{
    AccessBound, AdminChange, AdminStep, AdminsHead, Ruling, VoterTarget, Wish,
};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{AdminId, Cosigned, InviteId, MemberId, OverlayAddrs};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

#[track_caller]
fn check<M: Message + PartialEq + Debug>(message: &M, golden: &str) {
    let bytes = codec::encode(message);
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(hex(&bytes), golden, "the encoding of a {} changed", M::NAME);
    assert_eq!(codec::decode::<M>(&bytes).as_ref(), Ok(message));
    for len in 0..bytes.len() {
        assert!(codec::decode::<M>(&bytes[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn proposals() {
    let mesh = Mesh::new(1);
    let ticket = mesh.invite(1, 3);
    check::<Proposal>(
        &after(1, ticket.add()),
        "
        01fd01505c18a3010000005701dcdf9834798de5fbc50542ae6e4ca0b35ae0fcd471ee8c4ebe16970d0d24a5
        cfed126ce69fb0d2ad6d70753ff6c05f70813592b324c506963b8b708c369b87f603fd00505c18a3010000fd
        c0776518a3010000000000eb85676a6561df1667ffe0ed51df3ea38267bde04531d2b8b09e5f29a8d4909f7e
        ce209006620eb8b4da88375ea3b48ce8de52aaa5acf1d6ca8757a6bc15ec0f
    ",
    );
    check::<Proposal>(
        &after(2, ticket.admit(&Host::new(1))),
        "
        01fd02505c18a3010000015ae0fcd471ee8c4ebe16970d0d24a5cf5401dcdf9834798de5fbc50542ae6e4ca0
         b30268315b5d6f7a4becbff2940e7ca65fe0854e74451eeb02ff72c2c23eade5702280733ddae709246e7bd4
         317a99062d3bf18ea9c00f9021fc32cfc704ac23bda80b4062a605c8c12368b291bf49b8db9cc505705e4823
         c0ea2633c6e3a3c8d15ee5522c9b5fe42f6c5e51dd472b53c317c00e3b49d9f502f6907ead67ac34c30dc609
         4ca74b4d2adc70cda30a980a0ce91f9389ad033a0728fd51db65d84b0daa83662571f18f91df764f60ebce17
         87b7605fb811d8d64d6881b3e19aafd8635a1d0a
    ",
    );
    check::<Proposal>(
        &after(3, Host::new(1).depart(mesh.id(), MemberId(3))),
        "
        01fd03505c18a301000002031201dcdf9834798de5fbc50542ae6e4ca0b303c4dc59003f7f1a136b43f0aca6
         d49b6b261fdbe612c69bd280d1d73df21e10bd54cd921bedea42180e5ae937072fcec9f06db78fdbccbcc8eb
         782f1edf6b9601
    ",
    );
    let reason = Some("why".parse().expect("a reason"));
    let ruling = Ruling::Banned { until_ms: Some(BORN_MS + 9), reason };
    check::<Proposal>(
        &after(4, mesh.judge((MemberId(3), &Host::new(1)), 7, ruling)),
        "
        01fd04505c18a3010000034301dcdf9834798de5fbc50542ae6e4ca0b3035b5d6f7a4becbff2940e7ca65fe0
         854e74451eeb02ff72c2c23eade570228073070001fd09505c18a301000001037768795061e384f1b6652d35
         de0b88dae1ed1ad787b675a6dbb855caa4128059fc781cb7bca5faffc7ce6556fed4f90ad0ed59d04d71328e
         34013e6d47ecaeeaf8c009
    ",
    );
    check::<Proposal>(
        &after(6, Command::Revoke(mesh.revoke(&ticket))),
        "
        01fd06505c18a3010000062101dcdf9834798de5fbc50542ae6e4ca0b35ae0fcd471ee8c4ebe16970d0d24a5
         cf2985c2c65c95aa656cb5bbe599c49da19464cd113610f7f46ed62da88109c852aa09ae4b4bfb8b6fce0545
         78cc2bbf932e181d8c02ca88519933c6aecda83103
    ",
    );
    check::<Proposal>(&after(5, Command::Lapse(MemberId(3))), "01fd05505c18a30100000403");
    let wishes = [(MemberId(3), Wish::Always), (MemberId(300), Wish::Never)];
    check::<Proposal>(
        &after(4, Command::SetVoters(mesh.policy(7, Some(VoterTarget::Five), &wishes))),
        "
        01fd04505c18a3010000051b01dcdf9834798de5fbc50542ae6e4ca0b3070102020300fb2c010144c4b0f5e3
         e3773856c2cda61c78b2bca4633e682b9b208d16ffc099a19aa30c2279a14e436ef57439e8095f2177be4145
         6287faa3bbb37b8b3a99e254fb6800
    ",
    );
}

#[test]
fn a_change_of_admins() {
    let mesh = Mesh::new(1);
    let key = Host::new(1).identity.public();
    let step = AdminStep::Add { name: fixture::name("alice"), key };
    let before = AdminsHead::of_root(&mesh.root.key);
    let change = AdminChange { mesh: mesh.id(), serial: 1, before, step };
    let mut change = Cosigned::new(&change);
    assert!(change.sign(&mesh.root_secret) && change.sign(&Host::new(1).identity));
    check::<Proposal>(
        &after(4, Command::ChangeAdmins(change)),
        "
        01fd04505c18a3010000075901dcdf9834798de5fbc50542ae6e4ca0b301bedc4bfb30300c4310f7a525c72d
        8e5f3189c95534d396db7c1901b87a7f68bf0005616c6963655b5d6f7a4becbff2940e7ca65fe0854e74451e
        eb02ff72c2c23eade570228073025b5d6f7a4becbff2940e7ca65fe0854e74451eeb02ff72c2c23eade57022
        80736dd862e64cb09348f61a97794c0f83e85f59215f789beb6754b8e4c25011f41ff2861757af3dd455f819
        18df9667b33c2da6e4777f44458a6570e5c95b2d0b06ebfd92b357e40c66748fbb8a9501e4bb920d592bd901
        05a39a90cb832f21351041e1b8f3f40fe40234db7c1c843c17f0fc913c2a8ef1e9cbeb10be191f57b650b26d
        80b75b1395b3d63bf3fc4ec38d2be31d257011febb29980999bace66160a
    ",
    );
}

#[test]
fn proposals_about_who_may_reach_whom() {
    let mesh = Mesh::new(1);
    let tagging = mesh.tagging((MemberId(3), &Host::new(1)), 7, &["web", "eu"]);
    check::<Proposal>(
        &after(7, Command::Tag(tagging)),
        "
         01fd07505c18a3010000084301dcdf9834798de5fbc50542ae6e4ca0b3035b5d6f7a4becbff2940e7ca65fe0
         854e74451eeb02ff72c2c23eade5702280730702067461673a6575077461673a776562c4fd8c15d445b0021f
         4f2bb8534d3d345e9c8a327e39e061e48fbfe73d32c48ee61fa808ca0b73702b368693ed709f8254b6bdc6bf
         feb353c07a7fa899313b04",
    );
    let to = [tagged("web"), Selector::Member(MemberId(300))];
    let rules = vec![rule(&[Selector::Any], &to, Protocol::Tcp, &["22", "8000-8999"])];
    check::<Proposal>(
        &after(8, Command::SetAccess(mesh.access(7, rules))),
        "
         01fd08505c18a3010000092d01dcdf9834798de5fbc50542ae6e4ca0b3070101000202077461673a77656201
         fb2c0101021616fb401ffb2723cad8da2adb58ebbe2dff9d3815254e84c8bb318d0f3dca9dcd8912846c639d
         be09191cee950bd996b08f96b14a0268b36410c139800bd4ed423393be888ea703",
    );
}

#[test]
fn proposals_to_exclude_a_member() {
    let mesh = Mesh::new(1);
    let subject = (MemberId(4), &Host::new(2));
    let reports = vec![
        mesh.report((MemberId(1), &mesh.founder), subject, 1),
        mesh.report((MemberId(3), &Host::new(1)), subject, 2),
    ];
    check::<Proposal>(
        &after(9, Command::Exclude { subject: MemberId(4), reports }),
        "
         01fd09505c18a30100000a04023e01dcdf9834798de5fbc50542ae6e4ca0b301042caf40c5d06af0e9da659e
         0c4c6222c3f85fef6b79b8423e9f8b01d4d37a80520100fd01505c18a30100001c94772ed07441f9214e05ea
         795fbdced471c410cfcf13074a275b994f9ae698168d8cce93823bf55bc332d6450927f3ff115704529cc35c
         d59d1f143c83a5053e01dcdf9834798de5fbc50542ae6e4ca0b303042caf40c5d06af0e9da659e0c4c6222c3
         f85fef6b79b8423e9f8b01d4d37a80520100fd02505c18a3010000d68c22d31a83fe01a1def574295b3f1369
         8a64f59ccea402f4a7d4d57cf8b0e5d7319e9d5e68283a913456c3f6d662ceaa4512b731314315820f9fb239
         baec02",
    );
}

#[test]
fn a_change_of_a_key() {
    let (mesh, host) = (Mesh::new(1), Host::new(1));
    let keys = (&host.tunnel, &Host::new(101).tunnel);
    check::<Proposal>(
        &after(9, Command::Rekey(host.rekey(mesh.id(), MemberId(3), 1, keys))),
        "
         01fd09505c18a30100000b5301dcdf9834798de5fbc50542ae6e4ca0b303013ddae709246e7bd4317a99062d
         3bf18ea9c00f9021fc32cfc704ac23bda80b40c060ecfb8562648716c5b8933053e27e931ab985b709355ea1
         44a2ff44d80f0ad5af98a1740c32287a65f44060ed20dc7c89dbd1f01a9b9e4cc9469f9ae3309f3f72609375
         bda5873fc796af14ebfb875f36762d4882b40184b039e6220fb201",
    );
    for (refusal, golden) in [
        (RekeyRefusal::Stale { member: MemberId(3), serial: 9 }, "010316000309"),
        (RekeyRefusal::OtherKey(MemberId(3)), "0103160103"),
        (RekeyRefusal::KeyUsed, "01031602"),
        (RekeyRefusal::Degenerate, "01031603"),
        (RekeyRefusal::Banned(MemberId(3)), "0103160403"),
        (RekeyRefusal::TooOften(MemberId(3)), "0103160503"),
    ] {
        check(&Outcome::Refused(refusal.into()), golden);
    }
}

#[test]
fn outcomes() {
    let addrs =
        OverlayAddrs { v4: [100, 88, 0, 2].into(), v6: "fd00::3".parse().expect("an address") };
    check(&Outcome::InviteAdded(InviteId([7; 16])), "010007070707070707070707070707070707");
    check(
        &Outcome::Admitted { member: MemberId(3), addrs },
        "01010364580002fd000000000000000000000000000003",
    );
    check(&Outcome::Departed(MemberId(3)), "010203");
    check(&Outcome::Judged(MemberId(3)), "010403");
    check(&Outcome::Lapsed(MemberId(3)), "010503");
    check(&Outcome::VotersSet(7), "010607");
    check(&Outcome::InviteRevoked(InviteId([7; 16])), "010707070707070707070707070707070707");
    check(&Outcome::Tagged(MemberId(3)), "010903");
    check(&Outcome::AccessSet(7), "010a07");
    check(&Outcome::Rekeyed(MemberId(3)), "010c03");
    check(&Outcome::AdminsChanged(7), "010807");
    check(&Outcome::Excluded(MemberId(3)), "010b03");
}

#[test]
fn refusals() {
    let mesh = Mesh::new(1);
    let refusals = [
        Refusal::Join(JoinRefusal::Used),
        Refusal::Chain("why".to_owned()),
        Refusal::InviteBounds(InviteField::Uses),
        Refusal::InviteBounds(InviteField::Lifetime),
        Refusal::InviteBounds(InviteField::Range),
        Refusal::InviteExpired,
        Refusal::InviteExists,
        Refusal::TooManyInvites(11_000),
        Refusal::UnknownMember(MemberId(77)),
        Refusal::IndexReused(5),
        Refusal::Overruled { member: MemberId(3), serial: 9 },
        Refusal::OtherIdentity(MemberId(3)),
        Refusal::NotBanned(MemberId(3)),
        Refusal::StillBanned(MemberId(3)),
        Refusal::Join(JoinRefusal::Banned),
        Refusal::StalePolicy(5),
        Refusal::TooManyWishes(257),
        AdminRefusal::Stale(3).into(),
        AdminRefusal::NoAdmin(mesh.root.key).into(),
        AdminRefusal::TooFewSignatures { have: 1, needed: 2 }.into(),
        AdminRefusal::TooMany.into(),
        AdminRefusal::TooManyChanges.into(),
        AdminRefusal::KeyUsed.into(),
        AdminRefusal::NameTaken(fixture::name("alice")).into(),
        AdminRefusal::Unknown(AdminId(3)).into(),
        AdminRefusal::LastAdmin.into(),
        AdminRefusal::BelowThreshold(2).into(),
        AdminRefusal::Threshold { wanted: 3, admins: 2 }.into(),
    ];
    let refused = refusals.map(|refusal| hex(&codec::encode(&Outcome::Refused(refusal))));
    assert_eq!(
        refused,
        [
            "01030001",
            "01030103776879",
            "01030200",
            "01030201",
            "01030202",
            "010303",
            "010304",
            "010305fbf82a",
            "0103064d",
            "01030705",
            "0103080309",
            "01030903",
            "01030a03",
            "01030b03",
            "0103000b",
            "01030c05",
            "01030dfb0101",
            "01030f0003",
            "01030f01ebfd92b357e40c66748fbb8a9501e4bb920d592bd90105a39a90cb832f213510",
            "01030f020102",
            "01030f03",
            "01030f04",
            "01030f05",
            "01030f0605616c696365",
            "01030f0703",
            "01030f08",
            "01030f0902",
            "01030f0a0302"
        ]
    );
}

#[test]
fn refusals_about_who_may_reach_whom() {
    for (refusal, golden) in [
        (Refusal::StaleTags { member: MemberId(3), serial: 9 }, "0103100309"),
        (Refusal::TooManyTags(9), "01031109"),
        (Refusal::StaleAccess(5), "01031205"),
        (Refusal::AccessBounds(AccessBound::Rules), "01031300"),
        (Refusal::AccessBounds(AccessBound::Terms), "01031301"),
        (Refusal::AccessBounds(AccessBound::Ports), "01031302"),
    ] {
        check(&Outcome::Refused(refusal), golden);
    }
}

#[test]
fn refusals_about_exclusions() {
    for (refusal, golden) in [
        (ExclusionRefusal::NoReporter(MemberId(3)), "0103150003"),
        (ExclusionRefusal::OfItself(MemberId(3)), "0103150103"),
        (ExclusionRefusal::NotFresh(MemberId(3)), "0103150203"),
        (ExclusionRefusal::BeforeRuling(MemberId(3)), "0103150303"),
        (ExclusionRefusal::OtherSubject(MemberId(3)), "0103150403"),
        (ExclusionRefusal::OutOfOrder(MemberId(3)), "0103150503"),
        (ExclusionRefusal::SameLineage(MemberId(3)), "0103150603"),
        (ExclusionRefusal::TooFewReports { have: 2, needed: 3 }, "010315070203"),
        (ExclusionRefusal::TooManyReports(33), "0103150821"),
        (ExclusionRefusal::IsOut(MemberId(3)), "0103150903"),
        (ExclusionRefusal::Pause(MemberId(3)), "0103150a03"),
        (ExclusionRefusal::TooManyAtOnce, "0103150b"),
        (ExclusionRefusal::TooManyLately, "0103150c"),
    ] {
        check(&Outcome::Refused(refusal.into()), golden);
    }
}

/// The hash covers every byte of the encoding, so it stands for it.
#[test]
fn states() {
    let mesh = Mesh::new(1);
    assert_eq!(
        mesh.state().hash().to_string(),
        "83d24a23812765af2dd4d811906e7ad7349f546ed0b75b460c5636e7f145015a"
    );
    let ticket = mesh.invite(1, 3);
    let mut log = Log::of(&mesh);
    log.apply(1, ticket.add());
    log.admit(&ticket, &Host::new(1));
    log.admit(&ticket, &Host::new(2));
    log.apply(9, Host::new(1).depart(mesh.id(), MemberId(3)));
    log.apply(10, mesh.judge((MemberId(4), &Host::new(2)), 7, ban(None)));
    let before = AdminsHead::of_root(&mesh.root.key);
    let step = AdminStep::Threshold(1);
    let mut change = Cosigned::new(&AdminChange { mesh: mesh.id(), serial: 1, before, step });
    assert!(change.sign(&mesh.root_secret));
    log.apply(11, Command::ChangeAdmins(change));
    log.apply(11, Command::Tag(mesh.tagging((MemberId(4), &Host::new(2)), 1, &["web"])));
    log.apply(12, Command::SetAccess(mesh.access(1, vec![])));
    let keys = (&mesh.founder.tunnel, &Host::new(100).tunnel);
    log.apply(13, Command::Rekey(mesh.founder.rekey(mesh.id(), MemberId::FOUNDER, 1, keys)));
    assert_eq!(
        log.state.hash().to_string(),
        "e2495bc7345e5a8cd9b7d8af7c1d7524c6863c0b87d4a0ca23c002c45e65a20c"
    );
    assert_eq!(
        log.state.audit().head().to_string(),
        "b0322065a12fda2fa4fdbe3d824ca9fa6b2b44c07026a74b4f66dbcb536a7096"
    );
    assert_eq!(codec::encode(&log.state).len(), 2150);
    let epoch = log.state.next_epoch(log.next - 1, MemberId(1), BORN_MS, None);
    let mut begun = Cosigned::new(&epoch);
    assert!(begun.sign(&mesh.root_secret));
    log.state.begin_epoch(log.next - 1, &begun).expect("the root's word");
    assert_eq!(
        log.state.hash().to_string(),
        "ecc45cf086a18a9808f7d24ba970decdf7bf14f61b7fd00e0ccc167794b0d32a"
    );
    assert_eq!(
        log.state.audit().head().to_string(),
        "8bd2b6499677dc6cf98ff1197cb2863245e08c0e127ad8c86fd5760dbcb0baf7"
    );
}

#[test]
fn a_state_with_an_exclusion() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let mut members = vec![(MemberId::FOUNDER, mesh.founder.clone())];
    for number in 1..4 {
        let ticket = mesh.invite(number, 1);
        log.apply(1, ticket.add());
        members.push((log.admit(&ticket, &Host::new(number)).0, Host::new(number)));
    }
    let (subject, about) = members.pop().expect("four");
    let said = |(id, host): &(MemberId, Host)| mesh.report((*id, host), (subject, &about), 2);
    let reports = members.iter().map(said).collect();
    let outcome = log.apply(2, Command::Exclude { subject, reports });
    assert_eq!(outcome, Outcome::Excluded(subject));
    assert_eq!(
        log.state.hash().to_string(),
        "793272f9f11b58f48a943aad7c0262e08156d6391d8ff3e368ca8a3828919b83"
    );
    assert_eq!(codec::encode(&log.state).len(), 2558);
}

/// Two states that differ in anything at all have different hashes.
#[test]
fn a_hash_notices_everything() {
    let mesh = Mesh::new(1);
    let ticket = mesh.invite(1, 3);
    let mut hashes = vec![Mesh::new(2).state().hash()];
    let mut log = Log::of(&mesh);
    let mut note = |state: &State| hashes.push(state.hash());
    note(&log.state);
    log.apply(1, ticket.add());
    note(&log.state);
    log.admit(&ticket, &Host::new(1));
    note(&log.state);
    let mut other = log.state.clone();
    other.apply(90, &after(1, Host::new(1).depart(mesh.id(), MemberId(3))));
    note(&other);
    let mut later = log.state.clone();
    later.apply(90, &after(2, Host::new(1).depart(mesh.id(), MemberId(3))));
    note(&later);
    let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len());
}
