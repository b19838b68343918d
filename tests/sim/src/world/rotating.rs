//! Hosts change their WireGuard keys, as the daemon does it (docs/adr/0034).
//!
//! ```text
//! Rotate ──keep──> the new key is on disk, and answered ──Rekey──> agreed ──SettleKeys──> gone by ──keep──> the old one ends
//! ```
//!
//! Whatever breaks in between, what a host has on disk has to hold the key that it is agreed to have. Once nothing breaks any
//! more who has a new key tries until it is agreed. In the end nobody has a key that is not, nor one before it that everybody
//! could have done without for half of the calm; and all sessions end once more, so that each two have to find each other by
//! the keys they have.

use std::sync::Arc;
use std::time::Duration;

use mesh_control::command::Command;
use mesh_control::rotation::{KeyMissing, is_over, waited_for};
use mesh_dataplane::{OtherKey, OwnKeys};
use mesh_model::view::{ClusterView, MemberView};
use mesh_model::{LogIndex, MemberId, Signed, TunnelSecret};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;

use super::World;
use super::queue::{Event, Notice, Purpose, Said};
use crate::host::Host;
use crate::invariants::Violation;
use crate::invariants::last_key_counts::NAME;
use crate::life::Life;
use crate::net::HostNo;
use crate::plant::Plant;

/// How often the daemon looks whether a change has come further by itself.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How long after the calm began, and then how often, a key that is not agreed yet is proposed again: longer than a proposal
/// takes.
const TRY_AGAIN: Duration = Duration::from_secs(6);

/// What a daemon is about to do once it has on disk how far the log is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    /// To make a key and have it agreed.
    Prepare,
    /// To end the one before.
    Wipe,
}

impl World {
    /// What is known from the start.
    pub(super) fn schedule_rotating(&mut self) {
        if let Some(longest) = self.options.profile.rotating {
            self.queue.add(longest, Event::Rotate);
            self.queue.add(LOOK_AGAIN, Event::SettleKeys);
        }
    }

    /// An operator has some host change its key; in the calm, whoever was about to tries until it is done.
    pub(super) fn rotate(&mut self) -> Result<(), Violation> {
        let Some(longest) = self.options.profile.rotating else { return Ok(()) };
        let up: Vec<HostNo> = self.lives().map(|(no, _)| no).collect();
        if self.calm {
            self.after(TRY_AGAIN, Event::Rotate);
            return up.into_iter().try_for_each(|no| match self.prepared(no)? {
                true => self.propose_key(no),
                false => Ok(()),
            });
        }
        let pause = longest.mul_f64(self.rotators.random_range(0.1..1.0));
        self.after(pause, Event::Rotate);
        match up.choose(&mut self.rotators) {
            Some(no) => self.begin_change(*no),
            None => Ok(()),
        }
    }

    /// `mesh keys rotate` on `no`.
    fn begin_change(&mut self, no: HostNo) -> Result<(), Violation> {
        if self.prepared(no)? {
            return self.propose_key(no);
        }
        let Some((own, view)) = self.agreed_of(no) else { return Ok(()) };
        let Some(host) = self.hosts.get(&no) else { return Ok(()) };
        let keys = host.keys.cast(&own).map_err(|error| missing(no, error))?;
        let may = match keys.other {
            Some(_) => self.is_done_with_the_one_before(host, &own, &view),
            None => true,
        };
        if may && view.members.contains_key(&own.id) {
            self.keep(no, NextStep::Prepare);
        }
        Ok(())
    }

    /// Whether `no` has a key that it is not known to be agreed to have.
    fn prepared(&self, no: HostNo) -> Result<bool, Violation> {
        let (Some((own, _)), Some(host)) = (self.agreed_of(no), self.hosts.get(&no)) else {
            return Ok(false);
        };
        let keys = host.keys.cast(&own).map_err(|error| missing(no, error))?;
        Ok(matches!(keys.other, Some(OtherKey::Next(_))))
    }

