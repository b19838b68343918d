//! Bytes and text from people who mean no good, or have slipped: an error, never a panic.

mod sample;

use mesh_model::backup::Backup;
use mesh_model::codec::{self, CodecError, Message};
use mesh_model::facts::{Capability, Facts, FactsError, MAX_ENDPOINTS, MAX_VERSION_LEN};
use mesh_model::signed::SignedError;
use mesh_model::snapshot::{self, SnapshotHead, SnapshotHeader};
use mesh_model::trust::{
    AccessPolicy, AdminChange, AdminStatement as _, Admission, ChainError, Departure, Epoch,
    Genesis, Invite, MAX_BOOTSTRAPS, MAX_NAME_LEN, MAX_REASON_LEN, MAX_TOKEN_LEN, MemberRecord,
    MeshRoot, Rekey, Report, Request, Revocation, Ruling, Tag, Tagging, Token, TokenError, Verdict,
    VoterPolicy,
};
use mesh_model::wire::join::{JoinReply, JoinRequest, Welcome};
use mesh_model::wire::sync::Checkpoint;
use mesh_model::{
    Cosigned, IdentityKey, IdentitySecret, InviteId, MemberId, Prefixes, Signature, Signed,
    TunnelKey,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[track_caller]
fn token_error(text: &str) -> TokenError {
    text.parse::<Token>().expect_err(text)
}

#[test]
fn a_token_survives_its_text_and_the_whitespace_around_it() {
    let token = sample::token();
    let text = token.to_text();
    for text in [text.to_string(), format!("  {}\r\n", *text)] {
        let read: Token = text.parse().expect("a token");
        assert_eq!(read.root, token.root);
        assert_eq!(read.invite, token.invite);
        assert_eq!(read.bootstraps, token.bootstraps);
        assert_eq!(read.secret.public(), token.secret.public());
        assert_eq!(read.verified_invite(), Ok(sample::invite()));
    }
}

#[test]
fn the_largest_token_fits_its_bounds() {
    let mut token = sample::token();
    let doors = 1..=MAX_BOOTSTRAPS;
    token.bootstraps =
        doors.map(|at| sample::bootstrap(&format!("[2001:db8:1:2:3:4:5:{at}]:51820"))).collect();
    let text = token.to_text();
    assert!(text.len() <= MAX_TOKEN_LEN, "{}", text.len());
    assert!(text.parse::<Token>().is_ok());
}

#[test]
fn text_that_is_no_token_says_so() {
    for text in ["", "mesh", "mesh2-abc-00000000", "ssh-ed25519 AAAA", "h\u{fc}te"] {
        assert_eq!(token_error(text), TokenError::NotAToken);
    }
    let long = format!("mesh1-{}", "A".repeat(MAX_TOKEN_LEN));
    assert_eq!(token_error(&long), TokenError::TooLong(long.len()));
}

#[test]
fn a_token_cut_or_mistyped_anywhere_is_damaged() {
    let text = sample::token().to_text();
    let prefix = "mesh1-".len();
    for at in prefix..text.len() {
        assert_eq!(token_error(&text[..at]), TokenError::Damaged, "cut at {at}");
        let other = if text.as_bytes()[at] == b'x' { "y" } else { "x" };
        let typo = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert_eq!(token_error(&typo), TokenError::Damaged, "typo at {at}");
    }
}

/// A token with `bytes` inside and a checksum that holds.
fn token_around(bytes: &[u8]) -> String {
    let body = data_encoding::BASE64URL_NOPAD.encode(bytes);
    let sum = blake3::hash(body.as_bytes()).to_hex();
    format!("mesh1-{body}-{}", &sum[..8])
}

#[test]
fn an_intact_token_with_nonsense_inside_is_not_understood() {
    assert!(matches!(token_error(&token_around(&[])), TokenError::Codec(CodecError::Empty { .. })));
    assert!(matches!(
        token_error(&token_around(&[9, 1, 2])),
        TokenError::Codec(CodecError::Version { found: 9, .. })
    ));
    assert!(matches!(
        token_error(&token_around(&[1, 1, 2])),
        TokenError::Codec(CodecError::Malformed { .. })
    ));
}

#[test]
fn a_token_with_a_forged_invite_is_not_genuine() {
    let mut forged = sample::token();
    forged.invite = Signed::seal(&sample::invite(), &sample::identity());
    assert!(matches!(
        token_error(&forged.to_text()),
        TokenError::Chain(ChainError::Signed(SignedError::Signature { .. }))
    ));
    let mut mismatched = sample::token();
    mismatched.secret = sample::identity();
    assert_eq!(token_error(&mismatched.to_text()), ChainError::InviteMismatch.into());
    let mut elsewhere = sample::token();
    let invite = Invite { mesh: mesh_model::MeshId([7; 16]), ..sample::invite() };
    elsewhere.invite = Signed::seal(&invite, &sample::root_secret());
    assert_eq!(token_error(&elsewhere.to_text()), ChainError::OtherMesh.into());
}

#[test]
fn a_token_names_one_to_eight_doors() {
    for count in [0, MAX_BOOTSTRAPS + 1] {
        let mut token = sample::token();
        token.bootstraps = vec![sample::bootstrap("192.0.2.1:1"); count];
        assert_eq!(token_error(&token.to_text()), TokenError::Bootstraps(count));
    }
}

#[test]
fn no_error_of_a_token_quotes_its_secret() {
    let text = sample::token().to_text();
    let damaged = token_error(&text[..text.len() - 1]);
    assert!(!format!("{damaged} {damaged:?}").contains(&text[20..40]));
    assert!(!format!("{:?}", sample::token()).contains(&text[20..40]));
}

#[test]
fn an_altered_signed_message_does_not_open() {
    let key = sample::root_secret().public();
    let genuine = Signed::seal(&sample::invite(), &sample::root_secret());
    assert_eq!(genuine.open(&key), Ok(sample::invite()));
    assert_eq!(genuine.peek(), Ok(sample::invite()));
    let carried = Carrier(genuine);
    let bytes = codec::encode(&carried);
    // Every byte but the version of the carrier and the length of the payload is under signature.
    for at in 2..bytes.len() {
        for bit in [1, 0x80] {
            let mut altered = bytes.clone();
            altered[at] ^= bit;
            let Carrier::<Invite>(altered) = codec::decode(&altered).expect("same lengths");
            assert!(altered.open(&key).is_err(), "byte {at}");
        }
    }
    assert!(carried.0.open(&sample::identity().public()).is_err());
}

/// A signed message is no message by itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
struct Carrier<T: Message>(Signed<T>);

impl<T: Message> Message for Carrier<T> {
    const NAME: &'static str = "carrier";
    const VERSION: u8 = 1;
    const LIMIT: usize = 1024;
}

#[test]
fn a_signature_over_one_kind_of_message_is_none_over_another() {
    // The bytes of a departure, signed as a departure, offered as something else.
    let departure = Signed::seal(&sample::departure(), &sample::identity());
    let bytes = codec::encode(&Carrier(departure));
    let Carrier::<Facts>(posing) = codec::decode(&bytes).expect("the same shape");
    assert!(matches!(
        posing.open(&sample::identity().public()),
        Err(SignedError::Signature { name: "facts", .. })
    ));
}

#[test]
fn each_statement_is_bound_to_its_mesh_and_signer() {
    let (root, elsewhere) = (sample::root(), MeshRoot::of(sample::identity().public()));
    let genesis = Signed::seal(&sample::genesis(), &sample::root_secret());
    assert_eq!(Genesis::verify(&genesis, &root), Ok(sample::genesis()));
    assert!(Genesis::verify(&genesis, &elsewhere).is_err());
    let crossed = MeshRoot { mesh: elsewhere.mesh, ..root };
    assert_eq!(Genesis::verify(&genesis, &crossed), Err(ChainError::RootMismatch));

    let goodbye = Signed::seal(&sample::departure(), &sample::identity());
    let who = sample::identity().public();
    assert_eq!(Departure::verify(&goodbye, root.mesh, &who), Ok(sample::departure()));
    assert_eq!(Departure::verify(&goodbye, elsewhere.mesh, &who), Err(ChainError::OtherMesh));
    assert!(Departure::verify(&goodbye, root.mesh, &sample::root().key).is_err());

    let (mesh, admin) = (root.mesh, root.key);
    let verdict = Signed::seal(&sample::verdict(), &sample::root_secret());
    assert_eq!(Verdict::verify(&verdict, mesh, &admin), Ok(sample::verdict()));
    assert!(Verdict::verify(&verdict, elsewhere.mesh, &admin).is_err());
    let report = Signed::seal(&sample::report(), &sample::identity());
    assert_eq!(Report::verify(&report, mesh, &who), Ok(sample::report()));
    assert_eq!(Report::verify(&report, elsewhere.mesh, &who), Err(ChainError::OtherMesh));
    assert!(Report::verify(&report, mesh, &admin).is_err());
    let foreign = Verdict { mesh: elsewhere.mesh, ..sample::verdict() };
    let foreign = Signed::seal(&foreign, &sample::root_secret());
    assert_eq!(Verdict::verify(&foreign, mesh, &admin), Err(ChainError::OtherMesh));
    let usurped = Signed::seal(&sample::verdict(), &sample::identity());
    assert!(Verdict::verify(&usurped, mesh, &admin).is_err());

    let revocation = Signed::seal(&sample::revocation(), &sample::root_secret());
    assert_eq!(Revocation::verify(&revocation, mesh, &admin), Ok(sample::revocation()));
    assert!(Revocation::verify(&revocation, elsewhere.mesh, &admin).is_err());
    let usurped = Signed::seal(&sample::revocation(), &sample::invite_secret());
    assert!(Revocation::verify(&usurped, mesh, &admin).is_err());

    let mut change = Cosigned::new(&sample::admin_change());
    assert!(change.sign(&sample::root_secret()) && change.sign(&sample::identity()));
    assert!(change.sign(&sample::root_secret()), "once more, which counts once");
    assert_eq!(change.open(), Ok(sample::admin_change()));
    assert_eq!(change.signers().len(), 2);

    let admission = sample::admission();
    assert_eq!(admission.verify(&sample::invite(), &root), Ok(sample::record()));
    let other = Invite { id: InviteId([9; 16]), ..sample::invite() };
    assert_eq!(admission.verify(&other, &root), Err(ChainError::InviteMismatch));
    assert_eq!(admission.verify(&sample::invite(), &elsewhere), Err(ChainError::OtherMesh));
}

#[test]
fn cosigned_bytes_have_one_form_and_every_signature_in_them_holds() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Whole(Cosigned<AdminChange>);
    mesh_model::message!(Whole, "cosigned", version 1, limit 4096);
    #[derive(Serialize, Deserialize)]
    struct Raw(Vec<u8>, Vec<(IdentityKey, Signature)>);
    mesh_model::message!(Raw, "cosigned", version 1, limit 4096);

    let payload = codec::encode(&sample::admin_change());
    let by = |secret: &IdentitySecret| (secret.public(), secret.sign("admin change", &payload));
    let mut signers = [by(&sample::root_secret()), by(&sample::identity())];
    signers.sort_by_key(|(key, _)| *key);
    let read = |payload: &[u8], signers: &[(IdentityKey, Signature)]| {
        let raw = codec::encode(&Raw(payload.to_vec(), signers.to_vec()));
        codec::decode::<Whole>(&raw).map(|Whole(cosigned)| cosigned)
    };
    let genuine = read(&payload, &signers).expect("both");
    assert_eq!(genuine.open(), Ok(sample::admin_change()));
    let [first, second] = signers;
    for bad in [vec![second, first], vec![first, first], vec![first; 17]] {
        assert!(matches!(read(&payload, &bad), Err(CodecError::Malformed { .. })), "{bad:?}");
    }
    assert!(read(&[1; 257], &signers).is_err(), "longer than a change can be");
    let crossed = read(&payload, &[(first.0, second.1)]).expect("well-formed");
    assert!(matches!(crossed.open(), Err(SignedError::Signature { .. })));
    // A signature over the same bytes that was meant for something else.
    let elsewhere = sample::root_secret().sign("verdict", &payload);
    let posing = read(&payload, &[(sample::root().key, elsewhere)]).expect("well-formed");
    assert!(posing.open().is_err());
}

