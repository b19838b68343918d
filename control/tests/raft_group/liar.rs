//! A source that lies: what it tells those that follow it, in place of what its honest core said.
//!
//! These are the words of agreement once more, as far as it takes them apart; what has no fields here does not decode, and
//! goes on as it came.

use std::collections::BTreeSet;

use mesh_control::command::Proposal;
use mesh_model::codec;
use mesh_model::wire::sync::{Checkpoint, LogHash, News, Pulled};
use mesh_model::{IdentitySecret, MemberId, Signed};
use serde::{Deserialize, Serialize};

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Reply {
    Append,
    Vote,
    TransferLeader,
    Snapshot,
    Propose,
    IsVoter,
    HandOver,
    ReadIndex,
    Pulled(Pulled),
}

mesh_model::message!(Reply, "agreement reply", version 1, limit codec::MAX_MESSAGE);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LogId {
    term: u64,
    index: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    id: LogId,
    payload: Payload,
}

mesh_model::message!(Entry, "log entry", version 1, limit codec::MAX_MESSAGE);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Payload {
    Blank,
    Proposal(Proposal),
    Membership { configs: Vec<BTreeSet<u64>>, nodes: BTreeSet<u64> },
}

/// What a source lies about.
#[derive(Debug, Clone)]
pub(crate) enum Lie {
    /// The first entry says what was not agreed.
    Content,
    /// The first entry makes this one the only voter.
    Membership(MemberId),
    /// The same, and this voter signs for it in place of all others.
    Usurped(MemberId, Box<IdentitySecret>),
    /// The words of voters are signed with this key.
    Words(Box<IdentitySecret>),
}

impl Lie {
    /// What is told in place of `answer`; `None`: it has nothing to lie about.
    pub(crate) fn tell(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let Ok(Reply::Pulled(Pulled::News(honest))) = codec::decode(answer) else { return None };
        let mut news = honest.clone();
        self.bend(&mut news);
        (news != honest).then(|| codec::encode(&Reply::Pulled(Pulled::News(news))))
    }

    fn bend(&self, news: &mut News) {
        match self {
            Self::Content => bend_first(news, |entry| entry.payload = Payload::Blank),
            Self::Membership(member) => usurp(news, *member),
            Self::Usurped(member, secret) => {
                usurp(news, *member);
                // As well as it can: what the forged entry leads to is nothing that others hold.
                resay(news, secret, |said| {
                    (said.member, said.log) = (*member, LogHash([7; 32]));
                });
            }
            Self::Words(secret) => resay(news, secret, |_| {}),
        }
    }
}

fn usurp(news: &mut News, member: MemberId) {
    bend_first(news, |entry| {
        let alone: BTreeSet<u64> = [member.0].into();
        entry.payload = Payload::Membership { configs: vec![alone.clone()], nodes: alone };
    });
}

/// The voters' words, changed, under the key `secret`.
fn resay(news: &mut News, secret: &IdentitySecret, change: impl Fn(&mut Checkpoint)) {
    for word in &mut news.checkpoints {
        if let Ok(mut said) = word.peek() {
            change(&mut said);
            *word = Signed::seal(&said, secret);
        }
    }
}

fn bend_first(news: &mut News, bend: impl FnOnce(&mut Entry)) {
    let Some(first) = news.entries.first_mut() else { return };
    let Ok(mut entry) = codec::decode::<Entry>(first) else { return };
    bend(&mut entry);
    *first = codec::encode(&entry);
}
