//! Who this host is: the same from start to start, and nobody else by a slip of the disk.

use std::fs;

use mesh_control::rotation::MAX_ASIDE;
use mesh_model::TunnelSecret;

use super::{Place, mode};
use crate::exit::Reason;
use crate::state_dir::{Identity, StateDir, fields};

#[test]
fn an_identity_stays_the_same_from_start_to_start() {
    let mut place = Place::new();
    let first = place.open();
    let keys = (first.identity().identity.public(), first.identity().tunnel.public());
    drop(first);
    let second = place.open();
    assert_eq!((second.identity().identity.public(), second.identity().tunnel.public()), keys);
    assert_eq!(second.membership(), None);
}

#[test]
fn a_tunnel_key_that_changes_is_kept_with_the_other_and_the_identity_stays() {
    let mut place = Place::new();
    let mut dir = place.open();
    let (identity, first) = (dir.identity().identity.public(), dir.identity().tunnel.clone());
    let next = TunnelSecret::from_bytes([0x42; 32]);
    let held = |dir: &StateDir| {
        let Identity { identity, tunnel, other, .. } = dir.identity();
        (identity.public(), tunnel.public(), other.as_ref().map(TunnelSecret::public))
    };
    let steps = [
        (&first, Some(&next)),
        // Which of the two counts is not for this file to say.
        (&next, Some(&first)),
        (&next, None),
    ];
    for (tunnel, other) in steps {
        dir.keep_tunnel_keys(tunnel.clone(), other.cloned(), Vec::new()).expect("written");
        let expected = (identity, tunnel.public(), other.map(TunnelSecret::public));
        assert_eq!(held(&dir), expected);
        drop(dir);
        dir = place.open();
        assert_eq!(held(&dir), expected, "also at the next start");
        assert_eq!(mode(&place.file("identity.key")), 0o600);
    }
    let text = fs::read_to_string(place.file("identity.key")).expect("text");
    assert!(!text.contains(&first.public().to_string()), "what is gone is gone: {text}");
}

#[test]
fn keys_that_were_put_aside_are_there_at_the_next_start() {
    let mut place = Place::new();
    let mut dir = place.open();
    let first = dir.identity().tunnel.clone();
    let others: Vec<_> =
        (7..).take(MAX_ASIDE + 1).map(|n| TunnelSecret::from_bytes([n; 32])).collect();
    let (next, aside) = (others[0].clone(), others[1..].to_vec());
    dir.keep_tunnel_keys(first.clone(), Some(next.clone()), aside).expect("written");
    drop(dir);
    let held: Vec<_> = place.open().identity().tunnels().map(TunnelSecret::public).collect();
    let all: Vec<_> = std::iter::once(&first).chain(&others).map(TunnelSecret::public).collect();
    assert_eq!(held, all);
    place.open().keep_tunnel_keys(next, Some(first), Vec::new()).expect("written");
    let text = fs::read_to_string(place.file("identity.key")).expect("text");
    assert!(!text.contains("aside"), "{text}");
}

#[test]
fn half_a_second_tunnel_key_is_damage() {
    let mut place = Place::new();
    let mut dir = place.open();
    let first = dir.identity().tunnel.clone();
    dir.keep_tunnel_keys(first, Some(TunnelSecret::from_bytes([7; 32])), Vec::new())
        .expect("written");
    drop(dir);
    let whole = fs::read_to_string(place.file("identity.key")).expect("text");
    for half in ["other-tunnel-public", "other-tunnel-secret"] {
        let lines = whole.lines().filter(|line| !line.starts_with(half));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        fs::write(place.file("identity.key"), text).expect("written");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt);
        assert!(text.contains(half), "{text}");
    }
}

#[test]
fn secrets_do_not_print() {
    let mut place = Place::new();
    let text = format!("{:?}", place.open().identity());
    assert_eq!(
        text,
        "Identity { identity: IdentitySecret(..), tunnel: TunnelSecret(..), other: None, aside: [] }"
    );
}

#[test]
fn a_garbled_identity_is_corrupt_and_names_the_field() {
    let cut = |text: String| text[..text.len() - 20].to_owned();
    let other = |text: String| {
        // Valid base64, another secret: the host would come back as somebody else.
        let at = text.find("identity-secret: ").expect("a field") + "identity-secret: ".len();
        format!("{}{}{}", &text[..at], "B", &text[at + 1..])
    };
    type Change = fn(String) -> String;
    let changes: [(&str, Change); 8] = [
        ("first line", |_| String::new()),
        ("first line", |text| text.replace("identity 1", "identity one")),
        ("field `tunnel-secret`", cut),
        ("field `identity-public`", other),
        ("not know", |text| text + "colour: blue\n"),
        ("stands there twice", |text| text.clone() + text.lines().last().unwrap_or_default()),
        ("field `tunnel-public` is missing", |text| {
            text.lines()
                .filter(|line| !line.starts_with("tunnel-public"))
                .map(|line| format!("{line}\n"))
                .collect()
        }),
        ("longer than", |text| text + &"#".repeat(fields::MAX_KEY_FILE)),
    ];
    for (message, change) in changes {
        let mut place = Place::new();
        drop(place.open());
        place.garble("identity.key", change);
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt, "{text}");
        assert!(text.contains(message) && text.contains("identity.key"), "{message}: {text}");
    }
    let mut place = Place::new();
    drop(place.open());
    fs::write(place.file("identity.key"), [0xff; 64]).expect("written");
    assert_eq!(place.refusal().0, Reason::Corrupt);
}

#[test]
fn comments_and_blank_lines_do_no_harm() {
    let mut place = Place::new();
    drop(place.open());
    place.garble("identity.key", |text| {
        format!("# copied by ann\n\n{}", text.replace('\n', "\r\n"))
    });
    place.open();
}
