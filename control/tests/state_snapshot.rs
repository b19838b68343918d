//! A snapshot comes from someone else: what is planted in it is found, and damage never panics.

mod fixture;

use fixture::forge::{Forge, by_root, forged};
use fixture::{BORN_MS, Host, Log, Mesh, after, settled};
use mesh_control::command::Outcome;
use mesh_control::state::members::{Departed, Farewell};
use mesh_control::state::{Origin, State};
use mesh_model::trust::{ChainError, Departure};
use mesh_model::{InviteId, MemberId, OverlayAddrs, Signed, codec};
use proptest::prelude::*;

/// What `verify` says of the settled state after `plant`.
#[track_caller]
fn verdict(plant: impl FnOnce(&mut Forge, &Mesh)) -> Result<(), ChainError> {
    let (mesh, log) = settled();
    forged(&log.state, |forge| plant(forge, &mesh)).verify(&mesh.root)
}

#[track_caller]
fn assert_found(verdict: &Result<(), ChainError>, part: &str) {
    let text = verdict.as_ref().expect_err("not found").to_string();
    assert!(text.contains(part), "{text}");
}

#[test]
fn an_honest_snapshot_verifies() {
    assert_eq!(verdict(|_, _| {}), Ok(()));
}

#[test]
fn a_planted_member_is_found() {
    let addrs = |forge: &Forge| OverlayAddrs {
        v4: "100.88.0.99".parse().expect("an address"),
        v6: forge.present[&MemberId::FOUNDER].1.v6.segments().map(|part| part | 9).into(),
    };
    // Under an invite the root never signed.
    let planted = verdict(|forge, mesh| {
        let mut ticket = mesh.invite(7, 1);
        ticket.signed = Signed::seal(&ticket.invite, &mesh.founder.identity);
        let origin = Origin::Admitted(ticket.admission(&Host::new(9)));
        forge.invites.insert(ticket.invite.id, (by_root(ticket.signed), 1, None));
        forge.present.insert(MemberId(9), (origin, addrs(forge)));
    });
    assert_found(&planted, "signature");
    // Under a genuine invite, without its secret.
    let planted = verdict(|forge, mesh| {
        let mut ticket = mesh.invite(1, 3);
        ticket.secret = mesh.founder.identity.clone();
        let origin = Origin::Admitted(ticket.admission(&Host::new(9)));
        forge.present.insert(MemberId(9), (origin, addrs(forge)));
    });
    assert_found(&planted, "signature");
    // Under no invite at all, and as another founder.
    let planted = verdict(|forge, mesh| {
        let origin = Origin::Admitted(mesh.invite(7, 1).admission(&Host::new(9)));
        forge.present.insert(MemberId(9), (origin, addrs(forge)));
    });
    assert_found(&planted, "invite is missing");
    let planted = verdict(|forge, mesh| {
        let origin = Origin::Founder(Host::new(9).record(mesh.id()));
        forge.present.insert(MemberId(9), (origin, addrs(forge)));
    });
    assert_found(&planted, "second founder");
}

#[test]
fn a_founder_other_than_the_geneses_is_found() {
    let replaced = verdict(|forge, mesh| {
        let founder = forge.present.get_mut(&MemberId::FOUNDER).expect("the founder");
        founder.0 = Origin::Founder(Host::new(9).record(mesh.id()));
    });
    assert_found(&replaced, "founder");
    let removed = verdict(|forge, _| {
        forge.present.remove(&MemberId::FOUNDER);
    });
    assert_found(&removed, "founder is missing");
}

#[test]
fn a_changed_key_or_name_is_found() {
    for change in ["name", "tunnel"] {
        let changed = verdict(|forge, mesh| {
            let mut host = Host::new(1);
            match change {
                "name" => host = host.named("mallory"),
                _ => host.tunnel = Host::new(9).tunnel,
            }
            // The cheat holds the invite's secret, but not the member's identity.
            let mut admission = mesh.invite(1, 3).admission(&host);
            let Origin::Admitted(genuine) = &forge.present[&MemberId(3)].0 else {
                panic!("admitted")
            };
            admission.possession = genuine.possession;
            forge.present.get_mut(&MemberId(3)).expect("a member").0 = Origin::Admitted(admission);
        });
        assert_found(&changed, "identity it claims");
    }
}