#[test]
fn a_genesis_with_prefixes_no_mesh_can_have_is_refused() {
    let mut genesis = sample::genesis();
    let tiny = Prefixes { v4: "10.0.0.0/32".parse().expect("a prefix"), ..genesis.prefixes };
    let foreign = Prefixes { v6: "2001:db8::/64".parse().expect("a prefix"), ..genesis.prefixes };
    for prefixes in [tiny, foreign] {
        genesis.prefixes = prefixes;
        let signed = Signed::seal(&genesis, &sample::root_secret());
        let verdict = Genesis::verify(&signed, &sample::root());
        assert!(matches!(verdict, Err(ChainError::Contradiction(_))), "{verdict:?}");
    }
}

fn verify_facts(facts: &Facts) -> Result<Facts, FactsError> {
    let signed = Signed::seal(facts, &sample::identity());
    Facts::verify(&signed, sample::mesh(), MemberId(7), &sample::identity().public())
}

#[test]
fn facts_are_their_owners_and_within_bounds() {
    let facts = sample::facts();
    assert_eq!(verify_facts(&facts), Ok(facts.clone()));
    let signed = Signed::seal(&facts, &sample::identity());
    let stranger = IdentitySecret::from_seed([8; 32]).public();
    let verdict = Facts::verify(&signed, sample::mesh(), MemberId(7), &stranger);
    assert!(matches!(verdict, Err(FactsError::Signed(_))));
    let other = Facts { member: MemberId(8), ..facts.clone() };
    assert_eq!(verify_facts(&other), Err(FactsError::NotOwn));
    let other = Facts { mesh: mesh_model::MeshId([0; 16]), ..facts.clone() };
    assert_eq!(verify_facts(&other), Err(FactsError::NotOwn));

    let door = facts.endpoints[0];
    let full = Facts { endpoints: vec![door; MAX_ENDPOINTS], ..facts.clone() };
    assert!(verify_facts(&full).is_ok());
    let many = Facts { endpoints: vec![door; MAX_ENDPOINTS + 1], ..facts.clone() };
    assert_eq!(verify_facts(&many), Err(FactsError::TooMany("endpoints")));
    let longest = Facts { version: "v".repeat(MAX_VERSION_LEN), ..facts.clone() };
    assert!(verify_facts(&longest).is_ok());
    let overlong = "v".repeat(MAX_VERSION_LEN + 1);
    for version in [overlong.as_str(), "\u{fc}", "1\u{1b}[2J", "1\n2", "1\u{7f}", "1 2"] {
        let odd = Facts { version: version.to_owned(), ..facts.clone() };
        assert_eq!(verify_facts(&odd), Err(FactsError::TooMany("version")));
    }
    let (tun, admin) = (Capability::KernelTun, Capability::Admin);
    for capabilities in [vec![admin, tun], vec![tun, tun]] {
        let odd = Facts { capabilities, ..facts.clone() };
        assert_eq!(verify_facts(&odd), Err(FactsError::TooMany("capabilities")));
    }
}

