//! Hosts join and leave by the real path: what they sign is proposed through a live member.

use std::time::Duration;

use mesh_control::command::{Command, Outcome, Proposal};
use mesh_control::raft::{Applied, ProposeError, Start, StoreError};
use mesh_model::trust::{AdminsHead, Admission};
use mesh_model::{IdentityKey, InviteId};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;

use super::World;
use super::queue::{Event, Joiner, Notice, Purpose, Reply, Said};
use crate::host::{Host, Stage};
use crate::invariants::{Violation, admins_word_holds, no_forged_member};
use crate::net::HostNo;
use crate::plant::Plant;
use crate::profile::Profile;
use crate::trust::Keys;
use crate::upgrade::NEWER;

/// How long a joiner waits for an answer before it asks at another door: longer than a proposal takes.
const ASK_AGAIN: Duration = Duration::from_secs(7);

/// Nobody asks to be let in so shortly before the end: a proposal takes 5 s at most, and a newcomer needs a
/// few to hear of a leader before it is judged for knowing none.
const TOO_LATE: Duration = Duration::from_secs(10);

/// How long a leaving host waits before it says goodbye again.
const LEAVE_AGAIN: Duration = Duration::from_secs(6);

/// How long a door waits to have applied what the leader said was agreed.
const APPLY_LIMIT: Duration = Duration::from_secs(5);

/// How long a request to join or its answer is, in bytes: an admission, or the welcome to a small mesh.
const JOIN_MESSAGE: usize = 1024;

impl World {
    /// Proposes `command` at `no`; `false` when nobody is there to do it.
    pub(super) fn propose(&self, no: HostNo, command: Command, purpose: Purpose) -> bool {
        let Some(host) = self.hosts.get(&no) else { return false };
        let Some(life) = host.life() else { return false };
        let Some(group) = life.group.clone() else { return false };
        let proposal = Proposal { at_ms: self.wall_ms(host), command: command.clone() };
        let (id, notice, asked) = (life.id, self.notice.clone(), self.switchboard.ask(life.me));
        let (begun, remembered) = (self.invariants.history.invoke(), self.remembered(no, &command));
        self.note(format_args!("propose {no} {purpose:?}"));
        tokio::spawn(async move {
            let result = match remembered {
                Some(applied) => Ok(applied),
                None => Box::pin(group.propose(proposal)).await,
            };
            let command = Box::new(command);
            let proposed = Notice::Proposed { asked, command, purpose, begun, result };
            // The world going away means that the run is over.
            let _ = notice.send(Said { host: no, life: id, notice: proposed });
        });
        true
    }

    /// The refusal `no` remembers, if that bug is planted.
    fn remembered(&self, no: HostNo, command: &Command) -> Option<Applied> {
        let planted = self.options.plant == Some(Plant::StaleRefusal);
        self.refusals.recall(no, command).filter(|_| planted)
    }

    /// A proposal made at `no` came back.
    pub(super) fn proposed(
        &mut self,
        no: HostNo,
        command: Command,
        purpose: Purpose,
        result: Result<Applied, ProposeError>,
    ) -> Result<(), Violation> {
        let Ok(applied) = result else {
            self.note(format_args!("undecided {no} {purpose:?} {result:?}"));
            if let Err(ProposeError::HeldBack(held)) = &result {
                self.held_back(held)?;
            }
            return self.undecided(no, &purpose, result);
        };
        self.note(format_args!("decided {no} {} {:?}", applied.index, applied.outcome));
        self.stats.commands += 1;
        self.invariants.acknowledged.check_ack(&command, &applied)?;
        if let Purpose::Repeat(number) = purpose {
            return self.repeated(number, &applied);
        }
        if let Purpose::Intrude = purpose {
            self.stats.intruders += 1;
            return no_forged_member::check(&applied.outcome);
        }
        if let Purpose::Govern(false) = purpose
            && !self.said_by_enough(&command)
        {
            return admins_word_holds::check_too_few(&applied.outcome);
        }
        self.reference.acknowledge(command.clone(), applied.clone());
        match (purpose, command) {
            (Purpose::Admit(joiner, invite), _) => self.decided(no, joiner, invite, applied)?,
            (Purpose::Depart(incarnation), _) => {
                let same = self.hosts.get(&no).is_some_and(|host| host.incarnation == incarnation);
                if same && matches!(applied.outcome, Outcome::Departed(_)) {
                    self.retire(no);
                }
            }
            (Purpose::Invite, invite @ Command::Invite(_)) => {
                self.load.acknowledged(&applied.outcome);
                self.note_invite(applied.index, &invite);
            }
            (Purpose::Rule | Purpose::Govern(_), _) => self.stats.rulings += 1,
            (Purpose::Rekey, _) => {
                self.stats.rekeys += u64::from(matches!(applied.outcome, Outcome::Rekeyed(_)));
                self.settle_key(no)?;
            }
            (Purpose::Trial, _) => self.stats.trials += 1,
            (Purpose::Invite | Purpose::Intrude | Purpose::Repeat(_), _) => {}
        }
        Ok(())
    }

