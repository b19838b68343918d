//! Admins make admins, label members and say who may reach whom; and somebody says all of it again.

use std::time::Duration;

use mesh_control::command::Command;
use mesh_model::access::{Protocol, Rule, Selector};
use mesh_model::trust::Tag;
use rand::RngExt as _;
use rand::seq::IteratorRandom as _;

use super::World;
use super::queue::{Event, Purpose};
use crate::host::Host;
use crate::net::HostNo;

/// The longest pause between two of these.
const PAUSE: Duration = Duration::from_secs(6);

/// What members are labelled with. Those of regions have votes move.
const LABELS: [&str; 4] = ["web", "db", "region-a", "region-b"];

impl World {
    /// What is known from the start.
    pub(super) fn schedule_governing(&mut self) {
        if self.admin.is_busy() && self.options.profile.ruling.is_some() {
            self.queue.add(PAUSE, Event::Govern);
        }
    }

    /// The next of these, at some door.
    pub(super) fn govern(&mut self) {
        if self.calm {
            return;
        }
        let pause = PAUSE.mul_f64(self.governors.random_range(0.1..1.0));
        self.after(pause, Event::Govern);
        let doors = self.doors();
        let Some(at) = doors.into_iter().choose(&mut self.governors) else { return };
        let governed = match self.governors.random_range(0..10) {
            0..4 => self.change_admins(at),
            4..7 => self.tag(at).map(|command| (command, true)),
            7..9 => self.set_access(at).map(|command| (command, true)),
            _ => self.governed.iter().choose(&mut self.governors).cloned(),
        };
        let Some((command, enough)) = governed else { return };
        if self.propose(at, command.clone(), Purpose::Govern(enough)) {
            self.governed.push((command, enough));
        }
    }

    fn change_admins(&mut self, at: HostNo) -> Option<(Command, bool)> {
        let head = self.group_at(at)?.read(|state, _| state.admins().head());
        self.bench.change(&head)
    }

    fn tag(&mut self, at: HostNo) -> Option<Command> {
        let group = self.group_at(at)?;
        let rng = &mut self.governors;
        let (head, tagging) = group.read(|state, _| {
            let member = *state.members().present().keys().choose(rng)?;
            let tag: Tag = LABELS.iter().choose(rng)?.parse().ok()?;
            let tagging = state.next_tagging(member, |tags| {
                if !tags.remove(&tag) {
                    tags.insert(tag);
                }
            });
            Some((state.admins().head(), tagging?))
        })?;
        self.invariants.governance.sign_tags(&tagging);
        Some(Command::Tag(self.bench.sign(&head, &tagging)?))
    }

    /// Everybody may reach everybody by the first rule, or the load's packets would tell of nothing else.
    fn set_access(&mut self, at: HostNo) -> Option<Command> {
        let (from, to) = (vec![Selector::Any], vec![Selector::Any]);
        let open = Rule { from, to, protocol: Protocol::Any, ports: Vec::new() };
        let tag = LABELS.iter().choose(&mut self.governors)?.parse().ok()?;
        let tagged = Rule { from: vec![Selector::Tag(tag)], ..open.clone() };
        let group = self.group_at(at)?;
        let (head, policy) =
            group.read(|state, _| (state.admins().head(), state.next_access(vec![open, tagged])));
        self.invariants.governance.sign_access(&policy);
        Some(Command::SetAccess(self.bench.sign(&head, &policy)?))
    }

    /// Whether enough admins signed the same: it is told where that was agreed, whoever says it again.
    pub(super) fn said_by_enough(&self, command: &Command) -> bool {
        let Command::ChangeAdmins(change) = command else { return false };
        self.governed.iter().any(|(other, enough)| {
            *enough
                && matches!(other, Command::ChangeAdmins(other)
                    if other.payload() == change.payload())
        })
    }

    fn group_at(&self, at: HostNo) -> Option<mesh_control::raft::Group> {
        self.hosts.get(&at).and_then(Host::life)?.group.clone()
    }
}