    /// `no` has on disk how far it knows the log to be agreed, and then takes the next step.
    fn keep(&self, no: HostNo, step: NextStep) {
        let Some(life) = self.hosts.get(&no).and_then(Host::life) else { return };
        let Some(group) = life.group.clone() else { return };
        let (id, notice, asked) = (life.id, self.notice.clone(), self.switchboard.ask(life.me));
        tokio::spawn(async move {
            let kept = Notice::Kept { asked, step, done: group.keep().await };
            // The world going away means that the run is over.
            let _ = notice.send(Said { host: no, life: id, notice: kept });
        });
    }

    /// It has.
    pub(super) fn kept(&mut self, no: HostNo, step: NextStep) -> Result<(), Violation> {
        match step {
            NextStep::Prepare => {
                self.prepare(no)?;
                self.propose_key(no)
            }
            NextStep::Wipe => {
                let Some((own, view)) = self.agreed_of(no) else { return Ok(()) };
                let Some(host) = self.hosts.get(&no) else { return Ok(()) };
                if self.is_done_with_the_one_before(host, &own, &view) {
                    let keys = host.keys.cast(&own).map_err(|error| missing(no, error))?;
                    self.take_keys(no, OwnKeys { other: None, ..keys });
                }
                Ok(())
            }
        }
    }

    /// A new key, on disk and answered to.
    fn prepare(&mut self, no: HostNo) -> Result<(), Violation> {
        if self.prepared(no)? {
            return Ok(());
        }
        let Some((own, _)) = self.agreed_of(no) else { return Ok(()) };
        let Some(host) = self.hosts.get(&no) else { return Ok(()) };
        let mut keys = host.keys.cast(&own).map_err(|error| missing(no, error))?;
        self.stats.keys_made += 1;
        let next = self.seed.of("next tunnel", self.stats.keys_made);
        keys.other = Some(OtherKey::Next(TunnelSecret::from_bytes(next)));
        self.note(format_args!("prepare a key on {no}"));
        self.take_keys(no, keys);
        Ok(())
    }

    /// Has it agreed that the one on `no` has the key it prepared.
    fn propose_key(&mut self, no: HostNo) -> Result<(), Violation> {
        let Some(host) = self.hosts.get(&no) else { return Ok(()) };
        let Some(life) = host.life() else { return Ok(()) };
        let Some(OtherKey::Next(next)) = &life.keys.other else { return Ok(()) };
        let (next, me, Some(group)) = (next.public(), life.me, life.group.as_ref()) else {
            return Ok(());
        };
        let said = group.read(|state, _| match state.keys().get(me) {
            Some(last) if last.said().tunnel == next => None,
            _ => state.next_rekey(me, next),
        });
        let Some(rekey) = said else { return Ok(()) };
        let command = Command::Rekey(Signed::seal(&rekey, &host.keys.identity));
        self.invariants.keys.says(&rekey);
        self.propose(no, command, Purpose::Rekey);
        Ok(())
    }

    /// Brings every host up to what is agreed of its key.
    pub(super) fn settle_keys(&mut self) -> Result<(), Violation> {
        self.after(LOOK_AGAIN, Event::SettleKeys);
        self.numbers().into_iter().try_for_each(|no| self.settle_key(no))
    }

    /// The same of one.
    pub(super) fn settle_key(&mut self, no: HostNo) -> Result<(), Violation> {
        let Some((own, view)) = self.agreed_of(no) else { return Ok(()) };
        let Some(host) = self.hosts.get(&no) else { return Ok(()) };
        let keys = host.keys.cast(&own).map_err(|error| missing(no, error))?;
        if host.life().is_some_and(|life| life.keys != keys) {
            self.note(format_args!("goes by {} {no}", own.tunnel));
            self.take_keys(no, keys);
        } else if self.is_done_with_the_one_before(host, &own, &view) {
            self.keep(no, NextStep::Wipe);
        }
        Ok(())
    }

