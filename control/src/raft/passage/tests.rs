//! Where a passage leads, and what is no passage.

use mesh_model::MemberId;
use mesh_model::trust::EPOCH_LEAP;

use super::*;
use crate::raft::fixture::{
    self, begun, forged, founded, other_root, passage, root, settled, settled_late,
};

/// A passage as somebody might send it.
fn sent(begun: &Cosigned<Epoch>, state: &State) -> Vec<u8> {
    let state = snapshot::compress(&codec::encode(state));
    codec::encode(&PassageRecord { begun: begun.clone(), state })
}

#[test]
fn it_leads_everybody_to_the_same_place() {
    let made = passage();
    let opened = Passage::open(made.bytes().to_vec(), &root()).expect("genuine");
    assert_eq!(opened.replica().to_snapshot(), made.replica().to_snapshot());
    assert_eq!(opened.replica().index(), settled().index() + EPOCH_LEAP);
    assert!(opened.replica().voters().contains(&MemberId::FOUNDER));
    let (vote, epoch) = (opened.vote(), opened.replica().state.epoch());
    assert!(vote.committed && vote.leader_id.term == epoch.first_term());
    let replica = Replica::open(&opened.replica().to_snapshot(), &root()).expect("it holds");
    assert_eq!(replica.state.epoch(), epoch);
}

#[test]
fn another_state_than_the_signed_one_leads_nowhere() {
    let signed = begun(&settled());
    for other in [settled_late(1), founded()] {
        let refused = Passage::open(sent(&signed, &other.state), &root()).expect_err("another");
        assert!(matches!(refused, PassageError::Epoch(EpochError::OtherLog(_))), "{refused}");
    }
    // Signed by an admin, but with a member's key exchanged.
    let forged = forged();
    let refused = Passage::open(sent(&begun(&forged), &forged.state), &root());
    assert!(matches!(refused, Err(PassageError::State(SnapshotError::Chain(_)))));
    let refused = Passage::open(passage().bytes().to_vec(), &other_root());
    assert!(matches!(refused, Err(PassageError::State(SnapshotError::Chain(_)))));
}

#[test]
fn without_an_admins_signature_it_leads_nowhere() {
    let settled = settled();
    let said = begun(&settled).peek().expect("our own");
    let unsigned = Cosigned::new(&said);
    let mut by_the_founder = unsigned.clone();
    assert!(by_the_founder.sign(&fixture::secret(2)));
    for begun in [unsigned, by_the_founder] {
        let refused = Passage::open(sent(&begun, &settled.state), &root());
        assert!(matches!(refused, Err(PassageError::Epoch(_))));
    }
}

#[test]
fn a_damaged_passage_is_an_error_and_not_a_panic() {
    let whole = passage().bytes().to_vec();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        drop(Passage::open(bytes, &root()));
        assert!(Passage::open(whole[..at].to_vec(), &root()).is_err());
    }
}