#[test]
fn later_starts_and_then_later_revisions_are_fresher() {
    let facts = |boot_ms, revision| Facts { boot_ms, revision, ..sample::facts() };
    assert!(facts(2, 0).freshness() > facts(1, 9).freshness());
    assert!(facts(2, 1).freshness() > facts(2, 0).freshness());
}

#[test]
fn the_largest_of_each_message_fits_its_limit() {
    let widest = "w".repeat(MAX_NAME_LEN);
    let record = MemberRecord { name: sample::name(&widest), ..sample::record() };
    let invite = sample::invite();
    let admission =
        Admission::sign(&record, invite.id, &sample::invite_secret(), &sample::identity());
    codec::encode(&JoinRequest { admission });
    codec::encode(&sample::invite());
    codec::encode(&Genesis { name: sample::name(&widest), founder: record, ..sample::genesis() });
    codec::encode(&Departure { mesh: sample::mesh(), member: MemberId(u64::MAX) });
    codec::encode(&Verdict {
        member: MemberId(u64::MAX),
        serial: u64::MAX,
        ruling: Ruling::Banned {
            until_ms: Some(u64::MAX),
            reason: "r".repeat(MAX_REASON_LEN).parse().ok(),
        },
        ..sample::verdict()
    });
    codec::encode(&Report {
        reporter: MemberId(u64::MAX),
        subject: MemberId(u64::MAX),
        reason: "r".repeat(MAX_REASON_LEN).parse().ok(),
        made_ms: u64::MAX,
        ..sample::report()
    });
    codec::encode(&Facts {
        member: MemberId(u64::MAX),
        boot_ms: u64::MAX,
        revision: u64::MAX,
        applied: u64::MAX,
        version: "v".repeat(MAX_VERSION_LEN),
        endpoints: vec![sample::endpoint("[2001:db8::1]:65535"); MAX_ENDPOINTS],
        ..sample::facts()
    });
}

