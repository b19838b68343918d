//! The encoded messages of strangers, the statements that members and admins sign, and files that people carry about: what is
//! accepted can be written, and read again.

use mesh_model::backup::Backup;
use mesh_model::codec::{self, Message};
use mesh_model::facts::Facts;
use mesh_model::snapshot::SnapshotHead;
use mesh_model::trust::{
    AccessPolicy, AdminChange, Admission, Departure, Epoch, Genesis, Invite, MemberRecord, Rekey,
    Report, Request, Revocation, Tagging, Token, Verdict, VoterPolicy,
};
use mesh_model::wire::echo::Echo;
use mesh_model::wire::join::{JoinReply, JoinRequest};
use mesh_model::wire::sync::Checkpoint;

use crate::cursor::Cursor;

/// Decodes the input as the message its first byte chooses. New kinds go to the end: inputs that were kept say theirs.
pub fn run(input: &[u8]) {
    let mut cursor = Cursor::new(input);
    let kind = cursor.u8();
    let bytes = cursor.rest();
    match kind % 23 {
        0 => message::<JoinRequest>(bytes),
        1 => message::<JoinReply>(bytes),
        2 => message::<Facts>(bytes),
        3 => message::<Invite>(bytes),
        4 => message::<MemberRecord>(bytes),
        5 => message::<Admission>(bytes),
        6 => message::<Departure>(bytes),
        7 => message::<Genesis>(bytes),
        8 => token(bytes),
        9 => echo(bytes),
        10 => message::<Rekey>(bytes),
        11 => message::<Verdict>(bytes),
        12 => message::<Report>(bytes),
        13 => message::<Revocation>(bytes),
        14 => message::<AdminChange>(bytes),
        15 => message::<Tagging>(bytes),
        16 => message::<VoterPolicy>(bytes),
        17 => message::<AccessPolicy>(bytes),
        18 => message::<Epoch>(bytes),
        19 => message::<Checkpoint>(bytes),
        20 => message::<Request>(bytes),
        21 => message::<SnapshotHead>(bytes),
        _ => message::<Backup>(bytes),
    }
}

fn message<M: Message>(bytes: &[u8]) {
    let Ok(message) = codec::decode::<M>(bytes) else { return };
    assert!(bytes.len() <= M::LIMIT);
    // A number may have been written longer than it need be, so the bytes may differ: once.
    let written = codec::encode(&message);
    assert!(written.len() <= bytes.len());
    let again = codec::decode::<M>(&written).expect("what was written is read");
    assert_eq!(codec::encode(&again), written);
}

fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = text.parse::<Token>() else { return };
    token.verified_invite().expect("it was verified when it was read");
    let written = token.to_text();
    let again: Token = written.parse().expect("what was written is read");
    assert_eq!(*again.to_text(), *written);
}

fn echo(bytes: &[u8]) {
    if let Some(echo) = Echo::parse(bytes) {
        assert_eq!(echo.encode(), bytes);
    }
}
