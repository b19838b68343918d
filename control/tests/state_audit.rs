//! The audit trail: who decided what, chained, bounded, and not to be rewritten by whoever sends a snapshot.

mod fixture;

use fixture::forge::{Forge, forged};
use fixture::{BORN_MS, Host, Log, Mesh, settled};
use mesh_control::command::{Command, Outcome};
use mesh_control::state::{Actor, Entry, Event, State};
use mesh_model::audit::{AuditHash, Beginning, Link, MAX_ENTRIES};
use mesh_model::trust::ChainError;
use mesh_model::{MemberId, Signed};

/// A log with `count` decisions at the indices from 2 on: invites, which cost the least.
fn long(mesh: &Mesh, count: usize) -> Log {
    let mut log = Log::of(mesh);
    extend(mesh, &mut log, count);
    log
}

fn extend(mesh: &Mesh, log: &mut Log, count: usize) {
    for _ in 0..count {
        let outcome = log.apply(0, mesh.invite(log.next, 1).add());
        assert!(matches!(outcome, Outcome::InviteAdded(_)), "{outcome:?}");
    }
}

/// The hash of everything in `entries`, computed from the mesh's beginning as anybody can.
fn head_of<'a>(mesh: &Mesh, entries: impl IntoIterator<Item = &'a Entry>) -> AuditHash {
    let beginning = Beginning(mesh.genesis.clone()).hash();
    entries.into_iter().fold(beginning, |hash, entry| hash.after(entry))
}

/// Writes the hashes anew from the link at `from` on, as somebody does who covers up a change.
fn rechain(forge: &mut Forge, from: usize) {
    let (before, links) = &mut forge.audit;
    for at in from..links.len() {
        let hash = if at == 0 { *before } else { links[at - 1].hash };
        links[at] = Link::new(hash, links[at].entry.clone());
    }
}

#[test]
fn every_entry_names_who_decided() {
    let (mesh, log) = settled();
    let invite = mesh.invite(1, 3).invite;
    let entries: Vec<_> = log.state.audit().iter().cloned().collect();
    assert_eq!(entries.len(), 5);
    let event = Event::InviteAdded {
        invite: invite.id,
        uses: 3,
        expires_ms: BORN_MS + fixture::LIFETIME_MS,
    };
    assert_eq!(entries[0], Entry { index: 2, at_ms: BORN_MS, by: Actor::Root, event });
    let member = MemberId(3);
    let by = Actor::Joiner { invite: invite.id, member };
    let event = Event::Admitted { member, name: fixture::name("h1") };
    assert_eq!(entries[1], Entry { index: 3, at_ms: BORN_MS, by, event });
    let member = MemberId(5);
    let by = Actor::Member { member };
    let event = Event::Departed { member };
    assert_eq!(entries[4], Entry { index: 6, at_ms: BORN_MS + 7, by, event });
}

#[test]
fn the_chain_starts_at_the_signed_genesis_and_leads_to_the_head() {
    let (mesh, log) = settled();
    let audit = log.state.audit();
    assert_eq!(mesh.state().audit().head(), Beginning(mesh.genesis.clone()).hash());
    assert_eq!(audit.before(), mesh.state().audit().head());
    assert_eq!(audit.head(), head_of(&mesh, audit.iter()));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    assert_ne!(mesh.state().audit().head(), Mesh::new(2).state().audit().head());
}

#[test]
fn members_at_the_same_index_have_the_same_head_and_others_do_not() {
    let ((mesh, one), (_, two)) = (settled(), settled());
    assert_eq!(one.state.audit().head(), two.state.audit().head());
    let mut three = two;
    let before = three.state.audit().head();
    three.apply(8, Host::new(1).depart(mesh.id(), MemberId(3)));
    assert_ne!(three.state.audit().head(), before);
}

#[test]
fn refused_and_repeated_proposals_leave_the_head_where_it_was() {
    let (mesh, mut log) = settled();
    let before = log.state.audit().clone();
    log.apply(8, Host::new(3).depart(mesh.id(), MemberId(5)));
    log.apply(8, mesh.invite(1, 3).add());
    let forged = Signed::seal(&mesh.invite(9, 1).invite, &mesh.founder.identity);
    log.apply(8, Command::Invite(forged));
    assert_eq!(*log.state.audit(), before);
}

/// One lie about an entry.
type Lie = fn(&mut Entry);

