//! Golden vectors: the exact bytes of every message. They are stored on disks and sent between
//! versions, so a test here that fails means a new version number, not a new vector. Ed25519
//! signatures are deterministic (RFC 8032), so signed messages have vectors too.

mod sample;

use std::fmt::Debug;

use data_encoding::HEXLOWER;
use mesh_model::audit::Entry;
use mesh_model::backup::{Backup, BackupError};
use mesh_model::codec::{self, CodecError, Message};
use mesh_model::facts::Facts;
use mesh_model::snapshot::{self, SnapshotHead, SnapshotHeader};
use mesh_model::trust::{
    AccessPolicy, AdminChange, AdminStep, Admission, Departure, Epoch, EpochId, Genesis, Invite,
    MemberRecord, Rekey, Request, Revocation, Tagging, Verdict, VoterPolicy,
};
use mesh_model::wire::join::{JoinReply, JoinRequest};
use mesh_model::wire::sync::Checkpoint;
use mesh_model::{AdminId, Cosigned};

/// Holds one message to its vector and to the laws of the codec.
#[track_caller]
fn check<M: Message + PartialEq + Debug>(message: &M, golden: &str) {
    let bytes = codec::encode(message);
    let hex = HEXLOWER.encode(&bytes);
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(hex, golden, "the encoding of a {} changed", M::NAME);
    assert_eq!(codec::decode::<M>(&bytes).as_ref(), Ok(message));
    laws::<M>(&bytes);
}

/// What must be refused of any message: every cut, a tail, another version, too many bytes.
#[track_caller]
fn laws<M: Message + PartialEq + Debug>(bytes: &[u8]) {
    for len in 0..bytes.len() {
        let cut = codec::decode::<M>(&bytes[..len]);
        assert!(cut.is_err(), "{} bytes of {} were taken for the whole", len, bytes.len());
    }
    assert_eq!(codec::decode::<M>(&[]), Err(CodecError::Empty { name: M::NAME }));
    let tailed = [bytes, &[0, 0]].concat();
    assert_eq!(codec::decode::<M>(&tailed), Err(CodecError::Trailing { name: M::NAME, extra: 2 }));
    let mut newer = bytes.to_vec();
    newer[0] = M::VERSION + 1;
    let known = M::VERSION;
    assert_eq!(
        codec::decode::<M>(&newer),
        Err(CodecError::Version { name: M::NAME, found: known + 1, known })
    );
    let (len, limit) = (M::LIMIT + 1, M::LIMIT);
    let mut long = bytes.to_vec();
    long.resize(len, 0);
    assert_eq!(codec::decode::<M>(&long), Err(CodecError::TooLong { name: M::NAME, len, limit }));
}

/// Requests are files that people carry about: the numbers of their kinds stay, and so does what is around the statement.
#[test]
fn requests() {
    let signed = |mut request: Request| {
        assert!(request.sign(&sample::root_secret()));
        assert_eq!(request.check(), Ok(()));
        codec::encode(&request)
    };
    let unsigned = Request::Revoke(Cosigned::new(&sample::revocation()));
    check::<Request>(
        &unsigned,
        "0103210112abf3819f2bbf184856c088556ffd609616ac1e4d939bda604536623a576b3600",
    );
    for (number, request) in [
        Request::Invite(Cosigned::new(&sample::invite())),
        Request::Judge(Cosigned::new(&sample::verdict())),
        Request::SetVoters(Cosigned::new(&VoterPolicy {
            mesh: sample::mesh(),
            serial: 1,
            target: None,
            wishes: Default::default(),
        })),
        Request::Revoke(Cosigned::new(&sample::revocation())),
        Request::ChangeAdmins(Cosigned::new(&sample::admin_change())),
        Request::Tag(Cosigned::new(&sample::tagging())),
        Request::SetAccess(Cosigned::new(&sample::access())),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = signed(request.clone());
        assert_eq!(usize::from(bytes[1]), number);
        assert_eq!(request.mesh(), Ok(sample::mesh()));
        laws::<Request>(&bytes);
    }
}

#[test]
fn member_record() {
    check::<MemberRecord>(
        &sample::record(),
        "
         0112abf3819f2bbf184856c088556ffd6007656467652d30378139770ea87d175f56a35466c34c7ecccb8d8a
         91b4ee37a25df60f5b8fc9b394ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf1
         0b",
    );
}