#[test]
fn a_length_that_lies_is_malformed() {
    // A member record whose name claims 60 MB, and a welcome whose snapshot does.
    let mut bytes = codec::encode(&sample::record());
    let name_len = 1 + 16;
    bytes.splice(name_len..=name_len, [252, 0, 0, 0x94, 3]);
    assert!(matches!(
        codec::decode::<MemberRecord>(&bytes),
        Err(CodecError::Malformed { reason, .. }) if reason.contains("beyond")
    ));
    let bytes = [1, 0, 9, 0, 0, 252, 0, 0, 0x94, 3];
    assert!(matches!(codec::decode::<JoinReply>(&bytes), Err(CodecError::Malformed { .. })));
}

#[test]
fn a_snapshot_larger_than_a_small_message_passes() {
    let JoinReply::Welcome(welcome) = sample::welcome() else { panic!("a welcome") };
    let snapshot = vec![0xab; 3 << 20];
    let reply = JoinReply::Welcome(Box::new(Welcome { snapshot, ..*welcome }));
    assert_eq!(codec::decode::<JoinReply>(&codec::encode(&reply)), Ok(reply));
}

#[test]
fn a_tag_that_nobody_typed_has_its_prefix() {
    let web = "tag:web".parse::<Tag>().ok();
    assert_eq!(serde_json::from_str("\"web\"").ok(), web);
    let mut bytes = codec::encode(&sample::tagging());
    let text = b"\x07tag:web";
    let at = bytes.windows(text.len()).position(|part| part == text).expect("it has that tag");
    bytes.splice(at..at + text.len(), *b"\x03web");
    let refused = codec::decode::<Tagging>(&bytes);
    assert!(matches!(refused, Err(CodecError::Malformed { .. })), "{refused:?}");
}

