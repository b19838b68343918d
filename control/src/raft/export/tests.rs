use mesh_model::codec::MAX_MESSAGE;

use mesh_model::view::StateHash;
use mesh_model::wire::sync::Lead;

use super::*;
use crate::raft::fixture::{GUEST, forged, log_id, other_root, root, secret, settled, unchained};
use crate::raft::types::{Entry, Membership, Payload};

fn opened(file: &[u8]) -> Result<Snapshot, ExportError> {
    Snapshot::open(file, Some(&root()))
}

/// The file of `replica` with a header changed by `lie`; its checksum fits.
fn lying(replica: &Replica, lie: impl FnOnce(&mut SnapshotHeader)) -> Vec<u8> {
    let mut head = replica.to_file(&[]).0;
    lie(&mut head.header);
    snapshot::write(&head, &replica.to_snapshot())
}

#[test]
fn a_file_holds_what_was_agreed_and_says_what_that_is() {
    let replica = settled();
    let (head, file) = replica.to_file(&[]);
    let header = &head.header;
    let snapshot = opened(&file).expect("genuine");
    assert_eq!(snapshot.head(), &head);
    assert_eq!(snapshot.view(), replica.view());
    assert_eq!(snapshot.payload(), replica.to_snapshot());
    assert_eq!((header.index, header.term, header.members), (3, 1, 2));
    assert_eq!(header.voters, [MemberId::FOUNDER].into());
    assert_eq!(header.state_hash, replica.view().hash);
    assert!(snapshot.has_voted(MemberId::FOUNDER) && !snapshot.has_voted(MemberId(3)));
    let anywhere = Snapshot::open(&file, None).expect("of the mesh it names");
    assert_eq!(anywhere.head().header.root, root());
}

/// A checkpoint of `replica`, changed by `lie`, that says it is `of` somebody, signed with the key that begins in `key`.
fn word(
    replica: &Replica,
    (of, key): (MemberId, u8),
    lie: impl FnOnce(&mut Checkpoint),
) -> Signed<Checkpoint> {
    let lead = Lead { term: 1, leader: MemberId::FOUNDER };
    let mark = replica.mark().expect("not empty");
    let mut word = Checkpoint::of(root().mesh, of, mark, lead);
    lie(&mut word);
    Signed::seal(&word, &secret(key))
}

#[test]
fn what_a_majority_of_its_voters_signed_is_proven_and_nothing_else() {
    let replica = settled();
    let voters = [word(&replica, (MemberId::FOUNDER, 2), |_| {})];
    let (head, file) = replica.to_file(&voters);
    let proven = opened(&file).expect("genuine");
    assert!(proven.is_proven());
    assert_eq!((proven.head(), head.signers()), (&head, [MemberId::FOUNDER].into()));
    let silent = opened(&replica.to_file(&[]).1).expect("genuine");
    assert!(!silent.is_proven());
}

#[test]
fn half_of_the_voters_or_one_that_speaks_twice_is_no_majority() {
    let membership = |sets: &[&[u64]]| {
        let sets = sets.iter().map(|set| set.iter().copied().collect()).collect();
        Payload::Membership(Membership::new_with_defaults(sets, []))
    };
    let then = |mut replica: Replica, payload| {
        let log_id = log_id(1, replica.index() + 1);
        replica.apply(&Entry { log_id, payload });
        replica
    };
    let signed = |replica: &Replica, voters: &[(MemberId, u8)]| {
        let words: Vec<_> = voters.iter().map(|voter| word(replica, *voter, |_| {})).collect();
        opened(&replica.to_file(&words).1).expect("genuine")
    };
    let (founder, guest) = ((MemberId::FOUNDER, 2), (GUEST, 4));
    let two = then(settled(), membership(&[&[1, 3]]));
    assert!(signed(&two, &[founder, guest]).is_proven());
    assert!(!signed(&two, &[founder]).is_proven());
    assert!(!signed(&two, &[guest, guest]).is_proven());
    // While one set of voters is exchanged for another each has to.
    let joint = then(settled(), membership(&[&[1], &[3]]));
    assert!(signed(&joint, &[founder, guest]).is_proven());
    assert!(!signed(&joint, &[founder]).is_proven());
    assert!(!signed(&joint, &[guest]).is_proven());
    // What is looked for before it is written down is the same.
    let words = |voters: &[(MemberId, u8)]| {
        joint.proof(voters.iter().map(|voter| word(&joint, *voter, |_| {})).collect())
    };
    assert_eq!(words(&[founder, guest]).map(|words| words.len()), Some(2));
    assert_eq!(words(&[founder]), None);
}