#[test]
fn invite() {
    check::<Invite>(
        &sample::invite(),
        "
        0112abf3819f2bbf184856c088556ffd609616ac1e4d939bda604536623a576b36ed4928c628d1c2c6eae903
        38905995612959273a5c63f93636c14614ac8737d1fb2c01fd00505c18a3010000fdc0776518a30100000206
        7461673a6575077461673a7765620000
    ",
    );
}

#[test]
fn admission() {
    check::<Admission>(
        &sample::admission(),
        "
         019616ac1e4d939bda604536623a576b36590112abf3819f2bbf184856c088556ffd6007656467652d303781
         39770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394ac01b2209e86354fb853237b5d
         e0f4fab13c7fcbf433a61c019369617fecf10b470cca0552c6375f4c029bcca899714ee83a9d18e9b039af14
         83a8eab9d6797ba96443cdb5888e014680271a6b8b2c46b6035473d5670232c189cc639bc9de02bf14e5b679
         32a9809ac49d09cdfe35b45bf0a9d685b6b5144e3121f91e36332afdafa80fc439379aba13febe479ea7bee0
         cf0393f578459164b1bd5af1aada00",
    );
}

#[test]
fn genesis() {
    check::<Genesis>(
        &sample::genesis(),
        "
         0112abf3819f2bbf184856c088556ffd608a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf37488
         01b40f6f5c066f66666963656458000010fd12abf3819f000000000000000000004012abf3819f2bbf184856
         c088556ffd6007656467652d30378139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9
         b394ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf10bfd00505c18a3010000",
    );
}

#[test]
fn departure() {
    check::<Departure>(
        &sample::departure(),
        "
         0112abf3819f2bbf184856c088556ffd60fc70110100",
    );
}

#[test]
fn rekey() {
    check::<Rekey>(
        &sample::rekey(),
        "
         0112abf3819f2bbf184856c088556ffd60fc7011010003ac01b2209e86354fb853237b5de0f4fab13c7fcbf4
         33a61c019369617fecf10b57db4b359f23ae5e146e4e2512056704722506348c150c14753d0c933d04d421",
    );
}

#[test]
fn verdict() {
    check::<Verdict>(
        &sample::verdict(),
        "
        0112abf3819f2bbf184856c088556ffd60fc701101008139770ea87d175f56a35466c34c7ecccb8d8a91b4ee
         37a25df60f5b8fc9b394fd00505c18a30100000001fd603a5d18a30100000115666c6f6f647320697473206e
         65696768626f757273",
    );
}

