//! A thousand members that follow: real [`Sync`] and [`Desk`] of each, a modelled network between them.
//!
//! Agreement and disks are not here: five members have what is agreed 20 ms after it is, as if the leader fed them, and every
//! member has what it pulled 5 ms later, as if it had flushed it. What is shown is the shape that grows by
//! itself: how deep, how soon, and how much each member sends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_control::sync::{Desk, Heard, MAX_DEPTH, Seat, Supply, Sync};
use mesh_model::{LogIndex, MemberId};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Members that follow.
const FOLLOWERS: u64 = 1000;

/// Those the leader feeds, itself included: three voters and two spares. Member 1 leads.
const FED: u64 = 5;

const LEADER: MemberId = MemberId(1);

/// One way between any two.
const TRAVEL: std::ops::Range<u64> = 5..60;

/// From commit to a fed member's own copy, and from a pulled entry to a kept one.
const RAFT: Duration = Duration::from_millis(20);
const FLUSH: Duration = Duration::from_millis(5);

/// What "soon" is for a commit.
const SOON: Duration = Duration::from_secs(15);

/// As many as one member serves at a time. A number of its own, like the next two, because they are the promise: a bound made of the
/// code's constants would move with them.
const SERVED: usize = 8;

/// The most that one member sends an index to: a place that is given up goes to another, so some are used twice.
const MOST_COPIES: usize = 16;

/// The most levels that a thousand are deep: four do with all places taken, and not all are.
const LEVELS: u8 = 5;

enum Event {
    Asked { by: MemberId, at: MemberId, question: u64, have: LogIndex, hold: Duration },
    HeldLongEnough { at: MemberId, question: u64 },
    Answered { to: MemberId, by: MemberId, question: u64, answer: Answer },
    Has { member: MemberId, index: LogIndex },
    Wake(MemberId),
    Told { member: MemberId, about: MemberId, applied: LogIndex },
}

enum Answer {
    News { index: LogIndex, held: Duration, depth: u8 },
    Busy(Vec<MemberId>),
    Adrift,
}

struct Waiting {
    by: MemberId,
    question: u64,
    have: LogIndex,
    since: Duration,
}

struct Member {
    sync: Sync,
    desk: Desk,
    index: LogIndex,
    depth: u8,
    asked: Option<u64>,
    waiting: Vec<Waiting>,
    /// When it looks again by itself.
    wake: Option<Duration>,
    up: bool,
}

struct Crowd {
    now: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    members: BTreeMap<MemberId, Member>,
    rng: ChaCha8Rng,
    count: u64,
    /// Whom each sent an index to.
    sent: BTreeMap<(MemberId, LogIndex), BTreeSet<MemberId>>,
    questions: u64,
    /// When each member had each index.
    had: BTreeMap<LogIndex, BTreeMap<MemberId, Duration>>,
}

fn is_fed(member: MemberId) -> bool {
    member.0 <= FED
}

impl Crowd {
    fn new(seed: u8) -> Self {
        let ids = || (1..=FED + FOLLOWERS).map(MemberId);
        let fed: BTreeSet<MemberId> = (1..=FED).map(MemberId).collect();
        let member = |id: MemberId| {
            let mut own = [seed; 32];
            own[..8].copy_from_slice(&id.0.to_le_bytes());
            let mut sync = Sync::new(id, own);
            sync.handle_members(ids());
            sync.handle_agreement(fed.clone(), Some(LEADER), id == LEADER);
            let depth = if is_fed(id) { 0 } else { MAX_DEPTH };
            let (desk, waiting) = (Desk::default(), Vec::new());
            Member { sync, desk, index: 0, depth, asked: None, waiting, wake: None, up: true }
        };
        let mut crowd = Self {
            now: Duration::from_secs(3600),
            events: BTreeMap::new(),
            members: ids().map(|id| (id, member(id))).collect(),
            rng: ChaCha8Rng::from_seed([seed; 32]),
            count: 0,
            sent: BTreeMap::new(),
            questions: 0,
            had: BTreeMap::new(),
        };
        for id in ids().filter(|id| !is_fed(*id)) {
            crowd.after(Duration::ZERO, Event::Wake(id));
        }
        crowd
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.count += 1;
        self.events.insert((self.now + delay, self.count), event);
    }

