//! An exported audit trail is checked by whoever holds it: what was done to it is found, and where.

mod sample;

use mesh_model::access::Protocol;
use mesh_model::api::v1::{
    AdminName, Audit, AuditContent, AuditEntry, AuditSaid, Document, MemberName, MemberWish,
    PolicyRule, VoterWish,
};
use mesh_model::audit::{
    Actor, AuditHash, Beginning, BeginningError, Break, Entry, Event, Link, MAX_ENTRIES, verify,
};
use mesh_model::trust::{ChainError, Genesis, MeshRoot};
use mesh_model::{AdminId, MemberId};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What `verify` says of the sample's trail.
fn verdict(links: &[Link]) -> Result<AuditHash, Break> {
    let beginning = sample::beginning().hash();
    verify(beginning, beginning, links.iter())
}

#[test]
fn an_untouched_trail_leads_to_its_head() {
    let trail = sample::trail();
    assert_eq!(verdict(&trail), Ok(trail[16].hash));
    assert_eq!(verdict(&[]), Ok(sample::beginning().hash()));
}

#[test]
fn each_kind_of_damage_has_its_name_and_place() {
    let trail = sample::trail();
    let damaged = |damage: &dyn Fn(&mut Vec<Link>)| {
        let mut trail = trail.clone();
        damage(&mut trail);
        verdict(&trail)
    };
    assert_eq!(damaged(&|trail| trail[1].entry.at_ms += 1), Err(Break::Hash(300)));
    assert_eq!(damaged(&|trail| trail[1].hash.0[0] ^= 1), Err(Break::Hash(300)));
    assert_eq!(
        damaged(&|trail| trail[0].entry.by = Actor::Member { member: MemberId(1) }),
        Err(Break::Hash(2))
    );
    assert_eq!(damaged(&|trail| drop(trail.remove(0))), Err(Break::Hash(300)));
    assert_eq!(damaged(&|trail| drop(trail.remove(1))), Err(Break::Hash(70_000)));
    assert_eq!(damaged(&|trail| trail.swap(0, 1)), Err(Break::Hash(300)));
    assert_eq!(damaged(&|trail| trail.insert(1, trail[0].clone())), Err(Break::Order(2)));
    let elsewhere = AuditHash([7; 32]);
    assert_eq!(
        verify(elsewhere, sample::beginning().hash(), trail.iter()),
        Err(Break::Beginning(17))
    );
}

#[test]
fn only_a_full_trail_may_have_forgotten_its_beginning() {
    let beginning = sample::beginning().hash();
    let mut before = AuditHash([7; 32]);
    let mut trail = Vec::new();
    for index in 10..10 + MAX_ENTRIES as u64 {
        let event = Event::Departed { member: MemberId(3) };
        let entry = Entry { index, at_ms: 0, by: Actor::Root, event };
        trail.push(Link::new(trail.last().map_or(before, |link: &Link| link.hash), entry));
    }
    let head = trail[MAX_ENTRIES - 1].hash;
    assert_eq!(verify(beginning, before, trail.iter()), Ok(head));
    before = trail.remove(0).hash;
    let short = MAX_ENTRIES - 1;
    assert_eq!(verify(beginning, before, trail.iter()), Err(Break::Beginning(short)));
    let entry = Entry { index: 5000, ..trail[0].entry.clone() };
    trail.push(Link::new(head, entry.clone()));
    trail.push(Link::new(trail[short].hash, Entry { index: 5001, ..entry }));
    assert_eq!(verify(beginning, before, trail.iter()), Err(Break::TooLong(MAX_ENTRIES + 1)));
}

#[test]
fn a_beginning_survives_as_text_and_vouches_for_the_mesh() {
    let beginning = sample::beginning();
    let text = beginning.to_string();
    assert_eq!(text.parse(), Ok(beginning.clone()));
    assert_eq!("!".parse::<Beginning>(), Err(BeginningError::NotBase64));
    for len in 0..text.len() {
        assert!(text[..len].parse::<Beginning>().is_err(), "cut at {len}");
    }
    let genesis = Genesis::verify(&beginning.0, &sample::root());
    assert_eq!(genesis, Ok(sample::genesis()));
}

