//! A member that meets something newer than itself.
//!
//! Members of two neighbouring versions run together (record 32), and nothing is agreed that one of them cannot read
//! ([`editions`](super::editions)). One that was left behind further, or went back too far, hears voters speak a
//! version it does not understand. It cannot know what they agree on, so it asks nobody for a vote, says so, and
//! goes on with what it has: the view, and the tunnels that follow from it. Its leader hears no answer from it, takes it for silent, and gives
//! its vote to another after the settle time.
//!
//! ```text
//!            a voter speaks a newer version
//! current ────────────────────────────────────> outdated    no candidate, says so
//!         and no leader is understood, or it is the leader
//!         <────────────────────────────────────
//!          a leader is understood: it was upgraded, or they went back
//! ```
//!
//! **What the leader says in between.** Only what a newer version brought is said in its words: a leader's signs of life are
//! understood by a member that cannot read its entries. One that answered them would look like a voter that is merely slow. So
//! it answers them no more until there are entries it can read, or another term, and gives nobody its vote meanwhile.
//!
//! **Votes are not refused for ever.** What a leader said need never have been agreed: it may have written it unasked, told it to
//! all others and gone, and if none of them voted again, nobody would ever lead. So once nobody has said such a thing for [`LASTS`], an
//! outdated member votes and asks for votes as any other. That is safe: who holds what was agreed elects nobody that does not.
//!
//! A version is said by one byte, and a plain member could say any: who has a vote believes only voters. One of them may
//! lie, and block elections; so it may anyhow. Who has none hears what was agreed from plain members, and has nothing to
//! lose by believing them: it campaigns for nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_model::codec::CodecError;
use mesh_model::{MemberId, Term};
use openraft::async_runtime::Instant as _;
use openraft::type_config::TypeConfigExt as _;

use super::group::{Group, Inner, leadership};
use super::rpc::{Request, RpcError};
use super::status::Role;
use super::types::{Instant, Types};

/// For how long what was not understood counts after it was said last. A leader says it again several times a second, and a
/// candidate every few; many elections fit in, and whoever waits for one is still looking.
const LASTS: Duration = Duration::from_secs(20);

/// What was heard and not understood.
#[derive(Default)]
pub(super) struct Outdated(Mutex<Option<Unread>>);

struct Unread {
    error: CodecError,
    said: Instant,
    /// The term whose leader said it, and when it did last; `None` if it was another voter.
    by_leader: Option<(Term, Instant)>,
}

/// Whether what was said at `said` counts still.
fn lasts(said: Instant) -> bool {
    said.elapsed() < LASTS
}

impl Outdated {
    /// Keeps `heard`, and says whether there was something else before.
    fn replace(&self, heard: Option<Unread>) -> bool {
        let mut kept = self.lock();
        let differs = kept.is_some() != heard.is_some();
        // What others say besides does not make a leader understood.
        let by_leader = kept.as_ref().and_then(|unread| unread.by_leader);
        *kept = heard.map(|heard| Unread { by_leader: heard.by_leader.max(by_leader), ..heard });
        differs
    }

    pub(super) fn get(&self) -> Option<CodecError> {
        self.lock().as_ref().map(|unread| unread.error.clone())
    }

    /// Whether somebody has said it a moment ago, so that this host is no candidate.
    pub(super) fn is_fresh(&self) -> bool {
        self.lock().as_ref().is_some_and(|unread| lasts(unread.said))
    }

    /// Whether a leader sent what this host cannot read.
    pub(super) fn lacks_entries(&self) -> bool {
        self.by_leader().is_some()
    }

    /// An error if `request` is not answered by a host that lacks entries: a question for its vote, or a sign of life of the
    /// leader that sent them, or of one before it.
    pub(super) fn check(&self, request: &Request) -> Result<(), RpcError> {
        let Some(lacks_of) = self.by_leader() else {
            return Ok(());
        };
        match request {
            Request::Vote(_) | Request::PreVote(_) => Err(RpcError::Outdated),
            Request::Append(append) if append.is_empty() && append.term() <= lacks_of => {
                Err(RpcError::Outdated)
            }
            _ => Ok(()),
        }
    }

    /// The term of the leader that said it, if that was a moment ago.
    fn by_leader(&self) -> Option<Term> {
        let by_leader = self.lock().as_ref().and_then(|unread| unread.by_leader);
        by_leader.filter(|(_, said)| lasts(*said)).map(|(term, _)| term)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Unread>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    /// What this host's voters say in a version that this build does not understand; `None` while it understands its
    /// leader.
    pub fn outdated(&self) -> Option<CodecError> {
        let inner = self.inner();
        let leads = leadership(&inner.raft).role == Role::Leader;
        inner.outdated.get().filter(|_| !leads)
    }
}

impl Inner {
    /// `from` said something that is `unread`.
    pub(super) fn note_unread(&self, from: MemberId, unread: &CodecError) {
        let voters = self.known_voters();
        let votes = voters.contains(&self.me);
        if !unread.is_newer() || votes && !voters.contains(&from) {
            return;
        }
        let believed = leadership(&self.raft);
        if believed.leader == Some(self.me) {
            // Somebody wants what this host cannot read, and nothing of that is agreed while it leads.
            return;
        }
        let said = Types::now();
        let by_leader = (believed.leader == Some(from)).then_some((believed.term, said));
        // Whoever still understands its leader, or leads, has not been left behind by the others. A voter has to
        // understand it itself.
        if by_leader.is_none()
            && self.confirmed_leadership().leader.is_some_and(|leader| !votes || self.hears(leader))
        {
            return;
        }
        let heard = Unread { error: unread.clone(), said, by_leader };
        if self.outdated.replace(Some(heard)) {
            tracing::warn!(%from, %unread, "the mesh has gone on to a newer version; this host does not vote");
        }
    }

    /// A leader was understood.
    pub(super) fn note_read(&self) {
        if self.outdated.replace(None) {
            tracing::info!("the mesh's version is understood again");
        }
    }
}
