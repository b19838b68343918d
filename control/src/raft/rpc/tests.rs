//! Golden vectors of what members that follow say to each other. Members of one version after another hear it, so a test here
//! that fails means a new version number of requests or replies, not a new vector.

use mesh_model::trust::{EpochHead, Misconduct};
use mesh_model::view::StateHash;
use mesh_model::wire::sync::{ElectorateHash, Lead, LogHash, News, Place};
use mesh_model::{IdentitySecret, MeshId};

use super::*;
use crate::command::Refusal;

/// Holds `message` to its vector, and what was cut or continued to an error.
#[track_caller]
fn check<M: codec::Message>(message: &M, golden: &str) {
    let bytes = codec::encode(message);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(hex, golden, "the encoding of an {} changed", M::NAME);
    let back: M = codec::decode(&bytes).expect("its own bytes");
    assert_eq!(codec::encode(&back), bytes);
    for len in 0..bytes.len() {
        assert!(codec::decode::<M>(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
    }
    assert!(codec::decode::<M>(&[&bytes[..], &[0]].concat()).is_err());
}

const EPOCH: EpochId = EpochId { number: 1, head: EpochHead([7; 32]) };

/// The same of a question, whose epoch follows it.
#[track_caller]
fn check_asked(request: Request, golden: &str) {
    let epoch = format!("01{}", "07".repeat(32));
    check(&Question { request, epoch: EPOCH }, &[golden, &epoch].concat());
}

const PLACE: Place = Place { term: 3, index: 300 };

const LEAD: Lead = Lead { term: 4, leader: MemberId(70_000) };

fn word() -> Signed<Checkpoint> {
    let word = Checkpoint {
        mesh: MeshId([0x12; 16]),
        member: MemberId(7),
        at: PLACE,
        log: LogHash([4; 32]),
        state: StateHash([5; 32]),
        electorate: ElectorateHash([6; 32]),
        encoding: 2,
        lead: LEAD,
    };
    Signed::seal(&word, &IdentitySecret::from_seed([2; 32]))
}

#[test]
fn pull() {
    let pull =
        Pull { have: Some(PLACE), proven: 251, lead: Some(LEAD), hold_ms: 1000, snapshot: false };
    check_asked(Request::Pull(pull), "01090103fb2c01fbfb000104fc70110100fbe80300");
    let first = Pull { have: None, proven: 0, lead: None, hold_ms: 0, snapshot: true };
    check_asked(Request::Pull(first), "01090000000001");
}

#[test]
fn pulled() {
    let news = News {
        snapshot: Some(vec![0xca, 0xfe]),
        entries: vec![vec![1], vec![2, 3]],
        proven: 302,
        checkpoints: vec![word()],
        lead: Some(LEAD),
        confirmed_ms: Some(250),
        held_ms: 1000,
        depth: 2,
    };
    check(
        &Reply::Pulled(Pulled::News(Box::new(news))),
        "0108000102cafe020101020203fb2e01017d01121212121212121212121212121212120703fb2c010404040404040404040404040404040404040404040404040404040404040404050505050505050505050505050505050505050505050505050505050505050506060606060606060606060606060606060606060606060606060606060606060204fc70110100d188ca2bd8d03f19ab372cc0375607793727acfef614d1493af4e8f4a541379a1c35adf317bef7170b58252f528dd63d8fd780a6aac5c72b0aaa01a5349373000104fc7011010001fafbe80302",
    );
    let nothing = News {
        snapshot: None,
        entries: Vec::new(),
        proven: 0,
        checkpoints: Vec::new(),
        lead: None,
        confirmed_ms: None,
        held_ms: 0,
        depth: 0,
    };
    check(&Reply::Pulled(Pulled::News(Box::new(nothing))), "0108000000000000000000");
    let instead = vec![MemberId(2), MemberId(300)];
    check(&Reply::Pulled(Pulled::Busy { instead }), "0108010202fb2c01");
    check(&Reply::Pulled(Pulled::Adrift), "010802");
    check(&Reply::Pulled(Pulled::Elsewhere), "010803");
}

#[test]
fn attest() {
    check_asked(Request::Attest { index: 300, word: None }, "010afb2c0100");
    check_asked(
        Request::Attest { index: 300, word: Some(word()) },
        "010afb2c01017d01121212121212121212121212121212120703fb2c010404040404040404040404040404040404040404040404040404040404040404050505050505050505050505050505050505050505050505050505050505050506060606060606060606060606060606060606060606060606060606060606060204fc70110100d188ca2bd8d03f19ab372cc0375607793727acfef614d1493af4e8f4a541379a1c35adf317bef7170b58252f528dd63d8fd780a6aac5c72b0aaa01a534937300",
    );
    check(
        &Reply::Attested(vec![word()]),
        "0109017d01121212121212121212121212121212120703fb2c010404040404040404040404040404040404040404040404040404040404040404050505050505050505050505050505050505050505050505050505050505050506060606060606060606060606060606060606060606060606060606060606060204fc70110100d188ca2bd8d03f19ab372cc0375607793727acfef614d1493af4e8f4a541379a1c35adf317bef7170b58252f528dd63d8fd780a6aac5c72b0aaa01a534937300",
    );
}

#[test]
fn other_epoch() {
    check_asked(Request::Passage, "010b");
    let head = "07".repeat(32);
    check(&Reply::OtherEpoch(EPOCH), &["010a01", &head].concat());
    check(&Reply::Passage(None), "010b00");
    let shown = PassageReply { passage: vec![0xca, 0xfe], voted: true };
    check(&Reply::Passage(Some(shown)), "010b0102cafe01");
}

#[test]
fn report() {
    let key = IdentitySecret::from_seed([2; 32]);
    let report = Report {
        mesh: MeshId([0x12; 16]),
        reporter: MemberId(7),
        subject: MemberId(300),
        identity: key.public(),
        misconduct: Misconduct::Floods,
        reason: None,
        made_ms: 1_800_000_000_000,
    };
    check_asked(
        Request::Report(Signed::seal(&report, &key)),
        "010c40011212121212121212121212121212121207fb2c018139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3940100fd00505c18a30100003fc44e0a641e94967a085d13cf17925f182347eb750df7a8757874d462c9545ebb72485bf1b1952101eba6276d95f3bf7aa3ecb371bdd9bb66ecc659ef470c02",
    );
}

#[test]
fn reported() {
    check(&Reply::Reported(None), "010c00");
    let tally = Tally { have: 2, needed: 3, lineages: 4 };
    check(&Reply::Reported(Some(Ok(tally))), "010c0100020304");
    check(&Reply::Reported(Some(Err(NotTaken::TooSoon))), "010c010101");
    check(&Reply::Reported(Some(Err(NotTaken::TooMany))), "010c010102");
    let refused = Refusal::UnknownMember(MemberId(300));
    check(&Reply::Reported(Some(Err(refused.into()))), "010c01010006fb2c01");
}