fn trail_of(times: &[u64]) -> Vec<Link> {
    let mut head = sample::beginning().hash();
    let link = |(at, at_ms): (usize, &u64)| {
        let member = MemberId(*at_ms);
        let by = Actor::Member { member };
        let event = Event::Departed { member };
        let link = Link::new(head, Entry { index: at as u64 + 2, at_ms: *at_ms, by, event });
        head = link.hash;
        link
    };
    times.iter().enumerate().map(link).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_removed_moved_or_repeated_is_found_at_or_right_behind_it(
        times in prop::collection::vec(any::<u64>(), 2..40),
        at in any::<prop::sample::Index>(),
        way in 0..3,
    ) {
        let trail = trail_of(&times);
        let at = at.index(trail.len() - 1);
        let (mut damaged, index) = (trail.clone(), at as u64 + 2);
        match way {
            0 => drop(damaged.remove(at)),
            1 => damaged.swap(at, at + 1),
            _ => damaged.insert(at, trail[at].clone()),
        }
        let expected = match way {
            0 | 1 => Break::Hash(index + 1),
            _ => Break::Order(index),
        };
        prop_assert_eq!(verdict(&damaged), Err(expected));
    }
}

fn document() -> Audit {
    let trail = sample::trail();
    let (beginning, head) = (sample::beginning(), trail[16].hash);
    Audit {
        mesh: sample::mesh(),
        root: sample::root().key,
        before_hash: beginning.hash(),
        genesis: beginning,
        entries: trail.into_iter().map(AuditEntry::from).collect(),
        head_hash: head,
        contents: contents(),
        members: vec![MemberName { member: MemberId(4), name: sample::name("n4") }],
        admins: vec![AdminName { admin: AdminId::ROOT, name: sample::name("root") }],
    }
}

fn contents() -> Vec<AuditContent> {
    let rule = PolicyRule {
        from: vec!["any".to_owned()],
        to: vec!["tag:web".to_owned()],
        protocol: Protocol::Tcp,
        ports: vec!["443".to_owned()],
    };
    let wishes = vec![MemberWish { member: MemberId(4), wish: VoterWish::Never }];
    let range = "100.88.7.0/24".parse().ok();
    [
        (2, AuditSaid::Invite { range, voter: true, tags: sample::tags() }),
        (8, AuditSaid::Voters { target: Some(5), wishes }),
        (14, AuditSaid::Access { rules: vec![rule] }),
    ]
    .map(|(index, said)| AuditContent { index, said })
    .into()
}

#[test]
fn what_is_told_beside_the_entries_comes_back_and_older_documents_have_none() {
    let value = serde_json::to_value(document()).expect("plain data");
    assert_eq!(value["contents"][1]["said"], "voters");
    assert_eq!(value["contents"][1]["wishes"], json!([{"member": 4, "wish": "never"}]));
    let mut read: Audit = serde_json::from_value(value.clone()).expect("our own");
    assert_eq!(read.contents, contents());
    // It is no part of what is proven, and neither is what somebody is called now.
    (read.contents, read.members, read.admins) = Default::default();
    assert!(read.verify().is_ok());
    let mut older = value.clone();
    for field in ["contents", "members", "admins"] {
        assert!(older.as_object_mut().expect("an object").remove(field).is_some(), "{field}");
    }
    assert_eq!(serde_json::from_value::<Audit>(older).expect("still a trail"), read);
    let mut newer = value;
    newer["contents"][0]["said"] = json!("oath");
    let newer: Audit = serde_json::from_value(newer).expect("still a trail");
    assert_eq!(newer.contents[0].said, AuditSaid::Unknown);
}

