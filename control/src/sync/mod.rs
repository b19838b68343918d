//! Following without being part of agreement: whom to ask for what was agreed, and what to make of the answers.
//!
//! The leader feeds the voters and a few candidates. Everybody else asks somebody who has it, and is asked in turn:
//!
//! ```text
//!            leader ──Raft──> voters, candidates            depth 0
//!                               ^   ^   ^   at most PLACES each
//!                     pull, and wait for news
//!                               followers                    depth 1
//!                                 ^   ^   ^  ...             depth 2
//! ```
//!
//! A question waits at its source until there is news, so a commit runs down the tree in a round trip and a disk flush a
//! level, and an idle mesh exchanges one question a second and member. A source with all its places
//! taken names some of those it serves instead; so the tree grows where there is room, and nobody plans it.
//!
//! - [`Sync`] asks: one question at a time, to the source that served well, or to the next best.
//! - [`Desk`] answers: who has a place.
//! - [`Words`] keeps what voters signed, and says how far the log is proven, and who contradicts whom.
//!
//! **Whom to ask.** First whom the operator prefers. Then those the leader feeds, other than the leader; then the leader;
//! then whoever else is alive, because after a partition it may be the only one in reach. Among equals the near one,
//! and among those the seed decides, so that a thousand members do not all begin at the same door.
//!
//! **Who is asked no more.** One that does not answer, for a while that doubles; one that answers and has nothing while
//! gossip says that others do; and one whose entries do not lead where the voters say, for a minute.

mod desk;
mod source;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use mesh_model::wire::sync::MAX_INSTEAD;
use mesh_model::{LogIndex, MemberId};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

pub use desk::{Desk, PLACES, Seat};
use source::Source;
pub use words::{Divergence, MAX_DIVERGENCES, Mark, WordError, Words, majority};

/// A moment, as the time since whoever calls began to count.
pub type Moment = Duration;

/// How long a question waits at its source for news. It bounds how late a member notices that its source is gone, and an
/// idle mesh exchanges one small question and answer per member in this time.
pub const HOLD: Duration = Duration::from_secs(1);

/// What is added to that for the way there and back: a member that is slower is not near.
const TRAVEL: Duration = Duration::from_millis(1500);

/// How long a snapshot may take: 5 MB (10,000 members, compressed) at 4 Mbit/s.
const SNAPSHOT_TRAVEL: Duration = Duration::from_secs(10);

/// How long a leader may be silent before one it is to feed looks elsewhere: a lease and an election.
pub const FED_PATIENCE: Duration = Duration::from_secs(2);

/// How long news may take to come down the tree after gossip told of it. Then another source is asked.
const HURRY: Duration = Duration::from_millis(700);

/// How long nobody relies on what a member says it has applied, after it led to nothing.
const UNRELIABLE: Duration = Duration::from_secs(60);

/// The pause after an answer that came at once and held nothing: a correct source waits first.
const NOTHING_PAUSE: Duration = Duration::from_millis(200);

/// The most levels below agreement. Eight places each are more than two million members at seven; what is
/// deeper is a ring of members that follow each other.
pub const MAX_DEPTH: u8 = 7;

/// The most suggestions kept of busy sources.
const MAX_SUGGESTED: usize = 4 * MAX_INSTEAD;

/// The most members that may be preferred.
pub const MAX_PREFERRED: usize = 16;

/// The window of [`Progress::rate`].
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// A question to be asked now. One that is under way is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Whom.
    pub to: MemberId,
    /// How long it may wait for news.
    pub hold: Duration,
    /// When to give up.
    pub limit: Duration,
    /// Ask for the whole state.
    pub snapshot: bool,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An answer that held up.
    News {
        /// How many entries of the log it brought this member forward.
        gained: u64,
        /// How far the source can prove the log.
        proven: LogIndex,
        /// How long the source waited.
        held: Duration,
        /// How far the source is from agreement.
        depth: u8,
        /// The source hears from the leader.
        attached: bool,
    },
    /// No place there; these may have one.
    Busy(Vec<MemberId>),
    /// It has nothing, and nobody to have it from.
    Adrift,
    /// It did not answer, or not in words that can be understood.
    Silent,
    /// What it sent contradicts what the voters signed.
    Wrong,
}

/// Where a member gets the log from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// It leads.
    Leads,
    /// The leader sends it.
    Leader,
    /// It asks this member.
    Source(MemberId),
    /// It looks for somebody to ask.
    Seeking,
}

