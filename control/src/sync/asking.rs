//! [`Sync`] itself: what it knows, what it is told, and when the next question is due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use mesh_model::{LogIndex, MemberId};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::progress::Gains;
use super::source::Source;
use super::{Ask, HOLD, Heard, MAX_DEPTH, Moment, PreferenceError, preference};

/// What is added to [`HOLD`] for the way there and back: a member that is slower is not near.
const TRAVEL: Duration = Duration::from_millis(1500);

/// How long a snapshot may take: 5 MB (10,000 members, compressed) at 4 Mbit/s.
const SNAPSHOT_TRAVEL: Duration = Duration::from_secs(10);

/// How long a leader may be silent before one it is to feed looks elsewhere: a lease and an election.
pub const FED_PATIENCE: Duration = Duration::from_secs(2);

/// How long news may take to come down the tree after gossip told of it. Then another source is asked.
pub(super) const HURRY: Duration = Duration::from_millis(700);

/// The pause after an answer that came at once and held nothing: a correct source waits first.
const NOTHING_PAUSE: Duration = Duration::from_millis(200);

/// The question that is under way.
#[derive(Debug, Clone, Copy)]
struct Asking {
    to: MemberId,
    since: Moment,
    until: Moment,
}

/// News that gossip told of and that has not come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hurry {
    index: LogIndex,
    pub(super) by: MemberId,
    pub(super) at: Moment,
    /// How many sources were left because of it.
    pub(super) left: u8,
}

/// One member's way to what was agreed; see the [module](super).
pub struct Sync {
    me: MemberId,
    pub(super) rng: ChaCha8Rng,
    pub(super) sources: BTreeMap<MemberId, Source>,
    /// Those the leader feeds, as far as this member knows.
    pub(super) fed: BTreeSet<MemberId>,
    pub(super) leader: Option<MemberId>,
    /// This member leads and is confirmed.
    pub(super) leads: bool,
    heard_leader_at: Option<Moment>,
    pub(super) own: LogIndex,
    asking: Option<Asking>,
    pub(super) following: Option<MemberId>,
    pub(super) suggested: VecDeque<MemberId>,
    pub(super) preferred: Vec<MemberId>,
    snapshot: bool,
    pub(super) hurry: Option<Hurry>,
    /// How far what the source sent leads that waits for its proof: nobody else has news before that, and whoever was asked instead would
    /// have to send all of it again.
    pub(super) drafted: LogIndex,
    not_before: Option<Moment>,
    pub(super) gains: Gains,
}

impl Sync {
    /// Starts with nobody to ask.
    pub fn new(me: MemberId, seed: [u8; 32]) -> Self {
        let seed = blake3::derive_key("meshd v1 sync choices", &seed);
        Self {
            me,
            rng: ChaCha8Rng::from_seed(seed),
            sources: BTreeMap::new(),
            fed: BTreeSet::new(),
            leader: None,
            leads: false,
            heard_leader_at: None,
            own: 0,
            asking: None,
            following: None,
            suggested: VecDeque::new(),
            preferred: Vec::new(),
            snapshot: false,
            hurry: None,
            drafted: 0,
            not_before: None,
            gains: Gains::default(),
        }
    }

    /// The present members.
    pub fn handle_members(&mut self, members: impl Iterator<Item = MemberId>) {
        let mut before = std::mem::take(&mut self.sources);
        for member in members.filter(|member| *member != self.me) {
            let source = before.remove(&member).unwrap_or_default();
            self.sources.insert(member, source);
        }
        let sources = &self.sources;
        self.suggested.retain(|member| sources.contains_key(member));
        self.preferred.retain(|member| sources.contains_key(member));
        self.asking = self.asking.filter(|asking| sources.contains_key(&asking.to));
        if self.following.is_some_and(|member| !sources.contains_key(&member)) {
            self.follow_nobody();
        }
    }

    /// Who takes part in agreement, who leads, and whether that is this member.
    pub fn handle_agreement(
        &mut self,
        fed: BTreeSet<MemberId>,
        leader: Option<MemberId>,
        leads: bool,
    ) {
        self.fed = fed;
        self.leader = leader;
        self.leads = leads;
    }

    /// The leader itself spoke to this member.
    pub fn handle_leader_heard(&mut self, at: Moment) {
        self.heard_leader_at = self.heard_leader_at.max(Some(at));
    }

    /// Gossip knows `member`: whether it answers, and how far it says it has applied the log. `true` if that changes what is
    /// to be done.
    pub fn handle_sighting(
        &mut self,
        member: MemberId,
        dead: bool,
        applied: LogIndex,
        now: Moment,
    ) -> bool {
        let Some(source) = self.sources.get_mut(&member) else { return false };
        let stirs = source.dead && !dead || source.applied < applied;
        if stirs {
            source.stirred();
        }
        source.dead = dead;
        source.applied = source.applied.max(applied);
        let reliable = source.unreliable_until.is_none_or(|until| until <= now);
        if reliable && applied > self.own.max(self.drafted) && self.hurry.is_none() {
            self.hurry = Some(Hurry { index: applied, by: member, at: now + HURRY, left: 0 });
            return true;
        }
        stirs && self.asking.is_none()
    }

    /// This member has applied `index`.
    pub fn handle_applied(&mut self, index: LogIndex, now: Moment) {
        let gained = index.saturating_sub(self.own);
        self.own = self.own.max(index);
        self.hurry = self.hurry.filter(|hurry| hurry.index > self.own);
        if gained > 0 && index > gained {
            self.gains.note(gained, now);
        }
    }

