//! A voter that cheats: an honest daemon, and around it a host that lies in what goes out of it.
//!
//! ```text
//!  honest core ──question──> Traitor ──another question, or none──> the others
//!              ──answer────> Traitor ──another answer, or none────> whoever asked
//! ```
//!
//! It lies as `docs/adr/0025` says that a voter may: it signs what its log did not lead to, speaks of indexes, terms and
//! leaders that there are not, and as a source hands out what was not agreed, or nothing. As a leader it slips commands into
//! the log that nobody signed. It does not vote twice, forget what it acknowledged or send half of the others another log:
//! against that Raft has no defence, and nothing of the sort is promised (record 25, known gaps).
//!
//! It is a minority. While fewer than [`FEWEST_VOTERS`] vote it keeps to the truth, and until everybody has applied that so many do;
//! and should so few vote again later, for good: whoever is that far behind takes the word of those that voted then, and perhaps it
//! alone did.

pub(crate) mod log;
pub(crate) mod source;
pub(crate) mod speech;
pub(crate) mod terms;
pub(crate) mod words;

use std::collections::BTreeSet;

use bytes::Bytes;
use mesh_control::raft::Group;
use mesh_model::trust::EpochId;
use mesh_model::wire::sync::Pulled;
use mesh_model::{IdentitySecret, LogIndex, MemberId};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use self::speech::{Question, Reply, Request, close, open};
use crate::net::HostNo;

/// How many have to vote for one of them to be a minority.
pub const FEWEST_VOTERS: usize = 3;

/// How many vote as `group` knows; of two sets, while one is being exchanged for another, those of the smaller.
pub(crate) fn fewest_voters(group: &Group) -> usize {
    group.electorate().iter().map(BTreeSet::len).min().unwrap_or_default()
}

/// What it goes by when it lies.
pub(crate) struct Outlook {
    /// See [`fewest_voters`].
    pub(crate) voters: usize,
    /// One set of voters is being exchanged for another.
    pub(crate) changing: bool,
    /// How far the log is agreed, as it knows.
    pub(crate) commit: LogIndex,
    /// How far the one that is furthest behind has applied it.
    pub(crate) slowest: LogIndex,
}

/// What it may lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Its words: another state.
    State,
    /// Another log.
    Log,
    /// Other voters.
    Electorate,
    /// An index that nobody has reached.
    Future,
    /// A leader in a term that there was not.
    Lead,
    /// It tells nobody what others signed.
    Proofless,
    /// As a source it says nothing.
    Withhold,
    /// It says that it has more than it sends.
    Boast,
    /// It hands out a state from long ago.
    OldState,
    /// A state with a byte changed.
    DamagedState,
    /// Entries out of order, or not all.
    Shuffle,
    /// One entry in another's place.
    Swap,
    /// The same entries in other terms.
    Terms,
    /// It vouches for those that do not vote, and not for those that do.
    Vouch,
    /// It asks for votes in terms far ahead, and does not care who leads.
    Campaign,
    /// As a leader it puts into the log what nobody signed.
    Slip,
}

/// All of them.
const WAYS: [Way; 16] = [
    Way::State,
    Way::Log,
    Way::Electorate,
    Way::Future,
    Way::Lead,
    Way::Proofless,
    Way::Withhold,
    Way::Boast,
    Way::OldState,
    Way::DamagedState,
    Way::Shuffle,
    Way::Swap,
    Way::Terms,
    Way::Vouch,
    Way::Campaign,
    Way::Slip,
];

/// A message on its way out.
pub(crate) enum Said {
    /// As its honest core said it.
    Truth(Bytes),
    /// Something else.
    Lie(Bytes),
    /// It keeps this to itself.
    Nothing,
}

