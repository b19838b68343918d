//! The agreed state: a pure, total function of the log.
//!
//! ```text
//! Genesis ──> State ──apply(1)──> State ──apply(2)──> ...        the same on every member
//! ```
//!
//! [`State::apply`] takes the next entry and always has an answer: there is no error path, no clock
//! and no randomness. Two members that applied the same entries hold the same bytes, and
//! [`State::hash`] lets them compare. A refused or repeated proposal leaves the state exactly as it
//! was.
//!
//! **Nobody is believed for being a voter.** The state keeps what was signed, not a summary of it:
//! the genesis, every invite that admitted a present member, every admission, departure and verdict, the last
//! policy on who votes. So
//! [`State::apply`] checks the chain root -> invite -> record of each entry, and [`State::verify`]
//! checks all chains again when a snapshot comes from someone else. What signatures cannot show is
//! what is *missing* (a member left out, a clock set back): whoever holds an earlier state finds that
//! with [`State::continues`], and equal hashes among members show the rest.
//!
//! **Time** is data: the leader's stamp. The state keeps the latest stamp of an invite or admission
//! and takes an earlier one as that, so an expired invite does not come back with a slow clock.
//!
//! This file routes; [`members`], [`ipam`], [`invites`], [`bans`], [`voters`] and [`audit`] decide.

pub mod audit;
pub mod bans;
mod foresight;
pub mod invites;
pub mod ipam;
mod judging;
pub mod members;
mod verify;
pub mod voters;

use std::collections::BTreeMap;

use mesh_model::audit::Beginning;
use mesh_model::trust::{
    Admission, ChainError, Departure, Genesis, Invite, MemberRecord, MeshRoot,
};
use mesh_model::view::{BannedView, ClusterView, MemberView, StateHash};
use mesh_model::wire::join::JoinRefusal;
use mesh_model::{InviteId, LogIndex, MemberId, OverlayAddrs, Signed, codec};
use serde::{Deserialize, Serialize};

pub use audit::Audit;
pub use bans::{Ban, Bans, RulingEntry};
pub use invites::{InviteEntry, Invites};
pub use ipam::Ipam;
pub use members::{Member, Members, Origin};
pub use mesh_model::audit::{Actor, Entry, Event};
pub use voters::Voters;

use crate::command::{Command, Outcome, Proposal, Refusal, reason};
use members::Newcomer;

/// Everything the mesh has agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    founding: Founding,
    /// The latest stamp of an entry that changed something and [tells time](Event).
    now_ms: u64,
    members: Members,
    ipam: Ipam,
    invites: Invites,
    bans: Bans,
    audit: Audit,
    voters: Voters,
}

mesh_model::message!(State, "state", version 2, limit codec::MAX_MESSAGE);

/// How the mesh began, and the bytes that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Signed<Genesis>")]
struct Founding {
    signed: Signed<Genesis>,
    #[serde(skip_serializing)]
    genesis: Genesis,
}

impl TryFrom<Signed<Genesis>> for Founding {
    type Error = codec::CodecError;

    fn try_from(signed: Signed<Genesis>) -> Result<Self, Self::Error> {
        let genesis = signed.peek()?;
        Ok(Self { signed, genesis })
    }
}

impl State {
    /// The state before the first entry, if `signed` is the genesis of `root`.
    pub fn genesis(signed: &Signed<Genesis>, root: &MeshRoot) -> Result<Self, ChainError> {
        let genesis = Genesis::verify(signed, root)?;
        let mut ipam = Ipam::default();
        let founder = ipam
            .allocate(genesis.prefixes.v4, &Default::default())
            .ok_or(ChainError::Contradiction("no room for the founder"))?;
        let addrs = OverlayAddrs { v4: founder, v6: genesis.prefixes.ipv6_of(MemberId::FOUNDER) };
        Ok(Self {
            now_ms: genesis.created_ms,
            members: Members::founded_by(genesis.founder.clone(), addrs),
            ipam,
            invites: Invites::default(),
            bans: Bans::default(),
            audit: Audit::of(&Beginning(signed.clone())),
            voters: Voters::default(),
            founding: Founding { signed: signed.clone(), genesis },
        })
    }