    /// Nobody could be made to agree: right while things break.
    fn undecided(
        &self,
        no: HostNo,
        purpose: &Purpose,
        result: Result<Applied, ProposeError>,
    ) -> Result<(), Violation> {
        let (Purpose::Repeat(_), Err(error)) = (purpose, result) else { return Ok(()) };
        let message = format!("{no} could get nothing agreed in the calm: {error}");
        Err(Violation::new("liveness", message))
    }

    // Joining.

    /// A stranger asks a door, the first time or again.
    pub(super) fn try_join(&mut self, joiner: Joiner) {
        let Some(admission) = self.request_of(joiner) else { return };
        let Profile { stormy, calm, .. } = self.options.profile;
        if self.clock.elapsed() + TOO_LATE > stormy + calm {
            return;
        }
        self.after(ASK_AGAIN, Event::TryJoin(joiner));
        let doors = self.doors();
        let Some(door) = doors.choose(&mut self.rng).copied() else { return };
        self.note(format_args!("ask {} at {door}", joiner.host));
        if let Some(delay) = self.join_travels(joiner.host, door) {
            self.after(delay, Event::AskDoor { door, joiner, admission });
        }
    }

    /// What `joiner` asks, while it still does.
    fn request_of(&self, joiner: Joiner) -> Option<Box<Admission>> {
        let host = self.hosts.get(&joiner.host)?;
        match &host.stage {
            Stage::Joining(admission) if host.incarnation == joiner.incarnation => {
                Some(admission.clone())
            }
            _ => None,
        }
    }

    /// A request arrives at a door.
    pub(super) fn ask_door(
        &mut self,
        door: HostNo,
        joiner: Joiner,
        admission: Admission,
    ) -> Result<(), Violation> {
        let purpose = Purpose::Admit(joiner, admission.invite);
        // A door that is not up does not answer.
        self.propose(door, Command::Admit(admission), purpose);
        Ok(())
    }

    /// Somebody without the secret of `ticket` asks at `at`.
    pub(super) fn intrude(&mut self, at: HostNo, ticket: InviteId) {
        let keys = Keys::of_intruder(self.seed, self.rng.random());
        let Some(ticket) = self.load.ticket(ticket) else { return };
        let admission = match self.options.plant {
            Some(Plant::StolenSecret) => ticket.admission(&self.mesh.root, &keys),
            _ => ticket.forged_admission(&self.mesh.root, &keys),
        };
        self.propose(at, Command::Admit(admission), Purpose::Intrude);
    }

    /// The mesh has decided about `joiner`.
    fn decided(
        &mut self,
        door: HostNo,
        joiner: Joiner,
        invite: InviteId,
        applied: Applied,
    ) -> Result<(), Violation> {
        if let Some(ticket) = self.load.ticket(invite) {
            let used = (self.reference.admitted_under(invite), ticket.invite.uses);
            self.invariants.acknowledged.check_invite(invite, &applied.outcome, used)?;
        }
        let Some(life) = self.hosts.get(&door).and_then(Host::life) else { return Ok(()) };
        match applied.outcome {
            Outcome::Admitted { .. } => {
                let Some(group) = life.group.clone() else { return Ok(()) };
                let (id, notice) = (life.id, self.notice.clone());
                let asked = self.switchboard.ask(life.me);
                tokio::spawn(async move {
                    let snapshot = group.snapshot_at_least(applied.index, APPLY_LIMIT).await;
                    let outcome = applied.outcome;
                    let welcome = Notice::Welcome { asked, joiner, outcome, snapshot };
                    // As above.
                    let _ = notice.send(Said { host: door, life: id, notice: welcome });
                });
            }
            _ => self.send_answer(door, joiner, Reply::Refused),
        }
        Ok(())
    }

