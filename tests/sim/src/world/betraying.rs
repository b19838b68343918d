//! A voter cheats, a member forges, and an admin that hears the alarm has the voter banned.
//!
//! What a voter that cheats can do is to stop changes of membership, and its followers, until it is banned. So the final checks
//! are about a mesh that has banned it, and about everybody else. The forger is one of those: nothing it does is to be noticed.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_control::command::{Command, Outcome, Proposal};
use mesh_control::ports::Transport as _;
use mesh_control::raft::Role;
use mesh_control::sync::Divergence;
use mesh_model::trust::{EpochId, Ruling, VoterTarget, Wish};
use mesh_model::{MemberId, Term};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::World;
use super::queue::{Event, Notice, Said};
use super::ruling::LENIENT;
use crate::forger::{Forger, Known, Rumours};
use crate::host::Host;
use crate::invariants::{Violation, alarm_names_the_traitor, no_forged_record};
use crate::life::LifeId;
use crate::net::HostNo;
use crate::traitor::speech::{ProposeReply, Question, Reply, Request, close, open};
use crate::traitor::{FEWEST_VOTERS, Traitor, fewest_voters};

/// How many have to be present for one of them to be banned or removed: the traitor is a minority of those left.
pub(super) const FEWEST: usize = 6;

/// How many have to be there before the traitor gets a vote.
const ENOUGH: usize = 4;

/// How often somebody looks at what the daemons say.
const LOOK: Duration = Duration::from_secs(1);

/// The longest it takes until an admin that saw the alarm knows who is wrong, in milliseconds.
const DELIBERATION_MS: u64 = 20_000;

/// The longest pause between two things that the traitor does by itself.
const BETRAY_MS: u64 = 3_000;

/// The longest between two that the forger does.
const FORGE_MS: u64 = 1_500;

/// How long the forger waits for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// How old an invite is before the traitor says it again, in entries: the one who said it first has its answer by then.
const OLD: u64 = 20;

/// Who cheats, and what is known of it.
pub(super) struct Treason {
    traitor: HostNo,
    forger: Forger,
    rng: ChaCha8Rng,
    /// When the traitor is to be banned; `None` while nobody has seen anything.
    sentence: Option<Duration>,
    /// Invites that stand, and where.
    invites: Vec<(u64, Command)>,
}

impl World {
    /// What is known from the start.
    pub(super) fn schedule_treason(&mut self) {
        if !self.options.profile.treason {
            return;
        }
        let mut rng = ChaCha8Rng::from_seed(self.seed.of("treason", 0));
        let others = 2..=u8::try_from(self.hosts.len()).unwrap_or(u8::MAX);
        let traitor = HostNo(rng.random_range(others.clone()));
        let forger = loop {
            let drawn = HostNo(rng.random_range(others.clone()));
            if drawn != traitor {
                break drawn;
            }
        };
        let secret = self.hosts[&traitor].keys.identity.clone();
        let seed = self.seed.of("traitor", 0);
        self.switchboard.lock().traitor = Some(Traitor::new(traitor, secret, seed));
        let forger = Forger::new(forger, self.seed);
        self.note(format_args!("traitor {traitor}, forger {}", forger.host));
        let (sentence, invites) = (None, Vec::new());
        self.treason = Some(Treason { traitor, forger, rng, sentence, invites });
        for event in [Event::Watch, Event::Betray, Event::Forge] {
            self.queue.add(LOOK, event);
        }
    }

    /// Whether the traitor lives on `no`.
    pub(super) fn is_traitors(&self, no: HostNo) -> bool {
        self.treason.as_ref().is_some_and(|treason| treason.traitor == no)
    }

    /// Whether `member` is the traitor.
    pub(super) fn is_traitor(&self, member: MemberId) -> bool {
        self.traitor() == Some(member)
    }

    /// Who the traitor is, if it is a member.
    pub(super) fn traitor(&self) -> Option<MemberId> {
        self.hosts.get(&self.treason.as_ref()?.traitor)?.member
    }

    /// The policy in which the traitor votes, with others.
    pub(super) fn with_the_traitor(
        &self,
        target: Option<VoterTarget>,
        mut wishes: BTreeMap<MemberId, Wish>,
    ) -> (Option<VoterTarget>, BTreeMap<MemberId, Wish>) {
        let Some(traitor) = self.traitor() else { return (target, wishes) };
        wishes.insert(traitor, Wish::Always);
        (target.filter(|target| usize::from(target.number()) >= FEWEST_VOTERS), wishes)
    }

