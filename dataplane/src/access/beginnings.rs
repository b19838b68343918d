//! Who began what, as far as it is remembered.
//!
//! ```text
//! TCP, echo    begin with a packet that says so: what this host began is ours
//! UDP, others  who speaks first has begun: ours, or theirs if a rule let it in
//! ```
//!
//! What nobody speaks in for a while has ended, and can be begun anew. What is **theirs** is remembered for one purpose: when
//! the rule is taken back, answers of this host must not pass for a beginning, not even those of a server that goes on sending
//! of itself. Those that are answered without a rule are **cut** off, and remembered where peers put nothing. The room for
//! what is theirs a peer can fill, though nobody's but its own: what it pushes out does not become ours by that, for in the
//! [`AFTERMATH`] of a rule nothing new is begun with whoever had flows forgotten.
//!
//! **At first nobody knows.** What is older than the first policy, or than this daemon, was begun by somebody. While that is so
//! ([`BLIND`]) the side of a TCP flow with the lower port passes for the server, unless a rule opens our port to the peer: then
//! the peer may be the one who began. What leaves over UDP from such a port passes for an answer. Once a rule was taken
//! back, no TCP flow is taken up any more.

use std::time::{Duration, Instant};

use super::flows::{Flow, Flows, UDP_PATIENCE};

/// How long flows may be there whose beginning was not seen, from when the first peer was held to anything. A TCP flow that
/// goes on at all says something in that time, and one of UDP has ended without.
const BLIND: Duration = Duration::from_secs(UDP_PATIENCE as u64);

/// How long something may be answered that a rule had let in which was taken back.
const AFTERMATH: Duration = Duration::from_secs(UDP_PATIENCE as u64);

/// Rows of 8 for what this host begins. All together 32,768 flows, as many as it has ports to begin them from, half of them
/// with one peer. 768 KiB.
const OURS: usize = 4_096;

/// Rows of 8 for what peers begin over UDP. Half of them hold a dozen new flows a second of one peer. 192 KiB.
const THEIRS: usize = 1_024;

/// Rows of 8 for those of them that this host goes on answering without a rule. 96 KiB.
const CUT: usize = 512;

/// See the [module](self).
pub(super) struct Beginnings {
    ours: Flows,
    theirs: Flows,
    cut: Flows,
    /// When the first peer was held to anything.
    since: Option<Instant>,
    /// When a rule was last taken back, from whomever.
    taken_back: Option<Instant>,
}

impl Beginnings {
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        let [ours, theirs, cut] = [OURS, THEIRS, CUT].map(|rows| Flows::new(rows, seed, now));
        Self { ours, theirs, cut, since: None, taken_back: None }
    }

    /// Somebody is held to something from now on.
    pub(super) fn watch(&mut self, now: Instant) {
        self.ours.make_room();
        self.theirs.make_room();
        self.cut.make_room();
        self.since.get_or_insert(now);
    }

    /// Somebody may begin less from now on.
    pub(super) fn take_back(&mut self, now: Instant) {
        self.taken_back = Some(now);
    }

    /// This host began `flow`.
    pub(super) fn begin(&mut self, flow: Flow, now: Instant) {
        self.ours.remember(flow, now);
    }

    /// Whether this host began `flow`, which was heard of.
    pub(super) fn refresh(&mut self, flow: Flow, now: Instant) -> bool {
        self.ours.refresh(flow, now)
    }

    /// Whether this host began `flow`.
    pub(super) fn knows(&self, flow: Flow, now: Instant) -> bool {
        self.ours.knows(flow, now)
    }

    /// Whether a TCP flow that nobody has seen begin may be taken up.
    pub(super) fn takes_up(&self, now: Instant) -> bool {
        self.is_blind(now) && self.taken_back.is_none()
    }

    /// This host speaks in `flow`, which shows no beginning. `is_open` says whether a rule lets the peer begin it.
    pub(super) fn speak(&mut self, flow: Flow, is_open: bool, now: Instant) {
        if is_open && self.theirs.refresh(flow, now) || self.ours.refresh(flow, now) {
            return;
        }
        let is_theirs = self.theirs.knows(flow, now) || self.cut.knows(flow, now);
        match is_theirs || self.may_be_answer(flow, is_open, now) {
            true if is_open => self.theirs.remember(flow, now),
            true => self.cut.remember(flow, now),
            false => self.ours.remember(flow, now),
        }
    }

    /// The peer speaks in `flow`, which shows no beginning. Whether it is let in: by a rule if `is_open`, or in answer.
    pub(super) fn hear(&mut self, flow: Flow, is_open: bool, now: Instant) -> bool {
        if is_open && self.theirs.refresh(flow, now) || self.ours.refresh(flow, now) {
            return true;
        }
        if is_open {
            self.theirs.remember(flow, now);
        }
        is_open
    }

    /// Whether `flow`, which nobody knows, may be the peer's: of the time before, or by a rule that is gone.
    fn may_be_answer(&self, flow: Flow, is_open: bool, now: Instant) -> bool {
        let is_recent = |at| now.saturating_duration_since(at) < AFTERMATH;
        is_open && self.is_blind(now)
            || self.taken_back.is_some_and(is_recent) && self.theirs.has_lost(flow.member, now)
            || self.cut.has_lost(flow.member, now)
    }

    fn is_blind(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) < BLIND)
    }
}
