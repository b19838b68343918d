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
//! the genesis, every change of admins, every invite that admitted a present member, every admission, departure and
//! verdict, the reports on which somebody is shut out and how those who made them came in, the last word on each member's tags and key and on who votes, the last policies on who may reach whom, each epoch's beginning. So
//! [`State::apply`] checks the chain root -> admin -> invite -> record of each entry, and [`State::verify`]
//! checks all chains again when a snapshot comes from someone else. What signatures cannot show is
//! what is *missing* (a member left out, a clock set back): whoever holds an earlier state finds that
//! with [`State::continues`], and equal hashes among members show the rest.
//!
//! **Time** is data: the leader's stamp. The state keeps the latest stamp of an invite or admission
//! and takes an earlier one as that, so an expired invite does not come back with a slow clock.
//!
//! This file routes; [`admins`], [`members`], [`ipam`], [`invites`], [`bans`], [`exclusions`], [`voters`], [`tags`],
//! [`keys`], [`access`], [`epochs`] and [`audit`] decide.

pub mod access;
pub mod admins;
mod admitting;
mod agreed;
pub mod audit;
pub mod bans;
mod continuity;
pub mod crossing;
mod departing;
pub mod epochs;
mod excluding;
pub mod exclusions;
mod foresight;
mod grounds;
pub mod invites;
pub mod ipam;
mod judging;
pub mod keys;
pub mod lineage;
pub mod members;
pub(crate) mod rekeying;
pub mod serial;
pub mod stated;
pub mod tags;
mod verify;
mod viewing;
pub mod voters;

use std::collections::BTreeSet;

use mesh_model::audit::Beginning;
use mesh_model::codec::{self, CodecError, Message};
use mesh_model::trust::{ChainError, Genesis, MeshRoot};
use mesh_model::view::StateHash;
use mesh_model::{Edition, LogIndex, MemberId, OverlayAddrs, Signed};
use serde::{Deserialize, Serialize};

pub use access::{Access, AccessEntry};
pub use admins::{Admin, Admins};
pub use audit::Audit;
pub use bans::{Ban, Bans, RulingEntry};
pub use crossing::CrossingError;
pub use epochs::{EpochError, Epochs};
pub use exclusions::{Exclusion, Exclusions};
pub use invites::{InviteEntry, Invites};
pub use ipam::Ipam;
pub use keys::{KeyEntry, Keys};
pub use lineage::Lineage;
pub use members::{Member, Members, Origin};
pub use mesh_model::audit::{Actor, Entry, Event};
pub use stated::Stated;
pub use tags::Tags;
pub use voters::Voters;

use crate::command::{Command, NEWEST, Outcome, Proposal};

/// Everything the mesh has agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    founding: Founding,
    admins: Admins,
    /// The latest stamp of an entry that changed something and [tells time](Event).
    now_ms: u64,
    members: Members,
    ipam: Ipam,
    invites: Invites,
    bans: Bans,
    audit: Audit,
    voters: Voters,
    /// The members with a place in the mesh that had a vote in this epoch.
    voted: BTreeSet<MemberId>,
    tags: Tags,
    access: Access,
    epochs: Epochs,
    exclusions: Exclusions,
    keys: Keys,
    /// The newest that any of it is from.
    edition: Edition,
}

impl Message for State {
    const NAME: &'static str = "state";
    const VERSION: u8 = version_in(NEWEST);
    const OLDEST: u8 = version_in(Edition::FIRST);
    const LIMIT: usize = codec::MAX_MESSAGE;

    fn version(&self) -> u8 {
        version_in(self.edition)
    }
}