    /// The gossip of life `id` on `no`, if that is the forger.
    pub(super) fn rumours_of(&self, no: HostNo, id: LifeId) -> Option<Rumours> {
        self.treason.as_ref().filter(|treason| treason.forger.host == no)?;
        let secret = self.hosts.get(&no)?.keys.identity.clone();
        let seed = self.seed.of("rumours", id.0);
        Some(Rumours::new(self.mesh.root.mesh, secret, no.endpoint(), seed))
    }

    /// Somebody looks at what all daemons say.
    pub(super) fn watch_out(&mut self) -> Result<(), Violation> {
        self.after(LOOK, Event::Watch);
        let traitor = self.traitor();
        let honest = self.hosts.values().filter(|host| !self.is_traitors(host.no));
        let mut alarmed = false;
        for life in honest.filter_map(Host::life) {
            let divergences = life.group.as_ref().map(|it| it.divergences()).unwrap_or_default();
            alarm_names_the_traitor::check_parties(life.me, traitor, &divergences)?;
            let names = |it: &Divergence| traitor.is_some_and(|id| it.parties.contains_key(&id));
            alarmed |= divergences.iter().any(names);
            for peer in life.node.peers() {
                let owner = life.node.view().members.get(&peer.member);
                if let (Some(facts), Some(owner)) = (peer.facts, owner) {
                    self.invariants.records.check_facts(life.me, &owner.identity, facts)?;
                }
            }
        }
        self.pronounce(alarmed);
        self.give_it_a_vote();
        Ok(())
    }

    /// Bans the traitor some time after the `alarm` was seen, and at the latest when others are pardoned.
    fn pronounce(&mut self, alarm: bool) {
        let now = self.clock.elapsed();
        let late = self.options.profile.stormy.saturating_sub(LENIENT);
        let Some(treason) = &mut self.treason else { return };
        if alarm && treason.sentence.is_none() {
            self.stats.alarms += 1;
            let deliberation = Duration::from_millis(treason.rng.random_range(0..DELIBERATION_MS));
            treason.sentence = Some((now + deliberation).min(late));
            self.note(format_args!("alarm"));
        }
        let due = self.treason.as_ref().and_then(|treason| treason.sentence).unwrap_or(late);
        let Some(traitor) = self.traitor().filter(|_| now >= due) else { return };
        let present = |view: &mesh_model::view::ClusterView| view.members.contains_key(&traitor);
        if self.newest_view().is_some_and(|view| present(&view)) {
            let doors = self.doors();
            if let Some(at) = self.admin.door(&doors) {
                self.judge(at, traitor, Ruling::Banned { until_ms: None, reason: None });
            }
        }
    }

    /// Has the traitor vote, once there are enough others.
    fn give_it_a_vote(&mut self) {
        let Some(traitor) = self.traitor() else { return };
        let Some(view) = self.newest_view() else { return };
        let known = view.members.len() >= ENOUGH && view.members.contains_key(&traitor);
        let doors = self.doors();
        if self.courts.has_policy() || !known {
            return;
        }
        if let Some(at) = self.admin.door(&doors) {
            self.set_voters(at, VoterTarget::of(3), BTreeMap::new());
        }
    }