#[test]
fn addresses_that_were_never_given_are_found() {
    let shared = verdict(|forge, _| {
        let taken = forge.present[&MemberId(3)].1.v4;
        forge.present.get_mut(&MemberId(4)).expect("a member").1.v4 = taken;
    });
    assert_found(&shared, "address twice");
    for v4 in ["10.0.0.1", "100.88.0.0", "100.88.255.255", "100.89.0.1"] {
        let outside = verdict(|forge, _| {
            let addr = v4.parse().expect("an address");
            forge.present.get_mut(&MemberId(4)).expect("a member").1.v4 = addr;
        });
        assert_found(&outside, "no host of the prefix");
    }
    let swapped = verdict(|forge, _| {
        let other = forge.present[&MemberId(3)].1.v6;
        forge.present.get_mut(&MemberId(4)).expect("a member").1.v6 = other;
    });
    assert_found(&swapped, "not that of the member's id");
}

#[test]
fn one_member_under_two_ids_is_found() {
    let doubled = verdict(|forge, mesh| {
        let prefixes = forge.genesis.open(&mesh.root.key).expect("the genesis").prefixes;
        let (origin, mut addrs) = forge.present[&MemberId(3)].clone();
        addrs.v4 = "100.88.0.77".parse().expect("an address");
        addrs.v6 = prefixes.ipv6_of(MemberId(8));
        forge.present.insert(MemberId(8), (origin, addrs));
    });
    assert_found(&doubled, "identity twice");
}

#[test]
fn an_invite_stretched_beyond_its_terms_is_found() {
    let id = |forge: &Forge| *forge.invites.keys().next().expect("an invite");
    for used in [0, 1, 4, u32::MAX] {
        let miscounted = verdict(|forge, _| {
            let id = id(forge);
            forge.invites.get_mut(&id).expect("an invite").1 = used;
        });
        assert_found(&miscounted, "more often than it allows");
    }
    let renamed = verdict(|forge, _| {
        let entry = forge.invites.remove(&id(forge)).expect("an invite");
        forge.invites.insert(InviteId([7; 16]), entry);
    });
    assert_found(&renamed, "id is not that of its key");
}

#[test]
fn a_made_up_departure_is_found() {
    // Locking out an identity that never left.
    let lock_out = |forge: &mut Forge, mesh: &Mesh, signer: &Host| {
        let (member, mesh) = (MemberId(4), mesh.id());
        let departure = Signed::seal(&Departure { mesh, member }, &signer.identity);
        let identity = Host::new(2).identity.public();
        forge.present.remove(&member);
        let farewell = Farewell::Own(departure);
        forge.departed.insert(member, Departed { identity, farewell });
    };
    let planted = verdict(|forge, mesh| lock_out(forge, mesh, &mesh.founder));
    assert_found(&planted, "signature");
    assert_eq!(verdict(|forge, mesh| lock_out(forge, mesh, &Host::new(2))), Ok(()));
    // Bringing back one that did.
    let back = verdict(|forge, mesh| {
        let origin = Origin::Admitted(mesh.invite(1, 3).admission(&Host::new(3)));
        let prefixes = forge.genesis.open(&mesh.root.key).expect("the genesis").prefixes;
        let v4 = "100.88.0.77".parse().expect("an address");
        let addrs = OverlayAddrs { v4, v6: prefixes.ipv6_of(MemberId(8)) };
        forge.present.insert(MemberId(8), (origin, addrs));
    });
    assert_found(&back, "left is back");
}