/// A lie about each field an entry can have.
const LIES: [(usize, Lie); 12] = [
    (0, |entry| entry.index = 1),
    (0, |entry| entry.at_ms += 1),
    (0, |entry| entry.by = Actor::Member { member: MemberId(3) }),
    (0, |entry| {
        let Event::InviteAdded { invite, .. } = &mut entry.event else { panic!("an invite") };
        invite.0[15] ^= 1;
    }),
    (0, |entry| {
        let Event::InviteAdded { uses, .. } = &mut entry.event else { panic!("an invite") };
        *uses += 1;
    }),
    (0, |entry| {
        let Event::InviteAdded { expires_ms, .. } = &mut entry.event else { panic!("an invite") };
        *expires_ms += 1;
    }),
    (1, |entry| {
        let Actor::Joiner { invite, .. } = &mut entry.by else { panic!("a joiner") };
        invite.0[0] ^= 1;
    }),
    (1, |entry| {
        let Actor::Joiner { member, .. } = &mut entry.by else { panic!("a joiner") };
        member.0 += 1;
    }),
    (1, |entry| {
        let Event::Admitted { member, .. } = &mut entry.event else { panic!("an admission") };
        member.0 += 1;
    }),
    (1, |entry| {
        let Event::Admitted { name, .. } = &mut entry.event else { panic!("an admission") };
        *name = fixture::name("h2");
    }),
    (4, |entry| entry.by = Actor::Member { member: MemberId(3) }),
    (4, |entry| entry.event = Event::Departed { member: MemberId(3) }),
];