#[test]
fn a_checkpoint_in_it_that_is_none_of_it_is_refused() {
    let replica = settled();
    let founder = (MemberId::FOUNDER, 2);
    let other_hash = StateHash([9; 32]);
    let lies = [
        word(&replica, founder, |word| word.state = other_hash),
        word(&replica, founder, |word| word.at.index += 1),
        word(&replica, founder, |word| word.mesh = other_root().mesh),
        // Not the founder's key.
        word(&replica, (MemberId::FOUNDER, 3), |_| {}),
    ];
    for lie in lies {
        let refused = opened(&replica.to_file(&[lie]).1).err();
        assert_eq!(refused, Some(ExportError::Checkpoint(MemberId::FOUNDER)));
    }
    // A member, with its own key, that has no vote.
    let guests = word(&replica, (GUEST, 4), |_| {});
    let refused = opened(&replica.to_file(&[guests]).1).err();
    assert_eq!(refused, Some(ExportError::Checkpoint(GUEST)));
}

#[test]
fn a_flipped_bit_or_a_missing_end_is_noticed_wherever_it_is() {
    let (_, whole) = settled().to_file(&[]);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(matches!(opened(&bytes), Err(ExportError::File(_))), "a bit of byte {at}");
        assert!(matches!(opened(&whole[..at]), Err(ExportError::File(_))), "cut at {at}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert_eq!(opened(&longer).err(), Some(SnapshotFileError::Trailing(1).into()));
}

#[test]
fn a_snapshot_of_another_mesh_is_refused_before_it_is_expanded() {
    let (_, file) = settled().to_file(&[]);
    let refused = Snapshot::open(&file, Some(&other_root())).err();
    let expected = ExportError::OtherMesh { expected: other_root(), found: root() };
    assert_eq!(refused, Some(expected));
    // One that only says it is of ours.
    let file = lying(&settled(), |header| header.root = other_root());
    let refused = Snapshot::open(&file, Some(&other_root())).err();
    assert!(matches!(refused, Some(ExportError::Inside(SnapshotError::Chain(_)))), "{refused:?}");
}

#[test]
fn a_root_key_that_is_not_the_meshs_is_refused() {
    let file = lying(&settled(), |header| header.root.key = other_root().key);
    let refused = Snapshot::open(&file, None).err();
    assert!(matches!(refused, Some(ExportError::File(SnapshotFileError::Root(_)))), "{refused:?}");
}

#[test]
fn a_state_that_somebody_altered_is_refused_although_the_file_is_whole() {
    for replica in [forged(), unchained()] {
        let refused = opened(&replica.to_file(&[]).1).err();
        assert!(matches!(refused, Some(ExportError::Inside(_))), "{refused:?}");
    }
}

#[test]
fn every_claim_of_the_header_is_held_against_what_is_inside() {
    let refused = |lie: fn(&mut SnapshotHeader)| opened(&lying(&settled(), lie)).err();
    let claim = |claim| Some(ExportError::Claim(claim));
    assert_eq!(refused(|header| header.index += 1), claim("index"));
    assert_eq!(refused(|header| header.term += 1), claim("term"));
    assert_eq!(refused(|header| header.state_hash.0[0] ^= 1), claim("state hash"));
    assert_eq!(refused(|header| header.agreed_ms += 1), claim("time"));
    assert_eq!(refused(|header| header.members += 1), claim("number of members"));
    assert_eq!(refused(|header| header.voters.clear()), claim("set of voters"));
    assert_eq!(refused(|header| header.state_len += 1), claim("size"));
    let renamed = |header: &mut SnapshotHeader| header.mesh_name = "other".parse().expect("a name");
    assert_eq!(refused(renamed), claim("mesh name"));
}

#[test]
fn a_claim_beyond_every_snapshot_is_refused_by_the_header_alone() {
    let large = MAX_MESSAGE as u64 + 1;
    for lie in [
        (|header, large| header.state_len = large) as fn(&mut SnapshotHeader, u64),
        |header, large| header.payload_len = large,
        |header, _| header.payload_len = u64::MAX,
    ] {
        let refused = opened(&lying(&settled(), |header| lie(header, large))).err();
        let Some(ExportError::File(SnapshotFileError::TooLarge { .. })) = refused else {
            panic!("{refused:?}");
        };
    }
}

#[test]
fn a_state_that_expands_beyond_what_the_header_claims_is_not_expanded_further() {
    let replica = settled();
    let bomb = vec![0; 8 << 20];
    let payload = replica.pack(&bomb);
    assert!(payload.len() < 4096, "a bomb is small");
    let mut head = replica.to_file(&[]).0;
    head.header.payload_len = payload.len() as u64;
    let refused = opened(&snapshot::write(&head, &payload)).err();
    let Some(ExportError::Inside(SnapshotError::Compression(what))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(what, format!("more than {} bytes", head.header.state_len));
}

#[test]
fn a_header_of_another_version_is_named() {
    let (_, mut file) = settled().to_file(&[]);
    // The version byte is the header's first, behind the magic and the length.
    file[10] += 2;
    let refused = opened(&file).err();
    let Some(ExportError::File(SnapshotFileError::Header(error))) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.to_string().contains("version 3, this build reads version 2"), "{error}");
}

#[test]
fn other_files_are_not_taken_for_snapshots() {
    for bytes in [&b""[..], b"meshsna", b"PK\x03\x04", &[0; 4096]] {
        assert_eq!(opened(bytes).err(), Some(SnapshotFileError::OtherFile.into()));
    }
}