    /// The door has what an admitted host starts from.
    pub(super) fn welcome(
        &mut self,
        door: HostNo,
        joiner: Joiner,
        outcome: &Outcome,
        snapshot: Option<Vec<u8>>,
    ) {
        let (Outcome::Admitted { member, .. }, Some(snapshot)) = (outcome, snapshot) else {
            return;
        };
        let now = self.clock.now();
        let Some(host) = self.hosts.get_mut(&door) else { return };
        let Some(life) = host.life_mut() else { return };
        let output = life.handle_seen(*member, joiner.host.endpoint(), now);
        let hints = life.node.hints();
        let answered_by = life.me;
        // As the daemon does, before it answers.
        host.hints.clone_from(&hints);
        if self.carry_out(door, output).is_err() {
            return;
        }
        // The daemon adds the token's door by itself: the answering member knows no endpoint of its own.
        let hints = hints.into_iter().filter(|hint| hint.member != *member).map(|mut hint| {
            if hint.member == answered_by {
                hint.endpoint = Some(door.endpoint());
            }
            hint
        });
        let reply = Reply::Welcome { member: *member, snapshot, hints: hints.collect() };
        self.send_answer(door, joiner, reply);
    }

    fn send_answer(&mut self, door: HostNo, joiner: Joiner, reply: Reply) {
        if let Reply::Welcome { snapshot, .. } = &reply {
            self.switchboard.note_bytes(snapshot);
        }
        if let Some(delay) = self.join_travels(door, joiner.host) {
            self.after(delay, Event::Answer { joiner, reply });
        }
    }

    /// The joiner hears.
    pub(super) fn answer_joiner(&mut self, joiner: Joiner, reply: Reply) -> Result<(), Violation> {
        if self.request_of(joiner).is_none() {
            return Ok(());
        }
        match reply {
            Reply::Refused => {
                // With another ticket, later.
                if let Some(host) = self.hosts.get_mut(&joiner.host) {
                    host.stage = Stage::Outside;
                }
                self.note(format_args!("refused {}", joiner.host));
                Ok(())
            }
            Reply::Welcome { member, snapshot, hints } => {
                let genesis = self.mesh.genesis.clone();
                let admins = AdminsHead::of_root(&self.mesh.root.key);
                let start = Start::Welcome { member, genesis, admins, snapshot };
                if let Err(StoreError::OtherVersion(found)) =
                    self.can_begin_with(joiner.host, &start)
                {
                    // It is told to upgrade, and asks again then.
                    self.note(format_args!("{} cannot read its welcome: {found}", joiner.host));
                    self.install(joiner.host, NEWER);
                    return Ok(());
                }
                self.settle_in(joiner.host, member, start, hints)
            }
        }
    }

    /// How long a request to join, or its answer, is on its way.
    fn join_travels(&self, from: HostNo, to: HostNo) -> Option<Duration> {
        let now = self.clock.elapsed();
        self.switchboard.lock().net.fate_of_call((from, to), JOIN_MESSAGE, now)
    }

    // Leaving.

    /// A member says goodbye, the first time or again.
    pub(super) fn try_leave(&mut self, no: HostNo, incarnation: u64) {
        let Some(host) = self.hosts.get(&no).filter(|host| host.incarnation == incarnation) else {
            return;
        };
        let Some(member) = host.member else { return };
        if self.has_left(&host.keys.identity.public()) {
            // Agreed, though the answer got lost: its operator wipes it, with `--force` if need be.
            return self.retire(no);
        }
        let command = host.keys.depart(&self.mesh.root, member);
        self.reference.ask_to_leave(member);
        self.propose(no, command, Purpose::Depart(incarnation));
        self.after(LEAVE_AGAIN, Event::TryLeave { host: no, incarnation });
    }

    /// Whether some other member's view says that the member with `identity` is gone.
    pub(super) fn has_left(&self, identity: &IdentityKey) -> bool {
        let own = |host: &&Host| host.keys.identity.public() == *identity;
        let member = self.hosts.values().find(own).and_then(|host| host.member);
        let lives = self.hosts.values().filter_map(Host::life);
        lives.filter(|life| Some(life.me) != member).any(|life| {
            let view = life.node.view();
            member.is_some_and(|id| view.applied > id.0 && !view.has_place(id))
        })
    }
}
