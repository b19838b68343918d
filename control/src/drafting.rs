//! What an admin is to sign: a person's wish, put into words that mean the same everywhere and for good.
//!
//! ```text
//! "ban web1 for an hour" ──Drafter──> member m7, whose identity is .., is banned until ..; serial 9 ──signed──> a command
//! ```
//!
//! A person says names, lengths of time and what shall be different. What is signed says ids, points in time and how
//! everything is then, with a serial that makes it the last word. That takes the agreed state and a clock's time, so a
//! member's daemon does it; who signs may be elsewhere, and is shown what comes of it.

mod error;
mod proposing;
pub mod whom;

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use mesh_model::api::v1::{PolicyRule, VoterWish, Wanted};
use mesh_model::trust::{
    AccessBound, AccessPolicy, AdminChange, AdminStep, Invite, MAX_BAN_MS, MAX_INVITE_LIFETIME_MS,
    MAX_INVITE_USES, MAX_RULES, MAX_TAGS, Request, Revocation, Ruling, Tag, Tagging, Verdict,
    VoterPolicy, VoterTarget, Wish,
};
use mesh_model::view::{ClusterView, MemberView};
use mesh_model::{AdminId, Cosigned, IdentityKey, InviteId, MemberId};

pub use error::DraftError;
pub use proposing::{Unproposable, command, signatures_needed};

use crate::access::read;
use crate::state::{Admins, State};

/// The fewest digits that stand for an invite: of eleven thousand, seldom do two share them.
pub const MIN_INVITE_DIGITS: usize = 4;

/// What an invite shall allow, and the public half of its key: the secret stays with whoever drew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteTerms {
    /// [`Invite::key`].
    pub key: IdentityKey,
    /// [`Invite::uses`].
    pub uses: u32,
    /// How long it is valid from now on, in seconds.
    pub lifetime_s: u64,
    /// [`Invite::range`].
    pub range: Option<Ipv4Net>,
    /// [`Invite::voter`].
    pub voter: bool,
    /// [`Invite::tags`].
    pub tags: BTreeSet<Tag>,
}

/// Puts wishes into words, by what one host knows at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Drafter<'a> {
    /// What is agreed.
    pub state: &'a State,
    /// The same, as the rest of the house sees it.
    pub view: &'a ClusterView,
    /// The host that is asked.
    pub me: MemberId,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: u64,
}