#[test]
fn another_mesh_and_a_turned_back_clock_are_found() {
    let (mesh, log) = settled();
    let other = Mesh::new(2);
    assert!(log.state.verify(&other.root).is_err());
    let swapped = verdict(|forge, _| forge.genesis = Mesh::new(2).genesis);
    assert!(swapped.is_err());
    let early = verdict(|forge, _| forge.now_ms = BORN_MS - 1);
    assert_found(&early, "before the genesis");
    assert!(State::genesis(&other.genesis, &mesh.root).is_err());
}

#[test]
fn invites_are_forgotten_when_they_are_of_no_more_use() {
    let mesh = Mesh::new(1);
    let mut log = Log::of(&mesh);
    let (kept, dropped) = (mesh.invite(1, 1), mesh.invite(2, 1));
    log.apply(0, kept.add());
    log.apply(0, dropped.add());
    log.admit(&kept, &Host::new(1));
    let day_ms = 24 * 60 * 60 * 1000;
    let late = mesh.invite_until(3, 1, BORN_MS + 20 * day_ms);
    log.apply(10 * day_ms, late.add());
    let ids: Vec<_> = log.state.invites().iter().map(|(id, _)| *id).collect();
    assert!(ids.contains(&kept.invite.id), "it admitted a present member");
    assert!(!ids.contains(&dropped.invite.id), "it expired ten days ago");
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    // Forgotten is not forgiven: its own signed bytes do not bring it back.
    let outcome = log.apply(0, dropped.add());
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
}

#[test]
fn a_state_that_takes_back_what_was_agreed_does_not_continue_it() {
    let (mesh, log) = settled();
    let earlier = log.state.clone();
    let mut later = Log { state: earlier.clone(), ..log };
    later.apply(7, mesh.invite(2, 3).add());
    later.admit(&mesh.invite(2, 3), &Host::new(4));
    later.apply(8, Host::new(1).depart(mesh.id(), MemberId(3)));
    assert!(later.state.continues(&earlier) && earlier.continues(&earlier));
    assert!(!earlier.continues(&later.state), "somebody came and somebody left since");

    let breaks = |plant: fn(&mut Forge)| !forged(&later.state, plant).continues(&earlier);
    assert!(!breaks(|_| ()));
    assert!(breaks(|forge| forge.now_ms = BORN_MS - 1), "the clock");
    assert!(breaks(|forge| drop(forge.present.remove(&MemberId(4)))), "a member left out");
    assert!(breaks(|forge| drop(forge.departed.remove(&MemberId(5)))), "a departure forgotten");
    assert!(breaks(|forge| {
        let member = forge.present.remove(&MemberId(4)).expect("a member");
        forge.present.insert(MemberId(40), member);
    }));
    assert!(breaks(|forge| {
        let addrs = &mut forge.present.get_mut(&MemberId(4)).expect("a member").1;
        addrs.v4 = std::net::Ipv4Addr::from_bits(addrs.v4.to_bits() + 9);
    }));
    assert!(breaks(|forge| {
        for invite in forge.invites.values_mut() {
            invite.1 = 0;
        }
    }));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn damage_is_found_or_harmless_and_never_panics(
        wounds in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mesh, log) = settled();
        let mut bytes = codec::encode(&log.state);
        for (at, byte) in &wounds {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Ok(mut state) = codec::decode::<State>(&bytes) {
            let _ = state.verify(&mesh.root);
            for ticket in [mesh.invite(1, 3), mesh.invite(2, 1)] {
                state.apply(20, &after(0, ticket.add()));
                state.apply(21, &after(0, ticket.admit(&Host::new(8))));
            }
            state.apply(22, &after(0, Host::new(1).depart(mesh.id(), MemberId(3))));
            let _ = state.view(22);
        }
    }

    #[test]
    fn bytes_that_are_no_state_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = codec::decode::<State>(&bytes);
        let _ = codec::decode::<mesh_control::command::Proposal>(&bytes);
        let _ = codec::decode::<Outcome>(&bytes);
    }
}