#[test]
fn report() {
    check(&sample::report(), "0112abf3819f2bbf184856c088556ffd6007fc701101008139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394
         010115666c6f6f647320697473206e65696768626f757273fd00505c18a3010000");
}

#[test]
fn admin_change() {
    check::<AdminChange>(
        &sample::admin_change(),
        "
        0112abf3819f2bbf184856c088556ffd6003f891d491499a708e7bfefb66f35ed48866ccd48a0a1df4523c6a
        65311faeddc00005616c6963658139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3
        94
    ",
    );
    let step =
        AdminStep::Remove { admin: AdminId(3), name: sample::name("alice"), revoke_invites: true };
    check::<AdminChange>(
        &AdminChange { step, ..sample::admin_change() },
        "
        0112abf3819f2bbf184856c088556ffd6003f891d491499a708e7bfefb66f35ed48866ccd48a0a1df4523c6a
        65311faeddc0010305616c69636501
    ",
    );
    let step = AdminStep::Threshold(2);
    check::<AdminChange>(
        &AdminChange { step, ..sample::admin_change() },
        "
        0112abf3819f2bbf184856c088556ffd6003f891d491499a708e7bfefb66f35ed48866ccd48a0a1df4523c6a
        65311faeddc00202
    ",
    );
}

#[test]
fn revocation() {
    check::<Revocation>(
        &sample::revocation(),
        "0112abf3819f2bbf184856c088556ffd609616ac1e4d939bda604536623a576b36",
    );
}

#[test]
fn tagging() {
    check::<Tagging>(
        &sample::tagging(),
        "
         0112abf3819f2bbf184856c088556ffd60fc701101008139770ea87d175f56a35466c34c7ecccb8d8a91b4ee
         37a25df60f5b8fc9b3940302067461673a6575077461673a776562",
    );
}

#[test]
fn access_policy() {
    check::<AccessPolicy>(
        &sample::access(),
        "
         0112abf3819f2bbf184856c088556ffd60030201000202077461673a77656201fb2c0101021616fb401ffb27
         2300000300",
    );
}

#[test]
fn facts() {
    check::<Facts>(
        &sample::facts(),
        "
         0112abf3819f2bbf184856c088556ffd6007fd00505c18a30100000305302e312e3001020001fbfb000200c0
         000201fb6cca0120010db8000000000000000000000001fb6cca",
    );
}

#[test]
fn epoch() {
    let begun = sample::epoch();
    let epoch = begun.open().expect("both signed it");
    check::<Epoch>(
        &epoch,
        "
         0112abf3819f2bbf184856c088556ffd600182adc7514c84c35b51d51c8694ec31fe6ede4b9c601e902debbd
         c722095d5ee0fb2c01a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5fc6c43
         0f0007fd00505c18a30100000118746865206f746865722074776f206275726e7420646f776e",
    );
    check::<Request>(
        &Request::BeginEpoch(begun.clone()),
        "
         01077e0112abf3819f2bbf184856c088556ffd600182adc7514c84c35b51d51c8694ec31fe6ede4b9c601e90
         2debbdc722095d5ee0fb2c01a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5
         fc6c430f0007fd00505c18a30100000118746865206f746865722074776f206275726e7420646f776e028139
         770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3948053063d68c1f378bdb2e1df8a48
         4e918a90eba38459c2119b4b0e3c1d01c693f7b676a64864b7f5c741f4f993b557367da9f2e6f550ca3093b6
         338c0df204048a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c46ed6cde8424
         2c35418f8c6af3d6b812167629cf988faf39d9a877e38f307776dc75a65bd1943c6d32ffbac2f31d10ac3c53
         46ae6943bb59d2f3d7bbd9f53f03",
    );
    let EpochId { number, head } = epoch.id(&begun);
    assert_eq!(
        (number, head.to_string().as_str()),
        (1, "d7c503890633a29829012357c6e98da2bbaa85f9703c7a754bed6e03498010b1")
    );
}

#[test]
fn join_request() {
    check::<JoinRequest>(
        &sample::join_request(),
        "
         019616ac1e4d939bda604536623a576b36590112abf3819f2bbf184856c088556ffd6007656467652d303781
         39770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394ac01b2209e86354fb853237b5d
         e0f4fab13c7fcbf433a61c019369617fecf10b470cca0552c6375f4c029bcca899714ee83a9d18e9b039af14
         83a8eab9d6797ba96443cdb5888e014680271a6b8b2c46b6035473d5670232c189cc639bc9de02bf14e5b679
         32a9809ac49d09cdfe35b45bf0a9d685b6b5144e3121f91e36332afdafa80fc439379aba13febe479ea7bee0
         cf0393f578459164b1bd5af1aada00",
    );
}

#[test]
fn join_reply_welcome() {
    check::<JoinReply>(
        &sample::welcome(),
        "
         010009af0112abf3819f2bbf184856c088556ffd608a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d9412
         1bf3748801b40f6f5c066f66666963656458000010fd12abf3819f000000000000000000004012abf3819f2b
         bf184856c088556ffd6007656467652d30378139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df6
         0f5b8fc9b394ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf10bfd00505c18a3
         010000acef86c9d9e88fd3f54be7466c9010ac87789d2fb047d0b77cee989e58a9324fb1de105eed0425f0e9
         672605b8915f6b80d319ca72e01eeb5051ab0b5a3f0d0c02cafe02070100c0000201fb6cca01460112abf381
         9f2bbf184856c088556ffd6007fd00505c18a30100000305302e312e3001020001fbfb000200c0000201fb6c
         ca0120010db8000000000000000000000001fb6ccaad74281e32a7f86a5e1cd3880015f1b49b7a46d399fccb
         46e631a86aed8c68c329bf81615132aff878e00e4612236ec6a1cd315c75c85f05b1537eeb90844305010000
         01",
    );
}

#[test]
fn join_reply_refused() {
    let refused = sample::refusals().map(|refusal| codec::encode(&JoinReply::Refused(refusal)));
    let hex: Vec<_> = refused.iter().map(|bytes| HEXLOWER.encode(bytes)).collect();
    assert_eq!(
        hex,
        [
            "010100",
            "010101",
            "010102",
            "010103",
            "01010403776879",
            "010105026831",
            "010106",
            "010107",
            "0101080b31302e302e302e302f3330",
            "010109fb1027",
            "01010a",
            "01010b"
        ]
    );
    check(&JoinReply::Unavailable, "0102");
}

#[test]
fn checkpoint() {
    check::<Checkpoint>(
        &sample::checkpoint(),
        "0112abf3819f2bbf184856c088556ffd600703fb2c01040404040404040404040404040404040404040404040404040404040404040405050505050505050505050505050505050505050505050505050505050505050606060606060606060606060606060606060606060606060606060606060606020401",
    );
}

#[test]
fn join_token() {
    let text = sample::token().to_text();
    assert_eq!(
        *text,
        "mesh1-AYqI4910CfGV_VLbLTy6XXLKZwm_HZQSG_N0iAG0D29ciojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb8\
         3SIAbQPb1z4kdSRSZpwjnv--2bzXtSIZszUigod9FI8amUxH67dwGgBEqvzgZ8rvxhIVsCIVW_9YJYWrB5N\
         k5vaYEU2YjpXazbtSSjGKNHCxurpAziQWZVhKVknOlxj-TY2wUYUrIc30fssAf0AUFwYowEAAP3Ad2UYowE\
         AAAIGdGFnOmV1B3RhZzp3ZWIAAJQiyh9GZOk4q2emCPDRiB9Rrjfc2XtvdgPVsvgPWp9FmBaFzdU1261SXD\
         qatJIaTbl0ss3KUVXmry_D_8Fp9QUDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwIAwAACAftsy\
         oE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOUASABDbgAAAAAAAAAAAAAAAH7bMqBOXcOqH0XX1aj\
         VGbDTH7My42KkbTuN6Jd9g9bj8mzlA-3df1ce45"
    );
}

#[test]
fn audit_entries() {
    let trail = sample::trail();
    let [
        invited,
        admitted,
        departed,
        banned,
        pardoned,
        removed,
        lapsed,
        voters,
        revoked,
        added,
        resigned,
        threshold,
        tagged,
        access,
        epoch,
        _,
        _,
    ] = &trail[..]
    else {
        panic!("one entry of each kind")
    };
    check::<Entry>(
        &invited.entry,
        "
         0102fd00505c18a301000000009616ac1e4d939bda604536623a576b36fb2c01fdc0776518a3010000",
    );
    check::<Entry>(
        &admitted.entry,
        "
         01fb2c01fd00505c18a3010000019616ac1e4d939bda604536623a576b36fb2c0101fb2c0107656467652d30
         37",
    );
    check::<Entry>(
        &departed.entry,
        "
         01fc70110100fd00505c18a301000002fb2c0102fb2c01",
    );
    check::<Entry>(
        &banned.entry,
        "01fc71110100fd00505c18a30100000003fb2c0101fd00505c18a30100000103776879",
    );
    check::<Entry>(&pardoned.entry, "01fc72110100fd00505c18a30100000004fb2c01");
    check::<Entry>(&removed.entry, "01fc73110100fd00505c18a30100000005fb2c01");
    check::<Entry>(&lapsed.entry, "01fc74110100fd00505c18a30100000306fb2c01");
    check::<Entry>(&voters.entry, "01fc75110100fd00505c18a3010000000707");
    check::<Entry>(
        &revoked.entry,
        "01fc76110100fd00505c18a301000000089616ac1e4d939bda604536623a576b36",
    );
    check::<Entry>(
        &added.entry,
        "
        01fc77110100fd00505c18a301000000090305616c6963658139770ea87d175f56a35466c34c7ecccb8d8a91
        b4ee37a25df60f5b8fc9b394
    ",
    );
    check::<Entry>(&resigned.entry, "01fc78110100fd00505c18a3010000040200030a0301");
    check::<Entry>(&threshold.entry, "01fc79110100fd00505c18a30100000401030b02");
    check::<Entry>(
        &tagged.entry,
        "01fc7a110100fd00505c18a3010000000cfb2c010202067461673a6575077461673a776562",
    );
    check::<Entry>(&access.entry, "01fc7b110100fd00505c18a3010000000d0302");
    check::<Entry>(
        &epoch.entry,
        "01fc7c110100fd00505c18a3010000040200030e01fb2c01fb2c010103776879",
    );
}

#[test]
fn audit_entry_of_an_exclusion() {
    let trail = sample::trail();
    check::<Entry>(
        &trail[15].entry,
        "01fc7d110100fd00505c18a3010000050201070ffb2c01fd00505c18a301000003020102",
    );
}

#[test]
fn an_audit_entry_about_a_key() {
    check::<Entry>(
        &sample::trail()[16].entry,
        "
         01fc7e110100fd00505c18a301000002fb2c0110fb2c010357db4b359f23ae5e146e4e251205670472250634
         8c150c14753d0c933d04d421",
    );
}

#[test]
fn the_hashes_of_audit_entries() {
    let trail = sample::trail();
    let hashes = [sample::beginning().hash(), trail[0].hash, trail[1].hash, trail[2].hash];
    assert_eq!(
        hashes.map(|hash| hash.to_string()),
        [
            "7e13a67a7ef615debaeba02cccaea75cada641567607904a326d82f867e6fc31",
            "29b57e1f03025ae4b08a1c67172da4109134ffdb55b93070c31cac2bef6c781b",
            "4f7d50d35b357a5e0023a929f870d241977abe6ee60c7b0b94b7239c9b45f8d5",
            "ee9d2c591abb5379fab5b698719871cbfb703a34dab740cfdb8d065eea9a6007"
        ]
    );
}

#[test]
fn snapshot_header() {
    check::<SnapshotHeader>(
        &sample::snapshot_header(),
        "
         0112abf3819f2bbf184856c088556ffd608a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf37488
         01b40f6f5c04686f6d65fb2c0107a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5
         a5a5fd01505c18a30100000303010509fc7011010003",
    );
}

/// The whole file: what is around the header is as fixed as the header.
#[test]
fn snapshot_file() {
    let header = sample::snapshot_header();
    let head = SnapshotHead { header: header.clone(), words: Vec::new() };
    let file = snapshot::write(&head, b"xyz");
    let (start, end) = (file.len() - 3 - 32, file.len() - 32);
    let encoded = codec::encode(&header);
    let length = u16::try_from(encoded.len()).expect("short").to_le_bytes();
    assert_eq!(file[..start], [b"meshsnap", &length[..], &encoded].concat());
    assert_eq!(&file[start..end], b"xyz");
    assert_eq!(
        HEXLOWER.encode(&file[end..]),
        "bcc9a33a1b135fc68b0711209aa062ec7df1981e1330bfb8c6cd71939faff331"
    );
    assert_eq!(snapshot::read(&file), Ok((head, &b"xyz"[..])));
}

#[test]
fn snapshot_head() {
    check::<SnapshotHead>(
        &sample::snapshot_head(),
        "
         0212abf3819f2bbf184856c088556ffd608a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf37488
         01b40f6f5c04686f6d65fb2c0107a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5
         a5a5fd01505c18a30100000303010509fc701101000301790112abf3819f2bbf184856c088556ffd600703fb
         2c01040404040404040404040404040404040404040404040404040404040404040405050505050505050505
         0505050505050505050505050505050505050505050506060606060606060606060606060606060606060606
         06060606060606060606020401dd071dedd28ea7e47860e28b0a3d0b7b94563d8621e089554521dcf9cbefbb
         cd1895fb9469cc574def64fb1a123a1a1c6a9aeb8b694f91829124befe1284320a",
    );
}

#[test]
fn backup() {
    check::<Backup>(
        &sample::backup(),
        "
         01fd00505c18a301000012abf3819f2bbf184856c088556ffd608a88e3dd7409f195fd52db2d3cba5d72ca67
         09bf1d94121bf3748801b40f6f5c0707656467652d3037050505050505050505050505050505050505050505
         0505050505050505050505060606060606060606060606060606060606060606060606060606060606060601
         0707070707070707070707070707070707070707070707070707070707070707010b6d7475203d2031343030
         0a03616263",
    );
    let bytes = sample::backup().to_bytes();
    assert_eq!(bytes[..8], *b"meshback");
    assert_eq!(bytes[8..], codec::encode(&sample::backup()));
    assert_eq!(Backup::from_bytes(&bytes), Ok(sample::backup()));
    assert_eq!(Backup::from_bytes(&bytes[8..]), Err(BackupError::OtherFile));
    assert_eq!(format!("{:?}", sample::backup()).matches("5, 5").count(), 0, "no secrets");
}
