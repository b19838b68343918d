//! Who decided what: told alike by all members, after a restart too, and not to be altered in a file.

use std::fs;

use mesh_model::MemberId;
use mesh_model::api::v1::Audit;
use mesh_model::audit::{Actor, Event};
use mesh_tests::lab::wait_equal_state;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually};
use serde_json::Value;

use crate::{LIMIT, alone};

/// Hosts 1 and 2 are members, host 3 was one.
fn eventful() -> (Lab, MemberId) {
    let mut lab = Lab::rootless(3).unwrap();
    lab.found().unwrap();
    let token = lab.host(1).invite(2).unwrap().token;
    lab.host(2).join(&token).unwrap();
    let left = lab.host(3).join(&token).unwrap().member;
    lab.host(3).mesh().run(&["leave", "--yes"]).unwrap().text().unwrap();
    wait_equal_state(&[lab.host(1), lab.host(2)], 2).unwrap();
    (lab, left)
}

fn audit(lab: &Lab, number: usize) -> Audit {
    lab.host(number).mesh().get(&["audit"]).unwrap()
}

#[test]
fn members_tell_the_same_trail_with_everybody_who_decided() {
    let _alone = alone();
    let (mut lab, left) = eventful();
    let trail = audit(&lab, 1);
    assert_eq!(trail, audit(&lab, 2));
    trail.verify().unwrap();
    let members: Vec<_> = trail.members.iter().map(|present| present.name.as_str()).collect();
    let admins: Vec<_> = trail.admins.iter().map(|admin| admin.name.as_str()).collect();
    assert_eq!((&members[..], &admins[..]), (&["n1", "n2"][..], &["root"][..]));
    let kinds: Vec<_> = trail.entries.iter().map(|entry| entry.event.kind()).collect();
    assert_eq!(kinds, ["invite_added", "admitted", "admitted", "departed"]);
    let Event::InviteAdded { invite, uses: 2, .. } = trail.entries[0].event else {
        panic!("{trail:?}")
    };
    assert_eq!(trail.entries[0].by, Actor::Root);
    assert_eq!(trail.entries[2].by, Actor::Joiner { invite, member: left });
    assert_eq!(trail.entries[3].by, Actor::Member { member: left });
    assert_eq!(trail.entries[3].event, Event::Departed { member: left });

    let page = lab.host(2).mesh().run_plain(&["audit", "--by", "n3"], "").unwrap();
    let page = page.text().unwrap();
    assert_eq!(page.lines().count(), 3, "{page}");
    assert!(page.contains("admitted") && page.ends_with(&format!("n3 ({left})\n")), "{page}");
    let recent = lab.host(2).mesh().run(&["audit", "--since", "1h", "-n", "1"]).unwrap();
    assert_eq!(recent.json().unwrap()["entries"][0]["kind"], "departed");

    // What a daemon reads back from its disk is the same trail.
    lab.host_mut(1).terminate().unwrap();
    lab.host_mut(1).start().unwrap();
    eventually(LIMIT, "the trail is there again", || {
        let again: Audit = lab.host(1).mesh().get(&["audit"]).ok()?;
        (again == trail).then_some(())
    })
    .unwrap();
}

#[test]
fn a_file_that_was_tampered_with_is_found_without_a_daemon() {
    let _alone = alone();
    let (mut lab, left) = eventful();
    let exported = lab.host(1).mesh().run(&["audit"]).unwrap().text().unwrap().to_owned();
    let other = audit(&lab, 2).head_hash.to_string();
    let mut live = lab.host(2).mesh().run(&["audit", "verify"]).unwrap().json().unwrap();
    // A file is no answer, and as new as it is.
    assert!(live.as_object_mut().unwrap().remove("as_of").is_some());
    for number in [1, 2] {
        lab.host_mut(number).terminate().unwrap();
    }
    let mesh = lab.host(1).mesh();
    let file = lab.dir().join("trail.json");
    let words = ["audit", "verify", file.to_str().unwrap(), "--head", &other];

    fs::write(&file, &exported).unwrap();
    let verdict = mesh.run(&words).unwrap();
    verdict.text().unwrap();
    assert_eq!(verdict.json().unwrap(), live);
    assert_eq!(live["complete"], true);
    mesh.run_with_input(&["audit", "verify", "-"], &exported).unwrap().text().unwrap();

    let mut tampered: Value = serde_json::from_str(&exported).unwrap();
    tampered["entries"][2]["name"] = "somebody-else".into();
    fs::write(&file, tampered.to_string()).unwrap();
    let error = mesh.run(&words).unwrap().failure(exit::FAILED).unwrap();
    assert_eq!(error["code"], "audit_broken");
    let place = format!("index {} does not fit", left.0);
    assert!(error["message"].as_str().unwrap().contains(&place), "{error}");

    mesh.run(&["audit"]).unwrap().failure(exit::UNREACHABLE).unwrap();
}

#[test]
fn a_host_without_a_mesh_has_no_trail() {
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    lab.host_mut(1).start().unwrap();
    for words in [&["audit"][..], &["audit", "verify"], &["audit", "--by", "root"]] {
        let error = lab.host(1).mesh().run(words).unwrap().failure(exit::FAILED).unwrap();
        assert_eq!(error["code"], "not_joined", "{words:?}");
    }
}