/// The entries of [`document`]: members.
fn entries_about_members() -> Value {
    let (invite, trail) = (sample::invite().id.to_string(), sample::trail());
    let born = sample::BORN_MS;
    json!([
        {
            "index": 2, "at_ms": born, "by": {"who": "root"}, "kind": "invite_added",
            "invite": invite, "uses": 300, "expires_ms": born + 600_000,
            "hash": trail[0].hash.to_string(),
        },
        {
            "index": 300, "at_ms": born,
            "by": {"who": "joiner", "invite": invite, "member": 300},
            "kind": "admitted", "member": 300, "name": "edge-07",
            "hash": trail[1].hash.to_string(),
        },
        {
            "index": 70_000, "at_ms": born, "by": {"who": "member", "member": 300},
            "kind": "departed", "member": 300, "hash": trail[2].hash.to_string(),
        },
        {
            "index": 70_001, "at_ms": born, "by": {"who": "root"},
            "kind": "banned", "member": 300, "until_ms": born, "reason": "why",
            "hash": trail[3].hash.to_string(),
        },
        {
            "index": 70_002, "at_ms": born, "by": {"who": "root"},
            "kind": "pardoned", "member": 300, "hash": trail[4].hash.to_string(),
        },
        {
            "index": 70_003, "at_ms": born, "by": {"who": "root"},
            "kind": "removed", "member": 300, "hash": trail[5].hash.to_string(),
        },
        {
            "index": 70_004, "at_ms": born, "by": {"who": "time"},
            "kind": "ban_lapsed", "member": 300, "hash": trail[6].hash.to_string(),
        },
    ])
}

/// And the rest.
fn entries_about_the_mesh() -> Value {
    let (invite, trail) = (sample::invite().id.to_string(), sample::trail());
    let born = sample::BORN_MS;
    json!([
        {
            "index": 70_005, "at_ms": born, "by": {"who": "root"},
            "kind": "voters_set", "serial": 7, "hash": trail[7].hash.to_string(),
        },
        {
            "index": 70_006, "at_ms": born, "by": {"who": "root"},
            "kind": "invite_revoked", "invite": invite, "hash": trail[8].hash.to_string(),
        },
        {
            "index": 70_007, "at_ms": born, "by": {"who": "root"},
            "kind": "admin_added", "admin": 3, "name": "alice",
            "key": sample::identity().public().to_string(), "hash": trail[9].hash.to_string(),
        },
        {
            "index": 70_008, "at_ms": born, "by": {"who": "admins", "admins": [0, 3]},
            "kind": "admin_removed", "admin": 3, "invites_revoked": true,
            "hash": trail[10].hash.to_string(),
        },
        {
            "index": 70_009, "at_ms": born, "by": {"who": "admins", "admins": [3]},
            "kind": "admin_threshold", "threshold": 2, "hash": trail[11].hash.to_string(),
        },
        {
            "index": 70_010, "at_ms": born, "by": {"who": "root"},
            "kind": "tagged", "member": 300, "serial": 2, "tags": ["tag:eu", "tag:web"],
            "hash": trail[12].hash.to_string(),
        },
        {
            "index": 70_011, "at_ms": born, "by": {"who": "root"},
            "kind": "access_set", "serial": 3, "rules": 2, "hash": trail[13].hash.to_string(),
        },
        {
            "index": 70_012, "at_ms": born, "by": {"who": "admins", "admins": [0, 3]},
            "kind": "epoch_began", "number": 1, "from": 300, "voter": 300, "reason": "why",
            "hash": trail[14].hash.to_string(),
        },
        {
            "index": 70_013, "at_ms": born, "by": {"who": "members", "members": [1, 7]},
            "kind": "excluded", "member": 300, "until_ms": born, "lineages": 3,
            "misconduct": ["floods", "diverges"], "hash": trail[15].hash.to_string(),
        },
        {
            "index": 70_014, "at_ms": born, "by": {"who": "member", "member": 300},
            "kind": "rekeyed", "member": 300, "serial": 3, "key": sample::rekey().tunnel.to_string(),
            "hash": trail[16].hash.to_string(),
        },
    ])
}