    /// What came of asking `from`.
    pub fn handle_answer(&mut self, from: MemberId, heard: Heard, now: Moment) {
        let Some(asked) = self.asking.take_if(|asking| asking.to == from) else { return };
        let Some(source) = self.sources.get_mut(&from) else { return };
        match heard {
            Heard::News { gained, withholds, proven, drafted, held, depth, attached } => {
                let took = now.saturating_sub(asked.since);
                source.answered(took.saturating_sub(held));
                source.applied = source.applied.max(proven);
                self.snapshot = false;
                if gained == 0 && (!attached || depth >= MAX_DEPTH || withholds) {
                    source.idle(now);
                    self.leave(from);
                } else {
                    self.following = Some(from);
                    self.drafted = drafted;
                    self.hurry = self.hurry.filter(|hurry| hurry.index > drafted);
                }
                if gained == 0 && held < NOTHING_PAUSE {
                    self.not_before = Some(now + NOTHING_PAUSE);
                }
            }
            Heard::Busy(instead) => {
                source.busy(now);
                self.leave(from);
                self.suggest(instead);
            }
            Heard::Adrift => {
                source.idle(now);
                self.leave(from);
            }
            Heard::Silent => self.give_up_on(from, now),
            Heard::Wrong => {
                source.gave_wrong(now);
                self.leave(from);
            }
        }
    }

    /// The operator prefers these, the first most of all, or nobody.
    pub fn handle_preference(&mut self, preferred: &[MemberId]) -> Result<(), PreferenceError> {
        let is_member = |member: &MemberId| self.sources.contains_key(member);
        self.preferred = preference::check(preferred, self.me, is_member)?;
        self.begin_anew();
        Ok(())
    }

    /// What the operator asked of `before`, which this one takes the place of.
    pub(crate) fn inherit(&mut self, before: &Self) {
        let is_source = |member: &&MemberId| self.sources.contains_key(member);
        self.preferred = before.preferred.iter().filter(is_source).copied().collect();
        self.snapshot = before.snapshot;
    }

    /// What `member` sent when it was asked for something else was proven wrong.
    pub fn handle_refuted(&mut self, member: MemberId, now: Moment) {
        if let Some(source) = self.sources.get_mut(&member) {
            source.gave_wrong(now);
        }
        self.leave(member);
    }

    /// The operator wants this member to look again: nobody is rested from or doubted.
    pub fn handle_resync(&mut self) {
        self.sources.values_mut().for_each(Source::forgive);
        self.begin_anew();
    }

    /// The operator wants the whole state at once.
    pub fn handle_fast(&mut self) {
        self.snapshot = true;
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        self.asking = None;
        self.follow_nobody();
        self.not_before = None;
    }

    /// The next question, if it is time for one.
    pub fn poll_ask(&mut self, now: Moment) -> Option<Ask> {
        if !self.needs(now) {
            self.asking = None;
            self.follow_nobody();
            return None;
        }
        if let Some(asking) = self.asking {
            if asking.until <= now {
                self.give_up_on(asking.to, now);
            } else if self.hurry.is_none_or(|hurry| hurry.at > now) {
                return None;
            } else if self.holds_out(now) {
                self.hurry = self.hurry.map(|hurry| Hurry { at: now + HURRY, ..hurry });
                return None;
            } else {
                self.look_elsewhere(asking.to, now);
            }
            self.asking = None;
        }
        if self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        let to = self.choose(now)?;
        // One that has not served yet is to answer at once: it may not be there.
        let hold = if self.following == Some(to) { HOLD } else { Duration::ZERO };
        let travel = if self.snapshot { SNAPSHOT_TRAVEL } else { TRAVEL };
        let limit = hold + travel;
        self.asking = Some(Asking { to, since: now, until: now + limit });
        Some(Ask { to, hold, limit, snapshot: self.snapshot })
    }

    /// Whether a question is under way.
    pub fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Whether the members it knows are `members`, by id, itself among them or not.
    pub fn knows(&self, members: impl Iterator<Item = MemberId>) -> bool {
        self.sources.keys().copied().eq(members.filter(|member| *member != self.me))
    }

    /// When to ask [`poll_ask`](Self::poll_ask) again, and why.
    pub fn poll_timeout(&self, now: Moment) -> Option<(Moment, &'static str)> {
        if !self.needs(now) {
            let heard = self.heard_leader_at.filter(|_| !self.leads)?;
            return Some((heard + FED_PATIENCE, "the leader may fall silent"));
        }
        if let Some(asking) = self.asking {
            let hurry = self.hurry.map(|hurry| (hurry.at, "gossip told of news"));
            return hurry.into_iter().chain([(asking.until, "a source may not answer")]).min();
        }
        let free = self.sources.values().filter(|source| !source.dead);
        let free = free.map(|source| source.free_at().unwrap_or(now)).min()?;
        let at = self.not_before.map_or(free, |at| at.max(free));
        Some((at, "somebody can be asked again"))
    }

    /// Members that gossip takes for dead.
    pub fn absent(&self) -> BTreeSet<MemberId> {
        let dead = self.sources.iter().filter(|(_, source)| source.dead);
        dead.map(|(member, _)| *member).collect()
    }

    /// Whether this member has to ask: nobody feeds it.
    pub(super) fn needs(&self, now: Moment) -> bool {
        let fed = self.fed.contains(&self.me)
            && self.heard_leader_at.is_some_and(|at| now < at + FED_PATIENCE);
        !self.leads && !fed
    }
}
