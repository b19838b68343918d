//! Joining and leaving take effect with one write each, wherever a crash cuts them short.

use std::fs;

use super::{Place, build_store, membership, seeds};

#[test]
fn joining_commits_and_lasts() {
    let mut place = Place::new();
    let membership = place.joined();
    let dir = place.open();
    assert_eq!(dir.membership(), Some(&membership));
    assert!(dir.is_admin());
    let admin = dir.admin().expect("readable").expect("there");
    assert_eq!(admin.public(), membership.root.key);
    assert_eq!(dir.store_path(), place.file("mesh.redb"));
    assert_eq!(place.names(), ["admin.key", "identity.key", "lock", "member", "mesh.redb"]);
}

#[test]
fn a_crash_before_the_marker_leaves_a_host_that_can_try_again() {
    let mut place = Place::new();
    build_store(&place.open());
    fs::write(place.file("admin.key.draft"), "half").expect("written");
    let dir = place.open();
    assert_eq!(dir.membership(), None);
    assert!(!dir.is_admin());
    let draft = dir.store_draft().expect("a draft");
    assert!(!draft.exists() && !place.file("admin.key.draft").exists());
}

#[test]
fn a_crash_after_the_marker_leaves_a_member() {
    let mut place = Place::new();
    let membership = place.joined();
    fs::rename(place.file("mesh.redb"), place.file("mesh.redb.draft")).expect("renamed");
    fs::rename(place.file("admin.key"), place.file("admin.key.draft")).expect("renamed");
    let dir = place.open();
    assert_eq!(dir.membership(), Some(&membership));
    assert!(dir.is_admin());
    assert_eq!(place.names(), ["admin.key", "identity.key", "lock", "member", "mesh.redb"]);
}

#[test]
fn leaving_forgets_everything_and_makes_a_new_identity() {
    let mut place = Place::new();
    place.joined();
    let mut dir = place.open();
    dir.save_peer_hints(&[]).expect("saved");
    let before = dir.identity().identity.public();
    dir.forget(&mut seeds(&mut 50)).expect("forgotten");
    assert_ne!(dir.identity().identity.public(), before);
    assert_eq!(dir.membership(), None);
    assert!(dir.admin().expect("readable").is_none());
    assert_eq!(place.names(), ["identity.key", "lock"]);
    build_store(&dir);
    dir.commit(membership(), None).expect("a host may join again as somebody new");
}

#[test]
fn leaving_that_was_cut_short_is_finished_by_the_next_start() {
    let files = ["mesh.redb", "admin.key", "identity.key"];
    // However many of the removals reached the disk before the crash.
    for removed in 0..=files.len() {
        let mut place = Place::new();
        place.joined();
        let before = fs::read(place.file("identity.key")).expect("there");
        fs::rename(place.file("member"), place.file("departed")).expect("renamed");
        for name in &files[..removed] {
            fs::remove_file(place.file(name)).expect("removed");
        }
        assert_eq!(place.open().membership(), None);
        assert_eq!(place.names(), ["identity.key", "lock"]);
        assert_ne!(fs::read(place.file("identity.key")).expect("there"), before);
    }
}