/// Whatever decodes also encodes again, to no more bytes, which decode to the same.
fn decodes_or_not<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(message) = codec::decode::<M>(bytes) {
        let written = codec::encode(&message);
        assert!(written.len() <= bytes.len());
        assert_eq!(codec::decode::<M>(&written).as_ref(), Ok(&message));
    }
}

fn all_messages(bytes: &[u8]) {
    decodes_or_not::<MemberRecord>(bytes);
    decodes_or_not::<Admission>(bytes);
    decodes_or_not::<Invite>(bytes);
    decodes_or_not::<Genesis>(bytes);
    decodes_or_not::<Departure>(bytes);
    decodes_or_not::<Rekey>(bytes);
    decodes_or_not::<Verdict>(bytes);
    decodes_or_not::<Report>(bytes);
    decodes_or_not::<Revocation>(bytes);
    decodes_or_not::<AdminChange>(bytes);
    decodes_or_not::<Tagging>(bytes);
    decodes_or_not::<VoterPolicy>(bytes);
    decodes_or_not::<AccessPolicy>(bytes);
    decodes_or_not::<Epoch>(bytes);
    decodes_or_not::<Checkpoint>(bytes);
    decodes_or_not::<Facts>(bytes);
    decodes_or_not::<JoinRequest>(bytes);
    decodes_or_not::<JoinReply>(bytes);
    decodes_or_not::<SnapshotHeader>(bytes);
    decodes_or_not::<SnapshotHead>(bytes);
    decodes_or_not::<Backup>(bytes);
    decodes_or_not::<Request>(bytes);
    let _ = snapshot::read(bytes);
}