    /// The traitor does something by itself.
    pub(super) fn betray(&mut self) {
        let Some(treason) = &mut self.treason else { return };
        let pause = Duration::from_millis(treason.rng.random_range(100..BETRAY_MS));
        let no = treason.traitor;
        self.after(pause, Event::Betray);
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return };
        let Some(group) = life.group.clone() else { return };
        let status = group.status();
        if fewest_voters(&group) < FEWEST_VOTERS || !status.voters.contains(&life.me) {
            return;
        }
        let leadership = *group.leadership().borrow();
        if leadership.role == Role::Leader {
            return self.slip(no, leadership.term, status.commit);
        }
        let asked = self.switchboard.lock().traitor.as_mut().and_then(Traitor::campaign);
        let Some(asked) = asked else { return };
        self.note(format_args!("campaign {no}"));
        for voter in status.voters.into_iter().filter(|voter| *voter != life.me) {
            let (line, asked) = (self.switchboard.line(life.me, life.id), asked.clone());
            tokio::spawn(async move { line.call(voter, asked, ANSWER_LIMIT).await });
        }
    }

    /// The traitor leads, and puts something into the log.
    fn slip(&mut self, no: HostNo, term: Term, commit: u64) {
        let Some(forged) = self.forged_at(no) else { return };
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return };
        let (Some(group), Some(treason)) = (life.group.clone(), &mut self.treason) else { return };
        let old = treason.invites.iter().position(|(index, _)| index + OLD < commit);
        let Some(proposed) = old.map(|at| treason.invites.remove(at).1) else { return };
        let mut board = self.switchboard.lock();
        let Some(traitor) = &mut board.traitor else { return };
        if traitor.slip(term, &proposed, forged) {
            drop(board);
            self.note(format_args!("slip {no} in {term} after {commit}"));
            let proposal = Proposal { at_ms: 0, command: proposed };
            tokio::spawn(async move { Box::pin(group.propose(proposal)).await });
        }
    }

    /// `invite` stands since `index`.
    pub(super) fn note_invite(&mut self, index: u64, invite: &Command) {
        if let Some(treason) = &mut self.treason {
            treason.invites.push((index, invite.clone()));
        }
    }

    /// The forger proposes something, to everybody, past the door of its own daemon.
    pub(super) fn forge(&mut self) {
        let Some(treason) = &mut self.treason else { return };
        let pause = Duration::from_millis(100 + treason.forger.below(FORGE_MS));
        let no = treason.forger.host;
        self.after(pause, Event::Forge);
        let Some(command) = self.forged_at(no) else { return };
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return };
        let Some(epoch) = life.group.as_ref().map(|group| group.status().epoch.id) else { return };
        let asked = forged_question(command.clone(), epoch);
        for to in life.node.view().members.keys().filter(|id| **id != life.me) {
            let (line, asked, to) = (self.switchboard.line(life.me, life.id), asked.clone(), *to);
            let (notice, id, command) = (self.notice.clone(), life.id, command.clone());
            tokio::spawn(async move {
                let answer = line.call(to, asked, ANSWER_LIMIT).await.ok();
                let answer = match answer.and_then(|bytes| open(&bytes)) {
                    Some(Reply::Propose(ProposeReply::Applied { outcome, .. })) => Some(outcome),
                    _ => None,
                };
                let forged = Notice::Forged { command, answer };
                // The world going away means that the run is over.
                let _ = notice.send(Said { host: no, life: id, notice: forged });
            });
        }
    }

    /// A command that the one on `no` may not say.
    fn forged_at(&mut self, no: HostNo) -> Option<Command> {
        let view = self.newest_view()?;
        let host = self.hosts.get(&no)?;
        let banned = view.banned.values().map(|banned| &banned.member);
        let members: Vec<_> =
            view.members.values().chain(banned).map(|it| (it.id, it.identity)).collect();
        let known = Known {
            root: &self.mesh.root,
            me: host.member?,
            secret: &host.keys.identity,
            members: &members,
            invites: &self.load.tickets(),
            now_ms: self.wall_ms(host),
        };
        self.treason.as_mut()?.forger.command(&known)
    }

    /// What came of it.
    pub(super) fn was_forged(
        &mut self,
        command: &Command,
        answer: Option<&Outcome>,
    ) -> Result<(), Violation> {
        let Some(outcome) = answer else { return Ok(()) };
        self.note(format_args!("forged {outcome:?}"));
        self.stats.forgeries += 1;
        no_forged_record::check(command, outcome)
    }

    /// At the end the traitor is out, and nobody else was ever shut out by other members.
    pub(super) fn check_condemned(&self) -> Result<(), Violation> {
        let mut excluded = self.invariants.rulings.excluded().iter();
        if let Some(honest) = excluded.find(|member| Some(**member) != self.traitor()) {
            let message = format!("{honest} was excluded, and is no traitor");
            return Err(Violation::new("no_forged_record", message));
        }
        let (Some(traitor), Some(view)) = (self.traitor(), self.newest_view()) else {
            return Ok(());
        };
        match view.members.contains_key(&traitor) && !self.staying().is_empty() {
            false => Ok(()),
            true => {
                let message = format!("nobody could have the traitor, {traitor}, banned");
                Err(Violation::new("liveness", message))
            }
        }
    }
}

fn forged_question(command: Command, epoch: EpochId) -> bytes::Bytes {
    let request = Request::Propose(Proposal { at_ms: 0, command });
    close(&Question { request, epoch })
}