    fn travel(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(TRAVEL))
    }

    fn commit(&mut self, index: LogIndex) {
        for id in (1..=FED).map(MemberId) {
            self.after(RAFT, Event::Has { member: id, index });
        }
    }

    fn run(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > end {
                break;
            }
            self.now = entry.key().0;
            let event = entry.remove();
            self.handle(event);
        }
        self.now = end;
    }

    fn member(&mut self, id: MemberId) -> &mut Member {
        self.members.get_mut(&id).expect("a member")
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Asked { by, at, question, have, hold } => {
                self.asked(by, at, question, have, hold)
            }
            Event::HeldLongEnough { at, question } => {
                self.answer_held(at, |w| w.question == question)
            }
            Event::Answered { to, by, question, answer } => self.answered(to, by, question, answer),
            Event::Has { member, index } => self.has(member, index),
            Event::Wake(member) => self.look(member),
            Event::Told { member, about, applied } => {
                let now = self.now;
                if self.member(member).sync.handle_sighting(about, false, applied, now) {
                    self.look(member);
                }
            }
        }
    }

    fn look(&mut self, id: MemberId) {
        let now = self.now;
        let member = self.member(id);
        if !member.up || is_fed(id) {
            return;
        }
        if let Some(ask) = member.sync.poll_ask(now) {
            let have = member.index;
            self.questions += 1;
            let question = self.questions;
            self.member(id).asked = Some(question);
            let travel = self.travel();
            let hold = ask.hold;
            self.after(travel, Event::Asked { by: id, at: ask.to, question, have, hold });
        }
        if let Some((at, _)) = self.member(id).sync.poll_timeout(now) {
            let at = at.max(now + Duration::from_millis(1));
            if self.member(id).wake.is_none_or(|wake| wake <= now || at < wake) {
                self.member(id).wake = Some(at);
                self.after(at - now, Event::Wake(id));
            }
        }
    }

    fn asked(&mut self, by: MemberId, at: MemberId, question: u64, have: LogIndex, hold: Duration) {
        let now = self.now;
        let source = self.member(at);
        if !source.up {
            return;
        }
        match source.desk.admit((by, have), source.index, now) {
            Seat::Full(instead) => self.reply(at, by, question, Answer::Busy(instead)),
            Seat::Taken => {
                let news = source.index > have;
                source.waiting.push(Waiting { by, question, have, since: now });
                match news {
                    true => self.answer_held(at, |waiting| waiting.question == question),
                    false => self.after(hold, Event::HeldLongEnough { at, question }),
                }
            }
        }
    }

    /// Answers those that wait at `at` and are `due`.
    fn answer_held(&mut self, at: MemberId, due: impl Fn(&Waiting) -> bool) {
        let now = self.now;
        let source = self.member(at);
        let (ready, waiting) = std::mem::take(&mut source.waiting).into_iter().partition(due);
        source.waiting = waiting;
        let (index, depth) = (source.index, source.depth);
        for Waiting { by, question, have, since } in ready {
            for sent in have + 1..=index {
                self.sent.entry((at, sent)).or_default().insert(by);
            }
            let adrift = index <= have && depth >= MAX_DEPTH;
            let answer = match adrift {
                true => Answer::Adrift,
                false => Answer::News { index, held: now - since, depth },
            };
            self.reply(at, by, question, answer);
        }
    }

    fn reply(&mut self, by: MemberId, to: MemberId, question: u64, answer: Answer) {
        let travel = self.travel();
        self.after(travel, Event::Answered { to, by, question, answer });
    }

    fn answered(&mut self, to: MemberId, by: MemberId, question: u64, answer: Answer) {
        let now = self.now;
        let member = self.member(to);
        if !member.up || member.asked != Some(question) {
            return;
        }
        member.asked = None;
        let heard = match answer {
            Answer::Busy(instead) => Heard::Busy(instead),
            Answer::Adrift => Heard::Adrift,
            Answer::News { index, held, depth } => {
                let gained = index.saturating_sub(member.index);
                member.depth = (depth + 1).min(MAX_DEPTH);
                if gained > 0 {
                    self.after(FLUSH, Event::Has { member: to, index });
                }
                let (withholds, drafted, attached) = (false, 0, depth < MAX_DEPTH);
                Heard::News { gained, withholds, proven: index, drafted, held, depth, attached }
            }
        };
        let member = self.member(to);
        member.sync.handle_answer(by, heard, now);
        if matches!(member.sync.supply(now), Supply::Seeking) {
            member.depth = MAX_DEPTH;
        }
        self.look(to);
    }

    fn has(&mut self, id: MemberId, index: LogIndex) {
        let now = self.now;
        let member = self.member(id);
        if index <= member.index {
            return;
        }
        member.index = index;
        member.sync.handle_applied(index, now);
        self.had.entry(index).or_default().entry(id).or_insert(now);
        self.answer_held(id, |waiting| waiting.have < index);
        // Gossip: some hear of it within a second.
        for _ in 0..3 {
            let about = id;
            let member = MemberId(self.rng.random_range(FED + 1..=FED + FOLLOWERS));
            let delay = Duration::from_millis(self.rng.random_range(200..1000));
            self.after(delay, Event::Told { member, about, applied: index });
        }
        self.look(id);
    }

    /// How long it took until the last of those that are up had `index`.
    fn took(&self, index: LogIndex, since: Duration) -> Duration {
        let had = &self.had[&index];
        let up = self.members.iter().filter(|(_, member)| member.up);
        let last = up.map(|(id, _)| had.get(id).unwrap_or_else(|| panic!("{id} lacks {index}")));
        *last.max().expect("members") - since
    }

    /// The most members that anybody sent `index` to, how many the leader did, and how many had it sent at all.
    fn sent(&self, index: LogIndex) -> (usize, usize, usize) {
        let sent = || self.sent.iter().filter(|((_, at), _)| *at == index).map(|(_, to)| to);
        let leader = self.sent.get(&(LEADER, index)).map_or(0, BTreeSet::len);
        let reached: BTreeSet<&MemberId> = sent().flatten().collect();
        (sent().map(BTreeSet::len).max().unwrap_or(0), leader, reached.len())
    }
}

