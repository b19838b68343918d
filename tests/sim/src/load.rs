//! What people and programs do with the mesh: invite, join, leave, send. Drawn from the seed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mesh_control::command::Outcome;
use mesh_model::{InviteId, OverlayAddrs};
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::net::HostNo;
use crate::trust::Ticket;

/// The fewest members left for anyone to leave: three voters and one more.
const STAY: usize = 4;

/// Something to do.
#[derive(Debug)]
pub enum Action {
    /// An inner packet; with `forged`, under that source.
    Send {
        /// From.
        from: HostNo,
        /// To.
        to: HostNo,
        /// IPv6, or IPv4.
        v6: bool,
        /// Whose address it claims to come from, if not its own.
        forged: Option<IpAddr>,
    },
    /// A new invite, proposed at this host.
    Invite {
        /// Where.
        at: HostNo,
        /// For how many.
        uses: u32,
    },
    /// A stranger asks to be let in.
    Join {
        /// Who.
        host: HostNo,
        /// With what.
        ticket: InviteId,
    },
    /// Somebody who knows this invite's id but not its secret asks to be let in.
    Intrude {
        /// At which door.
        at: HostNo,
        /// Under which invite.
        ticket: InviteId,
    },
    /// A member says goodbye.
    Leave(HostNo),
}

/// What the load sees of the world.
pub struct Situation {
    /// Members that are up, and their addresses.
    pub members: Vec<(HostNo, OverlayAddrs)>,
    /// How many of them are not banned: that many can agree on something.
    pub present: usize,
    /// Hosts that are no members and not asking.
    pub outside: Vec<HostNo>,
    /// Whether the mesh may change: nobody joins or leaves in the calm period.
    pub changing: bool,
}

/// An invite the mesh has agreed to.
struct Standing {
    ticket: Ticket,
    /// How many hosts were given it.
    handed: u32,
}

/// Draws actions.
pub struct Load {
    rng: ChaCha8Rng,
    liar: HostNo,
    churn: f64,
    asked: BTreeMap<InviteId, Ticket>,
    standing: BTreeMap<InviteId, Standing>,
    invites: u64,
}

impl Load {
    /// A load in which `liar` forges sources, and of which the share `churn` is coming and going.
    pub fn new(seed: [u8; 32], liar: HostNo, churn: f64) -> Self {
        let rng = ChaCha8Rng::from_seed(seed);
        Self { rng, liar, churn, asked: BTreeMap::new(), standing: BTreeMap::new(), invites: 0 }
    }

    /// How long until the next action.
    pub fn pause(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(20..250))
    }

    /// The number of the next invite.
    pub fn next_invite(&mut self) -> u64 {
        self.invites += 1;
        self.invites
    }

    /// `ticket` was proposed.
    pub fn asked_for(&mut self, ticket: Ticket) {
        self.asked.insert(ticket.invite.id, ticket);
    }

    /// Somebody was told that the mesh has decided so about an invite.
    pub fn acknowledged(&mut self, outcome: &Outcome) {
        if let Outcome::InviteAdded(invite) = outcome
            && let Some(ticket) = self.asked.remove(invite)
        {
            self.standing.insert(*invite, Standing { ticket, handed: 0 });
        }
    }

    /// The invite with this id, and how many hosts it is good for.
    pub fn ticket(&self, invite: InviteId) -> Option<&Ticket> {
        self.standing.get(&invite).map(|standing| &standing.ticket)
    }

    /// All invites the mesh has agreed to.
    pub fn tickets(&self) -> Vec<Ticket> {
        self.standing.values().map(|standing| standing.ticket.clone()).collect()
    }

    /// The next action.
    pub fn next(&mut self, seen: &Situation) -> Option<Action> {
        if seen.changing && self.churn > 0.0 && self.rng.random_bool(self.churn) {
            return self.come_or_go(seen);
        }
        match self.rng.random_range(0..100) {
            0..70 => self.send(seen),
            70..88 if seen.changing => self.join(seen),
            88..95 if seen.changing => self.invite(seen),
            95..97 => self.intrude(seen),
            97.. if seen.changing && seen.present >= STAY => self.leave(seen),
            _ => None,
        }
    }

    fn send(&mut self, seen: &Situation) -> Option<Action> {
        let mut ends = seen.members.sample(&mut self.rng, 2);
        let ((from, _), (to, _)) = (ends.next()?, ends.next()?);
        let (from, to) = (*from, *to);
        let v6 = self.rng.random_bool(0.5);
        let forged = (from == self.liar && self.rng.random_bool(0.5))
            .then(|| self.forge(seen, (from, to), v6))
            .flatten();
        Some(Action::Send { from, to, v6, forged })
    }

    /// An address that is not the liar's: another member's, or nobody's.
    fn forge(
        &mut self,
        seen: &Situation,
        (from, to): (HostNo, HostNo),
        v6: bool,
    ) -> Option<IpAddr> {
        let others = seen.members.iter().filter(|(host, _)| *host != from && *host != to);
        let victims: Vec<OverlayAddrs> = others.map(|(_, addrs)| *addrs).collect();
        let (_, receiver) = seen.members.iter().find(|(host, _)| *host == to)?;
        let kind = self.rng.random_range(0..4);
        Some(match (kind, victims.choose(&mut self.rng)) {
            (0..2, Some(victim)) if v6 => victim.v6.into(),
            (0..2, Some(victim)) => victim.v4.into(),
            (2, _) if v6 => receiver.v6.into(),
            (2, _) => receiver.v4.into(),
            _ if v6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            _ => Ipv4Addr::new(198, 51, 100, 7).into(),
        })
    }

    fn join(&mut self, seen: &Situation) -> Option<Action> {
        let host = *seen.outside.choose(&mut self.rng)?;
        // Now and then one ticket more is handed out than the invite is good for: a race, or a token
        // that was copied.
        let generous = u32::from(self.rng.random_bool(0.4));
        let usable =
            |standing: &&mut Standing| standing.handed < standing.ticket.invite.uses + generous;
        let found = self.standing.values_mut().find(usable);
        match found {
            Some(standing) => {
                standing.handed += 1;
                Some(Action::Join { host, ticket: standing.ticket.invite.id })
            }
            None => self.invite(seen),
        }
    }

    fn invite(&mut self, seen: &Situation) -> Option<Action> {
        let (at, _) = *seen.members.choose(&mut self.rng)?;
        let uses = *[1, 1, 1, 2].choose(&mut self.rng)?;
        Some(Action::Invite { at, uses })
    }

    fn intrude(&mut self, seen: &Situation) -> Option<Action> {
        let (at, _) = *seen.members.choose(&mut self.rng)?;
        let known: Vec<InviteId> = self.standing.keys().copied().collect();
        let ticket = *known.choose(&mut self.rng)?;
        Some(Action::Intrude { at, ticket })
    }

    fn come_or_go(&mut self, seen: &Situation) -> Option<Action> {
        match self.rng.random_bool(0.5) {
            true if seen.present >= STAY => self.leave(seen),
            _ => self.join(seen),
        }
    }

    fn leave(&mut self, seen: &Situation) -> Option<Action> {
        let (host, _) = *seen.members.choose(&mut self.rng)?;
        Some(Action::Leave(host))
    }
}