/// The bytes of a genuine message of kind `which`, below [`KINDS`].
fn genuine(which: usize) -> Vec<u8> {
    match which {
        0 => codec::encode(&sample::record()),
        1 => codec::encode(&sample::admission()),
        2 => codec::encode(&sample::invite()),
        3 => codec::encode(&sample::genesis()),
        4 => codec::encode(&sample::departure()),
        5 => codec::encode(&sample::facts()),
        6 => codec::encode(&sample::join_request()),
        7 => codec::encode(&sample::verdict()),
        8 => codec::encode(&sample::snapshot_header()),
        9 => snapshot::write(&sample::snapshot_head(), b"xyz"),
        10 => codec::encode(&sample::backup()),
        11 => codec::encode(&Request::BeginEpoch(sample::epoch())),
        12 => codec::encode(&sample::rekey()),
        13 => codec::encode(&sample::report()),
        14 => codec::encode(&sample::revocation()),
        15 => codec::encode(&sample::admin_change()),
        16 => codec::encode(&sample::tagging()),
        17 => codec::encode(&sample::voter_policy()),
        18 => codec::encode(&sample::access()),
        19 => codec::encode(&sample::epoch().peek().expect("its own bytes")),
        20 => codec::encode(&sample::checkpoint()),
        _ => codec::encode(&sample::welcome()),
    }
}

const KINDS: usize = 22;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn no_bit_that_is_wrong_panics() {
    for which in 0..KINDS {
        let mut bytes = genuine(which);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                all_messages(&bytes);
                bytes[at] ^= 1 << bit;
            }
        }
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        all_messages(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        all_messages(&bytes);
        let _ = token_around(&bytes).parse::<Token>();
    }

    #[test]
    fn damaged_messages_never_panic(
        which in 0..KINDS,
        wounds in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = genuine(which);
        for (at, byte) in wounds {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        all_messages(&bytes);
    }

    #[test]
    fn random_text_is_no_token(text in ".{0,200}") {
        prop_assert!(text.parse::<Token>().is_err());
        let prefixed = ["mesh1-", &text].concat();
        prop_assert!(prefixed.parse::<Token>().is_err());
    }

    #[test]
    fn ids_keys_and_names_survive_their_text(bytes in any::<[u8; 32]>(), id in any::<u64>()) {
        prop_assert_eq!(MemberId(id).to_string().parse(), Ok(MemberId(id)));
        prop_assert_eq!(TunnelKey(bytes).to_string().parse(), Ok(TunnelKey(bytes)));
        let key = mesh_model::IdentityKey(bytes);
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        let invite = InviteId::of_key(&key);
        prop_assert_eq!(invite.to_string().parse(), Ok(invite));
    }
}

#[test]
fn what_one_key_opened_no_other_opens() {
    let departure = Signed::seal(&sample::departure(), &sample::identity());
    let opened = departure.clone();
    assert!(opened.open(&sample::identity().public()).is_ok());
    assert!(opened.open(&sample::root_secret().public()).is_err());
    assert!(opened.clone().open(&sample::root_secret().public()).is_err());
    assert_eq!(opened, departure, "it is the same message, opened or not");
}