#[test]
fn a_commit_reaches_a_thousand_followers_soon_and_nobody_sends_it_to_many() {
    for seed in 1..=2 {
        let mut crowd = Crowd::new(seed);
        let began = crowd.now;
        crowd.commit(10);
        crowd.run(SOON);
        assert!(crowd.took(10, began) <= SOON, "all start at once: {:?}", crowd.took(10, began));
        for index in 11..=13 {
            let since = crowd.now;
            crowd.commit(index);
            crowd.run(SOON);
            let took = crowd.took(index, since);
            assert!(took <= Duration::from_secs(5), "a ban is everywhere in 5 s: {took:?}");
            let (most, leader, reached) = crowd.sent(index);
            assert_eq!(reached as u64, FOLLOWERS, "nobody has it unseen");
            assert!(most <= MOST_COPIES, "one member sent it to {most}");
            assert!(leader <= SERVED, "the leader sent it to {leader} besides those it feeds");
        }
        let deepest = crowd.members.values().map(|member| member.depth).max();
        assert!(deepest <= Some(LEVELS), "the tree is {deepest:?} levels deep");
    }
}

#[test]
fn an_idle_crowd_asks_about_once_a_second() {
    let mut crowd = Crowd::new(4);
    crowd.commit(10);
    crowd.run(Duration::from_secs(30));
    let before = crowd.questions;
    crowd.run(Duration::from_secs(10));
    let each = (crowd.questions - before) as f64 / FOLLOWERS as f64 / 10.0;
    assert!(each < 1.2, "{each} questions a second");
}

#[test]
fn a_crowd_mends_itself_when_a_tenth_of_it_and_half_of_its_sources_are_gone() {
    let mut crowd = Crowd::new(5);
    crowd.commit(10);
    crowd.run(SOON);
    let gone = (1..=FED + FOLLOWERS).filter(|id| id % 10 == 0 || [2, 4].contains(id));
    for id in gone.map(MemberId) {
        crowd.member(id).up = false;
    }
    let since = crowd.now;
    crowd.commit(11);
    crowd.run(SOON);
    assert!(crowd.took(11, since) <= SOON, "{:?}", crowd.took(11, since));
}