impl Drafter<'_> {
    /// What is `wanted`, unsigned.
    pub fn request(&self, wanted: Wanted) -> Result<Request, DraftError> {
        Ok(match wanted {
            Wanted::AddAdmin { name, key } => self.change(AdminStep::Add { name, key }),
            Wanted::RemoveAdmin { admin, revoke_invites } => {
                self.change(removal(self.state.admins(), &admin, revoke_invites)?)
            }
            Wanted::AdminThreshold { threshold } => self.change(AdminStep::Threshold(threshold)),
            Wanted::Ban { member, for_s, reason } => {
                let until_ms = for_s.map(|for_s| self.ban_end(for_s)).transpose()?;
                self.judge(&member, Ruling::Banned { until_ms, reason })?
            }
            Wanted::Unban { member } => self.judge(&member, Ruling::Pardoned)?,
            Wanted::Remove { member } => self.judge(&member, Ruling::Removed)?,
            Wanted::RevokeInvite { invite } => {
                Request::Revoke(Cosigned::new(&self.revocation(&invite)?))
            }
            Wanted::VoterTarget { target } => {
                Request::SetVoters(Cosigned::new(&self.voter_target(target)?))
            }
            Wanted::VoterWish { member, wish } => {
                Request::SetVoters(Cosigned::new(&self.voter_wish(&member, wish)?))
            }
            Wanted::Invite { key, uses, lifetime_s, range, voter, tags } => {
                let terms = InviteTerms { key, uses, lifetime_s, range, voter, tags };
                Request::Invite(Cosigned::new(&self.invite(terms)?))
            }
            Wanted::Tag { member, add, remove } => {
                Request::Tag(Cosigned::new(&self.tagging(&member, &add, &remove)?))
            }
            Wanted::Policy { rules } => Request::SetAccess(Cosigned::new(&self.access(&rules)?)),
        })
    }

    fn judge(&self, member: &str, ruling: Ruling) -> Result<Request, DraftError> {
        Ok(Request::Judge(Cosigned::new(&self.verdict(self.about(member, &ruling)?, ruling))))
    }

    /// The member that `text` means, if `ruling` makes sense about it.
    pub fn about(&self, text: &str, ruling: &Ruling) -> Result<&MemberView, DraftError> {
        let member = self.placed(text)?;
        let is_out = || self.view.banned.contains_key(&member.id);
        match (ruling, member.id == self.me) {
            (Ruling::Banned { .. } | Ruling::Removed, true) => Err(DraftError::ThisHost),
            // One that others shut out hears of it last, and may be the only one whose key ends it.
            (Ruling::Pardoned, true) => Ok(member),
            (Ruling::Pardoned, false) if !is_out() => {
                Err(DraftError::NotBanned(member.name.clone(), member.id))
            }
            _ => Ok(member),
        }
    }

    /// `ruling` about `member`.
    pub fn verdict(&self, member: &MemberView, ruling: Ruling) -> Verdict {
        Verdict {
            mesh: self.view.mesh(),
            member: member.id,
            identity: member.identity,
            serial: self.state.bans().next_serial(member.id, self.now_ms),
            ruling,
        }
    }

    /// When a ban of `for_s` seconds from now ends.
    pub fn ban_end(&self, for_s: u64) -> Result<u64, DraftError> {
        match (1..=MAX_BAN_MS / 1000).contains(&for_s) {
            true => Ok(self.now_ms.saturating_add(for_s * 1000)),
            false => Err(DraftError::BanTime(for_s)),
        }
    }

    /// The end of the one invite whose id begins with `text`.
    pub fn revocation(&self, text: &str) -> Result<Revocation, DraftError> {
        Ok(Revocation { mesh: self.view.mesh(), invite: self.invite_meant(text)? })
    }

    fn invite_meant(&self, text: &str) -> Result<InviteId, DraftError> {
        let digits = text.trim().to_ascii_lowercase();
        if digits.len() < MIN_INVITE_DIGITS {
            return Err(DraftError::InviteDigits(text.to_owned()));
        }
        let is_meant = |id: &&InviteId| id.to_string().starts_with(&digits);
        let mut found = self.state.invites().iter().map(|(id, _)| id).filter(is_meant);
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(*id),
            (None, _) => Err(DraftError::UnknownInvite(text.to_owned())),
            (Some(_), Some(_)) => Err(DraftError::EitherInvite(text.to_owned())),
        }
    }

    /// An invite with `terms`.
    pub fn invite(&self, terms: InviteTerms) -> Result<Invite, DraftError> {
        let InviteTerms { key, uses, lifetime_s, range, voter, tags } = terms;
        if !(1..=MAX_INVITE_USES).contains(&uses) {
            return Err(DraftError::InviteUses(uses));
        }
        if !(1..=MAX_INVITE_LIFETIME_MS / 1000).contains(&lifetime_s) {
            return Err(DraftError::InviteLifetime(lifetime_s));
        }
        let prefix = self.view.prefixes.v4;
        if let Some(range) = range.filter(|range| !prefix.contains(range)) {
            return Err(DraftError::InviteRange { range, prefix });
        }
        if tags.len() > MAX_TAGS {
            let whom = "those it admits".to_owned();
            return Err(DraftError::TooManyTags { whom, tags: tags.len() });
        }
        Ok(Invite {
            mesh: self.view.mesh(),
            id: InviteId::of_key(&key),
            key,
            uses,
            created_ms: self.now_ms,
            expires_ms: self.now_ms.saturating_add(lifetime_s * 1000),
            range,
            voter,
            tags,
        })
    }

    /// The tags of the member that `text` means, some added and some taken away.
    pub fn tagging(
        &self,
        text: &str,
        add: &BTreeSet<Tag>,
        remove: &BTreeSet<Tag>,
    ) -> Result<Tagging, DraftError> {
        if let Some(both) = add.intersection(remove).next() {
            return Err(DraftError::EitherTag(both.clone()));
        }
        let MemberView { id, name, .. } = self.placed(text)?;
        let change = |tags: &mut BTreeSet<Tag>| {
            tags.retain(|tag| !remove.contains(tag));
            tags.extend(add.iter().cloned());
        };
        // One that has left since the view was made is as unknown as any.
        let tagging = self.state.next_tagging(*id, change);
        let tagging = tagging.ok_or_else(|| DraftError::UnknownMember(text.to_owned()))?;
        match tagging.tags.len() {
            0..=MAX_TAGS => Ok(tagging),
            tags => Err(DraftError::TooManyTags { whom: format!("{name} ({id})"), tags }),
        }
    }

    /// A policy with the rules that `words` say.
    pub fn access(&self, words: &[PolicyRule]) -> Result<AccessPolicy, DraftError> {
        if words.len() > MAX_RULES {
            return Err(AccessBound::Rules.into());
        }
        let rules = read(self.view, &self.state.known_tags(), words)?;
        let policy = self.state.next_access(rules);
        policy.check_bounds()?;
        Ok(policy)
    }

    /// The policy on who votes that stands, with so many voters; as many as the mesh chooses when absent.
    pub fn voter_target(&self, number: Option<u8>) -> Result<VoterPolicy, DraftError> {
        let target = |number| VoterTarget::of(number).ok_or(DraftError::VoterTarget(number));
        let target = number.map(target).transpose()?;
        Ok(self.state.next_policy(|policy| policy.target = target))
    }

    /// The same policy, with this wish about the present member that `text` means.
    pub fn voter_wish(&self, text: &str, wish: VoterWish) -> Result<VoterPolicy, DraftError> {
        let member = whom::present(self.view, text);
        let member = member.ok_or_else(|| DraftError::UnknownMember(text.to_owned()))?.id;
        Ok(self.state.next_policy(|policy| match wish {
            VoterWish::Auto => drop(policy.wishes.remove(&member)),
            VoterWish::Always => drop(policy.wishes.insert(member, Wish::Always)),
            VoterWish::Never => drop(policy.wishes.insert(member, Wish::Never)),
        }))
    }

    /// The next change of admins.
    fn change(&self, step: AdminStep) -> Request {
        let admins = self.state.admins();
        let (serial, before) = (admins.serial() + 1, admins.head());
        let change = AdminChange { mesh: self.view.mesh(), serial, before, step };
        Request::ChangeAdmins(Cosigned::new(&change))
    }

    /// The member that `text` means, present or banned.
    pub fn placed(&self, text: &str) -> Result<&MemberView, DraftError> {
        whom::placed(self.view, text).ok_or_else(|| DraftError::UnknownMember(text.to_owned()))
    }
}

/// The removal of the admin that `text` names, or whose id it is.
fn removal(admins: &Admins, text: &str, revoke_invites: bool) -> Result<AdminStep, DraftError> {
    let is_meant = |id: &AdminId, name: &str| name == text || id.to_string() == text;
    let mut found = admins.present().filter(|(id, admin)| is_meant(id, admin.name.as_str()));
    match (found.next(), found.next()) {
        (Some((admin, meant)), None) => {
            Ok(AdminStep::Remove { admin, name: meant.name.clone(), revoke_invites })
        }
        (Some(_), Some(_)) => Err(DraftError::EitherAdmin(text.to_owned())),
        (None, _) => Err(DraftError::UnknownAdmin(text.to_owned())),
    }
}
