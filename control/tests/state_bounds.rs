//! Nothing agreed grows without end, and the largest of everything still fits.

mod fixture;

use fixture::forge::{Forge, by_root, forged};
use fixture::{BORN_MS, Host, LIFETIME_MS, Log, Mesh, Purpose, Ticket, seed};
use mesh_control::command::{Command, Outcome, Refusal};
use mesh_control::state::Origin;
use mesh_control::state::invites::{INVITE_MEMORY_MS, MAX_INVITES};
use mesh_control::state::members::{Departed, Farewell, MAX_DEPARTED, MAX_MEMBERS};
use mesh_model::trust::{Admission, Departure, MemberRecord};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{IdentityKey, InviteId, MemberId, MeshId, OverlayAddrs, Signed, TunnelKey, codec};
use serde::{Deserialize, Serialize};

/// A mesh with an open invite.
fn open() -> (Mesh, Ticket, Log) {
    let mesh = Mesh::new(1);
    let ticket = mesh.invite(1, 9);
    let mut log = Log::of(&mesh);
    log.apply(0, ticket.add());
    (mesh, ticket, log)
}

/// Fills the mesh with made-up members, who only have to be there.
fn crowd(forge: &mut Forge, mesh: &Mesh) {
    for number in forge.present.len() as u64..MAX_MEMBERS as u64 {
        let record = MemberRecord {
            mesh: mesh.id(),
            name: fixture::name(&format!("crowd-{number}")),
            identity: IdentityKey(seed(Purpose::Identity, 1_000_000 + number)),
            tunnel: TunnelKey(seed(Purpose::Tunnel, 1_000_000 + number)),
        };
        let v4 = (0x6458_0000 + u32::try_from(number).expect("small") + 1).into();
        let addrs = OverlayAddrs { v4, v6: u128::from(number).into() };
        forge.present.insert(MemberId(100_000 + number), (Origin::Founder(record), addrs));
    }
}

#[test]
fn a_full_mesh_admits_nobody_and_its_snapshot_still_fits() {
    let (mesh, ticket, mut log) = open();
    log.state = forged(&log.state, |forge| crowd(forge, &mesh));
    log.next = 1_000_000;
    assert_eq!(log.state.members().present().len(), MAX_MEMBERS);
    let outcome = log.apply(0, ticket.admit(&Host::new(1)));
    assert_eq!(outcome, Outcome::Refused(JoinRefusal::Full(MAX_MEMBERS).into()));
    // One below, the walk still finds an address in a single pass.
    log.state = forged(&log.state, |forge| {
        forge.present.pop_last();
    });
    let outcome = log.apply(0, ticket.admit(&Host::new(1)));
    assert!(matches!(outcome, Outcome::Admitted { .. }), "{outcome:?}");
}

#[test]
fn of_too_many_departed_the_one_admitted_first_is_forgotten() {
    let (mesh, ticket, mut log) = open();
    let host = Host::new(1);
    let (member, _) = log.admit(&ticket, &host);
    let fill = |forge: &mut Forge| {
        let goodbye = Departure { mesh: mesh.id(), member };
        let departure = Signed::seal(&goodbye, &host.identity);
        for number in 0..MAX_DEPARTED as u64 {
            let identity = IdentityKey(seed(Purpose::Identity, 1_000_000 + number));
            let departed = Departed { identity, farewell: Farewell::Own(departure.clone()) };
            forge.departed.insert(MemberId(100_000 + number), departed);
        }
    };
    log.state = forged(&log.state, fill);
    let founder = mesh.founder.depart(mesh.id(), MemberId::FOUNDER);
    assert_eq!(log.apply(0, founder), Outcome::Departed(MemberId::FOUNDER));
    let departed = log.state.members().departed();
    assert_eq!(departed.len(), MAX_DEPARTED);
    assert!(!departed.contains_key(&MemberId::FOUNDER));
    // Its id is not given again for that: ids above every one that is known are all that is given.
    let again = log.state.apply(1, &fixture::after(0, ticket.admit(&Host::new(2))));
    assert_eq!(again, Outcome::Refused(Refusal::IndexReused(1)));
}

#[test]
fn invites_are_bounded_until_old_ones_are_forgotten() {
    let (mesh, ticket, mut log) = open();
    let fill = |forge: &mut Forge| {
        for number in forge.invites.len() as u32..u32::try_from(MAX_INVITES).expect("small") {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_le_bytes());
            forge.invites.insert(InviteId(id), (by_root(ticket.signed.clone()), 0, None));
        }
    };
    log.state = forged(&log.state, fill);
    let outcome = log.apply(0, mesh.invite(2, 1).add());
    assert_eq!(outcome, Outcome::Refused(Refusal::TooManyInvites(MAX_INVITES)));
    let forgotten_ms = LIFETIME_MS + INVITE_MEMORY_MS;
    let late = mesh.invite_until(2, 1, BORN_MS + forgotten_ms + 1);
    assert_eq!(
        log.apply(forgotten_ms - 1, late.add()),
        Outcome::Refused(Refusal::TooManyInvites(MAX_INVITES))
    );
    assert_eq!(log.apply(forgotten_ms, late.add()), Outcome::InviteAdded(late.invite.id));
    assert_eq!(log.state.invites().iter().len(), 1);
}

/// A member record as a joiner with a program of its own may write it.
#[derive(Serialize, Deserialize)]
struct LooseRecord {
    mesh: MeshId,
    name: String,
    identity: IdentityKey,
    tunnel: TunnelKey,
}

mesh_model::message!(LooseRecord, "member record", version 1, limit 256);

#[test]
fn a_refusal_that_quotes_a_stranger_still_fits_its_message() {
    let (mesh, ticket, mut log) = open();
    let Host { identity, tunnel, .. } = Host::new(1);
    for name in ["\u{10ffff}".repeat(43), "x".repeat(170)] {
        let record = LooseRecord {
            mesh: mesh.id(),
            name,
            identity: identity.public(),
            tunnel: tunnel.public(),
        };
        let record = Signed::seal(&record, &ticket.secret);
        let possession = identity.sign("member record possession", record.payload());
        // The same three fields as an admission, around a record it would not have signed.
        let bytes = codec::encode(&Loose { invite: ticket.invite.id, record, possession });
        let admission: Admission = codec::decode(&bytes).expect("the shape of an admission");
        let outcome = log.apply(0, Command::Admit(admission));
        let Outcome::Refused(Refusal::Join(JoinRefusal::Chain(text))) = &outcome else {
            panic!("not refused: {outcome:?}")
        };
        assert!(text.contains("cannot be a name"), "{text}");
        assert!(text.len() <= 256, "{}", text.len());
        assert_eq!(codec::decode::<Outcome>(&codec::encode(&outcome)), Ok(outcome));
    }
}

/// An admission around a [`LooseRecord`].
#[derive(Serialize, Deserialize)]
struct Loose {
    invite: InviteId,
    record: Signed<LooseRecord>,
    possession: mesh_model::Signature,
}

mesh_model::message!(Loose, "admission", version 1, limit 512);