fn entries() -> Value {
    let parts = [entries_about_members(), entries_about_the_mesh()];
    parts.iter().flat_map(|part| part.as_array().expect("a list")).cloned().collect()
}

#[test]
fn the_document_reads_as_documented() {
    let value = serde_json::to_value(Document::from(document())).expect("plain data");
    assert_eq!(value["schema"], "mesh.audit/v1");
    assert_eq!(value["entries"], entries());
    for (entry, kind) in value["entries"].as_array().expect("entries").iter().zip(Event::KINDS) {
        assert_eq!(entry["kind"], kind);
    }
    let read: Document<Audit> = serde_json::from_value(value).expect("its own JSON");
    assert_eq!(read.body, document());
    assert_eq!(read.body.verify(), Ok(sample::genesis()));
}

/// The JSON with each of its values changed in turn: numbers by one, texts by a character.
fn changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(number) => vec![json!(number.as_u64().expect("no fractions") + 1)],
        Value::Bool(is_so) => vec![json!(!is_so)],
        Value::String(text) => {
            let last = text.chars().last().expect("some text");
            let other = if last == 'b' { 'c' } else { 'b' };
            vec![json!(format!("{}{other}", &text[..text.len() - last.len_utf8()]))]
        }
        Value::Array(items) => (0..items.len())
            .flat_map(|at| changed(&items[at]).into_iter().map(move |item| (at, item)))
            .map(|(at, item)| {
                let mut items = items.clone();
                items[at] = item;
                Value::Array(items)
            })
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, field)| changed(field).into_iter().map(move |field| (key, field)))
            .map(|(key, field)| {
                let mut fields = fields.clone();
                fields[key] = field;
                Value::Object(fields)
            })
            .collect(),
        _ => panic!("the document has no {value}"),
    }
}

#[test]
fn no_value_of_the_document_can_be_changed_unnoticed() {
    // But for what entries only refer to, which is there to be read, and `mesh audit verify` says so; and for names.
    let (contents, members, admins) = Default::default();
    let covered = Audit { contents, members, admins, ..document() };
    let whole = serde_json::to_value(covered).expect("plain data");
    let lies = changed(&whole);
    // Mesh, root, genesis and two hashes; then the entries, one by one.
    assert_eq!(lies.len(), 5 + 8 + 9 + 7 + 8 + 5 * 6 + 8 + 9 + 7 + 9 + 7 + 11 + 12 + 9);
    for lie in lies {
        let read: Result<Audit, _> = serde_json::from_value(lie.clone());
        assert!(read.is_err() || read.is_ok_and(|audit| audit.verify().is_err()), "{lie}");
    }
}

#[test]
fn a_document_cut_off_at_either_end_is_found() {
    let mut audit = document();
    audit.entries.pop();
    assert_eq!(audit.verify(), Err(ChainError::Audit(Break::Head(70_013))));
    audit.entries.clear();
    assert_eq!(audit.verify(), Err(ChainError::Audit(Break::Head(0))));
    let mut audit = document();
    audit.before_hash = audit.entries.remove(0).hash;
    assert_eq!(audit.verify(), Err(ChainError::Audit(Break::Beginning(16))));
}

#[test]
fn a_document_of_a_mesh_made_up_by_somebody_else_says_whose_it_is() {
    // The same genesis, said to be that of another root; and another root's id for this key.
    let stranger = MeshRoot::of(sample::identity().public());
    let claimed = Audit { mesh: stranger.mesh, root: stranger.key, ..document() };
    assert!(matches!(claimed.verify(), Err(ChainError::Signed(_))));
    let crossed = Audit { mesh: stranger.mesh, ..document() };
    assert_eq!(crossed.verify(), Err(ChainError::RootMismatch));
}