    /// Whether `host` has a key besides its agreed one, `own`, by which nobody has to reach it any more.
    fn is_done_with_the_one_before(
        &self,
        host: &Host,
        own: &MemberView,
        view: &ClusterView,
    ) -> bool {
        let (Some(life), Some(change)) = (host.life(), own.change) else { return false };
        let before = matches!(life.keys.other, Some(OtherKey::Before(_)));
        let waited_for = waited_for(view, life.node.behind(change.at));
        before && is_over(&change, &waited_for, self.wall_ms(host))
    }

    /// `no` has `keys` from now on: on disk first, then in its packet core.
    fn take_keys(&mut self, no: HostNo, keys: OwnKeys) {
        let forgetful = self.options.plant == Some(Plant::ForgottenKey);
        let Some(host) = self.hosts.get_mut(&no) else { return };
        // One that is planted to be forgotten is written down once it is agreed.
        if !(forgetful && matches!(keys.other, Some(OtherKey::Next(_)))) {
            host.keys.keep(&keys);
        }
        if let Some(life) = host.life_mut() {
            life.set_keys(keys);
            self.switchboard.set_tunnels(life.me, life.tunnels());
        }
    }

    /// The member on `no` as agreement there has it, and the rest of what it has.
    fn agreed_of(&self, no: HostNo) -> Option<(MemberView, Arc<ClusterView>)> {
        let life = self.hosts.get(&no)?.life()?;
        let view = life.group.as_ref()?.views().borrow().clone();
        Some((view.place_of(life.me)?.clone(), view))
    }

    fn lives(&self) -> impl Iterator<Item = (HostNo, &Life)> {
        self.hosts.values().filter_map(|host| Some((host.no, host.life()?)))
    }

    /// In the middle of the calm: who has a key before the agreed one that all others have heard enough to do without.
    pub(super) fn note_superfluous_keys(&mut self) {
        let Some(view) = self.newest_view() else { return };
        // Of one that is stranded nobody can hear that it has.
        let has_heard = |member: &MemberId, at: LogIndex| {
            self.status_of(*member).is_some_and(|status| status.applied >= at)
                && self.life_of(*member).is_some_and(|life| !self.is_stranded(life))
        };
        let superfluous = self.lives().filter(|(_, life)| {
            let change = view.members.get(&life.me).and_then(|own| own.change);
            let all = |at| view.members.keys().all(|member| has_heard(member, at));
            change.is_some_and(|change| view.banned.is_empty() && all(change.at))
        });
        self.superfluous = superfluous.map(|(no, life)| (no, life.id)).collect();
    }

    /// All sessions end, so that each two have to find each other by the keys they have.
    pub(super) fn end_sessions(&mut self) -> Result<(), Violation> {
        self.note(format_args!("all sessions end"));
        let now = self.clock.now();
        for no in self.numbers() {
            let Some(life) = self.hosts.get_mut(&no).and_then(Host::life_mut) else { continue };
            let output = life.handle_resume(now);
            self.carry_out(no, output)?;
        }
        Ok(())
    }

    /// In the end everybody has the key it is agreed to have, and no other.
    pub(super) fn check_keys(&self) -> Result<(), Violation> {
        let Some(view) = self.newest_view() else { return Ok(()) };
        for (no, member) in self.staying() {
            let Some(life) = self.hosts.get(&no).and_then(Host::life) else { continue };
            let Some(own) = view.members.get(&member) else { continue };
            let wrong = match &life.keys.other {
                _ if life.keys.current.public() != own.tunnel => "does not go by its agreed key",
                Some(OtherKey::Next(_)) => "has a key that nobody agreed to",
                Some(OtherKey::Before(_)) if self.superfluous.contains(&(no, life.id)) => {
                    "answers to a key that everybody could do without"
                }
                _ => continue,
            };
            let behind = own.change.map(|change| life.node.behind(change.at));
            let message = format!("{member} {wrong}; it waits for {behind:?}");
            return Err(Violation::new(NAME, message));
        }
        Ok(())
    }
}

/// What is agreed is not on the disk of `no`.
pub(super) fn missing(no: HostNo, error: KeyMissing) -> Violation {
    Violation::new(NAME, format!("{no}: {error}"))
}
