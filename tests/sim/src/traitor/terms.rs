//! What the traitor asks by itself.

use bytes::Bytes;
use mesh_control::command::Command;
use rand::RngExt as _;

use super::speech::{Candidacy, LogId, Question, Request, Vote, close};
use super::{Traitor, Way};

/// How many terms ahead it campaigns at most.
const LEAP: u64 = 1 << 10;

impl Traitor {
    pub(super) fn note_place(&mut self, asked: &Request) {
        if let Request::Attest { word: Some(word), .. } = asked
            && let Ok(word) = word.peek()
        {
            self.last = Some((word.lead.term.max(word.at.term), word.at.index));
        }
    }

    /// "Vote for me, in a term far ahead, because the leader wants it so and my log is longer than yours."
    pub(crate) fn campaign(&mut self) -> Option<Bytes> {
        let (Some(epoch), Some((term, index)), Some(me)) = (self.epoch, self.last, self.member)
        else {
            return None;
        };
        if !self.does(Way::Campaign) {
            return None;
        }
        let later = term + self.rng.random_range(1..LEAP);
        self.last = Some((later, index));
        let candidacy = Candidacy {
            vote: Vote { term: later, node: me.0, committed: false },
            last: Some(LogId { term: later - 1, index: index + LEAP }),
            transfer: true,
        };
        let asked = match self.rng.random_bool(0.5) {
            true => Request::Vote(candidacy),
            false => Request::PreVote(candidacy),
        };
        Some(close(&Question { request: asked, epoch }))
    }

    /// Whether it has `proposed` stand for `forged`, in the `term` it leads in.
    pub(crate) fn slip(&mut self, term: u64, proposed: &Command, forged: Command) -> bool {
        let does = self.does(Way::Slip);
        if does {
            self.bait.set(term, proposed.clone(), forged);
        }
        does
    }
}
