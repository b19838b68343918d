//! What no crash of ours leaves behind: files that are missing, garbled, of another host or of another version.

use std::fs;

use mesh_model::{IdentitySecret, MeshId};

use super::{Place, membership, root};
use crate::exit::Reason;
use crate::state_dir::admin;

#[test]
fn a_draft_beside_the_file_it_would_replace_is_corrupt() {
    for name in ["mesh.redb", "admin.key"] {
        let mut place = Place::new();
        place.joined();
        let draft = format!("{name}.draft");
        fs::copy(place.file(name), place.file(&draft)).expect("copied");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt, "{text}");
        assert!(text.contains(&draft), "{text}");
        assert!(place.file(&draft).exists() && place.file(name).exists(), "nothing is removed");
    }
}

#[test]
fn a_member_without_its_store_may_not_come_back() {
    let mut place = Place::new();
    place.joined();
    fs::remove_file(place.file("mesh.redb")).expect("removed");
    let (reason, text) = place.refusal();
    assert_eq!(reason, Reason::Mismatch, "{text}");
}

#[test]
fn a_member_with_another_identity_may_not_come_back() {
    let (mut place, mut other) = (Place::new(), Place::new());
    place.joined();
    other.seeds = 100;
    drop(other.open());
    fs::copy(other.file("identity.key"), place.file("identity.key")).expect("copied");
    let (reason, text) = place.refusal();
    assert_eq!(reason, Reason::Mismatch, "{text}");
}

#[test]
fn missing_trust_is_named() {
    for (gone, witness) in [("identity.key", "member"), ("member", "mesh.redb")] {
        let mut place = Place::new();
        place.joined();
        fs::remove_file(place.file(gone)).expect("removed");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::TrustMissing, "{text}");
        assert!(text.contains(gone) && text.contains(witness), "{text}");
    }
}

#[test]
fn a_garbled_marker_is_corrupt_and_names_the_field() {
    type Change = fn(String) -> String;
    let changes: [(&str, Change); 5] = [
        ("version", |_| String::new()),
        ("member", |text| text.replace("member = 7", "member = \"seven\"")),
        ("unknown field `colour`", |text| text + "colour = 1\n"),
        ("root_key", |text| text.replace("root_key = \"", "root_key = \"!")),
        ("field `mesh`", |text| {
            let mesh = membership().root.mesh.to_string();
            text.replace(&mesh, &MeshId([9; 16]).to_string())
        }),
    ];
    for (message, change) in changes {
        let mut place = Place::new();
        place.joined();
        place.garble("member", change);
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt, "{text}");
        assert!(text.contains(message), "{message}: {text}");
    }
}

#[test]
fn a_file_of_another_version_is_not_called_damaged() {
    type Change = fn(String) -> String;
    let changes: [(&str, Change); 3] = [
        ("member", |text| text.replace("version = 1", "version = 2\ncolour = 1")),
        ("identity.key", |text| {
            text.replace("meshd identity 1", "meshd identity 2") + "colour: 1\n"
        }),
        ("admin.key", |text| text.replace("meshd admin 1", "meshd admin 2")),
    ];
    for (name, change) in changes {
        let mut place = Place::new();
        place.joined();
        place.garble(name, change);
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Environment, "{text}");
        for part in [name, "version 2", "nothing is damaged", "start the meshd that wrote it"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn a_useless_root_secret_is_corrupt_from_the_start_and_may_be_moved_away() {
    let other = admin::to_text(&IdentitySecret::from_seed([3; 32]));
    let own = admin::to_text(&root());
    for useless in [other.as_bytes(), &own.as_bytes()[..own.len() / 2], b"", b"\xff\xfegarbage"] {
        let mut place = Place::new();
        let membership = place.joined();
        fs::write(place.file("admin.key"), useless).expect("written");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt, "{text}");
        assert!(text.contains("admin.key") && text.contains("move it away"), "{text}");
        fs::remove_file(place.file("admin.key")).expect("removed");
        let dir = place.open();
        assert_eq!(dir.membership(), Some(&membership));
        assert!(!dir.is_admin());
    }
}