/// How following goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// From where.
    pub supply: Supply,
    /// Applied here.
    pub index: LogIndex,
    /// The furthest that anybody reliable says it has applied.
    pub target: LogIndex,
    /// Entries a second, over the last seconds.
    pub rate: f64,
    /// Whom the operator prefers.
    pub preferred: Vec<MemberId>,
    /// Those that were asked, by id.
    pub sources: Vec<SourceReport>,
}

/// How one source does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// Who.
    pub member: MemberId,
    /// 0 to 100.
    pub reliability: u8,
    /// On the way there and back, as far as it is known.
    pub round_trip: Option<Duration>,
    /// How far it says it has applied the log.
    pub applied: LogIndex,
    /// How often what it sent was proven wrong.
    pub wrong: u64,
}

#[derive(Debug, Clone, Copy)]
struct Asking {
    to: MemberId,
    since: Moment,
    until: Moment,
}

/// News that gossip told of and that has not come.
#[derive(Debug, Clone, Copy)]
struct Hurry {
    index: LogIndex,
    by: MemberId,
    at: Moment,
}

/// One member's way to what was agreed; see the [module](self).
pub struct Sync {
    me: MemberId,
    rng: ChaCha8Rng,
    sources: BTreeMap<MemberId, Source>,
    /// Those the leader feeds, as far as this member knows.
    fed: BTreeSet<MemberId>,
    leader: Option<MemberId>,
    /// This member leads and is confirmed.
    leads: bool,
    heard_leader_at: Option<Moment>,
    own: LogIndex,
    asking: Option<Asking>,
    following: Option<MemberId>,
    suggested: VecDeque<MemberId>,
    preferred: Vec<MemberId>,
    snapshot: bool,
    hurry: Option<Hurry>,
    not_before: Option<Moment>,
    gains: VecDeque<(Moment, u64)>,
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
            not_before: None,
            gains: VecDeque::new(),
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
        self.following = self.following.filter(|member| sources.contains_key(member));
        self.asking = self.asking.filter(|asking| sources.contains_key(&asking.to));
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
        if reliable && applied > self.own && self.hurry.is_none() {
            self.hurry = Some(Hurry { index: applied, by: member, at: now + HURRY });
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
            self.gains.push_back((now, gained));
            // A gain a millisecond would be as many as are worth remembering.
            while self.gains.len() > 1024 {
                self.gains.pop_front();
            }
        }
    }

    /// What came of asking `from`.
    pub fn handle_answer(&mut self, from: MemberId, heard: Heard, now: Moment) {
        let Some(asked) = self.asking.take_if(|asking| asking.to == from) else { return };
        let Some(source) = self.sources.get_mut(&from) else { return };
        match heard {
            Heard::News { gained, proven, held, depth, attached } => {
                let took = now.saturating_sub(asked.since);
                source.answered(took.saturating_sub(held));
                source.applied = source.applied.max(proven);
                self.snapshot = false;
                if gained == 0 && (!attached || depth >= MAX_DEPTH) {
                    source.idle(now);
                    self.following = None;
                } else {
                    self.following = Some(from);
                }
                if gained == 0 && held < NOTHING_PAUSE {
                    self.not_before = Some(now + NOTHING_PAUSE);
                }
            }
            Heard::Busy(instead) => {
                source.busy(now);
                self.following = None;
                self.suggest(instead);
            }
            Heard::Adrift => {
                source.idle(now);
                self.following = None;
            }
            Heard::Silent => self.give_up_on(from, now),
            Heard::Wrong => {
                source.gave_wrong(now);
                self.following = None;
            }
        }
    }

    /// The operator prefers these, or nobody.
    pub fn handle_preference(&mut self, preferred: Vec<MemberId>) {
        self.preferred = preferred;
        self.preferred.truncate(MAX_PREFERRED);
        self.begin_anew();
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
        self.following = None;
        self.not_before = None;
    }

    /// The next question, if it is time for one.
    pub fn poll_ask(&mut self, now: Moment) -> Option<Ask> {
        if !self.needs(now) {
            self.asking = None;
            self.following = None;
            return None;
        }
        if let Some(asking) = self.asking {
            if asking.until <= now {
                self.give_up_on(asking.to, now);
            } else if self.hurry.is_some_and(|hurry| hurry.at <= now) {
                self.look_elsewhere(asking.to, now);
            } else {
                return None;
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

    /// Where this member gets the log from.
    pub fn supply(&self, now: Moment) -> Supply {
        match (self.leads, self.needs(now), self.following) {
            (true, ..) => Supply::Leads,
            (_, false, _) => Supply::Leader,
            (_, _, Some(source)) => Supply::Source(source),
            (_, _, None) => Supply::Seeking,
        }
    }

    /// How it goes.
    pub fn progress(&self, now: Moment) -> Progress {
        let reliable = |source: &&Source| source.unreliable_until.is_none_or(|until| until <= now);
        let told = self.sources.values().filter(reliable).map(|source| source.applied).max();
        let report = |(member, source): (&MemberId, &Source)| SourceReport {
            member: *member,
            reliability: source.reliability(),
            round_trip: source.round_trip(),
            applied: source.applied,
            wrong: source.wrong(),
        };
        let asked = self.sources.iter().filter(|(_, source)| source.was_asked());
        Progress {
            supply: self.supply(now),
            index: self.own,
            target: self.own.max(told.unwrap_or(0)),
            rate: self.rate(now),
            preferred: self.preferred.clone(),
            sources: asked.map(report).collect(),
        }
    }

    /// Whether this member has to ask: nobody feeds it.
    fn needs(&self, now: Moment) -> bool {
        let fed = self.fed.contains(&self.me)
            && self.heard_leader_at.is_some_and(|at| now < at + FED_PATIENCE);
        !self.leads && !fed
    }

    fn rate(&self, now: Moment) -> f64 {
        let recent = self.gains.iter().filter(|(at, _)| *at + RATE_WINDOW > now);
        recent.map(|(_, gained)| *gained as f64).sum::<f64>() / RATE_WINDOW.as_secs_f64()
    }

    fn suggest(&mut self, instead: Vec<MemberId>) {
        for member in instead {
            if self.suggested.len() == MAX_SUGGESTED {
                self.suggested.pop_front();
            }
            if self.sources.contains_key(&member) && !self.suggested.contains(&member) {
                self.suggested.push_back(member);
            }
        }
    }

    /// `source` did not answer in time.
    fn give_up_on(&mut self, source: MemberId, now: Moment) {
        if let Some(source) = self.sources.get_mut(&source) {
            source.silent(now);
        }
        self.following = None;
    }

    /// There is news elsewhere that `source` has not told of. If others do not know of it either, whoever said so is
    /// not relied upon for a while: one member must not keep all others changing their sources.
    fn look_elsewhere(&mut self, source: MemberId, now: Moment) {
        if let Some(source) = self.sources.get_mut(&source) {
            source.idle(now);
        }
        if let Some(hurry) = self.hurry.take()
            && let Some(teller) = self.sources.get_mut(&hurry.by)
        {
            teller.unreliable_until = Some(now + UNRELIABLE);
        }
        self.following = None;
    }

    fn choose(&mut self, now: Moment) -> Option<MemberId> {
        let free = |sources: &BTreeMap<MemberId, Source>, member: &MemberId| {
            sources.get(member).is_some_and(|source| !source.dead && source.is_free(now))
        };
        if let Some(following) = self.following.filter(|member| free(&self.sources, member)) {
            return Some(following);
        }
        let preferred = self.preferred.iter().find(|member| free(&self.sources, member));
        if let Some(preferred) = preferred {
            return Some(*preferred);
        }
        while let Some(member) = self.suggested.pop_front() {
            if free(&self.sources, &member) {
                return Some(member);
            }
        }
        let mut best: Option<((u32, u8, u32, u32), MemberId)> = None;
        for (member, source) in &self.sources {
            if source.dead || !source.is_free(now) {
                continue;
            }
            // Whoever fell silent comes after all that have not: hosts go down together.
            let doubted = source.silences().min(3) + u32::from(source.reliability() < 25);
            let tier = match (self.leader == Some(*member), self.fed.contains(member)) {
                (false, true) => 0,
                (true, _) => 1,
                (false, false) => 2,
            };
            // In steps of 16 ms: who is a little nearer is not worth a crowd.
            let far = source.round_trip().map_or(2, |way| (way.as_millis() / 16).min(64) as u32);
            let rank = (doubted, tier, far, self.rng.random());
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, *member));
            }
        }
        best.map(|(_, member)| member)
    }
}