/// What `verify` says of the settled state after `plant`.
#[track_caller]
fn assert_found(plant: impl FnOnce(&mut Forge), part: &str) {
    let (mesh, log) = settled();
    let verdict = forged(&log.state, plant).verify(&mesh.root);
    let text = verdict.expect_err("not found").to_string();
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_snapshot_in_which_any_field_of_any_entry_was_changed_is_refused() {
    for (at, lie) in LIES {
        let (_, log) = settled();
        let mut told = log.state.audit().iter().nth(at).expect("an entry").clone();
        lie(&mut told);
        let plant = |forge: &mut Forge| lie(&mut forge.audit.1[at].entry);
        assert_found(plant, &format!("index {} ", told.index));
    }
    for at in 0..5 {
        assert_found(|forge| forge.audit.1[at].hash.0[31] ^= 1, &format!("index {} ", at + 2));
    }
}

#[test]
fn a_snapshot_with_entries_removed_moved_or_repeated_is_refused() {
    for at in 0..4 {
        // The first that does not fit is the one that follows.
        let next = format!("index {} ", at + 3);
        assert_found(|forge| drop(forge.audit.1.remove(at)), &next);
        assert_found(|forge| forge.audit.1.swap(at, at + 1), &next);
        let twice = |forge: &mut Forge| {
            let again = forge.audit.1[at].clone();
            forge.audit.1.insert(at, again);
        };
        assert_found(twice, &format!("index {} ", at + 2));
    }
    // The start removed, and the hash before it with it.
    let beheaded = |forge: &mut Forge| {
        let (before, links) = &mut forge.audit;
        *before = links.remove(0).hash;
    };
    assert_found(beheaded, "does not begin where the mesh did");
    assert_found(|forge| forge.audit.0 = AuditHash([7; 32]), "does not begin where the mesh did");
}

#[test]
fn indices_that_do_not_grow_are_found_although_the_hashes_fit() {
    for (at, index) in [(1, 2), (2, 1), (0, 0)] {
        let back = |forge: &mut Forge| {
            forge.audit.1[at].entry.index = index;
            rechain(forge, at);
        };
        assert_found(back, "not above that of the entry before it");
    }
}

#[test]
fn an_overgrown_trail_is_found() {
    let (mesh, log) = settled();
    let overgrown = forged(&log.state, |forge| {
        let entry = forge.audit.1[0].entry.clone();
        for index in 7..=MAX_ENTRIES as u64 + 7 {
            let entry = Entry { index, ..entry.clone() };
            forge.audit.1.push(Link::new(AuditHash([0; 32]), entry));
        }
        rechain(forge, 0);
    });
    let text = overgrown.verify(&mesh.root).expect_err("too long").to_string();
    assert!(text.contains("none has more than 1024"), "{text}");
}

#[test]
fn a_trail_that_dropped_its_oldest_entries_still_leads_to_the_head() {
    let mesh = Mesh::new(1);
    let full = long(&mesh, MAX_ENTRIES);
    let kept: Vec<_> = full.state.audit().iter().cloned().collect();
    assert_eq!(kept.len(), MAX_ENTRIES);
    assert_eq!(full.state.audit().before(), mesh.state().audit().head());

    let mut log = full;
    extend(&mesh, &mut log, 76);
    let audit = log.state.audit();
    assert_eq!(audit.iter().len(), MAX_ENTRIES);
    assert_eq!(audit.iter().next().map(|entry| entry.index), Some(2 + 76));
    assert_eq!(audit.before(), head_of(&mesh, &kept[..76]));
    assert_eq!(audit.head(), head_of(&mesh, kept[..76].iter().chain(audit.iter())));
    assert_eq!(log.state.verify(&mesh.root), Ok(()));
    let other = forged(&log.state, |forge| forge.audit.0 = AuditHash([7; 32]));
    assert!(other.verify(&mesh.root).is_err());
}

#[test]
fn an_honest_later_trail_continues_an_earlier_one() {
    let mesh = Mesh::new(1);
    let states: Vec<State> = [0, 1, 3, MAX_ENTRIES, MAX_ENTRIES + 2, 2 * MAX_ENTRIES + 5]
        .into_iter()
        .scan(Log::of(&mesh), |log, count| {
            let so_far = log.next as usize - 2;
            extend(&mesh, log, count - so_far);
            Some(log.state.clone())
        })
        .collect();
    for (at, later) in states.iter().enumerate() {
        for (earlier_at, earlier) in states.iter().enumerate() {
            assert_eq!(later.continues(earlier), earlier_at <= at, "{at} after {earlier_at}");
        }
    }
}

/// The trail holds in itself, although what the state rests on may be missing from it.
#[track_caller]
fn assert_is_a_trail(verdict: Result<(), ChainError>) {
    let missing = ChainError::Contradiction("a statement the audit trail does not tell of");
    assert!(verdict.is_ok() || verdict == Err(missing), "{verdict:?}");
}

#[test]
fn a_rewritten_past_does_not_continue_what_was_told_before() {
    let (mesh, log) = settled();
    let earlier = log.state.clone();
    let mut later = Log { state: earlier.clone(), ..log };
    later.apply(8, Host::new(1).depart(mesh.id(), MemberId(3)));
    assert!(later.state.continues(&earlier));
    let breaks = |plant: &dyn Fn(&mut Forge)| {
        let rewritten = forged(&later.state, |forge| {
            plant(forge);
            rechain(forge, 0);
        });
        assert_is_a_trail(rewritten.verify(&mesh.root));
        !rewritten.continues(&earlier)
    };
    assert!(!breaks(&|_| ()));
    for (at, lie) in LIES {
        assert!(breaks(&|forge| lie(&mut forge.audit.1[at].entry)), "entry {at}");
    }
    for at in 0..5 {
        assert!(breaks(&|forge| drop(forge.audit.1.remove(at))), "entry {at} left out");
    }
    assert!(breaks(&|forge| forge.audit.1.truncate(4)), "the end cut off");
    assert!(breaks(&|forge| forge.audit.1.clear()), "all forgotten");
}

#[test]
fn a_full_trail_may_forget_but_not_rewrite() {
    let mesh = Mesh::new(1);
    let earlier = long(&mesh, MAX_ENTRIES - 2).state;
    let later = long(&mesh, MAX_ENTRIES + 10).state;
    assert!(later.continues(&earlier));
    // Still told by both: rewritten under the same hash before it, and left out as if it had been dropped.
    let renamed = forged(&later, |forge| {
        forge.audit.1[3].entry.at_ms += 1;
        rechain(forge, 0);
    });
    assert!(!renamed.continues(&earlier));
    let hollow = forged(&later, |forge| {
        forge.audit.1.remove(3);
        let last = forge.audit.1[MAX_ENTRIES - 2].entry.clone();
        forge.audit.1.push(Link::new(forge.audit.0, Entry { index: last.index + 1, ..last }));
        rechain(forge, 0);
    });
    assert_is_a_trail(hollow.verify(&mesh.root));
    assert!(!hollow.continues(&earlier));
}