/// The version of the encoding of a state of `edition`: there was one before the first.
const fn version_in(edition: Edition) -> u8 {
    edition.0.saturating_add(1)
}

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
            admins: Admins::of_root(root.key),
            now_ms: genesis.created_ms,
            members: Members::founded_by(genesis.founder.clone(), addrs),
            ipam,
            invites: Invites::default(),
            bans: Bans::default(),
            audit: Audit::of(&Beginning(signed.clone())),
            voters: Voters::default(),
            voted: BTreeSet::new(),
            tags: Tags::default(),
            access: Access::default(),
            epochs: Epochs::default(),
            exclusions: Exclusions::default(),
            keys: Keys::default(),
            edition: Edition::FIRST,
            founding: Founding { signed: signed.clone(), genesis },
        })
    }

    /// Applies the entry at `index`. The same state and entry give the same outcome everywhere.
    pub fn apply(&mut self, index: LogIndex, proposal: &Proposal) -> Outcome {
        let now_ms = self.now_ms.max(proposal.at_ms);
        let decided = match &proposal.command {
            Command::Invite(signed) => self.invite(index, signed, now_ms),
            Command::Admit(admission) => self.admit(index, admission, now_ms),
            Command::Depart { member, departure } => self.depart(*member, departure),
            Command::Judge(signed) => self.judge(index, signed, now_ms),
            Command::Lapse(member) => self.lapse(*member, now_ms),
            Command::SetVoters(signed) => self.set_voters(index, signed),
            Command::Revoke(signed) => self.revoke(index, signed),
            Command::ChangeAdmins(signed) => self.change_admins(index, signed),
            Command::Tag(signed) => self.tag(index, signed),
            Command::SetAccess(signed) => self.set_access(index, signed, now_ms),
            Command::Exclude { subject, reports } => self.exclude(index, *subject, reports, now_ms),
            Command::Rekey(signed) => self.rekey(index, signed, now_ms),
            #[cfg(feature = "next")]
            Command::Trial(number) => Ok(Decision::Already(Outcome::Tried(*number))),
        };
        if decided.is_ok() {
            self.edition = self.edition.max(proposal.command.edition());
        }
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

    /// `voters` have a vote from here on. Such a member must not begin anew under its id: with an empty store it
    /// would not know whom it has promised its vote.
    pub fn note_voters(&mut self, voters: impl Iterator<Item = MemberId>) {
        let present = self.members.present();
        self.voted.extend(voters.filter(|voter| present.contains_key(voter)));
    }

    /// Whether `member`, which has a place in the mesh, ever had a vote in this epoch.
    pub fn has_voted(&self, member: MemberId) -> bool {
        self.voted.contains(&member)
    }

    /// A hash of everything agreed. Equal states have equal hashes, on every build that writes this
    /// version of the encoding. Costs a full encoding, so it is asked for once per applied batch.
    pub fn hash(&self) -> StateHash {
        let mut hasher = blake3::Hasher::new_derive_key("meshd v1 state hash");
        hasher.update(&codec::encode(self));
        StateHash(hasher.finalize().into())
    }

    /// Checks the whole state from the root key up, as if nobody had checked it before: a snapshot
    /// comes from another member. See the module head for what this can and cannot show.
    pub fn verify(&self, root: &MeshRoot) -> Result<(), ChainError> {
        verify::verify(self, root)
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

    /// The newest edition of which something was agreed.
    pub fn edition(&self) -> Edition {
        self.edition
    }

    /// An error if a build that reads no later edition than `reads` could not read this state.
    pub(crate) fn check_readable(&self, reads: Edition) -> Result<(), CodecError> {
        match self.edition <= reads {
            true => Ok(()),
            false => Err(CodecError::Version {
                name: Self::NAME,
                found: self.version(),
                known: version_in(reads),
            }),
        }
    }

    /// The latest time the mesh has agreed on, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Who may speak for the mesh, and might once.
    pub fn admins(&self) -> &Admins {
        &self.admins
    }

    /// Who is, and was, a member.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The invites the mesh remembers.
    pub fn invites(&self) -> &Invites {
        &self.invites
    }

    /// What admins have ruled about members.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Who is, or was lately, shut out on the word of other members.
    pub fn exclusions(&self) -> &Exclusions {
        &self.exclusions
    }

    /// Who shall vote.
    pub fn voters(&self) -> &Voters {
        &self.voters
    }

    /// What the root has said of members' tags.
    pub fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Which WireGuard keys members have.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Who may reach whom.
    pub fn access(&self) -> &Access {
        &self.access
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
