//! Who is let in and who is not.

mod fixture;

use fixture::forge::forged;
use fixture::{BORN_MS, Host, LIFETIME_MS, Log, Mesh, Purpose, Ticket, degenerate, seed};
use mesh_control::command::{Command, InviteField, Outcome, Refusal};
use mesh_control::state::State;
use mesh_model::trust::{
    Admission, ChainError, Genesis, Invite, MAX_INVITE_LIFETIME_MS, MAX_INVITE_USES, MemberRecord,
};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{IdentitySecret, MemberId, Signed};

/// A mesh with an open invite for `uses` hosts.
fn open(uses: u32) -> (Mesh, Ticket, Log) {
    let mesh = Mesh::new(1);
    let ticket = mesh.invite(1, uses);
    let mut log = Log::of(&mesh);
    assert_eq!(log.apply(0, ticket.add()), Outcome::InviteAdded(ticket.invite.id));
    (mesh, ticket, log)
}

/// Applies what must be refused: the reason, and proof that nothing changed.
fn refused(log: &mut Log, ms: u64, command: Command) -> Refusal {
    let before = log.state.clone();
    let outcome = log.apply(ms, command);
    assert_eq!(log.state, before, "a refusal changes nothing");
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn join_refused(log: &mut Log, ms: u64, command: Command) -> JoinRefusal {
    match refused(log, ms, command) {
        Refusal::Join(refusal) => refusal,
        other => panic!("not a refusal to join: {other:?}"),
    }
}

#[track_caller]
fn assert_chain(refusal: &JoinRefusal, part: &str) {
    assert!(matches!(refusal, JoinRefusal::Chain(text) if text.contains(part)), "{refusal:?}");
}

#[test]
fn a_member_has_the_index_of_its_admission_and_addresses_of_its_own() {
    let (_, ticket, mut log) = open(2);
    let (one, one_addrs) = log.admit(&ticket, &Host::new(1));
    let (two, two_addrs) = log.admit(&ticket, &Host::new(2));
    assert_eq!((one, two), (MemberId(3), MemberId(4)));
    assert_eq!(one_addrs.v4.to_string(), "100.88.0.2");
    assert_eq!(two_addrs.v4.to_string(), "100.88.0.3");
    assert_eq!(one_addrs.v6.segments()[7], 3);
    let view = log.state.view(4);
    assert_eq!(view.members.len(), 3);
    assert_eq!(view.members[&two].addrs, two_addrs);
    assert_eq!(view.hash, log.state.hash());
    assert_eq!(view.applied, 4);
}

#[test]
fn a_record_signed_by_another_key_than_the_invites_is_refused() {
    let (mesh, ticket, mut log) = open(1);
    let host = Host::new(1);
    let thief = IdentitySecret::from_seed(seed(Purpose::Invite, 99));
    let forged = Admission::sign(&host.record(mesh.id()), ticket.invite.id, &thief, &host.identity);
    let refusal = join_refused(&mut log, 0, Command::Admit(forged));
    assert_chain(&refusal, "signature does not match");
}

#[test]
fn a_joiner_that_does_not_hold_the_identity_it_claims_is_refused() {
    let (mesh, ticket, mut log) = open(1);
    let victim = Host::new(1);
    let forged = Admission::sign(
        &victim.record(mesh.id()),
        ticket.invite.id,
        &ticket.secret,
        &Host::new(2).identity,
    );
    let refusal = join_refused(&mut log, 0, Command::Admit(forged));
    assert_chain(&refusal, "identity it claims");
}

#[test]
fn an_altered_record_is_refused() {
    let (_, ticket, mut log) = open(1);
    let genuine = ticket.admission(&Host::new(1));
    let renamed = ticket.admission(&Host::new(1).named("other"));
    let other_name = Admission { record: renamed.record, ..genuine.clone() };
    assert_chain(&join_refused(&mut log, 0, Command::Admit(other_name)), "identity it claims");
    let other_proof = Admission { possession: renamed.possession, ..genuine };
    assert_chain(&join_refused(&mut log, 0, Command::Admit(other_proof)), "identity it claims");
}

#[test]
fn a_record_for_another_mesh_is_refused() {
    let (_, ticket, mut log) = open(1);
    let host = Host::new(1);
    let elsewhere = Mesh::new(2).id();
    let record = host.record(elsewhere);
    let admission = Admission::sign(&record, ticket.invite.id, &ticket.secret, &host.identity);
    assert_chain(&join_refused(&mut log, 0, Command::Admit(admission)), "another mesh");
}

#[test]
fn an_invite_nobody_agreed_on_admits_nobody() {
    let (mesh, _, mut log) = open(1);
    // Signed by the root, even, but never brought before the mesh.
    let unknown = mesh.invite(2, 1);
    let refusal = join_refused(&mut log, 0, unknown.admit(&Host::new(1)));
    assert_eq!(refusal, JoinRefusal::UnknownInvite);
}

#[test]
fn an_invite_admits_as_many_as_it_says() {
    let (_, ticket, mut log) = open(2);
    log.admit(&ticket, &Host::new(1));
    log.admit(&ticket, &Host::new(2));
    let refusal = join_refused(&mut log, 0, ticket.admit(&Host::new(3)));
    assert_eq!(refusal, JoinRefusal::Used);
}

#[test]
fn a_use_does_not_come_back_when_its_member_leaves() {
    let (mesh, ticket, mut log) = open(1);
    let host = Host::new(1);
    let (member, _) = log.admit(&ticket, &host);
    log.apply(0, host.depart(mesh.id(), member));
    let refusal = join_refused(&mut log, 0, ticket.admit(&Host::new(2)));
    assert_eq!(refusal, JoinRefusal::Used);
}

#[test]
fn an_invite_admits_until_its_last_millisecond() {
    let (_, ticket, mut log) = open(9);
    let in_time = log.apply(LIFETIME_MS - 1, ticket.admit(&Host::new(1)));
    assert!(matches!(in_time, Outcome::Admitted { .. }), "{in_time:?}");
    let refusal = join_refused(&mut log, LIFETIME_MS, ticket.admit(&Host::new(2)));
    assert_eq!(refusal, JoinRefusal::Expired);
}

#[test]
fn time_never_moves_backwards() {
    let (mesh, ticket, mut log) = open(9);
    let later = mesh.invite_until(2, 1, BORN_MS + 2 * LIFETIME_MS);
    log.apply(LIFETIME_MS, later.add());
    assert_eq!(log.state.now_ms(), BORN_MS + LIFETIME_MS);
    // A proposer with a slow clock does not bring the first invite back.
    let refusal = join_refused(&mut log, 0, ticket.admit(&Host::new(1)));
    assert_eq!(refusal, JoinRefusal::Expired);
    let outcome = log.apply(0, later.admit(&Host::new(1)));
    assert!(matches!(outcome, Outcome::Admitted { .. }), "{outcome:?}");
    assert_eq!(log.state.now_ms(), BORN_MS + LIFETIME_MS);
    assert!(log.state.audit().iter().is_sorted_by_key(|entry| entry.at_ms));
}

#[test]
fn a_refused_proposal_with_a_fast_clock_ends_no_invite() {
    let (_, ticket, mut log) = open(1);
    let refusal = join_refused(&mut log, u64::MAX - BORN_MS, ticket.admit(&Host::new(1)));
    assert_eq!(refusal, JoinRefusal::Expired);
    log.admit(&ticket, &Host::new(1));
}

#[test]
fn an_invite_must_be_the_roots() {
    let (mesh, _, mut log) = open(1);
    let mut ticket = mesh.invite(2, 1);
    ticket.signed = Signed::seal(&ticket.invite, &mesh.founder.identity);
    let refusal = refused(&mut log, 0, ticket.add());
    assert!(matches!(&refusal, Refusal::Chain(text) if text.contains("signature")), "{refusal:?}");
}

#[test]
fn an_invite_must_be_for_this_mesh_and_carry_the_id_of_its_key() {
    let (mesh, _, mut log) = open(1);
    let mut ticket = mesh.invite(2, 1);
    ticket.invite.mesh = Mesh::new(2).id();
    ticket.signed = Signed::seal(&ticket.invite, &mesh.root_secret);
    let refusal = refused(&mut log, 0, ticket.add());
    assert!(matches!(&refusal, Refusal::Chain(text) if text.contains("mesh")), "{refusal:?}");

    let mut ticket = mesh.invite(2, 1);
    ticket.invite.id = mesh.invite(3, 1).invite.id;
    ticket.signed = Signed::seal(&ticket.invite, &mesh.root_secret);
    let refusal = refused(&mut log, 0, ticket.add());
    assert!(matches!(&refusal, Refusal::Chain(text) if text.contains("id")), "{refusal:?}");
}

#[test]
fn an_invites_terms_have_bounds() {
    let (mesh, _, mut log) = open(1);
    for uses in [0, MAX_INVITE_USES + 1] {
        let refusal = refused(&mut log, 0, mesh.invite(2, uses).add());
        assert_eq!(refusal, Refusal::InviteBounds(InviteField::Uses));
    }
    for expires_ms in [0, BORN_MS, BORN_MS + MAX_INVITE_LIFETIME_MS + 1, u64::MAX] {
        let refusal = refused(&mut log, 0, mesh.invite_until(2, 1, expires_ms).add());
        assert_eq!(refusal, Refusal::InviteBounds(InviteField::Lifetime));
    }
    let refusal = refused(&mut log, LIFETIME_MS, mesh.invite(2, 1).add());
    assert_eq!(refusal, Refusal::InviteExpired);
}

#[test]
fn repeating_an_invite_adds_nothing_and_other_terms_for_its_key_are_refused() {
    let (mesh, ticket, mut log) = open(1);
    log.admit(&ticket, &Host::new(1));
    let before = log.state.hash();
    let again = log.apply(LIFETIME_MS, ticket.add());
    assert_eq!(again, Outcome::InviteAdded(ticket.invite.id));
    assert_eq!(log.state.hash(), before, "a repeated invite gives no use back");
    let wider = mesh.invite(1, 50);
    assert_eq!(refused(&mut log, 0, wider.add()), Refusal::InviteExists);
}

#[test]
fn a_name_and_a_wireguard_key_belong_to_one_member() {
    let (_, ticket, mut log) = open(9);
    log.admit(&ticket, &Host::new(1));
    let refusal = join_refused(&mut log, 0, ticket.admit(&Host::new(2).named("h1")));
    assert_eq!(refusal, JoinRefusal::NameTaken("h1".to_owned()));
    let mut twin = Host::new(2);
    twin.tunnel = Host::new(1).tunnel;
    assert_eq!(join_refused(&mut log, 0, ticket.admit(&twin)), JoinRefusal::KeyTaken);
    let mut twin = Host::new(2);
    twin.tunnel = Host::new(0).tunnel;
    assert_eq!(join_refused(&mut log, 0, ticket.admit(&twin)), JoinRefusal::KeyTaken);
}

#[test]
fn a_wireguard_key_that_keeps_no_secret_or_is_anothers_written_differently_admits_nobody() {
    let (mesh, ticket, mut log) = open(9);
    log.admit(&ticket, &Host::new(1));
    let (host, before) = (Host::new(2), log.state.hash());
    for tunnel in degenerate(Host::new(1).tunnel.public()) {
        let record = MemberRecord { tunnel, ..host.record(mesh.id()) };
        let admission = Admission::sign(&record, ticket.invite.id, &ticket.secret, &host.identity);
        let refusal = join_refused(&mut log, 0, Command::Admit(admission));
        assert_chain(&refusal, "keeps no secret");
    }
    assert_eq!(log.state.hash(), before);
    log.admit(&ticket, &host);
}

#[test]
fn a_genesis_whose_founder_has_a_wireguard_key_that_keeps_no_secret_begins_nothing() {
    let mesh = Mesh::new(1);
    let genesis = mesh.genesis.peek().expect("our own");
    for tunnel in degenerate(mesh.founder.tunnel.public()) {
        let founder = MemberRecord { tunnel, ..genesis.founder.clone() };
        let signed = Signed::seal(&Genesis { founder, ..genesis.clone() }, &mesh.root_secret);
        let begun = State::genesis(&signed, &mesh.root).map(drop);
        assert!(matches!(begun, Err(ChainError::Contradiction(_))), "{begun:?}");
    }
}

#[test]
fn a_name_is_free_again_when_its_member_has_left() {
    let (mesh, ticket, mut log) = open(9);
    let host = Host::new(1);
    let (member, _) = log.admit(&ticket, &host);
    log.apply(0, host.depart(mesh.id(), member));
    log.admit(&ticket, &Host::new(2).named("h1"));
}

#[test]
fn an_identity_joins_once() {
    let (mesh, ticket, mut log) = open(9);
    let host = Host::new(1);
    let (member, _) = log.admit(&ticket, &host);
    log.apply(0, host.depart(mesh.id(), member));
    for host in [host.clone(), host.named("renamed")] {
        let refusal = join_refused(&mut log, 0, ticket.admit(&host));
        assert_eq!(refusal, JoinRefusal::Departed);
    }
}

#[test]
fn a_joiner_that_asks_again_hears_the_same_whatever_became_of_its_invite() {
    let (_, ticket, mut log) = open(1);
    let host = Host::new(1);
    let first = log.apply(0, ticket.admit(&host));
    let before = log.state.hash();
    for ms in [0, LIFETIME_MS, 100 * LIFETIME_MS] {
        assert_eq!(log.apply(ms, ticket.admit(&host)), first);
    }
    assert_eq!(log.state.hash(), before);
}

#[test]
fn a_stranger_learns_nothing_by_naming_a_members_identity() {
    let (mesh, ticket, mut log) = open(9);
    let host = Host::new(1);
    log.admit(&ticket, &host);
    // Holds the token, but not the member's secret.
    let forged = Admission::sign(
        &host.record(mesh.id()),
        ticket.invite.id,
        &ticket.secret,
        &Host::new(2).identity,
    );
    assert_chain(&join_refused(&mut log, 0, Command::Admit(forged)), "identity it claims");
}

#[test]
fn a_prefix_that_is_used_up_admits_nobody_until_somebody_leaves() {
    let mesh = Mesh::over(1, "10.9.8.0/30");
    let ticket = mesh.invite(1, 9);
    let mut log = Log::of(&mesh);
    log.apply(0, ticket.add());
    let host = Host::new(1);
    let (member, addrs) = log.admit(&ticket, &host);
    assert_eq!(addrs.v4.to_string(), "10.9.8.2");
    let refusal = join_refused(&mut log, 0, ticket.admit(&Host::new(2)));
    assert_eq!(refusal, JoinRefusal::AddressesExhausted("10.9.8.0/30".to_owned()));
    log.apply(0, host.depart(mesh.id(), member));
    let (_, again) = log.admit(&ticket, &Host::new(2));
    assert_eq!(again.v4, addrs.v4);
    assert_ne!(again.v6, addrs.v6, "an ipv6 address is never given twice");
}

#[test]
fn the_address_of_one_that_left_rests_while_others_are_free() {
    let mesh = Mesh::over(1, "10.9.8.0/29");
    let ticket = mesh.invite(1, 99);
    let mut log = Log::of(&mesh);
    log.apply(0, ticket.add());
    let mut given = vec![];
    for number in 1..=7 {
        let host = Host::new(number);
        let (member, addrs) = log.admit(&ticket, &host);
        given.push(addrs.v4.octets()[3]);
        log.apply(0, host.depart(mesh.id(), member));
    }
    // Host 1 is the founder's, so the walk comes round to 2.
    assert_eq!(given, [2, 3, 4, 5, 6, 2, 3]);
}

#[test]
fn a_log_applied_out_of_order_cannot_give_an_id_twice() {
    let (mesh, ticket, mut log) = open(9);
    log.admit(&ticket, &Host::new(1));
    for index in [0, 1, 2, 3] {
        let proposal = fixture::after(0, ticket.admit(&Host::new(2)));
        let outcome = log.state.apply(index, &proposal);
        assert_eq!(outcome, Outcome::Refused(Refusal::IndexReused(index)));
    }
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

/// A ticket for hosts whose addresses come from `range`.
fn ranged(mesh: &Mesh, number: u64, uses: u32, range: &str) -> Ticket {
    let Ticket { invite, secret, .. } = mesh.invite(number, uses);
    let range = Some(range.parse().expect("a prefix"));
    mesh.ticket(Invite { range, ..invite }, secret)
}

#[test]
fn addresses_come_from_the_invites_range_until_it_is_full() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let ticket = ranged(&mesh, 1, 9, "100.88.7.8/30");
    log.apply(0, ticket.add());
    let given = [1, 2].map(|number| log.admit(&ticket, &Host::new(number)).1.v4.to_string());
    assert_eq!(given, ["100.88.7.9", "100.88.7.10"]);
    let full = JoinRefusal::AddressesExhausted("100.88.7.8/30".to_owned());
    let refused = log.apply(0, ticket.admit(&Host::new(3)));
    assert_eq!(refused, Outcome::Refused(full.into()));
    assert_eq!(log.state.invites().get(&ticket.invite.id).map(|entry| entry.used()), Some(2));
    log.apply(0, Host::new(1).depart(mesh.id(), MemberId(3)));
    assert_eq!(log.admit(&ticket, &Host::new(3)).1.v4.to_string(), "100.88.7.9");
    // One address, and it is free.
    let only = ranged(&mesh, 2, 1, "100.88.9.1/32");
    log.apply(0, only.add());
    assert_eq!(log.admit(&only, &Host::new(4)).1.v4.to_string(), "100.88.9.1");
    // Others are given out as before, around those.
    let any = mesh.invite(3, 1);
    log.apply(0, any.add());
    assert_eq!(log.admit(&any, &Host::new(5)).1.v4.to_string(), "100.88.0.2");
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
}

#[test]
fn a_range_outside_of_the_mesh_is_refused_and_an_address_outside_of_the_range_found() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    for outside in ["100.89.0.0/24", "100.0.0.0/8", "0.0.0.0/0"] {
        let refused = log.apply(0, ranged(&mesh, 1, 1, outside).add());
        assert_eq!(refused, Outcome::Refused(Refusal::InviteBounds(InviteField::Range)));
    }
    let whole = ranged(&mesh, 1, 1, "100.88.0.0/16");
    assert!(matches!(log.apply(0, whole.add()), Outcome::InviteAdded(_)));
    let ticket = ranged(&mesh, 2, 1, "100.88.7.8/30");
    log.apply(0, ticket.add());
    let (member, _) = log.admit(&ticket, &Host::new(1));
    let moved = forged(&log.state, |forge| {
        forge.present.get_mut(&member).expect("there").1.v4 = [100, 88, 0, 9].into();
    });
    let error = moved.verify(&mesh.root).expect_err("not found").to_string();
    assert!(error.contains("outside of its invite's range"), "{error}");
}