    /// Applies the entry at `index`. The same state and entry give the same outcome everywhere.
    pub fn apply(&mut self, index: LogIndex, proposal: &Proposal) -> Outcome {
        let now_ms = self.now_ms.max(proposal.at_ms);
        let decided = match &proposal.command {
            Command::Invite(signed) => self.invite(signed, now_ms),
            Command::Admit(admission) => self.admit(index, admission, now_ms),
            Command::Depart { member, departure } => self.depart(*member, departure),
            Command::Judge(signed) => self.judge(signed, now_ms),
            Command::Lapse(member) => self.lapse(*member, now_ms),
            Command::SetVoters(signed) => self.set_voters(signed),
            Command::Revoke(signed) => self.revoke(signed),
        };
        match decided {
            Ok(Decision::Changed(by, event, outcome)) => {
                if event.tells_time() {
                    self.now_ms = now_ms;
                }
                self.audit.record(Entry { index, at_ms: now_ms, by, event });
                outcome
            }
            Ok(Decision::Already(outcome)) => outcome,
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// What the root allowed, if it did.
    fn genuine_invite(&self, signed: &Signed<Invite>) -> Result<Invite, Refusal> {
        let invite = Invite::verify(signed, &self.founding.genesis.root)?;
        invites::check_bounds(&invite)?;
        Ok(invite)
    }

    /// What the joiner says of itself, and the invite it comes under, if the chain holds.
    fn genuine_record(
        &self,
        admission: &Admission,
    ) -> Result<(MemberRecord, &InviteEntry), Refusal> {
        let invite = self.invites.get(&admission.invite).ok_or(JoinRefusal::UnknownInvite)?;
        let record = admission
            .verify(invite.terms(), &self.founding.genesis.root)
            .map_err(|error| JoinRefusal::Chain(reason(&error)))?;
        Ok((record, invite))
    }

    fn invite(&mut self, signed: &Signed<Invite>, now_ms: u64) -> Result<Decision, Refusal> {
        let invite = self.genuine_invite(signed)?;
        let outcome = Outcome::InviteAdded(invite.id);
        let event = Event::InviteAdded {
            invite: invite.id,
            uses: invite.uses,
            expires_ms: invite.expires_ms,
        };
        let needed = self.members.invites_in_use();
        let added = self.invites.add(signed, invite, now_ms, &needed)?;
        Ok(match added {
            true => Decision::Changed(Actor::Root, event, outcome),
            false => Decision::Already(outcome),
        })
    }

    fn admit(
        &mut self,
        index: LogIndex,
        admission: &Admission,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let (record, invite) = self.genuine_record(admission)?;
        let prefixes = &self.founding.genesis.prefixes;
        // Proven to be who it says: a member that asks again hears what it missed, whatever has
        // become of its invite since.
        if let Some((id, member)) = self.members.by_identity(&record.identity) {
            if self.bans.ban(id).is_some() {
                return Err(JoinRefusal::Banned.into());
            }
            return Ok(Decision::Already(Outcome::Admitted { member: id, addrs: member.addrs() }));
        }
        // The invite first: a spent one shall not serve to find out who is there.
        invite.check_open(now_ms)?;
        self.members.check_newcomer(index, &record)?;
        let v4 = self
            .ipam
            .allocate(prefixes.v4, &self.members.ipv4_in_use())
            .ok_or_else(|| JoinRefusal::AddressesExhausted(prefixes.v4.to_string()))?;
        let member = MemberId(index);
        let addrs = OverlayAddrs { v4, v6: prefixes.ipv6_of(member) };
        let by = Actor::Joiner { invite: admission.invite, member };
        let event = Event::Admitted { member, name: record.name.clone() };
        self.invites.spend(&admission.invite);
        self.members.insert(member, Newcomer { record, admission: admission.clone(), addrs });
        Ok(Decision::Changed(by, event, Outcome::Admitted { member, addrs }))
    }

    fn depart(
        &mut self,
        member: MemberId,
        departure: &Signed<Departure>,
    ) -> Result<Decision, Refusal> {
        let outcome = Outcome::Departed(member);
        let mesh = self.founding.genesis.root.mesh;
        Ok(if self.members.depart(member, departure, mesh)? {
            self.bans.forget(member);
            Decision::Changed(Actor::Member { member }, Event::Departed { member }, outcome)
        } else {
            Decision::Already(outcome)
        })
    }

    /// A hash of everything agreed. Equal states have equal hashes, on every build that writes this
    /// version of the encoding. Costs a full encoding, so it is asked for once per applied batch.
    pub fn hash(&self) -> StateHash {
        let mut hasher = blake3::Hasher::new_derive_key("meshd v1 state hash");
        hasher.update(&codec::encode(self));
        StateHash(hasher.finalize().into())
    }

    /// The state as the rest of the house sees it, `applied` being the index of its last entry.
    pub fn view(&self, applied: LogIndex) -> ClusterView {
        let genesis = &self.founding.genesis;
        let (mut members, mut banned) = (BTreeMap::new(), BTreeMap::new());
        for member in self.members.views() {
            let id = member.id;
            match self.bans.ban(id) {
                None => drop(members.insert(id, member)),
                Some(Ban { since_ms, until_ms, reason }) => {
                    let reason = reason.cloned();
                    banned.insert(id, BannedView { member, since_ms, until_ms, reason });
                }
            }
        }
        ClusterView {
            root: genesis.root,
            mesh_name: genesis.name.clone(),
            prefixes: genesis.prefixes,
            applied,
            hash: self.hash(),
            members,
            banned,
        }
    }

    /// Checks the whole state from the root key up, as if nobody had checked it before: a snapshot
    /// comes from another member. See the module head for what this can and cannot show.
    pub fn verify(&self, root: &MeshRoot) -> Result<(), ChainError> {
        verify::verify(self, root)
    }

    /// Whether this state can have come of `earlier`. Signatures do not show a member left out, another's
    /// address or a clock set back; knowing what was agreed before does.
    pub fn continues(&self, earlier: &Self) -> bool {
        verify::continues(self, earlier)
    }

    /// The last index the state bears witness of: somebody came in or went there.
    pub fn last_index(&self) -> LogIndex {
        self.audit.last_index().max(self.members.newest().0)
    }

    /// How the mesh began, as it was signed.
    pub fn signed_genesis(&self) -> &Signed<Genesis> {
        &self.founding.signed
    }

    /// How the mesh began.
    pub fn founding(&self) -> &Genesis {
        &self.founding.genesis
    }

    /// The latest time the mesh has agreed on, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Who is, and was, a member.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The members with a place in the mesh that came in by `invite`.
    pub fn admitted_under(&self, invite: InviteId) -> impl Iterator<Item = MemberView> {
        let came_by = move |member: &MemberView| {
            self.members.present().get(&member.id).and_then(Member::invite) == Some(invite)
        };
        self.members.views().filter(came_by)
    }

    /// The invites the mesh remembers.
    pub fn invites(&self) -> &Invites {
        &self.invites
    }

    /// What admins have ruled about members.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Who shall vote.
    pub fn voters(&self) -> &Voters {
        &self.voters
    }

    /// What happened lately.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }
}

/// What a command came to, when it was not refused.
enum Decision {
    /// The state changed, and by whom.
    Changed(Actor, Event, Outcome),
    /// It was so already.
    Already(Outcome),
}
