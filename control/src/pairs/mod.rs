//! The keys that pairs of members agree on, so that tunnels recorded today stay closed to who can break X25519 one day.
//!
//! Members speak QUIC with each other inside their tunnels, with a key exchange that is not broken in that way. From one
//! such connection both ends derive the same 32 bytes, and WireGuard mixes them into the pair's next handshakes as a
//! pre-shared key: the *pair key*. Of a pair, the one with the lower id asks:
//!
//! ```text
//!    lower id                                        higher id
//! a session stands that has no pair key ─────────────────┐
//! Event::AskKey: a connection is made for it             │
//!    both ends derive the key from it                    │
//!        "from now on" ──────────────────────> the key is in its packet core
//!        <──────────────────────────── "yes"
//! the key is in its packet core
//! Update::RenewPeer: a handshake ────────────> both mix the key in
//! ```
//!
//! Nothing is written down. A host that was started anew has no key and makes a session without one; both ends see that and
//! what is drawn above happens again. So it does when an answer was lost, or when two hosts have come to think differently for
//! any other reason: there is no state that a session without a key does not lead out of. Who is asked and has no use for a
//! key (an older version, or one whose operator does not want any) refuses, and is asked again at the next session. That is
//! two minutes later, or it was started anew and may agree on keys now; one that makes sessions on purpose is not asked, nor
//! listened to, more often for that.

mod pair;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mesh_model::plan::{Plan, Preshared};
use mesh_model::{MemberId, PresharedKey};

use pair::Pair;

/// A key older than this is replaced at the next session: a day's traffic hangs on one, so what a thief can read who takes it from a
/// host's memory ends within a day.
pub const RENEWED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long after a key was agreed a session without it is no reason to ask again: the handshake with it is
/// under way, and one that was begun before it may end first. Three round trips over the longest line.
const SETTLING: Duration = Duration::from_secs(2);

/// The pause before a question that failed is asked again; each further one is twice as long. Whoever asks another host keeps to
/// it, so one that offers a key sooner after the last is not listened to: each has the whole plan made anew.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The pause after a refusal, however soon there is another session: long enough for a daemon to be started anew.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// Questions after one session that stay without an answer, over a minute in all. Then the next session has to bring another
/// one: a peer that is gone is not called for ever.
const MAX_TRIES: u32 = 6;

/// Questions under way at a time. Each is a QUIC handshake, and a host that is started anew in a mesh of a thousand has them all to ask: the few
/// that are under way leave agreement its turn.
const ASKED_AT_ONCE: usize = 8;

/// Whether pairs of members agree on keys besides WireGuard's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PostQuantum {
    /// This host agrees on none.
    #[default]
    Off,
    /// With everybody who can.
    Prefer,
    /// With everybody; without a key programs here exchange nothing with a member.
    Require,
}

/// Why a question brought no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The member is there, and agrees on no keys.
    Refused,
    /// It was not reached, or did not answer.
    Failed,
}

/// This host's pair keys: at most one for each present member.
pub(crate) struct Pairs {
    me: MemberId,
    mode: PostQuantum,
    pairs: BTreeMap<MemberId, Pair>,
    /// To be asked once it is time.
    later: BTreeSet<(Instant, MemberId)>,
    /// To be asked as soon as there is room.
    due: BTreeSet<MemberId>,
    /// Asked, and not heard from yet.
    asked: BTreeSet<MemberId>,
    /// A new session is to be made with these.
    renewals: BTreeSet<MemberId>,
}

impl Pairs {
    pub(crate) fn new(me: MemberId, mode: PostQuantum) -> Self {
        Self {
            me,
            mode,
            pairs: BTreeMap::new(),
            later: BTreeSet::new(),
            due: BTreeSet::new(),
            asked: BTreeSet::new(),
            renewals: BTreeSet::new(),
        }
    }

    /// Forgets all but `is_present`.
    pub(crate) fn keep(&mut self, is_present: impl Fn(MemberId) -> bool) {
        self.pairs.retain(|member, _| is_present(*member));
        self.later.retain(|(_, member)| is_present(*member));
        for members in [&mut self.due, &mut self.asked, &mut self.renewals] {
            members.retain(|member| is_present(*member));
        }
    }

    /// There is a new session with `member`, a present one, made with a pair key or without.
    pub(crate) fn handle_session(&mut self, member: MemberId, is_paired: bool, now: Instant) {
        // The one with the higher id waits to be asked.
        if self.mode == PostQuantum::Off || member <= self.me {
            return;
        }
        match self.pair(member).want(is_paired, now) {
            None => {
                self.later.retain(|(_, other)| *other != member);
                self.due.remove(&member);
            }
            Some(_) if self.is_under_way(member) => {}
            Some(at) => {
                self.pair(member).begin();
                self.schedule(member, at, now);
            }
        }
    }

    /// `member`, a present one, has asked this host to take `key`. Whether it does.
    pub(crate) fn handle_offer(
        &mut self,
        member: MemberId,
        key: PresharedKey,
        now: Instant,
    ) -> bool {
        self.mode != PostQuantum::Off && member < self.me && self.pair(member).take(key, now)
    }

    /// What became of the question to `member`. Whether the plan follows from something else now.
    pub(crate) fn handle_answer(
        &mut self,
        member: MemberId,
        answer: Result<PresharedKey, NoKey>,
        now: Instant,
    ) -> bool {
        // Whoever has gone meanwhile is forgotten.
        if !self.asked.remove(&member) {
            return false;
        }
        let pair = self.pair(member);
        match answer {
            Ok(key) => {
                pair.agree(key, now);
                self.renewals.insert(member);
                true
            }
            Err(NoKey::Refused) => pair.refused(now),
            Err(NoKey::Failed) => {
                if let Some(pause) = pair.fail() {
                    self.schedule(member, now + pause, now);
                }
                false
            }
        }
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, member)) = self.later.first().copied().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, member));
            self.due.insert(member);
        }
    }

    /// When there is something to do, and what.
    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.later.first().map(|(at, _)| (*at, "pair key"))
    }

    /// The next member to ask for a key.
    pub(crate) fn poll_ask(&mut self) -> Option<MemberId> {
        if self.asked.len() >= ASKED_AT_ONCE {
            return None;
        }
        let member = self.due.pop_first()?;
        self.asked.insert(member);
        Some(member)
    }

    /// The next member to make a new session with.
    pub(crate) fn poll_renewal(&mut self) -> Option<MemberId> {
        self.renewals.pop_first()
    }

    /// Adds the keys to `plan`.
    pub(crate) fn add_to(&self, plan: &mut Plan) {
        if self.mode == PostQuantum::Off {
            return;
        }
        for peer in plan.peers.values_mut() {
            let key = self.pairs.get(&peer.member).and_then(|pair| pair.key().cloned());
            let is_required = self.mode == PostQuantum::Require;
            peer.preshared = Preshared::Agreed { key, is_required };
        }
    }

    fn pair(&mut self, member: MemberId) -> &mut Pair {
        self.pairs.entry(member).or_default()
    }

    fn is_under_way(&self, member: MemberId) -> bool {
        self.due.contains(&member)
            || self.asked.contains(&member)
            || self.later.iter().any(|(_, other)| *other == member)
    }

    fn schedule(&mut self, member: MemberId, at: Instant, now: Instant) {
        if at <= now {
            self.due.insert(member);
        } else {
            self.later.insert((at, member));
        }
    }
}