/// See the [module](self).
pub struct Traitor {
    /// On which host.
    pub host: HostNo,
    /// Who it is in the mesh, once it was up.
    pub member: Option<MemberId>,
    secret: IdentitySecret,
    rng: ChaCha8Rng,
    /// Those it lies in, in this run. One kind alone gets further than among many.
    ways: BTreeSet<Way>,
    /// Of how many messages it leaves none as it is.
    rate: f64,
    /// The first whole state it told of.
    old_state: Option<Vec<u8>>,
    bait: log::Bait,
    /// Its epoch, as it last heard its core say it.
    epoch: Option<EpochId>,
    /// The last place in the log that its core spoke of, with its term.
    last: Option<(u64, LogIndex)>,
    told: BTreeSet<Way>,
    lies: u64,
    /// Where the log was when so many voted that it was a minority.
    minority_since: Option<LogIndex>,
    /// And then so few that it was none.
    is_reformed: bool,
}

impl Traitor {
    /// The one on `host`, with the identity `secret`.
    pub fn new(host: HostNo, secret: IdentitySecret, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let ways = WAYS.into_iter().filter(|_| rng.random_bool(0.5)).collect();
        let rate = rng.random_range(0.1..0.8);
        Self {
            host,
            member: None,
            secret,
            rng,
            ways,
            rate,
            old_state: None,
            bait: log::Bait::default(),
            epoch: None,
            last: None,
            told: BTreeSet::new(),
            lies: 0,
            minority_since: None,
            is_reformed: false,
        }
    }

    /// Whether `member` is it.
    pub fn is(&self, member: MemberId) -> bool {
        self.member == Some(member)
    }

    /// How many lies it told.
    pub fn lies(&self) -> u64 {
        self.lies
    }

    /// Whether it is a minority, and nobody takes it for more.
    fn may_lie(&mut self, outlook: &Outlook) -> bool {
        let is_minority = outlook.voters >= FEWEST_VOTERS;
        self.is_reformed |= self.minority_since.is_some() && !is_minority;
        if is_minority && !outlook.changing {
            self.minority_since.get_or_insert(outlook.commit);
        }
        is_minority && self.minority_since.is_some_and(|since| outlook.slowest >= since)
    }

    /// Whether it lies `in_this` now.
    fn does(&mut self, in_this: Way) -> bool {
        let does =
            !self.is_reformed && self.ways.contains(&in_this) && self.rng.random_bool(self.rate);
        if does {
            self.told.insert(in_this);
            self.lies += 1;
        }
        does
    }

    /// What it asks in place of `request`.
    pub(crate) fn ask(&mut self, request: Bytes, outlook: &Outlook) -> Said {
        let may_lie = self.may_lie(outlook);
        let Some(Question { request: asked, epoch }) = open(&request) else {
            return match self.bait.is_set() && log::is_state(&request) {
                // What it holds itself would give it away.
                true => Said::Nothing,
                false => Said::Truth(request),
            };
        };
        self.epoch = Some(epoch);
        self.note_place(&asked);
        let told = match asked {
            // What was slipped in once stays there, whoever votes by now.
            Request::Append(append) => self.bait.slip_into(append).map(Request::Append),
            Request::Attest { index, word: Some(word) } if may_lie => {
                self.forge(&word).map(|word| {
                    let index = word.peek().map_or(index, |word| word.at.index);
                    Request::Attest { index, word: Some(word) }
                })
            }
            _ => None,
        };
        match told {
            Some(request) => {
                self.lies += 1;
                Said::Lie(close(&Question { request, epoch }))
            }
            None => Said::Truth(request),
        }
    }

    /// What it answers in place of `answer`.
    pub(crate) fn answer(&mut self, answer: Bytes, outlook: &Outlook) -> Said {
        if !self.may_lie(outlook) {
            return Said::Truth(answer);
        }
        let told = match open(&answer) {
            Some(Reply::Pulled(_)) if self.does(Way::Withhold) => return Said::Nothing,
            Some(Reply::Pulled(Pulled::News(news))) => {
                self.bend(*news).map(|news| Reply::Pulled(Pulled::News(Box::new(news))))
            }
            Some(Reply::Attested(words)) => self.retell(words).map(Reply::Attested),
            Some(Reply::IsVoter(votes)) if self.does(Way::Vouch) => Some(Reply::IsVoter(!votes)),
            _ => None,
        };
        told.map_or(Said::Truth(answer), |told| Said::Lie(close(&told)))
    }
}
