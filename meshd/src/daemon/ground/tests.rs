//! Which hosts may go into service.

use std::sync::Arc;

use mesh_model::MemberId;
use mesh_model::view::BannedView;

use super::*;
use crate::io::fixture::{identity, tunnel, view};

const ME: MemberId = MemberId(2);

fn keys() -> Identity {
    Identity { identity: identity(2), tunnel: tunnel(2), other: None, aside: Vec::new() }
}

#[test]
fn a_member_is_known_by_both_its_keys() {
    let view = view(&[1, 2]);
    assert_eq!(own_record(&view, ME, &keys()).expect("a member").id, ME);
    let other = Identity { tunnel: tunnel(3), ..keys() };
    let exit = own_record(&view, ME, &other).expect_err("another key");
    assert_eq!(exit.reason, Reason::TrustMissing);
    let both = Identity { other: Some(tunnel(2)), ..other };
    assert_eq!(own_record(&view, ME, &both).expect("it has the key").id, ME);
    let aside = Identity { other: Some(tunnel(4)), aside: vec![tunnel(5), tunnel(2)], ..both };
    assert_eq!(own_record(&view, ME, &aside).expect("it was put aside").id, ME);
    assert!(own_record(&view, MemberId(9), &keys()).is_err());
}

#[test]
fn a_banned_member_goes_into_service_and_waits_for_its_pardon() {
    let mut view = Arc::unwrap_or_clone(view(&[1, 2]));
    let member = view.members.remove(&ME).expect("a member");
    view.banned.insert(
        ME,
        BannedView { member, since_ms: 0, until_ms: None, reason: None, exclusion: None },
    );
    assert_eq!(own_record(&view, ME, &keys()).expect("it has its place").id, ME);
}
