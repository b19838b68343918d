//! How members are labelled.
//!
//! A member has the tags that an admin last said it has, and until then those of the invite it came in by. Both are
//! kept as they were signed, so a snapshot shows whose word each label is.

use std::collections::{BTreeMap, BTreeSet};

use mesh_model::audit::Actor;
use mesh_model::trust::{AdminStatement as _, MAX_TAGS, Tag, Tagging};
use mesh_model::{AdminId, LogIndex, MemberId, Signed};
use serde::{Deserialize, Serialize};

use super::members::Member;
use super::serial::check_leap;
use super::{Decision, State, Stated};
use crate::command::{Outcome, Refusal};

/// The last statement about each member that ever had one. At most one per member with a place in the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags(BTreeMap<MemberId, Stated<Tagging>>);

impl Tags {
    /// All of them, by member.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&MemberId, &Stated<Tagging>)> {
        self.0.iter()
    }

    /// The last statement about `member`.
    pub fn get(&self, member: MemberId) -> Option<&Stated<Tagging>> {
        self.0.get(&member)
    }

    /// The serial of the statement about `member` that stands; 0 while there is none.
    pub fn serial(&self, member: MemberId) -> u64 {
        self.get(member).map_or(0, |stated| stated.said().serial)
    }

    /// Whether `tagging`, whose signature was checked, says something new. `false`: it stands already.
    fn is_news(&self, tagging: &Tagging) -> Result<bool, Refusal> {
        let member = tagging.member;
        match self.get(member) {
            Some(standing) if standing.said() == tagging => Ok(false),
            _ if tagging.serial <= self.serial(member) => {
                Err(Refusal::StaleTags { member, serial: self.serial(member) })
            }
            _ => check_leap(tagging.serial, self.serial(member)).map(|()| true),
        }
    }

    /// There is nothing to know of `member` any more.
    pub(super) fn forget(&mut self, member: MemberId) {
        self.0.remove(&member);
    }
}

impl State {
    /// The tags of `member`, which is `id`.
    pub(super) fn tags_of(&self, id: MemberId, member: &Member) -> BTreeSet<Tag> {
        let given = || member.invite().and_then(|invite| self.invites.get(&invite));
        match self.tags.get(id) {
            Some(stated) => stated.said().tags.clone(),
            None => given().map(|invite| invite.terms().tags.clone()).unwrap_or_default(),
        }
    }

    /// Which tags an admin gives a member, and which admin, if one does, and whether that is news.
    pub(super) fn genuine_tagging(
        &self,
        signed: &Signed<Tagging>,
    ) -> Result<(Tagging, AdminId, bool), Refusal> {
        let (tagging, by): (Tagging, _) = self.said_by_admin(signed)?;
        let member = self.members.present().get(&tagging.member);
        let member = member.ok_or(Refusal::UnknownMember(tagging.member))?;
        if member.record().identity != tagging.identity {
            return Err(Refusal::OtherIdentity(tagging.member));
        }
        check_tags(&tagging.tags)?;
        // What is not the last word any more the trail still tells of, for a while.
        let is_news =
            self.audit.index_of(&tagging.event()).is_none() && self.tags.is_news(&tagging)?;
        Ok((tagging, by, is_news))
    }

    /// Labels a member.
    pub(super) fn tag(
        &mut self,
        index: LogIndex,
        signed: &Signed<Tagging>,
    ) -> Result<Decision, Refusal> {
        let (tagging, by, is_news) = self.genuine_tagging(signed)?;
        let (member, event) = (tagging.member, tagging.event());
        let outcome = Outcome::Tagged(member);
        if !is_news {
            return Ok(Decision::Already(outcome));
        }
        self.tags.0.insert(member, Stated::new(signed.clone(), tagging, by, index));
        Ok(Decision::Changed(Actor::admin(by), event, outcome))
    }

    /// The statement to sign next about the tags of `member`: those it has with `change` made, and the next serial.
    /// `None`: it has no place in the mesh.
    pub fn next_tagging(
        &self,
        member: MemberId,
        change: impl FnOnce(&mut BTreeSet<Tag>),
    ) -> Option<Tagging> {
        let place = self.members.present().get(&member)?;
        let mut tags = self.tags_of(member, place);
        change(&mut tags);
        Some(Tagging {
            mesh: self.founding.genesis.root.mesh,
            member,
            identity: place.record().identity,
            serial: self.tags.serial(member).saturating_add(1),
            tags,
        })
    }

    /// Every tag that somebody has, or will have who comes in by an invite that is remembered.
    pub fn known_tags(&self) -> BTreeSet<Tag> {
        let given = self.members.present().iter().map(|(id, member)| self.tags_of(*id, member));
        let promised = self.invites.iter().map(|(_, invite)| invite.terms().tags.clone());
        given.chain(promised).flatten().collect()
    }
}

/// Whether a member may have so many tags.
pub(super) fn check_tags(tags: &BTreeSet<Tag>) -> Result<(), Refusal> {
    match tags.len() {
        0..=MAX_TAGS => Ok(()),
        tags => Err(Refusal::TooManyTags(tags)),
    }
}
